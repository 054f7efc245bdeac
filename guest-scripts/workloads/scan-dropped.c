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
#include <stdio.h>
#include <string.h>

#include "area.h"
#include "move.h"
#include "paging.h"
#include "run.h"
#include "scan.h"
#include "uffd.h"

/* Linux 6.7. */
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#define PAGES SCAN_PAGES
#define SAME_PAGES "pagemap.rst, PAGE_IS_WRITTEN: which pages are written does not depend on what else is asked of them"
#define NAMES_WRITTEN "pagemap.rst, PAGE_IS_WRITTEN: a page that was written to since it was write-protected"

static struct area area;
static int uffd;
static counter_t *scans, *written, *dropped, *swapped;

/* Which pages are written; `more`: what else is asked about them. */
static uint64_t scan(uint64_t more, uint64_t flags)
{
	uint64_t named = 0;

	/* The kernel has WP_ASYNC, which came with it. */
	if (!scan_written(area.base, PAGES, more, flags, &named))
		run_error("PAGEMAP_SCAN", ENOTTY);
	count(scans, 1);
	return named;
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
	scan(0, SCAN_PROTECTS);
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
	plain = scan(0, 0);
	full = scan(SCAN_IS_PRESENT | SCAN_IS_SWAPPED, 0);
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
