// SPDX-License-Identifier: GPL-2.0-or-later
/* When figures are taken: at once before the load; after it, when they are back or the time is up. */
#include "accounting.h"
#include "check.h"
#include "fake_kernel.h"

#define START 1000000000000ull
#define DROP "/proc/sys/vm/drop_caches"

static void start_anew(void)
{
	memset(shared, 0, sizeof(*shared));
	clock_set(START);
	shared->swapoff_budget = 40;
	kernel_file("/proc/meminfo", "SwapTotal: 0 kB\nSwapFree: 0 kB\n");
	kernel_file("/proc/vmstat", "nr_swapcached 0\nnr_anon_pages 100\n");
	kernel_file("/proc/swaps", "Filename Type Size Used Priority\n");
	kernel_file(DROP, "");
}

static uint64_t after(const char *name)
{
	uint64_t value = 77;

	CHECK(figure_value(&shared->accounting[AFTER_LOAD].figures, name, &value));
	return value;
}

static const char *why_it_lacks(const char *name)
{
	for (unsigned int i = 0; i < shared->figures_lacking_count; i++)
		if (!strcmp(shared->figures_lacking[i].name, name))
			return shared->figures_lacking[i].why;
	return "";
}

static void figures_that_are_back_are_not_waited_for(void)
{
	start_anew();
	accounting_settle(BEFORE_LOAD);
	/* No exact one: other tasks have anonymous memory, too. */
	kernel_file("/proc/vmstat", "nr_swapcached 0\nnr_anon_pages 130\n");
	accounting_settle(AFTER_LOAD);
	CHECK(shared->accounting[BEFORE_LOAD].taken && shared->accounting[AFTER_LOAD].taken);
	CHECK_NUMBER(after("vmstat.nr_anon_pages"), 130);
	CHECK_NUMBER(now_ns(), START);
	/* Caches are dropped at each look, with what waits for an LRU list. */
	CHECK_TEXT(kernel_text(DROP), "33");
}

static void one_that_does_not_come_back_is_waited_for_up_to_an_end(void)
{
	start_anew();
	accounting_settle(BEFORE_LOAD);
	kernel_file("/proc/vmstat", "nr_swapcached 3\nnr_anon_pages 100\n");
	accounting_settle(AFTER_LOAD);
	CHECK_NUMBER(after("vmstat.nr_swapcached"), 3);
	/* A quarter of a swapoff's budget, and not much more. */
	CHECK(now_ns() > START + 10000000000ull);
	CHECK(now_ns() < START + 11000000000ull);
}

static void what_came_with_the_first_use_is_waited_for(void)
{
	start_anew();
	accounting_settle(BEFORE_LOAD);
	kernel_file("/sys/kernel/debug/zswap/stored_pages", "3\n");
	accounting_settle(AFTER_LOAD);
	CHECK_NUMBER(after("zswap.stored_pages"), 3);
	CHECK(now_ns() > START + 10000000000ull);
	kernel_forget("/sys/kernel/debug/zswap/stored_pages");
}

static void a_fall_is_not_waited_for(void)
{
	start_anew();
	kernel_file("/proc/vmstat", "nr_swapcached 3\n");
	accounting_settle(BEFORE_LOAD);
	kernel_file("/proc/vmstat", "nr_swapcached 0\n");
	accounting_settle(AFTER_LOAD);
	CHECK_NUMBER(now_ns(), START);
}

static void cgroup_has(const char *name, unsigned int bytes)
{
	char text[60];

	snprintf(text, sizeof(text), "anon 0\n%s %u\n", name, bytes);
	kernel_file("/sys/fs/cgroup/workload/memory.stat", text);
	strcpy(shared->cgroup, "/sys/fs/cgroup/workload");
}

/* There is no tmpfs here that could explain them. */
static void shared_memory_that_no_file_explains_is_waited_for(void)
{
	start_anew();
	cgroup_has("shmem", 0);
	accounting_settle(BEFORE_LOAD);
	cgroup_has("shmem", 4096);
	accounting_settle(AFTER_LOAD);
	CHECK_NUMBER(after("cgroup.stat.shmem"), 4096);
	CHECK(now_ns() > START + 10000000000ull);
}

/* Of anonymous memory and of files; the pages themselves may be gone. */
static void huge_pages_that_are_still_counted_are_waited_for(void)
{
	static const char *const names[] = { "anon_thp", "shmem_thp" };

	for (unsigned int i = 0; i < 2; i++) {
		start_anew();
		cgroup_has(names[i], 0);
		accounting_settle(BEFORE_LOAD);
		cgroup_has(names[i], 2097152);
		accounting_settle(AFTER_LOAD);
		CHECK(now_ns() > START + 10000000000ull);
	}
}

static void a_swapoff_that_fills_the_swap_cache(void)
{
	kernel_file("/proc/vmstat", "nr_swapcached 260\nnr_anon_pages 100\n");
}

static void one_more_is_left(void)
{
	kernel_file("/proc/vmstat", "nr_swapcached 4\nnr_anon_pages 100\n");
}

static void load_leaves(const char *path, const char *text, void (*does)(void))
{
	start_anew();
	shared->devices_count = 1;
	strcpy(shared->devices[0].path, "/dev/zram0");
	accounting_settle(BEFORE_LOAD);
	kernel_file(path, text);
	swapoff_does = does;
	accounting_settle(AFTER_LOAD);
	swapoff_does = NULL;
}

static void where_swapoff_leaves_pages_in_the_swap_cache_those_are_not_judged(void)
{
	uint64_t value;

	load_leaves("/proc/vmstat", "nr_swapcached 3\nnr_anon_pages 100\n", a_swapoff_that_fills_the_swap_cache);
	CHECK(shared->swap_stays && shared->accounting[AFTER_LOAD].taken);
	CHECK(!figure_value(&shared->accounting[AFTER_LOAD].figures, "vmstat.nr_swapcached", &value));
	CHECK_NUMBER(after("vmstat.nr_anon_pages"), 100);
	CHECK_TEXT(why_it_lacks("vmstat.nr_swapcached"), "this kernel's swapoff leaves swapped pages in the swap cache or in zswap");
	CHECK(!shared->devices[0].on);
}

static void where_swapoff_brings_pages_back_one_that_is_left_is_judged(void)
{
	load_leaves("/proc/vmstat", "nr_swapcached 3\nnr_anon_pages 100\n", one_more_is_left);
	CHECK(!shared->swap_stays);
	CHECK_NUMBER(after("vmstat.nr_swapcached"), 3);
}

static void where_it_brings_them_back_a_count_below_zero_is_judged(void)
{
	load_leaves("/sys/kernel/debug/zswap/stored_pages", "18446744073709551592\n", one_more_is_left);
	CHECK(!shared->swap_stays);
	CHECK_NUMBER(after("zswap.stored_pages"), -24);
	kernel_forget("/sys/kernel/debug/zswap/stored_pages");
}

static void a_kernel_that_drops_no_caches_lacks_that(void)
{
	start_anew();
	kernel_forget(DROP);
	accounting_settle(BEFORE_LOAD);
	CHECK_TEXT(shared->figures_lacking[0].name, "drop_caches");
	CHECK(shared->accounting[BEFORE_LOAD].taken);
}

static void a_gap_that_stays_is_kept_and_one_that_closes_is_none(void)
{
	start_anew();
	kernel_file("/proc/meminfo", "SwapTotal: 8188 kB\nSwapFree: 8184 kB\n");
	accounting_note_gap(AFTER_LOAD);
	CHECK_NUMBER(shared->accounting[AFTER_LOAD].gap_kib, 4);
	CHECK_NUMBER(shared->accounting[BEFORE_LOAD].gap_kib, 0);
	CHECK(now_ns() > START);
	/* The gap of one device stays, whatever the next one says. */
	kernel_file("/proc/meminfo", "SwapTotal: 8188 kB\nSwapFree: 8188 kB\n");
	accounting_note_gap(AFTER_LOAD);
	CHECK_NUMBER(shared->accounting[AFTER_LOAD].gap_kib, 4);
	start_anew();
	kernel_file("/proc/meminfo", "SwapTotal: 8188 kB\nSwapFree: 8188 kB\n");
	accounting_note_gap(AFTER_LOAD);
	CHECK_NUMBER(shared->accounting[AFTER_LOAD].gap_kib, 0);
	CHECK_NUMBER(now_ns(), START);
}

static void without_swaps_there_is_no_gap(void)
{
	start_anew();
	kernel_forget("/proc/swaps");
	accounting_note_gap(AFTER_LOAD);
	CHECK_TEXT(shared->figures_lacking[0].name, "swap_gap");
	CHECK_NUMBER(shared->accounting[AFTER_LOAD].gap_kib, 0);
}

int main(void)
{
	shared_new();
	RUN(figures_that_are_back_are_not_waited_for);
	RUN(one_that_does_not_come_back_is_waited_for_up_to_an_end);
	RUN(what_came_with_the_first_use_is_waited_for);
	RUN(a_fall_is_not_waited_for);
	RUN(shared_memory_that_no_file_explains_is_waited_for);
	RUN(huge_pages_that_are_still_counted_are_waited_for);
	RUN(where_swapoff_leaves_pages_in_the_swap_cache_those_are_not_judged);
	RUN(where_swapoff_brings_pages_back_one_that_is_left_is_judged);
	RUN(where_it_brings_them_back_a_count_below_zero_is_judged);
	RUN(a_kernel_that_drops_no_caches_lacks_that);
	RUN(a_gap_that_stays_is_kept_and_one_that_closes_is_none);
	RUN(without_swaps_there_is_no_gap);
	return check_result();
}
