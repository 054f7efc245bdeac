// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whether a swapoff hangs. The budget is 30 s; the shares of it in hang-check.c make 6 s for the last wait, 0.75 s of waiting
 * until the load is frozen and 1.5 s of waiting beside a frozen one, 3.75 s until an unfinished swapoff is looked at and 3 s in
 * which it must bring something back.
 */
#include "check.h"
#include "fake_kernel.h"
#include "shared.h"

#define TASK 77
#define START 1000000000000ull
#define MS 1000000ull
#define FREEZE "/sys/fs/cgroup/workload/cgroup.freeze"
#define EVENTS "/sys/fs/cgroup/workload/cgroup.events"
#define WAITS "[<0>] __do_sys_swapoff+0x5a1/0x7c0\n[<0>] do_syscall_64+0x5c/0x90\n"
#define LOOKS "[<0>] try_to_unuse+0x1a2/0x4f0\n[<0>] __do_sys_swapoff+0x2a1/0x7c0\n"

static uint64_t ended_ms; /* after which time the check said that it hangs; 0: never */

static void set_task(const char *state, const char *stack)
{
	char stat[100];

	/* A name may have anything in it. */
	snprintf(stat, sizeof(stat), "%d (a) D b) %s 1 77 77 0 -1\n", TASK, state);
	kernel_file("/proc/77/stat", stat);
	kernel_file("/proc/77/stack", stack);
}

static void set_used(unsigned long long kib)
{
	char text[200];

	snprintf(text, sizeof(text), "Filename\tType\tSize\tUsed\tPriority\n/dev/zram01 partition 8188 999 -2\n"
				     "/dev/zram0                              partition\t8188\t\t%llu\t\t10\n", kib);
	kernel_file("/proc/swaps", text);
}

/* A swapoff by TASK begins now, of a device with 4000 KiB on it; "" = no cgroup. */
static void swapoff_begins(const char *cgroup)
{
	memset(shared, 0, sizeof(*shared));
	clock_set(START);
	/* What an earlier test froze is thawed. */
	swapoff_hangs();
	shared->swapoff_budget = 30;
	shared->devices_count = 2;
	strcpy(shared->devices[0].path, "/dev/zram0");
	strcpy(shared->cgroup, cgroup);
	shared->devices[0].leaving_task = TASK;
	shared->devices[0].leaving_since = START;
	set_used(4000);
	kernel_file("/proc/77/cgroup", "0::/\n");
	kernel_file(FREEZE, "");
	kernel_file(EVENTS, "populated 1\nfrozen 0\n");
	ended_ms = 0;
}

/* Looks every 50 ms, as the supervisor does, up to so many ms after the start. */
static bool hangs_until(unsigned int from, unsigned int ms)
{
	for (uint64_t at = from; at <= ms && !ended_ms; at += 50) {
		clock_set(START + at * MS);
		if (swapoff_hangs())
			ended_ms = at;
	}
	return ended_ms;
}

static void without_a_swapoff_nothing_hangs(void)
{
	swapoff_begins("");
	shared->devices[0].leaving_since = 0;
	set_task("D", WAITS);
	CHECK(!hangs_until(0, 100000));
}

static void a_swapoff_that_gets_on_has_its_whole_budget(void)
{
	swapoff_begins("/sys/fs/cgroup/workload");
	set_task("R", LOOKS);
	kernel_file(EVENTS, "populated 1\nfrozen 1\n");
	for (unsigned int ms = 0; ms < 29000; ms += 2000) {
		set_used(4000 - ms / 10);
		CHECK(!hangs_until(ms, ms + 2000));
	}
	set_used(1);
	CHECK(!hangs_until(30000, 30000));
	CHECK(hangs_until(30050, 30050));
}

static void a_wait_for_a_reference_may_last_a_fifth_of_the_budget(void)
{
	swapoff_begins("");
	set_task("D", WAITS);
	hangs_until(0, 60000);
	/* Not looked at in its first second. */
	CHECK_NUMBER(ended_ms, 1000 + 6000 + 50);
}

static void a_wait_beside_a_frozen_load_is_a_hang_sooner(void)
{
	swapoff_begins("/sys/fs/cgroup/workload");
	set_task("D", WAITS);
	CHECK(!hangs_until(0, 1750));
	CHECK_TEXT(kernel_text(FREEZE), "");
	CHECK(!hangs_until(1800, 1800));
	CHECK_TEXT(kernel_text(FREEZE), "1");
	kernel_file(EVENTS, "populated 1\nfrozen 1\n");
	hangs_until(1850, 60000);
	CHECK_NUMBER(ended_ms, 1850 + 1500 + 50);
}

static void a_load_that_does_not_freeze_is_thawed_and_the_wait_is_longer(void)
{
	swapoff_begins("/sys/fs/cgroup/workload");
	set_task("D", WAITS);
	hangs_until(0, 60000);
	CHECK_NUMBER(ended_ms, 1000 + 6000 + 50);
	CHECK_TEXT(kernel_text(FREEZE), "10");
}

static void a_frozen_load_is_thawed_when_the_swapoff_ends(void)
{
	swapoff_begins("/sys/fs/cgroup/workload");
	set_task("D", WAITS);
	kernel_file(EVENTS, "populated 1\nfrozen 1\n");
	CHECK(!hangs_until(0, 3000));
	CHECK_TEXT(kernel_text(FREEZE), "1");
	shared->devices[0].leaving_since = 0;
	CHECK(!hangs_until(3050, 3050));
	CHECK_TEXT(kernel_text(FREEZE), "10");
	/* The next one is another wait. */
	shared->devices[0].leaving_since = START + 3100 * MS;
	CHECK(!hangs_until(3100, 3100 + 2000));
}

static void a_wait_that_is_interrupted_begins_anew(void)
{
	swapoff_begins("");
	set_task("D", WAITS);
	CHECK(!hangs_until(0, 5000));
	set_task("R", WAITS);
	CHECK(!hangs_until(5050, 5100));
	set_task("D", WAITS);
	hangs_until(5150, 60000);
	CHECK_NUMBER(ended_ms, 5150 + 6000 + 50);
}

static void to_look_for_pages_is_no_wait_for_a_reference(void)
{
	swapoff_begins("");
	set_task("D", LOOKS);
	hangs_until(0, 60000);
	CHECK_NUMBER(ended_ms, 30050);
	swapoff_begins("");
	set_task("S", WAITS);
	hangs_until(0, 60000);
	CHECK_NUMBER(ended_ms, 30050);
}

static void a_device_that_stays_as_full_beside_a_frozen_load_is_a_hang(void)
{
	swapoff_begins("/sys/fs/cgroup/workload");
	set_task("R", LOOKS);
	kernel_file(EVENTS, "populated 1\nfrozen 1\n");
	hangs_until(0, 60000);
	CHECK_NUMBER(ended_ms, 3750 + 3000 + 50);
	CHECK_TEXT(kernel_text(FREEZE), "1");
}

static void without_a_frozen_load_it_has_its_budget(void)
{
	swapoff_begins("");
	set_task("R", LOOKS);
	hangs_until(0, 60000);
	CHECK_NUMBER(ended_ms, 30050);
}

/* To freeze it would end its swapoff with EINTR. */
static void a_load_that_swaps_off_itself_is_not_frozen(void)
{
	swapoff_begins("/sys/fs/cgroup/workload");
	set_task("D", WAITS);
	kernel_file("/proc/77/cgroup", "0::/workload\n");
	kernel_file(EVENTS, "populated 1\nfrozen 1\n");
	hangs_until(0, 60000);
	CHECK_NUMBER(ended_ms, 1000 + 6000 + 50);
	CHECK_TEXT(kernel_text(FREEZE), "");
}

static void a_task_that_is_gone_or_says_nothing_has_its_budget(void)
{
	swapoff_begins("");
	kernel_forget("/proc/77/stat");
	kernel_forget("/proc/77/stack");
	hangs_until(0, 60000);
	CHECK_NUMBER(ended_ms, 30050);
	swapoff_begins("");
	kernel_file("/proc/77/stat", "77 (swapoff)");
	kernel_file("/proc/77/stack", "");
	hangs_until(0, 60000);
	CHECK_NUMBER(ended_ms, 30050);
	swapoff_begins("");
	kernel_file("/proc/77/stat", "");
	hangs_until(0, 60000);
	CHECK_NUMBER(ended_ms, 30050);
}

static void the_second_device_is_looked_at_too(void)
{
	swapoff_begins("");
	set_task("D", WAITS);
	shared->devices[0].leaving_since = 0;
	shared->devices[1].leaving_task = TASK;
	shared->devices[1].leaving_since = START;
	hangs_until(0, 60000);
	CHECK_NUMBER(ended_ms, 1000 + 6000 + 50);
}

int main(void)
{
	shared_new();
	RUN(without_a_swapoff_nothing_hangs);
	RUN(a_swapoff_that_gets_on_has_its_whole_budget);
	RUN(a_wait_for_a_reference_may_last_a_fifth_of_the_budget);
	RUN(a_wait_beside_a_frozen_load_is_a_hang_sooner);
	RUN(a_load_that_does_not_freeze_is_thawed_and_the_wait_is_longer);
	RUN(a_frozen_load_is_thawed_when_the_swapoff_ends);
	RUN(a_wait_that_is_interrupted_begins_anew);
	RUN(to_look_for_pages_is_no_wait_for_a_reference);
	RUN(a_device_that_stays_as_full_beside_a_frozen_load_is_a_hang);
	RUN(without_a_frozen_load_it_has_its_budget);
	RUN(a_load_that_swaps_off_itself_is_not_frozen);
	RUN(a_task_that_is_gone_or_says_nothing_has_its_budget);
	RUN(the_second_device_is_looked_at_too);
	return check_result();
}
