// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * large-zero: groups of 64 KiB in which some pages are zeros, that are swapped out as large folios and page by page, with zswap and
 * without, and holes that cut through large folios of a file, against swapoff.
 *
 *   walkers     fill groups anew, have them paged out, and touch one page. Paged out one by one, the pages of a group come to lie
 *               side by side on the device, zeros among them, and look as if they had been one large folio;
 *   file owners punch holes of any size and place into groups that are in memory or out, and now and then of a whole group;
 *   partners    one for each file owner, read a page of a group at the moment in which the owner punches a hole where it is; or they write
 *               pages beside the hole, which is in a group that was empty, and page the group out;
 *   lookers     read pages of all of them meanwhile;
 *   a switcher  turns zswap on and off, above synchronous devices, and lets it refuse what it can't compress: then it has stored
 *               some pages of a folio when it comes to one that it refuses. It begins late: 6.12 to 6.19 read large folios in only
 *               until zswap is first used. At that moment nothing is swapped: who reads a large folio then may meet a bug of Linux
 *               (docs/found/zswap-first-use.md). With --first-in-use 1 they go on.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "area.h"
#include "cgroup.h"
#include "paging.h"
#include "run.h"
#include "textfile.h"

#define LARGE (64u << 10)
#define OWNERS_MAX 8
#define ZSWAP "/sys/module/zswap/parameters/"
/* Of the load, until zswap is first switched on: one part in so many. */
#define WITHOUT_ZSWAP 2
#define ROUND_LEAST 300000
#define ROUND_MOST 900000

static uint64_t groups = 6;
static uint64_t walkers = 2;
static uint64_t owners = 2;
static uint64_t lookers = 2;
static uint64_t first_in_use;

static const struct number_option options[] = {
	{ "groups", &groups },
	{ "walkers", &walkers },
	{ "owners", &owners },
	{ "lookers", &lookers },
	{ "first-in-use", &first_in_use },
	{ 0 },
};

/* Of the walkers, then of the file owners; and for each walker some pages that only take slots. */
static struct area areas[OWNERS_MAX], fillers[OWNERS_MAX];
static counter_t *mixed_groups, *aligned_mixed_groups, *whole_groups, *holes, *looks, *switches, *refused, *encounters, *written_beside;

/* A file owner and its partner, and what this one does: reads a page, or has the pages of a group that are outside of a hole. */
static struct encounter {
	struct meeting meeting;
	struct area *area;
	size_t page;
	bool writes;
	size_t group, hole, behind, end; /* first pages: of the group, of the hole, behind that, and behind its last group */
} together[OWNERS_MAX];

/* Of all but the partners: each drops its pages, then zswap is switched on. */
static struct meeting before_zswap;
static _Atomic bool zswap_is_due, refusing;

static size_t group_pages(void)
{
	return LARGE / PAGE;
}

enum role { WALKER, FILE_OWNER };

static void step_aside(struct area *area, bool *stepped)
{
	if (*stepped || !zswap_is_due)
		return;
	*stepped = true;
	if (area)
		area_drop(area, 0, area->pages);
	if (meet(&before_zswap))
		meet(&before_zswap);
}

/*
 * Each CPU takes slots from a cluster of its own: walkers have the even CPUs for a second, and then the odd ones, so that no page of
 * another role comes to lie between theirs. And each CPU stays with the device that it wrote to last: who stayed with one CPU might never
 * see another device.
 */
static void hop(struct rng *rng, enum role role)
{
	const long pairs = sysconf(_SC_NPROCESSORS_ONLN) / 2;
	const uint64_t half = (now_ns() / 1000000000u + role) % 2;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(pairs ? 2 * rng_below(rng, pairs) + half : 0, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		run_fail("sched_setaffinity");
}

/* The first records of a group can't be compressed, and two in its middle. */
#define NOISE_AT_START 3u

static uint64_t some_pages(struct rng *rng)
{
	return rng_below(rng, 4) ? rng_next(rng) & rng_next(rng) : 0;
}

/* Fresh memory, a large folio if one can be had; then records, but for the pages whose bit is in `zeros`. */
static void refill(struct area *area, size_t first, uint64_t zeros)
{
	area_note(area, "refill", first, group_pages());
	area_drop(area, first, group_pages());
	for (size_t i = 0; i < group_pages(); i++)
		if (!(zeros >> (i % 64) & 1))
			area_write(area, first + i, 0);
}

static bool is_zero(const struct area *area, size_t page)
{
	return oracle_holds(&area->oracle, page) == HOLDS_ZEROS;
}

/* Of a group that is out: zeros and others, and whether the slots are side by side as those of a large folio. */
static void note_state(const struct area *area, size_t first)
{
	const uint64_t word = pagemap_word(area_page(area, first));
	size_t zeros = 0, in_line = 0;

	for (size_t i = 0; i < group_pages(); i++) {
		zeros += is_zero(area, first + i);
		/* The low five bits of the entry are the device, the others the slot. */
		in_line += pagemap_word(area_page(area, first + i)) == word + (i << 5);
	}
	if (!(word & PAGEMAP_SWAPPED) || in_line < group_pages())
		return;
	count(whole_groups, 1);
	if (!zeros || zeros == group_pages())
		return;
	count(mixed_groups, 1);
	if ((word >> 5) % group_pages() == 0)
		count(aligned_mixed_groups, 1);
}

/* Touched before, or a hole would be nothing to page out. */
static void page_out_singly(struct area *area, struct area *filler, struct rng *rng)
{
	const size_t fill = rng_below(rng, group_pages());

	area_note(area, "singly", 0, area->pages);
	for (size_t page = 0; page < fill && !run_over(); page++) {
		area_write(filler, page, 0);
		page_out(area_page(filler, page), PAGE);
	}
	for (size_t page = 0; page < area->pages && !run_over(); page++)
		page_out(area_page(area, page), PAGE);
}

static void touch_one(struct area *area, size_t first, struct rng *rng)
{
	const size_t page = first + rng_below(rng, group_pages());

	area_note(area, "touch", page, 1);
	if (rng_below(rng, 4) || is_zero(area, page))
		area_verify(area, page, true);
	else
		area_write(area, page, 0);
}

/*
 * A page that was read ahead, and is mapped then, keeps its slot. So zeros that are written over it go out to this slot, between the
 * records of the other pages. Only before zswap is used: later it would have copies of what is overwritten (docs/found/zswap-zero.md).
 */
static void have_zeros_in_line(struct area *area, size_t first, struct rng *rng)
{
	uint64_t zeros = rng_next(rng) & rng_next(rng);

	refill(area, first, 0);
	area_note(area, "zeros", first, group_pages());
	page_out_fully(area_page(area, first), LARGE, 1);
	for (size_t page = first; page < first + group_pages() && !run_over(); page++, zeros >>= 1) {
		if (!(zeros & 1))
			continue;
		if (madvise(area_page(area, page), PAGE, MADV_WILLNEED))
			run_error("MADV_WILLNEED", errno);
		area_verify(area, page, false);
		area_clear(area, page);
		page_out(area_page(area, page), PAGE);
	}
}

/* Folios of which zswap stores some pages before it comes to the first that it refuses. */
static void have_refused(struct area *area, size_t first, struct rng *rng)
{
	refill(area, first, NOISE_AT_START);
	count(refused, 1);
	area_note(area, "refused", first, group_pages());
	page_out(area_page(area, first), LARGE);
	touch_one(area, first, rng);
}

static void walker(struct worker *worker)
{
	struct area *area = &areas[worker->index];
	struct rng *rng = &worker->rng;
	const size_t step = group_pages();
	bool stepped = false;

	while (!run_over()) {
		step_aside(area, &stepped);
		hop(rng, WALKER);
		for (size_t first = 0; first < area->pages && refusing && !run_over(); first += step)
			have_refused(area, first, rng);
		for (size_t first = 0; first < area->pages && !run_over(); first += step)
			if (rng_below(rng, 3))
				refill(area, first, some_pages(rng));
		if (rng_below(rng, 2)) {
			page_out_singly(area, &fillers[worker->index], rng);
		} else if (!first_in_use && !zswap_is_due && rng_below(rng, 4)) {
			for (size_t first = 0; first < area->pages && !zswap_is_due && !run_over(); first += step)
				have_zeros_in_line(area, first, rng);
		} else {
			area_note(area, "out", 0, area->pages);
			page_out(area->base, area->length);
		}
		if (rng_below(rng, 2))
			page_out_fully(area->base, area->length, 2);
		for (size_t first = 0; first < area->pages; first += step)
			note_state(area, first);
		for (size_t first = 0; first < area->pages && !run_over(); first += step) {
			touch_one(area, first, rng);
			for (size_t i = 0; i < step && !run_over(); i++)
				area_verify(area, first + i, rng_below(rng, 4) == 0);
		}
	}
}

/* Any run of pages, in one group or through several. */
static void cut(struct area *area, struct rng *rng)
{
	const size_t first = rng_below(rng, area->pages);
	const size_t most = area->pages - first < 2 * group_pages() ? area->pages - first : 2 * group_pages();
	const size_t pages = 1 + rng_below(rng, most);

	area_note(area, "hole", first, pages);
	area_drop(area, first, pages);
	count(holes, 1);
	for (size_t i = 0; i < pages && i < 4; i++)
		area_verify(area, first + i, true);
}

/* The whole group, so that the kernel frees its slots at one go if they are one folio's, while a page of it is read in by itself. */
static void cut_while_read(struct area *area, struct encounter *encounter, struct rng *rng)
{
	const size_t first = rng_below(rng, groups) * group_pages();

	encounter->area = area;
	encounter->writes = false;
	encounter->page = first + rng_below(rng, group_pages());
	if (rng_below(rng, 4)) {
		refill(area, first, some_pages(rng));
		page_out_fully(area_page(area, first), LARGE, 1);
	}
	area_note(area, "hole met", first, group_pages());
	if (!meet(&encounter->meeting))
		return;
	if (!rng_below(rng, 4))
		sleep_us(rng_below(rng, 100));
	area_drop(area, first, group_pages());
	if (!meet(&encounter->meeting))
		return;
	count(encounters, 1);
	for (unsigned int i = 0; i < 4; i++)
		area_verify(area, first + rng_below(rng, group_pages()), true);
}

/* It begins in the middle of a group, and ends there, or in the next one. */
static void choose_hole(struct encounter *encounter, struct rng *rng)
{
	const size_t group = rng_below(rng, groups) * group_pages(), hole = group + rng_between(rng, 1, group_pages() - 1);
	const size_t all = groups * group_pages(), most = hole + group_pages() < all ? hole + group_pages() : all;

	encounter->group = group;
	encounter->hole = hole;
	/* As long as a group, often: then it may have a large entry whole, but for where it begins. */
	encounter->behind = rng_below(rng, 2) ? most : rng_between(rng, hole + 1, most);
	encounter->end = (encounter->behind + group_pages() - 1) / group_pages() * group_pages();
}

/*
 * In groups that were empty: a write beside the hole may get a large folio that lies in the hole, too, and have it swapped out, at any
 * moment of the call. What is outside of the hole stays.
 */
static void cut_while_written(struct area *area, struct encounter *encounter, struct rng *rng)
{
	choose_hole(encounter, rng);
	encounter->area = area;
	encounter->writes = true;
	area_note(area, "hole beside", encounter->hole, encounter->behind - encounter->hole);
	area_drop(area, encounter->group, encounter->end - encounter->group);
	if (!meet(&encounter->meeting))
		return;
	/* Once its own pages are there, a group is not empty any more. */
	if (rng_below(rng, 4))
		sleep_us(rng_below(rng, 300));
	area_drop(area, encounter->hole, encounter->behind - encounter->hole);
	if (!meet(&encounter->meeting))
		return;
	count(written_beside, 1);
	for (size_t page = encounter->group; page < encounter->end && !run_over(); page++)
		area_verify(area, page, page % 4 == 0);
}

/* A fault waits until the hole is done (shmem_fault()); read(2) does not. */
static void read_page(const struct encounter *encounter, bool by_fault)
{
	char bytes[64];

	if (by_fault)
		area_look(encounter->area, encounter->page, false);
	else if (pread(encounter->area->fd, bytes, sizeof(bytes), encounter->page * PAGE) != sizeof(bytes))
		run_error("pread", errno);
}

/* Before the hole or behind it, where there is a page. */
static size_t page_beside(const struct encounter *encounter, struct rng *rng)
{
	const size_t after = encounter->end - encounter->behind, before = encounter->hole - encounter->group;
	const size_t which = rng_below(rng, before + after);

	return which < before ? encounter->group + which : encounter->behind + which - before;
}

/* A fault outside of the hole does not wait for it. */
static void write_beside(const struct encounter *encounter, struct rng *rng)
{
	struct area *const area = encounter->area;

	for (uint64_t writes = rng_between(rng, 1, 3); writes; writes--)
		area_write(area, page_beside(encounter, rng), 0);
	if (rng_below(rng, 4))
		page_out(area_page(area, encounter->group), (encounter->end - encounter->group) * PAGE);
}

static void partner(struct worker *worker)
{
	struct encounter *encounter = &together[worker->index];
	struct rng *rng = &worker->rng;

	while (meet(&encounter->meeting)) {
		/* A hole takes its time before it comes to the swap entries. */
		if (rng_below(rng, 4))
			sleep_us(rng_below(rng, 1500));
		if (encounter->writes)
			write_beside(encounter, rng);
		else
			read_page(encounter, !rng_below(rng, 4));
		meet(&encounter->meeting);
	}
}

static void file_owner(struct worker *worker)
{
	struct area *area = &areas[walkers + worker->index];
	struct rng *rng = &worker->rng;
	bool stepped = false;

	while (!run_over()) {
		step_aside(area, &stepped);
		hop(rng, FILE_OWNER);
		for (size_t first = 0; first < area->pages && !run_over(); first += group_pages())
			if (rng_below(rng, 3))
				refill(area, first, some_pages(rng));
		page_out_fully(area->base, area->length, rng_between(rng, 1, 3));
		for (uint64_t cuts = rng_between(rng, 1, 2 * groups); cuts && !run_over(); cuts--) {
			cut(area, rng);
			area_verify(area, rng_below(rng, area->pages), true);
		}
		for (size_t page = 0; page < area->pages && !run_over(); page++)
			area_verify(area, page, rng_below(rng, 4) == 0);
		for (uint64_t holes = rng_between(rng, 1, 4 * groups); holes && !run_over(); holes--)
			if (rng_below(rng, 3))
				cut_while_read(area, &together[worker->index], rng);
			else
				cut_while_written(area, &together[worker->index], rng);
	}
}

static void looker(struct worker *worker)
{
	bool stepped = false;

	while (!run_over()) {
		step_aside(NULL, &stepped);
		const struct area *area = &areas[rng_below(&worker->rng, walkers + owners)];

		if (area_look(area, rng_below(&worker->rng, area->pages), false) != LOOK_RACED)
			count(looks, 1);
		sleep_us(rng_below(&worker->rng, 4000));
	}
}

/* Whether zswap refuses pages that it can't compress, or stores them as they are. */
static void let_refuse(bool refuse)
{
	const struct cgroup own = cgroup_in(CGROUP_ROOT, "workload");

	/* A file of cgroup v2, since 6.8. */
	if (cgroup_put(&own, "memory.zswap.writeback", refuse ? "0" : "1"))
		refusing = refuse;
}

static void sleep_until(uint64_t end)
{
	while (now_ns() < end && !run_over())
		sleep_us(5000);
}

static void enable_first(void)
{
	zswap_is_due = !first_in_use;
	if (!first_in_use && !meet(&before_zswap))
		return;
	run_set(ZSWAP "enabled", "Y");
	count(switches, 1);
	if (!first_in_use)
		meet(&before_zswap);
}

/* Walkers come to it in the next iteration only. */
static void await_refused(void)
{
	const uint64_t enough = *refused + walkers * groups, end = now_ns() + run_load_ns() / 8;

	while (*refused < enough && now_ns() < end && !run_over())
		sleep_us(5000);
}

static void switcher(struct worker *worker)
{
	sleep_until(now_ns() + run_load_ns() / WITHOUT_ZSWAP);
	if (!run_over())
		enable_first();
	for (bool on = true; !run_over(); on = !on) {
		let_refuse(on && rng_below(&worker->rng, 3));
		run_set(ZSWAP "enabled", on ? "Y" : "N");
		count(switches, 1);
		sleep_until(now_ns() + rng_between(&worker->rng, ROUND_LEAST, ROUND_MOST) * 1000);
		if (refusing)
			await_refused();
	}
	run_set(ZSWAP "enabled", "N");
	let_refuse(false);
}

static void prepare(void)
{
	if (access("/sys/kernel/mm/transparent_hugepage/hugepages-64kB/stats/swpout", R_OK))
		run_missing("folios of 64 KiB: %m");
	area_allow_large_folios();
}

static void setup(void)
{
	mixed_groups = counter("mixed_groups");
	aligned_mixed_groups = counter("aligned_mixed_groups");
	whole_groups = counter("whole_groups");
	holes = counter("holes");
	looks = counter("looks_of_others");
	switches = counter("zswap_switches");
	refused = counter("groups_to_refuse");
	encounters = counter("holes_while_read");
	written_beside = counter("holes_while_written");
	before_zswap.parties = walkers + owners + lookers + 1;
	for (uint64_t i = 0; i < owners; i++)
		together[i].meeting.parties = 2;
	if (walkers + owners > OWNERS_MAX || !walkers)
		run_fail("--walkers and --owners");
	for (uint64_t i = 0; i < walkers + owners; i++) {
		area_new(&areas[i], i < walkers ? AREA_LARGE : AREA_FILE_LARGE, 1 + i, groups * group_pages(), -1);
		if (i < walkers)
			area_new(&fillers[i], AREA_SMALL, 100 + i, group_pages(), -1);
	}
}

static void load(void)
{
	static struct threads threads;

	threads_add(&threads, walkers, walker, NULL);
	threads_add(&threads, owners, file_owner, NULL);
	threads_add(&threads, owners, partner, NULL);
	threads_add(&threads, lookers, looker, NULL);
	threads_add(&threads, 1, switcher, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	for (uint64_t i = 0; i < walkers + owners; i++)
		area_verify_all(&areas[i]);
	for (uint64_t i = 0; i < walkers; i++)
		area_verify_all(&fillers[i]);
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
