// SPDX-License-Identifier: GPL-2.0-or-later
/* What the processes of a run share: no finding is lost, whoever makes it, and however many there are. */
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "fake_kernel.h"
#include "shared.h"

#define PROCESSES 4
#define TIMES 2000

static void start_anew(void)
{
	memset(shared, 0, sizeof(*shared));
}

static void a_counter_is_one_for_each_name(void)
{
	start_anew();
	count(counter("a"), 2);
	count(counter("b"), 3);
	count(counter("a"), 5);
	CHECK_NUMBER(shared->counters_count, 2);
	CHECK_NUMBER(*counter("a"), 7);
	CHECK_NUMBER(*counter("b"), 3);
}

static void more_counters_than_there_is_room_for_are_a_crash(void)
{
	char name[NAME_SIZE];
	pid_t child;
	int status;

	start_anew();
	for (unsigned int i = 0; i < COUNTERS_MAX; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		count(counter(name), i);
	}
	CHECK_NUMBER(*counter("c63"), 63);
	child = fork();
	if (!child) {
		counter("one more");
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void a_system_call_has_a_sixth_of_the_time_of_a_swapoff(void)
{
	start_anew();
	shared->swapoff_budget = 30;
	CHECK_NUMBER(run_patience_ns(), 5000000000u);
}

static void equal_errors_are_counted(void)
{
	start_anew();
	run_error("pread", EIO);
	run_error("pread", EIO);
	run_error("pread", ENOMEM);
	run_error("swapoff", EIO);
	run_error("swapoff", 99999);
	CHECK_NUMBER(shared->errors_count, 4);
	CHECK_TEXT(shared->errors[0].name, "EIO");
	CHECK_NUMBER(shared->errors[0].count, 2);
	CHECK_NUMBER(shared->errors[1].count, 1);
	CHECK_TEXT(shared->errors[2].call, "swapoff");
	CHECK_TEXT(shared->errors[3].name, "unknown");
	CHECK(shared->found);
}

static void an_error_that_finds_no_room_is_counted_still(void)
{
	uint64_t sum = 0;
	char call[NAME_SIZE];

	start_anew();
	for (unsigned int i = 0; i < 3 * ERRORS_MAX; i++) {
		snprintf(call, sizeof(call), "call %u", i);
		run_error(call, EIO);
	}
	CHECK_NUMBER(shared->errors_count, ERRORS_MAX);
	for (unsigned int i = 0; i < ERRORS_MAX; i++)
		sum += shared->errors[i].count;
	CHECK_NUMBER(sum, 3 * ERRORS_MAX);
}

static void mismatches_are_counted_and_the_first_are_kept(void)
{
	start_anew();
	for (uint64_t page = 0; page < 3 * MISMATCHES_MAX; page++)
		run_mismatch(page, KIND_TORN, "p", "e", "s");
	CHECK_NUMBER(shared->mismatches_total, 3 * MISMATCHES_MAX);
	CHECK_NUMBER(shared->mismatches_count, MISMATCHES_MAX);
	CHECK_NUMBER(shared->mismatches[MISMATCHES_MAX - 1].page, MISMATCHES_MAX - 1);
	CHECK(shared->found);
}

static void the_first_that_is_missing_is_said(void)
{
	start_anew();
	run_missing("no %s", "zswap");
	run_missing("nor this");
	CHECK_TEXT(shared->missing, "no zswap");
	CHECK(!shared->found);
	start_anew();
	kernel_file("/sys/kernel/mm/setting", "");
	run_set("/sys/kernel/mm/setting", "1");
	CHECK_TEXT(shared->missing, "");
	CHECK_TEXT(kernel_text("/sys/kernel/mm/setting"), "1");
	run_set("/sys/kernel/mm/none", "1");
	CHECK_TEXT(shared->missing, "cannot write 1 to /sys/kernel/mm/none");
}

static void a_counter_is_lacking_once_for_its_first_reason(void)
{
	char name[NAME_SIZE];

	start_anew();
	counter_lacking("swpin", "no %s", "stats");
	counter_lacking("swpin", "nor this");
	CHECK_NUMBER(shared->lacking_count, 1);
	CHECK_TEXT(shared->lacking[0].name, "swpin");
	CHECK_TEXT(shared->lacking[0].why, "no stats");
	CHECK(!shared->found);
	for (unsigned int i = 0; i < 2 * LACKING_MAX; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		counter_lacking(name, "none");
	}
	CHECK_NUMBER(shared->lacking_count, LACKING_MAX);
}

static void find_much(void)
{
	for (int i = 0; i < TIMES; i++) {
		operations_add(1);
		verified_add(2);
		count(counter("many"), 1);
		run_error("call", EIO);
		run_mismatch(1, KIND_WRONG, "p", "e", "s");
	}
}

static void processes_at_once_lose_nothing(void)
{
	pid_t children[PROCESSES];
	int status;

	start_anew();
	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		if (!children[i]) {
			find_much();
			_exit(0);
		}
	}
	for (int i = 0; i < PROCESSES; i++)
		CHECK(waitpid(children[i], &status, 0) == children[i] && !status);
	CHECK_NUMBER(shared->operations, PROCESSES * TIMES);
	CHECK_NUMBER(shared->verified, 2 * PROCESSES * TIMES);
	CHECK_NUMBER(*counter("many"), PROCESSES * TIMES);
	CHECK_NUMBER(shared->counters_count, 1);
	CHECK_NUMBER(shared->errors[0].count, PROCESSES * TIMES);
	CHECK_NUMBER(shared->mismatches_total, PROCESSES * TIMES);
}

/* Who died with the lock must not keep the result from being printed. */
static void a_lock_that_is_never_given_back_ends(void)
{
	start_anew();
	shared_lock();
	run_error("call", EIO);
	CHECK_NUMBER(shared->errors_count, 1);
}

static void trouble_of_our_own_is_an_error_and_the_end(void)
{
	pid_t child;
	int status;

	start_anew();
	child = fork();
	if (!child) {
		errno = ENOMEM;
		run_fail("mmap");
	}
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 1);
	CHECK_TEXT(shared->errors[0].call, "mmap");
	CHECK_TEXT(shared->errors[0].name, "ENOMEM");
}

int main(void)
{
	shared_new();
	RUN(a_counter_is_one_for_each_name);
	RUN(more_counters_than_there_is_room_for_are_a_crash);
	RUN(a_system_call_has_a_sixth_of_the_time_of_a_swapoff);
	RUN(equal_errors_are_counted);
	RUN(an_error_that_finds_no_room_is_counted_still);
	RUN(mismatches_are_counted_and_the_first_are_kept);
	RUN(the_first_that_is_missing_is_said);
	RUN(a_counter_is_lacking_once_for_its_first_reason);
	RUN(processes_at_once_lose_nothing);
	RUN(a_lock_that_is_never_given_back_ends);
	RUN(trouble_of_our_own_is_an_error_and_the_end);
	return check_result();
}
