/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accounting: what the kernel says of its memory before the load's process starts, and after it has ended, both with all devices
 * off. Whether a difference is an error is the host's business (orchestrator/judge/accounting.py); here are facts. What this
 * kernel or guest does not say is `lacking`, with the reason.
 */
#ifndef PATCHRIG_ACCOUNTING_H
#define PATCHRIG_ACCOUNTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared.h"

/* accounting.c */

/* A child of the supervisor that waits for what the kernel does late, and takes the figures. */
int accounting_start(enum moment moment);
/* With one device on: SwapTotal less SwapFree must be what /proc/swaps says that the devices use. Once idle, both are exact. */
void accounting_note_gap(enum moment moment);
void accounting_settle(enum moment moment);

/* figures.c: adds the figures of files in /proc, /sys and the cgroup */
void figures_read(struct kernel_counters *figures);
void figure_add(struct kernel_counters *figures, const char *name, uint64_t value);
void figure_lacking(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool figure_value(const struct kernel_counters *figures, const char *name, uint64_t *value);
void figure_remove(struct kernel_counters *figures, const char *name);
/* SwapTotal less SwapFree less what the devices use, in KiB; whether the files say it. */
bool swap_gap(int64_t *kib);

/* left-pages.c: pages of user space that are charged to the load's cgroup; without the swap cache where swap_stays */
void left_pages_read(struct kernel_counters *figures);

/* cgroup-statistics.c */
/* So that the next read of memory.stat has what each CPU has counted for itself. */
void cgroup_stir(void);
/*
 * What memory.stat lacks of the pages that a process in the cgroup has in memory or, with `swapped`, in the swap cache: it can't say less than
 * that.
 */
void held_pages_read(struct kernel_counters *figures, bool swapped);
/* One look: adds the figure of this count. False: something is lacking. For held_pages_read(). */
bool held_pages_are_counted(struct kernel_counters *figures, const char *count, uint64_t bytes);

/* negative-totals.c */
/* Adds what each CPU has counted for itself to the kernel's totals, and takes the totals that are below zero. */
void totals_refresh(struct accounting *accounting);
/* The kernel's messages about them; for totals_refresh(). */
void negative_totals_in(const char *messages, struct accounting *accounting);

#endif
