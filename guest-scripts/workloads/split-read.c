// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * split-read: pages of a memory file's huge page are read while small holes cut that page in pieces.
 *
 * Nothing is switched off here, and nobody writes to the pages that are read. One thread has the file collapsed into a huge page. Then it
 * makes holes of some bytes, each at the middle of a piece: there the kernel cuts the piece, into smaller ones towards its middle. Readers
 * want the last page of the same piece meanwhile, and must get that one.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "area.h"
#include "paging.h"
#include "run.h"

#define HOLE 64
/* In pages. Smaller ones are cut too fast to be met. */
#define PIECE_MIN 16

static uint64_t readers_count = 1;

static const struct number_option options[] = {
	{ "readers", &readers_count },
	{ 0 },
};

static int fd;
static uint8_t *base;
static struct region region; /* all of the file; the pages with holes have no records after the first */
static _Atomic size_t wanted; /* the page that is read */
static counter_t *collapsed, *cuts, *reads;

static void cut(size_t piece, size_t length)
{
	wanted = piece + length - 1;
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(piece + length / 2) * PAGE, HOLE))
		run_error("FALLOC_FL_PUNCH_HOLE", errno);
	count(cuts, 1);
	operations_add(1);
}

static void cutter(struct worker *worker)
{
	(void)worker;
	while (!run_over()) {
		if (!collapse(base, HUGE_ALIGN))
			continue;
		count(collapsed, 1);
		for (size_t length = region.pages; length >= PIECE_MIN && !run_over(); length /= 2)
			for (size_t piece = 0; piece < region.pages; piece += length)
				cut(piece, length);
	}
}

static void reader(struct worker *worker)
{
	uint64_t copy[PAGE / sizeof(uint64_t)];

	(void)worker;
	while (!run_over()) {
		const size_t page = wanted;
		const uint32_t ticket = region_ticket(&region, page);

		if (pread(fd, copy, PAGE, (off_t)page * PAGE) != PAGE)
			run_error("pread", errno);
		else
			region_verify_copy(&region, page, ticket, copy, false);
		count(reads, 1);
	}
}

static void setup(void)
{
	collapsed = counter("collapsed");
	cuts = counter("cuts");
	reads = counter("reads");
	if (!area_huge_is_small())
		return;
	fd = memory_file("split-read", HUGE_ALIGN);
	base = mmap(reserved_addresses(HUGE_ALIGN), HUGE_ALIGN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	if (base == MAP_FAILED)
		run_fail("mmap of a memory file");
	region = region_over(base, 1 | REGION_NO_ZEROS, HUGE_ALIGN / PAGE);
	region_fill(&region);
	wanted = region.pages - 1;
}

static void load(void)
{
	static struct threads threads;

	if (!area_huge_is_small())
		return;
	threads_add(&threads, 1, cutter, NULL);
	threads_add(&threads, readers_count, reader, NULL);
	threads_join(&threads);
}

/* The last page of each of the smallest pieces: no hole was made there. */
static void verify(void)
{
	for (size_t page = PIECE_MIN - 1; page < region.pages; page += PIECE_MIN)
		region_verify(&region, page, true);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options,
		.steady = 1,
		.prepare = area_need_huge_pages,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
