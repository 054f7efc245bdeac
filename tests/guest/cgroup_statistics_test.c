// SPDX-License-Identifier: GPL-2.0-or-later
/* What memory.stat lacks of pages that are there. */
#include "accounting.h"
#include "check.h"
#include "fake_kernel.h"

#define CGROUP "/sys/fs/cgroup/workload"
#define HELD (256 * (uint64_t)PAGE)

static struct kernel_counters figures;

static bool all_counted(void)
{
	const bool anon = held_pages_are_counted(&figures, "anon", HELD), file = held_pages_are_counted(&figures, "file", HELD);

	return held_pages_are_counted(&figures, "shmem", HELD) && anon && file;
}

static bool looked_at(const char *text)
{
	memset(shared, 0, sizeof(*shared));
	memset(&figures, 0, sizeof(figures));
	strcpy(shared->cgroup, CGROUP);
	kernel_file(CGROUP "/memory.stat", text);
	return all_counted();
}

/* -1: there is none of that name. */
static long long lack_of(const char *name)
{
	uint64_t value;

	return figure_value(&figures, name, &value) ? (long long)value : -1;
}

static void more_than_is_held_is_nothing_that_lacks(void)
{
	char text[200];

	snprintf(text, sizeof(text), "anon %llu\nfile %llu\nkernel 0\nshmem %llu\nfile_mapped 0\n", 9ull * HELD, 1ull * HELD, 1ull * HELD);
	CHECK(looked_at(text));
	CHECK_NUMBER(lack_of("cgroup.stat_lacks.anon"), 0);
	CHECK_NUMBER(lack_of("cgroup.stat_lacks.file"), 0);
	CHECK_NUMBER(lack_of("cgroup.stat_lacks.shmem"), 0);
	CHECK_NUMBER(figures.count, 3);
}

/* As the kernel shows what is below zero. */
static void a_count_of_zero_lacks_all_of_it(void)
{
	char text[200];

	snprintf(text, sizeof(text), "anon %llu\nfile 0\nshmem %llu\n", 1ull * HELD, 1ull * HELD);
	CHECK(!looked_at(text));
	CHECK_NUMBER(lack_of("cgroup.stat_lacks.anon"), 0);
	CHECK_NUMBER(lack_of("cgroup.stat_lacks.file"), HELD);
	CHECK_NUMBER(lack_of("cgroup.stat_lacks.shmem"), 0);
}

static void what_a_cpu_may_have_to_itself_does_not_lack(void)
{
	char text[200];

	snprintf(text, sizeof(text), "file %llu\n", (unsigned long long)(HELD - 32 * (uint64_t)PAGE));
	CHECK(looked_at(text));
	snprintf(text, sizeof(text), "file %llu\n", (unsigned long long)(HELD - 33 * (uint64_t)PAGE));
	CHECK(!looked_at(text));
	CHECK_NUMBER(lack_of("cgroup.stat_lacks.file"), 33 * PAGE);
}

/* The figure is that of the last look. */
static void a_second_look_is_the_one_that_counts(void)
{
	char text[200];

	CHECK(!looked_at("file 0\n"));
	snprintf(text, sizeof(text), "file %llu\n", 2ull * HELD);
	kernel_file(CGROUP "/memory.stat", text);
	CHECK(all_counted());
	CHECK_NUMBER(lack_of("cgroup.stat_lacks.file"), 0);
	CHECK_NUMBER(figures.count, 1);
}

static void without_cgroup_v2_there_is_no_figure_but_the_reason(void)
{
	memset(shared, 0, sizeof(*shared));
	memset(&figures, 0, sizeof(figures));
	held_pages_read(&figures, false);
	held_pages_read(&figures, true);
	CHECK_NUMBER(figures.count, 0);
	CHECK_TEXT(shared->figures_lacking[0].name, "cgroup.stat_lacks.");
}

int main(void)
{
	shared_new();
	RUN(more_than_is_held_is_nothing_that_lacks);
	RUN(a_count_of_zero_lacks_all_of_it);
	RUN(what_a_cpu_may_have_to_itself_does_not_lack);
	RUN(a_second_look_is_the_one_that_counts);
	RUN(without_cgroup_v2_there_is_no_figure_but_the_reason);
	return check_result();
}
