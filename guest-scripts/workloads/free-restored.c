// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * free-restored: a process frees a large folio, shares half of it with a child, and writes to it, so that it can't be discarded.
 *
 * Nothing is switched off here. The first half of the folio is not inherited (MADV_DONTFORK): its entries stay writable, and those of the
 * second half do not, since a child has these pages, too. Reclaim has to take all entries away to see that the folio was written to, and
 * puts them back as they were. What the parent writes then to a page of the second half, the child must not see.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <sys/mman.h>

#include "area.h"
#include "paging.h"
#include "run.h"

/* Of a folio of 64 KiB. */
#define PAGES ((size_t)(64 << 10) / PAGE)
#define HALF (PAGES / 2)

static struct area area;
static struct oracle *snapshot;
static struct meeting *forked, *written;
static counter_t *freed, *shared_pages, *rounds;

static void inherit(int advice, const char *name)
{
	if (madvise(area_page(&area, 0), HALF * PAGE, advice))
		run_error(name, errno);
}

/* It has the second half only. */
static void child(void *argument)
{
	struct area own = area_of_child(&area, argument);

	meet(forked);
	meet(written);
	for (size_t page = HALF; page < PAGES; page++)
		area_verify(&own, page, true);
}

/*
 * The first time, reclaim finds that the folio was used lately, and leaves it. From the end: the page that is written gets a folio of its
 * own if all is well, and the rest is to stay in one piece.
 */
static void write_shared(void)
{
	for (size_t page = PAGES - 1; page >= HALF; page--) {
		reclaim(PAGES * PAGE);
		area_write(&area, page, 0);
		count(shared_pages, 1);
	}
}

static void round_of(void)
{
	int sharer;

	area_drop(&area, 0, PAGES);
	for (size_t page = 0; page < PAGES; page++)
		area_write(&area, page, 0);
	area_free(&area, 0, PAGES);
	count(freed, PAGES);
	inherit(MADV_DONTFORK, "MADV_DONTFORK");
	oracle_copy(snapshot, &area.oracle, 2);
	sharer = child_start(child, snapshot);
	inherit(MADV_DOFORK, "MADV_DOFORK");
	area_write(&area, 0, 0);
	if (meet(forked))
		write_shared();
	meet(written);
	child_join(sharer);
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
	freed = counter("freed_pages");
	shared_pages = counter("shared_pages");
	rounds = counter("rounds");
	forked = locked_memory(sizeof(*forked));
	written = locked_memory(sizeof(*written));
	forked->parties = 2;
	written->parties = 2;
	snapshot = locked_memory(sizeof(*snapshot));
	*snapshot = oracle_new(0, PAGES);
	area_new(&area, AREA_LARGE, 1, PAGES, -1);
}

static void load(void)
{
	static struct threads threads;

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
		.steady = 1,
		.prepare = area_allow_large_folios,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
