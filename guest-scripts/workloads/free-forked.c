// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * free-forked: a child frees pages that it shares with its parent, and reclaim takes them from the parent, too.
 *
 * Nothing is switched off here. The pages come back from a synchronous device by a read, past the swap cache: clean, and nobody has
 * written to them since. A child is forked and calls MADV_FREE for all of them. They are its parent's as well, who has freed nothing:
 * however much is reclaimed then, the parent has what it wrote.
 */

#include "area.h"
#include "paging.h"
#include "run.h"

#define ROUNDS_OF_RECLAIM 4

static uint64_t pages = 32;

static const struct number_option options[] = {
	{ "pages", &pages },
	{ 0 },
};

static struct area area;
static struct oracle *snapshot;
static struct meeting *freed, *reclaimed;
static counter_t *read_back, *frees, *rounds;

/* Pages that are swapped out, and then there again without ever having been written to. */
static size_t read_in(void)
{
	size_t count = 0;

	for (size_t page = 0; page < pages; page++) {
		const bool out = pagemap_word(area_page(&area, page)) & PAGEMAP_SWAPPED;

		area_verify(&area, page, true);
		count += out;
	}
	return count;
}

static void child(void *argument)
{
	struct area own = area_of_child(&area, argument);

	area_free(&own, 0, pages);
	count(frees, pages);
	meet(freed);
	/* The pages stay its own meanwhile, too. */
	meet(reclaimed);
	area_verify_all(&own);
}

static void round_of(struct rng *rng)
{
	int freeing;

	for (size_t page = 0; page < pages; page++)
		if (rng_below(rng, 4) == 0)
			area_write(&area, page, 0);
	page_out_fully(area.base, area.length, 3);
	count(read_back, read_in());
	oracle_copy(snapshot, &area.oracle, 2);
	freeing = child_start(child, snapshot);
	if (meet(freed))
		for (int i = 0; i < ROUNDS_OF_RECLAIM; i++)
			reclaim(pages * PAGE);
	meet(reclaimed);
	child_join(freeing);
	area_verify_all(&area);
	count(rounds, 1);
}

static void driver(struct worker *worker)
{
	while (!run_over())
		round_of(&worker->rng);
}

static void setup(void)
{
	read_back = counter("read_back");
	frees = counter("freed_pages");
	rounds = counter("rounds");
	freed = locked_memory(sizeof(*freed));
	reclaimed = locked_memory(sizeof(*reclaimed));
	freed->parties = 2;
	reclaimed->parties = 2;
	snapshot = locked_memory(sizeof(*snapshot));
	*snapshot = oracle_new(0, pages);
	area_new(&area, AREA_SMALL, 1, pages, -1);
	for (size_t page = 0; page < pages; page++)
		area_write(&area, page, 0);
}

static void load(void)
{
	static struct threads threads;

	threads_add(&threads, 1, driver, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	area_verify_all(&area);
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
