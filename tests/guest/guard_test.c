// SPDX-License-Identifier: GPL-2.0-or-later
/* A bus error as a result: only within guarded(), in whatever thread, and as often as it happens. */
#define _GNU_SOURCE

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "guard.h"
#include "shared.h"

#define OTHER_HANDLER 17

static volatile char *gone, *there;
static int looked;

static void end_of_load(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info, (void)context;
	_exit(OTHER_HANDLER);
}

static void look(void *at)
{
	looked += *(volatile char *)at + 1;
}

static void map_pages(void)
{
	const int fd = memfd_create("pages", MFD_CLOEXEC);

	there = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	/* Beyond the end of its file. */
	gone = there + PAGE;
	if (ftruncate(fd, PAGE) || there == MAP_FAILED)
		abort();
}

static void what_can_be_read_is_read(void)
{
	looked = 0;
	CHECK(guarded(look, (void *)there));
	CHECK_NUMBER(looked, 1);
}

static void a_bus_error_is_a_result_each_time(void)
{
	for (int i = 0; i < 3; i++) {
		looked = 0;
		CHECK(!guarded(look, (void *)gone));
		CHECK_NUMBER(looked, 0);
		CHECK(guarded(look, (void *)there));
	}
}

static void *look_in_thread(void *result)
{
	*(bool *)result = !guarded(look, (void *)gone) && guarded(look, (void *)there);
	return NULL;
}

static void each_thread_has_a_guard_of_its_own(void)
{
	pthread_t threads[4];
	bool good[4] = { false };

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, look_in_thread, &good[i]);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		CHECK(good[i]);
	}
}

static void a_bus_error_elsewhere_is_the_end_of_the_load(void)
{
	const pid_t child = fork();
	int status;

	if (!child) {
		guarded(look, (void *)gone);
		guarded(look, (void *)there);
		look((void *)gone);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == OTHER_HANDLER);
}

int main(void)
{
	const struct sigaction action = { .sa_sigaction = end_of_load, .sa_flags = SA_SIGINFO };

	shared_new();
	sigaction(SIGBUS, &action, NULL);
	map_pages();
	guard_bus_errors();
	RUN(what_can_be_read_is_read);
	RUN(a_bus_error_is_a_result_each_time);
	RUN(each_thread_has_a_guard_of_its_own);
	RUN(a_bus_error_elsewhere_is_the_end_of_the_load);
	return check_result();
}
