// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * limits: what the files of a cgroup promise of the memory of who is in it, while its pages are swapped out and devices are swapped off.
 *
 *   lodgers  are processes, each alone in a cgroup: they write and verify their pages, or count them, when they are told to; else they rest.
 *   wardens  have a lodger each. They try one promise after another: set a limit, or reclaim, and look whether it is kept.
 *
 * A correct kernel may break most of these promises for a moment: swapoff brings pages back, charges are made in batches, statistics are
 * some pages behind. So it is an error if one of them is never kept, in many tries.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "paging.h"
#include "record.h"
#include "run.h"

#define WARDENS_MAX 4
#define REMOVE_MS 60000
#define LOOKS 50
#define LOOK_US 10000
#define POLL_US 300
/* Each promise is kept in more than nine of ten tries, and so is broken in as many in a row once in a million runs. */
#define TRIES_LEAST 6
#define BATCH 64 /* pages that are charged at once, and that a CPU may have in stock */

static uint64_t pages = 256, wardens_count = 2;

static const struct number_option OPTIONS[] = {
	{ "pages", &pages }, { "wardens", &wardens_count }, { NULL, NULL },
};

enum deed { DEED_USE, DEED_COUNT };

/* What a warden and its lodger share. */
struct desk {
	_Atomic uint32_t asked, done; /* numbers of deeds */
	_Atomic int deed;
	_Atomic uint64_t resident, swapped; /* pages, as counted last */
};

struct warden {
	unsigned int number;
	uint32_t life;
	struct cgroup room;
	struct region anon;
	struct desk *desk;
	pid_t lodger; /* 0: none */
	struct rng rng;
};

enum answer { UNTRIED, BROKEN, KEPT };

struct check {
	const char *name; /* of its counters, behind "tried_" and "kept_" */
	const char *file; /* without it there is nothing to try */
	const char *error; /* promises.c has the promise by its first words */
	enum answer (*body)(struct warden *);
	unsigned int share; /* of the tries */
};

static struct cgroup top;
static struct desk *desks;
static _Atomic uint64_t *killed;
static counter_t *lodgers, *killed_lodgers;

/* --- the lodger --- */

static void use_pages(struct warden *self)
{
	for (size_t i = 0; i < self->anon.pages && !run_over(); i++)
		if (!self->anon.shadow[i] || rng_below(&self->rng, 8) == 0)
			region_write(&self->anon, i, self->number);
		else
			region_verify(&self->anon, i, i % 8 == 0);
}

static void count_pages(struct warden *self)
{
	uint64_t resident = 0, swapped = 0;

	for (size_t i = 0; i < self->anon.pages; i++) {
		const uint64_t word = pagemap_word(region_page(&self->anon, i));

		resident += (word & PAGEMAP_PRESENT) != 0;
		swapped += (word & PAGEMAP_SWAPPED) != 0;
	}
	self->desk->resident = resident;
	self->desk->swapped = swapped;
}

static void lodge(void *argument)
{
	struct warden *const self = argument;
	struct desk *const desk = self->desk;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!cgroup_enter(&self->room, 0))
		run_error("moving to another cgroup", errno);
	while (!run_over()) {
		if (desk->asked == desk->done) {
			sleep_us(POLL_US);
			continue;
		}
		if (desk->deed == DEED_USE)
			use_pages(self);
		else
			count_pages(self);
		operations_add(1);
		desk->done = desk->asked;
	}
}

/* --- its warden --- */

static uint64_t number_of(const struct cgroup *cgroup, const char *file)
{
	uint64_t value = 0;

	return cgroup_get(cgroup, file, &value) ? value : 0;
}

static uint64_t usage(const struct cgroup *cgroup)
{
	return number_of(cgroup, "memory.current");
}

static uint64_t whole_pages(uint64_t bytes)
{
	return bytes / PAGE * PAGE;
}

static bool has_ended(struct warden *self)
{
	int status;

	if (waitpid(self->lodger, &status, WNOHANG) != self->lodger)
		return false;
	self->lodger = 0;
	if (cgroup_note_end(&top, killed, status, "lodger"))
		count(killed_lodgers, 1);
	return true;
}

/* False: there is no lodger any more. */
static bool ask(struct warden *self, enum deed deed)
{
	self->desk->deed = deed;
	self->desk->asked++;
	while (self->desk->done != self->desk->asked) {
		if (has_ended(self))
			return false;
		sleep_us(POLL_US);
	}
	return true;
}

static bool comes_to(const struct cgroup *cgroup, const char *file, uint64_t most)
{
	for (unsigned int looks = 0; looks < LOOKS && !run_over(); looks++) {
		uint64_t value;

		if (cgroup_get(cgroup, file, &value) && value <= most)
			return true;
		sleep_us(LOOK_US);
	}
	return false;
}

static enum answer answer_of(bool kept)
{
	return kept ? KEPT : BROKEN;
}

/* --- the promises --- */

static enum answer try_reclaim(struct warden *self)
{
	const uint64_t before = usage(&self->room), bytes = whole_pages(before / 2);

	/* EAGAIN: less than that could be had. */
	if (!cgroup_put_bytes(&self->room, "memory.reclaim", bytes))
		return UNTRIED;
	return answer_of(usage(&self->room) + bytes / 2 <= before);
}

static enum answer try_max(struct warden *self)
{
	const uint64_t limit = whole_pages(usage(&self->room) / 2);

	if (!cgroup_put_bytes(&self->room, "memory.max", limit))
		return UNTRIED;
	return answer_of(comes_to(&self->room, "memory.current", limit));
}

/* All pages are used while this limit is below their number. Whether events of this kind were counted meanwhile. */
static enum answer counts_event(struct warden *self, const char *file, uint64_t percent, const char *event)
{
	const uint64_t limit = whole_pages(pages * PAGE / 100 * percent);
	uint64_t own, all;

	if (!cgroup_put_bytes(&self->room, file, limit))
		return UNTRIED;
	own = cgroup_field(&self->room, "memory.events", event);
	all = cgroup_field(&top, "memory.events", event);
	if (!ask(self, DEED_USE))
		return UNTRIED;
	return answer_of(cgroup_field(&self->room, "memory.events", event) > own && cgroup_field(&top, "memory.events", event) > all);
}

static enum answer try_max_event(struct warden *self)
{
	return counts_event(self, "memory.max", 80, "max");
}

/* Who is far above this limit sleeps for seconds. */
static enum answer try_high_event(struct warden *self)
{
	return counts_event(self, "memory.high", 90, "high");
}

/* The write reclaims, and whoever charges more afterwards does, too. */
static enum answer try_high(struct warden *self)
{
	const uint64_t limit = whole_pages(pages * PAGE / 100 * 60), most = limit + BATCH * PAGE;

	if (!cgroup_put_bytes(&self->room, "memory.high", limit))
		return UNTRIED;
	if (!comes_to(&self->room, "memory.current", most))
		return BROKEN;
	if (!ask(self, DEED_USE))
		return UNTRIED;
	return answer_of(comes_to(&self->room, "memory.current", most));
}

static enum answer try_swap_max(struct warden *self)
{
	const uint64_t limit = number_of(&self->room, "memory.swap.current") + 16 * PAGE;

	if (!cgroup_put_bytes(&self->room, "memory.swap.max", limit))
		return UNTRIED;
	cgroup_put_bytes(&self->room, "memory.reclaim", whole_pages(usage(&self->room) / 2));
	return answer_of(comes_to(&self->room, "memory.swap.current", limit));
}

/* What is protected stays, although memory is taken from the tree; there is another lodger from whom to take it. */
static enum answer try_min(struct warden *self)
{
	uint64_t before;

	if (!cgroup_put(&self->room, "memory.min", "max") || !ask(self, DEED_COUNT))
		return UNTRIED;
	before = self->desk->swapped;
	if (!cgroup_put_bytes(&top, "memory.reclaim", whole_pages(usage(&top) / 4)) || !ask(self, DEED_COUNT))
		return UNTRIED;
	return answer_of(self->desk->swapped <= before + pages / 8);
}

/* Nothing can be swapped out, and the limit is below what is used: somebody has to go. */
static enum answer try_oom(struct warden *self)
{
	const uint64_t limit = whole_pages(pages * PAGE / 4);

	if (!cgroup_put(&self->room, "memory.swap.max", "0") || !ask(self, DEED_USE) ||
	    !cgroup_put_bytes(&self->room, "memory.max", limit))
		return UNTRIED;
	for (unsigned int looks = 0; looks < LOOKS && !run_over(); looks++) {
		if (has_ended(self))
			return answer_of(cgroup_field(&self->room, "memory.events", "oom_kill") > 0);
		sleep_us(LOOK_US);
	}
	return run_over() ? UNTRIED : BROKEN;
}

static enum answer try_current(struct warden *self)
{
	if (!ask(self, DEED_COUNT))
		return UNTRIED;
	return answer_of(usage(&self->room) >= self->desk->resident * PAGE);
}

static enum answer try_tree(struct warden *self)
{
	const uint64_t own = usage(&self->room);

	return answer_of(own && usage(&top) >= own);
}

static enum answer try_peak(struct warden *self)
{
	const uint64_t own = usage(&self->room);

	return answer_of(number_of(&self->room, "memory.peak") >= own);
}

/* In both directions within some pages, when the kernel has added up what its CPUs counted. */
static enum answer try_statistics(struct warden *self)
{
	for (unsigned int looks = 0; looks < LOOKS && !run_over(); looks++) {
		uint64_t anon;

		if (!ask(self, DEED_COUNT))
			return UNTRIED;
		anon = cgroup_field(&self->room, "memory.stat", "anon") / PAGE;
		if (anon + BATCH >= self->desk->resident && anon <= self->desk->resident + BATCH)
			return KEPT;
		sleep_us(LOOK_US);
	}
	return run_over() ? UNTRIED : BROKEN;
}

static enum answer try_swap_current(struct warden *self)
{
	cgroup_put_bytes(&self->room, "memory.reclaim", whole_pages(usage(&self->room) / 2));
	if (!ask(self, DEED_COUNT) || self->desk->swapped < pages / 8)
		return UNTRIED;
	return answer_of(number_of(&self->room, "memory.swap.current") + BATCH * PAGE >= self->desk->swapped * PAGE);
}

static const struct check CHECKS[] = {
	{ "reclaim", "memory.reclaim", "memory.reclaim: what was written", try_reclaim, 3 },
	{ "max", "memory.max", "memory.max: usage", try_max, 2 },
	{ "max_event", "memory.max", "memory.events: max", try_max_event, 2 },
	{ "high", "memory.high", "memory.high: usage", try_high, 2 },
	{ "high_event", "memory.high", "memory.events: high", try_high_event, 2 },
	{ "swap_max", "memory.swap.max", "memory.swap.max: usage", try_swap_max, 2 },
	{ "min", "memory.min", "memory.min: what is protected", try_min, 3 },
	{ "oom", "memory.swap.max", "memory.max: the OOM killer", try_oom, 1 },
	{ "current", "memory.current", "memory.current: resident pages", try_current, 2 },
	{ "tree", "memory.current", "memory.current: the tree", try_tree, 2 },
	{ "peak", "memory.peak", "memory.peak: the largest usage", try_peak, 2 },
	{ "statistics", "memory.stat", "memory.stat: anon", try_statistics, 2 },
	{ "swap_current", "memory.swap.current", "memory.swap.current: swapped pages", try_swap_current, 2 },
};
#define CHECKS_COUNT (sizeof(CHECKS) / sizeof(CHECKS[0]))

static counter_t *tried[CHECKS_COUNT], *kept[CHECKS_COUNT];
static bool lacking[CHECKS_COUNT];

static size_t choose(struct rng *rng)
{
	unsigned int all = 0, at;

	for (size_t i = 0; i < CHECKS_COUNT; i++)
		all += CHECKS[i].share;
	at = rng_below(rng, all);
	for (size_t i = 0;; i++) {
		if (at < CHECKS[i].share)
			return i;
		at -= CHECKS[i].share;
	}
}

/* --- the frame --- */

static void move_in(struct warden *self)
{
	char name[32];

	snprintf(name, sizeof(name), "%u-%u", self->number, ++self->life);
	self->room = cgroup_in(top.path, name);
	if (!cgroup_make(&self->room))
		run_error("mkdir of a cgroup", errno);
	/* The last one's pages have gone with it. */
	memset((void *)self->anon.shadow, 0, pages * sizeof(*self->anon.shadow));
	self->desk->done = self->desk->asked;
	self->lodger = child_start(lodge, self);
	count(lodgers, 1);
}

static void move_out(struct warden *self)
{
	while (self->lodger && !has_ended(self))
		sleep_us(POLL_US);
	if (!cgroup_remove(&self->room, REMOVE_MS))
		run_error("rmdir of an empty cgroup", errno);
}

static void lift(const struct cgroup *room)
{
	cgroup_put(room, "memory.max", "max");
	cgroup_put(room, "memory.high", "max");
	cgroup_put(room, "memory.swap.max", "max");
	cgroup_put(room, "memory.min", "0");
}

static void try_one(struct warden *self)
{
	const size_t which = choose(&self->rng);
	enum answer answer;

	if (lacking[which] || !ask(self, DEED_USE))
		return;
	answer = CHECKS[which].body(self);
	lift(&self->room);
	/* At the end of the time the lodger has left. */
	if (answer == UNTRIED || (answer == BROKEN && run_over()))
		return;
	count(tried[which], 1);
	if (answer == KEPT)
		count(kept[which], 1);
	operations_add(1);
}

static void warden(void *argument)
{
	struct warden self = { .number = *(unsigned int *)argument };

	self.rng = rng_stream(run_seed(), 700 + self.number);
	self.desk = &desks[self.number];
	self.anon = region_over(private_memory(pages * PAGE), 1 + self.number, pages);
	while (!run_over()) {
		move_in(&self);
		while (self.lodger && !run_over())
			try_one(&self);
		move_out(&self);
	}
}

static void prepare(void)
{
	if (cgroups_are_v1())
		run_missing("the limits are files of cgroup v2");
}

static void find_lacking(void)
{
	struct cgroup room = cgroup_in(top.path, "files");
	char path[200];

	if (!cgroup_make(&room))
		run_fail("mkdir of a cgroup");
	for (size_t i = 0; i < CHECKS_COUNT; i++) {
		char name[40];

		snprintf(name, sizeof(name), "kept_%s", CHECKS[i].name);
		kept[i] = counter(name);
		snprintf(path, sizeof(path), "%s/%s", room.path, CHECKS[i].file);
		lacking[i] = access(path, F_OK) != 0;
		if (lacking[i])
			counter_lacking(name, "there is no %s", CHECKS[i].file);
		snprintf(name, sizeof(name), "tried_%s", CHECKS[i].name);
		tried[i] = counter(name);
	}
	cgroup_remove(&room, REMOVE_MS);
}

static void setup(void)
{
	lodgers = counter("lodgers");
	killed_lodgers = counter("killed_lodgers");
	if (!pages || !wardens_count || wardens_count > WARDENS_MAX)
		run_fail("--pages and --wardens");
	desks = locked_memory(WARDENS_MAX * sizeof(*desks));
	killed = locked_memory(sizeof(*killed));
	top = cgroup_in(CGROUP_ROOT, "limits");
	if (!cgroup_make(&top) || !cgroup_put(&top, "cgroup.subtree_control", "+memory"))
		run_fail("mkdir of a cgroup");
	/* What is protected in it is so by its own protection. */
	cgroup_put(&top, "memory.min", "max");
	find_lacking();
}

static void load(void)
{
	static struct children wardens;

	children_start(&wardens, wardens_count, warden);
	children_join(&wardens);
}

static void verify(void)
{
	for (size_t i = 0; i < CHECKS_COUNT; i++)
		if (*tried[i] >= TRIES_LEAST && !*kept[i])
			run_error_named(CHECKS[i].error, "never kept");
	if (!cgroup_remove(&top, REMOVE_MS))
		run_error("rmdir of an empty cgroup", errno);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = OPTIONS, .steady = 1, .prepare = prepare, .setup = setup, .load = load, .verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
