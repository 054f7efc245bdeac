// SPDX-License-Identifier: GPL-2.0-or-later
/* Mappings with an oracle: see area.h. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "area.h"
#include "paging.h"
#include "run.h"
#include "textfile.h"
#include "uffd.h"

/* Linux 6.13. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#define THP "/sys/kernel/mm/transparent_hugepage/"
#define HUGE_MOST (8u << 20)
#define PIN_TRIES 100
#define LOOKS 3
#define BLOCK 512 /* of st_blocks */
#define NEIGHBOUR ((size_t)4 * PAGE)
#define LARGE_FOLIO ((size_t)65536)
#define ALLOCATED "stat(2), st_blocks: the blocks of the file; each of its pages has been read, and is there"
#define NO_HOLE "lseek(2), SEEK_DATA and SEEK_HOLE: a hole reads as zeros; this page has been written"
#define CLOSED "userfaultfd(2): with its last file descriptor the ranges of a userfaultfd are unregistered; pagemap.rst, bit 57"
#define UNREGISTERED "ioctl_userfaultfd(2), UFFDIO_UNREGISTER: userfaultfd watches the range no longer; pagemap.rst, bit 57"
#define NOT_REGISTERED "userfaultfd(2): without UFFD_FEATURE_EVENT_REMAP a range that mremap() moves is registered no longer; pagemap.rst"

void area_allow_large_folios(void)
{
	if (access(THP "hugepages-64kB/enabled", F_OK))
		return;
	run_set(THP "hugepages-64kB/enabled", "madvise");
	if (!access(THP "hugepages-64kB/shmem_enabled", F_OK))
		run_set(THP "hugepages-64kB/shmem_enabled", "advise");
}

void area_need_huge_pages(void)
{
	if (!area_huge_is_small())
		run_missing("huge pages of a few MiB: this kernel's have %zu MiB, or it has none", HUGE_ALIGN >> 20);
}

void area_allow_huge_files(void)
{
	char path[120];

	area_need_huge_pages();
	if (!area_huge_is_small())
		return;
	run_set(THP "shmem_enabled", "advise");
	/* Linux 6.11. */
	snprintf(path, sizeof(path), THP "hugepages-%zukB/shmem_enabled", HUGE_ALIGN >> 10);
	if (!access(path, W_OK))
		run_set(path, "inherit");
}

bool area_huge_is_small(void)
{
	return HUGE_ALIGN <= HUGE_MOST && !access(THP "enabled", F_OK);
}

bool area_is(const struct area *area, unsigned int kinds)
{
	return kinds & 1u << area->kind;
}

uint8_t *area_page(const struct area *area, size_t page)
{
	return area->base + page * PAGE;
}

void area_note(struct area *area, const char *what, size_t first, size_t count)
{
	char text[40];
	size_t length, used = strlen(area->history);

	length = (size_t)snprintf(text, sizeof(text), " %s(%zu+%zu)", what, first, count);
	if (used + length >= sizeof(area->history)) {
		/* The oldest go. */
		memmove(area->history, area->history + length, used - length + 1);
		used -= length;
	}
	memcpy(area->history + used, text, length + 1);
	record_history = area->history;
}

/* EINVAL: a kernel without huge pages, which is as good. */
static void advise_sizes(const struct area *area, void *memory, size_t length)
{
	const bool large = !area_is(area, 1u << AREA_SMALL | 1u << AREA_FILE | PRIVATE);

	/* A huge page of a file is made by MADV_COLLAPSE only: one that a read has made may lose what is written (docs/found/). */
	if (area->kind != AREA_FILE_HUGE && madvise(memory, length, large ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) && errno != EINVAL)
		run_error(large ? "MADV_HUGEPAGE" : "MADV_NOHUGEPAGE", errno);
}

/* What a new mapping of its addresses needs. */
static void advise(struct area *area)
{
	advise_sizes(area, area->base, area->length);
	if (area->uffd >= 0)
		uffd_register(area->uffd, area->base, area->length);
}

void area_new(struct area *area, enum area_kind kind, uint64_t id, size_t pages, int uffd)
{
	const bool is_file = 1u << kind & (FILES | PRIVATE);

	memset(area, 0, sizeof(*area));
	area->kind = kind;
	area->pages = pages;
	area->length = 1u << kind & HUGE ? HUGE_ALIGN : pages * PAGE;
	area->fd = is_file ? memory_file("area", area->length) : -1;
	area->uffd = is_file ? -1 : uffd;
	area->across = !area_is(area, HUGE);
	if (is_file)
		area->base = kind == AREA_PRIVATE ? map_file_privately(area->fd, area->length) : map_file(area->fd, area->length);
	else
		area->base = private_memory(area->length);
	area->oracle = oracle_new(id, pages);
	advise(area);
}

void area_write(struct area *area, size_t page, uint64_t writer)
{
	const struct identity next = oracle_next(&area->oracle, page);

	if (record_is_zero(&next) && oracle_holds(&area->oracle, page) != HOLDS_ZEROS)
		area_drop(area, page, 1);
	oracle_write(&area->oracle, page, area_page(area, page), writer);
	operations_add(1);
}

/* 6.19 takes an entry that went and came back for a lack of memory, which is EFAULT here: so it is tried again. */
static bool copy_by_pins(uint8_t *to, uint8_t *from, size_t length)
{
	size_t done = 0;

	for (unsigned int tries = 0; done < length && tries < PIN_TRIES; tries++) {
		const struct iovec source = { from + done, length - done }, target = { to + done, length - done };
		const ssize_t got = process_vm_writev(getpid(), &source, 1, &target, 1, 0);

		if (got > 0)
			done += got;
		else if (got == 0 || errno != EFAULT)
			return false;
	}
	return done == length;
}

void area_write_pinned(struct area *area, size_t first, size_t count)
{
	uint8_t *const source = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (source == MAP_FAILED)
		run_fail("mmap of records");
	for (size_t i = 0; i < count; i++) {
		const struct identity next = oracle_next(&area->oracle, first + i);

		if (record_is_zero(&next) && oracle_holds(&area->oracle, first + i) != HOLDS_ZEROS)
			area_drop(area, first + i, 1);
		record_write(source + i * PAGE, &next, 0);
	}
	page_out_fully(source, count * PAGE, 1);
	oracle_begin(&area->oracle, first, count);
	if (!copy_by_pins(area_page(area, first), source, count * PAGE))
		run_error("process_vm_writev", errno);
	for (size_t i = 0; i < count; i++)
		oracle_end_written(&area->oracle, first + i);
	munmap(source, count * PAGE);
	operations_add(count);
}

void area_clear(struct area *area, size_t page)
{
	oracle_begin(&area->oracle, page, 1);
	memset(area_page(area, page), 0, PAGE);
	oracle_end(&area->oracle, page, 1, HOLDS_ZEROS);
	operations_add(1);
}

bool area_verify(struct area *area, size_t page, bool thorough)
{
	record_history = area->history;
	return oracle_verify(&area->oracle, page, area_page(area, page), thorough);
}

void area_verify_all(struct area *area)
{
	for (size_t page = 0; page < area->pages; page++)
		area_verify(area, page, true);
}

static void punch(const struct area *area, size_t offset, size_t length)
{
	if (fallocate(area->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length))
		run_error("FALLOC_FL_PUNCH_HOLE", errno);
}

static void advise_pages(const struct area *area, size_t offset, size_t length, int advice, const char *name)
{
	if (madvise(area->base + offset, length, advice))
		run_error(name, errno);
}

/* Of files that are mapped shared, half of the holes are made by the mapping. */
static void drop_memory(const struct area *area, size_t offset, size_t length)
{
	if (!area_is(area, FILES))
		advise_pages(area, offset, length, MADV_DONTNEED, "MADV_DONTNEED");
	else if (offset / PAGE % 2)
		advise_pages(area, offset, length, MADV_REMOVE, "MADV_REMOVE");
	else
		punch(area, offset, length);
}

void area_drop(struct area *area, size_t first, size_t count)
{
	oracle_begin(&area->oracle, first, count);
	drop_memory(area, first * PAGE, count * PAGE);
	oracle_end(&area->oracle, first, count, HOLDS_ZEROS);
}

void area_cut(struct area *area, size_t keep)
{
	oracle_begin(&area->oracle, keep, area->pages - keep);
	if (ftruncate(area->fd, keep * PAGE) || ftruncate(area->fd, area->length))
		run_error("ftruncate", errno);
	oracle_end(&area->oracle, keep, area->pages - keep, HOLDS_ZEROS);
}

void area_punch_below(struct area *area, size_t first, size_t count)
{
	punch(area, first * PAGE, count * PAGE);
}

void area_drop_all(struct area *area)
{
	oracle_begin(&area->oracle, 0, area->pages);
	drop_memory(area, 0, area->length);
	oracle_end(&area->oracle, 0, area->pages, HOLDS_ZEROS);
}

void area_drop_behind(const struct area *area, size_t page)
{
	drop_memory(area, page * PAGE, PAGE);
}

/* Whether the page is data from its beginning to its end. */
static bool is_no_hole(const struct area *area, size_t page, char *seen, size_t size)
{
	const off_t offset = (off_t)(page * PAGE);
	const off_t data = lseek(area->fd, offset, SEEK_DATA), hole = lseek(area->fd, offset, SEEK_HOLE);

	snprintf(seen, size, "data from %jd on, a hole from %jd on", (intmax_t)data, (intmax_t)hole);
	return data == offset && hole >= offset + (off_t)PAGE;
}

void area_seek(const struct area *area)
{
	char seen[80];

	for (size_t page = 0; page < area->pages; page++) {
		bool right = !oracle_holds_data(&area->oracle, page);

		/* What heals is no error: the file's entry may be on its way from one form to another. */
		for (unsigned int looks = 0; !right && looks < LOOKS; looks++)
			right = is_no_hole(area, page, seen, sizeof(seen));
		if (right)
			continue;
		run_mismatch(page, KIND_WRONG, NO_HOLE, "data, from the beginning of the page to its end", seen);
		return;
	}
}

/* A large folio may reach over the end of its file. */
static size_t most_allocated(const struct area *area)
{
	return area->kind == AREA_FILE_LARGE ? (area->length + LARGE_FOLIO - 1) / LARGE_FOLIO * LARGE_FOLIO : area->length;
}

void area_verify_blocks(const struct area *area)
{
	const size_t most = most_allocated(area);
	struct stat status;
	char expected[80], seen[80];
	size_t has;

	if (!area_is(area, FILES))
		return;
	/* Holes are filled by this. */
	for (size_t offset = 0; offset < area->length; offset += PAGE)
		(void)*(volatile uint8_t *)(area->base + offset);
	if (fstat(area->fd, &status))
		run_fail("fstat");
	has = (size_t)status.st_blocks * BLOCK;
	if (has >= area->length && has <= most)
		return;
	snprintf(expected, sizeof(expected), "%zu to %zu blocks", area->length / BLOCK, most / BLOCK);
	snprintf(seen, sizeof(seen), "st_blocks %jd", (intmax_t)status.st_blocks);
	run_mismatch(0, KIND_WRONG, ALLOCATED, expected, seen);
}

bool area_guard(struct area *area, size_t first, size_t count)
{
	uint8_t *const memory = area_page(area, first);
	bool has;

	oracle_begin(&area->oracle, first, count);
	has = !madvise(memory, count * PAGE, MADV_GUARD_INSTALL);
	if (!has && errno != EINVAL)
		run_error("MADV_GUARD_INSTALL", errno);
	if (has && madvise(memory, count * PAGE, MADV_GUARD_REMOVE))
		run_error("MADV_GUARD_REMOVE", errno);
	for (size_t page = first; page < first + count; page++)
		oracle_end(&area->oracle, page, 1, has ? HOLDS_ZEROS : oracle_holds(&area->oracle, page));
	return has;
}

static void end_freed(struct area *area, size_t first, size_t count)
{
	for (size_t page = first; page < first + count; page++)
		oracle_end(&area->oracle, page, 1, oracle_holds(&area->oracle, page) == HOLDS_ZEROS ? HOLDS_ZEROS : HOLDS_EITHER);
}

void area_free(struct area *area, size_t first, size_t count)
{
	oracle_begin(&area->oracle, first, count);
	if (madvise(area_page(area, first), count * PAGE, MADV_FREE))
		run_error("MADV_FREE", errno);
	end_freed(area, first, count);
}

void area_free_all(struct area *area)
{
	oracle_begin(&area->oracle, 0, area->pages);
	if (madvise(area->base, area->length, MADV_FREE))
		run_error("MADV_FREE", errno);
	end_freed(area, 0, area->pages);
}

static void *map_over(struct area *area, uint8_t *at, size_t length)
{
	const int how = area_is(area, FILES) ? MAP_SHARED : MAP_PRIVATE;

	if (area->fd >= 0)
		return mmap(at, length, PROT_READ | PROT_WRITE, how | MAP_FIXED, area->fd, at - area->base);
	return mmap(at, length, PROT_READ | PROT_WRITE, how | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

void area_renew(struct area *area)
{
	const bool is_file = area_is(area, FILES);

	oracle_begin(&area->oracle, 0, area->pages);
	atomic_fetch_add(&area->remaps, 1);
	if (map_over(area, area->base, area->length) == MAP_FAILED)
		run_fail("mmap of an area");
	advise(area);
	atomic_fetch_add(&area->remaps, 1);
	for (size_t page = 0; page < area->pages; page++)
		oracle_end(&area->oracle, page, 1, is_file ? oracle_holds(&area->oracle, page) : HOLDS_ZEROS);
}

/* Registered nowhere, until it is registered again. */
static void check_unprotected(const struct area *area, const char *promise, const char *expected)
{
	char seen[64];

	for (size_t page = 0; page < area->pages; page++) {
		const uint64_t word = pagemap_word(area_page(area, page));

		if (!(word & PAGEMAP_PROTECTED))
			continue;
		snprintf(seen, sizeof(seen), "pagemap %" PRIx64, word);
		run_mismatch(page, KIND_WRONG, promise, expected, seen);
		return;
	}
}

/* While a userfaultfd of its own has it. Nobody writes meanwhile: none of its writes would be served. */
static void protect_and_close(struct area *area, size_t first, size_t pages)
{
	const int own = area->uffd, uffd = uffd_open(area_is(area, FILES) ? UFFD_FEATURE_WP_HUGETLBFS_SHMEM : 0);

	if (uffd < 0) {
		run_error("userfaultfd", errno);
		return;
	}
	uffd_register(uffd, area->base, area->length);
	area->uffd = uffd;
	uffd_protect(area, first, pages, true);
	area->uffd = own;
	close(uffd);
	check_unprotected(area, CLOSED, "no page is write-protected after its userfaultfd was closed");
	count(counter("closed_userfaultfds"), 1);
}

void area_register_anew(struct area *area, size_t first, size_t pages, bool by_another)
{
	if (area->uffd < 0)
		return;
	uffd_unregister(area->uffd, area->base, area->length);
	check_unprotected(area, UNREGISTERED, "no page is write-protected after UFFDIO_UNREGISTER");
	if (by_another) {
		forks_hold();
		protect_and_close(area, first, pages);
		forks_go_on();
	}
	uffd_register(area->uffd, area->base, area->length);
}

bool area_shift(struct area *area, bool leave)
{
	uint8_t *const from = area->base, *to;

	/* mremap() of what a call on a part of it has split fails, or moves the first piece only. */
	if (!is_one_mapping(from, area->length))
		return false;
	to = area->across ? reserved_addresses_across(area->length) : reserved_addresses(area->length);
	area->across = !area->across && !area_is(area, HUGE);
	atomic_fetch_add(&area->remaps, 1);
	if (mremap(from, area->length, area->length, MREMAP_MAYMOVE | MREMAP_FIXED | (leave ? MREMAP_DONTUNMAP : 0), to) != to)
		run_fail("mremap");
	area->base = to;
	check_unprotected(area, NOT_REGISTERED, "no page is write-protected after mremap()");
	if (leave && munmap(from, area->length))
		run_error("munmap", errno);
	advise(area);
	atomic_fetch_add(&area->remaps, 1);
	return true;
}

/* Nobody touches it. It may be of one mapping with the area, whose file ends where it begins. NULL: something else is there. */
static uint8_t *map_neighbour(const struct area *area, uint8_t *at)
{
	const int how = MAP_PRIVATE | MAP_FIXED_NOREPLACE;
	uint8_t *const memory = area->fd >= 0 ? mmap(at, NEIGHBOUR, PROT_READ | PROT_WRITE, how, area->fd, (off_t)area->length) :
						mmap(at, NEIGHBOUR, PROT_READ | PROT_WRITE, how | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED && errno != EEXIST)
		run_fail("mmap beside an area");
	if (memory == MAP_FAILED)
		return NULL;
	advise_sizes(area, memory, NEIGHBOUR);
	return memory;
}

static uint8_t *take(const struct area *area, uint8_t *from, uint8_t *to, int flags)
{
	if (mremap(from, area->length, area->length, MREMAP_MAYMOVE | MREMAP_FIXED | flags, to) != to)
		run_fail("mremap");
	return to;
}

bool area_return(struct area *area, bool before)
{
	uint8_t *const home = area->base;
	uint8_t *away, *neighbour;

	if (!is_one_mapping(home, area->length))
		return false;
	atomic_fetch_add(&area->remaps, 1);
	/* Its own addresses stay mapped, and empty, until it comes back: they would be somebody else's at once. */
	away = take(area, home, reserved_addresses(area->length), MREMAP_DONTUNMAP);
	neighbour = map_neighbour(area, before && area->fd < 0 ? home - NEIGHBOUR : home + area->length);
	take(area, away, home, 0);
	check_unprotected(area, NOT_REGISTERED, "no page is write-protected after mremap()");
	if (neighbour && is_one_mapping(neighbour < home ? neighbour : home, NEIGHBOUR + area->length))
		count(counter("joined_neighbours"), 1);
	if (neighbour && munmap(neighbour, NEIGHBOUR))
		run_error("munmap", errno);
	advise(area);
	atomic_fetch_add(&area->remaps, 1);
	return true;
}

/* The tail of its addresses may be somebody else's at once: then what is left goes where there is room. */
static void map_tail(struct area *area, size_t kept)
{
	const size_t rest = area->length - kept;
	uint8_t *to;

	if (mmap(area->base + kept, rest, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) !=
	    MAP_FAILED)
		return;
	if (errno != EEXIST)
		run_fail("mmap of a tail");
	to = reserved_addresses(area->length);
	if (mremap(area->base, kept, kept, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		run_fail("mremap");
	area->base = to;
	if (map_over(area, to + kept, rest) == MAP_FAILED)
		run_fail("mmap of a tail");
}

bool area_recut(struct area *area, size_t keep)
{
	if (keep >= area->pages || !is_one_mapping(area->base, area->length))
		return false;
	oracle_begin(&area->oracle, keep, area->pages - keep);
	atomic_fetch_add(&area->remaps, 1);
	if (mremap(area->base, area->length, keep * PAGE, 0) != area->base)
		run_fail("mremap");
	map_tail(area, keep * PAGE);
	advise(area);
	atomic_fetch_add(&area->remaps, 1);
	oracle_end(&area->oracle, keep, area->pages - keep, HOLDS_ZEROS);
	return true;
}

void area_take_file(struct area *area, int fd)
{
	oracle_begin(&area->oracle, 0, area->pages);
	if (dup3(fd, area->fd, O_CLOEXEC) < 0)
		run_fail("dup3");
	close(fd);
	oracle_end(&area->oracle, 0, area->pages, HOLDS_ZEROS);
	/* The mapping is the last that has the old one. */
	area_renew(area);
}

enum look area_read(const struct area *area, size_t page, bool thorough)
{
	const uint32_t ticket = oracle_ticket(&area->oracle, page);
	uint64_t copy[PAGE / sizeof(uint64_t)];
	const ssize_t got = pread(area->fd, copy, PAGE, (off_t)(page * PAGE));

	if (got < 0)
		run_error("pread", errno);
	/* Short at the end of a file that is being cut. */
	if (got != PAGE)
		return LOOK_RACED;
	record_history = area->history;
	return oracle_verify_copy(&area->oracle, page, ticket, copy, thorough);
}

enum look area_look(const struct area *area, size_t page, bool thorough)
{
	const uint32_t remaps = area->remaps, ticket = oracle_ticket(&area->oracle, page);
	uint64_t copy[PAGE / sizeof(uint64_t)];
	const struct iovec to = { copy, PAGE }, from = { area_page(area, page), PAGE };
	const ssize_t got = process_vm_readv(getpid(), &to, 1, &from, 1, 0);

	/* Not mapped, or not to be read, while its owner does something else with it. */
	if (got < 0 && errno != EFAULT)
		run_error("process_vm_readv", errno);
	if (got != PAGE || remaps % 2 || area->remaps != remaps)
		return LOOK_RACED;
	record_history = area->history;
	return oracle_verify_copy(&area->oracle, page, ticket, copy, thorough);
}

struct area area_of_child(const struct area *area, const struct oracle *snapshot)
{
	struct area child = *area;

	child.uffd = -1;
	if (!area_is(area, FILES))
		child.oracle = *snapshot;
	return child;
}
