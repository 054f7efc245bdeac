// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * large-zero: groups of 64 KiB in which some pages are zeros, that are swapped out as large folios and page by page, with zswap and
 * without, and holes that cut through large folios of a file, against swapoff.
 *
 *   walkers     fill groups anew, have them paged out, and touch one page. Paged out one by one, the pages of a group come to lie
 *               side by side on the device, zeros among them, and look as if they had been one large folio;
 *   file owners punch holes of any size and place into groups that are in memory or out;
 *   lookers     read pages of all of them meanwhile;
 *   a switcher  turns zswap on and off, above synchronous devices. It begins late: 6.12 to 6.19 read large folios in only until
 *               zswap is first used.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "area.h"
#include "paging.h"
#include "run.h"
#include "textfile.h"

#define LARGE (64u << 10)
#define OWNERS_MAX 8
#define ZSWAP "/sys/module/zswap/parameters/"
/* Until zswap is first switched on, in rounds of the switcher. */
#define ROUNDS_WITHOUT_ZSWAP 8
#define ROUND_LEAST 300000
#define ROUND_MOST 900000

static uint64_t groups = 6;
static uint64_t walkers = 2;
static uint64_t owners = 2;
static uint64_t lookers = 2;

static const struct number_option options[] = {
	{ "groups", &groups },
	{ "walkers", &walkers },
	{ "owners", &owners },
	{ "lookers", &lookers },
	{ 0 },
};

/* Of the walkers, then of the file owners; and for each walker some pages that only take slots. */
static struct area areas[OWNERS_MAX], fillers[OWNERS_MAX];
static counter_t *mixed_groups, *aligned_mixed_groups, *whole_groups, *holes, *looks, *switches;

static size_t group_pages(void)
{
	return LARGE / PAGE;
}

/* Each CPU stays with the device that it wrote to last: who stayed with one CPU might never see another device. */
static void hop(struct rng *rng)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(rng_below(rng, sysconf(_SC_NPROCESSORS_ONLN)), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		run_fail("sched_setaffinity");
}

/* Fresh memory, a large folio if one can be had; then records, but for some pages, or none, or all. */
static void refill(struct area *area, size_t first, struct rng *rng)
{
	const uint64_t zeros = rng_below(rng, 4) ? rng_next(rng) & rng_next(rng) : 0;

	area_note(area, "refill", first, group_pages());
	area_drop(area, first, group_pages());
	for (size_t i = 0; i < group_pages(); i++)
		if (!(zeros >> (i % 64) & 1))
			area_write(area, first + i, 0);
}

static bool is_zero(const struct area *area, size_t page)
{
	return oracle_holds(&area->oracle, page) == HOLDS_ZEROS;
}

/* Of a group that is out: zeros and others, and whether the slots are side by side as those of a large folio. */
static void note_state(const struct area *area, size_t first)
{
	const uint64_t word = pagemap_word(area_page(area, first));
	size_t zeros = 0, in_line = 0;

	for (size_t i = 0; i < group_pages(); i++) {
		zeros += is_zero(area, first + i);
		/* The low five bits of the entry are the device, the others the slot. */
		in_line += pagemap_word(area_page(area, first + i)) == word + (i << 5);
	}
	if (!(word & PAGEMAP_SWAPPED) || in_line < group_pages())
		return;
	count(whole_groups, 1);
	if (!zeros || zeros == group_pages())
		return;
	count(mixed_groups, 1);
	if ((word >> 5) % group_pages() == 0)
		count(aligned_mixed_groups, 1);
}

/* Touched before, or a hole would be nothing to page out. */
static void page_out_singly(struct area *area, struct area *filler, struct rng *rng)
{
	const size_t fill = rng_below(rng, group_pages());

	area_note(area, "singly", 0, area->pages);
	for (size_t page = 0; page < fill && !run_over(); page++) {
		area_write(filler, page, 0);
		page_out(area_page(filler, page), PAGE);
	}
	for (size_t page = 0; page < area->pages && !run_over(); page++)
		page_out(area_page(area, page), PAGE);
}

static void touch_one(struct area *area, size_t first, struct rng *rng)
{
	const size_t page = first + rng_below(rng, group_pages());

	area_note(area, "touch", page, 1);
	if (rng_below(rng, 4) || is_zero(area, page))
		area_verify(area, page, true);
	else
		area_write(area, page, 0);
}

static void walker(struct worker *worker)
{
	struct area *area = &areas[worker->index];
	struct rng *rng = &worker->rng;
	const size_t step = group_pages();

	while (!run_over()) {
		hop(rng);
		for (size_t first = 0; first < area->pages && !run_over(); first += step)
			if (rng_below(rng, 3))
				refill(area, first, rng);
		if (rng_below(rng, 2)) {
			page_out_singly(area, &fillers[worker->index], rng);
		} else {
			area_note(area, "out", 0, area->pages);
			page_out(area->base, area->length);
		}
		if (rng_below(rng, 2))
			page_out_fully(area->base, area->length, 2);
		for (size_t first = 0; first < area->pages; first += step)
			note_state(area, first);
		for (size_t first = 0; first < area->pages && !run_over(); first += step) {
			touch_one(area, first, rng);
			for (size_t i = 0; i < step && !run_over(); i++)
				area_verify(area, first + i, rng_below(rng, 4) == 0);
		}
	}
}

/* Any run of pages, in one group or through several. */
static void cut(struct area *area, struct rng *rng)
{
	const size_t first = rng_below(rng, area->pages);
	const size_t most = area->pages - first < 2 * group_pages() ? area->pages - first : 2 * group_pages();
	const size_t pages = 1 + rng_below(rng, most);

	area_note(area, "hole", first, pages);
	area_drop(area, first, pages);
	count(holes, 1);
	for (size_t i = 0; i < pages && i < 4; i++)
		area_verify(area, first + i, true);
}

static void file_owner(struct worker *worker)
{
	struct area *area = &areas[walkers + worker->index];
	struct rng *rng = &worker->rng;

	while (!run_over()) {
		hop(rng);
		for (size_t first = 0; first < area->pages && !run_over(); first += group_pages())
			if (rng_below(rng, 3))
				refill(area, first, rng);
		page_out_fully(area->base, area->length, rng_between(rng, 1, 3));
		for (uint64_t cuts = rng_between(rng, 1, 2 * groups); cuts && !run_over(); cuts--) {
			cut(area, rng);
			area_verify(area, rng_below(rng, area->pages), true);
		}
		for (size_t page = 0; page < area->pages && !run_over(); page++)
			area_verify(area, page, rng_below(rng, 4) == 0);
	}
}

static void looker(struct worker *worker)
{
	while (!run_over()) {
		const struct area *area = &areas[rng_below(&worker->rng, walkers + owners)];

		if (area_look(area, rng_below(&worker->rng, area->pages), false) != LOOK_RACED)
			count(looks, 1);
		sleep_us(rng_below(&worker->rng, 4000));
	}
}

static void switcher(struct worker *worker)
{
	bool on = false;

	for (unsigned int round = 0; !run_over(); round++) {
		for (const uint64_t end = now_ns() + rng_between(&worker->rng, ROUND_LEAST, ROUND_MOST) * 1000;
		     now_ns() < end && !run_over();)
			sleep_us(5000);
		if (round < ROUNDS_WITHOUT_ZSWAP)
			continue;
		on = !on;
		run_set(ZSWAP "enabled", on ? "Y" : "N");
		count(switches, 1);
	}
	run_set(ZSWAP "enabled", "N");
}

static void prepare(void)
{
	if (access("/sys/kernel/mm/transparent_hugepage/hugepages-64kB/stats/swpout", R_OK))
		run_missing("folios of 64 KiB: %m");
	area_allow_large_folios();
}

static void setup(void)
{
	mixed_groups = counter("mixed_groups");
	aligned_mixed_groups = counter("aligned_mixed_groups");
	whole_groups = counter("whole_groups");
	holes = counter("holes");
	looks = counter("looks_of_others");
	switches = counter("zswap_switches");
	if (walkers + owners > OWNERS_MAX || !walkers)
		run_fail("--walkers and --owners");
	for (uint64_t i = 0; i < walkers + owners; i++) {
		area_new(&areas[i], i < walkers ? AREA_LARGE : AREA_FILE_LARGE, 1 + i, groups * group_pages(), -1);
		if (i < walkers)
			area_new(&fillers[i], AREA_SMALL, 100 + i, group_pages(), -1);
	}
}

static void load(void)
{
	static struct threads threads;

	threads_add(&threads, walkers, walker, NULL);
	threads_add(&threads, owners, file_owner, NULL);
	threads_add(&threads, lookers, looker, NULL);
	threads_add(&threads, 1, switcher, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	for (uint64_t i = 0; i < walkers + owners; i++)
		area_verify_all(&areas[i]);
	for (uint64_t i = 0; i < walkers; i++)
		area_verify_all(&fillers[i]);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options,
		.steady = 1,
		.prepare = prepare,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
