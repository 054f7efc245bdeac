// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zswap-zero: zeros over a page whose compressed copy zswap still has.
 *
 * Nothing is switched off here. A driver pages out a few pages while readers fault on them: who comes before reclaim has
 * freed the page maps it from the swap cache, and the copy in zswap stays. What has come back is overwritten with zeros
 * and paged out again, and zswap is made to write back all that it has: an old copy among it would become the page.
 */
#include <stdbool.h>

#include "paging.h"
#include "record.h"
#include "run.h"
#include "textfile.h"

#define POOL_PERCENT "/sys/module/zswap/parameters/max_pool_percent"
#define STORED_PAGES "/sys/kernel/debug/zswap/stored_pages"
/* A slow guest needs that for its worker to begin; mostly it is done after some milliseconds. */
#define WAIT_NS 1000000000u
/* Every eighth page is used, for it holds zeros in every other generation: see record.h. */
#define STRIDE 8u
#define PAGES_MAX 64

/* Few, so that a reader is often at the page that reclaim is at. */
static uint64_t pages = 4;
static uint64_t readers = 3;

static const struct number_option options[] = {
	{ "pages", &pages },
	{ "readers", &readers },
	{ 0 },
};

static struct region region;
static _Atomic bool *reading;
static counter_t *zeroed;

static size_t nth_page(uint64_t n)
{
	return n * STRIDE + STRIDE - 1;
}

static void setup(void)
{
	if (!pages || pages > PAGES_MAX)
		run_fail("--pages");
	reading = locked_memory(sizeof(*reading));
	zeroed = counter("zeroed_pages");
	region = region_over(private_memory(pages * STRIDE * PAGE), 1, pages * STRIDE);
	for (uint64_t i = 0; i < pages; i++)
		region_write(&region, nth_page(i), 0);
}

static void verify(void)
{
	for (uint64_t i = 0; i < pages; i++)
		region_verify(&region, nth_page(i), true);
}

static void reader(struct worker *worker)
{
	while (!run_over())
		if (*reading)
			region_verify(&region, nth_page(rng_below(&worker->rng, pages)), false);
		else
			sleep_us(200);
}

static bool holds_zeros(size_t page)
{
	const struct identity identity = region_identity(&region, page);

	return record_is_zero(&identity);
}

static void write_data(size_t page)
{
	do
		region_write(&region, page, 0);
	while (holds_zeros(page));
}

static void page_out_all(void)
{
	page_out(region.base, region.pages * PAGE);
}

/* Only what is there: a fault would take the copy out of zswap. */
static void zero_what_came_back(void)
{
	for (uint64_t i = 0; i < pages; i++)
		if (pagemap_word(region_page(&region, nth_page(i))) & PAGEMAP_PRESENT) {
			region_write(&region, nth_page(i), 0);
			count(zeroed, 1);
		}
}

/* The kernel's worker empties the pool. It starts when a page is turned away: the first of the region, used for nothing else. */
static void write_back_all(void)
{
	run_set(POOL_PERCENT, "0");
	region_write(&region, 0, 0);
	page_out(region_page(&region, 0), PAGE);
	for (const uint64_t end = now_ns() + WAIT_NS; number_in(STORED_PAGES) && now_ns() < end && !run_over();)
		sleep_us(500);
	run_set(POOL_PERCENT, "20");
}

static void cycle(void)
{
	for (uint64_t i = 0; i < pages; i++)
		write_data(nth_page(i));
	*reading = true;
	page_out_all();
	*reading = false;
	/* Until the readers sleep: a late one would have the copy taken out. */
	sleep_us(1000);
	zero_what_came_back();
	page_out_all();
	/* What a reader has touched waits in its CPU's batch, where only this finds it. */
	reclaim(pages * PAGE);
	write_back_all();
	verify();
}

static void driver(struct worker *worker)
{
	(void)worker;
	while (!run_over())
		cycle();
}

static void load(void)
{
	struct threads threads = { 0 };

	threads_add(&threads, 1, driver, NULL);
	threads_add(&threads, readers, reader, NULL);
	threads_join(&threads);
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
