// SPDX-License-Identifier: GPL-2.0-or-later
/* Which pages are written: see scan.h. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "page.h"
#include "run.h"
#include "scan.h"

#define PAGEMAP "/proc/self/pagemap"
#define IS_WRITTEN ((uint64_t)1 << 1)

struct scanned {
	uint64_t start, end, categories;
};

struct scan {
	uint64_t size, flags, start, end, walk_end;
	uint64_t vec, vec_len, max_pages;
	uint64_t inverted, mask, anyof, returned;
};

#define SCAN _IOWR('f', 16, struct scan)

bool scan_written(const void *start, size_t pages, uint64_t more, uint64_t flags, uint64_t *named)
{
	struct scanned ranges[SCAN_PAGES];
	struct scan scan = {
		.size = sizeof(scan),
		.flags = flags,
		.start = (uintptr_t)start,
		.end = (uintptr_t)start + pages * PAGE,
		.vec = (uintptr_t)ranges,
		.vec_len = SCAN_PAGES,
		.mask = IS_WRITTEN,
		.returned = IS_WRITTEN | more,
	};
	/* Of this process, also in a child: the file is of who has opened it. */
	const int pagemap = open(PAGEMAP, O_RDONLY | O_CLOEXEC);
	int found, error;

	if (pagemap < 0)
		run_fail("open of " PAGEMAP);
	found = ioctl(pagemap, SCAN, &scan);
	error = errno;
	close(pagemap);
	if (found < 0 && error == ENOTTY)
		return false;
	if (found < 0)
		run_error("PAGEMAP_SCAN", error);
	*named = 0;
	for (int i = 0; i < found; i++)
		for (uint64_t at = ranges[i].start; at < ranges[i].end; at += PAGE)
			*named |= 1ull << (at - (uintptr_t)start) / PAGE;
	return true;
}
