// SPDX-License-Identifier: GPL-2.0-or-later
/* What can be done with pages: see deeds.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "area-ways.h"
#include "deeds.h"
#include "paging.h"
#include "run.h"
#include "uffd.h"

#define RUN_MOST 16 /* pages of a step */
#define ANY (ANONYMOUS | PRIVATE | FILES)
#define LARGE_ANONYMOUS (1u << AREA_LARGE | 1u << AREA_HUGE)
#define LARGE (LARGE_ANONYMOUS | 1u << AREA_FILE_LARGE | 1u << AREA_FILE_HUGE)

static uint8_t *memory_of(const struct step *step)
{
	return area_page(step->area, step->first);
}

static void advise(const struct step *step, int advice, const char *name)
{
	if (madvise(memory_of(step), step->count * PAGE, advice))
		run_error(name, errno);
}

void step_verify(struct step *step)
{
	for (size_t i = 0; i < step->count && !run_over(); i++)
		area_verify(step->area, step->first + i, rng_below(&step->rng, 4) == 0);
}

static void do_write(struct step *step)
{
	for (size_t i = 0; i < step->count; i++)
		area_write(step->area, step->first + i, 0);
}

/* What may be reclaimed without a write meanwhile is the more worth a look. */
static void do_pin(struct step *step)
{
	if (area_is(step->area, ANONYMOUS) && rng_below(&step->rng, 2))
		area_free(step->area, step->first, step->count);
	area_write_pinned(step->area, step->first, step->count);
	step_verify(step);
}

static void do_pageout(struct step *step)
{
	page_out(memory_of(step), step->count * PAGE);
}

static void do_out(struct step *step)
{
	page_out_fully(memory_of(step), step->count * PAGE, 2);
}

static void do_cold(struct step *step)
{
	advise(step, MADV_COLD, "MADV_COLD");
	reclaim(step->count * PAGE);
}

static void do_willneed(struct step *step)
{
	advise(step, MADV_WILLNEED, "MADV_WILLNEED");
}

static void do_drop(struct step *step)
{
	area_drop(step->area, step->first, step->count);
}

/* Of large folios also all at once: one of which only a part is freed is split. Then the kernel takes them as they are. */
static void do_free(struct step *step)
{
	if (!area_is(step->area, LARGE_ANONYMOUS) || rng_below(&step->rng, 4)) {
		area_free(step->area, step->first, step->count);
		return;
	}
	step->first = 0;
	step->count = step->area->pages;
	area_free_all(step->area);
	page_out(step->area->base, step->area->length);
}

static void do_cut(struct step *step)
{
	area_cut(step->area, step->first);
	step_verify(step);
}

static void do_punch_below(struct step *step)
{
	area_punch_below(step->area, step->first, step->count);
	step_verify(step);
}

/* Of a file: its pages stay, and only the mapping forgets them. */
static void do_unmap(struct step *step)
{
	advise(step, MADV_DONTNEED, "MADV_DONTNEED");
}

static void set_protection(const struct step *step, int protection)
{
	if (mprotect(memory_of(step), step->count * PAGE, protection))
		run_error("mprotect", errno);
}

static void do_protect(struct step *step)
{
	set_protection(step, PROT_READ);
	step_verify(step);
	set_protection(step, PROT_NONE);
	page_out(memory_of(step), step->count * PAGE);
	set_protection(step, PROT_READ | PROT_WRITE);
}

static void do_lock(struct step *step)
{
	const size_t length = step->count * PAGE;
	const bool on_fault = rng_below(&step->rng, 2);
	size_t resident;
	char seen[32];

	if (mlock2(memory_of(step), length, on_fault ? MLOCK_ONFAULT : 0)) {
		run_error("mlock2", errno);
		return;
	}
	/* Those that are looked at while they are locked are there from then on. */
	if (on_fault)
		step_verify(step);
	resident = resident_pages(memory_of(step), length);
	snprintf(seen, sizeof(seen), "%zu of %zu", resident, step->count);
	if (resident != step->count)
		run_mismatch(step->first, KIND_WRONG, LOCKED_STAYS, "all locked pages are resident", seen);
	step_verify(step);
	if (munlock(memory_of(step), length))
		run_error("munlock", errno);
}

static void do_mincore(struct step *step)
{
	resident_pages(memory_of(step), step->count * PAGE);
}

static void do_renew(struct step *step)
{
	area_renew(step->area);
}

static void do_shift(struct step *step)
{
	if (area_shift(step->area, rng_below(&step->rng, 2)))
		count(counter("shifted"), 1);
	else
		area_renew(step->area);
}

static void do_return(struct step *step)
{
	/* Some of its pages are to be swapped out by then, and others not. */
	if (rng_below(&step->rng, 2))
		page_out(memory_of(step), step->count * PAGE);
	if (!area_return(step->area, rng_below(&step->rng, 2)))
		area_renew(step->area);
}

static void do_recut(struct step *step)
{
	if (!area_recut(step->area, step->first + 1))
		area_renew(step->area);
}

static void do_populate(struct step *step)
{
	const int advice = rng_below(&step->rng, 2) ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;

	advise(step, advice, "MADV_POPULATE");
}

static void do_guard(struct step *step)
{
	if (area_guard(step->area, step->first, step->count))
		count(counter("guards"), 1);
	else
		step->unknown = true; /* before 6.13 */
}

/* As another process would ask for it. It may do less than it is asked for. */
static void do_ask(struct step *step)
{
	static const int advices[] = { MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED };
	const int error = advise_process(getpid(), memory_of(step), step->count * PAGE, advices[rng_below(&step->rng, 3)]);

	if (error)
		run_error("process_madvise", error);
}

static void do_poke(struct step *step)
{
	area_poke(step->area, step->first, step->count);
	step_verify(step);
}

static void do_splice(struct step *step)
{
	area_splice(step->area, step->first, step->count);
	step_verify(step);
}

static void do_poison(struct step *step)
{
	/* The pages are dropped, whether they could be poisoned or not. */
	step->unknown = step->area->uffd < 0;
	if (!step->unknown)
		uffd_poison(step->area, step->first, step->count);
}

static void do_allocate(struct step *step)
{
	area_allocate(step->area, step->first, step->count);
	step_verify(step);
}

static void do_report(struct step *step)
{
	area_report(step->area);
}

static void do_seek(struct step *step)
{
	area_seek(step->area);
}

static void do_view(struct step *step)
{
	area_view(step->area, step->first, step->count, rng_below(&step->rng, 2));
}

static void do_register_anew(struct step *step)
{
	area_register_anew(step->area, step->first, step->count, rng_below(&step->rng, 2));
}

static void do_split(struct step *step)
{
	step->unknown = !area_split(step->area, step->first, step->count, &step->rng);
	step_verify(step);
}

static void do_pieces(struct step *step)
{
	step->unknown = !area_rebuild_of_pieces(step->area, &step->rng);
	step_verify(step);
}

/* Errors: no huge page is to be had just now, or the kernel makes none here (madvise(2)). */
static void do_collapse(struct step *step)
{
	count(counter("collapsed"), collapse(step->area->base, step->area->length));
}

static void do_merge(struct step *step)
{
	const int advice = rng_below(&step->rng, 2) ? MADV_MERGEABLE : MADV_UNMERGEABLE;

	if (!madvise(step->area->base, step->area->length, advice))
		count(counter("merge_advice"), 1);
	else if (errno == EINVAL)
		counter_lacking("merge_advice", "the kernel has no KSM");
	else
		run_error("MADV_MERGEABLE", errno);
}

static void do_copy(struct step *step)
{
	const bool protect = rng_below(&step->rng, 2);

	for (size_t i = 0; i < step->count && step->area->uffd >= 0; i++)
		uffd_copy(step->area, step->first + i, protect);
}

static void do_zero(struct step *step)
{
	for (size_t i = 0; i < step->count && step->area->uffd >= 0; i++)
		uffd_zero(step->area, step->first + i);
}

static void do_write_protect(struct step *step)
{
	if (step->area->uffd >= 0)
		uffd_protect(step->area, step->first, step->count, rng_below(&step->rng, 4));
}

/* Write-protected or not, and wherever they are now: on a device, in the swap cache, in memory. */
static void do_move(struct step *step)
{
	struct area *to = step->other;
	size_t records = 0;

	if (to->uffd < 0)
		return;
	while (records < step->count && oracle_holds(&step->area->oracle, step->first + records) == HOLDS_RECORD)
		records++;
	area_note(to, "from", step->first, records);
	/* Entries are moved in another way than pages, and what was written a moment ago is in the swap cache. */
	if (records && rng_below(&step->rng, 2))
		page_out(memory_of(step), records * PAGE);
	if (records)
		count(counter("moved_pages"), uffd_move(to, step->first, step->area, step->first, records));
	for (size_t i = 0; i < step->count; i++)
		area_verify(to, step->first + i, i % 4 == 0);
}

static void do_look(struct step *step)
{
	step_verify(step);
}

const struct deed deeds[] = {
	{ "write", 16, ANY, do_write, false },
	{ "pin", 5, ANY, do_pin, true },
	{ "pageout", 14, ANY, do_pageout, false },
	{ "out", 8, ANY, do_out, false },
	{ "look", 8, ANY, do_look, false },
	{ "cold", 2, ANY, do_cold, false },
	{ "willneed", 4, ANY, do_willneed, false },
	{ "drop", 4, ANY, do_drop, false },
	{ "free", 6, ANONYMOUS, do_free, true },
	{ "cut", 2, CUTTABLE, do_cut, true },
	{ "punchbelow", 2, PRIVATE, do_punch_below, false },
	{ "unmap", 3, FILES, do_unmap, false },
	{ "protect", 3, ANY, do_protect, false },
	{ "lock", 2, ANY, do_lock, false },
	{ "mincore", 3, ANY, do_mincore, false },
	{ "renew", 1, ANY, do_renew, false },
	{ "shift", 3, ANY, do_shift, false },
	{ "return", 2, ANONYMOUS | PRIVATE, do_return, false },
	{ "recut", 1, MOVABLE, do_recut, false },
	{ "collapse", 2, HUGE, do_collapse, false },
	{ "populate", 2, ANY, do_populate, false },
	{ "guard", 1, ANONYMOUS, do_guard, false },
	{ "ask", 3, ANY, do_ask, false },
	{ "poke", 3, ANY, do_poke, false },
	{ "splice", 3, ANY, do_splice, false },
	{ "poison", 2, ANONYMOUS, do_poison, false },
	{ "allocate", 2, FILES, do_allocate, false },
	{ "report", 1, ANONYMOUS, do_report, false },
	{ "seek", 2, FILES, do_seek, false },
	{ "view", 2, FILES, do_view, false },
	{ "registeranew", 2, ANONYMOUS | FILES, do_register_anew, false },
	{ "split", 2, LARGE, do_split, false },
	{ "pieces", 1, LARGE_ANONYMOUS, do_pieces, false },
	{ "merge", 2, ANONYMOUS, do_merge, false },
	{ "copy", 3, ANONYMOUS, do_copy, false },
	{ "zeropage", 2, ANONYMOUS, do_zero, false },
	{ "writeprotect", 4, ANONYMOUS, do_write_protect, false },
	{ "move", 8, MOVABLE, do_move, false },
};

const size_t deeds_count = sizeof(deeds) / sizeof(deeds[0]);

const struct deed *deed_choose(struct rng *rng)
{
	unsigned int all = 0, choice, i;

	for (i = 0; i < deeds_count; i++)
		all += deeds[i].weight;
	choice = rng_below(rng, all);
	for (i = 0; choice >= deeds[i].weight; i++)
		choice -= deeds[i].weight;
	return &deeds[i];
}

const struct deed *deed_choose_of(struct rng *rng, const char *const *names, size_t count)
{
	for (;;) {
		const struct deed *deed = deed_choose(rng);

		for (size_t i = 0; i < count; i++)
			if (!strcmp(names[i], deed->name))
				return deed;
	}
}

void step_choose_pages(struct step *step, size_t pages)
{
	step->first = rng_below(&step->rng, pages);
	step->count = rng_between(&step->rng, 1, RUN_MOST);
	if (step->count > pages - step->first)
		step->count = pages - step->first;
}
