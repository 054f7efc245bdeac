// SPDX-License-Identifier: GPL-2.0-or-later
/* The release of the running kernel. */
#include "check.h"
#include "fake_kernel.h"
#include "release.h"

static void it_is_compared_by_major_and_minor_number(void)
{
	kernel_file("/proc/sys/kernel/osrelease", "6.19.6-patchrig\n");
	CHECK(release_is_at_least(6, 19));
	CHECK(release_is_at_least(6, 9));
	CHECK(release_is_at_least(5, 20));
	CHECK(!release_is_at_least(6, 20));
	CHECK(!release_is_at_least(7, 0));
}

static void what_does_not_say_its_release_is_no_later_one(void)
{
	kernel_forget("/proc/sys/kernel/osrelease");
	CHECK(!release_is_at_least(2, 6));
}

int main(void)
{
	RUN(it_is_compared_by_major_and_minor_number);
	RUN(what_does_not_say_its_release_is_no_later_one);
	return check_result();
}
