// SPDX-License-Identifier: GPL-2.0-or-later
/* Devices on and off: the antagonist of every workload, and the audit at the end. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/swap.h>
#include <sys/time.h>
#include <unistd.h>

#include "shared.h"
#include "textfile.h"

/* How long a device is on and off, in microseconds. */
#define ON_LEAST 20000
#define ON_MOST 300000
#define FILL_WAIT 400000
#define OFF_LEAST 30000
#define OFF_MOST 100000
/* Now and then off for longer than a stalled user of a stale entry sleeps: a swapon in between would hide it. */
#define OFF_LONG_LEAST 150000
#define OFF_LONG_MOST 300000
#define OFF_LONG_ONE_IN 8
/*
 * Of several devices mostly one is off at a time: what is paged out goes to another one that will be swapped off, and who is
 * held until a swapoff is over finds that device off, and not on again. Now and then they go at once.
 */
#define TOGETHER_ONE_IN 4
/* Where they are to go at once, the first one waits so long at most for another; in microseconds. */
#define COMPANY_MOST 400000
#define NICE (-15)
/* Now and then a signal ends a swapoff half-way: the device is put back, with what is still on it, and taken off again. */
#define INTERRUPTED_ONE_IN 3
#define INTERRUPTED_LEAST 100
#define INTERRUPTED_MOST 5000
/* For this part of its budget a swapoff may fail with ENOMEM, and so often; and how long the next try waits, in microseconds. */
#define ENOMEM_SHARE 15
#define ENOMEM_TIMES 20
#define ENOMEM_PAUSE 5000

unsigned int device_count(void)
{
	return shared->devices_count;
}

const char *device_path(unsigned int device)
{
	return shared->devices[device].path;
}

const char *device_kind(unsigned int device)
{
	return shared->devices[device].kind;
}

int device_priority(unsigned int device)
{
	return shared->devices[device].priority;
}

bool device_is_on(unsigned int device)
{
	return shared->devices[device].on;
}

bool device_is_leaving(unsigned int device)
{
	return shared->devices[device].leaving_since;
}

uint64_t device_used_kib(unsigned int device)
{
	const char *path = shared->devices[device].path;
	char line[256];
	unsigned long long used = 0;
	FILE *file = fopen("/proc/swaps", "re");

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, path, strlen(path)) && strchr(" \t", line[strlen(path)]))
			sscanf(line + strlen(path), "%*s %*s %llu", &used);
	if (file)
		fclose(file);
	return used;
}

void device_has_come(unsigned int device)
{
	shared->devices[device].on = true;
}

bool device_on(unsigned int device, int priority)
{
	struct shared_device *d = &shared->devices[device];
	const int discard = d->discards ? SWAP_FLAG_DISCARD : 0;

	if (swapon(d->path, SWAP_FLAG_PREFER | discard | (priority & SWAP_FLAG_PRIO_MASK))) {
		run_error("swapon", errno);
		return false;
	}
	d->on = true;
	return true;
}

static void note_duration(uint64_t ns)
{
	uint64_t longest = shared->longest_ns;

	while (ns > longest && !atomic_compare_exchange_weak(&shared->longest_ns, &longest, ns))
		;
}

/* When a signal is to end the next swapoff of this process, in microseconds from its start; 0: not. */
static uint64_t interrupted_after;

static void interrupted(int signal)
{
	(void)signal;
}

/* swapoff() whose wait may be ended by a timer: 0 or the errno. */
static int timed_swapoff(const char *path)
{
	struct itimerval timer = { .it_value.tv_usec = interrupted_after };
	int status;

	setitimer(ITIMER_REAL, &timer, NULL);
	status = swapoff(path) ? errno : 0;
	timer = (struct itimerval){ 0 };
	setitimer(ITIMER_REAL, &timer, NULL);
	interrupted_after = 0;
	if (status != EINTR)
		return status;
	count(counter("swapoffs_interrupted"), 1);
	return swapoff(path) ? errno : 0;
}

/*
 * unuse_pte_range() takes it for a lack of memory when it finds no folio and swap_map is not 0. In Linux 6.19 that is
 * also so while the last user of an entry has gone and somebody (zswap writeback, or a fault that reads past the swap
 * cache) still has SWAP_HAS_CACHE on it: for a moment, but with delay injection for as long as that task sleeps. A real
 * lack of memory stays. The time counts from the first refusal: a swapoff may have taken long before it. And it counts for
 * nothing alone: where each try takes seconds, the second refusal may be another accident.
 */
static int leave(struct shared_device *d)
{
	uint64_t latest = 0;
	int status;

	for (unsigned int refusals = 1;; refusals++) {
		status = interrupted_after ? timed_swapoff(d->path) : swapoff(d->path) ? errno : 0;
		if (status != ENOMEM || (refusals > ENOMEM_TIMES && now_ns() > latest))
			return status;
		if (!latest)
			latest = now_ns() + shared->swapoff_budget * 1000000000ull / ENOMEM_SHARE;
		count(counter("swapoff_enomem"), 1);
		sleep_us(ENOMEM_PAUSE);
		/* Each try has a budget of its own, or many slow ones would look like one that hangs. */
		d->leaving_since = now_ns();
	}
}

/* In a kernel with delay injection: open while a swapoff is under way, until whose end some of the others are held. */
#define WINDOW "/sys/kernel/debug/patchrig/race"
/* Called by swapoff when no new reference to its device can be had any more. */
#define CUTOFF "/sys/kernel/debug/patchrig/moment"
#define FIRST_CALL_AFTER_CUTOFF "synchronize_rcu"
#define ARRIVAL 30000
/* Who begins something with a swapoff (wait_for_swapoff()) is on its way when the window opens. */
#define NOTICE 15000

/* Set before there are other processes. */
static bool delays_injected;

void delay_injection_prepare(void)
{
	/* Other kernels have no such file. */
	if (access(CUTOFF, F_OK))
		return;
	delays_injected = true;
	if (!put_text(CUTOFF, FIRST_CALL_AFTER_CUTOFF))
		run_error("telling the moment of a race", errno);
}

bool kernel_injects_delays(void)
{
	return delays_injected;
}

struct leave device_leaves(unsigned int device)
{
	struct shared_device *d = &shared->devices[device];
	struct leave leave = { .since = now_ns() };

	d->leaving_task = gettid();
	d->leaving_since = leave.since;
	if (delays_injected)
		sleep_us(NOTICE);
	leave.window = open(WINDOW, O_RDONLY | O_CLOEXEC);
	/* Before it: who is to be held until its end has read an entry of the device, and swapoff is quick. */
	if (leave.window >= 0)
		sleep_us(ARRIVAL);
	return leave;
}

void device_has_left(unsigned int device, struct leave leave, bool off)
{
	struct shared_device *d = &shared->devices[device];

	if (leave.window >= 0)
		close(leave.window);
	d->leaving_since = 0;
	if (!off)
		return;
	d->on = false;
	note_duration(now_ns() - leave.since);
	/* Only those that had somebody to race with count. */
	if (shared->phase == PHASE_RUNNING && !shared->over)
		atomic_fetch_add(&shared->swapoffs, 1);
}

bool device_off(unsigned int device)
{
	const struct leave leaving = device_leaves(device);
	const int status = leave(&shared->devices[device]);

	device_has_left(device, leaving, !status);
	if (status)
		run_error("swapoff", status);
	return !status;
}

static bool one_is_leaving(void)
{
	for (unsigned int i = 0; i < shared->devices_count; i++)
		if (shared->devices[i].leaving_since)
			return true;
	return false;
}

void wait_for_swapoff(uint64_t us)
{
	const uint64_t end = now_ns() + us * 1000;

	while (!one_is_leaving() && !run_over() && now_ns() < end)
		sleep_us(1000);
}

/* Sleeps unless the run ends first. */
static void rest(uint64_t us)
{
	const uint64_t end = now_ns() + us * 1000;

	while (!run_over() && now_ns() < end)
		sleep_us(us < 5000 ? us : 5000);
}

static void wait_until_used(unsigned int device)
{
	const uint64_t end = now_ns() + FILL_WAIT * 1000ull;

	while (!run_over() && now_ns() < end && !device_used_kib(device))
		sleep_us(5000);
}

static void wait_for_turn(unsigned int device)
{
	int nobody = 0;

	while (!atomic_compare_exchange_strong(&shared->alone, &nobody, (int)device + 1) && !run_over()) {
		nobody = 0;
		sleep_us(2000);
	}
}

static void end_turn(unsigned int device)
{
	int own = (int)device + 1;

	atomic_compare_exchange_strong(&shared->alone, &own, 0);
}

static void one_round(unsigned int device, struct rng *rng)
{
	if (!shared->devices[device].on && !device_on(device, shared->devices[device].priority))
		return rest(ON_LEAST);
	rest(rng_between(rng, ON_LEAST, ON_MOST));
	wait_until_used(device);
	if (shared->together)
		wait_for_swapoff(rng_below(rng, COMPANY_MOST));
	else if (rng_below(rng, TOGETHER_ONE_IN))
		wait_for_turn(device);
	if (run_over())
		return;
	if (!rng_below(rng, INTERRUPTED_ONE_IN))
		interrupted_after = rng_between(rng, INTERRUPTED_LEAST, INTERRUPTED_MOST);
	device_off(device);
	if (rng_below(rng, OFF_LONG_ONE_IN))
		rest(rng_between(rng, OFF_LEAST, OFF_MOST));
	else
		rest(rng_between(rng, OFF_LONG_LEAST, OFF_LONG_MOST));
	end_turn(device);
}

void run_ahead(void)
{
	/* For Linux, that is this thread alone. */
	if (setpriority(PRIO_PROCESS, 0, NICE))
		run_error("setpriority", errno);
}

/* A process that swaps off. Locks are not inherited, and it must not wait for a page of its own that is on the device. */
pid_t fork_swapoff_process(void)
{
	const pid_t child = fork();

	if (child)
		return child;
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		run_error("mlockall", errno);
	run_ahead();
	return 0;
}

int swapoff_loop_start(unsigned int device)
{
	/* No SA_RESTART: the signal has nothing to do but to end a swapoff. */
	const struct sigaction action = { .sa_handler = interrupted };
	const pid_t child = fork_swapoff_process();
	struct rng rng;

	if (child)
		return child;
	sigaction(SIGALRM, &action, NULL);
	rng = rng_stream(shared->seed, device);
	while (!run_over())
		one_round(device, &rng);
	_exit(0);
}

/*
 * Every reference that was lost is found here at the latest: the first swapoff after it does not return, or the
 * device can't be had again.
 */
static void audit(void)
{
	for (unsigned int i = 0; i < shared->devices_count; i++)
		if (shared->devices[i].on)
			device_off(i);
	for (unsigned int i = 0; i < shared->devices_count; i++)
		if (!shared->devices[i].on && device_on(i, shared->devices[i].priority))
			device_off(i);
}

int audit_start(void)
{
	const pid_t child = fork_swapoff_process();

	if (child)
		return child;
	audit();
	_exit(0);
}
