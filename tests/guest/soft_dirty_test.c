// SPDX-License-Identifier: GPL-2.0-or-later
/* What was written since the bits were cleared has to be seen as written; the test is the kernel that says so, or not. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "area.h"
#include "check.h"
#include "fake_kernel.h"
#include "paging.h"
#include "shared.h"
#include "soft-dirty.h"

#define PAGES 4
#define CLEAR_REFS "/proc/self/clear_refs"
/* Where the tests' kernel has it (fake_kernel.c). A few bytes at a place that an address says. */
#define PAGEMAP "./kernel/proc/self/pagemap"

static struct area area;

static void set_word(const void *address, uint64_t word)
{
	const int fd = open(PAGEMAP, O_RDWR);

	CHECK(pwrite(fd, &word, sizeof(word), (uintptr_t)address / PAGE * sizeof(word)) == sizeof(word));
	close(fd);
}

static void set_words(uint64_t word)
{
	for (size_t page = 0; page < PAGES; page++)
		set_word(area_page(&area, page), word);
}

static void start_anew(void)
{
	memset(shared, 0, sizeof(*shared));
	shared->seed = 7;
	kernel_file(CLEAR_REFS, "");
	area_new(&area, AREA_SMALL, 1, PAGES, -1);
	set_words(PAGEMAP_PRESENT);
}

static uint64_t mismatches(void)
{
	soft_dirty_check(&area, 0, PAGES);
	return shared->mismatches_total;
}

static void a_kernel_without_the_bit_is_asked_nothing(void)
{
	start_anew();
	set_word(shared, PAGEMAP_PRESENT);
	soft_dirty_clear();
	CHECK_NUMBER(soft_dirty_round(), 0);
	CHECK(!strcmp(kernel_text(CLEAR_REFS), ""));
	area_write(&area, 0, 0);
	CHECK_NUMBER(mismatches(), 0);
	set_word(shared, PAGEMAP_PRESENT | PAGEMAP_SOFT_DIRTY);
}

static void the_bits_are_cleared_and_what_was_written_before_may_be_clean(void)
{
	start_anew();
	area_write(&area, 0, 0);
	soft_dirty_clear();
	CHECK(!strcmp(kernel_text(CLEAR_REFS), "4"));
	CHECK(soft_dirty_round() && soft_dirty_round() % 2 == 0);
	CHECK_NUMBER(mismatches(), 0);
	CHECK_NUMBER(*counter("soft_dirty_clean_pages"), PAGES);
}

static void what_was_written_since_is_dirty(void)
{
	start_anew();
	soft_dirty_clear();
	area_write(&area, 1, 0);
	set_word(area_page(&area, 1), PAGEMAP_PRESENT | PAGEMAP_SOFT_DIRTY);
	CHECK_NUMBER(mismatches(), 0);
	set_word(area_page(&area, 1), PAGEMAP_SWAPPED | PAGEMAP_SOFT_DIRTY);
	CHECK_NUMBER(mismatches(), 0);
	CHECK_NUMBER(*counter("soft_dirty_and_mapped"), 1);
	CHECK_NUMBER(*counter("soft_dirty_and_swapped"), 1);
}

static void what_was_written_and_is_clean_is_reported(void)
{
	start_anew();
	soft_dirty_clear();
	area_write(&area, 1, 0);
	set_word(area_page(&area, 1), PAGEMAP_SWAPPED);
	CHECK_NUMBER(mismatches(), 1);
	CHECK(shared->mismatches[0].page == 1);
	CHECK(strstr(shared->mismatches[0].seen, "pagemap 0x4000000000000000; kind 0"));
}

static void what_was_dropped_may_be_anything(void)
{
	start_anew();
	soft_dirty_clear();
	area_write(&area, 1, 0);
	area_drop(&area, 1, 1);
	CHECK_NUMBER(mismatches(), 0);
}

static void a_record_that_was_moved_is_new_where_it_is_now(void)
{
	start_anew();
	area_write(&area, 1, 0);
	soft_dirty_clear();
	oracle_begin(&area.oracle, 1, 2);
	oracle_end_moved(&area.oracle, 2, &area.oracle, 1);
	CHECK_NUMBER(mismatches(), 1);
	CHECK(shared->mismatches[0].page == 2);
}

static void a_write_that_began_before_the_bits_were_cleared_may_be_clean(void)
{
	start_anew();
	oracle_begin(&area.oracle, 1, 1);
	soft_dirty_clear();
	oracle_end_written(&area.oracle, 1);
	CHECK_NUMBER(mismatches(), 0);
}

/* The tests' kernel has no word for pages that nobody has set: to it they are clean. */
static uint64_t mismatches_of_new_memory(const char *release)
{
	start_anew();
	kernel_file("/proc/sys/kernel/osrelease", release);
	set_word(shared, PAGEMAP_PRESENT | PAGEMAP_SOFT_DIRTY);
	soft_dirty_clear();
	soft_dirty_check_new();
	return shared->mismatches_total;
}

static void new_memory_that_is_clean_is_reported(void)
{
	CHECK_NUMBER(mismatches_of_new_memory("6.19.0-rc1\n"), 4);
	CHECK(shared->mismatches[0].page == 4);
	CHECK(strstr(shared->mismatches[0].promise, "always marks new memory regions"));
	CHECK_NUMBER(mismatches_of_new_memory("7.0.1\n"), 4);
}

static void older_kernels_may_lose_the_bit_of_new_memory(void)
{
	CHECK_NUMBER(mismatches_of_new_memory("6.18.15\n"), 0);
	CHECK_NUMBER(mismatches_of_new_memory("unreadable\n"), 0);
}

int main(void)
{
	shared_new();
	kernel_file("/proc/self/pagemap", "");
	RUN(a_kernel_without_the_bit_is_asked_nothing);
	RUN(the_bits_are_cleared_and_what_was_written_before_may_be_clean);
	RUN(what_was_written_since_is_dirty);
	RUN(what_was_written_and_is_clean_is_reported);
	RUN(what_was_dropped_may_be_anything);
	RUN(a_record_that_was_moved_is_new_where_it_is_now);
	RUN(a_write_that_began_before_the_bits_were_cleared_may_be_clean);
	RUN(new_memory_that_is_clean_is_reported);
	RUN(older_kernels_may_lose_the_bit_of_new_memory);
	return check_result();
}
