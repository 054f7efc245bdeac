// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sharers: swap entries that more processes share than a slot can count by itself (62 in Linux 6.12 to 6.19), against swapoff.
 *
 * A parent has some pages paged out and forks one child after another. Each child has the parent's entries once more, lives for a
 * while, and ends; so many live at a time that counts overflow and come back. Meanwhile the parent rewrites pages, which are the
 * children's as they were; a child reads, rewrites, drops and pages out what is its own, and may have a child itself.
 *   forks    copy entries while swapoff looks for them in all address spaces,
 *   exits    drop them there, many at a time when the parent ends a crowd,
 *   readers  of the parent's pages bring them in, which leaves the children's entries behind.
 *
 * None uses MADV_FREE: what one frees Linux 6.19 may take from those that share it (docs/found/); free-forked is its workload.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "area.h"
#include "device.h"
#include "paging.h"
#include "run.h"

#define CROWD_MOST 192
/* Naps of who only waits are long: many wait. */
#define NAP_LEAST 50000
#define NAP_MOST 150000
/* More than a slot can count by itself, with the parent. */
#define CROWDED 64
/* Numbers of regions: the parent's is 1. */
#define CHILD_REGIONS 100
#define GRANDCHILD_REGIONS 10000

static uint64_t pages = 48;
static uint64_t crowd = 96;
static uint64_t readers = 1;

static const struct number_option options[] = {
	{ "pages", &pages },
	{ "crowd", &crowd },
	{ "readers", &readers },
	{ 0 },
};

/* Who lives, and what it found when it was forked. */
struct sharer {
	pid_t pid; /* 0: nobody */
	uint64_t number;
	struct oracle snapshot;
};

static struct area area;
static struct sharer *sharers;
/* Of the one grandchild that a child may have at a time. */
static struct oracle *of_grandchildren;
static _Atomic bool *ending; /* the crowd is to end at once */
static counter_t *forks, *crowded_forks, *ended_crowds, *exits, *child_looks, *grandchildren;

static void use_one(struct area *own, struct rng *rng)
{
	const size_t page = rng_below(rng, pages);

	switch (rng_below(rng, 8)) {
	case 0:
		area_write(own, page, 1);
		break;
	case 1:
		area_drop(own, page, 1);
		break;
	case 2:
		page_out(area_page(own, page), (1 + rng_below(rng, pages - page)) * PAGE);
		break;
	case 3:
		if (madvise(area_page(own, page), PAGE, MADV_WILLNEED))
			run_error("MADV_WILLNEED", errno);
		break;
	}
	area_verify(own, page, rng_below(rng, 4) == 0);
	count(child_looks, 1);
}

static bool is_to_end(void)
{
	return run_over() || *ending;
}

static void live(struct area *own, struct rng *rng, uint64_t naps)
{
	/* Its entries are shared for as long as it does not look at them: it looks late, and at a few. */
	for (; naps && !is_to_end(); naps--)
		sleep_us(rng_between(rng, NAP_LEAST, NAP_MOST));
	for (uint64_t uses = rng_below(rng, 6); uses && !is_to_end(); uses--)
		use_one(own, rng);
}

static void grandchild(void *argument)
{
	struct area *own = argument;
	struct rng rng = rng_stream(run_seed(), own->oracle.region);

	live(own, &rng, rng_below(&rng, 4));
}

static void have_a_child(struct area *own, struct oracle *snapshot, uint64_t number)
{
	struct area grand;

	oracle_copy(snapshot, &own->oracle, GRANDCHILD_REGIONS + number);
	grand = area_of_child(own, snapshot);
	count(grandchildren, 1);
	child_join(child_start(grandchild, &grand));
}

static void child(void *argument)
{
	const struct sharer *self = argument;
	struct rng rng = rng_stream(run_seed(), self->snapshot.region);
	struct area own = area_of_child(&area, &self->snapshot);

	/* Most wait for the end of the crowd. */
	live(&own, &rng, rng_below(&rng, 4) ? UINT64_MAX : rng_between(&rng, 1, 20));
	if (!rng_below(&rng, 16) && !is_to_end())
		have_a_child(&own, &of_grandchildren[self - sharers], self->number);
	/* Some look at all that they have before they end, most leave it where it is. */
	if (!rng_below(&rng, 8))
		for (size_t page = 0; page < pages && !is_to_end(); page++)
			area_verify(&own, page, true);
}

static void fork_one(struct sharer *sharer)
{
	static uint64_t number;

	sharer->number = number++ % 9000;
	oracle_copy(&sharer->snapshot, &area.oracle, CHILD_REGIONS + sharer->number);
	sharer->pid = child_start(child, sharer);
	count(forks, 1);
}

static void reap(struct sharer *sharer)
{
	child_join(sharer->pid);
	sharer->pid = 0;
	count(exits, 1);
}

/* Ended, and not reaped yet. */
static bool has_ended(const struct sharer *sharer)
{
	siginfo_t info = { 0 };

	return !waitid(P_PID, sharer->pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid;
}

static size_t reap_ended(void)
{
	size_t alive = 0;

	for (size_t i = 0; i < crowd; i++) {
		if (sharers[i].pid && has_ended(&sharers[i]))
			reap(&sharers[i]);
		alive += sharers[i].pid != 0;
	}
	return alive;
}

static void end_crowd(void)
{
	*ending = true;
	for (size_t i = 0; i < crowd; i++)
		if (sharers[i].pid)
			reap(&sharers[i]);
	*ending = false;
	count(ended_crowds, 1);
}

/* Until there is a crowd: each fork shares what is swapped out by then with all that live. */
static void gather(struct rng *rng)
{
	for (size_t i = 0; i < crowd && !run_over(); i++) {
		const size_t alive = reap_ended();

		if (sharers[i].pid)
			continue;
		fork_one(&sharers[i]);
		if (alive >= CROWDED)
			count(crowded_forks, 1);
		/* Not many: what the parent has anew is shared by those that come later only. */
		if (!rng_below(rng, 16))
			area_write(&area, rng_below(rng, pages), 0);
	}
}

static void prepare_pages(struct rng *rng)
{
	for (size_t page = 0; page < pages && !run_over(); page++) {
		area_verify(&area, page, rng_below(rng, 4) == 0);
		if (rng_below(rng, 2))
			area_write(&area, page, 0);
	}
	page_out_fully(area.base, pages * PAGE, 3);
}

static void parent(struct worker *worker)
{
	struct rng *rng = &worker->rng;

	while (!run_over()) {
		prepare_pages(rng);
		gather(rng);
		/* Shared by all: only reclaim takes them out now. */
		reclaim(pages * PAGE);
		wait_for_swapoff(100000);
		/* Or it goes on: with new pages of the parent's that few share, and others that all do. */
		if (!rng_below(rng, 3))
			end_crowd();
	}
	end_crowd();
}

static void reader(struct worker *worker)
{
	while (!run_over()) {
		area_look(&area, rng_below(&worker->rng, pages), false);
		sleep_us(rng_between(&worker->rng, 5000, 50000));
	}
}

static void setup(void)
{
	if (crowd > CROWD_MOST || !pages)
		run_fail("--crowd");
	forks = counter("forks");
	crowded_forks = counter("crowded_forks");
	ended_crowds = counter("ended_crowds");
	exits = counter("exits");
	child_looks = counter("child_looks");
	grandchildren = counter("grandchildren");
	ending = locked_memory(sizeof(*ending));
	sharers = locked_memory(crowd * sizeof(*sharers));
	of_grandchildren = locked_memory(crowd * sizeof(*of_grandchildren));
	for (size_t i = 0; i < crowd; i++) {
		sharers[i].snapshot = oracle_new(0, pages);
		of_grandchildren[i] = oracle_new(0, pages);
	}
	area_new(&area, AREA_SMALL, 1, pages, -1);
	for (size_t page = 0; page < pages; page++)
		area_write(&area, page, 0);
}

static void load(void)
{
	static struct threads threads;

	threads_add(&threads, 1, parent, NULL);
	threads_add(&threads, readers, reader, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	area_verify_all(&area);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options, .setup = setup, .load = load, .verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
