// SPDX-License-Identifier: GPL-2.0-or-later
/* Probes of a workload's own: what the kernel is asked for, and how its histograms are read. */
#include <errno.h>

#include "branch.h"
#include "check.h"
#include "fake_kernel.h"
#include "kprobe.h"
#include "shared.h"

#define EVENTS TRACING "kprobe_events"
#define TRIGGER(name) TRACING "events/patchrig/" name "/trigger"
#define HIST(name) TRACING "events/patchrig/" name "/hist"
#define BELOW "hist:keys=common_stacktrace:size=2048 if ret==0"
#define ALL "hist:keys=common_stacktrace:size=2048"

/* As the kernel prints it (Linux 6.19), between a caller that is asked for and others. */
static const char histogram[] = "# event histogram\n#\n"
				"# trigger info: hist:keys=common_stacktrace:vals=hitcount:sort=hitcount:size=2048 [active]\n#\n\n"
				"{ common_stacktrace:\n         do_swap_page+0x1/0x2\n         handle_mm_fault+0x3/0x4\n"
				"} hitcount:          3\n"
				"{ common_stacktrace:\n         swapin_readahead+0x1/0x2\n         do_swap_page+0x1/0x2\n"
				"} hitcount:         40\n"
				"{ common_stacktrace:\n         swapin_readahead+0x1/0x2\n         shmem_swapin+0x1/0x2\n"
				"} hitcount:        500\n\nTotals:\n    Hits: 543\n    Entries: 3\n    Dropped: 0\n";

static void a_probe_takes_the_place_of_an_old_one(void)
{
	kernel_file(EVENTS, "");
	CHECK(kprobe_add("own", "try_to_unuse", "ret"));
	CHECK_TEXT(kernel_text(EVENTS), "-:patchrig/own" "r512:patchrig/own try_to_unuse ret=$retval:x64");
}

static void a_histogram_is_begun_and_ended(void)
{
	kernel_file(TRIGGER("own"), "");
	CHECK(kprobe_count("own", ALL));
	CHECK(kprobe_rest("own", ALL));
	CHECK_TEXT(kernel_text(TRIGGER("own")), ALL "!" ALL);
}

static void a_probe_of_a_place_runs_and_rests(void)
{
	kernel_file(EVENTS, "");
	kernel_file(TRACING "events/patchrig/place/enable", "");
	CHECK(kprobe_add_entry("place", "do_swap_page+0x12"));
	CHECK_TEXT(kernel_text(EVENTS), "-:patchrig/placep:patchrig/place do_swap_page+0x12");
	CHECK(kprobe_run("place", true));
	CHECK(kprobe_run("place", false));
	CHECK_TEXT(kernel_text(TRACING "events/patchrig/place/enable"), "10");
}

static void a_kernel_without_it_says_why(void)
{
	kernel_forget(EVENTS);
	CHECK(!kprobe_add("own", "try_to_unuse", "ret"));
	CHECK_NUMBER(errno, ENOENT);
	CHECK(!kprobe_count("none", ALL));
	CHECK(!kprobe_read("none"));
}

static void hits_are_counted_below_the_caller_only(void)
{
	kernel_file(EVENTS, "");
	kernel_file(TRIGGER("below"), "");
	kernel_file(TRIGGER("all"), "");
	kernel_file(HIST("below"), histogram);
	kernel_file(HIST("all"), histogram);
	kernel_file("/proc/kallsyms", "ffffffff81000000 T _stext\nffffffff81234560 t swapin_readahead\n");
	branch_probe("below", "__read_swap_cache_async", "ret==0", "gone|swapin_readahead");
	branch_probe("all", "__read_swap_cache_async", "", "");
	branches_start();
	CHECK_TEXT(kernel_text(TRIGGER("below")), BELOW);
	CHECK_TEXT(kernel_text(TRIGGER("all")), ALL);
	CHECK_NUMBER(*counter("below"), 0);
	branches_end();
	CHECK_NUMBER(*counter("below"), 540);
	CHECK_NUMBER(*counter("all"), 543);
	CHECK_TEXT(kernel_text(TRIGGER("all")), ALL "!" ALL);
}

static void a_histogram_that_is_cut_off_counts_as_far_as_it_goes(void)
{
	kernel_file(HIST("below"), "{ common_stacktrace:\n  swapin_readahead+0x1/0x2\n} hitcount:  2\n"
				   "{ common_stacktrace:\n  swapin_readahead+0x1/0x2\n} hitc");
	kernel_file(HIST("all"), "");
	branches_end();
	CHECK_NUMBER(*counter("below"), 542);
	CHECK_NUMBER(*counter("all"), 543);
}

static void a_branch_that_can_not_be_counted_stays_at_0(void)
{
	kernel_forget(EVENTS);
	branch_probe("none", "no_such_function", "", "");
	branches_end();
	CHECK_NUMBER(*counter("none"), 0);
	branch_probe("inlined", "__read_swap_cache_async", "", "gone|readahead");
	CHECK_NUMBER(*counter("inlined"), 0);
	CHECK_TEXT(shared->lacking[1].why, "this kernel has no function gone|readahead");
	CHECK_TEXT(shared->missing, "");
}

int main(void)
{
	shared_new();
	RUN(a_probe_takes_the_place_of_an_old_one);
	RUN(a_histogram_is_begun_and_ended);
	RUN(a_probe_of_a_place_runs_and_rests);
	RUN(a_kernel_without_it_says_why);
	RUN(hits_are_counted_below_the_caller_only);
	RUN(a_histogram_that_is_cut_off_counts_as_far_as_it_goes);
	RUN(a_branch_that_can_not_be_counted_stays_at_0);
	return check_result();
}
