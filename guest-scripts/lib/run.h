/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frame of every workload: three kinds of processes that share one locked piece of state (shared.h).
 *
 *   supervisor  owns stdout, prints progress and the result, and never touches memory that can be swapped out. It
 *               waits for nothing without a limit, so the result is printed although a swapoff or the load hangs.
 *   load        the workload's own code, in the cgroup "workload": setup(), load(), verify().
 *   swapoff     one loop for each device but the last `steady`: swapon, wait, swapoff, wait; random times from the seed.
 *
 * Order: devices on, the audit (swapoff of every device must return, then swapon and swapoff once more: a lost reference
 * makes either fail), [figures of accounting.h] devices on, setup(), [counters and probe start] load() with the swapoff loops
 * [end], these gone, the audit once more, verify(), [figures once more] result. The load goes on for --seconds; after an error
 * or a mismatch it ends within seconds.
 */
#ifndef PATCHRIG_RUN_H
#define PATCHRIG_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "page.h"
#include "rng.h"

/* --NAME N of one workload. */
struct number_option {
	const char *name;
	uint64_t *value; /* holds the default */
};

/* --NAME TEXT of one workload; may be given several times. */
struct text_option {
	const char *name;
	void (*take)(const char *text);
};

struct workload {
	const struct number_option *options; /* ended by a NULL name; may be NULL */
	const struct text_option *texts; /* ended by a NULL name; may be NULL */
	unsigned int steady; /* so many devices, counted from the last, have no swapoff loop (--flip 0,2 overrides) */
	bool together; /* the loops swap their devices off at the same time, and not mostly one at a time */
	void (*prepare)(void); /* supervisor, devices still off: preconditions (run_missing); may be NULL */
	void (*setup)(void); /* load process, all devices on: map and fill */
	void (*load)(void); /* load process: returns soon after run_over() */
	void (*verify)(void); /* load process, all devices off: every page, before any rewrite */
};

int run_workload(const struct workload *workload, int argc, char **argv);

/* The time is up. Threads ask at least every few milliseconds. */
bool run_over(void);
uint64_t run_seed(void);
/* How long the load goes on, at most. */
uint64_t run_load_ns(void);
/* Within this time a system call returns that waits for nobody: a share of what a swapoff may take, which follows the guest's speed. */
uint64_t run_patience_ns(void);
uint64_t now_ns(void);
void sleep_us(uint64_t us);

/* Progress: one for each thing the workload does. Constant for long = livelock, the host notices. */
void operations_add(uint64_t n);
/* Pages whose contents were compared with what they must be. */
void verified_add(uint64_t n);

/* A named counter of the workload's own ("retried_moves"), 0 at start, reported in `counters`. Safe in any process. */
typedef _Atomic uint64_t counter_t;
counter_t *counter(const char *name);

static inline void count(counter_t *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

/*
 * An interface file that the workload was given by name. The host shows the reader what became of each. `path` is where it was
 * found, `why` a reason not to use it; either may be "".
 */
#define INTERFACES_MAX 24
struct interface_use {
	char name[128];
	char path[200];
	char why[100];
	_Atomic uint64_t reads, writes, refused; /* refused: writes that it did not take */
};
/* NULL where there are too many. Safe in any process. */
struct interface_use *interface_given(const char *name, const char *path, const char *why);

/*
 * A call failed for none of the reasons that its man page gives for this errno. promises.c has the man page of each call.
 */
void run_error(const char *call, int error);
void run_error_named(const char *call, const char *name);

/*
 * This kernel has no such counter, or does not tell what it would count, and why. That is another thing than a counter that
 * did not grow: the YAML file may name one that proves the same instead.
 */
void counter_lacking(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What the guest can't provide, so that the proof is impossible; the first one is reported. */
void run_missing(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Writes a setting of the kernel's; one that can't be written is missing. */
void run_set(const char *path, const char *text);

/* Our own trouble (mmap, pthread_create): an error in the result, and the end of this process. */
_Noreturn void run_fail(const char *call);

/*
 * Threads of one role. Stacks are locked. worker.rng is a stream of its own for each role and index.
 */
struct worker {
	unsigned int index;
	unsigned int of;
	struct rng rng;
	void *argument;
};

#define THREADS_MAX 32

struct threads {
	unsigned int count;
	unsigned long ids[THREADS_MAX];
	struct worker workers[THREADS_MAX];
};

/* Adds threads that run body(worker); body returns after run_over(). */
void threads_add(struct threads *threads, unsigned int number, void (*body)(struct worker *), void *argument);
void threads_join(struct threads *threads);
/* The calling thread has its CPU for itself while it runs: only for what sleeps most of the time, and runs for a tenth of a second at most. */
void thread_is_urgent(void);

/* fork(); the child runs body(argument) and exits. child_join() notes a child that did not end by itself. */
int child_start(void (*body)(void *), void *argument);
void child_join(int child);
/* The same, and then there is none; nothing where there is none. */
void child_reap(int *child);
/* No child is started in between: it would have each file that is open then, and keep it open. */
void forks_hold(void);
void forks_go_on(void);

/* Children of one role: body(&number) in each, with numbers from 0. */
#define CHILDREN_MAX 16

struct children {
	unsigned int count;
	unsigned int numbers[CHILDREN_MAX];
	int ids[CHILDREN_MAX];
};

void children_start(struct children *children, unsigned int number, void (*body)(void *));
void children_join(struct children *children);

/*
 * Threads or processes that meet: all return at about the same time. When the run is over the answer is false, and the
 * same one for all who meet in a round: if it was true for one, none of them has left. The memory must be shared
 * (locked_memory) when processes meet.
 */
struct meeting {
	unsigned int parties;
	_Atomic uint32_t arrived;
	_Atomic uint32_t round;
};

bool meet(struct meeting *meeting);

#endif
