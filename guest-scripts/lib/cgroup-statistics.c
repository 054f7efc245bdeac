// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memory.stat of the load's cgroup. The kernel shows a count below zero as 0 (memcg_page_state()): one that has lost pages looks like that of
 * a cgroup that has none. So a process in the cgroup gets some pages, in memory or in the swap cache, and then each count that they are part of
 * has to say as much at least.
 */
#define _GNU_SOURCE

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "accounting.h"
#include "paging.h"
#include "textfile.h"

/* Each is two changes: twice as many as eight CPUs may have. */
#define STIRS 512
#define HELD_PAGES 256
/* What CPUs count while the file is read. */
#define UNCOUNTED_PAGES 32
#define LACKS "cgroup.stat_lacks."
#define SETTLE_NS 5000000000ull
#define PAUSE 50000

/* Fewer pages in the swap cache say nothing. */
#define CACHED_LEAST 64

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

/* True in a new process; in the old one, false once that has ended. */
static bool in_a_child(void)
{
	const pid_t child = fork();

	if (child > 0)
		waitpid(child, NULL, 0);
	return !child;
}

/*
 * A read of memory.stat takes the counts of all CPUs into account only when there are more than 64 changes to each of them
 * (memcg_vmstats_needs_flush()), or else what was so two seconds ago: so here are some, in a process that goes at once.
 */
void cgroup_stir(void)
{
	if (!shared->cgroup[0] || !in_a_child())
		return;
	if (enter_cgroup())
		touch_page(STIRS);
	_exit(0);
}

static uint64_t lacking(uint64_t has, uint64_t needs)
{
	return has + UNCOUNTED_PAGES * (uint64_t)PAGE < needs ? needs - has : 0;
}

bool held_pages_are_counted(struct kernel_counters *figures, const char *count, uint64_t bytes)
{
	char path[300], line[256], word[NAME_SIZE], name[NAME_SIZE * 2];
	uint64_t value;
	bool counted = true;
	FILE *file;

	snprintf(path, sizeof(path), "%s/memory.stat", shared->cgroup);
	snprintf(name, sizeof(name), LACKS "%s", count);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%40s %" SCNu64, word, &value) != 2 || strcmp(word, count))
			continue;
		figure_remove(figures, name);
		figure_add(figures, name, lacking(value, bytes));
		counted = !lacking(value, bytes);
	}
	if (file)
		fclose(file);
	return counted;
}

static bool all_are_counted(struct kernel_counters *figures, uint64_t bytes)
{
	bool all = true;

	for (size_t i = 0; i < COUNTS_SIZE; i++)
		all &= held_pages_are_counted(figures, COUNTS[i], bytes);
	return all;
}

/* NULL: there are none, or the process is not in the cgroup. */
static char *get_pages(int how)
{
	const size_t length = HELD_PAGES * (size_t)PAGE;
	char *const memory = mmap(NULL, length, PROT_READ | PROT_WRITE, how | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || !enter_cgroup()) {
		figure_lacking(LACKS, "no process with pages in the cgroup: %m");
		return NULL;
	}
	memset(memory, 1, length);
	return memory;
}

static void hold_in_memory(struct kernel_counters *figures)
{
	const uint64_t end = now_ns() + SETTLE_NS;

	if (!get_pages(MAP_PRIVATE) || !get_pages(MAP_SHARED))
		return;
	for (;;) {
		touch_page(STIRS);
		if (all_are_counted(figures, HELD_PAGES * (uint64_t)PAGE) || now_ns() > end)
			return;
		sleep_us(PAUSE);
	}
}

/* Swapped out, and resident by mincore() all the same. */
static size_t pages_in_swap_cache(const char *memory)
{
	unsigned char resident[HELD_PAGES];
	size_t pages = 0;

	if (mincore((void *)memory, HELD_PAGES * (size_t)PAGE, resident))
		return 0;
	for (size_t page = 0; page < HELD_PAGES; page++)
		pages += resident[page] & 1 && pagemap_word(memory + page * PAGE) & PAGEMAP_SWAPPED;
	return pages;
}

/* They stay there once they have been written, until somebody reclaims them. */
static void hold_in_swap_cache(struct kernel_counters *figures)
{
	const uint64_t end = now_ns() + SETTLE_NS;
	char *const memory = get_pages(MAP_PRIVATE);

	if (!memory || madvise(memory, HELD_PAGES * (size_t)PAGE, MADV_PAGEOUT))
		return;
	for (;;) {
		size_t cached;

		touch_page(STIRS);
		cached = pages_in_swap_cache(memory);
		if (cached < CACHED_LEAST || held_pages_are_counted(figures, "swapcached", cached * PAGE))
			return;
		/* Some may have left before the count was read. */
		if (now_ns() > end && pages_in_swap_cache(memory) == cached)
			return;
		sleep_us(PAUSE);
	}
}

/* v1 says of its cgroups what is in the cgroup alone, by other names. */
static bool has_statistics(void)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/memory.current", shared->cgroup);
	if (shared->cgroup[0] && !access(path, F_OK))
		return true;
	figure_lacking(LACKS, "the load has no memory cgroup of v2");
	return false;
}

void held_pages_read(struct kernel_counters *figures, bool swapped)
{
	if (!has_statistics() || !in_a_child())
		return;
	if (swapped)
		hold_in_swap_cache(figures);
	else
		hold_in_memory(figures);
	_exit(0);
}
