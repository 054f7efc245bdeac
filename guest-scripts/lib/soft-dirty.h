/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which pages were written since clear_refs was (soft-dirty.rst). The bits of all pages of the process are cleared at once, while
 * others write: time is counted in rounds, and a page that was written in this round has to be seen as written.
 */
#ifndef PATCHRIG_SOFT_DIRTY_H
#define PATCHRIG_SOFT_DIRTY_H

#include <stddef.h>
#include <stdint.h>

struct area;

/* Odd while the bits are being cleared. Read before a page is written. */
uint32_t soft_dirty_round(void);
/* By one thread at a time. Counts pages as "soft_dirty..." from then on; nothing in a kernel without CONFIG_MEM_SOFT_DIRTY. */
void soft_dirty_clear(void);
/* Its owner's look at a page of private memory. A file's page has no such bit while nobody maps it. */
void soft_dirty_check(const struct area *area, size_t page);

#endif
