/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which pages were written since clear_refs was (soft-dirty.rst). The bits of all pages of the process are cleared at once, while
 * others write: time is counted in rounds, and a page that was written in this round has to be seen as written.
 */
#ifndef PATCHRIG_SOFT_DIRTY_H
#define PATCHRIG_SOFT_DIRTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct area;

#define SOFT_DIRTY_UNKNOWN "the kernel has no CONFIG_MEM_SOFT_DIRTY"

/* Odd while the bits are being cleared. Read before a page is written. */
uint32_t soft_dirty_round(void);
/* The kernel has the bit. */
bool soft_dirty_known(void);
/* By one thread at a time; nothing where the kernel has no such bit. */
void soft_dirty_clear(void);
/* The owner's look at pages of private memory. A file's page has no such bit while nobody maps it. */
void soft_dirty_check(const struct area *area, size_t first, size_t pages);
/*
 * Memory that was mapped in this round is soft-dirty, although nobody has touched it, also once mprotect() makes it one mapping with memory
 * of an earlier round. Each thread has some of its own.
 */
void soft_dirty_check_new(void);

#endif
