// SPDX-License-Identifier: GPL-2.0-or-later
/* Who promised what to the caller of each call. */
#include "check.h"
#include "shared.h"

static void a_call_has_its_promise(void)
{
	CHECK(strstr(promise_of("mincore"), "mincore(2)"));
	CHECK(strstr(promise_of("UFFDIO_MOVE"), "ioctl_userfaultfd(2)"));
	CHECK(strstr(promise_of("swapoff"), "swapoff(2)"));
	CHECK(strstr(promise_of("swapon"), "swapon(2)"));
	CHECK(strstr(promise_of("memory.swap.current"), "memory.swap.max"));
	CHECK(strstr(promise_of("memory.high"), "default"));
	CHECK(strstr(promise_of("read of a pipe"), "pipe(7)"));
	CHECK(strstr(promise_of("write to memory.max"), "no longer set"));
	CHECK(strstr(promise_of("write to /sys/fs/cgroup/a/memory.max"), "errno.h"));
	CHECK(strstr(promise_of("set_mempolicy"), "set_mempolicy(2)"));
	CHECK(strstr(promise_of("get_mempolicy"), "get_mempolicy(2)"));
}

static void one_promise_holds_for_all_advice_and_for_reads_of_holes(void)
{
	CHECK_TEXT(promise_of("MADV_PAGEOUT"), promise_of("MADV_WILLNEED"));
	CHECK_TEXT(promise_of("pread of a hole"), promise_of("pread"));
	CHECK(promise_of("MADV_PAGEOUT")[0]);
}

static void a_call_of_no_promise_has_none(void)
{
	CHECK_TEXT(promise_of("load"), "");
	CHECK_TEXT(promise_of("min"), "");
	CHECK_TEXT(promise_of(""), "");
}

int main(void)
{
	shared_new();
	RUN(a_call_has_its_promise);
	RUN(one_promise_holds_for_all_advice_and_for_reads_of_holes);
	RUN(a_call_of_no_promise_has_none);
	return check_result();
}
