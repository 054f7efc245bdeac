// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mix: everything that can be done to the pages of one address space, in random order, against swapoff.
 *
 *   actors     each has an area of each kind and does one thing after another with a few of its pages (deeds.h). It knows
 *              at any time what each page may hold (oracle.h), and looks again and again whether it does;
 *   children   of the actors share their pages, swapped out or not, change some, have some of the actor's paged out, and end;
 *   lookers    read pages of all areas, which maps and pins them, while their owners change, move and unmap them;
 *   a switcher turns zswap and the multi-gen LRU on and off, changes the compressor, shrinks the pool, sets limits, reclaims,
 *              compacts, and clears the soft-dirty bits, by which actors then see what was written.
 *
 * What an actor does next depends on the seed alone: step n of an actor is the same in each run with that seed.
 */
#define _GNU_SOURCE

#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "area-ways.h"
#include "deeds.h"
#include "killed-fork.h"
#include "paging.h"
#include "run.h"
#include "soft-dirty.h"
#include "textfile.h"
#include "uffd.h"

#define ACTORS_MAX 8
#define FORK_ONE_IN 24
/* Of the forks: so many children at once, which end at once, and a process that is killed while it forks. */
#define STORM_ONE_IN 3
#define STORM 4
/* Of the steps: new memory beside old. */
#define NEW_ONE_IN 16
/* Of the switcher: 6.12 to 6.19 read large folios in only until zswap is first used. */
#define ROUNDS_WITHOUT_ZSWAP 6
#define DEEDS_MAX 48
#define LRU_GEN "/sys/kernel/mm/lru_gen/enabled"
#define ZSWAP "/sys/module/zswap/parameters/"
/* Numbers of regions: of the children's, and so many for each area in turn. */
#define CHILD_REGIONS 1000
#define CHILDREN_MOST 300

static uint64_t actors_count = 4;
static uint64_t pages = 48;
static uint64_t lookers = 2;

static const struct number_option options[] = {
	{ "actors", &actors_count },
	{ "pages", &pages },
	{ "lookers", &lookers },
	{ 0 },
};

struct actor {
	struct area areas[AREA_KINDS];
	/* A second one of each whose pages can be moved: UFFDIO_MOVE takes them there and back. */
	struct area others[AREA_LARGE + 1];
	struct oracle snapshots[AREA_KINDS_OWN]; /* of the child */
	int child; /* 0: none */
	unsigned int children;
};

static struct actor actors[ACTORS_MAX];
static int uffd;
static _Atomic uint64_t acting; /* actors that have not ended */
static counter_t *done[DEEDS_MAX]; /* of each deed */
static counter_t *looks, *raced_looks, *forks, *storms, *killed_forkers, *switches, *lifted;

/* The parent may have anything there by now, or nothing, or be gone: whatever the call says is right. */
static void ask_parent(const struct area *area, size_t first, size_t count, struct rng *rng)
{
	static const int advices[] = { MADV_PAGEOUT, MADV_PAGEOUT, MADV_COLD, MADV_WILLNEED };

	advise_process(getppid(), area_page(area, first), count * PAGE, advices[rng_below(rng, 4)]);
}

static void child_step(struct area *area, struct rng *rng)
{
	const size_t first = rng_below(rng, area->pages), count = 1 + rng_below(rng, area->pages - first);

	switch (rng_below(rng, 6)) {
	case 0:
		page_out(area_page(area, first), count * PAGE);
		break;
	case 1:
		area_write(area, first, 1);
		break;
	case 2:
		area_drop(area, first, 1);
		break;
	case 3:
		ask_parent(area, first, count, rng);
		break;
	}
	for (size_t i = first; i < first + count && i < first + 8; i++)
		area_verify(area, i, i % 4 == 0);
}

/* A file's pages are the parent's to change, and the child looks at them as others do. */
static void child(void *argument)
{
	struct actor *parent = argument;
	struct rng rng = rng_stream(run_seed(), CHILD_REGIONS + parent->snapshots[0].region);
	struct area areas[AREA_KINDS_OWN];

	for (size_t i = 0; i < AREA_KINDS_OWN; i++)
		areas[i] = area_of_child(&parent->areas[i], &parent->snapshots[i]);
	for (uint64_t steps = rng_below(&rng, 12); steps && !run_over(); steps--) {
		const uint64_t kind = rng_below(&rng, AREA_KINDS);

		if (kind >= AREA_KINDS_OWN && parent->areas[kind].pages)
			area_look(&parent->areas[kind], rng_below(&rng, pages), false);
		else if (kind < AREA_KINDS_OWN && areas[kind].pages)
			child_step(&areas[kind], &rng);
		sleep_us(rng_below(&rng, 3000));
	}
}

/* Small numbers, and another one each time. */
static uint64_t child_region(const struct actor *actor, size_t kind)
{
	const size_t index = actor - actors;

	return CHILD_REGIONS + (index * AREA_KINDS + kind) * CHILDREN_MOST + actor->children % CHILDREN_MOST;
}

static void leave(void *unused)
{
	(void)unused;
}

/* All entries are counted once more for each of them, and given back, on several CPUs at once. */
static void storm(void)
{
	int left[STORM];

	for (size_t i = 0; i < STORM; i++)
		left[i] = child_start(leave, NULL);
	for (size_t i = 0; i < STORM; i++)
		child_join(left[i]);
	count(storms, 1);
}

static void fork_child(struct actor *actor)
{
	child_reap(&actor->child);
	actor->children++;
	for (size_t i = 0; i < AREA_KINDS_OWN; i++)
		oracle_copy(&actor->snapshots[i], &actor->areas[i].oracle, child_region(actor, i));
	actor->child = child_start(child, actor);
	count(forks, 1);
}

/* False: not on this kernel. */
static bool choose_area(struct step *step, struct actor *actor, unsigned int kinds)
{
	uint64_t kind = rng_below(&step->rng, AREA_KINDS);
	const bool swapped = rng_below(&step->rng, 3) == 0;

	while (!(kinds & 1u << kind))
		kind = (kind + 1) % AREA_KINDS;
	step->area = &actor->areas[kind];
	if (kind <= AREA_LARGE) {
		step->area = swapped ? &actor->others[kind] : &actor->areas[kind];
		step->other = swapped ? &actor->areas[kind] : &actor->others[kind];
	}
	return step->area->pages;
}

/* Wherever the pages are now; mostly some of those that were just written. */
static void check_soft_dirty(struct step *step)
{
	const struct area *area = step->other && rng_below(&step->rng, 2) ? step->other : step->area;

	if (area_is(area, ANONYMOUS | PRIVATE))
		soft_dirty_check(area, step->first, step->count);
}

static void do_step(struct actor *actor, struct rng rng)
{
	struct step step = { .rng = rng };
	const bool forks_now = !rng_below(&step.rng, FORK_ONE_IN);
	const struct deed *deed = deed_choose(&step.rng);

	if (forks_now)
		fork_child(actor);
	if (forks_now && rng_below(&step.rng, STORM_ONE_IN) == 0) {
		storm();
		fork_until_killed(&step.rng);
		count(killed_forkers, 1);
	}
	if (!choose_area(&step, actor, deed->kinds))
		return;
	/* What is freed Linux 6.19 may take from a child that shares it (docs/found/): free-forked is its workload. */
	if (deed->may_take_shared)
		child_reap(&actor->child);
	step_choose_pages(&step, pages);
	area_note(step.area, deed->name, step.first, step.count);
	deed->body(&step);
	count(done[deed - deeds], 1);
	operations_add(1);
	check_soft_dirty(&step);
	if (rng_below(&step.rng, NEW_ONE_IN) == 0)
		soft_dirty_check_new();
	/* Most are left where that has put them. */
	if (rng_below(&step.rng, 4) == 0)
		step_verify(&step);
}

/* Lifts write protection where somebody writes. */
static void server(struct worker *worker)
{
	(void)worker;
	while (acting)
		count(lifted, uffd_serve(uffd, NULL));
}

static void act(struct worker *worker)
{
	struct actor *actor = &actors[worker->index];

	/* However many numbers a step takes, the next one has its own. */
	while (!run_over())
		do_step(actor, rng_stream(rng_next(&worker->rng), 0));
	child_reap(&actor->child);
	acting--;
}

static void look(struct worker *worker)
{
	while (!run_over()) {
		const struct actor *actor = &actors[rng_below(&worker->rng, actors_count)];
		const uint64_t kind = rng_below(&worker->rng, AREA_KINDS);
		const struct area *area = rng_below(&worker->rng, 4) == 0 && kind <= AREA_LARGE ? &actor->others[kind] :
												    &actor->areas[kind];

		if (area->pages)
			count(area_look(area, rng_below(&worker->rng, area->pages), false) == LOOK_RACED ? raced_looks : looks, 1);
		sleep_us(rng_below(&worker->rng, 1000));
	}
}

struct setting {
	const char *path, *value;
	bool zswap;
};

static const struct setting settings[] = {
	{ ZSWAP "enabled", "Y", true },
	{ ZSWAP "enabled", "Y", true },
	{ ZSWAP "enabled", "N", true },
	{ ZSWAP "compressor", "lzo", true },
	{ ZSWAP "compressor", "lzo-rle", true },
	{ ZSWAP "shrinker_enabled", "Y", true },
	{ ZSWAP "shrinker_enabled", "N", true },
	{ ZSWAP "max_pool_percent", "0", true },
	{ ZSWAP "max_pool_percent", "20", true },
	{ "/proc/sys/vm/compact_memory", "1", false },
	{ "/sys/block/zram0/compact", "1", false },
	{ "/sys/kernel/mm/ksm/run", "1", false },
	{ LRU_GEN, "y", false },
	{ LRU_GEN, "n", false },
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))
#define HIGH "/sys/fs/cgroup/workload/memory.high"

/* A little less than is in use, and not for long: who allocates meanwhile reclaims, and waits. */
static void squeeze(void)
{
	const uint64_t used = number_in("/sys/fs/cgroup/workload/memory.current");
	char limit[32];

	snprintf(limit, sizeof(limit), "%" PRIu64, used - used / 64);
	run_set(HIGH, limit);
	sleep_us(20000);
	run_set(HIGH, "max");
}

static void switcher(struct worker *worker)
{
	for (unsigned int round = 0; !run_over(); round++) {
		const struct setting *setting = &settings[rng_below(&worker->rng, SETTINGS)];

		sleep_us(rng_between(&worker->rng, 50000, 300000));
		if (rng_below(&worker->rng, 4) == 0 && !access(HIGH, W_OK))
			squeeze();
		if (rng_below(&worker->rng, 4) == 0)
			soft_dirty_clear();
		reclaim(rng_between(&worker->rng, 8, 64) * PAGE);
		if (access(setting->path, W_OK) || (setting->zswap && round < ROUNDS_WITHOUT_ZSWAP))
			continue;
		run_set(setting->path, setting->value);
		count(switches, 1);
	}
	run_set(ZSWAP "max_pool_percent", "20");
	run_set(ZSWAP "enabled", "N");
}

/* Where one is registered, no large folio is swapped in: of the large ones only those that records are moved to. */
static int uffd_of(unsigned int kind)
{
	return kind == AREA_LARGE ? -1 : uffd;
}

static void actor_new(struct actor *actor, uint64_t id)
{
	for (unsigned int kind = 0; kind < AREA_KINDS; kind++) {
		/* One is enough: all of its pages are swapped out and have to come back, though few have records. */
		if (!(1u << kind & HUGE) || (actor == actors && area_huge_is_small()))
			area_new(&actor->areas[kind], kind, id + kind, pages, uffd_of(kind));
		for (size_t page = 0; page < actor->areas[kind].pages; page++)
			area_write(&actor->areas[kind], page, 0);
		if (kind <= AREA_LARGE)
			area_new(&actor->others[kind], kind, id + AREA_KINDS + kind, pages, uffd);
		if (kind < AREA_KINDS_OWN)
			actor->snapshots[kind] = oracle_new(0, pages);
	}
}

static void name_counters(void)
{
	char name[64];

	for (size_t i = 0; i < deeds_count && i < DEEDS_MAX; i++) {
		snprintf(name, sizeof(name), "did.%s", deeds[i].name);
		done[i] = counter(name);
	}
	forks = counter("forks");
	storms = counter("storms");
	killed_forkers = counter("killed_forkers");
	looks = counter("looks_of_others");
	raced_looks = counter("looks_that_raced");
	lifted = counter("protections_lifted");
	switches = counter("switches");
}

static void setup(void)
{
	name_counters();
	if (actors_count > ACTORS_MAX || !actors_count)
		run_fail("--actors");
	uffd = uffd_open(0);
	if (uffd < 0)
		run_missing("userfaultfd with UFFD_FEATURE_MOVE and write protection: %m");
	for (uint64_t i = 0; i < actors_count && uffd >= 0; i++)
		actor_new(&actors[i], 1 + i * 2 * AREA_KINDS);
}

static void load(void)
{
	static struct threads threads;

	if (uffd < 0)
		return;
	acting = actors_count;
	threads_add(&threads, 1, server, NULL);
	threads_add(&threads, actors_count, act, NULL);
	threads_add(&threads, lookers, look, NULL);
	threads_add(&threads, 1, switcher, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	for (uint64_t i = 0; i < actors_count; i++) {
		for (unsigned int kind = 0; kind < AREA_KINDS; kind++) {
			area_verify_all(&actors[i].areas[kind]);
			area_verify_blocks(&actors[i].areas[kind]);
		}
		for (unsigned int kind = 0; kind <= AREA_LARGE; kind++)
			area_verify_all(&actors[i].others[kind]);
	}
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options,
		.steady = 1,
		.prepare = area_allow_large_folios,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
