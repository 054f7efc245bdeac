// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sharers: swap entries that more processes share than a slot can count by itself (62 in Linux 6.12 to 6.19), against swapoff.
 *
 * A parent has some pages paged out and forks one child after another. Each child has the parent's entries once more, lives for a
 * while, and ends; so many live at a time that counts overflow and come back. Meanwhile the parent rewrites pages, which are the
 * children's as they were; a child reads, rewrites, drops and pages out what is its own, and may have a child itself.
 *   forks    copy entries while swapoff looks for them in all address spaces,
 *   exits    drop them there, many at a time when the parent ends a crowd,
 *   readers  of the parent's pages bring them in, which leaves the children's entries behind;
 *   counters count on a few more pages, by plain stores and without a pause, while the parent forks: no count is lost, and a child has
 *            the counts of one moment of the fork;
 *   a killer kills processes in the middle of a fork, so that swapoff comes to parts of processes;
 *   a rival  is a second parent with a crowd of its own, in another process. Both come to where counts overflow at the same time: at the
 *            same fork, and where they reclaim what all share.
 *
 * None uses MADV_FREE: what one frees Linux 6.19 may take from those that share it (docs/found/); free-forked is its workload.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "area.h"
#include "device.h"
#include "killed-fork.h"
#include "paging.h"
#include "run.h"

#define CROWD_MOST 192
/* Naps of who only waits are long: many wait. */
#define NAP_LEAST 50000
#define NAP_MOST 150000
/* More than a slot can count by itself, with the parent. */
#define CROWDED 64
/* Children, when the next one is one more than a slot of Linux 6.1 to 6.19 counts by itself; and how long one parent waits there for the other. */
#define BRINK 61
#define TOGETHER_US 2000000
/* Of a small crowd: it has grown beyond that number by so many. */
#define FEW_MORE 4
/* Numbers of regions: the parents' are 1 and 2. */
#define COUNTED_REGION 3
#define CHILD_REGIONS 100
#define GRANDCHILD_REGIONS 10000
#define NUMBERS 4500 /* of the children of each parent */
#define COUNTED_PAGES 2
/* Of the counters: counts without a look at the time, and the pause after them, in microseconds. */
#define BURST 500
#define BURST_REST 4000
/* Of the killer, between two processes, in microseconds. */
#define KILLER_REST 60000
/* At one fork in so many all of them count on one page, from before it to its end. */
#define RUSH_ONE_IN 4
#define RUSH_BEFORE 300
#define OWN_COPY "fork(2): the child has a copy of its parent's memory, and neither sees what the other writes from then on"

static uint64_t pages = 48;
static uint64_t crowd = 96;
static uint64_t readers = 1;
static uint64_t counters = 2;
static uint64_t rivals = 1;
static uint64_t killers = 1;

static const struct number_option options[] = {
	{ "pages", &pages },
	{ "crowd", &crowd },
	{ "readers", &readers },
	{ "counters", &counters },
	{ "rivals", &rivals },
	{ "killers", &killers },
	{ 0 },
};

/* Who lives, and what it found when it was forked. */
struct sharer {
	pid_t pid; /* 0: nobody */
	uint64_t number;
	struct oracle snapshot;
	uint64_t least[COUNTED_PAGES];
};

/* Of a page, in all threads: begun is never less than what the page has, done never more. */
struct tally {
	_Atomic uint64_t begun, done;
};

static struct area area;
static struct sharer *sharers;
/* Of the one grandchild that a child may have at a time. */
static struct oracle *of_grandchildren;
static _Atomic bool *ending; /* the crowd is to end at once */
static uint8_t *counted; /* NULL: a rival has none */
static struct tally *tallies;
static _Atomic size_t rushed; /* 1 + the page that all count on; 0: none */
static uint64_t first_number; /* of this parent's children */
static int rival_process; /* 0: none */
static _Atomic uint64_t *arrivals; /* of both parents, where counts overflow next */
static counter_t *counts, *together, *killed_forkers;
static counter_t *forks, *crowded_forks, *ended_crowds, *exits, *child_looks, *grandchildren;

static struct record *record_of(size_t page)
{
	return (struct record *)(counted + page * PAGE);
}

static struct identity counted_identity(size_t page)
{
	return (struct identity){ COUNTED_REGION, 2 + page, 1 };
}

static uint64_t count_in(size_t page)
{
	return *(_Atomic uint64_t *)&record_of(page)->counter;
}

static void complain(size_t page, enum kind kind, const char *promise, uint64_t least, uint64_t most, uint64_t had)
{
	char wanted[80], seen[120];

	snprintf(wanted, sizeof(wanted), "count %" PRIu64 " to %" PRIu64, least, most);
	snprintf(seen, sizeof(seen), "count %" PRIu64 "; pagemap %" PRIx64, had, pagemap_word(record_of(page)));
	run_mismatch(page, kind, promise, wanted, seen);
}

static void check_count(size_t page)
{
	const struct identity identity = counted_identity(page);
	const uint64_t least = tallies[page].done, had = count_in(page), most = tallies[page].begun;

	record_verify(record_of(page), &identity, false);
	if (had < least || had > most)
		complain(page, KIND_LOST_UPDATE, HOLDS_WHAT_WAS_WRITTEN, least, most, had);
}

static void counter_thread(struct worker *worker)
{
	while (!run_over()) {
		const size_t target = rushed, page = target ? target - 1 : rng_below(&worker->rng, COUNTED_PAGES);

		for (unsigned int i = 0; i < BURST; i++) {
			atomic_fetch_add(&tallies[page].begun, 1);
			atomic_fetch_add((_Atomic uint64_t *)&record_of(page)->counter, 1);
			atomic_fetch_add(&tallies[page].done, 1);
		}
		count(counts, BURST);
		check_count(page);
		operations_add(1);
		if (!rushed)
			sleep_us(rng_below(&worker->rng, BURST_REST));
	}
}

/* At once, before the parent has counted much more. */
static void check_copies(const struct sharer *self, uint64_t *had)
{
	for (size_t page = 0; page < COUNTED_PAGES && counted; page++) {
		uint64_t most;

		had[page] = count_in(page);
		most = tallies[page].begun;
		if (had[page] < self->least[page] || had[page] > most)
			complain(page, KIND_WRONG, OWN_COPY, self->least[page], most, had[page]);
	}
}

static void check_copies_again(const uint64_t *had)
{
	for (size_t page = 0; page < COUNTED_PAGES && counted; page++)
		if (count_in(page) != had[page])
			complain(page, KIND_WRONG, OWN_COPY, had[page], had[page], count_in(page));
}

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
	uint64_t had[COUNTED_PAGES];

	check_copies(self, had);
	/* Most wait for the end of the crowd. */
	live(&own, &rng, rng_below(&rng, 4) ? UINT64_MAX : rng_between(&rng, 1, 20));
	if (!rng_below(&rng, 16) && !is_to_end())
		have_a_child(&own, &of_grandchildren[self - sharers], self->number);
	/* Some look at all that they have before they end, most leave it where it is. */
	if (!rng_below(&rng, 8))
		for (size_t page = 0; page < pages && !is_to_end(); page++)
			area_verify(&own, page, true);
	check_copies_again(had);
}

static void fork_one(struct sharer *sharer)
{
	static uint64_t number;

	sharer->number = first_number + number++ % NUMBERS;
	for (size_t page = 0; page < COUNTED_PAGES && counted; page++)
		sharer->least[page] = tallies[page].done;
	oracle_copy(&sharer->snapshot, &area.oracle, CHILD_REGIONS + sharer->number);
	if (counted && sharer->number % RUSH_ONE_IN == 0) {
		rushed = 1 + sharer->number / RUSH_ONE_IN % COUNTED_PAGES;
		sleep_us(RUSH_BEFORE);
	}
	sharer->pid = child_start(child, sharer);
	rushed = 0;
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

/* Who comes first waits, if the other one comes at all. */
static void come_together(void)
{
	const uint64_t own = atomic_fetch_add(arrivals, 1), end = now_ns() + TOGETHER_US * 1000ull;

	while (own % 2 == 0 && *arrivals <= own + 1 && now_ns() < end && !run_over())
		sleep_us(50);
	if (*arrivals > own + 1)
		count(together, 1);
}

static bool other_waits(void)
{
	return *arrivals % 2;
}

/* Until there is a crowd: each fork shares what is swapped out by then with all that live. */
static void gather(struct rng *rng, size_t most)
{
	for (size_t i = 0; i < crowd && !run_over(); i++) {
		const size_t alive = reap_ended();

		if (sharers[i].pid)
			continue;
		if (alive >= most)
			return;
		if (alive == BRINK && rivals) {
			/* What a swapoff has brought back meanwhile. */
			reclaim(pages * PAGE);
			come_together();
		}
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
	if (counted && rng_below(rng, 2))
		page_out(counted, COUNTED_PAGES * PAGE);
}

static void parent(struct worker *worker)
{
	struct rng *rng = &worker->rng;

	while (!run_over()) {
		/* After each swapon there is one first overflow of a count on a device: half of the crowds end soon after it. */
		const bool small = rng_below(rng, 2);

		prepare_pages(rng);
		gather(rng, small ? CROWDED + FEW_MORE : crowd);
		/* Shared by all: only reclaim takes them out now, and counts each who has them. */
		if (rivals && (other_waits() || rng_below(rng, 2)))
			come_together();
		reclaim(pages * PAGE);
		wait_for_swapoff(100000);
		/* Or it goes on: with new pages of the parent's that few share, and others that all do. */
		if (small || !rng_below(rng, 3) || other_waits())
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

static void family_new(uint64_t region)
{
	ending = locked_memory(sizeof(*ending));
	sharers = locked_memory(crowd * sizeof(*sharers));
	of_grandchildren = locked_memory(crowd * sizeof(*of_grandchildren));
	for (size_t i = 0; i < crowd; i++) {
		sharers[i].snapshot = oracle_new(0, pages);
		of_grandchildren[i] = oracle_new(0, pages);
	}
	area_new(&area, AREA_SMALL, region, pages, -1);
	for (size_t page = 0; page < pages; page++)
		area_write(&area, page, 0);
}

static void counted_new(void)
{
	tallies = locked_memory(COUNTED_PAGES * sizeof(*tallies));
	counted = private_memory(COUNTED_PAGES * PAGE);
	for (size_t page = 0; page < COUNTED_PAGES; page++) {
		const struct identity identity = counted_identity(page);

		record_write(record_of(page), &identity, 0);
	}
}

static void rival(void *unused)
{
	struct worker self = { .of = 1, .rng = rng_stream(run_seed(), CHILD_REGIONS - 1) };

	(void)unused;
	first_number = NUMBERS;
	family_new(2);
	parent(&self);
	area_verify_all(&area);
}

static void killer(struct worker *worker)
{
	while (!run_over()) {
		fork_until_killed(&worker->rng);
		count(killed_forkers, 1);
		sleep_us(rng_below(&worker->rng, KILLER_REST));
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
	counts = counter("counts_while_forking");
	together = counter("overflows_together");
	killed_forkers = counter("killed_forkers");
	arrivals = locked_memory(sizeof(*arrivals));
	/* Before there is memory of this one that it would share. */
	if (rivals)
		rival_process = child_start(rival, NULL);
	family_new(1);
	counted_new();
}

static void load(void)
{
	static struct threads threads;

	threads_add(&threads, 1, parent, NULL);
	threads_add(&threads, readers, reader, NULL);
	threads_add(&threads, counters, counter_thread, NULL);
	threads_add(&threads, killers, killer, NULL);
	threads_join(&threads);
	child_reap(&rival_process);
}

static void verify(void)
{
	area_verify_all(&area);
	for (size_t page = 0; page < COUNTED_PAGES; page++)
		check_count(page);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options, .setup = setup, .load = load, .verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
