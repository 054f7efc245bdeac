// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mseal: ranges of memory are sealed by mseal(), in any order and one over the other.
 *
 * Nothing is switched off here. What is sealed stays so until its process ends, so each round has a child of its own. The kernel keeps
 * neighbours of the same kind as one mapping, and so splits and merges mappings all the time. Afterwards each page must have its data,
 * must be sealed if it was in one of the ranges, and may be protected otherwise.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "area.h"
#include "paging.h"
#include "run.h"

/* Linux 6.10. */
#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#define PAGES 16
#define SEALS 6
#define LONGEST 8
#define SEALED_STAYS "mseal.rst: mprotect() of a page that was sealed is refused (EPERM)"
#define OTHERS_NOT "mseal.rst: only what mseal() was called for is sealed"

static struct area area;
static struct oracle *snapshot;
static bool there;
static counter_t *seals, *refused, *allowed, *rounds;

static int seal(void *address, size_t length)
{
	return (int)syscall(SYS_mseal, address, length, 0);
}

/* mprotect() of one page and back: which splits and merges, too. */
static void check(struct area *own, size_t page, bool sealed)
{
	const bool done = !mprotect(area_page(own, page), PAGE, PROT_READ);

	if (!done && errno != EPERM)
		run_error("mprotect", errno);
	if (done && mprotect(area_page(own, page), PAGE, PROT_READ | PROT_WRITE))
		run_error("mprotect", errno);
	if (done && sealed)
		run_mismatch(page, KIND_WRONG, SEALED_STAYS, "EPERM", "mprotect() has protected it");
	if (!done && !sealed)
		run_mismatch(page, KIND_WRONG, OTHERS_NOT, "mprotect() protects the page", "EPERM");
	count(done ? allowed : refused, 1);
}

static void child(void *argument)
{
	struct area own = area_of_child(&area, argument);
	struct rng rng = rng_stream(run_seed(), *rounds);
	uint32_t sealed = 0;

	for (int i = 0; i < SEALS; i++) {
		const size_t length = rng_between(&rng, 1, LONGEST);
		const size_t first = rng_below(&rng, PAGES - length + 1);

		area_note(&own, "mseal", first, length);
		if (seal(area_page(&own, first), length * PAGE))
			run_error("mseal", errno);
		sealed |= ((1u << length) - 1) << first;
		count(seals, 1);
		operations_add(1);
	}
	for (size_t page = 0; page < PAGES; page++)
		check(&own, page, sealed >> page & 1);
	area_verify_all(&own);
}

static void driver(struct worker *worker)
{
	(void)worker;
	while (!run_over()) {
		oracle_copy(snapshot, &area.oracle, 2);
		child_join(child_start(child, snapshot));
		count(rounds, 1);
	}
}

static void setup(void)
{
	seals = counter("seals");
	refused = counter("refused");
	allowed = counter("allowed");
	rounds = counter("rounds");
	/* Nothing is there to be sealed; without the system call it is ENOSYS. */
	there = !seal(NULL, 0);
	if (!there) {
		run_missing("mseal(): %s", strerror(errno));
		return;
	}
	snapshot = locked_memory(sizeof(*snapshot));
	*snapshot = oracle_new(0, PAGES);
	area_new(&area, AREA_SMALL, 1, PAGES, -1);
	for (size_t page = 0; page < PAGES; page++)
		area_write(&area, page, 0);
}

static void load(void)
{
	static struct threads threads;

	if (!there)
		return;
	threads_add(&threads, 1, driver, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	if (there)
		area_verify_all(&area);
}

int main(int argc, char **argv)
{
	static const struct workload workload = { .steady = 1, .setup = setup, .load = load, .verify = verify };

	return run_workload(&workload, argc, argv);
}
