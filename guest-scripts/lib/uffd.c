// SPDX-License-Identifier: GPL-2.0-or-later
/* userfaultfd for areas: see uffd.h. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "move.h"
#include "run.h"
#include "uffd.h"

#define SERVE_MS 5

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
