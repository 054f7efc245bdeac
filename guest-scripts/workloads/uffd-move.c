// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * uffd-move: UFFDIO_MOVE of swapped pages, move_pages_ptes().
 *
 * A pair is two areas and one set of records that a mover carries from one area to the other and back. Before each
 * move the pages are brought into one of the states that the kernel treats apart: on the device only; in the swap
 * cache; in the swap cache and locked for reading, so that the kernel has to wait and to retry; just paged out.
 * After it the ledger must balance: each record is in exactly one area, and the page that it left is a hole.
 *
 * Prodders ask for pages (MADV_WILLNEED) while they are moved. The readers of the last pair read them through
 * process_vm_readv(), which maps and pins them: only there EBUSY is legal. A pager pages them out again at once, so that an entry which
 * a move has looked at may come back to its place with another folio.
 *
 * One more pair has nothing but pages of zeros that userfaultfd has put there (UFFDIO_ZEROPAGE): nobody else has them, so they move, too.
 *
 * Before each pass of the first pair its mover has the kernel forget which pages were written (clear_refs). A page that is moved then counts
 * as written where it arrives, also if only its swap entry was moved: else a checkpoint would miss it.
 *
 * For a part of the time a filler takes the slots that are left on all devices: a page that goes out gets one that was freed just now.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "area.h"
#include "branch.h"
#include "device.h"
#include "move.h"
#include "paging.h"
#include "record.h"
#include "run.h"
#include "soft-dirty.h"

#define PAIRS_MAX 8
#define CHUNK_MAX 16
#define ZEROS 16 /* pages of zeros that are moved */
/* More than the latency of the devices: what was asked for has been read. */
#define READ_US 5000
/* Of the filler, in microseconds. It is the shorter part of the time: on a full device most pages can't be paged out. */
#define ROOMY_LEAST 600000
#define ROOMY_MOST 1800000
#define FULL_LEAST 200000
#define FULL_MOST 600000
#define REFILL 20000
#define DEVICE (2u << 20)
#define SEEN_AS_WRITTEN "soft-dirty.rst: after clear_refs the bit of a page that was written is set; at its new address all of a moved page is new"

struct pair {
	struct region region; /* its base is the first area; the records are where `here` says */
	uint8_t *area[2];
	_Atomic uint8_t *here; /* of each page: 0 or 1 */
	bool read; /* has a reader, which pins pages */
	bool tracked; /* its pages have been forgotten as written, and nobody but its mover has them forgotten */
	bool broken; /* the ledger does not balance: no more moves */
};

enum state { STATE_OUT, STATE_CACHED, STATE_LOCKED, STATE_FRESH, STATES };

static uint64_t area_pages = 128;
static uint64_t pairs_count = 3;
static uint64_t prodders = 1;
static uint64_t pagers = 1;

static const struct number_option options[] = {
	{ "pages", &area_pages },
	{ "pairs", &pairs_count },
	{ "prodders", &prodders },
	{ "pagers", &pagers },
	{ 0 },
};

static struct pair *pairs;
static struct pair zeros;
static int uffd;
static struct area filler;
static counter_t *full_rounds, *paged_again, *moved_zeros, *seen_written;
static counter_t *moved, *moved_swapped, *untold_moves, *again, *busy, *remote_reads, *missing_reads;

static uint8_t *place(const struct pair *pair, unsigned int area, size_t page)
{
	return pair->area[area] + page * PAGE;
}

static void unbalanced(struct pair *pair, size_t page, const char *expected, const void *address)
{
	char seen[64];

	snprintf(seen, sizeof(seen), "pagemap %" PRIx64, pagemap_word(address));
	run_mismatch(page, KIND_WRONG, MOVED_NOT_COPIED, expected, seen);
	pair->broken = true;
}

static void check_written(size_t page, const void *address)
{
	const uint64_t word = pagemap_word(address);
	char seen[64];

	if (word & PAGEMAP_SOFT_DIRTY) {
		count(seen_written, 1);
		return;
	}
	snprintf(seen, sizeof(seen), "pagemap %" PRIx64, word);
	run_mismatch(page, KIND_WRONG, SEEN_AS_WRITTEN, "a page that was moved here is soft-dirty", seen);
}

/* The record left one area for the other: nothing stayed, nothing got lost. */
static void balance(struct pair *pair, size_t page, unsigned int to)
{
	const uint8_t *left = place(pair, !to, page), *entered = place(pair, to, page);

	if (!is_hole(left))
		unbalanced(pair, page, "a hole where the page was moved from", left);
	if (is_hole(entered))
		unbalanced(pair, page, "a page where it was moved to", entered);
	if (pagemap_word(entered) & PAGEMAP_SWAPPED)
		count(moved_swapped, 1);
	if (pair->tracked)
		check_written(page, entered);
}

static void arrived(struct pair *pair, size_t page, size_t pages, unsigned int to)
{
	for (size_t i = page; i < page + pages; i++) {
		atomic_store(&pair->here[i], to);
		balance(pair, i, to);
	}
	count(moved, pages);
	operations_add(pages);
}

/*
 * Linux 6.19 forgets to clear -EAGAIN in move_pages(): once a move has been retried inside the kernel, its success is
 * taken for one more -EAGAIN, the page that has just arrived is moved again, and EEXIST is all that is told, or how
 * many pages were moved before it. The ledger says whether it was that: how many pages, from this one on, are in the
 * other area and only there.
 */
static size_t untold(const struct pair *pair, size_t page, size_t pages, unsigned int to)
{
	size_t n = 0;

	while (n < pages && is_hole(place(pair, !to, page + n)) && !is_hole(place(pair, to, page + n)))
		n++;
	count(untold_moves, n);
	return n;
}

/* What is not an error of the kernel's: the same call again will do. */
static bool is_legal(const struct pair *pair, int error)
{
	if (error == EAGAIN)
		count(again, 1);
	else if (error == EBUSY && pair->read)
		count(busy, 1);
	else
		return false;
	return true;
}

/* One UFFDIO_MOVE: how many pages it moved. */
static size_t move_pages(struct pair *pair, size_t page, size_t pages, unsigned int to)
{
	struct uffdio_move move = {
		.dst = (uintptr_t)place(pair, to, page),
		.src = (uintptr_t)place(pair, !to, page),
		.len = pages * PAGE,
		.mode = UFFDIO_MOVE_MODE_DONTWAKE,
	};
	const int error = ioctl(uffd, UFFDIO_MOVE, &move) ? errno : 0;
	size_t done = move.move > 0 ? move.move / PAGE : 0;

	/* Told as EEXIST, or as EAGAIN where pages before it were moved. */
	if (error)
		done += untold(pair, page + done, pages - done, to);
	if (error && !done && !is_legal(pair, error)) {
		run_error("UFFDIO_MOVE", error);
		pair->broken = true;
	}
	return done;
}

static void carry(struct pair *pair, size_t page, size_t pages, unsigned int to)
{
	while (pages > 0 && !pair->broken && !run_over()) {
		const size_t done = move_pages(pair, page, pages, to);

		arrived(pair, page, done, to);
		page += done;
		pages -= done;
	}
}

static void ask(uint8_t *address, size_t pages)
{
	if (madvise(address, pages * PAGE, MADV_WILLNEED))
		run_error("MADV_WILLNEED", errno);
}

static void carry_all(struct pair *pair, unsigned int to, struct rng *rng)
{
	for (size_t page = 0, pages; page < area_pages && !run_over(); page += pages) {
		const enum state state = rng_below(rng, STATES);

		pages = rng_between(rng, 1, CHUNK_MAX);
		if (pages > area_pages - page)
			pages = area_pages - page;
		if (state != STATE_OUT)
			ask(place(pair, !to, page), pages);
		if (state == STATE_CACHED)
			sleep_us(READ_US);
		carry(pair, page, pages, to);
	}
}

/* Some are left as they are: they go back without ever having been mapped. */
static void verify_some(struct pair *pair, unsigned int area, struct rng *rng)
{
	for (size_t page = 0; page < area_pages && !run_over() && !pair->broken; page++) {
		if (rng_below(rng, 4) == 0)
			continue;
		region_verify_at(&pair->region, page, place(pair, area, page), rng_below(rng, 8) == 0);
		if (rng_below(rng, 4) == 0) {
			const struct identity identity = region_begin(&pair->region, page);

			record_write(place(pair, area, page), &identity, 0);
			region_end(&pair->region, page);
		}
	}
}

static void mover(struct worker *worker)
{
	struct pair *pair = worker->argument;
	unsigned int from = 0;

	while (!run_over() && !pair->broken) {
		/* One pass in four moves pages that are still in the swap cache, perhaps being written. */
		if (rng_below(&worker->rng, 4))
			page_out_fully(pair->area[from], area_pages * PAGE, 3);
		else
			page_out(pair->area[from], area_pages * PAGE);
		if (pair->tracked)
			soft_dirty_clear();
		carry_all(pair, !from, &worker->rng);
		if (run_over())
			break;
		from = !from;
		verify_some(pair, from, &worker->rng);
	}
}

static void put_zeros(uint8_t *area)
{
	struct uffdio_zeropage put = { .range = { (uintptr_t)area, ZEROS * PAGE } };

	while (ioctl(uffd, UFFDIO_ZEROPAGE, &put)) {
		if (errno != EAGAIN) {
			run_error("UFFDIO_ZEROPAGE", errno);
			zeros.broken = true;
			return;
		}
		/* So much was done before it. */
		if (put.zeropage > 0) {
			put.range.start += (uint64_t)put.zeropage;
			put.range.len -= (uint64_t)put.zeropage;
		}
	}
}

static void zero_mover(struct worker *worker)
{
	static const char *const promise = "ioctl_userfaultfd(2), UFFDIO_ZEROPAGE and UFFDIO_MOVE: the page is zeros, wherever it is moved";

	while (!run_over() && !zeros.broken) {
		const unsigned int to = rng_below(&worker->rng, 2);

		put_zeros(zeros.area[!to]);
		carry(&zeros, 0, ZEROS, to);
		/* The end of the run leaves some where they were. */
		for (size_t page = 0; page < ZEROS && !zeros.broken && !run_over(); page++)
			if (zero_check(place(&zeros, to, page)) != KIND_OK)
				run_mismatch(page, KIND_NONZERO, promise, "zeros", "something else");
		count(moved_zeros, ZEROS);
		for (unsigned int i = 0; i < 2; i++)
			if (madvise(zeros.area[i], ZEROS * PAGE, MADV_DONTNEED))
				run_error("MADV_DONTNEED", errno);
		sleep_us(rng_below(&worker->rng, 20000));
	}
}

static void prodder(struct worker *worker)
{
	while (!run_over()) {
		struct pair *pair = &pairs[rng_below(&worker->rng, pairs_count)];
		const size_t page = rng_below(&worker->rng, area_pages);
		const size_t pages = rng_between(&worker->rng, 1, area_pages - page < 4 ? area_pages - page : 4);

		ask(place(pair, atomic_load(&pair->here[page]), page), pages);
		sleep_us(rng_below(&worker->rng, 500));
	}
}

static void reader(struct worker *worker)
{
	struct pair *pair = worker->argument;
	uint64_t copy[PAGE / sizeof(uint64_t)];

	while (!run_over()) {
		const size_t page = rng_below(&worker->rng, area_pages);
		const uint32_t ticket = region_ticket(&pair->region, page);
		const struct iovec to = { copy, PAGE };
		const struct iovec from = { place(pair, atomic_load(&pair->here[page]), page), PAGE };
		const ssize_t got = process_vm_readv(getpid(), &to, 1, &from, 1, 0);

		if (got == PAGE) {
			region_verify_copy(&pair->region, page, ticket, copy, false);
			count(remote_reads, 1);
		} else if (got < 0 && errno == EFAULT) {
			count(missing_reads, 1); /* moved away meanwhile */
		} else {
			run_error("process_vm_readv", got < 0 ? errno : 0);
		}
		sleep_us(rng_below(&worker->rng, 2000));
	}
}

/* Where the page is, or was a moment ago: it may be a hole by then. */
static void pager(struct worker *worker)
{
	const struct pair *pair = worker->argument;

	while (!run_over()) {
		const size_t page = rng_below(&worker->rng, area_pages);

		page_out(place(pair, atomic_load(&pair->here[page]), page), PAGE);
		count(paged_again, 1);
		sleep_us(rng_below(&worker->rng, 1000));
	}
}

/* The longer ones end with the run. */
static void rest(uint64_t us)
{
	const uint64_t end = now_ns() + us * 1000;

	while (!run_over() && now_ns() < end)
		sleep_us(5000);
}

/* What a swapoff brings back goes out again: to the other devices, or as soon as there is room. */
static void fill_devices(struct rng *rng)
{
	const uint64_t end = now_ns() + rng_between(rng, FULL_LEAST, FULL_MOST) * 1000;

	for (size_t page = 0; page < filler.pages && !run_over(); page++)
		area_write(&filler, page, 0);
	while (!run_over() && now_ns() < end) {
		page_out(filler.base, filler.length);
		sleep_us(REFILL);
	}
	/* What did not go out found no room. */
	if (resident_pages(filler.base, filler.length))
		count(full_rounds, 1);
}

static void fill(struct worker *worker)
{
	while (!run_over()) {
		rest(rng_between(&worker->rng, ROOMY_LEAST, ROOMY_MOST));
		fill_devices(&worker->rng);
		for (size_t page = 0; page < filler.pages && !run_over(); page += rng_between(&worker->rng, 1, 64))
			area_verify(&filler, page, false);
		area_drop(&filler, 0, filler.pages);
	}
}

static void uffd_open(void)
{
	/* SIGBUS for a missing page: a lost record ends the run with an error and not with a thread that waits for ever. */
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MOVE | UFFD_FEATURE_SIGBUS };

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		run_missing("userfaultfd with UFFD_FEATURE_MOVE: %m");
}

static uint8_t *private_area(void)
{
	uint8_t *area = private_memory(area_pages * PAGE);

	/* A page that a child shares is not moved, it is busy. */
	if (madvise(area, area_pages * PAGE, MADV_DONTFORK))
		run_fail("MADV_DONTFORK");
	return area;
}

static void register_area(uint8_t *area)
{
	struct uffdio_register range = {
		.range = { (uintptr_t)area, area_pages * PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (ioctl(uffd, UFFDIO_REGISTER, &range))
		run_missing("UFFDIO_REGISTER: %m");
}

/* Filled before it is registered: a missing page is a bus error from then on. */
static void pair_new(struct pair *pair, uint64_t id)
{
	pair->area[0] = private_area();
	pair->area[1] = private_area();
	pair->here = locked_memory(area_pages);
	pair->region = region_over(pair->area[0], id, area_pages);
	region_fill(&pair->region);
	for (unsigned int i = 0; i < 2; i++)
		register_area(pair->area[i]);
}

static void zeros_new(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		zeros.area[i] = private_area();
		register_area(zeros.area[i]);
	}
	zeros.here = locked_memory(ZEROS);
}

static void prepare(void)
{
	/*
	 * move_pages_ptes() waits for a folio only where it found it locked; then it starts again. Since v7.2 it is inlined
	 * into the ioctl, which waits for no folio elsewhere that is asked for here.
	 */
	branch_probe("retried_moves", "__folio_lock", "", "move_pages|userfaultfd_ioctl");
}

static void setup(void)
{
	moved = counter("moved_pages");
	moved_swapped = counter("moved_swapped");
	untold_moves = counter("untold_moves");
	again = counter("move_eagain");
	busy = counter("move_ebusy");
	remote_reads = counter("remote_reads");
	missing_reads = counter("remote_reads_missing");
	full_rounds = counter("full_rounds");
	moved_zeros = counter("moved_zeros");
	paged_again = counter("paged_again");
	seen_written = counter("moved_and_soft_dirty");
	pairs = locked_memory(PAIRS_MAX * sizeof(*pairs));
	if (pairs_count > PAIRS_MAX || !pairs_count)
		run_fail("--pairs");
	uffd_open();
	for (uint64_t i = 0; i < pairs_count; i++)
		pair_new(&pairs[i], i + 1);
	pairs[pairs_count - 1].read = true;
	pairs[0].tracked = soft_dirty_known();
	if (!pairs[0].tracked)
		counter_lacking("moved_and_soft_dirty", SOFT_DIRTY_UNKNOWN);
	zeros_new();
	/* More than there are slots: each device has a header. */
	area_new(&filler, AREA_SMALL, PAIRS_MAX + 1, device_count() * (DEVICE / PAGE), -1);
}

static void load(void)
{
	struct threads threads = { 0 };

	for (uint64_t i = 0; i < pairs_count; i++)
		threads_add(&threads, 1, mover, &pairs[i]);
	threads_add(&threads, prodders, prodder, NULL);
	threads_add(&threads, 1, reader, &pairs[pairs_count - 1]);
	threads_add(&threads, pagers, pager, &pairs[pairs_count - 1]);
	threads_add(&threads, 1, fill, NULL);
	threads_add(&threads, 1, zero_mover, NULL);
	threads_join(&threads);
}

/* A record that is in no area would be a bus error, which says less. */
static void verify_pair(struct pair *pair)
{
	for (size_t page = 0; page < area_pages; page++) {
		const unsigned int area = pair->here[page];

		if (!is_hole(place(pair, !area, page)))
			unbalanced(pair, page, "a hole in the other area", place(pair, !area, page));
		if (is_hole(place(pair, area, page)))
			unbalanced(pair, page, "a page in this area", place(pair, area, page));
		else
			region_verify_at(&pair->region, page, place(pair, area, page), true);
	}
}

static void verify(void)
{
	for (uint64_t i = 0; i < pairs_count; i++)
		verify_pair(&pairs[i]);
	area_verify_all(&filler);
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
