// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * do_swap_page() against swapoff: anonymous memory on an asynchronous device (swap cache, locked folios) and on a
 * synchronous one (direct swapin), faulted by
 *   readers    that verify records while
 *   a writer   rewrites them, half of the time after MADV_DONTNEED: the entry vanishes under a fault,
 *   colliders  that fault the same page at the same moment and count on it: a lost count is stale data,
 *   walkers    that count on all pages in opposite directions while they are paged out,
 *   a family   that shares swapped pages by fork, verifies the copy and writes to it (copy on write of a swapped page), and
 *   a compactor that moves pages, in the swap cache and out of it.
 */
#include <stdio.h>
#include <sys/mman.h>

#include "compactor.h"
#include "device.h"
#include "paging.h"
#include "record.h"
#include "run.h"

static uint64_t pages = 1024; /* half of a small device: it is swapped off soon */
static uint64_t chunk = 64;
static uint64_t collide_pages = 32;
static uint64_t walk_pages = 256;
static uint64_t family_pages = 64;

static const struct number_option OPTIONS[] = {
	{ "pages", &pages },
	{ "chunk", &chunk },
	{ "collide-pages", &collide_pages },
	{ "walk-pages", &walk_pages },
	{ "family-pages", &family_pages },
	{ NULL, NULL },
};

enum { REGION_MAIN = 1, REGION_COLLIDE, REGION_WALK, REGION_FAMILY, REGION_CHILD };

/* Pages that threads count on, and how often they did. */
struct tally {
	uint8_t *records; /* one to a page */
	_Atomic uint64_t *done;
	size_t pages;
	uint64_t region;
};

static struct region main_region;
static struct tally collided, walked;
static struct meeting meeting = { .parties = 2 };
static counter_t *collisions, *walks, *families, *cow_writes, *drops, *raced;

static struct record *tally_record(const struct tally *tally, size_t page)
{
	return (struct record *)(tally->records + page * PAGE);
}

static struct tally tally_new(size_t size, uint64_t region)
{
	struct tally tally = { private_memory(size * PAGE), locked_memory(size * sizeof(uint64_t)), size, region };

	for (size_t page = 0; page < size; page++) {
		tally_record(&tally, page)->magic = region;
		tally_record(&tally, page)->page = page;
	}
	madvise(tally.records, size * PAGE, MADV_DONTFORK);
	return tally;
}

static void tally_count(struct tally *tally, size_t page)
{
	_Atomic uint64_t *at = (_Atomic uint64_t *)&tally_record(tally, page)->counter;

	atomic_fetch_add(at, 1);
	atomic_fetch_add(&tally->done[page], 1);
	operations_add(1);
}

/* Only while nobody counts. */
static void tally_check(struct tally *tally)
{
	char expected[100], seen[200];

	for (size_t page = 0; page < tally->pages; page++) {
		struct record *record = tally_record(tally, page);
		const uint64_t done = tally->done[page];

		verified_add(1);
		if (record->magic == tally->region && record->page == page && record->counter == done)
			continue;
		snprintf(expected, sizeof(expected), "region %lu page %zu count %lu", tally->region, page, done);
		snprintf(seen, sizeof(seen), "region %lu page %lu count %lu; pagemap %lx", record->magic, record->page,
			 record->counter, pagemap_word(record));
		run_mismatch(page, record->page == page ? KIND_LOST_UPDATE : KIND_FOREIGN, HOLDS_WHAT_WAS_WRITTEN,
			     expected, seen);
		/* Once is enough: go on from what is there. */
		tally->done[page] = record->counter;
	}
}

/*
 * What an asynchronous device has written is in the swap cache still, and a fault there reads nothing. Half of it is
 * left: a fault that finds it is another branch.
 */
static void drop_cache(struct worker *worker)
{
	while (!run_over()) {
		reclaim(chunk * PAGE);
		sleep_us(rng_below(&worker->rng, 4000));
	}
}

/* Each one pages out for itself, so that most of its looks are faults however slow the machine is. */
static void read_pages(struct worker *worker)
{
	while (!run_over()) {
		const size_t first = rng_below(&worker->rng, pages - chunk);
		const bool backwards = rng_below(&worker->rng, 2);

		page_out(region_page(&main_region, first), chunk * PAGE);
		for (size_t i = 0; i < chunk && !run_over(); i++)
			if (region_verify(&main_region, first + (backwards ? chunk - 1 - i : i), i % 8 == 0) == LOOK_RACED)
				count(raced, 1);
	}
}

static void write_pages(struct worker *worker)
{
	while (!run_over()) {
		const size_t first = rng_below(&worker->rng, pages - chunk);

		for (size_t i = first; i < first + chunk && !run_over(); i++) {
			const struct identity identity = region_begin(&main_region, i);

			if (rng_below(&worker->rng, 2)) {
				madvise(region_page(&main_region, i), PAGE, MADV_DONTNEED);
				count(drops, 1);
			}
			record_write(region_page(&main_region, i), &identity, worker->index);
			region_end(&main_region, i);
			operations_add(1);
		}
		page_out(region_page(&main_region, first), chunk * PAGE);
		sleep_us(rng_below(&worker->rng, 4000));
	}
}

static void collide(struct worker *worker)
{
	uint64_t sum = 0;

	while (!run_over()) {
		if (worker->index == 0)
			page_out_fully(collided.records, collided.pages * PAGE, 3);
		for (size_t i = 0; i < collided.pages; i++) {
			if (!meet(&meeting))
				return;
			/* A read fault first, or a write fault at once: two ways through do_swap_page(). */
			if (i % 2)
				sum += *(volatile uint64_t *)&tally_record(&collided, i)->counter;
			tally_count(&collided, i);
			count(collisions, 1);
		}
		if (!meet(&meeting))
			return;
		if (worker->index == 0)
			tally_check(&collided);
	}
	*(volatile uint64_t *)&sum = sum;
}

static void walk(struct worker *worker)
{
	while (!run_over()) {
		for (size_t i = 0; i < walked.pages && !run_over(); i++) {
			if (i % 32 == 0)
				page_out(tally_record(&walked, rng_below(&worker->rng, walked.pages - 64)), 64 * PAGE);
			tally_count(&walked, worker->index ? walked.pages - 1 - i : i);
		}
		count(walks, 1);
	}
}

/* The child's view: what the pages held at the fork, whatever the parent does to its own since. */
struct snapshot {
	struct region *region;
	struct identity *identities;
};

static void child_main(void *argument)
{
	const struct snapshot *snapshot = argument;

	for (size_t i = family_pages; i-- > 0;) {
		struct identity own = { REGION_CHILD, i, 1 };
		void *memory = region_page(snapshot->region, i);
		enum kind kind = KIND_OK;

		if (i % 2)
			kind = record_check(memory, &snapshot->identities[i], true);
		if (kind != KIND_OK)
			record_complain(kind, memory, &snapshot->identities[i], true);
		record_write(memory, &own, 1);
		kind = record_check(memory, &own, true);
		if (kind != KIND_OK)
			record_complain(kind, memory, &own, true);
		count(cow_writes, 1);
		verified_add(1);
		operations_add(1);
	}
}

static void family(void *argument)
{
	struct region region = region_over(private_memory(family_pages * PAGE), REGION_FAMILY, family_pages);
	struct identity *identities = locked_memory(family_pages * sizeof(*identities));
	struct snapshot snapshot = { &region, identities };
	int child;

	(void)argument;
	while (!run_over()) {
		region_fill(&region);
		page_out_fully(region.base, family_pages * PAGE, 3);
		for (size_t i = 0; i < family_pages; i++)
			identities[i] = region_identity(&region, i);
		child = child_start(child_main, &snapshot);
		for (size_t i = 0; i < family_pages; i++)
			if (i % 3 == 0)
				region_write(&region, i, 0);
			else
				region_verify(&region, i, true);
		child_join(child);
		region_verify_all(&region);
		count(families, 1);
	}
}

static void setup(void)
{
	collisions = counter("collisions");
	walks = counter("walks");
	families = counter("families");
	cow_writes = counter("cow_writes");
	drops = counter("drops");
	raced = counter("raced");
	main_region = region_over(private_memory(pages * PAGE), REGION_MAIN, pages);
	madvise(main_region.base, pages * PAGE, MADV_DONTFORK);
	region_fill(&main_region);
	collided = tally_new(collide_pages, REGION_COLLIDE);
	walked = tally_new(walk_pages, REGION_WALK);
}

static void load(void)
{
	static struct threads threads;
	const int parent = child_start(family, NULL);

	threads_add(&threads, 1, drop_cache, NULL);
	threads_add(&threads, 2, read_pages, NULL);
	threads_add(&threads, 1, write_pages, NULL);
	threads_add(&threads, 2, collide, NULL);
	threads_add(&threads, 2, walk, NULL);
	threads_add(&threads, 1, compactor, NULL);
	threads_join(&threads);
	child_join(parent);
}

static void verify(void)
{
	region_verify_all(&main_region);
	tally_check(&collided);
	tally_check(&walked);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = OPTIONS, .setup = setup, .load = load, .verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
