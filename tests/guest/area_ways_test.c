// SPDX-License-Identifier: GPL-2.0-or-later
/* Other ways to the pages of an area, on the host's kernel: the oracle is right after each, and what it sees wrong is reported. */
#include <sys/mman.h>
#include <unistd.h>

#include "area-ways.h"
#include "check.h"
#include "fake_kernel.h"
#include "paging.h"
#include "shared.h"

#define PAGES 8
#define SPLIT "/sys/kernel/debug/split_huge_pages"

static struct area area;

static void start_anew(enum area_kind kind)
{
	memset(shared, 0, sizeof(*shared));
	shared->seed = 7;
	kernel_file("/proc/self/maps", "0-ffffffffffffffff rw-p\n");
	area_new(&area, kind, 1, PAGES, -1);
	for (size_t page = 0; page < PAGES; page++)
		area_write(&area, page, 0);
}

static void check_all(void)
{
	area_verify_all(&area);
	CHECK_NUMBER(shared->mismatches_total, 0);
	CHECK_NUMBER(shared->errors_count, 0);
}

static uint64_t counted(const char *name)
{
	return *counter(name);
}

static void pages_are_written_by_a_debugger(void)
{
	/* Not a file of the fake kernel's. */
	kernel_file("/proc/self/mem", "");
	kernel_forget("/proc/self/mem");
	CHECK(!symlink("/proc/self/mem", "kernel/proc/self/mem"));
	for (enum area_kind kind = AREA_SMALL; kind < AREA_KINDS; kind++) {
		start_anew(kind);
		const uint64_t before = area.oracle.expected[2].written;

		area_poke(&area, 2, 4);
		CHECK(area.oracle.expected[2].written == before + 1);
		check_all();
		/* Dropped pages have to come first. */
		area_drop(&area, 0, PAGES);
		area_poke(&area, 0, PAGES);
		CHECK(oracle_holds(&area.oracle, 0) == HOLDS_RECORD);
		check_all();
		/* It can be written to by itself again. */
		area_write(&area, 3, 0);
		check_all();
	}
	kernel_forget("/proc/self/mem");
}

static void without_the_file_nothing_is_written(void)
{
	start_anew(AREA_SMALL);
	area_poke(&area, 0, PAGES);
	CHECK_NUMBER(area.oracle.expected[0].written, 1);
	check_all();
}

static void refused_pages_are_written_in_another_way(void)
{
	CHECK(!symlink("/dev/full", "kernel/proc/self/mem"));
	start_anew(AREA_SMALL);
	area_poke(&area, 0, 2);
	check_all();
	CHECK_NUMBER(counted("pokes_refused"), 2);
	CHECK_NUMBER(area.oracle.expected[0].written, 2);
	start_anew(AREA_FILE);
	area_poke(&area, 0, 1);
	CHECK_NUMBER(shared->errors_count, 1);
	kernel_forget("/proc/self/mem");
}

static void a_pipe_has_what_the_pages_held(void)
{
	for (enum area_kind kind = AREA_SMALL; kind < AREA_KINDS; kind++) {
		start_anew(kind);
		area_drop(&area, 1, 2);
		area_splice(&area, 0, PAGES);
		check_all();
		CHECK(counted("spliced_pages"));
	}
}

static void a_pipe_with_other_contents_is_reported(void)
{
	start_anew(AREA_SMALL);
	area_page(&area, 1)[100] ^= 1;
	area_page(&area, 0)[0] ^= 1;
	area_splice(&area, 0, 1);
	CHECK_NUMBER(shared->mismatches_total, 1);
}

static void freed_pages_in_a_pipe_may_be_either(void)
{
	start_anew(AREA_SMALL);
	area_free(&area, 0, PAGES);
	area_splice(&area, 0, PAGES);
	check_all();
}

static void report_smaps(const struct area *of, const char *more, unsigned int size, unsigned int resident, unsigned int swapped)
{
	char text[600];

	snprintf(text, sizeof(text),
		 "1000-2000 rw-p 0 0:0 0\nSize: 1 kB\nRss: 500 kB\nSwap: 500 kB\n"
		 "%lx-%lx rw-p 00000000 00:00 0 \nSize: %u kB\nRss: %u kB\nSwap: %u kB\nSwapPss: 900 kB\n%s",
		 (unsigned long)of->base, (unsigned long)(of->base + of->length), size, resident, swapped, more);
	kernel_file("/proc/self/smaps", text);
}

static void more_in_memory_and_swapped_than_mapped_is_reported(void)
{
	start_anew(AREA_SMALL);
	area_report(&area);
	report_smaps(&area, "", 32, 16, 16);
	area_report(&area);
	check_all();
	report_smaps(&area, "", 32, 20, 16);
	area_report(&area);
	CHECK_NUMBER(shared->mismatches_total, 1);
	CHECK_TEXT(shared->mismatches[0].seen, "Size 32 kB, Rss 20 kB, Swap 16 kB");
	kernel_forget("/proc/self/smaps");
}

static void less_in_memory_and_swapped_than_was_written_is_reported(void)
{
	const unsigned int all = (unsigned int)(PAGES * PAGE / 1024);

	start_anew(AREA_SMALL);
	report_smaps(&area, "", all, 0, all);
	area_report(&area);
	/* A page that may be zeros need not be anywhere. */
	area_free(&area, 0, 2);
	area_drop(&area, 2, 1);
	report_smaps(&area, "", all, 0, all - 3 * (unsigned int)(PAGE / 1024));
	area_report(&area);
	/* Of a larger mapping. */
	report_smaps(&area, "", 2 * all, 0, 0);
	area_report(&area);
	CHECK_NUMBER(shared->mismatches_total, 0);
	report_smaps(&area, "", all, 0, all - 4 * (unsigned int)(PAGE / 1024));
	area_report(&area);
	CHECK_NUMBER(shared->mismatches_total, 1);
	kernel_forget("/proc/self/smaps");
}

static void view_of_a_kernel(const char *release)
{
	/* Where the next mapping of this size will be. */
	uint8_t *const view = map_file(area.fd, area.length);
	char text[200];

	munmap(view, area.length);
	snprintf(text, sizeof(text), "%lx-%lx rw-s 00000000 00:00 0 \nShmemPmdMapped: 2048 kB\nFilePmdMapped: 0 kB\n", (unsigned long)view,
		 (unsigned long)(view + area.length));
	kernel_file("/proc/self/smaps", text);
	kernel_file("/proc/sys/kernel/osrelease", release);
	area_view(&area, 0, PAGES, false);
	kernel_forget("/proc/self/smaps");
}

static void another_mapping_of_a_file_has_its_pages_and_no_huge_page(void)
{
	start_anew(AREA_FILE_HUGE);
	if (madvise(area.base, area.length, MADV_NOHUGEPAGE))
		return; /* a host without huge pages */
	view_of_a_kernel("6.11.10-debian\n");
	check_all();
	view_of_a_kernel("6.12.0\n");
	CHECK_NUMBER(shared->mismatches_total, 1);
	CHECK_TEXT(shared->mismatches[0].seen, "FilePmdMapped 0 kB, ShmemPmdMapped 2048 kB");
	*(uint64_t *)area_page(&area, 0) += 1;
	area_view(&area, 0, 1, true);
	CHECK_NUMBER(shared->mismatches_total, 2);
}

static void a_kernel_that_splits_is_asked_to(void)
{
	struct rng rng = rng_stream(1, 1);
	char expected[120];

	start_anew(AREA_LARGE);
	CHECK(!area_split(&area, 0, 4, &rng));
	CHECK(!area_rebuild_of_pieces(&area, &rng));
	check_all();
	kernel_file(SPLIT, "");
	CHECK(area_split(&area, 1, 4, &rng));
	snprintf(expected, sizeof(expected), "%d,0x%lx,0x%lx,0,-1", getpid(), (unsigned long)area_page(&area, 1),
		 (unsigned long)area_page(&area, 5));
	CHECK_TEXT(kernel_text(SPLIT), expected);
	kernel_forget(SPLIT);
}

static void an_area_is_rebuilt_of_pieces_of_no_single_page_and_no_two(void)
{
	struct rng rng = rng_stream(2, 2);
	unsigned int order;

	for (unsigned int i = 0; i < 20; i++) {
		start_anew(i % 2 ? AREA_LARGE : AREA_HUGE);
		kernel_file(SPLIT, "");
		CHECK(area_rebuild_of_pieces(&area, &rng));
		CHECK(sscanf(kernel_text(SPLIT), "%*d,0x%*x,0x%*x,%u", &order) == 1);
		CHECK(order >= 2 && order <= (i % 2 ? 3 : 8));
		CHECK(oracle_holds(&area.oracle, PAGES - 1) == HOLDS_RECORD);
		check_all();
	}
	kernel_forget(SPLIT);
}

static void a_process_that_is_gone_is_no_error_of_the_call(void)
{
	start_anew(AREA_SMALL);
	CHECK_NUMBER(advise_process(getpid(), area.base, PAGE, MADV_COLD), 0);
	CHECK(advise_process(0x3fffffff, area.base, PAGE, MADV_COLD));
}

int main(void)
{
	shared_new();
	RUN(pages_are_written_by_a_debugger);
	RUN(without_the_file_nothing_is_written);
	RUN(refused_pages_are_written_in_another_way);
	RUN(a_pipe_has_what_the_pages_held);
	RUN(a_pipe_with_other_contents_is_reported);
	RUN(freed_pages_in_a_pipe_may_be_either);
	RUN(more_in_memory_and_swapped_than_mapped_is_reported);
	RUN(less_in_memory_and_swapped_than_was_written_is_reported);
	RUN(another_mapping_of_a_file_has_its_pages_and_no_huge_page);
	RUN(a_kernel_that_splits_is_asked_to);
	RUN(an_area_is_rebuilt_of_pieces_of_no_single_page_and_no_two);
	RUN(a_process_that_is_gone_is_no_error_of_the_call);
	return check_result();
}
