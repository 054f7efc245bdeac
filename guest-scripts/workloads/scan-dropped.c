// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scan-dropped: PAGEMAP_SCAN leaves a page that was dropped out of those that were written, if it is asked for more about them.
 *
 * Nothing is switched off here. All pages are write-protected by PAGEMAP_SCAN itself, which is how a program finds out later what has
 * changed. Then some are written, some dropped, and some swapped out. Two scans ask which are written: one for this only, the other also
 * where the pages are. Both must name the same pages, and each one that was written.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "area.h"
#include "move.h"
#include "paging.h"
#include "run.h"
#include "uffd.h"

/* Linux 6.7. */
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#define IS_WRITTEN ((uint64_t)1 << 1)
#define IS_PRESENT ((uint64_t)1 << 3)
#define IS_SWAPPED ((uint64_t)1 << 4)
#define PROTECT_MATCHING 1
#define PAGES 64
#define SAME_PAGES "pagemap.rst, PAGE_IS_WRITTEN: which pages are written does not depend on what else is asked of them"
#define NAMES_WRITTEN "pagemap.rst, PAGE_IS_WRITTEN: a page that was written to since it was write-protected"

struct scanned {
	uint64_t start, end, categories;
};

struct scan {
	uint64_t size, flags, start, end, walk_end;
	uint64_t vec, vec_len, max_pages;
	uint64_t inverted, mask, anyof, returned;
};

#define SCAN _IOWR('f', 16, struct scan)

static struct area area;
static int pagemap, uffd;
static counter_t *scans, *written, *dropped, *swapped;

/* Which pages are written; `more`: what else is asked about them. */
static uint64_t scan_written(uint64_t more, uint64_t flags)
{
	struct scanned ranges[PAGES];
	struct scan scan = {
		.size = sizeof(scan),
		.flags = flags,
		.start = (uintptr_t)area.base,
		.end = (uintptr_t)area.base + area.length,
		.vec = (uintptr_t)ranges,
		.vec_len = PAGES,
		.mask = IS_WRITTEN,
		.returned = IS_WRITTEN | more,
	};
	const int found = ioctl(pagemap, SCAN, &scan);
	uint64_t pages = 0;

	if (found < 0)
		run_error("PAGEMAP_SCAN", errno);
	for (int i = 0; i < found; i++)
		for (uint64_t at = ranges[i].start; at < ranges[i].end; at += PAGE)
			pages |= 1ull << (at - (uintptr_t)area.base) / PAGE;
	count(scans, 1);
	return pages;
}

static void compare(uint64_t must, const char *promise, uint64_t has, const char *how)
{
	const uint64_t lacking = must & ~has;
	char seen[80];

	verified_add(PAGES);
	if (!lacking)
		return;
	snprintf(seen, sizeof(seen), "%s: of %d such pages %d are left out", how, __builtin_popcountll(must),
		 __builtin_popcountll(lacking));
	run_mismatch((uint64_t)__builtin_ctzll(lacking), KIND_WRONG, promise, "PAGEMAP_SCAN names the page", seen);
}

static void round_of(struct rng *rng)
{
	uint64_t writes = 0, plain, full;

	for (size_t page = 0; page < PAGES; page++)
		area_write(&area, page, 0);
	scan_written(0, PROTECT_MATCHING);
	for (size_t page = 0; page < PAGES; page++) {
		const uint64_t choice = rng_below(rng, 4);

		if (choice == 0) {
			area_write(&area, page, 0);
			writes |= 1ull << page;
		} else if (choice == 1) {
			area_drop(&area, page, 1);
			count(dropped, 1);
		} else if (choice == 2) {
			page_out(area_page(&area, page), PAGE);
			count(swapped, 1);
		}
	}
	count(written, (uint64_t)__builtin_popcountll(writes));
	plain = scan_written(0, 0);
	full = scan_written(IS_PRESENT | IS_SWAPPED, 0);
	compare(writes, NAMES_WRITTEN, plain, "asked for this only");
	compare(plain, SAME_PAGES, full, "asked where the pages are, too");
	compare(full, SAME_PAGES, plain, "asked for this only");
	area_verify_all(&area);
}

static void driver(struct worker *worker)
{
	while (!run_over())
		round_of(&worker->rng);
}

static void setup(void)
{
	scans = counter("scans");
	written = counter("written");
	dropped = counter("dropped");
	swapped = counter("swapped");
	uffd = uffd_open(UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED);
	if (uffd < 0) {
		run_missing("userfaultfd with UFFD_FEATURE_WP_ASYNC: %s", strerror(errno));
		return;
	}
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pagemap < 0)
		run_fail("open of /proc/self/pagemap");
	area_new(&area, AREA_SMALL, 1, PAGES, uffd);
}

static void load(void)
{
	static struct threads threads;

	if (uffd < 0)
		return;
	threads_add(&threads, 1, driver, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	if (uffd >= 0)
		area_verify_all(&area);
}

int main(int argc, char **argv)
{
	static const struct workload workload = { .steady = 1, .setup = setup, .load = load, .verify = verify };

	return run_workload(&workload, argc, argv);
}
