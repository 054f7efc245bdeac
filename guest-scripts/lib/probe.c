// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which sites were reached, and which functions of the series ran, by kprobes at places that the host found (probe.h).
 *
 * Who called: a kretprobe whose hit counts are kept per call stack by the kernel (a histogram trigger), once for all
 * calls and once for those that failed. A hit costs as much as a hundred lookups. Where hits are frequent the probes of
 * the sites rest most of the time, so that they do not slow down what they count: calls and failures are then samples
 * (counter site.sampled). Not in a kernel with delay injection: to rest takes all probes out, and one of them tells it
 * when swapoff cuts newcomers off.
 *
 * Of a function of the series it is enough to know that it ran: after some hits its probe rests for good.
 */
#define _GNU_SOURCE

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kprobe.h"
#include "probe.h"
#include "textfile.h"

/* An event with a trigger runs whatever its own "enable" says; this takes the breakpoints out. */
#define ARMED "/sys/kernel/debug/kprobes/enabled"

/*
 * The kernel makes a jump of a breakpoint that stays, which takes a grace period of RCU tasks for each change, and those
 * who let probes rest wait for it: seconds, where a guest is slow and has a hundred probes.
 */
#define JUMPS "/proc/sys/debug/kprobes-optimization"

#define CALLS "hist:name=calls%u:keys=common_stacktrace:size=4096"
#define FAILED "hist:name=failed%u:keys=common_stacktrace:size=4096 if %s"
/* More hits than this in one tick of the supervisor, and the probes of the sites rest for some ticks. */
#define HITS_MOST 400
#define REST_TICKS 4
/* So long nothing rests at first, for the functions of the series: what rests misses what runs seldom. */
#define FIRST_NS 2000000000u
/* So many hits of one place say all that there is to know of it. */
#define CHANGED_ENOUGH 200
/* The list of all probes is long; those of changed functions are looked at in every so-manieth tick. */
#define CHANGED_TICKS 4
/* To let one rest waits for grace periods, and the supervisor has more to do: so many at one look. */
#define CHANGED_RESTS 8

static bool enabled;
static unsigned int resting, ticks;
static uint64_t hits_seen, started_ns;

static bool arm(bool armed)
{
	if (put_text(ARMED, armed ? "1" : "0"))
		return true;
	run_missing("cannot write %d to " ARMED ": %s", armed, strerrorname_np(errno));
	return false;
}

static const char *indexed(const char *format, unsigned int i)
{
	static char text[NAME_SIZE];

	snprintf(text, sizeof(text), format, i);
	return text;
}

static const char *histogram(unsigned int i, bool failed)
{
	const struct probe_failure *failure = probe_list.returns[i].failure;
	static char text[100];

	if (failed)
		snprintf(text, sizeof(text), FAILED, i, failure->filter);
	else
		snprintf(text, sizeof(text), CALLS, i);
	return text;
}

static bool is_changed(const struct probe_entry *entry)
{
	return entry->owner >= SITES_MAX;
}

static bool set_return(unsigned int i)
{
	const struct probe_return *probe = &probe_list.returns[i];
	const char *name = indexed("return%u", i);

	return kprobe_add_return(name, probe->function, "found", probe->failure ? probe->failure->type : "x64") &&
	       kprobe_count(name, histogram(i, false)) && (!probe->failure || kprobe_count(name, histogram(i, true)));
}

static bool set_entry(unsigned int i)
{
	const char *name = indexed("entry%u", i);

	return kprobe_add_entry(name, probe_list.entries[i].place) && kprobe_run(name, true);
}

/* A site is of use with one probe of it; of the functions of the series, the result says which could not be probed. */
static void set_all(void)
{
	uint64_t seen = 0;
	int error = 0;

	for (unsigned int i = 0; i < probe_list.returns_count; i++) {
		probe_list.returns[i].set = set_return(i);
		error = probe_list.returns[i].set ? error : errno;
	}
	for (unsigned int i = 0; i < probe_list.entries_count; i++) {
		struct probe_entry *entry = &probe_list.entries[i];

		entry->set = set_entry(i);
		if (entry->set)
			seen |= is_changed(entry) ? 0 : 1u << entry->owner;
		else if (is_changed(entry))
			shared->changed[entry->owner - SITES_MAX].partly = true;
		else
			error = errno;
	}
	for (unsigned int i = 0; i < shared->sites_count; i++) {
		for (unsigned int j = 0; j < probe_list.returns_count; j++)
			if (probe_list.returns[j].set && probe_list.sites[i].returns & 1u << j)
				seen |= 1u << i;
		if (!(seen & 1u << i))
			run_missing("cannot count the calls of site %s: %s", shared->sites[i].name, strerrorname_np(error));
	}
}

void probe_start(void)
{
	unsigned int line;

	if (!shared->probes[0])
		return;
	if (!probe_list_read(shared->probes, &line)) {
		run_missing("cannot read line %u of %.80s", line, shared->probes);
		return;
	}
	/* swapoff reads swap in by itself: that is no proof of what the workload did. */
	strcpy(shared->sites[shared->sites_count].name, "swapoff");
	/* Not there in a kernel that makes no jumps. */
	if (shared->changed_count)
		put_text(JUMPS, "0");
	/* Instead of megabytes for each CPU, for what nobody reads. */
	if (probe_list.entries_count)
		put_text(TRACING "buffer_size_kb", "64");
	set_all();
	hits_seen = resting = ticks = 0;
	started_ns = now_ns();
	enabled = (probe_list.returns_count || probe_list.entries_count) && arm(true);
}

/* A line of kprobe_profile: "  entry3   HITS   MISSES". Workloads' own probes (branch.c) are listed, too. */
static bool is_numbered(const char *name, const char *kind, unsigned int count, unsigned int *number)
{
	char *end;

	if (strncmp(name, kind, strlen(kind)) || !isdigit((unsigned char)name[strlen(kind)]))
		return false;
	*number = (unsigned int)strtoul(name + strlen(kind), &end, 10);
	return !*end && *number < count;
}

/* Hits of the sites' probes; those of each entry are kept. */
static uint64_t hits(bool all)
{
	unsigned long long count = 0;
	uint64_t sum = 0;
	unsigned int seen = 0, of_sites = probe_list.returns_count, number;
	char name[NAME_SIZE];
	FILE *file = fopen(TRACING "kprobe_profile", "re");

	while (of_sites - probe_list.returns_count < probe_list.entries_count &&
	       !is_changed(&probe_list.entries[of_sites - probe_list.returns_count]))
		of_sites++;
	/* They were set first and are listed in that order. */
	while (file && (all || seen < of_sites) && fscanf(file, "%63s %llu %*u", name, &count) == 2) {
		if (is_numbered(name, "return", probe_list.returns_count, &number)) {
			sum += count;
			seen++;
		} else if (is_numbered(name, "entry", probe_list.entries_count, &number)) {
			struct probe_entry *entry = &probe_list.entries[number];

			entry->hits = count;
			sum += is_changed(entry) ? 0 : count;
			seen += !is_changed(entry);
		}
	}
	if (file)
		fclose(file);
	return sum;
}

/* One that is hit often has said that it runs: its breakpoint goes, and the kernel still knows it (kprobe.h). */
static void rest_changed(void)
{
	unsigned int rests = 0;

	for (unsigned int i = 0; i < probe_list.entries_count && rests < CHANGED_RESTS; i++) {
		struct probe_entry *entry = &probe_list.entries[i];

		if (!is_changed(entry) || !entry->set || entry->resting || entry->hits < CHANGED_ENOUGH)
			continue;
		entry->resting = kprobe_run(indexed("entry%u", i), false);
		rests++;
	}
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
	now = hits(ticks % CHANGED_TICKS == 0);
	if (ticks % CHANGED_TICKS == 0)
		rest_changed();
	ticks++;
	if (now - hits_seen > HITS_MOST && !kernel_injects_delays() &&
	    (!shared->changed_count || now_ns() - started_ns > FIRST_NS)) {
		arm(false);
		resting = REST_TICKS;
		atomic_store(counter("site.sampled"), 1);
	}
	hits_seen = now;
}

static bool in_part(const char *after, const struct probe_caller *caller)
{
	const uint64_t offset = *after == '+' ? strtoull(after + 1, NULL, 16) : 0;

	/* What a call returns to is behind the call. */
	return !caller->end || (offset > caller->first && offset <= caller->end);
}

static bool in_stack(const char *stack, const struct probe_caller *caller)
{
	const size_t length = strlen(caller->function);

	for (const char *at = stack; (at = strstr(at, caller->function)); at++)
		/* The compiler adds .isra.0 and the like, the kernel +0x.../0x...; a part is of one of these. */
		if ((at == stack || isspace(at[-1])) && strchr(caller->end ? "+" : "+. \n", at[length]) && at[length] &&
		    in_part(at + length, caller))
			return true;
	return false;
}

static bool is_swapoff(const char *stack)
{
	static const struct probe_caller SWAPOFF[] = { { "__do_sys_swapoff", 0, 0 }, { "__x64_sys_swapoff", 0, 0 },
						       { "__arm64_sys_swapoff", 0, 0 }, { "try_to_unuse", 0, 0 } };

	for (size_t i = 0; i < sizeof(SWAPOFF) / sizeof(SWAPOFF[0]); i++)
		if (in_stack(stack, &SWAPOFF[i]))
			return true;
	return false;
}

static bool is_site(const struct probe_site *site, const char *stack)
{
	for (unsigned int i = 0; i < site->callers_count; i++)
		if (in_stack(stack, &site->callers[i]))
			return true;
	return !site->callers_count;
}

static struct shared_site *site_of(const char *stack, unsigned int probe)
{
	if (is_swapoff(stack))
		return &shared->sites[shared->sites_count];
	for (unsigned int i = 0; i < shared->sites_count; i++)
		if (probe_list.sites[i].returns & 1u << probe && is_site(&probe_list.sites[i], stack))
			return &shared->sites[i];
	return NULL;
}

/*
 * The file has the triggers one after the other; each one is
 *   # trigger info: hist:keys=common_stacktrace:vals=hitcount:sort=hitcount:size=4096 [if found==0] [active]
 *   { common_stacktrace: ... lines ... } hitcount: N
 */
static void read_histogram(FILE *file, unsigned int probe)
{
	static char stack[16384], line[1024];
	bool failed = false;
	size_t used = 0;

	while (fgets(line, sizeof(line), file)) {
		const char *count = strstr(line, "hitcount:");
		struct shared_site *site;

		if (line[0] == '#' && strstr(line, "trigger info"))
			failed = strstr(line, " if ") != NULL;
		/* "{ stacktrace:" before v6.3. */
		if (line[0] == '{')
			used = 0;
		if (used + strlen(line) < sizeof(stack)) {
			strcpy(stack + used, line);
			used += strlen(line);
		}
		if (line[0] == '#' || line[0] != '}' || !count)
			continue;
		site = site_of(stack, probe);
		if (site && failed)
			site->failed += strtoull(count + strlen("hitcount:"), NULL, 10);
		else if (site)
			site->calls += strtoull(count + strlen("hitcount:"), NULL, 10);
	}
}

static void end_return(unsigned int i)
{
	const char *name = indexed("return%u", i);
	FILE *file = kprobe_read(name);

	if (!file) {
		run_missing("cannot read the histogram of %s", probe_list.returns[i].function);
		return;
	}
	read_histogram(file, i);
	fclose(file);
	if (probe_list.returns[i].failure)
		kprobe_rest(name, histogram(i, true));
	kprobe_rest(name, histogram(i, false));
}

static void end_entry(unsigned int i)
{
	const struct probe_entry *entry = &probe_list.entries[i];

	if (is_changed(entry))
		shared->changed[entry->owner - SITES_MAX].hits += entry->hits;
	else
		shared->sites[entry->owner].calls += entry->hits;
	if (!entry->resting)
		kprobe_run(indexed("entry%u", i), false);
}

void probe_end(void)
{
	if (!enabled)
		return;
	enabled = false;
	arm(false);
	hits(true);
	for (unsigned int i = 0; i < probe_list.returns_count; i++)
		if (probe_list.returns[i].set)
			end_return(i);
	for (unsigned int i = 0; i < probe_list.entries_count; i++)
		if (probe_list.entries[i].set)
			end_entry(i);
	/* At rest before the others are armed again; the swapoff loops still run, so they stay where they are (kprobe.h). */
	arm(true);
}
