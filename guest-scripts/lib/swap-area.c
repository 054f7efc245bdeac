// SPDX-License-Identifier: GPL-2.0-or-later
/* Swap areas in files: see swap-area.h. */
#define _GNU_SOURCE

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "page.h"
#include "swap-area.h"

/* include/linux/swap.h, union swap_header: behind a boot sector, and at the end of the page. */
#define BOOT_BYTES 1024
#define SIGNATURE "SWAPSPACE2"
#define WORDS (PAGE / sizeof(uint64_t))
#define HOW (O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_SYNC)

struct header {
	uint32_t version, last_page, bad_pages;
};

static bool write_page(int fd, const void *page, size_t number)
{
	return pwrite(fd, page, PAGE, (off_t)(number * PAGE)) == PAGE;
}

static void fill(uint64_t *words, size_t page)
{
	for (size_t i = 0; i < WORDS; i++)
		words[i] = page + 1;
}

bool swap_area_mark(const struct swap_area *area, enum flaw flaw)
{
	uint64_t words[WORDS];
	struct header *header = (struct header *)((char *)words + BOOT_BYTES);

	memset(words, 0, sizeof(words));
	header->version = flaw == FLAW_VERSION ? 2 : 1;
	header->last_page = (uint32_t)(flaw == FLAW_EMPTY ? 0 : flaw == FLAW_LONGER_THAN_FILE ? area->pages : area->pages - 1);
	header->bad_pages = flaw == FLAW_BAD_PAGES;
	if (flaw != FLAW_SIGNATURE)
		memcpy((char *)words + PAGE - strlen(SIGNATURE), SIGNATURE, strlen(SIGNATURE));
	return write_page(area->file, words, 0);
}

bool swap_area_of_many_extents(struct swap_area *area, const char *path, size_t pages)
{
	uint64_t words[WORDS];
	char beside[120];

	snprintf(beside, sizeof(beside), "%s.beside", path);
	*area = (struct swap_area){ pages, open(path, HOW, 0600), open(beside, HOW, 0600) };
	if (area->file < 0 || area->beside < 0)
		return false;
	for (size_t page = 0; page < pages; page++) {
		fill(words, page);
		if (!write_page(area->file, words, page) || !write_page(area->beside, words, page))
			return false;
	}
	return true;
}

long swap_area_damage(const struct swap_area *area)
{
	uint64_t words[WORDS], expected[WORDS];

	/* The page cache has what was written to the file, whatever the disk has. */
	posix_fadvise(area->beside, 0, 0, POSIX_FADV_DONTNEED);
	for (size_t page = 0; page < area->pages; page++) {
		fill(expected, page);
		if (pread(area->beside, words, PAGE, (off_t)(page * PAGE)) != PAGE || memcmp(words, expected, PAGE))
			return (long)page;
	}
	return -1;
}

bool swap_area_with_hole(const char *path, size_t pages)
{
	const struct swap_area area = { pages, open(path, HOW, 0600), -1 };
	const bool made = area.file >= 0 && !ftruncate(area.file, (off_t)(pages * PAGE)) && swap_area_mark(&area, FLAW_NONE);

	if (area.file >= 0)
		close(area.file);
	return made;
}
