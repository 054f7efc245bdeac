// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads, children, meetings. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "paging.h"
#include "shared.h"

#define ROUNDS 200

static struct meeting meeting;
static _Atomic unsigned int in_round;
static uint64_t firsts[THREADS_MAX];

static void start_anew(void)
{
	memset(shared, 0, sizeof(*shared));
	meeting = (struct meeting){ .parties = 4 };
	in_round = 0;
}

static void draw(struct worker *worker)
{
	uint64_t *place = worker->argument;

	place[worker->index] = rng_next(&worker->rng);
	operations_add(worker->of);
}

static void each_thread_has_a_number_and_a_stream_of_its_own(void)
{
	struct threads threads = { 0 };

	start_anew();
	threads_add(&threads, 2, draw, &firsts[0]);
	threads_add(&threads, 3, draw, &firsts[2]);
	CHECK_NUMBER(threads.count, 5);
	threads_join(&threads);
	CHECK_NUMBER(threads.count, 0);
	CHECK_NUMBER(shared->operations, 2 * 2 + 3 * 3);
	for (int i = 0; i < 5; i++)
		for (int j = 0; j < i; j++)
			CHECK(firsts[i] && firsts[i] != firsts[j]);
}

static void a_thread_that_is_left_out_leaves_the_others_as_they_are(void)
{
	uint64_t of[5] = { 0 };
	struct threads threads = { 0 };

	start_anew();
	shared->without = 1 << 1 | 1 << 2;
	threads_add(&threads, 2, draw, &of[0]);
	threads_add(&threads, 3, draw, &of[2]);
	CHECK_NUMBER(threads.count, 3);
	threads_join(&threads);
	CHECK_NUMBER(shared->threads, 5);
	CHECK_NUMBER(of[1], 0);
	CHECK_NUMBER(of[2], 0);
	/* Numbers, and how many they are, too. */
	CHECK_NUMBER(shared->operations, 2 + 3 * 2);
	CHECK(of[0] && of[3] && of[4]);
}

static void meet_often(struct worker *worker)
{
	(void)worker;
	for (unsigned int round = 1; round <= ROUNDS; round++) {
		in_round++;
		if (!meet(&meeting))
			return;
		/* Nobody leaves before all have come. */
		if (in_round < 4 * round)
			verified_add(1);
		if (!meet(&meeting))
			return;
	}
	operations_add(1);
}

static void nobody_leaves_a_meeting_before_all_have_come(void)
{
	struct threads threads = { 0 };

	start_anew();
	threads_add(&threads, 4, meet_often, NULL);
	threads_join(&threads);
	CHECK_NUMBER(shared->operations, 4);
	CHECK_NUMBER(shared->verified, 0);
	CHECK_NUMBER(in_round, 4 * ROUNDS);
}

static void wait_in_vain(struct worker *worker)
{
	(void)worker;
	if (!meet(&meeting))
		operations_add(1);
}

static void a_meeting_ends_with_the_run(void)
{
	struct threads threads = { 0 };

	start_anew();
	threads_add(&threads, 3, wait_in_vain, NULL);
	sleep_us(20000);
	CHECK_NUMBER(shared->operations, 0);
	shared->over = true;
	threads_join(&threads);
	CHECK_NUMBER(shared->operations, 3);
}

/* Whoever leaves first ends the run at once: the others have met, too. */
static void meet_and_end_the_run(struct worker *worker)
{
	(void)worker;
	if (!meet(&meeting))
		return;
	shared->over = true;
	operations_add(1);
}

static void a_meeting_to_which_all_came_is_held_for_all(void)
{
	struct threads threads = { 0 };

	for (int i = 0; i < ROUNDS; i++) {
		start_anew();
		threads_add(&threads, 4, meet_and_end_the_run, NULL);
		threads_join(&threads);
		CHECK_NUMBER(shared->operations, 4);
	}
}

static void meet_until_the_end(struct worker *worker)
{
	uint64_t *met = worker->argument;

	while (meet(&meeting))
		met[worker->index]++;
}

static void all_have_met_equally_often_when_the_run_ends(void)
{
	struct threads threads = { 0 };

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t met[4] = { 0 };

		start_anew();
		threads_add(&threads, 4, meet_until_the_end, met);
		sleep_us(i * 5);
		shared->over = true;
		threads_join(&threads);
		for (int j = 1; j < 4; j++)
			CHECK_NUMBER(met[j], met[0]);
	}
}

static void do_nothing(void *argument)
{
	(void)argument;
}

static void end_with(void *argument)
{
	_exit(*(int *)argument);
}

static void die_of(void *argument)
{
	signal(*(int *)argument, SIG_DFL);
	raise(*(int *)argument);
}

static void add_its_number(void *argument)
{
	operations_add(1 + *(const unsigned int *)argument);
}

static void children_of_one_role_have_numbers(void)
{
	struct children children;

	start_anew();
	children_start(&children, 3, add_its_number);
	CHECK_NUMBER(children.count, 3);
	children_join(&children);
	CHECK_NUMBER(shared->operations, 1 + 2 + 3);
	CHECK_NUMBER(children.count, 0);
}

static void a_child_that_does_not_end_well_is_an_error(void)
{
	int status = 3, number = SIGKILL;

	start_anew();
	child_join(child_start(do_nothing, NULL));
	CHECK_NUMBER(shared->errors_count, 0);
	child_join(child_start(end_with, &status));
	CHECK_TEXT(shared->errors[0].call, "child");
	CHECK_TEXT(shared->errors[0].name, "ended early");
	child_join(child_start(die_of, &number));
	CHECK_TEXT(shared->errors[1].name, "KILL");
	CHECK_NUMBER(shared->errors_count, 2);
}

static void start_a_child(struct worker *worker)
{
	(void)worker;
	child_join(child_start(do_nothing, NULL));
	in_round = 1;
}

static void no_child_starts_while_forks_are_held(void)
{
	struct threads threads = { 0 };

	start_anew();
	forks_hold();
	threads_add(&threads, 1, start_a_child, NULL);
	usleep(20000);
	CHECK_NUMBER(in_round, 0);
	forks_go_on();
	threads_join(&threads);
	CHECK_NUMBER(in_round, 1);
}

int main(void)
{
	shared_new();
	RUN(each_thread_has_a_number_and_a_stream_of_its_own);
	RUN(a_thread_that_is_left_out_leaves_the_others_as_they_are);
	RUN(nobody_leaves_a_meeting_before_all_have_come);
	RUN(a_meeting_ends_with_the_run);
	RUN(a_meeting_to_which_all_came_is_held_for_all);
	RUN(all_have_met_equally_often_when_the_run_ends);
	RUN(children_of_one_role_have_numbers);
	RUN(a_child_that_does_not_end_well_is_an_error);
	RUN(no_child_starts_while_forks_are_held);
	return check_result();
}
