// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lru-gen-switch: the OOM killer kills although there is room to swap, because the multi-gen LRU is being switched on or off.
 *
 * Nothing is switched off here. A process uses twice as much memory as its cgroup may have, so that half of it is always swapped out; the
 * device has room for all of it. Meanwhile /sys/kernel/mm/lru_gen/enabled is written again and again (--switching 0: not at all).
 */
#define _GNU_SOURCE

#include <errno.h>
#include <unistd.h>

#include "area.h"
#include "cgroup.h"
#include "paging.h"
#include "run.h"
#include "textfile.h"

#define SWITCH "/sys/kernel/mm/lru_gen/enabled"
#define REMOVE_MS 60000
#define PASSES 4
#define PAUSE_MOST_US 3000

static uint64_t pages = 1024, switching = 1;

static const struct number_option options[] = {
	{ "pages", &pages },
	{ "switching", &switching },
	{ 0 },
};

static struct cgroup home;
static counter_t *switches, *lives;

static void use(void *unused)
{
	struct area area;

	(void)unused;
	if (!cgroup_enter(&home, 0))
		run_error("moving to another cgroup", errno);
	area_new(&area, AREA_SMALL, 1, 2 * pages, -1);
	for (unsigned int pass = 0; pass < PASSES && !run_over(); pass++)
		for (size_t page = 0; page < area.pages; page++) {
			if (pass)
				area_verify(&area, page, false);
			area_write(&area, page, 0);
		}
}

static void live(struct worker *worker)
{
	(void)worker;
	while (!run_over()) {
		child_join(child_start(use, NULL));
		count(lives, 1);
	}
}

static void switcher(struct worker *worker)
{
	for (unsigned int round = 0; !run_over(); round++) {
		count(switches, put_text(SWITCH, round % 2 ? "7" : "0"));
		sleep_us(rng_below(&worker->rng, PAUSE_MOST_US));
	}
	put_text(SWITCH, "7");
}

static void prepare(void)
{
	if (access(SWITCH, W_OK))
		run_missing("the multi-gen LRU");
	if (cgroups_are_v1())
		run_missing("cgroup v2");
}

static void setup(void)
{
	switches = counter("switches");
	lives = counter("lives");
	home = cgroup_in(CGROUP_ROOT, "lru-gen-switch");
	if (!cgroup_make(&home) || !cgroup_put_bytes(&home, "memory.max", pages * PAGE))
		run_fail("a cgroup with a limit");
}

static void load(void)
{
	static struct threads threads;

	threads_add(&threads, 1, live, NULL);
	threads_add(&threads, switching, switcher, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	if (!cgroup_remove(&home, REMOVE_MS))
		run_error("rmdir of an empty cgroup", errno);
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
