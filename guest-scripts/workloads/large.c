// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Folios of 64 KiB that are swapped out whole, against swapoff.
 *   walkers     touch one page of a group that is out: from a synchronous device do_swap_page() reads the folio past the
 *               swap cache, from an asynchronous one it finds it there, just written; either way it maps all pages;
 *   visitors    touch the pages of others' groups at the same time;
 *   file owners read one page of a group of a memory file whose entry is one large one: shmem_swapin_folio() brings all
 *               of it back, or splits the entry where only a small folio is to be had; and touch pages of a folio that is mapped in part;
 *   two movers  ask UFFDIO_MOVE for pages of the same folios, each for its own: in memory, where the folio is split first; in the swap
 *               cache, where it is busy; once it has left the cache, the entries move one by one;
 *   a compactor moves folios, in the swap cache and out of it.
 * swapoff brings pages back one by one, so groups are given up and filled anew all the time. Whether a group is large
 * again is for the kernel to say; the counters tell how often it was.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "compactor.h"
#include "move.h"
#include "paging.h"
#include "record.h"
#include "run.h"

#define GROUP 16 /* pages: 64 KiB */
#define SLICES_MAX 8

static uint64_t groups = 12;
static uint64_t walkers = 2;
static uint64_t owners = 2;

static const struct number_option options[] = {
	{ "groups", &groups },
	{ "walkers", &walkers },
	{ "owners", &owners },
	{ 0 },
};

struct slice {
	struct region region;
	int fd; /* -1: anonymous memory */
};

static struct slice slices[SLICES_MAX]; /* of the walkers, then of the file owners */
/* The movers': one set of records, in one of two areas. They meet before each move and after it. */
static struct region moving;
static uint8_t *target;
static struct meeting movers = { .parties = 2 };
static int uffd;
static counter_t *past_cache, *from_cache, *file_whole, *file_split, *move_busy, *moved, *moved_swapped, *move_again;
static counter_t *punches, *unmapped_pages;

/* Each CPU stays with the device that it wrote to last: who stayed with one CPU might never see another device. */
static void hop(struct rng *rng)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(rng_below(rng, sysconf(_SC_NPROCESSORS_ONLN)), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		run_fail("sched_setaffinity");
}

static void *group_of(const struct region *region, size_t group)
{
	return region_page(region, group * GROUP);
}

/* Fresh memory for a group: a large folio, if one can be had. */
static void refill(struct region *region, size_t group)
{
	const size_t first = group * GROUP;
	struct identity identities[GROUP];

	for (size_t i = 0; i < GROUP; i++)
		identities[i] = region_begin(region, first + i);
	if (madvise(group_of(region, group), GROUP * PAGE, MADV_DONTNEED))
		run_error("MADV_DONTNEED", errno);
	for (size_t i = 0; i < GROUP; i++) {
		record_write(region_page(region, first + i), &identities[i], 0);
		region_end(region, first + i);
	}
	operations_add(GROUP);
}

/* All pages of a group are mapped, or all are swapped out, or neither. */
static bool all_are(const uint8_t *group, uint64_t flag)
{
	for (size_t i = 0; i < GROUP; i++)
		if (!(pagemap_word(group + i * PAGE) & flag))
			return false;
	return true;
}

static void verify_group(const struct region *region, size_t group, struct rng *rng)
{
	for (size_t i = 0; i < GROUP && !run_over(); i++)
		region_verify(region, group * GROUP + i, rng_below(rng, 4) == 0);
}

/* One page is touched; that the others are there then, too, says that the folio came as a whole. */
static void touch_one(struct slice *slice, size_t group, struct rng *rng)
{
	uint8_t *memory = group_of(&slice->region, group);
	const bool out = all_are(memory, PAGEMAP_SWAPPED);
	const bool cached = resident_pages(memory, GROUP * PAGE) == GROUP;

	if (rng_below(rng, 2))
		region_write(&slice->region, group * GROUP + rng_below(rng, GROUP), 0);
	else
		region_verify(&slice->region, group * GROUP + rng_below(rng, GROUP), true);
	if (out && all_are(memory, PAGEMAP_PRESENT))
		count(cached ? from_cache : past_cache, 1);
}

static void walker(struct worker *worker)
{
	struct slice *slice = worker->argument;
	struct rng *rng = &worker->rng;

	while (!run_over()) {
		hop(rng);
		for (size_t group = 0; group < groups && !run_over(); group++)
			if (rng_below(rng, 4))
				refill(&slice->region, group);
		/* Just written, or left the cache as well. */
		if (rng_below(rng, 2))
			page_out(slice->region.base, groups * GROUP * PAGE);
		else
			page_out_fully(slice->region.base, groups * GROUP * PAGE, 3);
		for (size_t group = 0; group < groups && !run_over(); group++) {
			touch_one(slice, group, rng);
			verify_group(&slice->region, group, rng);
		}
	}
}

static void visitor(struct worker *worker)
{
	while (!run_over()) {
		struct slice *slice = &slices[rng_below(&worker->rng, walkers)];

		region_verify(&slice->region, rng_below(&worker->rng, groups * GROUP), false);
		sleep_us(rng_below(&worker->rng, 500));
	}
}

static bool read_page(struct slice *slice, size_t page, bool thorough)
{
	const uint32_t ticket = region_ticket(&slice->region, page);
	uint64_t buffer[PAGE / 8];
	const ssize_t got = pread(slice->fd, buffer, PAGE, page * PAGE);

	if (got == PAGE)
		return region_verify_copy(&slice->region, page, ticket, buffer, thorough) == LOOK_GOOD;
	run_error("pread", got < 0 ? errno : ENODATA);
	return false;
}

/* By read(), which maps nothing, so that mincore() tells what is in the file's cache and in the swap cache. */
static void read_one(struct slice *slice, size_t group, struct rng *rng)
{
	uint8_t *memory = group_of(&slice->region, group);
	const bool out = resident_pages(memory, GROUP * PAGE) == 0;

	read_page(slice, group * GROUP + rng_below(rng, GROUP), true);
	if (out)
		count(resident_pages(memory, GROUP * PAGE) == GROUP ? file_whole : file_split, 1);
}

/* What was punched must read as zero; then it is filled anew, which a hole of a whole group can be with a large folio. */
static void punch(struct slice *slice, size_t group)
{
	const size_t first = group * GROUP;
	struct identity identities[GROUP];
	uint64_t buffer[PAGE / 8];

	for (size_t i = 0; i < GROUP; i++)
		identities[i] = region_begin(&slice->region, first + i);
	if (fallocate(slice->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, first * PAGE, GROUP * PAGE))
		run_error("FALLOC_FL_PUNCH_HOLE", errno);
	if (pread(slice->fd, buffer, PAGE, first * PAGE) != PAGE)
		run_error("pread of a hole", errno);
	else if (zero_check(buffer) != KIND_OK)
		record_complain(KIND_NONZERO, buffer, &identities[0], false);
	for (size_t i = 0; i < GROUP; i++) {
		record_write(region_page(&slice->region, first + i), &identities[i], 0);
		region_end(&slice->region, first + i);
	}
	count(punches, 1);
	operations_add(GROUP);
}

/* The file keeps them. Whether the next touch is a write decides which pages the kernel maps with it. */
static void unmap_some(struct slice *slice, size_t group, struct rng *rng)
{
	const size_t first = rng_below(rng, GROUP), number = rng_between(rng, 1, GROUP - first), page = group * GROUP + first;

	if (madvise(region_page(&slice->region, page), number * PAGE, MADV_DONTNEED))
		run_error("MADV_DONTNEED", errno);
	for (size_t i = page; i < page + number && !run_over(); i++)
		if (rng_below(rng, 2))
			region_write(&slice->region, i, 0);
		else
			region_verify(&slice->region, i, false);
	count(unmapped_pages, number);
}

static void file_owner(struct worker *worker)
{
	struct slice *slice = worker->argument;
	struct rng *rng = &worker->rng;

	while (!run_over()) {
		hop(rng);
		for (size_t group = 0; group < groups && !run_over(); group++)
			if (rng_below(rng, 4))
				punch(slice, group);
			else
				/* Only mapped pages are paged out on request. */
				verify_group(&slice->region, group, rng);
		for (size_t group = 0; group < groups && !run_over(); group++)
			if (rng_below(rng, 2))
				unmap_some(slice, group, rng);
		page_out_fully(slice->region.base, groups * GROUP * PAGE, 3);
		for (size_t group = 0; group < groups && !run_over(); group++) {
			read_one(slice, group, rng);
			for (size_t i = 0; i < GROUP && !run_over(); i += 5)
				read_page(slice, group * GROUP + i, false);
		}
	}
}

/* The ledger: a record is in one of the areas, and in one only. True when it has been moved. */
static bool has_moved(size_t page)
{
	const uint8_t *from = region_page(&moving, page), *to = target + page * PAGE;
	const bool left = is_hole(from), arrived = !is_hole(to);
	char seen[80];

	if (left == arrived)
		return arrived;
	snprintf(seen, sizeof(seen), "pagemap %" PRIx64 " and %" PRIx64, pagemap_word(from), pagemap_word(to));
	run_mismatch(page, KIND_WRONG, MOVED_NOT_COPIED, "a page that is in one of two areas", seen);
	return arrived;
}

/*
 * EBUSY: a large folio in the swap cache. EEXIST: Linux 6.19 takes a move that was retried inside the kernel for one
 * that is still to do, and finds its own work (uffd-move.c); the ledger says whether it was that.
 */
static bool is_legal(int error, size_t page)
{
	if (error == EBUSY)
		count(move_busy, 1);
	else if (error == EAGAIN)
		count(move_again, 1);
	else
		return error == EEXIST && has_moved(page);
	return true;
}

/* Every second page, from this one on. */
static void move_half(size_t first)
{
	for (size_t page = first; page / GROUP == first / GROUP && !run_over(); page += 2) {
		struct uffdio_move move = {
			.dst = (uintptr_t)target + page * PAGE,
			.src = (uintptr_t)region_page(&moving, page),
			.len = PAGE,
			.mode = UFFDIO_MOVE_MODE_DONTWAKE,
		};

		int error;

		if (has_moved(page))
			continue;
		error = ioctl(uffd, UFFDIO_MOVE, &move) ? errno : 0;
		if (error && !is_legal(error, page))
			run_error("UFFDIO_MOVE", error);
		operations_add(1);
		if (!has_moved(page))
			/* Busy as a group. */
			return;
		count(moved, 1);
		if (pagemap_word(target + page * PAGE) & PAGEMAP_SWAPPED)
			count(moved_swapped, 1);
	}
}

static void verify_moving(void)
{
	for (size_t page = 0; page < groups * GROUP; page++)
		region_verify_at(&moving, page, has_moved(page) ? target + page * PAGE : region_page(&moving, page), true);
}

/* Both at the same time, group by group. */
static void move_own(unsigned int mover)
{
	for (size_t group = 0; group < groups; group++)
		move_half(group * GROUP + mover);
}

static bool move_together(unsigned int mover)
{
	if (!meet(&movers))
		return false;
	move_own(mover);
	return meet(&movers);
}

static void second_mover(struct worker *worker)
{
	(void)worker;
	while (move_together(1))
		;
}

static void mover(struct worker *worker)
{
	const size_t length = groups * GROUP * PAGE;

	while (!run_over()) {
		hop(&worker->rng);
		/* On an asynchronous device they are in the swap cache for now. */
		if (rng_below(&worker->rng, 3))
			page_out(moving.base, length);
		if (!move_together(0))
			return;
		if (rng_below(&worker->rng, 2)) {
			page_out_fully(moving.base, length, 3);
			if (!move_together(0))
				return;
		}
		verify_moving();
		if (madvise(target, length, MADV_DONTNEED))
			run_error("MADV_DONTNEED", errno);
		for (size_t group = 0; group < groups; group++)
			refill(&moving, group);
	}
}

static void prepare(void)
{
	char enabled[8] = "";
	FILE *file = fopen("/sys/module/zswap/parameters/enabled", "re");

	if (access("/sys/kernel/mm/transparent_hugepage/hugepages-64kB/stats/swpout", R_OK))
		run_missing("folios of 64 KiB: %m");
	if (file && fgets(enabled, sizeof(enabled), file) && enabled[0] == 'Y')
		run_missing("zswap is enabled: with it, or after it, nothing large is swapped in");
	if (file)
		fclose(file);
}

static uint8_t *wants_large(uint8_t *memory)
{
	if (madvise(memory, groups * GROUP * PAGE, MADV_HUGEPAGE))
		run_fail("MADV_HUGEPAGE");
	return memory;
}

/*
 * Without zeros. A fault that reads a folio past the swap cache sees that all its slots are zeros or none is, and then takes
 * them, whosever they are by now: zeros of somebody else's among them make 6.19 warn, and nothing comes of it.
 */
static struct region groups_over(uint8_t *memory, uint64_t id)
{
	return region_over(wants_large(memory), id | REGION_NO_ZEROS, groups * GROUP);
}

static void slice_new(struct slice *slice, uint64_t id, bool is_file)
{
	const size_t length = groups * GROUP * PAGE;

	slice->fd = is_file ? memory_file("large", length) : -1;
	slice->region = groups_over(is_file ? map_file(slice->fd, length) : private_memory(length), id);
	region_fill(&slice->region);
}

/* Only the target is registered: in an area that is, no large folio is made. A missing page there is a bus error. */
static void mover_new(uint64_t id)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MOVE | UFFD_FEATURE_SIGBUS };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		run_missing("userfaultfd with UFFD_FEATURE_MOVE: %m");
	moving = groups_over(private_memory(groups * GROUP * PAGE), id);
	target = private_memory(groups * GROUP * PAGE);
	range.range.start = (uintptr_t)target;
	range.range.len = groups * GROUP * PAGE;
	if (ioctl(uffd, UFFDIO_REGISTER, &range))
		run_missing("UFFDIO_REGISTER: %m");
	region_fill(&moving);
}

static void setup(void)
{
	past_cache = counter("whole_past_cache");
	from_cache = counter("whole_from_cache");
	file_whole = counter("file_whole");
	file_split = counter("file_in_parts");
	move_busy = counter("move_ebusy");
	move_again = counter("move_eagain");
	moved = counter("moved_pages");
	moved_swapped = counter("moved_swapped");
	punches = counter("punches");
	unmapped_pages = counter("unmapped_pages");
	if (walkers + owners > SLICES_MAX || !walkers)
		run_fail("--walkers and --owners");
	for (uint64_t i = 0; i < walkers + owners; i++)
		slice_new(&slices[i], i + 1, i >= walkers);
	mover_new(walkers + owners + 1);
}

static void load(void)
{
	static struct threads threads;

	for (uint64_t i = 0; i < walkers + owners; i++)
		threads_add(&threads, 1, i < walkers ? walker : file_owner, &slices[i]);
	threads_add(&threads, 1, visitor, NULL);
	threads_add(&threads, 1, mover, NULL);
	threads_add(&threads, 1, second_mover, NULL);
	threads_add(&threads, 1, compactor, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	for (uint64_t i = 0; i < walkers + owners; i++)
		region_verify_all(&slices[i].region);
	verify_moving();
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options,
		.steady = 1,
		.prepare = prepare,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
