// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's counters: only those that are asked for, from files that may be short, odd or missing. */
#include "check.h"
#include "fake_kernel.h"
#include "shared.h"

#define STAT "   11  0  88  3   22  0  176  5  0  7  8\n"
#define LARGE "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/stats/"

static struct kernel_counters counters;

/* -1: there is none of that name. */
static long long value_of(const char *name)
{
	for (unsigned int i = 0; i < counters.count; i++)
		if (!strcmp(counters.of[i].name, name))
			return (long long)counters.of[i].value;
	return -1;
}

static void read_vmstat(const char *text)
{
	kernel_file("/proc/vmstat", text);
	kernel_counters_read(&counters);
}

static void add_device(const char *path, const char *kind)
{
	struct shared_device *device = &shared->devices[shared->devices_count++];

	strcpy(device->path, path);
	strcpy(device->kind, kind);
}

static void without_files_there_is_nothing(void)
{
	kernel_counters_read(&counters);
	CHECK_NUMBER(counters.count, 0);
}

static void only_what_is_asked_for_is_taken(void)
{
	read_vmstat("nr_free_pages 1234\npswpin 17\npswpout 18446744073709551615\npswpinx 3\nswap_ra 5\noom_kill 0\n");
	CHECK_NUMBER(counters.count, 4);
	CHECK_NUMBER(value_of("pswpin"), 17);
	CHECK_NUMBER(value_of("pswpout"), -1); /* all bits */
	CHECK_NUMBER(value_of("swap_ra"), 5);
	CHECK_NUMBER(value_of("oom_kill"), 0);
}

static void what_is_cut_off_or_odd_ends_the_reading(void)
{
	read_vmstat("pswpin 17\npswpou");
	CHECK_NUMBER(counters.count, 1);
	read_vmstat("pswpin\n");
	CHECK_NUMBER(counters.count, 0);
	read_vmstat("pswpin many\npswpout 3\n");
	CHECK_NUMBER(counters.count, 0);
	read_vmstat("");
	CHECK_NUMBER(counters.count, 0);
	read_vmstat("pswpin 1\n" /* longer than any name of ours */
		    "a23456789012345678901234567890123456789012345678901234567890123456789 4\npswpout 3\n");
	CHECK_NUMBER(value_of("pswpin"), 1);
}

static void large_folios_of_all_sizes_are_one_number(void)
{
	read_vmstat("");
	CHECK_NUMBER(value_of("large_folios"), -1);
	kernel_file("/sys/kernel/mm/transparent_hugepage/hugepages-16kB/stats/anon_fault_alloc", "5\n");
	kernel_file("/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/stats/swpout", "7\n");
	/* Larger than a huge page, and no allocation. */
	kernel_file("/sys/kernel/mm/transparent_hugepage/hugepages-32768kB/stats/swpin", "100\n");
	kernel_file("/sys/kernel/mm/transparent_hugepage/hugepages-16kB/stats/split", "1000\n");
	read_vmstat("");
	CHECK_NUMBER(value_of("large_folios"), 12);
	/* With pages of 16 KiB that is the size of a page, and the other one possible. */
	page_size_set(16384);
	read_vmstat("");
	CHECK_NUMBER(value_of("large_folios"), 107);
	page_size_set(4096);
	kernel_forget("/sys/kernel/mm/transparent_hugepage/hugepages-16kB/stats/anon_fault_alloc");
	kernel_forget("/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/stats/swpout");
}

static void reads_are_summed_by_kind_of_device(void)
{
	read_vmstat("");
	add_device("/dev/zram0", "zram");
	add_device("/dev/zram1", "zram");
	add_device("/dev/vda", "virtio-blk");
	add_device("/mnt/3/swap", "swapfile");
	add_device("noslash", "null_blk");
	kernel_file("/sys/block/zram0/stat", STAT);
	kernel_file("/sys/block/zram1/stat", STAT);
	kernel_file("/sys/block/vda/stat", "\n");
	kernel_counters_read(&counters);
	CHECK_NUMBER(counters.count, 1);
	CHECK_NUMBER(value_of("reads.zram"), 22);
}

static void counters_of_zswap_and_of_large_folios_have_prefixes(void)
{
	kernel_file("/sys/kernel/debug/zswap/written_back_pages", "42\n");
	kernel_file("/sys/kernel/debug/zswap/stored_pages", "");
	kernel_file(LARGE "swpin", "7\n");
	kernel_counters_read(&counters);
	CHECK_NUMBER(value_of("zswap.written_back_pages"), 42);
	CHECK_NUMBER(value_of("zswap.stored_pages"), -1);
	CHECK_NUMBER(value_of("large.swpin"), 7);
}

/* The table holds all that there may be. */
static void all_counters_find_room(void)
{
	static const char *const names[] = { "pswpin", "pswpout", "swap_ra", "swap_ra_hit", "swpin_zero", "swpout_zero",
					     "zswpin", "zswpout", "zswpwb", "thp_swpout", "thp_swpout_fallback", "pgfault",
					     "pgmajfault", "pgsteal_proactive", "oom_kill", "pgmigrate_success",
					     "pgsteal_kswapd", "pgsteal_direct", "workingset_refault_anon",
					     "workingset_refault_file", "thp_fault_alloc", "thp_collapse_alloc", "thp_split_pmd",
					     "thp_zero_page_alloc" };
	static const char *const zswap[] = { "written_back_pages", "reject_reclaim_fail", "pool_limit_hit", "stored_pages" };
	static const char *const large[] = { "swpin", "swpin_fallback", "swpout", "swpout_fallback", "shmem_alloc",
					     "shmem_fallback", "split", "split_failed" };
	char text[1000] = "", path[200], name[NAME_SIZE];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		sprintf(text + strlen(text), "%s %zu\n", names[i], i + 1);
	for (size_t i = 0; i < sizeof(zswap) / sizeof(zswap[0]); i++) {
		sprintf(path, "/sys/kernel/debug/zswap/%s", zswap[i]);
		kernel_file(path, "1\n");
	}
	for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
		sprintf(path, LARGE "%s", large[i]);
		kernel_file(path, "2\n");
	}
	shared->devices_count = 0;
	for (unsigned int i = 0; i < DEVICES_MAX; i++) {
		sprintf(name, "kind%u", i);
		sprintf(path, "/dev/zram%u", i);
		add_device(path, name);
		sprintf(path, "/sys/block/zram%u/stat", i);
		kernel_file(path, STAT);
	}
	read_vmstat(text);
	CHECK_NUMBER(counters.count, 24 + 4 + 8 + 1 + DEVICES_MAX);
	CHECK_NUMBER(value_of("oom_kill"), 15);
	CHECK_NUMBER(value_of("reads.kind7"), 11);
	CHECK_NUMBER(value_of("large.split_failed"), 2);
	shared->lacking_count = 0;
	kernel_counters_lacking(&counters);
	CHECK_NUMBER(shared->lacking_count, 0);
}

/* A counter that is there and stands still is none of them. */
static void what_a_kernel_does_not_count_is_told_with_its_place(void)
{
	kernel_file("/sys/kernel/debug/zswap/stored_pages", "0\n");
	read_vmstat("pswpin 0\npswpout 5\n");
	kernel_counters_lacking(&counters);
	CHECK_NUMBER(shared->lacking_count, 22 + 3 + 8);
	CHECK_TEXT(shared->lacking[0].name, "swap_ra");
	CHECK_TEXT(shared->lacking[0].why, "/proc/vmstat has no swap_ra");
	CHECK_TEXT(shared->lacking[22].name, "zswap.written_back_pages");
	CHECK_TEXT(shared->lacking[25].name, "large.swpin");
	CHECK_TEXT(shared->lacking[25].why, "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/stats has no swpin");
}

int main(void)
{
	shared_new();
	RUN(without_files_there_is_nothing);
	RUN(only_what_is_asked_for_is_taken);
	RUN(what_is_cut_off_or_odd_ends_the_reading);
	RUN(large_folios_of_all_sizes_are_one_number);
	RUN(reads_are_summed_by_kind_of_device);
	RUN(what_a_kernel_does_not_count_is_told_with_its_place);
	RUN(counters_of_zswap_and_of_large_folios_have_prefixes);
	RUN(all_counters_find_room);
	return check_result();
}
