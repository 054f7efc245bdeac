// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memory.stat of the load's cgroup. The kernel shows a count below zero as 0 (memcg_page_state()): one that has lost pages looks like that of
 * a cgroup that has none. So a process in the cgroup gets some pages, and then each count that they are part of has to say as much at least.
 */
#define _GNU_SOURCE

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "accounting.h"
#include "textfile.h"

/* Each is two changes: twice as many as eight CPUs may have. */
#define STIRS 512
#define HELD_PAGES 256
/* What CPUs count while the file is read. */
#define UNCOUNTED_PAGES 32
#define LACKS "cgroup.stat_lacks."
#define SETTLE_NS 5000000000ull
#define PAUSE 50000

/* Anonymous pages are in the first one, those of a memory file in the others (cgroup-v2.rst). */
static const char *const COUNTS[] = { "anon", "file", "shmem" };
#define COUNTS_SIZE (sizeof(COUNTS) / sizeof(COUNTS[0]))

/* The same page again and again: the cgroup may be at its limit. */
static void touch_page(unsigned int times)
{
	char *const memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return;
	for (unsigned int i = 0; i < times; i++) {
		*(volatile char *)memory = 1;
		madvise(memory, PAGE, MADV_DONTNEED);
	}
	munmap(memory, PAGE);
}

static bool enter_cgroup(void)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/cgroup.procs", shared->cgroup);
	return put_text(path, "0");
}

/*
 * A read of memory.stat takes the counts of all CPUs into account only when there are more than 64 changes to each of them
 * (memcg_vmstats_needs_flush()), or else what was so two seconds ago: so here are some, in a process that goes at once.
 */
void cgroup_stir(void)
{
	pid_t child;

	if (!shared->cgroup[0])
		return;
	child = fork();
	if (child > 0)
		waitpid(child, NULL, 0);
	if (child)
		return;
	if (enter_cgroup())
		touch_page(STIRS);
	_exit(0);
}

static uint64_t lacking(uint64_t has, uint64_t needs)
{
	return has + UNCOUNTED_PAGES * (uint64_t)PAGE < needs ? needs - has : 0;
}

bool held_pages_are_counted(struct kernel_counters *figures, uint64_t bytes)
{
	char path[300], line[256], word[NAME_SIZE], name[NAME_SIZE];
	uint64_t value;
	bool all = true;
	FILE *file;

	snprintf(path, sizeof(path), "%s/memory.stat", shared->cgroup);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%40s %" SCNu64, word, &value) != 2)
			continue;
		for (size_t i = 0; i < COUNTS_SIZE; i++) {
			if (strcmp(word, COUNTS[i]))
				continue;
			snprintf(name, sizeof(name), LACKS "%s", COUNTS[i]);
			figure_remove(figures, name);
			figure_add(figures, name, lacking(value, bytes));
			all &= !lacking(value, bytes);
		}
	}
	if (file)
		fclose(file);
	return all;
}

static void hold_pages(struct kernel_counters *figures)
{
	const size_t length = HELD_PAGES * (size_t)PAGE;
	const uint64_t end = now_ns() + SETTLE_NS;
	char *const own = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *const of_file = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (own == MAP_FAILED || of_file == MAP_FAILED || !enter_cgroup()) {
		figure_lacking(LACKS, "no process with pages in the cgroup: %m");
		return;
	}
	memset(own, 1, length);
	memset(of_file, 1, length);
	for (;;) {
		touch_page(STIRS);
		if (held_pages_are_counted(figures, length) || now_ns() > end)
			return;
		sleep_us(PAUSE);
	}
}

/* v1 says of its cgroups what is in the cgroup alone, by other names. */
void held_pages_read(struct kernel_counters *figures)
{
	char path[300];
	pid_t child;

	snprintf(path, sizeof(path), "%s/memory.current", shared->cgroup);
	if (!shared->cgroup[0] || access(path, F_OK)) {
		figure_lacking(LACKS, "the load has no memory cgroup of v2");
		return;
	}
	child = fork();
	if (child > 0)
		waitpid(child, NULL, 0);
	if (child)
		return;
	hold_pages(figures);
	_exit(0);
}
