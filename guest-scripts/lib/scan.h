/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PAGEMAP_SCAN (Linux 6.7): which pages of a range are written, as a program that saves changed pages asks for it. */
#ifndef PATCHRIG_SCAN_H
#define PATCHRIG_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCAN_PAGES 64 /* at most */
/* What may be asked for beside. */
#define SCAN_IS_PRESENT ((uint64_t)1 << 3)
#define SCAN_IS_SWAPPED ((uint64_t)1 << 4)
/* Flag: those that are named are write-protected at once. */
#define SCAN_PROTECTS 1

/* Of the pages from `start` on, a bit for each that is named as written. False: the kernel has no such thing. */
bool scan_written(const void *start, size_t pages, uint64_t more, uint64_t flags, uint64_t *named);

#endif
