// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * willneed: read_swap_cache_async(), which nothing but MADV_WILLNEED calls.
 *
 *   cyclers   page out, ask for the range (all misses), ask again (all hits), touch and verify; private memory through
 *             swapin_walk_pmd_entry(), and a memfd through shmem_swapin_range(), asked for by way of a second mapping
 *             that has no pages.
 *   duels     one thread asks for a few pages while another frees or rewrites the same ones: the entry that was read
 *             is gone when it is looked up, and read_swap_cache_async() ends without a folio.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "branch.h"
#include "paging.h"
#include "record.h"
#include "run.h"

#define FIELDS_MAX 16
/* 8, 16, 32 and 64 pages a bout: the bouts of a duel come out even with the arena. */
#define BOUT_MAX 64
#define ARENA_PAGES (8 + 16 + 32 + 64)
/* More than the latency of the devices. */
#define WRITE_US 1000

/* Pages, and how they are asked for. */
struct field {
	struct region region;
	int fd; /* of the memfd; -1: private memory */
	uint8_t *view; /* where MADV_WILLNEED is given; for a memfd a mapping whose page table stays empty */
	struct meeting meeting;
	_Atomic uint64_t at_line;
	_Atomic uint64_t freed; /* bouts whose pages are all gone */
};

static uint64_t slice_pages = 128;
static uint64_t cyclers = 2;
static uint64_t duels = 1;

static const struct number_option options[] = {
	{ "pages", &slice_pages },
	{ "cyclers", &cyclers },
	{ "duels", &duels },
	{ 0 },
};

static struct field *fields;
static unsigned int fields_count;
static counter_t *asked, *bouts, *dropped;

static struct field *field_new(size_t pages, bool shared)
{
	struct field *field = &fields[fields_count];
	uint8_t *base;

	if (fields_count == FIELDS_MAX) {
		errno = E2BIG;
		run_fail("too many fields");
	}
	field->fd = shared ? memory_file("willneed", pages * PAGE) : -1;
	base = shared ? map_file(field->fd, pages * PAGE) : private_memory(pages * PAGE);
	field->view = shared ? map_file(field->fd, pages * PAGE) : base;
	field->meeting.parties = 2;
	field->region = region_over(base, ++fields_count, pages);
	region_fill(&field->region);
	return field;
}

static void ask(struct field *field, size_t page, size_t pages)
{
	if (madvise(field->view + page * PAGE, pages * PAGE, MADV_WILLNEED))
		run_error("MADV_WILLNEED", errno);
	count(asked, pages);
}

/* In pieces or as a whole: one walk of many entries, or many walks. */
static void ask_for_all(struct field *field, struct rng *rng)
{
	const size_t piece = rng_below(rng, 2) ? field->region.pages : rng_between(rng, 1, 32);

	for (size_t page = 0; page < field->region.pages && !run_over(); page += piece) {
		const size_t left = field->region.pages - page;

		ask(field, page, piece < left ? piece : left);
	}
}

/* Frees the page and its swap entry. To be filled again by occupy(). */
static struct identity vacate(struct field *field, size_t page)
{
	const struct identity identity = region_begin(&field->region, page);
	void *memory = region_page(&field->region, page);
	const int failed = field->fd < 0 ?
				   madvise(memory, PAGE, MADV_DONTNEED) :
				   fallocate(field->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page * PAGE, PAGE);

	if (failed)
		run_error(field->fd < 0 ? "MADV_DONTNEED" : "FALLOC_FL_PUNCH_HOLE", errno);
	return identity;
}

static void occupy(struct field *field, const struct identity *identity)
{
	void *memory = region_page(&field->region, identity->page);

	/* A look makes the write that follows dear: it has to replace the zero page on all CPUs. */
	if (identity->page % 8 == 0 && zero_check(memory) != KIND_OK)
		record_complain(KIND_NONZERO, memory, identity, true);
	record_write(memory, identity, 0);
	region_end(&field->region, identity->page);
	count(dropped, 1);
}

static void verify_field(struct field *field, struct rng *rng)
{
	for (size_t page = 0; page < field->region.pages && !run_over(); page++) {
		region_verify(&field->region, page, rng_below(rng, 8) == 0);
		/* Another generation of some, so that a slot read too late shows as stale. */
		if (rng_below(rng, 4) == 0)
			region_write(&field->region, page, 0);
	}
}

static void cycle(struct worker *worker)
{
	struct field *field = worker->argument;

	while (!run_over()) {
		page_out_fully(field->region.base, field->region.pages * PAGE, 3);
		ask_for_all(field, &worker->rng);
		ask_for_all(field, &worker->rng);
		verify_field(field, &worker->rng);
	}
}

/*
 * Both sides start within a microsecond, in no particular order. Who was asleep in meet() would come late, so they
 * wait for each other once more, awake, and for a millisecond at most: the other one may have lost its CPU.
 */
static bool line_up(struct field *field, uint64_t bout, struct rng *rng)
{
	uint64_t latest;

	if (!meet(&field->meeting))
		return false;
	latest = now_ns() + 1000000;
	field->at_line++;
	while (field->at_line < 2 * (bout + 1) && now_ns() < latest)
		;
	for (volatile uint64_t i = rng_below(rng, 200); i > 0; i--)
		;
	return true;
}

static size_t bout_pages(uint64_t bout)
{
	return 8u << (bout % 4);
}

static void duel_ask(struct worker *worker)
{
	struct field *field = worker->argument;
	size_t page = 0;

	for (uint64_t bout = 0; line_up(field, bout, &worker->rng); bout++) {
		/* Each time round the two sides cross once more. */
		do
			ask(field, page, bout_pages(bout));
		while (field->freed <= bout && !run_over());
		page = (page + bout_pages(bout)) % ARENA_PAGES;
	}
}

/* From the last page to the first: the two sides must cross. All pages are written only when all are gone. */
static void free_backwards(struct field *field, size_t page, size_t pages, struct rng *rng)
{
	struct identity vacated[BOUT_MAX];
	size_t count_vacated = 0;

	for (size_t i = pages; i-- > 0;)
		if (rng_below(rng, 8))
			vacated[count_vacated++] = vacate(field, page + i);
		else if (region_verify(&field->region, page + i, false) != LOOK_BAD)
			region_write(&field->region, page + i, 1); /* gives the swap entry back, too */
	field->freed++;
	while (count_vacated > 0)
		occupy(field, &vacated[--count_vacated]);
}

/*
 * Here it does not matter whether a page is in the swap cache: with its entry it is gone from there, too, unless it is
 * still being written. To have all of them out would take longer than the bouts do.
 */
static void page_out_arena(struct field *field)
{
	page_out(field->region.base, ARENA_PAGES * PAGE);
	sleep_us(WRITE_US);
}

static void duel_free(struct worker *worker)
{
	struct field *field = worker->argument;
	size_t page = 0;

	for (uint64_t bout = 0;; bout++) {
		if (page == 0)
			page_out_arena(field);
		if (!line_up(field, bout, &worker->rng))
			return;
		free_backwards(field, page, bout_pages(bout), &worker->rng);
		count(bouts, 1);
		page = (page + bout_pages(bout)) % ARENA_PAGES;
	}
}

static void prepare(void)
{
	branch_probe("empty_handed", "read_swap_cache_async", "ret==0", "");
}

static void setup(void)
{
	fields = locked_memory(FIELDS_MAX * sizeof(*fields));
	asked = counter("asked_pages");
	bouts = counter("duel_bouts");
	dropped = counter("dropped_pages");
	for (uint64_t i = 0; i < cyclers + 1; i++)
		field_new(slice_pages, i == cyclers);
	for (uint64_t i = 0; i < 2 * duels; i++)
		field_new(ARENA_PAGES, i % 2);
}

static void load(void)
{
	struct threads threads = { 0 };

	for (unsigned int i = 0; i < fields_count; i++) {
		if (i <= cyclers) {
			threads_add(&threads, 1, cycle, &fields[i]);
			continue;
		}
		threads_add(&threads, 1, duel_ask, &fields[i]);
		threads_add(&threads, 1, duel_free, &fields[i]);
	}
	threads_join(&threads);
}

static void verify(void)
{
	for (unsigned int i = 0; i < fields_count; i++)
		region_verify_all(&fields[i].region);
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
