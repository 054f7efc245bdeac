// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zswap-writeback: zswap_writeback_entry(), which takes compressed pages to the swap device.
 *
 * One thread drives it in three ways in turn, each with the others switched off so that its share can be told:
 *
 *   pool      max_pool_percent down to nothing and up again: the kernel's worker empties the pool
 *   limit     a memory.zswap.max below what is in use: each page that zswap takes in first drives another one out;
 *             right after the pool was emptied, for an entry has a second chance and with many in the pool the first
 *             turn takes long
 *   reclaim   memory.reclaim with the dynamic shrinker: in that thread's own context
 *
 * Each begins when a swapoff does, which may take the device away under it; to reclaim at once is the turn of several then.
 *
 * Of one cgroup no page may go to a device: its parent says so (memory.zswap.writeback). An heir is in it, whose pages are swapped out to
 * zswap, or not at all.
 *
 * Meanwhile cyclers page out, fault, rewrite and free the same pages, and visitors fault on pages of others: entries
 * that are being written back come into the swap cache, vanish, or hold new data in the same slot.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "branch.h"
#include "cgroup.h"
#include "device.h"
#include "paging.h"
#include "record.h"
#include "run.h"
#include "textfile.h"

#define SLICES_MAX 8
/* How long a pool is waited for that may not fill. */
#define FILL_MS 500ull
/*
 * And a writeback that may not come. So many pages as are in the pool may have to be turned away first, as each has a second
 * chance, which takes a slow guest a second.
 */
#define WRITEBACK_MS 1500ull
/* How long a way waits for a swapoff to begin with: several begin in that time, on most machines. */
#define SWAPOFF_WAIT 250000
/* Where run-workload starts the program. */
#define CGROUP "/sys/fs/cgroup/workload/"
#define ZSWAP "/sys/module/zswap/parameters/"
#define HEIR_PAGES 32
#define HEIR_REGION 100
#define HEIR_REST 60000
#define REMOVE_MS 10000

static uint64_t slice_pages = 256;
static uint64_t slices_count = 3;
static uint64_t visitors = 2;
static uint64_t helpers = 4;
static uint64_t pool_percent = 20;

static const struct number_option options[] = {
	{ "pages", &slice_pages },
	{ "slices", &slices_count },
	{ "visitors", &visitors },
	{ "helpers", &helpers },
	{ "pool-percent", &pool_percent },
	{ 0 },
};

static struct region *slices;
static counter_t *dropped, *heir_rounds, *heir_stored;
/* No swap but zswap's for the second one, because the first one says so; no path: the kernel can't say so. */
static struct cgroup legator, heir;
static int heir_process; /* 0: none */
/* Shared with the helpers: it is the turn of reclaim. */
static _Atomic bool *reclaiming;

static uint64_t written_back(void)
{
	char line[128];
	unsigned long long value = 0;
	FILE *file = fopen("/proc/vmstat", "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "zswpwb %llu", &value) == 1)
			break;
	if (file)
		fclose(file);
	return value;
}

static uint64_t pool_pages(void)
{
	return number_in("/sys/kernel/debug/zswap/stored_pages");
}

/* Naps for so long at most; false when the run is over. */
static bool nap(uint64_t ms)
{
	for (const uint64_t end = now_ns() + ms * 1000000; now_ns() < end && !run_over();)
		sleep_us(2000);
	return !run_over();
}

/* Something must be in the pool for the next way, however slow the machine is. */
static void refill(struct rng *rng)
{
	const uint64_t latest = now_ns() + FILL_MS * 1000000;

	nap(rng_between(rng, 20, 60));
	while (pool_pages() < slice_pages / 2 && now_ns() < latest && nap(5))
		;
}

/* Not much at a time: each page that is written back is locked meanwhile, and swapoff waits for it. */
static void reclaim_some(struct rng *rng)
{
	reclaim(slice_pages * PAGE / rng_between(rng, 2, 16));
	nap(rng_below(rng, 10));
}

static void squeeze_by_reclaim(struct rng *rng)
{
	run_set(ZSWAP "shrinker_enabled", "Y");
	*reclaiming = true;
	/* The first look at an entry only takes its second chance away. */
	for (unsigned int i = 0; i < 3 && !run_over(); i++)
		reclaim_some(rng);
	*reclaiming = false;
	run_set(ZSWAP "shrinker_enabled", "N");
	refill(rng);
}

/* Who is held in a writeback keeps no other from it. In its own turn only: the pool would be empty in those of the others. */
static void helper(struct worker *worker)
{
	while (!run_over())
		if (*reclaiming)
			reclaim_some(&worker->rng);
		else
			sleep_us(2000);
}

/* Until a page has been written back since there were `before`; it may not come. */
static void wait_for_more_than(uint64_t before)
{
	const uint64_t latest = now_ns() + WRITEBACK_MS * 1000000;

	while (written_back() == before && now_ns() < latest && nap(5))
		;
}

static void squeeze_by_limit(struct rng *rng)
{
	char limit[32];
	const uint64_t before = written_back();
	const uint64_t compressed = number_in(CGROUP "memory.zswap.current");

	/* Less than what is there, however much that is. */
	snprintf(limit, sizeof(limit), "%" PRIu64, compressed / rng_between(rng, 2, 4) + PAGE);
	run_set(CGROUP "memory.zswap.max", limit);
	/* Each page that comes looks at one entry. Of those that are there all may have their second chance before them. */
	wait_for_more_than(before);
	nap(rng_between(rng, 100, 300));
	run_set(CGROUP "memory.zswap.max", "max");
	refill(rng);
}

static void squeeze_by_pool(struct rng *rng)
{
	char percent[32];
	const uint64_t before = written_back();

	run_set(ZSWAP "max_pool_percent", "0");
	/* The worker starts when the next page is turned away, and gives up after some pages that have their second chance. */
	wait_for_more_than(before);
	nap(rng_between(rng, 20, 100));
	snprintf(percent, sizeof(percent), "%u", (unsigned int)pool_percent);
	run_set(ZSWAP "max_pool_percent", percent);
}

struct way {
	const char *counter;
	void (*squeeze)(struct rng *);
};

static const struct way ways[] = {
	{ "written_back_by_pool", squeeze_by_pool },
	{ "written_back_by_limit", squeeze_by_limit },
	{ "written_back_by_reclaim", squeeze_by_reclaim },
	/* Twice: the only one in which several write back at once. */
	{ "written_back_by_reclaim", squeeze_by_reclaim },
};

/*
 * The shrinker counts what writeback calls a success, after writeback has counted what it has written. The former is no atomic
 * count and may miss some, but never has more than the latter, which is read after it. Nobody promises that of a file in debugfs,
 * so it is judged only once the two have agreed: then they count the same in this kernel.
 */
static void check_successes(void)
{
	static bool comparable;
	const uint64_t successes = number_in("/sys/kernel/debug/zswap/written_back_pages");

	if (successes <= written_back()) {
		comparable |= successes > 0;
		return;
	}
	/* Written on another CPU, in an order that this one need not see. */
	sleep_us(5000);
	if (comparable && successes > written_back())
		run_error_named("zswap writeback", "claims more pages than it wrote");
}

static void drive_writeback(struct worker *worker)
{
	for (unsigned int i = 0; !run_over(); i = (i + 1) % (sizeof(ways) / sizeof(ways[0]))) {
		uint64_t before;

		wait_for_swapoff(SWAPOFF_WAIT);
		before = written_back();
		ways[i].squeeze(&worker->rng);
		count(counter(ways[i].counter), written_back() - before);
		check_successes();
	}
}

/* Frees the page, and with it the compressed copy and the slot. */
static void drop(struct region *slice, size_t page)
{
	const struct identity identity = region_begin(slice, page);
	void *memory = region_page(slice, page);

	if (madvise(memory, PAGE, MADV_DONTNEED))
		run_error("MADV_DONTNEED", errno);
	/* A look makes the write that follows dear: it has to replace the zero page on all CPUs. */
	if (page % 8 == 0 && zero_check(memory) != KIND_OK)
		record_complain(KIND_NONZERO, memory, &identity, true);
	record_write(memory, &identity, 0);
	region_end(slice, page);
	count(dropped, 1);
}

/*
 * Zeros go to a new page only. Over a page whose copy zswap still has they would find a bug of Linux 6.19 (the copy is
 * written back and becomes the page), which no series about swapoff can help: zswap-zero is its workload.
 */
static void rewrite(struct region *slice, size_t page)
{
	struct identity next = region_identity(slice, page);

	next.generation++;
	if (record_is_zero(&next))
		drop(slice, page);
	else
		region_write(slice, page, 0);
}

/* Pages that are left alone grow cold, and cold entries are written back. */
static void use(struct region *slice, size_t page, struct rng *rng)
{
	switch (rng_below(rng, 8)) {
	case 0:
		drop(slice, page);
		break;
	case 1:
		region_verify(slice, page, true);
		rewrite(slice, page);
		break;
	case 2:
	case 3:
		region_verify(slice, page, false);
		break;
	}
}

static void cycler(struct worker *worker)
{
	struct region *slice = worker->argument;

	while (!run_over()) {
		page_out(slice->base, slice_pages * PAGE);
		nap(rng_below(&worker->rng, 20));
		for (size_t page = 0; page < slice_pages && !run_over(); page++)
			use(slice, page, &worker->rng);
	}
}

static void visitor(struct worker *worker)
{
	while (!run_over()) {
		const struct region *slice = &slices[rng_below(&worker->rng, slices_count)];

		region_verify(slice, rng_below(&worker->rng, slice_pages), false);
		sleep_us(rng_below(&worker->rng, 500));
	}
}

/* A process of its own. Its memory is its cgroup's from the first touch on. */
static void inherit(void *argument)
{
	struct region own = region_over(private_memory(HEIR_PAGES * PAGE), HEIR_REGION, HEIR_PAGES);
	struct rng rng = rng_stream(run_seed(), HEIR_REGION);

	(void)argument;
	if (!cgroup_enter(&heir, 0)) {
		run_error("moving to another cgroup", errno);
		return;
	}
	region_fill(&own);
	while (!run_over()) {
		page_out(own.base, own.pages * PAGE);
		sleep_us(rng_below(&rng, HEIR_REST));
		for (size_t page = 0; page < own.pages && !run_over(); page++)
			if (rng_below(&rng, 4) == 0)
				region_verify(&own, page, false);
		count(heir_rounds, 1);
	}
	region_verify_all(&own);
}

/* EINVAL or ENOENT: this kernel has no such file. */
static void make_heir(void)
{
	legator = cgroup_in(CGROUP_ROOT, "legator");
	heir = cgroup_in(legator.path, "heir");
	if (cgroup_make(&legator) && cgroup_put(&legator, "cgroup.subtree_control", "+memory") && cgroup_make(&heir) &&
	    cgroup_put(&legator, "memory.zswap.writeback", "0"))
		return;
	heir.path[0] = 0;
	counter_lacking("heir_rounds", "the kernel has no memory.zswap.writeback");
}

/* Both are counted for the cgroup whose page it is. Older kernels have only one of them. */
static void check_heir(void)
{
	if (!heir.path[0])
		return;
	count(heir_stored, cgroup_field(&heir, "memory.stat", "zswpout"));
	if (cgroup_field(&heir, "memory.stat", "pswpout") || cgroup_field(&heir, "memory.stat", "zswpwb"))
		run_error_named("memory.zswap.writeback", "0 in its parent, and pages of the cgroup went to a device");
}

static void remove_heir(void)
{
	if (heir.path[0] && !cgroup_remove(&heir, REMOVE_MS))
		run_error("rmdir of an empty cgroup", errno);
	if (!cgroup_remove(&legator, REMOVE_MS))
		run_error("rmdir of an empty cgroup", errno);
}

static void prepare(void)
{
	char enabled[8] = "";
	FILE *file = fopen(ZSWAP "enabled", "re");

	if (!file || !fgets(enabled, sizeof(enabled), file) || enabled[0] != 'Y')
		run_missing("zswap is not enabled");
	if (file)
		fclose(file);
	/* Somebody else was about to read the page, or its entry had been freed. */
	branch_probe("entries_in_use", "__read_swap_cache_async", "ret==0", "shrink_memcg_cb");
}

static void setup(void)
{
	slices = locked_memory(SLICES_MAX * sizeof(*slices));
	reclaiming = locked_memory(sizeof(*reclaiming));
	dropped = counter("dropped_pages");
	heir_rounds = counter("heir_rounds");
	heir_stored = counter("heir_stored");
	for (unsigned int i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		counter(ways[i].counter);
	if (slices_count > SLICES_MAX || !slices_count)
		run_fail("--slices");
	make_heir();
	/* Before there is memory of the others that it would share. */
	if (heir.path[0])
		heir_process = child_start(inherit, NULL);
	for (uint64_t i = 0; i < slices_count; i++) {
		slices[i] = region_over(private_memory(slice_pages * PAGE), i + 1, slice_pages);
		region_fill(&slices[i]);
	}
}

static void load(void)
{
	struct threads threads = { 0 };

	for (uint64_t i = 0; i < slices_count; i++)
		threads_add(&threads, 1, cycler, &slices[i]);
	threads_add(&threads, visitors, visitor, NULL);
	threads_add(&threads, helpers, helper, NULL);
	threads_add(&threads, 1, drive_writeback, NULL);
	threads_join(&threads);
	child_reap(&heir_process);
	check_heir();
	remove_heir();
}

static void verify(void)
{
	check_successes();
	for (uint64_t i = 0; i < slices_count; i++)
		region_verify_all(&slices[i]);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options,
		.prepare = prepare,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
