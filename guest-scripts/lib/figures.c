// SPDX-License-Identifier: GPL-2.0-or-later
/* The figures of accounting.h that stand in files. Their names say where: vmstat.nr_shmem is a line of /proc/vmstat. */
#include <inttypes.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "accounting.h"
#include "paging.h"

#define SIZE(array) (sizeof(array) / sizeof((array)[0]))

static const char *const MEMINFO[] = { "MemTotal", "SwapTotal", "SwapFree", "VmallocUsed", "Percpu" };

static const char *const VMSTAT[] = {
	"nr_swapcached", "nr_isolated_anon", "nr_isolated_file", "nr_anon_pages", "nr_shmem", "nr_file_pages",
	"nr_slab_reclaimable", "nr_slab_unreclaimable", "nr_page_table_pages", "nr_zspages",
};

static const char *const ZSWAP[] = { "stored_pages", "pool_total_size" };

/* Of cgroup v2; v1 has the same figures in its memory.stat. */
static const char *const CGROUP[] = { "memory.swap.current", "memory.zswap.current" };
/* In this order: v2 and v1 call the first one differently; `swap` is v1's alone. */
static const char *const CGROUP_STAT[] = { "anon", "rss", "shmem", "swapcached", "zswapped", "swap", "anon_thp", "shmem_thp" };

/* Of anonymous memory, of each size of large folios: their sums. */
#define SIZES "/sys/kernel/mm/transparent_hugepage"
static const char *const LARGE[] = { "nr_anon", "nr_anon_partially_mapped" };

/* Of all cgroups. They go some time after they were removed: what it says is for the reader. */
static const char *const CGROUPS[] = { "nr_dying_descendants" };

void figure_add(struct kernel_counters *figures, const char *name, uint64_t value)
{
	for (unsigned int i = 0; i < figures->count; i++)
		if (!strcmp(figures->of[i].name, name)) {
			figures->of[i].value += value;
			return;
		}
	if (figures->count == SIZE(figures->of))
		return;
	snprintf(figures->of[figures->count].name, NAME_SIZE, "%s", name);
	figures->of[figures->count++].value = value;
}

bool figure_value(const struct kernel_counters *figures, const char *name, uint64_t *value)
{
	for (unsigned int i = 0; i < figures->count; i++)
		if (!strcmp(figures->of[i].name, name)) {
			*value = figures->of[i].value;
			return true;
		}
	return false;
}

void figure_remove(struct kernel_counters *figures, const char *name)
{
	for (unsigned int i = 0; i < figures->count; i++)
		if (!strcmp(figures->of[i].name, name)) {
			figures->of[i] = figures->of[--figures->count];
			return;
		}
}

void figure_lacking(const char *name, const char *format, ...)
{
	struct shared_lacking *lacking = &shared->figures_lacking[shared->figures_lacking_count];
	va_list arguments;

	for (unsigned int i = 0; i < shared->figures_lacking_count; i++)
		if (!strcmp(shared->figures_lacking[i].name, name))
			return;
	if (shared->figures_lacking_count == SIZE(shared->figures_lacking))
		return;
	snprintf(lacking->name, sizeof(lacking->name), "%s", name);
	va_start(arguments, format);
	vsnprintf(lacking->why, sizeof(lacking->why), format, arguments);
	va_end(arguments);
	shared->figures_lacking_count++;
}

/* "SwapFree:   123 kB" and "nr_shmem 17": the number of that name. */
static bool number_of(const char *line, const char *name, uint64_t *value)
{
	const size_t length = strlen(name);

	if (strncmp(line, name, length) || !strchr(": ", line[length]))
		return false;
	return sscanf(line + length + 1, "%" SCNu64, value) == 1;
}

static void read_lines(struct kernel_counters *figures, const char *prefix, const char *path, const char *const *names,
		       size_t count)
{
	char line[256], full[NAME_SIZE];
	uint64_t value;
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file))
		for (size_t i = 0; i < count; i++)
			if (number_of(line, names[i], &value)) {
				snprintf(full, sizeof(full), "%s%s", prefix, names[i]);
				figure_add(figures, full, value);
			}
	if (file)
		fclose(file);
	for (size_t i = 0; i < count; i++) {
		snprintf(full, sizeof(full), "%s%s", prefix, names[i]);
		if (!figure_value(figures, full, &value))
			figure_lacking(full, "%s %s", path, file ? "does not have it" : "can't be read");
	}
}

static void read_numbers(struct kernel_counters *figures, const char *prefix, const char *folder, const char *const *names,
			 size_t count)
{
	char path[400], full[NAME_SIZE];
	uint64_t value;

	for (size_t i = 0; i < count; i++) {
		FILE *file;

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		snprintf(full, sizeof(full), "%s%s", prefix, names[i]);
		file = fopen(path, "re");
		if (file && fscanf(file, "%" SCNu64, &value) == 1)
			figure_add(figures, full, value);
		else
			figure_lacking(full, "%s can't be read", path);
		if (file)
			fclose(file);
	}
}

/* Those that wait in the lists of a CPU are free, too, and not among the zone's: free_frozen_page_commit(). */
static void read_free_pages(struct kernel_counters *figures)
{
	char line[256];
	uint64_t value;
	FILE *file = fopen("/proc/zoneinfo", "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, " pages free %" SCNu64, &value) == 1 || sscanf(line, " count: %" SCNu64, &value) == 1)
			figure_add(figures, "zoneinfo.free", value);
	if (file)
		fclose(file);
	if (!figure_value(figures, "zoneinfo.free", &value))
		figure_lacking("zoneinfo.free", "/proc/zoneinfo does not say how many pages are free");
}

/* One that is below zero makes the sum smaller. */
static void read_large_folios(struct kernel_counters *figures)
{
	char path[200], full[NAME_SIZE];
	uint64_t value;

	for (size_t i = 0; i < SIZE(LARGE); i++) {
		snprintf(full, sizeof(full), "large.%s", LARGE[i]);
		for (size_t size = 2 * PAGE; size <= HUGE_ALIGN; size *= 2) {
			FILE *file;

			snprintf(path, sizeof(path), SIZES "/hugepages-%zukB/stats/%s", size / 1024, LARGE[i]);
			file = fopen(path, "re");
			if (file && fscanf(file, "%" SCNu64, &value) == 1)
				figure_add(figures, full, value);
			if (file)
				fclose(file);
		}
		if (!figure_value(figures, full, &value))
			figure_lacking(full, "no folder of " SIZES " has it");
	}
}

/*
 * Memory in which a block device of this guest keeps what was written to it. null_blk does not say how much that is, and gives
 * none of it back: its size. zram drops a page when its slot is freed, unless another task has the slot's lock at that moment.
 */
static void read_device(struct kernel_counters *figures, const struct shared_device *device)
{
	const char *slash = strrchr(device->path, '/');
	char path[128];
	uint64_t value;
	FILE *file;
	const bool zram = !strcmp(device->kind, "zram");

	if (!zram && strcmp(device->kind, "null_blk"))
		return;
	snprintf(path, sizeof(path), "/sys/block/%s/%s", slash ? slash + 1 : device->path, zram ? "mm_stat" : "size");
	file = fopen(path, "re");
	if (!file)
		return;
	if (fscanf(file, zram ? "%*u %*u %" SCNu64 : "%" SCNu64, &value) == 1)
		figure_add(figures, zram ? "devices.zram_kib" : "devices.null_blk_kib", zram ? value / 1024 : value / 2);
	fclose(file);
}

/* Files that are left in a tmpfs keep their pages. One without limits does not say how many: then how many mounts there are. */
static void read_files(struct kernel_counters *figures)
{
	char line[512], path[256];
	struct statfs files;
	FILE *file = fopen("/proc/mounts", "re");

	while (file && fgets(line, sizeof(line), file)) {
		figure_add(figures, "files.mounts", 1);
		if (sscanf(line, "%*s %255s", path) == 1 && !statfs(path, &files) && files.f_type == TMPFS_MAGIC)
			figure_add(figures, "files.tmpfs_kib",
				   (files.f_blocks - files.f_bfree) * (uint64_t)files.f_bsize / 1024);
	}
	if (file)
		fclose(file);
	else
		figure_lacking("files.mounts", "/proc/mounts can't be read");
}

static void read_cgroup(struct kernel_counters *figures)
{
	char path[300];

	read_lines(figures, "cgroups.", "/sys/fs/cgroup/cgroup.stat", CGROUPS, SIZE(CGROUPS));
	if (!shared->cgroup[0]) {
		figure_lacking("cgroup", "the load has no memory cgroup of its own");
		return;
	}
	read_numbers(figures, "cgroup.", shared->cgroup, CGROUP, SIZE(CGROUP));
	snprintf(path, sizeof(path), "%s/memory.stat", shared->cgroup);
	read_lines(figures, "cgroup.stat.", path, CGROUP_STAT, SIZE(CGROUP_STAT));
}

void figures_read(struct kernel_counters *figures)
{
	read_lines(figures, "meminfo.", "/proc/meminfo", MEMINFO, SIZE(MEMINFO));
	read_lines(figures, "vmstat.", "/proc/vmstat", VMSTAT, SIZE(VMSTAT));
	read_free_pages(figures);
	read_numbers(figures, "zswap.", "/sys/kernel/debug/zswap", ZSWAP, SIZE(ZSWAP));
	for (unsigned int i = 0; i < shared->devices_count; i++)
		read_device(figures, &shared->devices[i]);
	read_files(figures);
	read_large_folios(figures);
	read_cgroup(figures);
}

/* What all devices use, by /proc/swaps: "PATH TYPE SIZE USED PRIORITY" below a line of headings. */
static bool used_kib(uint64_t *sum)
{
	char line[400];
	uint64_t value;
	FILE *file = fopen("/proc/swaps", "re");

	*sum = 0;
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%*s %*s %*u %" SCNu64, &value) == 1)
			*sum += value;
	if (file)
		fclose(file);
	return file;
}

bool swap_gap(int64_t *kib)
{
	static const char *const names[] = { "SwapTotal", "SwapFree" };
	struct kernel_counters figures = { 0 };
	uint64_t total, left, used;

	read_lines(&figures, "", "/proc/meminfo", names, SIZE(names));
	if (!figure_value(&figures, "SwapTotal", &total) || !figure_value(&figures, "SwapFree", &left) || !used_kib(&used))
		return false;
	*kib = (int64_t)(total - left - used);
	return true;
}
