// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * shmem_swapin_folio() against swapoff: memory files that are paged out and come back by faults, read() and write().
 *   readers   read records at random offsets while
 *   writers   rewrite them, by write() and through the mapping, and page out what they touched,
 *   pairs     bring the same page in at the same moment: the second finds that the entry has gone,
 *   a puncher makes holes, by fallocate() and by truncation: what was there must read as zero, not as it was;
 *   a compactor moves pages, in the swap cache and out of it.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compactor.h"
#include "paging.h"
#include "record.h"
#include "run.h"

static uint64_t pages = 1024;
static uint64_t pair_pages = 32;
/* Each round pages all of it out: a slow guest has to come to its first truncation. */
static uint64_t hole_pages = 64;
static uint64_t chunk = 32;

static const struct number_option OPTIONS[] = {
	{ "pages", &pages },
	{ "pair-pages", &pair_pages },
	{ "hole-pages", &hole_pages },
	{ "chunk", &chunk },
	{ NULL, NULL },
};

enum { REGION_MAIN = 1, REGION_PAIR, REGION_HOLE };

/* A file, mapped once in all (else nothing of it is paged out on request). */
struct paged_file {
	int fd;
	struct region region;
};

static struct paged_file main_file, pair_file, hole_file;
static struct meeting meeting = { .parties = 2 };
static counter_t *reads, *writes, *pairs, *punches, *truncations, *raced;

static struct paged_file paged_file(const char *name, uint64_t id, size_t length)
{
	struct paged_file made = { .fd = memory_file(name, length * PAGE) };

	made.region = region_over(map_file(made.fd, length * PAGE), id, length);
	region_fill(&made.region);
	return made;
}

static bool read_page(const struct paged_file *from, size_t page, void *buffer)
{
	const ssize_t got = pread(from->fd, buffer, PAGE, page * PAGE);

	if (got == PAGE)
		return true;
	run_error("pread", got < 0 ? errno : ENODATA);
	return false;
}

static void write_page(struct paged_file *to, size_t page, const struct identity *identity, uint64_t writer)
{
	uint64_t buffer[PAGE / 8];
	ssize_t put;

	record_write(buffer, identity, writer);
	put = pwrite(to->fd, buffer, PAGE, page * PAGE);
	if (put != PAGE)
		run_error("pwrite", put < 0 ? errno : ENOSPC);
}

static void verify_by_read(struct paged_file *from, size_t page, bool thorough)
{
	const uint32_t ticket = region_ticket(&from->region, page);
	uint64_t buffer[PAGE / 8];

	if (!read_page(from, page, buffer))
		return;
	count(reads, 1);
	if (region_verify_copy(&from->region, page, ticket, buffer, thorough) == LOOK_RACED)
		count(raced, 1);
}

static void reader(struct worker *worker)
{
	while (!run_over()) {
		verify_by_read(&main_file, rng_below(&worker->rng, pages), rng_below(&worker->rng, 4) == 0);
		/* Resident pages are read in no time; leave the CPU to those who page out. */
		sleep_us(rng_below(&worker->rng, 200));
	}
}

/* Each has its share of the pages: page % of == index. */
static void writer(struct worker *worker)
{
	while (!run_over()) {
		const size_t first = rng_below(&worker->rng, pages - chunk);

		for (size_t i = first; i < first + chunk && !run_over(); i++) {
			/* Through the mapping: only mapped pages can be paged out. */
			region_verify(&main_file.region, i, i % 4 == 0);
			if (i % worker->of != worker->index || rng_below(&worker->rng, 2))
				continue;
			if (rng_below(&worker->rng, 2)) {
				region_write(&main_file.region, i, worker->index);
			} else {
				const struct identity identity = region_begin(&main_file.region, i);

				write_page(&main_file, i, &identity, worker->index);
				region_end(&main_file.region, i);
			}
			count(writes, 1);
		}
		page_out(region_page(&main_file.region, first), chunk * PAGE);
		if (worker->index == 0)
			reclaim(chunk * PAGE);
	}
}

static void map_and_page_out(struct paged_file *file)
{
	for (size_t page = 0; page < file->region.pages; page++)
		(void)*(volatile uint8_t *)region_page(&file->region, page);
	page_out_fully(file->region.base, file->region.pages * PAGE, 2);
}

/* Two reads, or a read and a fault, of one page at one time. */
static void pair(struct worker *worker)
{
	while (!run_over()) {
		if (worker->index == 0)
			map_and_page_out(&pair_file);
		for (size_t i = 0; i < pair_pages; i++) {
			if (!meet(&meeting))
				return;
			if (worker->index && i % 2)
				region_verify(&pair_file.region, i, true);
			else
				verify_by_read(&pair_file, i, true);
			count(pairs, 1);
		}
		if (!meet(&meeting))
			return;
	}
}

static void check_hole(size_t first, size_t length)
{
	uint64_t buffer[PAGE / 8];

	for (size_t i = first; i < first + length; i++) {
		const struct identity identity = region_identity(&hole_file.region, i);

		if (!read_page(&hole_file, i, buffer))
			continue;
		verified_add(1);
		operations_add(1);
		if (zero_check(buffer) != KIND_OK)
			record_complain(KIND_NONZERO, buffer, &identity, false);
	}
}

static void punch(size_t first, size_t length)
{
	if (fallocate(hole_file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, first * PAGE, length * PAGE))
		run_error("FALLOC_FL_PUNCH_HOLE", errno);
	count(punches, 1);
}

/* Away with the end of the file, and the same length again: all holes from here. */
static void cut(size_t first)
{
	if (ftruncate(hole_file.fd, first * PAGE) || ftruncate(hole_file.fd, hole_pages * PAGE))
		run_error("ftruncate", errno);
	count(truncations, 1);
}

static void puncher(struct worker *worker)
{
	/* In turn and not by chance: a slow guest has time for a handful of rounds. */
	for (unsigned int round = 0; !run_over(); round++) {
		const bool truncates = round % 2 == 1;
		const size_t length = truncates ? chunk : rng_between(&worker->rng, 1, chunk);
		const size_t first = truncates ? hole_pages - length : rng_below(&worker->rng, hole_pages - length);

		map_and_page_out(&hole_file);
		for (size_t i = first; i < first + length; i++)
			region_begin(&hole_file.region, i);
		if (truncates)
			cut(first);
		else
			punch(first, length);
		check_hole(first, length);
		for (size_t i = first; i < first + length; i++) {
			struct identity identity = region_identity(&hole_file.region, i);

			identity.generation++;
			write_page(&hole_file, i, &identity, 0);
			region_end(&hole_file.region, i);
		}
		for (size_t i = 0; i < hole_pages && !run_over(); i += 16)
			verify_by_read(&hole_file, i, true);
	}
}

/* Brings swapped pages of the punched file in, so that holes are made under a swapin. */
static void hole_reader(struct worker *worker)
{
	uint64_t buffer[PAGE / 8];
	ssize_t got;

	while (!run_over()) {
		const size_t page = rng_below(&worker->rng, hole_pages);
		const uint32_t ticket = region_ticket(&hole_file.region, page);

		/* Short at the end of a file that is being cut. */
		got = pread(hole_file.fd, buffer, PAGE, page * PAGE);
		if (got < 0)
			run_error("pread", errno);
		else if (got == PAGE)
			region_verify_copy(&hole_file.region, page, ticket, buffer, false);
		sleep_us(rng_below(&worker->rng, 500));
	}
}

static void setup(void)
{
	reads = counter("reads");
	writes = counter("writes");
	pairs = counter("pairs");
	punches = counter("punches");
	truncations = counter("truncations");
	raced = counter("raced");
	main_file = paged_file("main", REGION_MAIN, pages);
	pair_file = paged_file("pair", REGION_PAIR, pair_pages);
	hole_file = paged_file("hole", REGION_HOLE, hole_pages);
}

static void load(void)
{
	static struct threads threads;

	threads_add(&threads, 2, reader, NULL);
	threads_add(&threads, 2, writer, NULL);
	threads_add(&threads, 2, pair, NULL);
	threads_add(&threads, 1, puncher, NULL);
	threads_add(&threads, 1, hole_reader, NULL);
	threads_add(&threads, 1, compactor, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	const struct paged_file *const files[] = { &main_file, &pair_file, &hole_file };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		region_verify_all(&files[i]->region);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = OPTIONS, .setup = setup, .load = load, .verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
