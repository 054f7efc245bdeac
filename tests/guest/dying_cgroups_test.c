// SPDX-License-Identifier: GPL-2.0-or-later
/* Cgroups that were removed: how many are left. */
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "dying-cgroups.h"
#include "fake_kernel.h"
#include "shared.h"

/* A folder of the test's own: mkdir() and rmdir() are those of the host. */
static const struct cgroup ONE = { "./one" };
#define STATISTICS "./one/cgroup.stat"
#define DROP_CACHES "/proc/sys/vm/drop_caches"

static void start_anew(void)
{
	memset(shared, 0, sizeof(*shared));
	clock_set(1000000000);
	kernel_file("./one/memory.high", "");
	kernel_file(DROP_CACHES, "");
}

static void a_kernel_that_does_not_say_it_is_not_asked_twice(void)
{
	uint64_t number = 5;

	start_anew();
	CHECK(!dying_cgroups(&ONE, &number));
	CHECK_NUMBER(number, 5);
	CHECK_NUMBER(dying_cgroups_left(&ONE, 1000), 0);
	CHECK_TEXT(kernel_text(DROP_CACHES), "");
}

static void where_none_is_left_nothing_is_done(void)
{
	start_anew();
	kernel_file(STATISTICS, "nr_descendants 2\nnr_dying_descendants 0\nnr_dying_subsys_memory 3\n");
	CHECK_NUMBER(dying_cgroups_left(&ONE, 1000), 0);
	CHECK_TEXT(kernel_text(DROP_CACHES), "");
}

static void those_that_stay_are_counted_when_the_kernel_has_let_go(void)
{
	uint64_t number = 0;

	start_anew();
	kernel_file(STATISTICS, "nr_descendants 0\nnr_dying_descendants 2\n");
	CHECK(dying_cgroups(&ONE, &number));
	CHECK_NUMBER(number, 2);
	CHECK_NUMBER(dying_cgroups_left(&ONE, 100), 2);
	CHECK_TEXT(kernel_text(DROP_CACHES), "3");
	/* What was written to it is a limit for a moment only. */
	CHECK_TEXT(kernel_text("./one/memory.high"), "0max");
	CHECK(access("./one/last", F_OK));
	CHECK_NUMBER(shared->errors_count, 0);
}

int main(void)
{
	shared_new();
	RUN(a_kernel_that_does_not_say_it_is_not_asked_twice);
	RUN(where_none_is_left_nothing_is_done);
	RUN(those_that_stay_are_counted_when_the_kernel_has_let_go);
	return check_result();
}
