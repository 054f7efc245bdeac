// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * huge-zero: the huge zero page comes and goes, and is split, moved, protected and shared, while devices are swapped off.
 *
 *   lives     processes, several at once, and the next ones when all have ended. Each has two mappings of one huge page. It reads them,
 *             which maps the huge zero page where nothing was written; writes some pages; moves pages from one mapping to the other
 *             (UFFDIO_MOVE); swaps them out; and ends. The kernel frees the huge zero page when no process has it any more, and
 *             somebody asks for memory;
 *   dropper   asks for it all the time (drop_caches).
 *
 * The load process itself never maps the huge zero page: it would keep it until it ends.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "area.h"
#include "paging.h"
#include "run.h"
#include "textfile.h"
#include "uffd.h"

#define LIVES_MAX 8
#define STEPS_LEAST 4
#define STEPS_MOST 16
#define RUN_MOST 64
#define ALL (HUGE_ALIGN / PAGE)
/* No process has the huge zero page for about so long: the dropper comes by in this time. */
#define PAUSE_MOST_US 8000
#define DROP "/proc/sys/vm/drop_caches"
/* Regions: two of each life, and two of its child. */
#define REGIONS 4

static uint64_t lives_at_once = 3;
static uint64_t whole; /* of eight moves so many take the mapping as a whole */

static const struct number_option options[] = {
	{ "lives", &lives_at_once },
	{ "whole", &whole },
	{ 0 },
};

struct life {
	unsigned int index;
	struct rng rng;
	struct area areas[2];
	struct oracle snapshots[2];
};

static struct life lives[LIVES_MAX];
static struct meeting all_ended;
static counter_t *ended, *reads, *writes, *moves, *shares, *drops, *whole_outs;

static void some_pages(struct rng *rng, size_t *first, size_t *length)
{
	*length = rng_between(rng, 1, RUN_MOST);
	*first = rng_below(rng, ALL - *length);
}

static void look(struct area *area, struct rng *rng)
{
	size_t first, length;

	some_pages(rng, &first, &length);
	for (size_t page = first; page < first + length; page++)
		area_verify(area, page, false);
	count(reads, 1);
}

static void look_at_all(struct area *area)
{
	for (size_t page = 0; page < ALL; page++)
		area_verify(area, page, false);
	count(reads, 1);
}

static void write_some(struct area *area, struct rng *rng)
{
	size_t first, length;

	some_pages(rng, &first, &length);
	for (size_t page = first; page < first + length; page++)
		area_write(area, page, 0);
	count(writes, 1);
}

/* Where nothing is mapped UFFDIO_MOVE has nothing to move (ENOENT), so all pages are read before. */
static void move_some(struct area *from, struct area *to, struct rng *rng)
{
	const bool all = rng_below(rng, 8) < whole;
	size_t first = 0, length = ALL;

	if (from->uffd < 0)
		return;
	if (all) {
		area_drop_all(to);
		if (rng_below(rng, 4))
			area_drop_all(from);
	} else
		some_pages(rng, &first, &length);
	look_at_all(from);
	uffd_move(to, first, from, first, length);
	count(moves, 1);
	look_at_all(to);
}

static void protect_all(struct area *area, struct rng *rng)
{
	if (area->uffd < 0)
		return;
	uffd_protect(area, 0, ALL, true);
	look(area, rng);
	uffd_protect(area, 0, ALL, false);
}

static void close_all(struct area *area, struct rng *rng)
{
	if (mprotect(area->base, area->length, PROT_READ))
		run_error("mprotect", errno);
	look(area, rng);
	if (mprotect(area->base, area->length, PROT_READ | PROT_WRITE))
		run_error("mprotect", errno);
}

/* Often all the way, also out of the swap cache. */
static void swap_out(struct area *area, struct rng *rng)
{
	if (rng_below(rng, 2))
		page_out(area->base, area->length);
	else
		page_out_fully(area->base, area->length, 2);
	count(whole_outs, 1);
}

static void share_body(void *argument)
{
	struct life *life = argument;

	for (unsigned int i = 0; i < 2; i++) {
		struct area area = area_of_child(&life->areas[i], &life->snapshots[i]);

		look(&area, &life->rng);
		write_some(&area, &life->rng);
		look_at_all(&area);
	}
}

static void share(struct life *life)
{
	for (unsigned int i = 0; i < 2; i++)
		oracle_copy(&life->snapshots[i], &life->areas[i].oracle, REGIONS * life->index + 3 + i);
	child_join(child_start(share_body, life));
	count(shares, 1);
}

static void do_step(struct life *life)
{
	const uint64_t choice = rng_below(&life->rng, 16), which = rng_below(&life->rng, 2);
	struct area *area = &life->areas[which];

	if (choice < 3)
		look_at_all(area);
	else if (choice < 6)
		move_some(area, &life->areas[!which], &life->rng);
	else if (choice < 9)
		write_some(area, &life->rng);
	else if (choice == 9)
		protect_all(area, &life->rng);
	else if (choice == 10)
		close_all(area, &life->rng);
	else if (choice == 11)
		area_drop_all(area);
	else if (choice == 12)
		area_shift(area, rng_below(&life->rng, 2));
	else if (choice == 13)
		share(life);
	else
		swap_out(area, &life->rng);
	operations_add(1);
}

static void live_body(void *argument)
{
	struct life *life = argument;
	const uint64_t steps = rng_between(&life->rng, STEPS_LEAST, STEPS_MOST);
	const int uffd = uffd_open(0);

	for (unsigned int i = 0; i < 2; i++) {
		area_new(&life->areas[i], AREA_HUGE, REGIONS * life->index + 1 + i, ALL, uffd);
		life->snapshots[i] = oracle_new(0, ALL);
	}
	look_at_all(&life->areas[0]);
	for (uint64_t step = 0; step < steps && !run_over(); step++)
		do_step(life);
	for (unsigned int i = 0; i < 2; i++)
		area_verify_all(&life->areas[i]);
}

static void live(struct worker *worker)
{
	struct life *life = &lives[worker->index];

	life->index = worker->index;
	do {
		sleep_us(rng_below(&worker->rng, PAUSE_MOST_US));
		life->rng = rng_stream(rng_next(&worker->rng), 0);
		child_join(child_start(live_body, life));
		count(ended, 1);
	} while (meet(&all_ended));
}

static void dropper(struct worker *worker)
{
	while (!run_over()) {
		count(drops, put_text(DROP, "2"));
		sleep_us(rng_between(&worker->rng, 200, 4000));
	}
}

static void setup(void)
{
	const int uffd = uffd_open(0);

	ended = counter("lives");
	reads = counter("reads");
	writes = counter("writes");
	moves = counter("moves");
	shares = counter("shares");
	drops = counter("drops");
	whole_outs = counter("whole_outs");
	if (!lives_at_once || lives_at_once > LIVES_MAX || whole > 8)
		run_fail("--lives and --whole");
	if (uffd < 0)
		counter_lacking("moves", "userfaultfd() or UFFDIO_MOVE: %s", strerror(errno));
	else
		close(uffd);
}

static void load(void)
{
	static struct threads threads;

	if (!area_huge_is_small())
		return;
	all_ended.parties = lives_at_once;
	threads_add(&threads, lives_at_once, live, NULL);
	threads_add(&threads, 1, dropper, NULL);
	threads_join(&threads);
}

/* Nothing is left to look at: each life has verified its pages at its end. */
static void verify(void)
{
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options,
		.steady = 1,
		.prepare = area_need_huge_pages,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
