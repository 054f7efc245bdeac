// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who called the probed function: a kretprobe whose hit counts are kept per call stack by the kernel (a histogram
 * trigger), once for all calls and once for those that returned 0, that is, found the device gone.
 *
 * A hit costs as much as a hundred lookups. Where hits are frequent the probe rests most of the time, so that it does
 * not slow down what it counts: calls and failures are then samples (counter site.sampled). Not in a kernel with
 * delay injection: to rest takes all probes out, and one of them tells it when swapoff cuts newcomers off.
 */
#define _GNU_SOURCE

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared.h"
#include "kprobe.h"
#include "textfile.h"

#define NAME "probe"
/* An event with a trigger runs whatever its own "enable" says; this takes the breakpoints out. */
#define ARMED "/sys/kernel/debug/kprobes/enabled"

#define CALLS "hist:name=calls:keys=common_stacktrace:size=4096"
#define FAILED "hist:name=failed:keys=common_stacktrace:size=4096 if found==0"

/* More hits than this in one tick of the supervisor, and the probe rests for some ticks. */
#define HITS_MOST 400
#define REST_TICKS 4

static bool enabled;
static unsigned int resting;
static uint64_t hits_seen;

static bool arm(bool armed)
{
	if (put_text(ARMED, armed ? "1" : "0"))
		return true;
	run_missing("cannot write %d to " ARMED ": %s", armed, strerrorname_np(errno));
	return false;
}

static bool attach(void)
{
	if (kprobe_add(NAME, shared->probe, "found") && kprobe_count(NAME, CALLS) && kprobe_count(NAME, FAILED))
		return true;
	run_missing("cannot count the calls of %s: %s", shared->probe, strerrorname_np(errno));
	return false;
}

void probe_start(void)
{
	if (!shared->probe[0])
		return;
	/* swapoff reads swap in by itself: that is no proof of what the workload did. */
	shared->sites[shared->sites_count] = (struct shared_site){
		.name = "swapoff",
		.functions = { "__do_sys_swapoff", "__x64_sys_swapoff", "__arm64_sys_swapoff", "try_to_unuse" },
		.functions_count = 4,
	};
	enabled = attach() && arm(true);
}

/* "  probe   HITS   MISSES" */
static uint64_t hits(void)
{
	unsigned long long count = 0;
	char name[NAME_SIZE];
	FILE *file = fopen(TRACING "kprobe_profile", "re");

	/* A workload's own probes (branch.c) are listed, too. */
	while (file && fscanf(file, "%63s %llu %*u", name, &count) == 2)
		if (!strcmp(name, NAME))
			break;
	if (file)
		fclose(file);
	return count;
}

void probe_tick(void)
{
	uint64_t now;

	if (!enabled)
		return;
	if (resting) {
		if (--resting == 0)
			arm(true);
		return;
	}
	now = hits();
	if (now - hits_seen > HITS_MOST && !kernel_injects_delays()) {
		arm(false);
		resting = REST_TICKS;
		atomic_store(counter("site.sampled"), 1);
	}
	hits_seen = now;
}

static bool in_stack(const char *stack, const char *function)
{
	const size_t length = strlen(function);

	for (const char *at = stack; (at = strstr(at, function)); at++)
		/* The compiler adds .isra.0 and the like, the kernel +0x.../0x... */
		if ((at == stack || isspace(at[-1])) && strchr("+. \n", at[length]))
			return true;
	return false;
}

static bool is_site(const struct shared_site *site, const char *stack)
{
	for (unsigned int i = 0; i < site->functions_count; i++)
		if (in_stack(stack, site->functions[i]))
			return true;
	return false;
}

static struct shared_site *site_of(const char *stack)
{
	struct shared_site *const last = &shared->sites[shared->sites_count];

	if (is_site(last, stack))
		return last;
	for (struct shared_site *site = shared->sites; site < last; site++)
		if (is_site(site, stack))
			return site;
	return NULL;
}

/*
 * The file has the triggers one after the other; each one is
 *   # trigger info: hist:keys=common_stacktrace:vals=hitcount:sort=hitcount:size=4096 [if found==0] [active]
 *   { common_stacktrace: ... lines ... } hitcount: N
 */
static void read_histogram(FILE *file)
{
	static char stack[16384], line[1024];
	bool failed = false;
	size_t used = 0;

	while (fgets(line, sizeof(line), file)) {
		const char *hits = strstr(line, "hitcount:");
		struct shared_site *site;

		if (line[0] == '#' && strstr(line, "trigger info"))
			failed = strstr(line, " if ") != NULL;
		if (strstr(line, "{ common_stacktrace"))
			used = 0;
		if (used + strlen(line) < sizeof(stack)) {
			strcpy(stack + used, line);
			used += strlen(line);
		}
		if (line[0] == '#' || line[0] != '}' || !hits)
			continue;
		site = site_of(stack);
		if (site && failed)
			site->failed += strtoull(hits + strlen("hitcount:"), NULL, 10);
		else if (site)
			site->calls += strtoull(hits + strlen("hitcount:"), NULL, 10);
	}
}

void probe_end(void)
{
	FILE *file;

	if (!enabled)
		return;
	enabled = false;
	arm(false);
	file = kprobe_read(NAME);
	if (!file) {
		run_missing("cannot read the histogram of %s", shared->probe);
		return;
	}
	read_histogram(file);
	fclose(file);
	/* At rest before the others are armed again; the swapoff loops still run, so it stays where it is (kprobe.h). */
	if (kprobe_rest(NAME, FAILED) && kprobe_rest(NAME, CALLS))
		arm(true);
}
