// SPDX-License-Identifier: GPL-2.0-or-later
/* Mappings with an oracle, on the host's kernel: after each call the pages hold what the oracle says. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "area.h"
#include "check.h"
#include "fake_kernel.h"
#include "paging.h"
#include "shared.h"

#define PAGES 8

static struct area area;

static void start_anew(enum area_kind kind)
{
	memset(shared, 0, sizeof(*shared));
	shared->seed = 7;
	/* So that any range is one mapping. */
	kernel_file("/proc/self/maps", "0-ffffffffffffffff rw-p\n");
	area_new(&area, kind, 1, PAGES, -1);
	for (size_t page = 0; page < PAGES; page++)
		area_write(&area, page, 0);
}

static void check_all(enum holds first, enum holds last)
{
	area_verify_all(&area);
	CHECK_NUMBER(shared->mismatches_total, 0);
	CHECK_NUMBER(shared->errors_count, 0);
	CHECK(oracle_holds(&area.oracle, 0) == first);
	CHECK(oracle_holds(&area.oracle, PAGES - 1) == last);
}

static void dropped_pages_are_zeros_in_memory_and_in_files(void)
{
	for (enum area_kind kind = AREA_SMALL; kind < AREA_KINDS; kind++) {
		start_anew(kind);
		area_drop(&area, 0, PAGES / 2);
		check_all(HOLDS_ZEROS, HOLDS_RECORD);
	}
}

static void zeros_that_are_written_are_zeros(void)
{
	for (enum area_kind kind = AREA_SMALL; kind < AREA_KINDS; kind++) {
		start_anew(kind);
		area_clear(&area, 0);
		check_all(HOLDS_ZEROS, HOLDS_RECORD);
		area_write(&area, 0, 0);
		check_all(HOLDS_RECORD, HOLDS_RECORD);
	}
}

static void freed_pages_are_either_and_what_was_zeros_stays_so(void)
{
	start_anew(AREA_SMALL);
	area_drop(&area, 0, 1);
	area_free(&area, 0, PAGES);
	CHECK(oracle_holds(&area.oracle, 0) == HOLDS_ZEROS);
	CHECK(oracle_holds(&area.oracle, 1) == HOLDS_EITHER);
	area_verify_all(&area);
	CHECK_NUMBER(shared->mismatches_total, 0);
}

static void memory_that_is_mapped_anew_is_zeros_and_a_file_is_what_it_was(void)
{
	start_anew(AREA_SMALL);
	area_renew(&area);
	check_all(HOLDS_ZEROS, HOLDS_ZEROS);
	start_anew(AREA_FILE);
	area_renew(&area);
	check_all(HOLDS_RECORD, HOLDS_RECORD);
}

static void pages_go_with_their_mapping(void)
{
	for (int leave = 0; leave < 2; leave++)
		for (enum area_kind kind = AREA_SMALL; kind < AREA_KINDS; kind++) {
			const uint8_t *before;

			start_anew(kind);
			before = area.base;
			CHECK(area_shift(&area, leave));
			CHECK(area.base != before);
			check_all(HOLDS_RECORD, HOLDS_RECORD);
		}
}

static void every_second_shift_is_across_the_border_of_a_page_table(void)
{
	for (unsigned int i = 0; i < 4; i++) {
		if (!i)
			start_anew(AREA_LARGE);
		CHECK(area_shift(&area, false));
		CHECK_NUMBER((uintptr_t)area_page(&area, i % 2 ? 0 : PAGES / 2) % HUGE_ALIGN, 0);
		check_all(HOLDS_RECORD, HOLDS_RECORD);
	}
	start_anew(AREA_HUGE);
	CHECK(area_shift(&area, false));
	CHECK_NUMBER((uintptr_t)area.base % HUGE_ALIGN, 0);
}

static void what_comes_back_beside_untouched_memory_is_as_it_was_and_where_it_was(void)
{
	for (int before = 0; before < 2; before++)
		for (enum area_kind kind = AREA_SMALL; kind <= AREA_PRIVATE; kind++) {
			const uint8_t *home;

			start_anew(kind);
			home = area.base;
			CHECK(area_return(&area, before));
			CHECK(area.base == home);
			CHECK_NUMBER(area.remaps % 2, 0);
			check_all(HOLDS_RECORD, HOLDS_RECORD);
			/* Nothing is left of what was beside it. */
			CHECK(mprotect((uint8_t *)home - PAGE, PAGE, PROT_READ));
			CHECK(mprotect((uint8_t *)home + area.length, PAGE, PROT_READ));
		}
}

static void who_comes_back_leaves_alone_what_is_beside_its_place(void)
{
	uint8_t *neighbour;

	start_anew(AREA_SMALL);
	neighbour = mmap(area.base - PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(neighbour == area.base - PAGE);
	neighbour[0] = 1;
	CHECK(area_return(&area, true));
	CHECK_NUMBER(neighbour[0], 1);
	check_all(HOLDS_RECORD, HOLDS_RECORD);
	munmap(neighbour, PAGE);
}

static void a_mapping_in_pieces_is_not_shifted(void)
{
	start_anew(AREA_SMALL);
	kernel_forget("/proc/self/maps");
	CHECK(!area_shift(&area, false));
	CHECK(!area_recut(&area, 1));
	CHECK(!area_return(&area, false));
	check_all(HOLDS_RECORD, HOLDS_RECORD);
}

static void what_is_cut_off_comes_back_as_zeros(void)
{
	start_anew(AREA_SMALL);
	CHECK(area_recut(&area, PAGES / 2));
	check_all(HOLDS_RECORD, HOLDS_ZEROS);
	CHECK(!area_recut(&area, PAGES));
}

/* Zeros over data that zswap may have a copy of would find a bug that has a workload of its own. */
static void zeros_are_written_to_pages_that_were_dropped(void)
{
	const size_t page = 7;
	struct identity next;
	uint32_t ticket;

	start_anew(AREA_SMALL);
	for (next = oracle_next(&area.oracle, page); !record_is_zero(&next); next = oracle_next(&area.oracle, page))
		area_write(&area, page, 0);
	/* One change is two steps of the ticket: dropped, and written. */
	ticket = oracle_ticket(&area.oracle, page);
	area_write(&area, page, 0);
	CHECK_NUMBER(oracle_ticket(&area.oracle, page) - ticket, 4);
	area_write(&area, page, 0);
	CHECK_NUMBER(oracle_ticket(&area.oracle, page) - ticket, 6);
	check_all(HOLDS_RECORD, HOLDS_RECORD);
}

/* Twice: at some generations one of these pages is zeros. */
static void what_is_written_by_way_of_a_pin_is_there(void)
{
	for (enum area_kind kind = AREA_SMALL; kind < AREA_KINDS; kind++) {
		start_anew(kind);
		area_drop(&area, 0, 1);
		for (unsigned int i = 0; i < 2; i++) {
			const uint32_t written = area.oracle.expected[1].written;

			area_write_pinned(&area, 0, PAGES);
			CHECK_NUMBER(area.oracle.expected[1].written, written + 1);
			check_all(HOLDS_RECORD, HOLDS_RECORD);
		}
	}
}

static void a_write_by_way_of_a_pin_that_fails_is_an_error(void)
{
	start_anew(AREA_SMALL);
	CHECK(!mprotect(area.base, area.length, PROT_READ));
	area_write_pinned(&area, 0, 1);
	CHECK_NUMBER(shared->errors_count, 1);
	CHECK_TEXT(shared->errors[0].call, "process_vm_writev");
}

static void a_file_that_is_cut_is_zeros_from_there_on_however_it_is_mapped(void)
{
	for (enum area_kind kind = AREA_SMALL; kind < AREA_KINDS; kind++) {
		if (!(CUTTABLE & 1u << kind))
			continue;
		start_anew(kind);
		area_cut(&area, PAGES / 2);
		check_all(HOLDS_RECORD, HOLDS_ZEROS);
		area_cut(&area, 0);
		check_all(HOLDS_ZEROS, HOLDS_ZEROS);
	}
}

static void a_hole_in_its_file_leaves_what_was_written_to_a_private_mapping(void)
{
	start_anew(AREA_PRIVATE);
	area_drop(&area, 0, 1);
	area_punch_below(&area, 0, PAGES);
	check_all(HOLDS_ZEROS, HOLDS_RECORD);
}

static void a_private_mapping_writes_nothing_to_its_file(void)
{
	uint8_t read[16];

	start_anew(AREA_PRIVATE);
	CHECK_NUMBER(pread(area.fd, read, sizeof(read), 0), sizeof(read));
	for (size_t i = 0; i < sizeof(read); i++)
		CHECK_NUMBER(read[i], 0);
	area_renew(&area);
	check_all(HOLDS_ZEROS, HOLDS_ZEROS);
}

static void what_was_written_to_a_file_is_no_hole(void)
{
	for (enum area_kind kind = AREA_FILE; kind < AREA_KINDS; kind++) {
		start_anew(kind);
		area_drop(&area, 2, 1);
		area_seek(&area);
		check_all(HOLDS_RECORD, HOLDS_RECORD);
		/* Behind the oracle's back. */
		CHECK(!fallocate(area.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4 * PAGE, PAGE));
		area_seek(&area);
		CHECK_NUMBER(shared->mismatches_total, 1);
		CHECK_NUMBER(shared->mismatches[0].page, 4);
	}
}

static void a_file_has_the_blocks_of_its_pages(void)
{
	for (enum area_kind kind = AREA_FILE; kind < AREA_KINDS; kind++) {
		start_anew(kind);
		area_drop(&area, 0, PAGES);
		area_verify_blocks(&area);
		CHECK_NUMBER(shared->mismatches_total, 0);
		/* More than it should have: not what a mapping of it can do. */
		CHECK(!fallocate(area.fd, FALLOC_FL_KEEP_SIZE, (off_t)area.length, (off_t)HUGE_ALIGN));
		area_verify_blocks(&area);
		CHECK_NUMBER(shared->mismatches_total, 1);
	}
}

static void a_child_has_pages_of_its_own_of_all_but_shared_files(void)
{
	const struct oracle snapshot = oracle_new(2, PAGES);

	for (enum area_kind kind = AREA_SMALL; kind < AREA_KINDS; kind++) {
		start_anew(kind);
		CHECK((area_of_child(&area, &snapshot).oracle.region == 2) == (kind < AREA_KINDS_OWN));
	}
}

static void others_see_what_the_owner_wrote(void)
{
	start_anew(AREA_SMALL);
	for (size_t page = 0; page < PAGES; page++)
		CHECK(area_look(&area, page, true) == LOOK_GOOD);
	*(uint64_t *)area_page(&area, 2) += 1;
	CHECK(area_look(&area, 2, true) == LOOK_BAD);
}

static void others_judge_nothing_that_is_not_to_be_read(void)
{
	start_anew(AREA_SMALL);
	CHECK(!mprotect(area.base, area.length, PROT_NONE));
	CHECK(area_look(&area, 0, true) == LOOK_RACED);
	atomic_fetch_add(&area.remaps, 1);
	CHECK(!mprotect(area.base, area.length, PROT_READ | PROT_WRITE));
	CHECK(area_look(&area, 0, true) == LOOK_RACED);
	CHECK_NUMBER(shared->errors_count, 0);
}

static void a_history_keeps_what_was_last(void)
{
	start_anew(AREA_SMALL);
	for (size_t i = 0; i < 100; i++)
		area_note(&area, "pageout", i, 3);
	CHECK(strlen(area.history) < sizeof(area.history));
	CHECK(strstr(area.history, "pageout(99+3)"));
	CHECK(!strstr(area.history, "pageout(0+3)"));
}

int main(void)
{
	shared_new();
	RUN(dropped_pages_are_zeros_in_memory_and_in_files);
	RUN(zeros_that_are_written_are_zeros);
	RUN(freed_pages_are_either_and_what_was_zeros_stays_so);
	RUN(memory_that_is_mapped_anew_is_zeros_and_a_file_is_what_it_was);
	RUN(pages_go_with_their_mapping);
	RUN(every_second_shift_is_across_the_border_of_a_page_table);
	RUN(what_comes_back_beside_untouched_memory_is_as_it_was_and_where_it_was);
	RUN(who_comes_back_leaves_alone_what_is_beside_its_place);
	RUN(a_mapping_in_pieces_is_not_shifted);
	RUN(what_is_cut_off_comes_back_as_zeros);
	RUN(zeros_are_written_to_pages_that_were_dropped);
	RUN(what_is_written_by_way_of_a_pin_is_there);
	RUN(a_write_by_way_of_a_pin_that_fails_is_an_error);
	RUN(a_file_that_is_cut_is_zeros_from_there_on_however_it_is_mapped);
	RUN(a_hole_in_its_file_leaves_what_was_written_to_a_private_mapping);
	RUN(a_private_mapping_writes_nothing_to_its_file);
	RUN(what_was_written_to_a_file_is_no_hole);
	RUN(a_file_has_the_blocks_of_its_pages);
	RUN(a_child_has_pages_of_its_own_of_all_but_shared_files);
	RUN(others_see_what_the_owner_wrote);
	RUN(others_judge_nothing_that_is_not_to_be_read);
	RUN(a_history_keeps_what_was_last);
	return check_result();
}
