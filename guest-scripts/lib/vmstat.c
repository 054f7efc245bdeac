// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's own counters. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared.h"
#include "textfile.h"

#define ZSWAP_FILES "/sys/kernel/debug/zswap"
#define LARGE_FILES "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/stats"
#define SIZE(array) (sizeof(array) / sizeof((array)[0]))

static const char *const VMSTAT[] = {
	"pswpin",   "pswpout", "swap_ra",	     "swap_ra_hit",	   "swpin_zero",  "swpout_zero", "zswpin",
	"zswpout",  "zswpwb",  "thp_swpout",	     "thp_swpout_fallback", "pgfault",	  "pgmajfault",	 "pgsteal_proactive",
	"oom_kill", "pgmigrate_success",
	"pgsteal_kswapd", "pgsteal_direct", "workingset_refault_anon", "workingset_refault_file",
	"thp_fault_alloc", "thp_collapse_alloc", "thp_split_pmd", "thp_zero_page_alloc",
};

static const char *const ZSWAP[] = {
	"written_back_pages", "reject_reclaim_fail", "pool_limit_hit", "stored_pages",
};

/* Of the folios of 64 KiB. */
static const char *const LARGE[] = {
	"swpin", "swpin_fallback", "swpout", "swpout_fallback", "shmem_alloc", "shmem_fallback", "split", "split_failed",
};

/* Of large folios of any size: that somebody got one, or that one was swapped as a whole. */
static const char *const FOLIOS[] = { "anon_fault_alloc", "shmem_alloc", "swpin", "swpout" };

static void add(struct kernel_counters *counters, const char *prefix, const char *name, uint64_t value)
{
	char full[NAME_SIZE];

	snprintf(full, sizeof(full), "%s%s", prefix, name);
	for (unsigned int i = 0; i < counters->count; i++)
		if (!strcmp(counters->of[i].name, full)) {
			counters->of[i].value += value;
			return;
		}
	if (counters->count == sizeof(counters->of) / sizeof(counters->of[0]))
		return;
	strcpy(counters->of[counters->count].name, full);
	counters->of[counters->count++].value = value;
}

static void read_vmstat(struct kernel_counters *counters)
{
	char name[NAME_SIZE];
	uint64_t value;
	FILE *file = fopen("/proc/vmstat", "re");

	while (file && fscanf(file, "%63s %" SCNu64, name, &value) == 2)
		for (size_t i = 0; i < SIZE(VMSTAT); i++)
			if (!strcmp(VMSTAT[i], name))
				add(counters, "", name, value);
	if (file)
		fclose(file);
}

/* Read requests that a device has served, summed by kind: which of two devices the pages came from. */
static void read_device(struct kernel_counters *counters, const struct shared_device *device)
{
	const char *slash = strrchr(device->path, '/');
	char path[128], name[NAME_SIZE + 8];
	uint64_t reads;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/block/%s/stat", slash ? slash + 1 : device->path);
	file = fopen(path, "re");
	if (!file)
		return;
	snprintf(name, sizeof(name), "reads.%.50s", device->kind);
	if (fscanf(file, "%" SCNu64, &reads) == 1)
		add(counters, "", name, reads);
	fclose(file);
}

static void read_files(struct kernel_counters *counters, const char *folder, const char *prefix,
		       const char *const *names, size_t count)
{
	char path[128];
	uint64_t value;
	FILE *file;

	for (size_t i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		file = fopen(path, "re");
		if (file && fscanf(file, "%" SCNu64, &value) == 1)
			add(counters, prefix, names[i], value);
		if (file)
			fclose(file);
	}
}

static bool is_there(const struct kernel_counters *counters, const char *name)
{
	for (unsigned int i = 0; i < counters->count; i++)
		if (!strcmp(counters->of[i].name, name))
			return true;
	return false;
}

static void note_lacking(const struct kernel_counters *counters, const char *place, const char *prefix,
			 const char *const *names, size_t count)
{
	char full[NAME_SIZE];

	for (size_t i = 0; i < count; i++) {
		snprintf(full, sizeof(full), "%s%s", prefix, names[i]);
		if (!is_there(counters, full))
			counter_lacking(full, "%s has no %s", place, names[i]);
	}
}

void kernel_counters_lacking(const struct kernel_counters *counters)
{
	note_lacking(counters, "/proc/vmstat", "", VMSTAT, SIZE(VMSTAT));
	note_lacking(counters, ZSWAP_FILES, "zswap.", ZSWAP, SIZE(ZSWAP));
	note_lacking(counters, LARGE_FILES, "large.", LARGE, SIZE(LARGE));
}

/* All in one: where there are no large folios none of the files is there. */
static void read_large_folios(struct kernel_counters *counters)
{
	const uint64_t largest = (uint64_t)PAGE * (PAGE / 8) / 1024;
	char path[128];

	for (uint64_t kib = 2 * PAGE / 1024; kib <= largest; kib *= 2)
		for (size_t i = 0; i < sizeof(FOLIOS) / sizeof(FOLIOS[0]); i++) {
			snprintf(path, sizeof(path), "/sys/kernel/mm/transparent_hugepage/hugepages-%" PRIu64 "kB/stats/%s", kib,
				 FOLIOS[i]);
			if (!access(path, R_OK))
				add(counters, "", "large_folios", number_in(path));
		}
}

void kernel_counters_read(struct kernel_counters *counters)
{
	counters->count = 0;
	read_vmstat(counters);
	for (unsigned int i = 0; i < shared->devices_count; i++)
		read_device(counters, &shared->devices[i]);
	read_files(counters, ZSWAP_FILES, "zswap.", ZSWAP, SIZE(ZSWAP));
	read_files(counters, LARGE_FILES, "large.", LARGE, SIZE(LARGE));
	read_large_folios(counters);
}
