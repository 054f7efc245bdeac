// SPDX-License-Identifier: GPL-2.0-or-later
/* What all processes of a run share: findings, counters, progress. */
#define _GNU_SOURCE

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "shared.h"
#include "textfile.h"

/* Of the 30 s that a swapoff may take where nothing is slow: 5 s. */
#define PATIENCE_SHARE 6

struct shared *shared;

void shared_new(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || mlock(shared, sizeof(*shared))) {
		perror("the shared state");
		exit(1);
	}
}

/* A spinlock, for it must work between processes and in a signal handler's last words. */
void shared_lock(void)
{
	for (int tries = 0; atomic_exchange(&shared->lock, 1) && tries < 1000000; tries++)
		sched_yield();
}

void shared_unlock(void)
{
	atomic_store(&shared->lock, 0);
}

bool run_over(void)
{
	return atomic_load_explicit(&shared->over, memory_order_relaxed);
}

uint64_t run_seed(void)
{
	return shared->seed;
}

uint64_t run_load_ns(void)
{
	return shared->seconds * 1000000000u;
}

uint64_t run_patience_ns(void)
{
	return shared->swapoff_budget * 1000000000u / PATIENCE_SHARE;
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void sleep_us(uint64_t us)
{
	const struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

	nanosleep(&t, NULL);
}

void operations_add(uint64_t n)
{
	atomic_fetch_add_explicit(&shared->operations, n, memory_order_relaxed);
}

void verified_add(uint64_t n)
{
	atomic_fetch_add_explicit(&shared->verified, n, memory_order_relaxed);
}

counter_t *counter(const char *name)
{
	unsigned int i;

	shared_lock();
	for (i = 0; i < shared->counters_count; i++)
		if (!strcmp(shared->counters[i].name, name))
			break;
	if (i == COUNTERS_MAX)
		abort();
	if (i == shared->counters_count) {
		snprintf(shared->counters[i].name, NAME_SIZE, "%s", name);
		shared->counters_count++;
	}
	shared_unlock();
	return &shared->counters[i].value;
}

struct interface_use *interface_given(const char *name, const char *path, const char *why)
{
	struct interface_use *use = NULL;

	shared_lock();
	if (shared->interfaces_count < INTERFACES_MAX) {
		use = &shared->interfaces[shared->interfaces_count++];
		snprintf(use->name, sizeof(use->name), "%s", name);
		snprintf(use->path, sizeof(use->path), "%s", path);
		snprintf(use->why, sizeof(use->why), "%s", why);
	}
	shared_unlock();
	return use;
}

void run_error_named(const char *call, const char *name)
{
	unsigned int i;

	shared_lock();
	for (i = 0; i < shared->errors_count; i++)
		if (!strcmp(shared->errors[i].call, call) && !strcmp(shared->errors[i].name, name))
			break;
	/* The last entry takes what finds no room: an error is never lost, at worst misnamed. */
	if (i == ERRORS_MAX)
		i--;
	if (i == shared->errors_count) {
		snprintf(shared->errors[i].call, NAME_SIZE, "%s", call);
		snprintf(shared->errors[i].name, NAME_SIZE, "%s", name);
		shared->errors_count++;
	}
	shared->errors[i].count++;
	shared_unlock();
	shared->found = true;
}

void run_error(const char *call, int error)
{
	const char *name = strerrorname_np(error);

	run_error_named(call, name ? name : "unknown");
}

void run_missing(const char *format, ...)
{
	va_list arguments;

	shared_lock();
	if (!shared->missing[0]) {
		va_start(arguments, format);
		vsnprintf(shared->missing, sizeof(shared->missing), format, arguments);
		va_end(arguments);
	}
	shared_unlock();
}

static bool is_lacking(const char *name)
{
	for (unsigned int i = 0; i < shared->lacking_count; i++)
		if (!strcmp(shared->lacking[i].name, name))
			return true;
	return false;
}

void counter_lacking(const char *name, const char *format, ...)
{
	struct shared_lacking *lacking;
	va_list arguments;

	shared_lock();
	if (shared->lacking_count < LACKING_MAX && !is_lacking(name)) {
		lacking = &shared->lacking[shared->lacking_count++];
		snprintf(lacking->name, sizeof(lacking->name), "%s", name);
		va_start(arguments, format);
		vsnprintf(lacking->why, sizeof(lacking->why), format, arguments);
		va_end(arguments);
	}
	shared_unlock();
}

void run_set(const char *path, const char *text)
{
	if (!put_text(path, text))
		run_missing("cannot write %s to %s", text, path);
}

_Noreturn void run_fail(const char *call)
{
	run_error(call, errno);
	_exit(1);
}

void run_mismatch(uint64_t page, enum kind kind, const char *promise, const char *expected, const char *seen)
{
	struct shared_mismatch *mismatch;

	shared_lock();
	shared->mismatches_total++;
	if (shared->mismatches_count < MISMATCHES_MAX) {
		mismatch = &shared->mismatches[shared->mismatches_count++];
		mismatch->page = page;
		mismatch->kind = kind;
		snprintf(mismatch->promise, sizeof(mismatch->promise), "%s", promise);
		snprintf(mismatch->expected, sizeof(mismatch->expected), "%s", expected);
		snprintf(mismatch->seen, sizeof(mismatch->seen), "%s", seen);
	}
	shared_unlock();
	shared->found = true;
}
