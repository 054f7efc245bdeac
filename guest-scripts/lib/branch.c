// SPDX-License-Identifier: GPL-2.0-or-later
/* Kprobes of the workload's own; the kernel counts per call stack. */
#define _GNU_SOURCE

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared.h"
#include "branch.h"
#include "kprobe.h"

#define BRANCHES_MAX 4

struct branch {
	const char *counter;
	const char *callers;
	char histogram[100];
};

static struct branch branches[BRANCHES_MAX];
static unsigned int branches_count;

/* Whether the text, up to a blank or '+', begins as one of the callers does. */
static bool is_caller(const char *text, const char *callers)
{
	while (callers[0]) {
		size_t length = strcspn(callers, "|");

		if (!strncmp(text, callers, length))
			return true;
		callers += length + (callers[length] == '|');
	}
	return false;
}

/* Lines look like "ffffffff81234560 t do_swap_page". */
static bool kernel_has(const char *callers)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	char line[512];
	bool found = false;

	if (!file)
		return true;
	while (!found && fgets(line, sizeof(line), file)) {
		const char *name = strrchr(line, ' ');

		found = name && is_caller(name + 1, callers);
	}
	fclose(file);
	return found;
}

void branch_probe(const char *name, const char *function, const char *filter, const char *callers)
{
	struct branch *branch = &branches[branches_count];

	counter(name);
	if (branches_count == BRANCHES_MAX)
		abort();
	*branch = (struct branch){ .counter = name, .callers = callers };
	snprintf(branch->histogram, sizeof(branch->histogram), "hist:keys=common_stacktrace:size=2048%s%s",
		 filter[0] ? " if " : "", filter);
	/* Counted or not, it proves nothing where the kernel has no such function: compiled into its callers, or renamed. */
	if (callers[0] && !kernel_has(callers))
		counter_lacking(name, "this kernel has no function %s", callers);
	else if (kprobe_add(name, function, "ret"))
		branches_count++;
	else
		counter_lacking(name, "no probe at %s(): %s", function, strerror(errno));
}

void branches_start(void)
{
	for (unsigned int i = 0; i < branches_count; i++)
		kprobe_count(branches[i].counter, branches[i].histogram);
}

/* Entries look like "{ common_stacktrace:", a line for each caller, "} hitcount: N". */
static uint64_t hits_below(FILE *file, const char *callers)
{
	char line[1024];
	bool below = false;
	uint64_t sum = 0;

	while (fgets(line, sizeof(line), file)) {
		const char *hits = strstr(line, "hitcount:");

		if (strchr(line, '{'))
			below = !callers[0];
		if (is_caller(line + strspn(line, " \t"), callers))
			below = true;
		if (line[0] == '}' && hits && below)
			sum += strtoull(hits + strlen("hitcount:"), NULL, 10);
	}
	return sum;
}

void branches_end(void)
{
	for (unsigned int i = 0; i < branches_count; i++) {
		const struct branch *branch = &branches[i];
		FILE *file = kprobe_read(branch->counter);

		if (!file)
			continue;
		count(counter(branch->counter), hits_below(file, branch->callers));
		fclose(file);
		kprobe_rest(branch->counter, branch->histogram);
	}
}
