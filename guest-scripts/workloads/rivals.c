// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rivals: several tasks swap the same device on, and off, at the same time, while its pages are in use.
 *
 *   rivals    two for each device. Both call swapon(), and one of them must have it; both call swapoff(), and one must have done it;
 *   a meddler swaps on what is no swap area: damaged headers, a file with a hole, other files. It must be refused. Now and then it has a
 *             file of many extents, and swaps it on and off: a file whose blocks lie between those of the first keeps what it had;
 *   owners    write records, page them out, and read them;
 *   readers   read /proc/swaps and sysinfo(2), and wait for changes.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/swap.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "area.h"
#include "device.h"
#include "paging.h"
#include "run.h"
#include "share.h"
#include "swap-area.h"
#include "swap-report.h"

/* The last device is left on. */
#define RIVALLED_MOST 3
/* In microseconds: how long a device is on and off, how much later a rival may be, and how often it looks whether it is asked. */
#define ON_LEAST 20000
#define ON_MOST 200000
#define OFF_LEAST 5000
#define OFF_MOST 60000
#define LATE_MOST 3000
#define ATTENTION 300
/* A swapoff may fail for a moment (docs/found/correct-kernels.md). */
#define TRIES_MOST 40
#define PAUSE 5000
#define OWNERS_MAX 4
#define AREAS 2
/* Of the meddler's file. With pages of 64 KiB there is no room for more. */
#define FILE_BYTES (256u << 10)
#define FILE_PAGES (FILE_BYTES / PAGE < 8 ? 8 : FILE_BYTES / PAGE)
#define FILE_FLAGS (SWAP_FLAG_PREFER | 20)
/* What is wrong with the sums of swap for a moment is so that two of its counters change one after the other. */
#define SUMS_TRIES 100

static uint64_t owners = 3;
static uint64_t pages = 96;

static const struct number_option options[] = {
	{ "owners", &owners },
	{ "pages", &pages },
	{ 0 },
};

/* One device, and what its second rival is asked for. */
struct contest {
	unsigned int device;
	bool on; /* to be swapped on, or off */
	bool discards; /* where the device can */
	uint64_t late;
	int status;
	_Atomic uint32_t asked, answered;
	/* Either of the two may have been left out (--without). */
	_Atomic bool begun, ended, has_second;
};

static struct contest contests[RIVALLED_MOST];
static struct area areas[OWNERS_MAX][AREAS];
static char hole_path[100], file_path[100];
static struct swap_area extents;
static bool has_files;
static counter_t *contested_ons, *contested_offs, *refusals, *file_rounds, *reports, *changes;

static unsigned int rivalled(void)
{
	return device_count() > RIVALLED_MOST ? RIVALLED_MOST : device_count() - 1;
}

static int attempt(const char *path, bool on, int flags)
{
	const int status = on ? swapon(path, flags) : swapoff(path);

	return status ? errno : 0;
}

static int contend_now(const struct contest *contest)
{
	const int priority = device_priority(contest->device) & SWAP_FLAG_PRIO_MASK;

	return attempt(device_path(contest->device), contest->on, SWAP_FLAG_PREFER | priority | (contest->discards ? SWAP_FLAG_DISCARD : 0));
}

static void second_rival(struct worker *worker)
{
	struct contest *contest = &contests[worker->index];

	contest->has_second = true;
	while (!contest->ended && !(run_over() && !contest->begun)) {
		if (contest->asked == contest->answered) {
			sleep_us(ATTENTION);
			continue;
		}
		sleep_us(contest->late);
		contest->status = contend_now(contest);
		contest->answered = contest->asked + 0;
	}
}

/* Both call at about the same time. The result is that of this one; that of the other is in the contest. */
static int contend(struct contest *contest, bool on, struct rng *rng)
{
	const uint64_t late = rng_below(rng, 2) ? rng_below(rng, LATE_MOST) : 0;
	int status;

	contest->on = on;
	contest->discards = rng_below(rng, 2);
	contest->late = rng_below(rng, 2) ? rng_below(rng, LATE_MOST) : 0;
	if (!contest->has_second) {
		contest->status = on ? EBUSY : EINVAL;
		operations_add(1);
		return contend_now(contest);
	}
	atomic_fetch_add(&contest->asked, 1);
	sleep_us(ATTENTION + late);
	status = contend_now(contest);
	while (contest->answered != contest->asked)
		sleep_us(ATTENTION);
	operations_add(1);
	return status;
}

static void blame(const char *call, const struct contest *contest, int first)
{
	char seen[60];

	snprintf(seen, sizeof(seen), "%s: %d and %d", device_kind(contest->device), first, contest->status);
	run_error_named(call, seen);
}

static bool is_one(int status, int other, int refused)
{
	return (!status && other == refused) || (!other && status == refused);
}

static bool contest_on(struct contest *contest, struct rng *rng)
{
	const int first = contend(contest, true, rng);

	if (!is_one(first, contest->status, EBUSY)) {
		blame("swapon by two", contest, first);
		return false;
	}
	device_has_come(contest->device);
	count(contested_ons, 1);
	return true;
}

/* ENOMEM for who had it, and the other one came too early: once more. */
static bool may_go_later(int first, int second)
{
	return first && second && (first == ENOMEM || first == EINVAL) && (second == ENOMEM || second == EINVAL);
}

static bool contest_off(struct contest *contest, struct rng *rng)
{
	for (unsigned int tries = 0;; tries++) {
		const struct leave leave = device_leaves(contest->device);
		const int first = contend(contest, false, rng);
		const bool off = !first || !contest->status;

		device_has_left(contest->device, leave, off);
		if (is_one(first, contest->status, EINVAL) || is_one(first, contest->status, ENOMEM))
			break;
		if (!may_go_later(first, contest->status) || tries == TRIES_MOST) {
			blame("swapoff by two", contest, first);
			return false;
		}
		sleep_us(PAUSE);
	}
	count(contested_offs, 1);
	return true;
}

static void rest(uint64_t us)
{
	const uint64_t end = now_ns() + us * 1000;

	while (!run_over() && now_ns() < end)
		sleep_us(us < 5000 ? us : 5000);
}

static void first_rival(struct worker *worker)
{
	struct contest *contest = &contests[worker->index];
	struct rng *rng = &worker->rng;
	bool fair = true;

	contest->begun = true;
	run_ahead();
	while (!run_over() && fair) {
		rest(rng_between(rng, ON_LEAST, ON_MOST));
		fair = contest_off(contest, rng);
		rest(rng_between(rng, OFF_LEAST, OFF_MOST));
		fair = fair && contest_on(contest, rng);
	}
	contest->ended = true;
}

/* --- the meddler --- */

static void expect_refusal(const char *path, bool on, int error, int or_error)
{
	const int status = attempt(path, on, FILE_FLAGS);

	count(refusals, 1);
	operations_add(1);
	if (status == error || status == or_error)
		return;
	if (!status && on)
		swapoff(path);
	run_error_named(on ? "swapon of what is no swap area" : "swapoff of what is not on", strerrorname_np(status) ?: "done");
}

static void meddle(struct rng *rng)
{
	const unsigned int steady = device_count() - 1;

	switch (rng_below(rng, 6)) {
	case 0:
		expect_refusal(device_path(steady), true, EBUSY, EBUSY);
		break;
	case 1:
		expect_refusal("/dev/null", true, EINVAL, EINVAL);
		break;
	case 2:
		expect_refusal("/", true, EISDIR, EISDIR);
		break;
	case 3:
		expect_refusal("/dev/null", false, EINVAL, EINVAL);
		break;
	case 4:
		if (has_files)
			expect_refusal(hole_path, true, EINVAL, EINVAL);
		break;
	default:
		if (!has_files || !swap_area_mark(&extents, rng_between(rng, FLAW_NONE + 1, FLAWS - 1)))
			break;
		expect_refusal(file_path, true, EINVAL, EINVAL);
	}
}

static void use_file(struct rng *rng)
{
	char seen[40];
	int status;
	long page;

	if (!has_files || !swap_area_mark(&extents, FLAW_NONE))
		return;
	status = attempt(file_path, true, FILE_FLAGS);
	if (status) {
		/* With larger pages than blocks there may be no page whose blocks lie together. */
		if (PAGE == 4096)
			run_error("swapon", status);
		return;
	}
	rest(rng_between(rng, ON_LEAST, ON_MOST));
	for (unsigned int tries = 0; (status = attempt(file_path, false, 0)) == ENOMEM && tries < TRIES_MOST; tries++)
		sleep_us(PAUSE);
	if (status)
		run_error("swapoff", status);
	page = swap_area_damage(&extents);
	snprintf(seen, sizeof(seen), "page %ld has something else", page);
	if (page >= 0)
		run_mismatch((uint64_t)page, KIND_FOREIGN, HOLDS_WHAT_WAS_WRITTEN, "a file that is no swap area as it was written", seen);
	count(file_rounds, 1);
	operations_add(1);
}

static void meddler(struct worker *worker)
{
	struct rng *rng = &worker->rng;

	while (!run_over()) {
		if (rng_below(rng, 6) == 0)
			use_file(rng);
		else
			meddle(rng);
		sleep_us(rng_below(rng, 20000));
	}
}

/* --- who uses the pages, and who reads about them --- */

static void own(struct worker *worker)
{
	struct rng *rng = &worker->rng;

	while (!run_over()) {
		struct area *area = &areas[worker->index][rng_below(rng, AREAS)];
		const size_t first = rng_below(rng, area->pages), count_ = 1 + rng_below(rng, area->pages - first);

		for (size_t i = first; i < first + count_ && !run_over(); i++)
			if (rng_below(rng, 3))
				area_verify(area, i, i % 4 == 0);
			else
				area_write(area, i, 0);
		page_out(area_page(area, first), count_ * PAGE);
		sleep_us(rng_below(rng, 2000));
	}
}

static void read_about(struct worker *worker)
{
	const int swaps = open("/proc/swaps", O_RDONLY | O_CLOEXEC);
	struct pollfd change = { .fd = swaps, .events = POLLPRI };
	struct rng *rng = &worker->rng;
	char wrong[100];

	while (!run_over() && swaps >= 0) {
		if (!swap_report_is_right(swaps, wrong, sizeof(wrong)))
			run_mismatch(0, KIND_WRONG, SWAPS_PROMISE, "each area once, its use its size at most", wrong);
		for (unsigned int tries = 0; !swap_sums_are_right(wrong, sizeof(wrong)); tries++) {
			if (tries == SUMS_TRIES) {
				run_mismatch(0, KIND_WRONG, SUMS_PROMISE, "as much free as there is, at most", wrong);
				break;
			}
			sleep_us(1000);
		}
		count(reports, 1);
		if (poll(&change, 1, (int)rng_below(rng, 20)) > 0 && change.revents & POLLPRI)
			count(changes, 1);
	}
	if (swaps >= 0)
		close(swaps);
}

/* --- the frame --- */

static void make_files(void)
{
	if (!disk_folder()[0])
		return;
	snprintf(hole_path, sizeof(hole_path), "%s/hole", disk_folder());
	snprintf(file_path, sizeof(file_path), "%s/extents", disk_folder());
	has_files = swap_area_with_hole(hole_path, FILE_PAGES) && swap_area_of_many_extents(&extents, file_path, FILE_PAGES);
	if (!has_files)
		run_fail("files beside the swap file");
}

static void setup(void)
{
	contested_ons = counter("contested_swapons");
	contested_offs = counter("contested_swapoffs");
	refusals = counter("refusals");
	file_rounds = counter("file_rounds");
	reports = counter("reports");
	changes = counter("changes_seen");
	if (owners > OWNERS_MAX || !owners || device_count() < 2)
		run_fail("--owners and --swap");
	for (unsigned int i = 0; i < rivalled(); i++)
		contests[i].device = i;
	for (uint64_t i = 0; i < owners; i++)
		for (unsigned int j = 0; j < AREAS; j++) {
			area_new(&areas[i][j], j ? AREA_FILE : AREA_SMALL, 1 + i * AREAS + j, pages, -1);
			for (size_t page = 0; page < pages; page++)
				area_write(&areas[i][j], page, 0);
		}
	make_files();
}

static void load(void)
{
	static struct threads threads;

	threads_add(&threads, rivalled(), first_rival, NULL);
	threads_add(&threads, rivalled(), second_rival, NULL);
	threads_add(&threads, 1, meddler, NULL);
	threads_add(&threads, owners, own, NULL);
	threads_add(&threads, 2, read_about, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	for (uint64_t i = 0; i < owners; i++)
		for (unsigned int j = 0; j < AREAS; j++)
			area_verify_all(&areas[i][j]);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options,
		.steady = DEVICES_MAX,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
