// SPDX-License-Identifier: GPL-2.0-or-later
/* Which site called the probed function, from the kernel's histograms; and when the probe rests. */
#include "check.h"
#include "fake_kernel.h"
#include "shared.h"

#define TRACING "/sys/kernel/tracing/"
#define EVENTS TRACING "kprobe_events"
#define PROFILE TRACING "kprobe_profile"
#define TRIGGER TRACING "events/patchrig/return0/trigger"
#define HIST TRACING "events/patchrig/return0/hist"
#define ENTRY(number) TRACING "events/patchrig/entry" number "/enable"
#define ARMED "/sys/kernel/debug/kprobes/enabled"
#define LIST "/patchrig/test.probes"
#define CALLS "# trigger info: hist:name=calls0:keys=common_stacktrace:vals=hitcount:sort=hitcount:size=4096 [active]\n"
#define FAILED \
	"# trigger info: hist:name=failed0:keys=common_stacktrace:vals=hitcount:sort=hitcount:size=4096 if found==0 [active]\n"
#define SITES                                                                                                       \
	"site fault\nreturn swap_read returns-null\nfrom do_swap_page\nsite shmem\nreturn swap_read returns-null\n" \
	"from shmem_swapin\nfrom shmem_fault\n"

static void start_with(const char *list, const char *hist)
{
	memset(shared, 0, sizeof(*shared));
	strcpy(shared->probes, LIST);
	kernel_file(LIST, list);
	kernel_file(EVENTS, "");
	kernel_file(PROFILE, "");
	kernel_file(TRIGGER, "");
	kernel_file(ENTRY("0"), "");
	kernel_file(ENTRY("1"), "");
	kernel_file(ARMED, "");
	kernel_file(HIST, hist);
	probe_start();
}

/* The sites are "fault" (do_swap_page) and "shmem" (shmem_swapin, shmem_fault). */
static void start(const char *hist)
{
	start_with(SITES, hist);
}

static void calls_and_failures_are_those_of_the_first_site_in_the_stack(void)
{
	start("# event histogram\n#\n" CALLS "#\n\n"
	      "{ common_stacktrace:\n         do_swap_page+0x1/0x2\n         handle_mm_fault+0x3/0x4\n} hitcount:          3\n"
	      "{ common_stacktrace:\n         shmem_swapin.isra.0+0x1/0x2\n         do_swap_page+0x3/0x4\n} hitcount:    40\n"
	      "{ common_stacktrace:\n         shmem_fault+0x1/0x2\n} hitcount:        500\n"
	      "{ common_stacktrace:\n         somebody_else+0x1/0x2\n} hitcount:        6000\n\n"
	      "Totals:\n    Hits: 6543\n"
	      "# event histogram\n#\n" FAILED "#\n\n"
	      "{ common_stacktrace:\n         shmem_fault+0x1/0x2\n} hitcount:          7\n");
	probe_end();
	CHECK_NUMBER(shared->sites[0].calls, 43);
	CHECK_NUMBER(shared->sites[0].failed, 0);
	CHECK_NUMBER(shared->sites[1].calls, 500);
	CHECK_NUMBER(shared->sites[1].failed, 7);
	CHECK_TEXT(shared->missing, "");
}

/* It reads swap in by itself: that is no proof of what the workload did. */
static void what_swapoff_calls_is_swapoffs(void)
{
	start(CALLS "{ common_stacktrace:\n  do_swap_page+0x1/0x2\n  try_to_unuse+0x1/0x2\n} hitcount: 5\n"
		    "{ common_stacktrace:\n  do_swap_page+0x1/0x2\n  __arm64_sys_swapoff+0x1/0x2\n} hitcount: 6\n");
	probe_end();
	CHECK_NUMBER(shared->sites[0].calls, 0);
	CHECK_TEXT(shared->sites[2].name, "swapoff");
	CHECK_NUMBER(shared->sites[2].calls, 11);
}

static void a_function_is_known_by_its_whole_name(void)
{
	start(CALLS "{ common_stacktrace:\n  xdo_swap_page+0x1/0x2\n} hitcount: 1\n"
		    "{ common_stacktrace:\n  do_swap_page2+0x1/0x2\n} hitcount: 20\n"
		    "{ common_stacktrace:\n  my_do_swap_page+0x1/0x2\n  do_swap_page\n} hitcount: 300\n"
		    "{ common_stacktrace:\n  do_swap_page.constprop.0+0x1/0x2\n} hitcount: 4000\n");
	probe_end();
	CHECK_NUMBER(shared->sites[0].calls, 4300);
}

static void what_is_cut_off_or_odd_counts_nothing_wrong(void)
{
	start("");
	probe_end();
	CHECK_NUMBER(shared->sites[0].calls, 0);
	start(CALLS "{ common_stacktrace:\n  do_swap_page+0x1/0x2\n} hitcount: 5\n{ common_stacktrace:\n  do_swap_page+0x1/0x2\n");
	probe_end();
	CHECK_NUMBER(shared->sites[0].calls, 5);
	start(CALLS "} hitcount: 8\n{ common_stacktrace:\n} hitcount: 9\n");
	probe_end();
	CHECK_NUMBER(shared->sites[0].calls, 0);
}

/* A stack is kept as far as there is room; what comes after it is no part of the next one. */
static void a_stack_without_an_end_takes_no_more_than_its_room(void)
{
	static char text[60000];
	size_t used = (size_t)sprintf(text, CALLS "{ common_stacktrace:\n");

	while (used < 40000)
		used += (size_t)sprintf(text + used, "         some_function_with_a_long_name+0x1/0x2\n");
	sprintf(text + used, "%60s\n} hitcount: 5\n"
			     "{ common_stacktrace:\n  do_swap_page+0x1/0x2\n} hitcount: 60\n", "do_swap_page+0x1/0x2");
	start(text);
	probe_end();
	CHECK_NUMBER(shared->sites[0].calls, 60);
}

static void without_a_probe_nothing_is_asked_of_the_kernel(void)
{
	start("");
	probe_end();
	kernel_file(ARMED, "");
	kernel_file(EVENTS, "");
	shared->probes[0] = 0;
	probe_start();
	probe_tick();
	probe_end();
	CHECK_TEXT(kernel_text(ARMED), "");
	CHECK_TEXT(kernel_text(EVENTS), "");
}

static void what_the_kernel_refuses_is_missing(void)
{
	start("");
	probe_end();
	memset(shared->sites, 0, sizeof(shared->sites));
	shared->sites_count = 0;
	kernel_forget(EVENTS);
	probe_start();
	CHECK_TEXT(shared->missing, "cannot count the calls of site fault: ENOENT");
	probe_end();
	start("");
	kernel_forget(HIST);
	probe_end();
	CHECK_TEXT(shared->missing, "cannot read the histogram of swap_read");
}

static void profile(unsigned int hits)
{
	char text[200];

	snprintf(text, sizeof(text), "  other                 99999               0\n  return0     %u     0\n", hits);
	kernel_file(PROFILE, text);
}

static void a_probe_that_is_hit_often_rests(void)
{
	start("");
	profile(400);
	probe_tick();
	CHECK_TEXT(kernel_text(ARMED), "1");
	profile(801);
	probe_tick();
	CHECK_TEXT(kernel_text(ARMED), "10");
	CHECK_NUMBER(*counter("site.sampled"), 1);
	for (int i = 0; i < 3; i++)
		probe_tick();
	CHECK_TEXT(kernel_text(ARMED), "10");
	probe_tick();
	CHECK_TEXT(kernel_text(ARMED), "101");
	probe_end();
}

/* There it would take the cutoff's probe out, too. */
static void with_delay_injection_it_never_rests(void)
{
	kernel_file("/sys/kernel/debug/patchrig/moment", "");
	delay_injection_prepare();
	CHECK(kernel_injects_delays());
	CHECK_TEXT(kernel_text("/sys/kernel/debug/patchrig/moment"), "synchronize_rcu");
	start("");
	profile(100000);
	probe_tick();
	CHECK_TEXT(kernel_text(ARMED), "1");
	CHECK_NUMBER(shared->counters_count, 0);
	probe_end();
}

static void a_part_of_a_function_is_a_caller_for_what_returns_to_it(void)
{
	start_with("site move\nreturn swap_read -\nfrom move_pages 100 180\n",
		   CALLS "{ common_stacktrace:\n  move_pages+0x100/0x900\n} hitcount: 1\n"
			 "{ common_stacktrace:\n  move_pages+0x101/0x900\n} hitcount: 20\n"
			 "{ common_stacktrace:\n  move_pages+0x180/0x900\n} hitcount: 300\n"
			 "{ common_stacktrace:\n  move_pages+0x181/0x900\n} hitcount: 4000\n"
			 "{ common_stacktrace:\n  move_pages.isra.0+0x120/0x900\n} hitcount: 50000\n");
	probe_end();
	CHECK_NUMBER(shared->sites[0].calls, 320);
	CHECK_TEXT(kernel_text(EVENTS), "-:patchrig/return0r512:patchrig/return0 swap_read found=$retval:x64");
}

static void a_site_without_callers_is_reached_by_anybody_but_swapoff(void)
{
	start_with("site any\nreturn swap_read returns-false\n",
		   CALLS "{ common_stacktrace:\n  somebody+0x1/0x2\n} hitcount: 7\n"
			 "{ common_stacktrace:\n  try_to_unuse+0x1/0x2\n} hitcount: 80\n");
	probe_end();
	CHECK_NUMBER(shared->sites[0].calls, 7);
	CHECK_NUMBER(shared->sites[1].calls, 80);
	CHECK_TEXT(kernel_text(TRIGGER),
		   "hist:name=calls0:keys=common_stacktrace:size=4096"
		   "hist:name=failed0:keys=common_stacktrace:size=4096 if found==0"
		   "!hist:name=failed0:keys=common_stacktrace:size=4096 if found==0"
		   "!hist:name=calls0:keys=common_stacktrace:size=4096");
	CHECK(strstr(kernel_text(EVENTS), "found=$retval:u8"));
}

static void an_inlined_call_is_counted_where_it_begins(void)
{
	start_with("site inlined\nentry do_swap_page+0x12\nentry move_pages+0x3\n", "");
	kernel_file(PROFILE, "  entry0     5     0\n  entry1     7     0\n  entry2     900     0\n");
	probe_end();
	CHECK_NUMBER(shared->sites[0].calls, 12);
	CHECK_TEXT(kernel_text(EVENTS), "-:patchrig/entry0p:patchrig/entry0 do_swap_page+0x12"
					"-:patchrig/entry1p:patchrig/entry1 move_pages+0x3");
	CHECK_TEXT(kernel_text(ENTRY("1")), "10");
}

static void a_changed_function_that_ran_enough_rests_for_good(void)
{
	kernel_file("/proc/sys/debug/kprobes-optimization", "");
	start_with("changed 4\nentry f\nchanged 9\nentry g\n", "");
	CHECK_TEXT(kernel_text("/proc/sys/debug/kprobes-optimization"), "0");
	kernel_file(PROFILE, "  entry0     199     0\n  entry1     200     0\n");
	probe_tick();
	CHECK_TEXT(kernel_text(ENTRY("0")), "1");
	CHECK_TEXT(kernel_text(ENTRY("1")), "10");
	/* They are no reason for all probes to rest. */
	CHECK_TEXT(kernel_text(ARMED), "1");
	kernel_file(PROFILE, "  entry0     0     0\n  entry1     200     0\n");
	probe_end();
	CHECK_TEXT(shared->changed[0].name, "4");
	CHECK_NUMBER(shared->changed[0].hits, 0);
	CHECK_NUMBER(shared->changed[1].hits, 200);
	CHECK_TEXT(kernel_text(ENTRY("1")), "10");
	CHECK_TEXT(shared->missing, "");
}

static unsigned int entries_at_rest(unsigned int count)
{
	unsigned int rested = 0;
	char path[200];

	for (unsigned int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), TRACING "events/patchrig/entry%u/enable", i);
		rested += strstr(kernel_text(path), "0") != NULL;
	}
	return rested;
}

static void no_more_than_a_few_are_brought_to_rest_at_one_look(void)
{
	char path[200], list[400] = "changed 4\n", hits[600] = "";

	for (unsigned int i = 0; i < 10; i++) {
		snprintf(path, sizeof(path), TRACING "events/patchrig/entry%u/enable", i);
		kernel_file(path, "");
		sprintf(list + strlen(list), "entry f+0x%x\n", i);
		sprintf(hits + strlen(hits), "  entry%u     900     0\n", i);
	}
	start_with(list, "");
	kernel_file(PROFILE, hits);
	probe_tick();
	CHECK_NUMBER(entries_at_rest(10), 8);
	for (int ticks = 0; ticks < 4; ticks++)
		probe_tick();
	CHECK_NUMBER(entries_at_rest(10), 10);
	probe_end();
	CHECK_NUMBER(shared->changed[0].hits, 9000);
}

static void a_changed_function_that_can_not_be_probed_is_no_reason_to_fail(void)
{
	start_with(SITES "changed 4\nentry f\n", "");
	kernel_forget(ENTRY("0"));
	probe_end();
	memset(shared->sites, 0, sizeof(shared->sites));
	shared->sites_count = shared->changed_count = 0;
	probe_start();
	probe_end();
	CHECK(shared->changed[0].partly);
	CHECK_NUMBER(shared->changed[0].hits, 0);
	CHECK_TEXT(shared->missing, "");
}

static void the_first_seconds_are_without_rest_for_the_functions_of_the_series(void)
{
	clock_set(5000000000u);
	start_with(SITES "changed 4\nentry f\n", "");
	clock_set(7000000000u);
	profile(1000);
	probe_tick();
	CHECK_TEXT(kernel_text(ARMED), "1");
	clock_set(7000000001u);
	profile(2000);
	probe_tick();
	CHECK_TEXT(kernel_text(ARMED), "10");
	probe_end();
}

static void a_list_that_is_none_proves_nothing(void)
{
	start_with("site fault\nreturn swap_read\n", "");
	CHECK_TEXT(shared->missing, "cannot read line 2 of " LIST);
	probe_end();
	CHECK_TEXT(kernel_text(EVENTS), "");
}

int main(void)
{
	shared_new();
	RUN(calls_and_failures_are_those_of_the_first_site_in_the_stack);
	RUN(what_swapoff_calls_is_swapoffs);
	RUN(a_function_is_known_by_its_whole_name);
	RUN(what_is_cut_off_or_odd_counts_nothing_wrong);
	RUN(a_stack_without_an_end_takes_no_more_than_its_room);
	RUN(without_a_probe_nothing_is_asked_of_the_kernel);
	RUN(what_the_kernel_refuses_is_missing);
	RUN(a_probe_that_is_hit_often_rests);
	RUN(a_part_of_a_function_is_a_caller_for_what_returns_to_it);
	RUN(a_site_without_callers_is_reached_by_anybody_but_swapoff);
	RUN(an_inlined_call_is_counted_where_it_begins);
	RUN(a_changed_function_that_ran_enough_rests_for_good);
	RUN(no_more_than_a_few_are_brought_to_rest_at_one_look);
	RUN(a_changed_function_that_can_not_be_probed_is_no_reason_to_fail);
	RUN(the_first_seconds_are_without_rest_for_the_functions_of_the_series);
	RUN(a_list_that_is_none_proves_nothing);
	RUN(with_delay_injection_it_never_rests);
	return check_result();
}
