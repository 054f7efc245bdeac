// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ksm: pages of equal contents in several processes, which KSM merges, that are swapped out merged and come back for each process by
 * itself, against swapoff.
 *
 *   owners     threads and children, each with pages of its own: write one of a few contents to some, so that these are merged with
 *              others, have pages go out, and look at what they hold;
 *   a switcher has all that is merged taken apart, which brings it in, and merged again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "paging.h"
#include "record.h"
#include "run.h"
#include "textfile.h"

#define KSM "/sys/kernel/mm/ksm/"
#define OWNERS_MAX 8
/* Contents: zeros, one word all over, or noise. */
#define CONTENTS 6
#define WORDS (PAGE / 8)
/* Between two changes, in microseconds: KSM takes a page that has not changed from one scan to the next. */
#define STILL_LEAST 5000
#define STILL_MOST 40000
#define APART_LEAST 200000
#define APART_MOST 800000

static uint64_t pages = 96;
static uint64_t threads_number = 2;
static uint64_t children_number = 2;

static const struct number_option options[] = {
	{ "pages", &pages },
	{ "owners", &threads_number },
	{ "children", &children_number },
	{ 0 },
};

/* Of one owner: which contents each page has. */
struct owned {
	uint8_t *base;
	uint8_t *contents;
};

static struct owned all[2 * OWNERS_MAX];
static counter_t *rewrites, *merged, *taken_apart;

static uint64_t word_of(unsigned int contents, uint64_t word)
{
	const uint64_t key = mix(run_seed() + contents);

	if (!contents)
		return 0;
	return contents % 2 ? key : mix(key + word);
}

static void rewrite(struct owned *owned, size_t page, struct rng *rng)
{
	uint64_t *words = (uint64_t *)(owned->base + page * PAGE);
	const unsigned int contents = rng_below(rng, CONTENTS);

	for (uint64_t word = 0; word < WORDS; word++)
		words[word] = word_of(contents, word);
	owned->contents[page] = contents;
	count(rewrites, 1);
	operations_add(1);
}

static void look(const struct owned *owned, size_t page, bool thorough)
{
	const volatile uint64_t *words = (const uint64_t *)(owned->base + page * PAGE);
	const unsigned int contents = owned->contents[page];
	char wanted[60], seen[120];

	verified_add(1);
	operations_add(1);
	for (uint64_t word = 0; word < WORDS; word += thorough ? 1 : WORDS / 8 - 1) {
		const uint64_t had = words[word];

		if (had == word_of(contents, word))
			continue;
		snprintf(wanted, sizeof(wanted), "contents %u, word %" PRIu64 ": %" PRIx64, contents, word, word_of(contents, word));
		snprintf(seen, sizeof(seen), "%" PRIx64 "; pagemap %" PRIx64, had, pagemap_word(owned->base + page * PAGE));
		run_mismatch(page, KIND_WRONG, HOLDS_WHAT_WAS_WRITTEN, wanted, seen);
		return;
	}
}

static void go_out(const struct owned *owned, struct rng *rng)
{
	/* MADV_PAGEOUT leaves pages alone that others share: only reclaim takes merged ones. */
	if (rng_below(rng, 3))
		reclaim(rng_between(rng, 1, 2 * pages) * PAGE);
	else
		page_out(owned->base, pages * PAGE);
}

static void own(struct owned *owned, struct rng *rng)
{
	while (!run_over()) {
		for (size_t page = 0; page < pages && !run_over(); page++)
			if (!rng_below(rng, 8))
				rewrite(owned, page, rng);
		sleep_us(rng_between(rng, STILL_LEAST, STILL_MOST));
		go_out(owned, rng);
		for (uint64_t looks = rng_below(rng, pages); looks && !run_over(); looks--)
			look(owned, rng_below(rng, pages), !rng_below(rng, 4));
	}
}

static void map(struct owned *owned)
{
	owned->base = private_memory(pages * PAGE);
	if (madvise(owned->base, pages * PAGE, MADV_MERGEABLE))
		run_error("MADV_MERGEABLE", errno);
}

static void owner(struct worker *worker)
{
	own(&all[worker->index], &worker->rng);
}

static void child(void *argument)
{
	struct owned *owned = &all[OWNERS_MAX + *(const unsigned int *)argument];
	struct rng rng = rng_stream(run_seed(), owned - all);

	map(owned);
	own(owned, &rng);
	for (size_t page = 0; page < pages; page++)
		look(owned, page, true);
}

static void switcher(struct worker *worker)
{
	uint64_t last = 0, apart = 0;

	while (!run_over()) {
		const uint64_t now = now_ns(), sharing = number_in(KSM "pages_sharing");

		count(merged, sharing > last ? sharing - last : 0);
		last = sharing;
		if (now >= apart) {
			/* It brings in all that is merged and swapped out, and fails where memory is short. */
			if (apart && put_text(KSM "run", "2"))
				count(taken_apart, 1);
			put_text(KSM "run", "1");
			apart = now_ns() + rng_between(&worker->rng, APART_LEAST, APART_MOST) * 1000;
		}
		sleep_us(5000);
	}
	put_text(KSM "run", "0");
}

static void prepare(void)
{
	if (access(KSM "run", W_OK))
		run_missing("KSM: %m");
}

static void setup(void)
{
	rewrites = counter("rewrites");
	merged = counter("merged_pages");
	taken_apart = counter("taken_apart");
	if (threads_number > OWNERS_MAX || children_number > OWNERS_MAX || !pages)
		run_fail("--owners, --children and --pages");
	for (unsigned int i = 0; i < 2 * OWNERS_MAX; i++)
		all[i].contents = locked_memory(pages);
	for (uint64_t i = 0; i < threads_number; i++)
		map(&all[i]);
}

static void load(void)
{
	static struct threads threads;
	struct children children;

	children_start(&children, children_number, child);
	threads_add(&threads, threads_number, owner, NULL);
	threads_add(&threads, 1, switcher, NULL);
	threads_join(&threads);
	children_join(&children);
}

static void verify(void)
{
	for (uint64_t i = 0; i < threads_number; i++)
		for (size_t page = 0; page < pages; page++)
			look(&all[i], page, true);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options,
		.prepare = prepare,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
