// SPDX-License-Identifier: GPL-2.0-or-later
/* Figures of the kernel's accounting: by name, from files that may be short, odd or missing; what is not there is said. */
#include "accounting.h"
#include "check.h"
#include "fake_kernel.h"

#define CGROUP "/sys/fs/cgroup/workload"

static struct kernel_counters figures;

static void start_anew(void)
{
	memset(shared, 0, sizeof(*shared));
	memset(&figures, 0, sizeof(figures));
}

/* -1: there is none of that name. */
static long long value_of(const char *name)
{
	uint64_t value;

	return figure_value(&figures, name, &value) ? (long long)value : -1;
}

static const char *why(const char *name)
{
	for (unsigned int i = 0; i < shared->figures_lacking_count; i++)
		if (!strcmp(shared->figures_lacking[i].name, name))
			return shared->figures_lacking[i].why;
	return "";
}

static void what_is_not_there_is_lacking_and_no_zero(void)
{
	start_anew();
	figures_read(&figures);
	CHECK_NUMBER(figures.count, 0);
	CHECK_TEXT(why("meminfo.SwapFree"), "/proc/meminfo can't be read");
	CHECK_TEXT(why("vmstat.nr_swapcached"), "/proc/vmstat can't be read");
	CHECK_TEXT(why("zswap.stored_pages"), "/sys/kernel/debug/zswap/stored_pages can't be read");
	CHECK_TEXT(why("zoneinfo.free"), "/proc/zoneinfo does not say how many pages are free");
	CHECK_TEXT(why("cgroup"), "the load has no memory cgroup of its own");
}

static void a_line_counts_for_its_whole_name_only(void)
{
	start_anew();
	kernel_file("/proc/meminfo", "MemTotal:  495772 kB\nSwapTotal:   7 kB\nSwapTotals: 9 kB\nSwapFree:  18446744073709551612 kB\n");
	kernel_file("/proc/vmstat", "nr_shmem 17\nnr_shmem_hugepages 3\nxnr_swapcached 4\nnr_swapcached\n");
	figures_read(&figures);
	CHECK_NUMBER(value_of("meminfo.MemTotal"), 495772);
	CHECK_NUMBER(value_of("meminfo.SwapTotal"), 7);
	/* A total below zero, as the kernel prints it. */
	CHECK_NUMBER(value_of("meminfo.SwapFree"), -4);
	CHECK_NUMBER(value_of("vmstat.nr_shmem"), 17);
	CHECK_NUMBER(value_of("vmstat.nr_swapcached"), -1);
	CHECK_TEXT(why("vmstat.nr_swapcached"), "/proc/vmstat does not have it");
	CHECK_TEXT(why("vmstat.nr_shmem"), "");
}

static void free_pages_are_those_of_all_zones_and_of_the_lists_of_all_cpus(void)
{
	start_anew();
	kernel_file("/proc/zoneinfo", "Node 0, zone      DMA\n  per-node stats\n      nr_free_pages 8\n  pages free     100\n        boost    0\n"
				      "  pagesets\n    cpu: 0\n              count:    11\n              high:     12\n    cpu: 1\n"
				      "              count:    5\nNode 0, zone    DMA32\n  pages free     1000\n");
	figures_read(&figures);
	CHECK_NUMBER(value_of("zoneinfo.free"), 1116);
}

static void large_folios_are_those_of_all_sizes(void)
{
	start_anew();
	kernel_file("/sys/kernel/mm/transparent_hugepage/hugepages-64kB/stats/nr_anon", "7\n");
	kernel_file("/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/stats/nr_anon", "18446744073709551606\n");
	figures_read(&figures);
	CHECK_NUMBER(value_of("large.nr_anon"), -3);
	CHECK_TEXT(why("large.nr_anon"), "");
	CHECK_TEXT(why("large.nr_anon_partially_mapped"), "no folder of /sys/kernel/mm/transparent_hugepage has it");
}

static void add_device(const char *path, const char *kind)
{
	struct shared_device *device = &shared->devices[shared->devices_count++];

	strcpy(device->path, path);
	strcpy(device->kind, kind);
}

static void devices_that_keep_what_they_got_are_summed(void)
{
	start_anew();
	add_device("/dev/nullb0", "null_blk");
	add_device("/dev/nullb1", "null_blk");
	add_device("/dev/zram0", "zram");
	add_device("/dev/vda", "virtio-blk");
	kernel_file("/sys/block/nullb0/size", "16384\n");
	kernel_file("/sys/block/nullb1/size", "2048\n");
	kernel_file("/sys/block/zram0/mm_stat", "    4096   66  12288 0 12288 0 0 0 0\n");
	kernel_file("/sys/block/vda/size", "99999\n");
	figures_read(&figures);
	CHECK_NUMBER(value_of("devices.null_blk_kib"), 9216);
	CHECK_NUMBER(value_of("devices.zram_kib"), 12);
}

static void the_cgroup_has_files_and_lines_of_its_own(void)
{
	start_anew();
	strcpy(shared->cgroup, CGROUP);
	kernel_file(CGROUP "/memory.swap.current", "4096\n");
	kernel_file(CGROUP "/memory.stat", "anon 8192\nfile 1\nshmem 53248\nanon_thp 7\nswapcached 0\n");
	figures_read(&figures);
	CHECK_NUMBER(value_of("cgroup.memory.swap.current"), 4096);
	CHECK_NUMBER(value_of("cgroup.memory.zswap.current"), -1);
	CHECK_NUMBER(value_of("cgroup.stat.anon"), 8192);
	CHECK_NUMBER(value_of("cgroup.stat.shmem"), 53248);
	CHECK_NUMBER(value_of("cgroup.stat.anon_thp"), 7);
	CHECK_NUMBER(value_of("cgroup.stat.swapcached"), 0);
	CHECK_NUMBER(value_of("cgroup.stat.rss"), -1);
	CHECK_TEXT(why("cgroup.stat.rss"), CGROUP "/memory.stat does not have it");
}

static void files_in_a_tmpfs_are_known_by_its_blocks_and_by_its_mount(void)
{
	start_anew();
	kernel_file("/proc/mounts", "tmpfs /no/such/folder tmpfs rw 0 0\nproc /proc proc rw 0 0\nodd\n");
	figures_read(&figures);
	CHECK_NUMBER(value_of("files.mounts"), 3);
	CHECK_NUMBER(value_of("files.tmpfs_kib"), -1);
}

static void what_is_lacking_is_said_once_and_the_list_has_an_end(void)
{
	char name[NAME_SIZE];

	start_anew();
	figure_lacking("x", "one");
	figure_lacking("x", "two");
	CHECK_NUMBER(shared->figures_lacking_count, 1);
	CHECK_TEXT(why("x"), "one");
	for (unsigned int i = 0; i < 2 * LACKING_MAX; i++) {
		snprintf(name, sizeof(name), "%u", i);
		figure_lacking(name, "why");
	}
	CHECK_NUMBER(shared->figures_lacking_count, LACKING_MAX);
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%u", i);
		figure_add(&figures, name, 1);
	}
	CHECK_NUMBER(figures.count, sizeof(figures.of) / sizeof(figures.of[0]));
}

static void the_gap_is_what_neither_is_free_nor_used(void)
{
	int64_t gap = 1;

	start_anew();
	kernel_file("/proc/meminfo", "SwapTotal: 16376 kB\nSwapFree: 12000 kB\n");
	kernel_file("/proc/swaps", "Filename				Type		Size		Used		Priority\n"
				   "/dev/zram0                              partition	8188		4000		10\n"
				   "/dev/vda                                partition	8188		372		-2\n");
	CHECK(swap_gap(&gap));
	CHECK_NUMBER(gap, 4);
	kernel_file("/proc/meminfo", "SwapTotal: 16376 kB\nSwapFree: 12008 kB\n");
	CHECK(swap_gap(&gap));
	CHECK_NUMBER(gap, -4);
	kernel_forget("/proc/swaps");
	CHECK(!swap_gap(&gap));
}

int main(void)
{
	shared_new();
	RUN(what_is_not_there_is_lacking_and_no_zero);
	RUN(a_line_counts_for_its_whole_name_only);
	RUN(free_pages_are_those_of_all_zones_and_of_the_lists_of_all_cpus);
	RUN(large_folios_are_those_of_all_sizes);
	RUN(devices_that_keep_what_they_got_are_summed);
	RUN(the_cgroup_has_files_and_lines_of_its_own);
	RUN(files_in_a_tmpfs_are_known_by_its_blocks_and_by_its_mount);
	RUN(what_is_lacking_is_said_once_and_the_list_has_an_end);
	RUN(the_gap_is_what_neither_is_free_nor_used);
	return check_result();
}
