// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * readahead: swap_vma_readahead() where a window has pages of two devices. It takes a reference of its own only for a
 * page that lies on another device than the one that was faulted on.
 *
 * The swapoff thread takes the devices off and on, with no swapoff loop beside it, for swapping a device off undoes what it
 * needs: while device 0 is off, the even pages of each slice are paged out (to device 1); when it is on again, it has the
 * higher priority and gets the odd ones. Then the slices are faulted on page by page, while other threads free pages of the
 * window ahead. A page that is only read keeps its slot, so the next passes find the slice as interleaved as before. At a random moment of
 * that one device goes, or the other, or both at once: swapoff itself reads ahead, and its windows reach to the device
 * that is being left, too. Mostly all walks begin with it, in step, so that as many windows as can be are read meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "branch.h"
#include "device.h"
#include "paging.h"
#include "record.h"
#include "run.h"

enum { ODD, EVEN, DEVICES }; /* by the pages they get */

#define SLICES_MAX 8
/* 2 ^ page-cluster as the YAML file sets it. */
#define WINDOW 8
/* How long a walk waits for a swapoff, in microseconds: about as long as paging the slice out takes. */
#define SWAPOFF_WAIT 40000
/* The same, where all are to begin together. */
#define IN_STEP_WAIT 2000000
/* Passes over a slice until its pages are placed anew. */
#define PASSES 24

struct slice {
	struct region region;
	struct meeting meeting;
	_Atomic size_t cursor; /* the page that is touched now */
	_Atomic bool contested; /* pages ahead are freed in this pass */
};

static uint64_t slice_pages = 128;
static uint64_t slices_count = 6;

static const struct number_option options[] = {
	{ "pages", &slice_pages },
	{ "slices", &slices_count },
	{ 0 },
};

/* What the walkers and the two swapoff threads share. */
struct table {
	struct meeting walkers_and_swapoff;
	struct meeting both;
	_Atomic uint64_t touched;
	_Atomic uint64_t walking; /* walkers that are not done with their passes */
	_Atomic bool gone; /* a device was taken off: no more passes */
	_Atomic bool in_step; /* all wait for the swapoff with their slices paged out */
	_Atomic uint64_t in_place; /* walkers that do */
	_Atomic uint32_t types; /* swap types that pagemap has shown, a bit each */
};

static struct slice *slices;
static struct table *table;
static struct meeting *placing;
static counter_t *interleaved, *uniform, *passes, *dropped, *together, *on_both;

/*
 * The kernel leaves each CPU with the cluster of the device it wrote to last, whatever came with a higher priority
 * since. So the even pages leave from one half of the CPUs and all others from the other half.
 */
static void go_to_half(const struct slice *slice, unsigned int half)
{
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((half * cpus / 2 + (slice->region.id % 2 && cpus > 3)) % cpus, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		run_fail("sched_setaffinity");
}

/*
 * Only every second page is there: one call pages all of them out. A call for each page would cost an interrupt of all
 * CPUs for each page. Nobody else looks at the slice meanwhile.
 */
static void place(struct slice *slice, size_t first)
{
	for (size_t page = first; page < slice_pages; page += 2)
		region_write(&slice->region, page, 0);
	page_out(slice->region.base, slice_pages * PAGE);
}

/* As swapoff left it, before it is written again. */
static void collect(struct slice *slice)
{
	for (size_t page = 0; page < slice_pages && !run_over(); page++)
		region_verify(&slice->region, page, page % 8 == 0);
}

static void discard(struct slice *slice)
{
	if (madvise(slice->region.base, slice_pages * PAGE, MADV_DONTNEED))
		run_error("MADV_DONTNEED", errno);
}

static bool is_interleaved(const struct slice *slice, size_t first)
{
	unsigned int types = 0;

	for (size_t page = first; page < first + WINDOW && page < slice_pages; page++) {
		const uint64_t word = pagemap_word(region_page(&slice->region, page));

		if (word & PAGEMAP_SWAPPED)
			types |= 1u << pagemap_type(word);
	}
	table->types |= types;
	return types & (types - 1);
}

static bool both_are_used(void)
{
	return device_used_kib(ODD) && device_used_kib(EVEN);
}

/* One type for the pages of two devices: what it numbers is no device, in this kernel. */
static bool types_are_devices(void)
{
	return table->types & (table->types - 1);
}

/* The proof that there is something to cross: pagemap says on which device each page of a window lies. */
static bool mostly_interleaved(struct slice *slice)
{
	size_t good = 0, bad = 0;

	for (size_t page = 0; page < slice_pages && !run_over(); page += WINDOW)
		if (is_interleaved(slice, page))
			good++;
		else
			bad++;
	count(interleaved, good);
	count(uniform, bad);
	if (!both_are_used())
		return good > bad;
	count(on_both, 1);
	return good > bad || !types_are_devices();
}

static void touch_in_order(struct slice *slice, bool down, struct rng *rng)
{
	/* When the device has gone the rest is as good as touched: all of it is verified then. */
	for (size_t i = 0; i < slice_pages && !table->gone && !run_over(); i++) {
		const size_t page = down ? slice_pages - 1 - i : i;

		atomic_store(&slice->cursor, page);
		region_verify(&slice->region, page, rng_below(rng, 16) == 0);
		atomic_fetch_add(&table->touched, 1);
	}
	atomic_store(&slice->cursor, SIZE_MAX);
}

/* New generations of a few, or the slots would never be used again. */
static void rewrite_some(struct slice *slice, struct rng *rng)
{
	for (size_t page = 0; page < slice_pages && !run_over(); page++)
		if (rng_below(rng, 32) == 0)
			region_write(&slice->region, page, 0);
}

/* One page_out_fully(), one walk. False when the devices no longer share the slice, or the run is over. */
static bool pass(struct slice *slice, struct rng *rng)
{
	bool worth;

	page_out_fully(slice->region.base, slice_pages * PAGE, 3);
	worth = mostly_interleaved(slice);
	slice->contested = rng_below(rng, 3) == 0;
	/* All walk at once then, and windows are read while a device goes. */
	table->in_place++;
	wait_for_swapoff(table->in_step ? IN_STEP_WAIT : SWAPOFF_WAIT);
	/* Before they meet, or free_ahead() would see the end of the last walk. */
	slice->cursor = 0;
	if (!meet(&slice->meeting))
		return false;
	touch_in_order(slice, rng_below(rng, 4) == 0, rng);
	count(passes, 1);
	if (!meet(&slice->meeting))
		return false;
	rewrite_some(slice, rng);
	return worth;
}

static void walker(struct worker *worker)
{
	struct slice *slice = worker->argument;
	bool on;

	while (meet(placing)) {
		discard(slice);
		go_to_half(slice, 0);
		place(slice, 0);
		go_to_half(slice, 1);
		on = meet(placing) && meet(placing);
		/* In any case: the last verification expects all pages. */
		place(slice, 1);
		for (unsigned int i = 0; on && i < PASSES && !table->gone && pass(slice, &worker->rng); i++)
			;
		table->walking--;
		if (!on || !meet(placing))
			return;
		collect(slice);
	}
}

/* Frees the page and its slot: the entry that the window still holds is gone. */
static void free_page(struct slice *slice, size_t page)
{
	const struct identity identity = region_begin(&slice->region, page);
	void *memory = region_page(&slice->region, page);

	if (madvise(memory, PAGE, MADV_DONTNEED))
		run_error("MADV_DONTNEED", errno);
	/* A look makes the write that follows dear. */
	if (page % 8 == 0 && zero_check(memory) != KIND_OK)
		record_complain(KIND_NONZERO, memory, &identity, true);
	record_write(memory, &identity, 1);
	region_end(&slice->region, page);
	count(dropped, 1);
}

static void free_window_ahead(struct slice *slice, struct rng *rng)
{
	size_t seen = SIZE_MAX, at;

	while ((at = atomic_load(&slice->cursor)) != SIZE_MAX && !run_over()) {
		const size_t page = at + rng_between(rng, 1, WINDOW - 1);

		if (at == seen)
			continue;
		seen = at;
		if (slice->contested && page < slice_pages && rng_below(rng, 2))
			free_page(slice, page);
	}
}

static void free_ahead(struct worker *worker)
{
	struct slice *slice = worker->argument;

	for (;;) {
		if (!meet(&slice->meeting))
			return;
		if (slice->contested)
			free_window_ahead(slice, &worker->rng);
		if (!meet(&slice->meeting))
			return;
	}
}

/* Until all wait with their slices paged out. */
static void watch_them_get_ready(void)
{
	const uint64_t latest = now_ns() + IN_STEP_WAIT * 1000ull;

	while (table->in_place < slices_count && now_ns() < latest && !run_over())
		sleep_us(200);
	/* Nobody waits so long for another one. */
	table->in_step = false;
}

/* Until so many pages were touched, however fast the machine is. */
static void watch_them_walk(uint64_t pages)
{
	const uint64_t end = table->touched + pages;
	const uint64_t latest = now_ns() + 2000000000u;

	while (table->walking && table->touched < end && now_ns() < latest && !run_over())
		sleep_us(200);
}

static bool leave(unsigned int device)
{
	return !device_is_on(device) || device_off(device);
}

/* Swaps the device of the even pages off while the swapoff thread does so with the other one. */
static void swapoff_other(struct worker *worker)
{
	(void)worker;
	run_ahead();
	while (meet(&table->both)) {
		leave(EVEN);
		count(together, 1);
		meet(&table->both);
	}
}

static bool leave_at_random(struct rng *rng)
{
	switch (rng_below(rng, 4)) {
	case 0: /* both at once */
		return meet(&table->both) && leave(ODD) && meet(&table->both);
	case 1: /* one after the other */
		return leave(EVEN) && leave(ODD);
	default:
		return leave(ODD);
	}
}

static bool is_ready(unsigned int device)
{
	return device_is_on(device) || device_on(device, device_priority(device));
}

/* Both go: a CPU forgets a device only when it is swapped off. */
static bool leave_both(void)
{
	return leave(ODD) && leave(EVEN);
}

static void swapoff_both(struct worker *worker)
{
	struct rng *rng = &worker->rng;
	bool in_step;

	run_ahead();
	while (!run_over()) {
		if (!leave_both() || !is_ready(EVEN))
			return;
		/* Here the even pages go out. */
		if (!meet(placing) || !meet(placing))
			return;
		if (!is_ready(ODD))
			return;
		table->gone = false;
		table->walking = slices_count;
		table->in_place = 0;
		table->in_step = in_step = rng_below(rng, 4) > 0;
		/* And here the odd ones; then they walk. */
		if (!meet(placing))
			return;
		if (in_step)
			watch_them_get_ready();
		else
			watch_them_walk(rng_below(rng, slice_pages * slices_count));
		if (!leave_at_random(rng))
			return;
		/* Off for a moment, so that whoever still holds an entry meets a dead device. */
		sleep_us(rng_below(rng, 20000));
		table->gone = true;
		/* With nothing left to read they verify their pages in no time, and begin anew. */
		if (!leave_both())
			return;
		meet(placing);
	}
}

static void expect(const char *path, bool (*good)(const char *))
{
	char text[64] = "";
	FILE *file = fopen(path, "re");

	if (!file || !fgets(text, sizeof(text), file) || !good(text))
		run_missing("%s says \"%.*s\": no readahead by virtual address", path, (int)strcspn(text, "\n"), text);
	if (file)
		fclose(file);
}

static bool is_true(const char *text)
{
	return !strcmp(text, "true\n") || !strcmp(text, "1\n");
}

static bool is_window(const char *text)
{
	return !strcmp(text, "3\n");
}

static void prepare(void)
{
	expect("/sys/kernel/mm/swap/vma_ra_enabled", is_true);
	expect("/proc/sys/vm/page-cluster", is_window);
	if (device_count() != DEVICES)
		run_missing("%u devices, not two", device_count());
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		run_missing("one CPU: it would write all pages to one device");
	branch_probe("vanished_ahead", "__read_swap_cache_async", "ret==0", "swapin_readahead");
}

static void setup(void)
{
	slices = locked_memory(SLICES_MAX * sizeof(*slices));
	interleaved = counter("interleaved_windows");
	uniform = counter("uniform_windows");
	passes = counter("passes");
	dropped = counter("dropped_pages");
	together = counter("swapoffs_together");
	on_both = counter("walks_with_both_devices_in_use");
	table = locked_memory(sizeof(*table));
	placing = &table->walkers_and_swapoff;
	placing->parties = slices_count + 1;
	table->both.parties = 2;
	if (slices_count > SLICES_MAX)
		run_fail("--slices");
	for (uint64_t i = 0; i < slices_count; i++) {
		slices[i].region = region_over(private_memory(slice_pages * PAGE), i + 1, slice_pages);
		slices[i].meeting.parties = 2;
		region_fill(&slices[i].region);
	}
}

static void load(void)
{
	struct threads threads = { 0 };

	for (uint64_t i = 0; i < slices_count; i++) {
		threads_add(&threads, 1, walker, &slices[i]);
		threads_add(&threads, 1, free_ahead, &slices[i]);
	}
	threads_add(&threads, 1, swapoff_both, NULL);
	threads_add(&threads, 1, swapoff_other, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	if (*on_both && !types_are_devices())
		counter_lacking("interleaved_windows", "/proc/PID/pagemap shows pages of two devices with one swap type");
	for (uint64_t i = 0; i < slices_count; i++)
		region_verify_all(&slices[i].region);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options,
		.steady = DEVICES,
		.prepare = prepare,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
