/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Swap areas in files: their headers, right and wrong, and the pages between. */
#ifndef PATCHRIG_SWAP_AREA_H
#define PATCHRIG_SWAP_AREA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What may be wrong with the header of one in a file. Each must be refused with EINVAL. */
enum flaw {
	FLAW_NONE,
	FLAW_SIGNATURE,
	FLAW_VERSION,
	FLAW_LONGER_THAN_FILE,
	FLAW_EMPTY,
	FLAW_BAD_PAGES, /* only a device may have them */
	FLAWS,
};

struct swap_area {
	size_t pages;
	int file, beside;
};

/*
 * Two files of so many pages, of which one page of each is written in turn: so both have many extents, and what is written to a wrong place
 * of the first one is in the second. False: they can't be written.
 */
bool swap_area_of_many_extents(struct swap_area *area, const char *path, size_t pages);
/* Writes the header. */
bool swap_area_mark(const struct swap_area *area, enum flaw flaw);
/* What the disk has of the second file: the number of a page that is not what it was, or -1. */
long swap_area_damage(const struct swap_area *area);
/* So long, with the header alone in it. False: it can't be written. */
bool swap_area_with_hole(const char *path, size_t pages);

#endif
