// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * collapse-dirty: a huge page of a memory file loses what was written to it, because MADV_COLLAPSE forgets that it was.
 *
 * Nothing is switched off here. A read of a hole gets a huge page, and nobody has written to that page so far. Then it is mapped page by
 * page, and written to through page table entries, which alone know of it. MADV_COLLAPSE puts one large entry in their place. When the
 * page is reclaimed now, it has to go to the swap device like any other that was written to, and to come back from there.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <sys/mman.h>

#include "area.h"
#include "paging.h"
#include "run.h"

static uint64_t pages = 32;

static const struct number_option options[] = {
	{ "pages", &pages },
	{ 0 },
};

static struct area area;
static counter_t *rounds, *collapsed, *written;

static void advise(int advice, const char *name)
{
	if (madvise(area.base, area.length, advice))
		run_error(name, errno);
}

/* A huge page that was only read, mapped page by page: without huge pages in this mapping a look maps pages one by one. */
static void read_in(void)
{
	area_drop_all(&area);
	advise(MADV_HUGEPAGE, "MADV_HUGEPAGE");
	area_verify(&area, 0, false);
	advise(MADV_NOHUGEPAGE, "MADV_NOHUGEPAGE");
	advise(MADV_DONTNEED, "MADV_DONTNEED");
	area_verify_all(&area);
}

static void round_of(void)
{
	read_in();
	for (size_t page = 0; page < pages; page++)
		if (page % 8 != 7) /* one of these may be all zeros */
			area_write(&area, page, 0);
	count(written, pages);
	advise(MADV_HUGEPAGE, "MADV_HUGEPAGE");
	count(collapsed, collapse(area.base, area.length));
	page_out_fully(area.base, area.length, 3);
	area_verify_all(&area);
	count(rounds, 1);
}

static void driver(struct worker *worker)
{
	(void)worker;
	while (!run_over())
		round_of();
}

static void setup(void)
{
	rounds = counter("rounds");
	collapsed = counter("collapsed");
	written = counter("written_pages");
	if (!pages || pages >= HUGE_ALIGN / PAGE)
		run_fail("--pages");
	if (area_huge_is_small())
		area_new(&area, AREA_FILE_HUGE, 1, pages, -1);
}

static void load(void)
{
	static struct threads threads;

	if (!area_huge_is_small())
		return;
	threads_add(&threads, 1, driver, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	area_verify_all(&area);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options,
		.steady = 1,
		.prepare = area_allow_huge_files,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
