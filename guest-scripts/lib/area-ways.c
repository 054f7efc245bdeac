// SPDX-License-Identifier: GPL-2.0-or-later
/* Other ways to the pages of an area: see area-ways.h. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "area-ways.h"
#include "paging.h"
#include "release.h"
#include "run.h"
#include "textfile.h"
#include "uffd.h"

#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif

#define MEMORY "/proc/self/mem"
#define SPLIT "/sys/kernel/debug/split_huge_pages"
#define POKES_MOST 100
/* Of the parts of an anonymous folio, which never has two pages, and of one that is smaller than a huge page. */
#define ORDER_LEAST 2
#define ORDER_MOST 3
#define ORDER_MOST_OF_HUGE 8
#define NOT_HUGE "madvise(2), MADV_NOHUGEPAGE: memory in the range is not backed by huge pages; proc_pid_smaps(5), what is mapped by them"
#define PARTS "proc_pid_smaps(5): Rss is what of the mapping is in memory, Swap what of it is swapped out"

/* 6.19 takes an entry that went and came back for a lack of memory, which is EIO here: so it is tried again. */
static bool poke(int memory, const void *record, const uint8_t *to)
{
	for (unsigned int tries = 0; tries < POKES_MOST; tries++) {
		if (pwrite(memory, record, PAGE, (off_t)(uintptr_t)to) == PAGE)
			return true;
		if (errno != EIO)
			return false;
	}
	return false;
}

static void protect(const struct area *area, size_t first, size_t count, int protection)
{
	if (mprotect(area_page(area, first), count * PAGE, protection))
		run_error("mprotect", errno);
}

static void poke_page(struct area *area, size_t page, int memory)
{
	const struct identity next = oracle_next(&area->oracle, page);
	uint64_t record[PAGE / sizeof(uint64_t)];

	record_write(record, &next, 0);
	oracle_begin(&area->oracle, page, 1);
	if (!poke(memory, record, area_page(area, page))) {
		/* A kernel may be built to refuse force. */
		if (area_is(area, FILES))
			run_error("pwrite of " MEMORY, errno);
		count(counter("pokes_refused"), 1);
		protect(area, page, 1, PROT_READ | PROT_WRITE);
		record_write(area_page(area, page), &next, 0);
	}
	oracle_end_written(&area->oracle, page);
	operations_add(1);
}

/* Where zeros are next: see area_write(). */
static void drop_for_zeros(struct area *area, size_t page)
{
	const struct identity next = oracle_next(&area->oracle, page);

	if (record_is_zero(&next) && oracle_holds(&area->oracle, page) != HOLDS_ZEROS)
		area_drop(area, page, 1);
}

void area_poke(struct area *area, size_t first, size_t count)
{
	const int memory = open(MEMORY, O_RDWR | O_CLOEXEC);
	const bool by_force = !area_is(area, FILES);

	if (memory < 0)
		return;
	/* Nobody waits for who writes in this way: to a page that is write-protected it would be an error. */
	if (area->uffd >= 0)
		uffd_protect(area, first, count, false);
	for (size_t page = first; page < first + count; page++)
		drop_for_zeros(area, page);
	if (by_force)
		protect(area, first, count, PROT_READ);
	for (size_t page = first; page < first + count; page++)
		poke_page(area, page, memory);
	if (by_force)
		protect(area, first, count, PROT_READ | PROT_WRITE);
	close(memory);
}

static void check_piped(struct area *area, size_t first, size_t pages, const uint32_t *tickets, int from)
{
	uint64_t copy[PAGE / sizeof(uint64_t)];

	record_history = area->history;
	for (size_t i = 0; i < pages; i++) {
		size_t got = 0;

		while (got < PAGE) {
			const ssize_t part = read(from, (uint8_t *)copy + got, PAGE - got);

			if (part <= 0) {
				run_error("read of a pipe", part ? errno : ENODATA);
				return;
			}
			got += (size_t)part;
		}
		/* The kernel may have taken what was freed before or after it came to the pipe. */
		if (oracle_holds(&area->oracle, first + i) != HOLDS_EITHER)
			oracle_verify_copy(&area->oracle, first + i, tickets[i], copy, i % 4 == 0);
	}
}

void area_splice(struct area *area, size_t first, size_t count_)
{
	const struct iovec range = { area_page(area, first), count_ * PAGE };
	uint32_t tickets[count_];
	off_t offset = (off_t)(first * PAGE);
	ssize_t taken;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		run_fail("pipe2");
	/* As many pages, whatever their size; a pipe that stays smaller takes fewer. */
	fcntl(ends[1], F_SETPIPE_SZ, (int)(count_ * PAGE));
	for (size_t i = 0; i < count_; i++)
		tickets[i] = oracle_ticket(&area->oracle, first + i);
	taken = area_is(area, FILES) && first % 2 ? splice(area->fd, &offset, ends[1], NULL, range.iov_len, SPLICE_F_NONBLOCK) :
						    vmsplice(ends[1], &range, 1, 0);
	/* EFAULT: see area_write_pinned(). */
	if (taken < 0 && errno != EFAULT)
		run_error("vmsplice or splice", errno);
	page_out(area_page(area, first), count_ * PAGE);
	if (taken > 0) {
		check_piped(area, first, (size_t)taken / PAGE, tickets, ends[0]);
		count(counter("spliced_pages"), (size_t)taken / PAGE);
	}
	close(ends[0]);
	close(ends[1]);
}

void area_allocate(const struct area *area, size_t first, size_t count)
{
	/* ENOMEM: reclaim has come to pages that were allocated, and not written yet. */
	if (fallocate(area->fd, first % 2 ? FALLOC_FL_KEEP_SIZE : 0, (off_t)(first * PAGE), (off_t)(count * PAGE)) && errno != ENOMEM)
		run_error("fallocate", errno);
}

/* A line of smaps, and the sum of what it says of some mappings, in KiB. */
struct field {
	const char *name;
	uint64_t kib;
};

static void add_line(const char *line, struct field *fields, size_t count_)
{
	for (size_t i = 0; i < count_; i++) {
		const size_t length = strlen(fields[i].name);
		uint64_t value;

		if (!strncmp(line, fields[i].name, length) && sscanf(line + length, ": %" SCNu64, &value) == 1)
			fields[i].kib += value;
	}
}

/* Of the mappings that lie in the range. False: there is none. */
static bool read_smaps(const void *range, size_t length, struct field *fields, size_t count_)
{
	const uint64_t first = (uintptr_t)range;
	bool inside = false, any = false;
	uint64_t start, end;
	char line[256];
	FILE *file = fopen("/proc/self/smaps", "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2) {
			inside = first <= start && end <= first + length;
			any |= inside;
		} else if (inside)
			add_line(line, fields, count_);
	}
	if (file)
		fclose(file);
	return any;
}

/* KiB that are in one or the other: a page of zeros may be nowhere. */
static uint64_t written_kib(const struct area *area)
{
	uint64_t pages = 0;

	for (size_t page = 0; page < area->pages; page++)
		pages += oracle_holds_data(&area->oracle, page);
	return pages * PAGE / 1024;
}

void area_report(const struct area *area)
{
	enum { SIZE, RESIDENT, SWAPPED, FIELDS };
	struct field of[FIELDS] = { { "Size", 0 }, { "Rss", 0 }, { "Swap", 0 } };
	const uint64_t least = written_kib(area);
	char expected[80], seen[100];
	uint64_t sum;

	if (!read_smaps(area->base, area->length, of, FIELDS))
		return;
	sum = of[RESIDENT].kib + of[SWAPPED].kib;
	/* Of a mapping that is part of a larger one there is no report. */
	if (sum <= of[SIZE].kib && (sum >= least || of[SIZE].kib * 1024 != area->length))
		return;
	snprintf(expected, sizeof(expected), "Rss and Swap are Size at most, and %" PRIu64 " kB at least", least);
	snprintf(seen, sizeof(seen), "Size %" PRIu64 " kB, Rss %" PRIu64 " kB, Swap %" PRIu64 " kB", of[SIZE].kib, of[RESIDENT].kib,
		 of[SWAPPED].kib);
	run_mismatch(0, KIND_WRONG, PARTS, expected, seen);
}

/* Before, a fault maps a huge page of a file as one wherever it finds it (2b0f922323cc). */
static bool keeps_huge_pages_out(void)
{
	return release_is_at_least(6, 12);
}

/* smaps is read in any case: it walks the page tables. */
static void check_no_huge_page(const void *memory, size_t length, bool promised)
{
	struct field of[] = { { "FilePmdMapped", 0 }, { "ShmemPmdMapped", 0 } };
	char seen[80];

	if (!read_smaps(memory, length, of, 2) || !promised || !(of[0].kib + of[1].kib))
		return;
	snprintf(seen, sizeof(seen), "FilePmdMapped %" PRIu64 " kB, ShmemPmdMapped %" PRIu64 " kB", of[0].kib, of[1].kib);
	run_mismatch(0, KIND_WRONG, NOT_HUGE, "a mapping with MADV_NOHUGEPAGE, without huge pages", seen);
}

void area_view(struct area *area, size_t first, size_t pages, bool privately)
{
	uint8_t *const view = privately ? map_file_privately(area->fd, area->length) : map_file(area->fd, area->length);
	/* EINVAL: the kernel has no huge pages. */
	const bool advised = !madvise(view, area->length, MADV_NOHUGEPAGE);

	record_history = area->history;
	for (size_t page = first; page < first + pages; page++)
		oracle_verify(&area->oracle, page, view + page * PAGE, page % 4 == 0);
	check_no_huge_page(view, area->length, advised && keeps_huge_pages_out());
	if (munmap(view, area->length))
		run_error("munmap", errno);
}

/* `offset`: in the folio; there it is cut, and what is apart from it stays as large as it can. -1: in equal parts. */
static bool split(const uint8_t *from, size_t length, unsigned int order, int offset)
{
	const uintptr_t start = (uintptr_t)from;
	char text[120];

	snprintf(text, sizeof(text), "%d,0x%" PRIxPTR ",0x%" PRIxPTR ",%u,%d", getpid(), start, start + length, order, offset);
	if (!put_text(SPLIT, text))
		return false;
	count(counter("splits_asked"), 1);
	return true;
}

bool area_split(const struct area *area, size_t first, size_t count_, struct rng *rng)
{
	/* An anonymous folio may be in the swap cache, and then 6.19 warns of unequal parts. */
	const int offset = area_is(area, FILES) && rng_below(rng, 2) ? (int)rng_below(rng, count_) : -1;

	return split(area_page(area, first), count_ * PAGE, 0, offset);
}

bool area_rebuild_of_pieces(struct area *area, struct rng *rng)
{
	const unsigned int order = (unsigned int)rng_between(rng, ORDER_LEAST, area_is(area, HUGE) ? ORDER_MOST_OF_HUGE : ORDER_MOST);
	const int offset = rng_below(rng, 2) ? (int)rng_below(rng, area->pages) : -1;
	bool done;

	if (access(SPLIT, W_OK))
		return false;
	/* Not only its pages, but its page tables go: so the next fault can have a huge page. */
	area_renew(area);
	/* From here on no page of it comes to the swap cache: those that it gets now have been locked from their beginning. */
	if (mlock(area->base, area->length)) {
		run_error("mlock", errno);
		return false;
	}
	for (size_t page = 0; page < area->pages; page++)
		area_write(area, page, 0);
	done = split(area->base, area->length, order, offset);
	for (size_t page = 0; page < area->pages; page++)
		area_verify(area, page, page % 4 == 0);
	if (munlock(area->base, area->length))
		run_error("munlock", errno);
	page_out(area->base, area->length);
	return done;
}

int advise_process(int process, void *address, size_t length, int advice)
{
	const struct iovec range = { address, length };
	const int target = (int)syscall(SYS_pidfd_open, process, 0);
	int error = 0;

	if (target < 0)
		return errno;
	if (syscall(SYS_process_madvise, target, &range, 1, advice, 0) < 0)
		error = errno;
	close(target);
	return error;
}
