// SPDX-License-Identifier: GPL-2.0-or-later
/* Which pages were written since clear_refs was: see soft-dirty.h. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include "area.h"
#include "paging.h"
#include "run.h"
#include "shared.h"
#include "soft-dirty.h"
#include "textfile.h"

#define CLEAR_REFS "/proc/self/clear_refs"
#define SEEN_AS_WRITTEN "soft-dirty.rst: the bit of a page that was written since clear_refs was is set"

static _Atomic uint32_t rounds;

uint32_t soft_dirty_round(void)
{
	return rounds;
}

/* New memory has the bit, in a kernel that has it. */
static bool is_known(void)
{
	return pagemap_word(shared) & PAGEMAP_SOFT_DIRTY;
}

void soft_dirty_clear(void)
{
	if (!rounds && !is_known()) {
		counter_lacking("soft_dirty_clears", "the kernel has no CONFIG_MEM_SOFT_DIRTY");
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

void soft_dirty_check(const struct area *area, size_t page)
{
	const uint32_t now = rounds;
	const uint64_t word = now ? pagemap_word(area_page(area, page)) : 0;

	/* Before the first round all memory has the bit, as it is new. */
	if (!now || now % 2 || rounds != now)
		return;
	if (!oracle_changed_in(&area->oracle, page, now)) {
		if (!(word & PAGEMAP_SOFT_DIRTY) && word & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED))
			count(counter("soft_dirty_clean_pages"), 1);
		return;
	}
	if (word & PAGEMAP_SOFT_DIRTY)
		count(counter(word & PAGEMAP_SWAPPED ? "soft_dirty_and_swapped" : "soft_dirty_and_mapped"), 1);
	else
		complain(area, page, word);
}
