// SPDX-License-Identifier: GPL-2.0-or-later
/* swapon and swapoff: which refusals are errors, which are tried again, and what counts as a swapoff. */
#include <errno.h>

#include "check.h"
#include "device.h"
#include "fake_kernel.h"
#include "shared.h"

#define START 1000000000000ull

static void start_anew(void)
{
	memset(shared, 0, sizeof(*shared));
	clock_set(START);
	shared->swapoff_budget = 30;
	shared->devices_count = 2;
	strcpy(shared->devices[0].path, "/dev/zram0");
	shared->phase = PHASE_RUNNING;
	swapoff_returns(NULL, 0);
	swapon_returns(0);
	swapoffs_seen = swapons_seen = 0;
}

static void a_device_goes_on_and_off(void)
{
	start_anew();
	CHECK(device_on(0, 10));
	CHECK(device_is_on(0));
	CHECK(device_off(0));
	CHECK(!device_is_on(0));
	CHECK_NUMBER(shared->swapoffs, 1);
	CHECK_NUMBER(shared->devices[0].leaving_since, 0);
	CHECK_NUMBER(shared->errors_count, 0);
}

static void only_swapoffs_beside_the_load_count(void)
{
	start_anew();
	shared->phase = PHASE_READY;
	CHECK(device_off(0));
	shared->phase = PHASE_RUNNING;
	shared->over = true;
	CHECK(device_off(0));
	CHECK_NUMBER(shared->swapoffs, 0);
}

static void a_refusal_is_an_error(void)
{
	static const int errors[] = { EINVAL };

	start_anew();
	swapon_returns(EBUSY);
	CHECK(!device_on(0, 1));
	CHECK(!device_is_on(0));
	CHECK_TEXT(shared->errors[0].call, "swapon");
	CHECK_TEXT(shared->errors[0].name, "EBUSY");
	shared->devices[0].on = true;
	swapoff_returns(errors, 1);
	CHECK(!device_off(0));
	CHECK(device_is_on(0));
	CHECK_NUMBER(shared->swapoffs, 0);
	CHECK_NUMBER(shared->devices[0].leaving_since, 0);
	CHECK_TEXT(shared->errors[1].call, "swapoff");
	CHECK_TEXT(shared->errors[1].name, "EINVAL");
}

/* Which Linux 6.19 also says when an entry is on its way out. */
static void a_lack_of_memory_that_passes_is_no_error(void)
{
	static const int errors[] = { ENOMEM, ENOMEM, ENOMEM };

	start_anew();
	swapoff_returns(errors, 3);
	CHECK(device_off(0));
	CHECK_NUMBER(swapoffs_seen, 4);
	CHECK_NUMBER(*counter("swapoff_enomem"), 3);
	CHECK_NUMBER(shared->errors_count, 0);
	CHECK_NUMBER(shared->longest_ns, 3 * 5000000);
}

/* More than 20 tries, and for longer than a fifteenth of the budget of 30 s. */
static void a_lack_of_memory_that_stays_is_one(void)
{
	static int errors[1000];

	start_anew();
	for (int i = 0; i < 1000; i++)
		errors[i] = ENOMEM;
	swapoff_returns(errors, 1000);
	CHECK(!device_off(0));
	CHECK_TEXT(shared->errors[0].name, "ENOMEM");
	CHECK_NUMBER(swapoffs_seen, 2 + 2000 / 5);
}

static void what_is_used_of_a_device_is_in_proc_swaps(void)
{
	start_anew();
	kernel_file("/proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
				   "/dev/zram01                             partition\t8188\t\t77\t\t10\n"
				   "/dev/zram0                              partition\t8188\t\t5\t\t10\n");
	CHECK_NUMBER(device_used_kib(0), 5);
	kernel_file("/proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/zram0 partition 8188");
	CHECK_NUMBER(device_used_kib(0), 0);
	kernel_file("/proc/swaps", "/dev/zram0");
	CHECK_NUMBER(device_used_kib(0), 0);
	kernel_forget("/proc/swaps");
	CHECK_NUMBER(device_used_kib(0), 0);
}

static void who_waits_for_a_swapoff_waits_no_longer_than_asked(void)
{
	start_anew();
	wait_for_swapoff(40000);
	CHECK_NUMBER(now_ns() - START, 40000000);
	shared->devices[1].leaving_since = 1;
	wait_for_swapoff(40000);
	CHECK_NUMBER(now_ns() - START, 40000000);
}

int main(void)
{
	shared_new();
	RUN(a_device_goes_on_and_off);
	RUN(only_swapoffs_beside_the_load_count);
	RUN(a_refusal_is_an_error);
	RUN(a_lack_of_memory_that_passes_is_no_error);
	RUN(a_lack_of_memory_that_stays_is_one);
	RUN(what_is_used_of_a_device_is_in_proc_swaps);
	RUN(who_waits_for_a_swapoff_waits_no_longer_than_asked);
	return check_result();
}
