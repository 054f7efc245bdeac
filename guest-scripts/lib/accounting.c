// SPDX-License-Identifier: GPL-2.0-or-later
/* When the figures of accounting.h are taken. */
#define _GNU_SOURCE

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "accounting.h"
#include "paging.h"
#include "textfile.h"

#define DROP_CACHES "/proc/sys/vm/drop_caches"
/* Of its budget for a swapoff, the kernel gets this part to come to rest. */
#define REST_SHARE 4
#define PAUSE_LEAST 10000
#define PAUSE_MOST 500000
/* As much as the gap may take; nobody uses the device. */
#define GAP_TRIES 100
#define GAP_PAUSE 10000
/* More than a CPU may have counted for itself alone. */
#define STAYING_PAGES 256

/* Figures that come back to what they were, once the kernel is at rest. The host judges; this is how long to wait at most. */
static const char *const EXACT[] = {
	"meminfo.SwapTotal", "meminfo.SwapFree", "vmstat.nr_swapcached", "vmstat.nr_isolated_anon", "vmstat.nr_isolated_file",
	"zswap.stored_pages", "zswap.pool_total_size", "cgroup.memory.swap.current", "cgroup.memory.zswap.current",
	"cgroup.stat.anon", "cgroup.stat.rss", "cgroup.stat.swapcached", "cgroup.stat.zswapped", "cgroup.stat.swap",
	"cgroup.stat.anon_thp", "cgroup.mapped_pages",
};

/* What is counted of swapped pages, other than on the devices. */
static const char *const SWAPPED[] = {
	"vmstat.nr_swapcached", "zswap.stored_pages", "zswap.pool_total_size", "cgroup.memory.swap.current",
	"cgroup.memory.zswap.current", "cgroup.stat.swapcached", "cgroup.stat.zswapped", "cgroup.stat.swap",
};

static uint64_t rise(const struct accounting *before, const struct accounting *now, const char *name)
{
	uint64_t was, is;

	if (!figure_value(&now->figures, name, &is))
		return 0;
	/* The files of zswap come when it is first used: it had nothing before. */
	if (!figure_value(&before->figures, name, &was)) {
		if (strncmp(name, "zswap.", strlen("zswap.")))
			return 0;
		was = 0;
	}
	return is < was ? 0 : is - was;
}

static bool back(const struct accounting *before, const struct accounting *now)
{
	/* Files that the load left in a tmpfs keep their pages. */
	const uint64_t files_kib = rise(before, now, "files.tmpfs_kib");

	if (now->negative_count > before->negative_count)
		return false;
	for (unsigned int i = 0; i < sizeof(EXACT) / sizeof(EXACT[0]); i++)
		if (rise(before, now, EXACT[i]))
			return false;
	return rise(before, now, "cgroup.unmapped_pages") <= files_kib * 1024 / PAGE &&
	       rise(before, now, "cgroup.stat.shmem") <= files_kib * 1024 &&
	       rise(before, now, "cgroup.stat.shmem_thp") <= files_kib * 1024;
}

/* Nothing of the load is there before it: pages that are, are on their way out, and would hide as many later. */
static bool at_rest(enum moment moment)
{
	uint64_t pages = 0;

	if (moment == AFTER_LOAD)
		return back(&shared->accounting[BEFORE_LOAD], &shared->accounting[AFTER_LOAD]);
	return !figure_value(&shared->accounting[BEFORE_LOAD].figures, "cgroup.unmapped_pages", &pages) || !pages;
}

static void take(struct accounting *accounting)
{
	const struct kernel_counters none = { 0 };

	cgroup_stir();
	/*
	 * Folios on the way to an LRU list wait in batches of a CPU with a reference each; lru_add_drain_all() is called here. Caches
	 * are dropped, too: what is left of free pages and slab then is comparable.
	 */
	if (!put_text(DROP_CACHES, "3"))
		figure_lacking("drop_caches", DROP_CACHES " can't be written: pages may wait in batches of a CPU");
	totals_refresh(accounting);
	accounting->figures = none;
	figure_add(&accounting->figures, "page_kib", PAGE / 1024);
	figures_read(&accounting->figures);
	left_pages_read(&accounting->figures);
	if (!shared->swap_stays)
		return;
	for (unsigned int i = 0; i < sizeof(SWAPPED) / sizeof(SWAPPED[0]); i++) {
		figure_remove(&accounting->figures, SWAPPED[i]);
		figure_lacking(SWAPPED[i], "this kernel's swapoff leaves swapped pages in the swap cache or in zswap");
	}
}

/* Pages in the swap cache and in zswap. A kernel that has lost count may say less than zero. */
static int64_t pages_in_swap(void)
{
	struct accounting now = { 0 };
	uint64_t cached = 0, stored = 0;

	totals_refresh(&now);
	figures_read(&now.figures);
	figure_value(&now.figures, "vmstat.nr_swapcached", &cached);
	figure_value(&now.figures, "zswap.stored_pages", &stored);
	return (int64_t)cached + (int64_t)stored;
}

/*
 * Whether swapoff leaves what this task has swapped in the swap cache or in zswap, as with virtual swap, and does not bring it
 * back. Then the pages of other tasks may be there, too, and those that the load left go when the kernel needs their memory. It
 * is tried once, with a device that is off, where figures are not back: a correct kernel whose swapoff brings all back never
 * comes here, and one that loses a page now and then does not keep half of these.
 */
static bool swapoff_leaves_swap(void)
{
	const int64_t before = pages_in_swap();
	int64_t now = before;
	char *memory;

	if (!shared->devices_count || shared->devices[0].on)
		return false;
	memory = private_memory(STAYING_PAGES * (size_t)PAGE);
	for (size_t i = 0; i < STAYING_PAGES; i++)
		*(volatile uint64_t *)(memory + i * PAGE) = i + 1;
	/* All else of this process is locked. */
	munlock(memory, STAYING_PAGES * (size_t)PAGE);
	if (device_on(0, shared->devices[0].priority)) {
		madvise(memory, STAYING_PAGES * (size_t)PAGE, MADV_PAGEOUT);
		if (device_off(0))
			now = pages_in_swap();
	}
	munmap(memory, STAYING_PAGES * (size_t)PAGE);
	return now >= before + STAYING_PAGES / 2;
}

void accounting_settle(enum moment moment)
{
	struct accounting *now = &shared->accounting[moment];
	const uint64_t end = now_ns() + shared->swapoff_budget * 1000000000ull / REST_SHARE;

	for (uint64_t pause = PAUSE_LEAST;; pause = pause * 2 > PAUSE_MOST ? PAUSE_MOST : pause * 2) {
		take(now);
		if (at_rest(moment) || now_ns() > end)
			break;
		sleep_us(pause);
	}
	if (moment == AFTER_LOAD && !at_rest(moment) && swapoff_leaves_swap()) {
		shared->swap_stays = true;
		take(now);
	}
	if (moment == AFTER_LOAD)
		held_pages_read(&now->figures, false);
	now->taken = true;
}

void accounting_note_gap(enum moment moment)
{
	struct accounting *now = &shared->accounting[moment];
	int64_t gap = 0;

	for (unsigned int i = 0; i < GAP_TRIES && (!i || gap); i++) {
		if (i)
			sleep_us(GAP_PAUSE);
		if (!swap_gap(&gap)) {
			figure_lacking("swap_gap", "/proc/meminfo or /proc/swaps can't be read");
			return;
		}
	}
	if (gap)
		now->gap_kib = gap;
}

/*
 * When the load is gone, and not in the audit: a kernel may count what it keeps swapped of a process as used, although no device
 * has it (virtual swap).
 */
static void note_gaps(void)
{
	for (unsigned int i = 0; i < shared->devices_count; i++)
		if (!shared->devices[i].on && device_on(i, shared->devices[i].priority)) {
			accounting_note_gap(AFTER_LOAD);
			device_off(i);
		}
}

/* Of a device on which pages stay in the swap cache once they are written. */
static void look_at_swap_cache(void)
{
	for (unsigned int i = 0; i < shared->devices_count; i++)
		if (!shared->devices[i].on && strcmp(shared->devices[i].kind, "zram")) {
			if (!device_on(i, shared->devices[i].priority))
				return;
			held_pages_read(&shared->accounting[AFTER_LOAD].figures, true);
			device_off(i);
			return;
		}
}

int accounting_start(enum moment moment)
{
	const pid_t child = fork_swapoff_process();

	if (child)
		return child;
	if (moment == AFTER_LOAD)
		note_gaps();
	/* Says nothing on the console from here on. */
	if (moment == BEFORE_LOAD)
		put_text(DROP_CACHES, "4");
	accounting_settle(moment);
	if (moment == AFTER_LOAD)
		look_at_swap_cache();
	_exit(0);
}
