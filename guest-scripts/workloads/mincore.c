// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mincore() against swapoff. An owner process keeps a memory file swapped out; lookers map the same file anew, never
 * touch it and ask mincore(), which then looks each page's swap entry up with no lock held (no page table), or under
 * the page table lock (one page of each table touched). A third kind asks about swapped anonymous memory.
 *
 * What mincore() says is racy by contract, and of each byte only the lowest bit counts. What can be checked: status, nothing
 * written beyond the vector, locked pages always resident, an untouched hole never. That swapoff leaves all pages resident is
 * promised by nobody: a kernel may keep what needs no device, such as zeros, swapped out. So once all devices are off, pages
 * that pagemap calls present must be resident, and all of them once they are locked.
 * The owner's and the anonymous records are verified as well.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "paging.h"
#include "record.h"
#include "run.h"

#define VECTOR_ENDS "mincore(2): vec has a byte for each page of the range"
#define RESIDENT_IS_TOLD "mincore(2): the bit of a page is set if it is resident, and clear otherwise"
#define PRESENT_IS_RESIDENT "pagemap.rst: bit 63 says that a page is present; mincore(2): the bit of such a page is set"

#define CANARY 0xa5
#define LOCKED_PAGES 4
#define HOLE_PAGES 64
#define FILE_LOOKERS 5

static uint64_t file_pages = 512; /* in one page table */
static uint64_t anon_pages = 256;
static uint64_t chunk = 64;
static uint64_t looks = 3; /* mincore() calls for each fresh mapping */

static const struct number_option OPTIONS[] = {
	{ "file-pages", &file_pages },
	{ "anon-pages", &anon_pages },
	{ "chunk", &chunk },
	{ "looks", &looks },
	{ NULL, NULL },
};

enum { REGION_FILE = 1, REGION_ANON };

static int file;
static struct region shared, anon;
static uint8_t *locked_pages, *hole;
static counter_t *absent, *present, *hole_looks, *table_looks, *anon_looks, *page_outs;
static counter_t *still_present, *resident_without_devices;

static void complain(size_t page, const char *promise, const char *expected, size_t seen)
{
	char text[32];

	snprintf(text, sizeof(text), "%zu", seen);
	run_mismatch(page, KIND_WRONG, promise, expected, text);
}

/* Asks about the range; the vector is the caller's and has room for a canary. */
static size_t look(uint8_t *address, size_t pages, uint8_t *vec)
{
	size_t resident = 0;

	memset(vec, CANARY, pages + 1);
	if (!ask_mincore(address, pages * PAGE, vec))
		return 0;
	for (size_t i = 0; i < pages; i++)
		resident += vec[i] & 1;
	if (vec[pages] != CANARY)
		complain(pages, VECTOR_ENDS, "nothing is written beyond the vector", vec[pages]);
	operations_add(1);
	verified_add(pages);
	return resident;
}

static void look_and_count(uint8_t *address, size_t pages, uint8_t *vec)
{
	const size_t resident = look(address, pages, vec);

	count(absent, pages - resident);
	count(present, resident);
}

static void look_at_certainties(uint8_t *vec)
{
	const size_t in_hole = look(hole, HOLE_PAGES, vec);
	const size_t in_locked = look(locked_pages, LOCKED_PAGES, vec);

	if (in_hole)
		complain(0, RESIDENT_IS_TOLD, "an untouched hole has no resident page", in_hole);
	if (in_locked != LOCKED_PAGES)
		complain(0, LOCKED_STAYS, "all locked pages are resident", in_locked);
}

/* One look at a mapping of its own, so that no page table of an earlier one is left. */
static void look_at_file(bool tables, uint8_t *vec)
{
	uint8_t *mapping = map_file(file, file_pages * PAGE);

	if (tables)
		for (size_t page = 0; page < file_pages; page += HUGE_ALIGN / PAGE)
			(void)*(volatile uint8_t *)(mapping + page * PAGE);
	for (uint64_t i = 0; i < looks && !run_over(); i++) {
		look_and_count(mapping, file_pages, vec);
		count(tables ? table_looks : hole_looks, 1);
		/* Looks are cheap, and the CPUs are for swapoff as well. */
		sleep_us(500);
	}
	munmap(mapping, file_pages * PAGE);
}

/* A process each: who is in mincore() keeps others of its address space from mapping anew. */
static void file_looker(void *argument)
{
	const bool tables = argument != NULL;
	uint8_t *vec = locked_memory(file_pages + 1);

	while (!run_over()) {
		look_at_file(tables, vec);
		look_at_certainties(vec);
	}
}

static void anon_looker(struct worker *worker)
{
	uint8_t *vec = locked_memory(anon_pages + 1);

	while (!run_over()) {
		const size_t page = rng_below(&worker->rng, anon_pages);

		page_out(anon.base, anon_pages * PAGE);
		for (uint64_t i = 0; i < looks; i++)
			look_and_count(anon.base, anon_pages, vec);
		count(anon_looks, looks);
		region_verify(&anon, page, true);
		region_write(&anon, page, 0);
	}
}

static void fill(void *argument)
{
	(void)argument;
	region_fill(&shared);
}

/* Its pages are mapped here and nowhere else: only such pages of a file are paged out on request. */
static void owner(void *argument)
{
	struct rng rng = rng_stream(run_seed(), 1);

	(void)argument;
	while (!run_over()) {
		const size_t first = rng_below(&rng, file_pages - chunk);

		for (size_t i = first; i < first + chunk; i++) {
			region_verify(&shared, i, i % 4 == 0);
			if (i % 8 == 0)
				region_write(&shared, i, 1);
		}
		page_out(region_page(&shared, first), chunk * PAGE);
		/* Pages that swapoff brought back are mapped by nobody and have to be touched first. */
		reclaim(2 * chunk * PAGE);
		count(page_outs, 1);
		sleep_us(rng_below(&rng, 2000));
	}
}

static void setup(void)
{
	absent = counter("absent");
	present = counter("present");
	hole_looks = counter("hole_looks");
	table_looks = counter("table_looks");
	anon_looks = counter("anon_looks");
	page_outs = counter("page_outs");
	still_present = counter("present_without_devices");
	resident_without_devices = counter("resident_without_devices");
	file = memory_file("patchrig", file_pages * PAGE);
	shared = region_over(map_file(file, file_pages * PAGE), REGION_FILE, file_pages);
	anon = region_over(private_memory(anon_pages * PAGE), REGION_ANON, anon_pages);
	locked_pages = locked_memory(LOCKED_PAGES * PAGE);
	hole = private_memory(HOLE_PAGES * PAGE);
	/* A child fills: mappings of this process would make each page mapped twice. */
	child_join(child_start(fill, NULL));
	region_fill(&anon);
	madvise(anon.base, anon_pages * PAGE, MADV_DONTFORK);
}

static void load(void)
{
	static struct threads threads;
	int children[1 + FILE_LOOKERS];

	children[0] = child_start(owner, NULL);
	for (size_t i = 0; i < FILE_LOOKERS; i++)
		children[1 + i] = child_start(file_looker, i % 4 == 0 ? &file : NULL);
	threads_add(&threads, 1, anon_looker, NULL);
	threads_join(&threads);
	for (size_t i = 0; i < 1 + FILE_LOOKERS; i++)
		child_join(children[i]);
}

static bool is_present(size_t page)
{
	return pagemap_word(region_page(&anon, page)) & PAGEMAP_PRESENT;
}

/* Nobody touches the pages, and nobody pages them out: what was there before the look and is after it was there at it. */
static void look_at_present_pages(uint8_t *vec)
{
	bool *before = locked_memory(anon_pages * sizeof(*before));

	for (size_t page = 0; page < anon_pages; page++)
		before[page] = is_present(page);
	count(resident_without_devices, look(anon.base, anon_pages, vec));
	for (size_t page = 0; page < anon_pages; page++) {
		if (!before[page] || !is_present(page))
			continue;
		count(still_present, 1);
		if (!(vec[page] & 1))
			complain(page, PRESENT_IS_RESIDENT, "a present page is resident", vec[page]);
	}
}

static void look_at_locked_pages(uint8_t *address, size_t pages, uint8_t *vec)
{
	size_t resident;

	if (mlock(address, pages * PAGE)) {
		run_error("mlock", errno);
		return;
	}
	resident = look(address, pages, vec);
	if (resident != pages)
		complain(0, LOCKED_STAYS, "all pages are resident once they are locked", resident);
}

static void verify(void)
{
	uint8_t *vec = locked_memory(file_pages + anon_pages + 1);

	/* All of them in 6.19, and far fewer with virtual swap. Judged are those of which it is promised. */
	count(resident_without_devices, look(map_file(file, file_pages * PAGE), file_pages, vec));
	look_at_present_pages(vec);
	look_at_locked_pages(map_file(file, file_pages * PAGE), file_pages, vec);
	look_at_locked_pages(anon.base, anon_pages, vec);
	region_verify_all(&shared);
	region_verify_all(&anon);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = OPTIONS, .setup = setup, .load = load, .verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
