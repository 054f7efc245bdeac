// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * slots: a few pages that many threads count on, on a synchronous device so small that a page comes back to the slot it had.
 *
 *   counters   read a page, or count on it at once, or read it first: a count that is lost was made on old contents;
 *   pagers     page the same pages out again and again;
 *   a toggler  write-protects them by userfaultfd and lifts that: it changes page table entries of swapped pages while others fault
 *              on them, and their faults are for nothing;
 *   a filler   has pages that stay on the device. Mostly they leave hardly a slot free; now and then they go, and a page that is
 *              mapped from the swap cache keeps its slot for its next way out;
 *   sharers    fork children, so that mostly one lives: it has the pages as they were, may count on its copies, pages them out, and ends soon;
 *   a switcher turns zswap on and off above the device, and lets it refuse pages;
 *   a shrinker has zswap write pages back to the device, whose owners want them back, or have them somewhere else by then.
 *
 * A kernel that reads a page without a claim on its slot, or lets a copy of it live too long or not long enough, shows old contents here.
 */
#define _GNU_SOURCE

#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "area.h"
#include "paging.h"
#include "run.h"
#include "textfile.h"
#include "uffd.h"

#define ZSWAP "/sys/module/zswap/parameters/"
#define PAGES_MAX 8
#define FILLER_REGION 1
#define COUNTED_REGION 2
/* Of the switcher, in microseconds. */
#define ROUND_LEAST 50000
#define ROUND_MOST 250000
#define FLICKER_LEAST 500
#define FLICKER_MOST 4000
/* The device is filled, or emptied, so often. */
#define FILLED_ROUNDS 12
#define ROOMY_ONE_IN 3
/* Of the shrinker, in microseconds. */
#define SHRINK_REST 10000
#define DROP_CACHES "/proc/sys/vm/drop_caches"
#define WITHOUT_A_MESSAGE "4"
#define WHAT_CAN_SHRINK "2"
#define FILL_TIMES 2
/* Of the sharer, in microseconds; and of its child. */
#define ALONE_MOST 60000
#define SHARERS_MOST 4
#define STEPS_MOST 64
#define STEP_MOST 1500
#define CHILD_STREAM 100
#define DEVICE (1u << 20)

static uint64_t pages = 2;
static uint64_t counters = 4;
static uint64_t pagers = 2;
static uint64_t sharers = 2;

static const struct number_option options[] = {
	{ "pages", &pages },
	{ "counters", &counters },
	{ "pagers", &pagers },
	{ "sharers", &sharers },
	{ 0 },
};

static uint8_t *counted;
static _Atomic uint64_t *expected; /* counts of each page */
static struct area filler, handle; /* handle: the counted pages, for uffd.h */
static int uffd;
/* Of each sharer's child: what each page had, at least, before the fork; and how many there were before it. */
static struct child {
	uint64_t before_fork[PAGES_MAX];
	uint64_t sharer, number;
} children[SHARERS_MOST];
static counter_t *forks, *counts, *protections, *switches, *lifted, *full_rounds, *shrinks;
static _Atomic uint64_t counting; /* counters that have not ended */

static struct record *record_of(size_t page)
{
	return (struct record *)(counted + page * PAGE);
}

/* Compressible: zswap takes it. The record never changes, but for its count. */
static struct identity identity_of(size_t page)
{
	return (struct identity){ COUNTED_REGION, page * 8 + 2 + page % 4, 1 };
}

static void count_on(size_t page)
{
	atomic_fetch_add((_Atomic uint64_t *)&record_of(page)->counter, 1);
	atomic_fetch_add(&expected[page], 1);
	operations_add(1);
}

static void complain(size_t page, uint64_t had, uint64_t wants, const char *or_more)
{
	char wanted[80], seen[120];

	snprintf(wanted, sizeof(wanted), "page %zu count %" PRIu64 "%s", page, wants, or_more);
	snprintf(seen, sizeof(seen), "count %" PRIu64 "; pagemap %" PRIx64, had, pagemap_word(record_of(page)));
	run_mismatch(page, KIND_LOST_UPDATE, HOLDS_WHAT_WAS_WRITTEN, wanted, seen);
}

/* Only when nobody counts. */
static void check_counts(void)
{
	for (size_t page = 0; page < pages; page++) {
		const uint64_t had = record_of(page)->counter;

		if (had != expected[page])
			complain(page, had, expected[page], "");
		verified_add(1);
	}
}

/* What was seen once is there to stay: counts only grow. */
static void look(size_t page, struct rng *rng)
{
	const struct identity identity = identity_of(page);
	const uint64_t least = expected[page];
	uint64_t had;

	if (!record_verify(record_of(page), &identity, rng_below(rng, 4) == 0))
		return;
	had = *(_Atomic uint64_t *)&record_of(page)->counter;
	if (had < least)
		complain(page, had, least, " or more");
}

static void counter_thread(struct worker *worker)
{
	struct rng *rng = &worker->rng;

	while (!run_over()) {
		const size_t page = rng_below(rng, pages);
		const uint64_t way = rng_below(rng, 3);

		if (way)
			look(page, rng);
		if (way < 2) {
			count_on(page);
			count(counts, 1);
			/* A copy, where a child has the page, too: it goes to the slot that is free now. */
			if (rng_below(rng, 4) == 0)
				page_out(record_of(page), PAGE);
		}
		sleep_us(rng_below(rng, 600));
	}
	counting--;
}

static void pager(struct worker *worker)
{
	while (!run_over()) {
		page_out(counted + rng_below(&worker->rng, pages) * PAGE, PAGE);
		sleep_us(rng_below(&worker->rng, 800));
	}
}

/* Nobody else writes to its copies: each has what it had at the fork, and what was counted here. */
static void use_copies(void *argument)
{
	const struct child *child = argument;
	struct rng rng = rng_stream(run_seed(), CHILD_STREAM + child->number * SHARERS_MOST + child->sharer);
	/* Who only reads has the page that its parent had, for as long as it lives. */
	const bool writes = rng_below(&rng, 2);
	uint64_t own[PAGES_MAX];

	for (size_t page = 0; page < pages; page++) {
		own[page] = record_of(page)->counter;
		if (own[page] < child->before_fork[page])
			complain(page, own[page], child->before_fork[page], " or more");
	}
	for (uint64_t steps = rng_below(&rng, STEPS_MOST); steps && !run_over(); steps--) {
		const size_t page = rng_below(&rng, pages);
		const struct identity identity = identity_of(page);

		if (writes && rng_below(&rng, 2))
			record_of(page)->counter = ++own[page];
		if (rng_below(&rng, 2))
			page_out(record_of(page), PAGE);
		sleep_us(rng_below(&rng, STEP_MOST));
		if (record_verify(record_of(page), &identity, false) && record_of(page)->counter != own[page])
			complain(page, record_of(page)->counter, own[page], "");
	}
}

static void sharer(struct worker *worker)
{
	struct child *child = &children[worker->index];

	child->sharer = worker->index;
	while (!run_over()) {
		for (size_t page = 0; page < pages; page++)
			child->before_fork[page] = expected[page];
		child->number++;
		child_join(child_start(use_copies, child));
		count(forks, 1);
		sleep_us(rng_below(&worker->rng, ALONE_MOST));
	}
}

static void toggler(struct worker *worker)
{
	struct rng *rng = &worker->rng;

	while (!run_over()) {
		const size_t page = rng_below(rng, pages);

		uffd_protect(&handle, page, 1, true);
		sleep_us(rng_below(rng, 2000));
		uffd_protect(&handle, page, 1, false);
		sleep_us(rng_below(rng, 6000));
		count(protections, 1);
	}
}

/* Lifts write protection where somebody writes. */
static void server(struct worker *worker)
{
	(void)worker;
	while (counting)
		count(lifted, uffd_serve(uffd, NULL));
}

/*
 * Not by reclaim(), which would send out whatever else this process has, and that would take the slots that are left. A synchronous
 * device has written when the call returns, but who was busy with a page keeps it.
 */
static void fill_device(void)
{
	for (unsigned int i = 0; i < FILL_TIMES && !run_over(); i++)
		page_out(filler.base, filler.length);
}

static void refill(struct rng *rng, bool first)
{
	if (rng_below(rng, ROOMY_ONE_IN) == 0 && !first) {
		area_drop(&filler, 0, filler.pages);
		return;
	}
	for (size_t page = 0; page < filler.pages; page++)
		if (oracle_holds(&filler.oracle, page) == HOLDS_ZEROS)
			area_write(&filler, page, 0);
	fill_device();
	count(full_rounds, 1);
}

static void zswap_accepts(bool accepts)
{
	run_set(ZSWAP "max_pool_percent", accepts ? "20" : "0");
	count(switches, 1);
}

/* A page that was taken may be refused when it comes again a moment later: then the copy of it is old. */
static void nap(struct rng *rng, bool flickers)
{
	const uint64_t end = now_ns() + rng_between(rng, ROUND_LEAST, ROUND_MOST) * 1000;

	while (now_ns() < end && !run_over()) {
		sleep_us(flickers ? rng_between(rng, FLICKER_LEAST, FLICKER_MOST) : 5000);
		if (flickers)
			zswap_accepts(rng_below(rng, 2));
	}
}

static void switcher(struct worker *worker)
{
	struct rng *rng = &worker->rng;
	const bool has_zswap = !access(ZSWAP "enabled", W_OK);

	for (unsigned int round = 0; !run_over(); round++) {
		const bool on = rng_below(rng, 4), flickers = has_zswap && on && rng_below(rng, 3);

		if (round % FILLED_ROUNDS == 0)
			refill(rng, round == 0);
		if (has_zswap) {
			run_set(ZSWAP "enabled", on ? "Y" : "N");
			zswap_accepts(true);
		}
		nap(rng, flickers);
	}
	if (has_zswap) {
		zswap_accepts(true);
		run_set(ZSWAP "enabled", "N");
	}
}

/* Since Linux 6.8 that takes zswap's oldest pages, too, once it is allowed. */
static void shrinker(struct worker *worker)
{
	if (access(ZSWAP "shrinker_enabled", W_OK))
		return;
	run_set(ZSWAP "shrinker_enabled", "Y");
	run_set(DROP_CACHES, WITHOUT_A_MESSAGE);
	while (!run_over()) {
		run_set(DROP_CACHES, WHAT_CAN_SHRINK);
		count(shrinks, 1);
		sleep_us(rng_below(&worker->rng, SHRINK_REST));
	}
	run_set(ZSWAP "shrinker_enabled", "N");
}

static void counted_new(void)
{
	area_new(&handle, AREA_SMALL, COUNTED_REGION, pages, uffd);
	counted = handle.base;
	expected = locked_memory(pages * sizeof(*expected));
	for (size_t page = 0; page < pages; page++) {
		const struct identity identity = identity_of(page);

		record_write(record_of(page), &identity, 0);
	}
}

static void setup(void)
{
	counts = counter("counts");
	forks = counter("forks");
	protections = counter("protections");
	full_rounds = counter("full_rounds");
	switches = counter("zswap_switches");
	lifted = counter("protections_lifted");
	shrinks = counter("shrinks");
	if (!pages || pages > PAGES_MAX || sharers > SHARERS_MOST)
		run_fail("--pages and --sharers");
	uffd = uffd_open(0);
	if (uffd < 0) {
		run_missing("userfaultfd with UFFD_FEATURE_MOVE and write protection: %m");
		return;
	}
	counted_new();
	/* As many slots are left as there are pages; the header of the device takes one. */
	area_new(&filler, AREA_SMALL, FILLER_REGION, DEVICE / PAGE - 1 - pages, -1);
}

static void load(void)
{
	static struct threads threads;

	if (uffd < 0)
		return;
	counting = counters;
	threads_add(&threads, 1, server, NULL);
	threads_add(&threads, counters, counter_thread, NULL);
	threads_add(&threads, pagers, pager, NULL);
	threads_add(&threads, 1, toggler, NULL);
	threads_add(&threads, 1, switcher, NULL);
	threads_add(&threads, 1, shrinker, NULL);
	threads_add(&threads, sharers, sharer, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	struct rng rng = rng_stream(run_seed(), 0);

	if (uffd < 0)
		return;
	for (size_t page = 0; page < pages; page++)
		look(page, &rng);
	check_counts();
	area_verify_all(&filler);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options,
		.steady = 1,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
