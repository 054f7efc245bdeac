// SPDX-License-Identifier: GPL-2.0-or-later
/* userfaultfd for areas: see uffd.h. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "move.h"
#include "paging.h"
#include "run.h"
#include "uffd.h"

/* Linux 6.6. */
#ifndef UFFDIO_POISON
#define UFFDIO_POISON _IOWR(UFFDIO, 0x08, struct uffdio_poison)

struct uffdio_poison {
	struct uffdio_range range;
	__u64 mode;
	__s64 updated;
};
#endif

#define SERVE_MS 5
#define POISONED "ioctl_userfaultfd(2), UFFDIO_POISON: whoever accesses a poisoned page gets an error"

int uffd_open(uint64_t more)
{
	return uffd_open_with(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_MOVE | more);
}

int uffd_open_with(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	const int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	int why;

	if (uffd < 0 || !ioctl(uffd, UFFDIO_API, &api))
		return uffd;
	why = errno;
	close(uffd);
	errno = why;
	return -1;
}

void uffd_register(int uffd, void *address, size_t length)
{
	struct uffdio_register range = {
		.range = { (uintptr_t)address, length },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	if (ioctl(uffd, UFFDIO_REGISTER, &range))
		run_error("UFFDIO_REGISTER", errno);
}

void uffd_unregister(int uffd, void *address, size_t length)
{
	struct uffdio_range range = { (uintptr_t)address, length };

	if (ioctl(uffd, UFFDIO_UNREGISTER, &range))
		run_error("UFFDIO_UNREGISTER", errno);
}

/* ENOENT: unmapped, or mapped elsewhere and not registered there yet; who wrote tries again. */
static void lift(int uffd, uint64_t address)
{
	struct uffdio_writeprotect protect = { .range = { address & -(uint64_t)PAGE, PAGE } };

	while (ioctl(uffd, UFFDIO_WRITEPROTECT, &protect)) {
		if (errno == EAGAIN)
			continue;
		if (errno != ENOENT)
			run_error("UFFDIO_WRITEPROTECT", errno);
		ioctl(uffd, UFFDIO_WAKE, &protect.range);
		return;
	}
}

size_t uffd_serve(int uffd, void (*note)(uint64_t address))
{
	struct pollfd ready = { .fd = uffd, .events = POLLIN };
	struct uffd_msg message;
	size_t served = 0;

	if (poll(&ready, 1, SERVE_MS) < 0)
		return 0;
	while (read(uffd, &message, sizeof(message)) == sizeof(message)) {
		if (message.event != UFFD_EVENT_PAGEFAULT)
			continue;
		if (note)
			note(message.arg.pagefault.address);
		lift(uffd, message.arg.pagefault.address);
		served++;
	}
	return served;
}

bool uffd_copy(struct area *area, size_t page, bool protect)
{
	const struct identity next = oracle_next(&area->oracle, page);
	uint64_t buffer[PAGE / sizeof(uint64_t)];
	struct uffdio_copy copy = {
		.dst = (uintptr_t)area_page(area, page),
		.src = (uintptr_t)buffer,
		.len = PAGE,
		.mode = protect ? UFFDIO_COPY_MODE_WP : 0,
	};

	area_drop(area, page, 1);
	record_write(buffer, &next, 0);
	oracle_begin(&area->oracle, page, 1);
	if (!ioctl(area->uffd, UFFDIO_COPY, &copy)) {
		oracle_end_written(&area->oracle, page);
		return true;
	}
	if (errno != EEXIST && errno != EAGAIN)
		run_error("UFFDIO_COPY", errno);
	oracle_end(&area->oracle, page, 1, HOLDS_ZEROS);
	return false;
}

bool uffd_zero(struct area *area, size_t page)
{
	struct uffdio_zeropage zero = { .range = { (uintptr_t)area_page(area, page), PAGE } };

	area_drop(area, page, 1);
	if (!ioctl(area->uffd, UFFDIO_ZEROPAGE, &zero))
		return true;
	if (errno != EEXIST && errno != EAGAIN)
		run_error("UFFDIO_ZEROPAGE", errno);
	return false;
}

/* Of one page: whoever reads it from elsewhere gets nothing. */
static bool is_unreadable(const struct area *area, size_t page)
{
	uint8_t copy[16];
	const struct iovec to = { copy, sizeof(copy) }, from = { area_page(area, page), sizeof(copy) };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) < 0 && errno == EFAULT;
}

/*
 * Asks for a move of what is no page: a marker. The kernel may refuse it for any reason, or move it: so it is wherever nobody can read
 * afterwards. The result is whether it has stayed.
 */
static bool stays_unreadable(const struct area *area, size_t page)
{
	uint8_t *const there = private_memory(PAGE);
	struct area other = { .base = there };
	struct uffdio_move move = {
		.dst = (uintptr_t)there,
		.src = (uintptr_t)area_page(area, page),
		.len = PAGE,
		.mode = UFFDIO_MOVE_MODE_DONTWAKE,
	};
	bool stays;

	uffd_register(area->uffd, there, PAGE);
	stays = ioctl(area->uffd, UFFDIO_MOVE, &move) != 0;
	if (!is_unreadable(stays ? area : &other, stays ? page : 0))
		run_mismatch(page, KIND_WRONG, POISONED, "EFAULT, after UFFDIO_MOVE of it", "the page was read");
	count(counter("marker_moves"), 1);
	if (munmap(there, PAGE))
		run_error("munmap", errno);
	return stays;
}

bool uffd_poison(struct area *area, size_t first, size_t pages)
{
	struct uffdio_poison poison = { .range = { (uintptr_t)area_page(area, first), pages * PAGE } };
	size_t first_left = first;
	int error;

	area_drop(area, first, pages);
	oracle_begin(&area->oracle, first, pages);
	error = ioctl(area->uffd, UFFDIO_POISON, &poison) ? errno : 0;
	page_out(area_page(area, first), pages * PAGE);
	if (!error && !stays_unreadable(area, first))
		first_left++;
	for (size_t page = first_left; !error && page < first + pages; page++)
		if (!is_unreadable(area, page))
			run_mismatch(page, KIND_WRONG, POISONED, "EFAULT", "the page was read");
	oracle_end(&area->oracle, first, pages, HOLDS_ZEROS);
	/* With the pages the poison goes. */
	area_drop(area, first, pages);
	if (!error)
		count(counter("poisoned_pages"), pages);
	/* ENOENT: Linux 6.12 may keep the area as two mappings. */
	else if (error != EINVAL && error != EEXIST && error != EAGAIN && error != ENOENT)
		run_error("UFFDIO_POISON", error);
	return !error;
}

void uffd_protect(struct area *area, size_t first, size_t count, bool on)
{
	struct uffdio_writeprotect protect = {
		.range = { (uintptr_t)area_page(area, first), count * PAGE },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	while (ioctl(area->uffd, UFFDIO_WRITEPROTECT, &protect))
		if (errno != EAGAIN) {
			run_error("UFFDIO_WRITEPROTECT", errno);
			return;
		}
}

/*
 * Of a page that the kernel does not say it has moved. Linux 6.19 takes a move that was retried inside the kernel for one that is
 * still to do, and says EEXIST of its own work: the contents tell.
 */
static bool is_still_there(const struct area *from, size_t page)
{
	const struct expected_page *expected = &from->oracle.expected[page];
	const struct identity identity = { expected->region, expected->page, expected->generation };

	return record_check(area_page(from, page), &identity, true) == KIND_OK;
}

/* The pages have begun to change; the result is the errno. */
static int move_once(struct area *to, size_t to_page, struct area *from, size_t from_page, size_t count, size_t *moved)
{
	struct uffdio_move move = {
		.dst = (uintptr_t)area_page(to, to_page),
		.src = (uintptr_t)area_page(from, from_page),
		.len = count * PAGE,
		.mode = UFFDIO_MOVE_MODE_DONTWAKE,
	};
	const int error = ioctl(to->uffd, UFFDIO_MOVE, &move) ? errno : 0;

	*moved = move.move > 0 ? (size_t)move.move / PAGE : 0;
	/* Part of a mapping that was split: each page by itself. */
	if (error == EINVAL && !*moved && count > 1)
		return 0;
	if (error && error != EAGAIN && error != EBUSY && error != EEXIST)
		run_error("UFFDIO_MOVE", error);
	return error;
}

size_t uffd_move(struct area *to, size_t to_page, struct area *from, size_t from_page, size_t count)
{
	size_t told = 0, moved = 0, i;

	area_drop(to, to_page, count);
	oracle_begin(&to->oracle, to_page, count);
	oracle_begin(&from->oracle, from_page, count);
	if (!move_once(to, to_page, from, from_page, count, &told) && !told)
		for (size_t one = 1; told < count && one; told += one)
			move_once(to, to_page + told, from, from_page + told, 1, &one);
	for (i = 0; i < count; i++)
		if (i < told || !is_still_there(from, from_page + i)) {
			oracle_end_moved(&to->oracle, to_page + i, &from->oracle, from_page + i);
			moved++;
		} else {
			oracle_end(&to->oracle, to_page + i, 1, HOLDS_ZEROS);
			oracle_end(&from->oracle, from_page + i, 1, HOLDS_RECORD);
		}
	return moved;
}

/* One call after another, until one moves nothing. True: the first one has moved all, a huge page as a whole. */
static bool move_whole(int uffd, uint8_t *to, uint8_t *from, size_t length)
{
	size_t done = 0;
	unsigned int calls = 0;

	for (bool goes_on = true; goes_on && done < length; calls++) {
		struct uffdio_move move = {
			.dst = (uintptr_t)to + done,
			.src = (uintptr_t)from + done,
			.len = length - done,
			.mode = UFFDIO_MOVE_MODE_DONTWAKE | UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES,
		};
		const int error = ioctl(uffd, UFFDIO_MOVE, &move) ? errno : 0;

		if (error && error != EAGAIN && error != EBUSY && error != EEXIST && error != EINVAL)
			run_error("UFFDIO_MOVE", error);
		goes_on = move.move > 0;
		done += goes_on ? (size_t)move.move : 0;
	}
	return calls == 1 && done == length;
}

/*
 * Pages that have come come back, in one piece where they are neighbours; nothing is mapped at `from` afterwards. The kernel may have moved
 * more than it says (see is_still_there()).
 */
static void take_back(uint8_t *from, uint8_t *to, size_t length)
{
	size_t next;

	for (size_t first = 0; first < length; first = next) {
		const bool hole = is_hole(from + first);

		for (next = first + PAGE; next < length && is_hole(from + next) == hole;)
			next += PAGE;
		if (hole && munmap(from + first, next - first))
			run_error("munmap", errno);
		if (!hole && mremap(from + first, next - first, next - first, MREMAP_MAYMOVE | MREMAP_FIXED, to + first) != to + first)
			run_fail("mremap");
	}
}

bool uffd_move_all(int uffd, struct area *area)
{
	uint8_t *const there = private_memory(area->length);
	bool whole;

	if (madvise(there, area->length, MADV_HUGEPAGE))
		run_error("MADV_HUGEPAGE", errno);
	uffd_register(uffd, there, area->length);
	atomic_fetch_add(&area->remaps, 1);
	/* Where nothing was written is the huge zero page, which Linux 6.19 can't move (docs/found/huge-zero-move.md). */
	*(volatile uint8_t *)area_page(area, area->pages) = 0;
	whole = move_whole(uffd, there, area->base, area->length);
	uffd_unregister(uffd, there, area->length);
	take_back(there, area->base, area->length);
	atomic_fetch_add(&area->remaps, 1);
	return whole;
}
