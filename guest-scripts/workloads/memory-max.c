// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memory-max: a limit is raised while another task still enforces a lower one.
 *
 * Nothing is switched off here. A cgroup without processes has pages that can't be reclaimed. One thread writes "0" to memory.max: the
 * kernel reclaims, and calls the OOM killer where that is in vain. Another thread raises the limit meanwhile. Then the first write has
 * nothing more to enforce, and returns. A signal ends one that does not, so that the guest stays whole.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cgroup.h"
#include "paging.h"
#include "record.h"
#include "run.h"

#define LIMIT "memory.max"
#define REMOVE_MS 60000
/* From within the first reclaim to now and then after the call of the OOM killer, who has much to say each time. */
#define DELAY_US 300

static uint64_t pages = 64;

static const struct number_option options[] = {
	{ "pages", &pages },
	{ 0 },
};

static struct cgroup home;
static struct region region;
static int file;
static struct meeting begin = { .parties = 2 };
static pthread_t lowering;
static _Atomic bool returned;
static counter_t *rounds, *raised_in_reclaim, *oom_after_raise;

/* Charged to the cgroup, they stay when this process has gone: they belong to a file. */
static void charge(void *unused)
{
	(void)unused;
	if (!cgroup_enter(&home, 0))
		run_error("moving to another cgroup", errno);
	region_fill(&region);
}

static void prepare(void)
{
	if (cgroups_are_v1())
		run_missing("memory.max is a file of cgroup v2");
}

static void setup(void)
{
	rounds = counter("rounds");
	raised_in_reclaim = counter("raised_in_reclaim");
	oom_after_raise = counter("oom_after_raise");
	home = cgroup_in(CGROUP_ROOT, "memory-max");
	if (!cgroup_make(&home))
		run_fail("mkdir of a cgroup");
	if (!cgroup_put(&home, "memory.swap.max", "0"))
		run_fail("memory.swap.max");
	file = memory_file("memory-max", pages * PAGE);
	region = region_over(map_file(file, pages * PAGE), 1, pages);
	child_join(child_start(charge, NULL));
}

static void lower(struct worker *worker)
{
	(void)worker;
	lowering = pthread_self();
	while (meet(&begin)) {
		if (!cgroup_put(&home, LIMIT, "0"))
			run_error("write to " LIMIT, errno);
		returned = true;
	}
}

static void await_zero(void)
{
	uint64_t limit;

	while (!returned && !run_over() && cgroup_get(&home, LIMIT, &limit) && limit)
		;
}

static void raise_limit(struct rng *rng)
{
	const uint64_t bytes = rng_between(rng, 2, 8) * pages * PAGE;

	if (!(rng_below(rng, 2) ? cgroup_put(&home, LIMIT, "max") : cgroup_put_bytes(&home, LIMIT, bytes)))
		run_error("write to " LIMIT, errno);
}

static uint64_t oom_events(void)
{
	return cgroup_field(&home, "memory.events", "oom");
}

/* Also when the time is up: what has begun is judged. */
static bool returned_in_time(void)
{
	const uint64_t end = now_ns() + run_patience_ns();

	while (!returned && now_ns() < end)
		sleep_us(200);
	return returned;
}

/* False when the first write went on and on. */
static bool round_of(struct rng *rng, uint64_t oom_before)
{
	bool writing;

	await_zero();
	sleep_us(rng_below(rng, DELAY_US));
	raise_limit(rng);
	writing = !returned;
	count(raised_in_reclaim, writing && oom_events() == oom_before);
	if (!returned_in_time()) {
		count(oom_after_raise, oom_events() - oom_before);
		run_error_named("write to " LIMIT, "goes on although the limit was raised");
		pthread_kill(lowering, SIGUSR1);
		return false;
	}
	returned = false;
	count(rounds, 1);
	operations_add(1);
	return true;
}

static void raise_meanwhile(struct worker *worker)
{
	uint64_t oom_before;

	do
		oom_before = oom_events();
	while (meet(&begin) && round_of(&worker->rng, oom_before));
}

static void interrupted(int signal)
{
	(void)signal;
}

static void load(void)
{
	static struct threads threads;
	const struct sigaction action = { .sa_handler = interrupted };

	sigaction(SIGUSR1, &action, NULL);
	threads_add(&threads, 1, lower, NULL);
	threads_add(&threads, 1, raise_meanwhile, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	region_verify_all(&region);
	munmap(region.base, pages * PAGE);
	close(file);
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
