// SPDX-License-Identifier: GPL-2.0-or-later
/* Mappings of files whose pages userfaultfd maps: see minor.h. */
#define _GNU_SOURCE

#include <errno.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "minor.h"
#include "paging.h"
#include "run.h"
#include "uffd.h"

/* Linux 5.13 and 5.14. */
#ifndef UFFDIO_REGISTER_MODE_MINOR
#define UFFDIO_REGISTER_MODE_MINOR ((uint64_t)1 << 2)
#endif
#ifndef UFFD_FEATURE_MINOR_SHMEM
#define UFFD_FEATURE_MINOR_SHMEM (1 << 10)
#endif
#define SERVE_MS 5

int minor_open(void)
{
	return uffd_open_with(UFFD_FEATURE_MINOR_SHMEM);
}

void minor_map(struct minor *minor, int uffd, const struct area *area)
{
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MINOR };

	minor->area = area;
	minor->base = map_file(area->fd, area->length);
	range.range = (struct uffdio_range){ (uintptr_t)minor->base, area->length };
	if (ioctl(uffd, UFFDIO_REGISTER, &range))
		run_error("UFFDIO_REGISTER", errno);
}

void minor_unmap(struct minor *minor)
{
	if (minor->area && munmap(minor->base, minor->area->length))
		run_error("munmap", errno);
	minor->area = NULL;
}

void minor_forget(const struct minor *minor, size_t first, size_t count)
{
	if (madvise(minor->base + first * PAGE, count * PAGE, MADV_DONTNEED))
		run_error("MADV_DONTNEED", errno);
}

enum look minor_look(const struct minor *minor, size_t page, bool thorough)
{
	const uint32_t ticket = oracle_ticket(&minor->area->oracle, page);
	uint64_t copy[PAGE / sizeof(uint64_t)];

	memcpy(copy, minor->base + page * PAGE, PAGE);
	record_history = minor->area->history;
	return oracle_verify_copy(&minor->area->oracle, page, ticket, copy, thorough);
}

/*
 * What is no error: another fault has mapped the page (EEXIST); there is none, because it was dropped meanwhile (EFAULT); the address space
 * is changing (EAGAIN), or no memory is to be had just now (ENOMEM). Who waits finds out, or waits once more.
 */
static bool map_page(int uffd, uint64_t address)
{
	struct uffdio_continue page = { .range = { address & -(uint64_t)PAGE, PAGE } };

	if (!ioctl(uffd, UFFDIO_CONTINUE, &page))
		return true;
	if (errno != EEXIST && errno != EFAULT && errno != EAGAIN && errno != ENOMEM)
		run_error("UFFDIO_CONTINUE", errno);
	ioctl(uffd, UFFDIO_WAKE, &page.range);
	return false;
}

size_t minor_serve(int uffd)
{
	struct pollfd ready = { .fd = uffd, .events = POLLIN };
	struct uffd_msg message;
	size_t mapped = 0;

	if (poll(&ready, 1, SERVE_MS) < 0)
		return 0;
	while (read(uffd, &message, sizeof(message)) == sizeof(message))
		if (message.event == UFFD_EVENT_PAGEFAULT)
			mapped += map_page(uffd, message.arg.pagefault.address);
	return mapped;
}
