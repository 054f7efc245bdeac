/* The shared board: findings of all processes, counters, progress. */
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

#include "board.h"
#include "textfile.h"

struct board *board;

void board_new(void)
{
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED || mlock(board, sizeof(*board))) {
		perror("the shared board");
		exit(1);
	}
}

/* A spinlock, for it must work between processes and in a signal handler's last words. */
void board_lock(void)
{
	for (int tries = 0; atomic_exchange(&board->lock, 1) && tries < 1000000; tries++)
		sched_yield();
}

void board_unlock(void)
{
	atomic_store(&board->lock, 0);
}

bool run_over(void)
{
	return atomic_load_explicit(&board->over, memory_order_relaxed);
}

uint64_t run_seed(void)
{
	return board->seed;
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
	atomic_fetch_add_explicit(&board->operations, n, memory_order_relaxed);
}

void verified_add(uint64_t n)
{
	atomic_fetch_add_explicit(&board->verified, n, memory_order_relaxed);
}

counter_t *counter(const char *name)
{
	unsigned int i;

	board_lock();
	for (i = 0; i < board->counters_count; i++)
		if (!strcmp(board->counters[i].name, name))
			break;
	if (i == COUNTERS_MAX)
		abort();
	if (i == board->counters_count) {
		snprintf(board->counters[i].name, NAME_SIZE, "%s", name);
		board->counters_count++;
	}
	board_unlock();
	return &board->counters[i].value;
}

void run_error_named(const char *call, const char *name)
{
	unsigned int i;

	board_lock();
	for (i = 0; i < board->errors_count; i++)
		if (!strcmp(board->errors[i].call, call) && !strcmp(board->errors[i].name, name))
			break;
	/* The last entry takes what finds no room: an error is never lost, at worst misnamed. */
	if (i == ERRORS_MAX)
		i--;
	if (i == board->errors_count) {
		snprintf(board->errors[i].call, NAME_SIZE, "%s", call);
		snprintf(board->errors[i].name, NAME_SIZE, "%s", name);
		board->errors_count++;
	}
	board->errors[i].count++;
	board_unlock();
	board->found = true;
}

void run_error(const char *call, int error)
{
	const char *name = strerrorname_np(error);

	run_error_named(call, name ? name : "unknown");
}

void run_missing(const char *format, ...)
{
	va_list arguments;

	board_lock();
	if (!board->missing[0]) {
		va_start(arguments, format);
		vsnprintf(board->missing, sizeof(board->missing), format, arguments);
		va_end(arguments);
	}
	board_unlock();
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

void run_mismatch(uint64_t page, enum kind kind, const char *expected, const char *seen)
{
	struct board_mismatch *mismatch;

	board_lock();
	board->mismatches_total++;
	if (board->mismatches_count < MISMATCHES_MAX) {
		mismatch = &board->mismatches[board->mismatches_count++];
		mismatch->page = page;
		mismatch->kind = kind;
		snprintf(mismatch->expected, sizeof(mismatch->expected), "%s", expected);
		snprintf(mismatch->seen, sizeof(mismatch->seen), "%s", seen);
	}
	board_unlock();
	board->found = true;
}
