// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads, children, meetings. */
#define _GNU_SOURCE

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared.h"

/* Workloads have a page on the stack now and then. */
#define STACK_SIZE ((128u << 10) + PAGE)

struct start {
	void (*body)(struct worker *);
	struct worker *worker;
};

static void *thread_main(void *argument)
{
	const struct start start = *(struct start *)argument;

	free(argument);
	start.body(start.worker);
	return NULL;
}

/* A stack that can be swapped out would make every thread a user of do_swap_page() at unknown moments. */
static void *locked_stack(void)
{
	void *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED || mlock(stack, STACK_SIZE))
		run_fail("mmap of a stack");
	return stack;
}

/* Numbers count from 0, over all processes of the load. --without 3,5 leaves two of them out. */
static bool left_out(void)
{
	const unsigned int number = atomic_fetch_add(&shared->threads, 1);

	return number < 64 && shared->without >> number & 1;
}

void threads_add(struct threads *threads, unsigned int number, void (*body)(struct worker *), void *argument)
{
	static uint64_t streams;
	pthread_attr_t attr;

	for (unsigned int i = 0; i < number; i++) {
		if (left_out()) {
			/* The others do what they did: they have the random numbers that they had. */
			streams++;
			continue;
		}
		const unsigned int slot = threads->count++;
		struct start *start = malloc(sizeof(*start));
		struct worker *worker = &threads->workers[slot];

		if (slot >= THREADS_MAX || !start)
			abort();
		*worker = (struct worker){ .index = i, .of = number, .argument = argument };
		worker->rng = rng_stream(shared->seed, 1000 + streams++);
		*start = (struct start){ body, worker };
		pthread_attr_init(&attr);
		pthread_attr_setstack(&attr, locked_stack(), STACK_SIZE);
		errno = pthread_create(&threads->ids[slot], &attr, thread_main, start);
		if (errno)
			run_fail("pthread_create");
		pthread_attr_destroy(&attr);
	}
}

void threads_join(struct threads *threads)
{
	for (unsigned int i = 0; i < threads->count; i++)
		pthread_join(threads->ids[i], NULL);
	threads->count = 0;
}

void thread_is_urgent(void)
{
	const struct sched_param lowest = { .sched_priority = 1 };

	/* Of this thread, as sched(7) says of 0. */
	if (sched_setscheduler(0, SCHED_FIFO, &lowest))
		run_fail("sched_setscheduler");
}

/* Taken for reading by each who forks. */
static pthread_rwlock_t forking = PTHREAD_RWLOCK_INITIALIZER;

void forks_hold(void)
{
	pthread_rwlock_wrlock(&forking);
}

void forks_go_on(void)
{
	pthread_rwlock_unlock(&forking);
}

int child_start(void (*body)(void *), void *argument)
{
	pid_t child;

	pthread_rwlock_rdlock(&forking);
	child = fork();
	pthread_rwlock_unlock(&forking);
	if (child < 0)
		run_fail("fork");
	if (child)
		return child;
	body(argument);
	_exit(0);
}

void child_join(int child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return;
	if (WIFSIGNALED(status))
		run_error_named("child", sigabbrev_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		run_error_named("child", "ended early");
}

void child_reap(int *child)
{
	if (*child)
		child_join(*child);
	*child = 0;
}

void children_start(struct children *children, unsigned int number, void (*body)(void *))
{
	if (number > CHILDREN_MAX)
		run_fail("too many children");
	for (children->count = 0; children->count < number; children->count++) {
		unsigned int *const own = &children->numbers[children->count];

		*own = children->count;
		children->ids[children->count] = child_start(body, own);
	}
}

void children_join(struct children *children)
{
	for (unsigned int i = 0; i < children->count; i++)
		child_join(children->ids[i]);
	children->count = 0;
}

/* A round number is even. With this bit the meeting of that round was called off, and there is no other. */
#define CALLED_OFF 1u

/* The first who decides does so for all: nobody does their part of a round in which another one has left. */
static void end_round(struct meeting *meeting, uint32_t round)
{
	uint32_t expected = round;

	atomic_compare_exchange_strong(&meeting->round, &expected, run_over() ? round | CALLED_OFF : round + 2);
	syscall(SYS_futex, &meeting->round, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* Spins for a moment, so that those who meet leave within microseconds; then sleeps, for CPUs are few. */
static void await_others(struct meeting *meeting, uint32_t round)
{
	const struct timespec nap = { .tv_nsec = 2000000 };

	for (unsigned int i = 0; atomic_load(&meeting->round) == round; i++) {
		if (run_over())
			end_round(meeting, round);
		else if (i >= 200)
			syscall(SYS_futex, &meeting->round, FUTEX_WAIT, round, &nap, NULL, 0);
	}
}

bool meet(struct meeting *meeting)
{
	const uint32_t round = atomic_load(&meeting->round);

	if (round & CALLED_OFF)
		return false;
	if (atomic_fetch_add(&meeting->arrived, 1) + 1 == meeting->parties) {
		atomic_store(&meeting->arrived, 0);
		end_round(meeting, round);
	} else {
		await_others(meeting, round);
	}
	return atomic_load(&meeting->round) != (round | CALLED_OFF);
}
