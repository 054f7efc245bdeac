// SPDX-License-Identifier: GPL-2.0-or-later
/* Which pages were written since clear_refs was: see soft-dirty.h. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

#include "area.h"
#include "paging.h"
#include "release.h"
#include "run.h"
#include "shared.h"
#include "soft-dirty.h"
#include "textfile.h"

#define CLEAR_REFS "/proc/self/clear_refs"
#define SEEN_AS_WRITTEN "soft-dirty.rst: the bit of a page that was written since clear_refs was is set"

#define NEW_IS_WRITTEN "soft-dirty.rst: the kernel always marks new memory regions as soft dirty"
/* Of each of the two parts, the old and the new one. */
#define PART ((size_t)4 * PAGE)

static _Atomic uint32_t rounds;
static _Thread_local uint8_t *old_part; /* the new one comes behind it */

uint32_t soft_dirty_round(void)
{
	return rounds;
}

/* New memory has the bit, and this is new until the bits are cleared. */
bool soft_dirty_known(void)
{
	return rounds || pagemap_word(shared) & PAGEMAP_SOFT_DIRTY;
}

void soft_dirty_clear(void)
{
	if (!soft_dirty_known()) {
		counter_lacking("soft_dirty_clears", SOFT_DIRTY_UNKNOWN);
		return;
	}
	rounds++;
	if (put_text(CLEAR_REFS, "4"))
		count(counter("soft_dirty_clears"), 1);
	else
		run_error("write to " CLEAR_REFS, errno);
	rounds++;
}

static void complain(const struct area *area, size_t page, uint64_t word)
{
	char seen[200];

	snprintf(seen, sizeof(seen), "pagemap %#llx; kind %u; after%s", (unsigned long long)word, (unsigned int)area->kind, area->history);
	run_mismatch(page, KIND_WRONG, SEEN_AS_WRITTEN, "a page that was written is soft-dirty", seen);
}

/* What is seen of pages, to be counted. */
struct seen {
	uint64_t mapped, swapped, clean;
};

static void check_page(const struct area *area, size_t page, struct seen *seen)
{
	const uint32_t now = rounds;
	const uint64_t word = pagemap_word(area_page(area, page));
	const bool dirty = word & PAGEMAP_SOFT_DIRTY;

	if (now % 2 || rounds != now)
		return;
	if (!oracle_changed_in(&area->oracle, page, now))
		seen->clean += !dirty && word & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED);
	else if (!dirty)
		complain(area, page, word);
	else if (word & PAGEMAP_SWAPPED)
		seen->swapped++;
	else
		seen->mapped++;
}

void soft_dirty_check(const struct area *area, size_t first, size_t pages)
{
	struct seen seen = { 0 };

	/* Before the first round all memory has the bit, as it is new. */
	if (!rounds)
		return;
	for (size_t page = first; page < first + pages; page++)
		check_page(area, page, &seen);
	count(counter("soft_dirty_and_mapped"), seen.mapped);
	count(counter("soft_dirty_and_swapped"), seen.swapped);
	count(counter("soft_dirty_clean_pages"), seen.clean);
}

/* Nobody may touch it yet, as with memory that an allocator gets in advance. */
static void map_part(uint8_t *at)
{
	if (mmap(at, PART, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at)
		run_fail("mmap of new memory");
}

static void allow(uint8_t *part)
{
	if (mprotect(part, PART, PROT_READ | PROT_WRITE))
		run_error("mprotect", errno);
}

static void complain_of_new(const uint8_t *page, uint64_t word)
{
	char seen[60];

	snprintf(seen, sizeof(seen), "pagemap %#llx", (unsigned long long)word);
	run_mismatch((size_t)(page - old_part) / PAGE, KIND_WRONG, NEW_IS_WRITTEN, "new memory is soft-dirty", seen);
}

void soft_dirty_check_new(void)
{
	uint32_t now;

	/* Linux 6.19: before, what is merged has the bit or not, as its neighbour has. */
	if (!rounds || !release_is_at_least(6, 19))
		return;
	if (!old_part) {
		old_part = reserved_addresses(2 * PART);
		map_part(old_part);
		allow(old_part);
		*(volatile uint8_t *)old_part = 1;
	}
	now = rounds;
	map_part(old_part + PART);
	allow(old_part + PART);
	for (const uint8_t *page = old_part + PART; page < old_part + 2 * PART; page += PAGE) {
		const uint64_t word = pagemap_word(page);

		if (now % 2 || rounds != now)
			return;
		if (!(word & PAGEMAP_SOFT_DIRTY))
			complain_of_new(page, word);
		count(counter("soft_dirty_new_pages"), 1);
	}
}
