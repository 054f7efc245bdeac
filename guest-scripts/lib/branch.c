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
	const char *caller;
	char histogram[100];
};

static struct branch branches[BRANCHES_MAX];
static unsigned int branches_count;

void branch_probe(const char *name, const char *function, const char *filter, const char *caller)
{
	struct branch *branch = &branches[branches_count];

	counter(name);
	if (branches_count == BRANCHES_MAX)
		abort();
	*branch = (struct branch){ .counter = name, .caller = caller };
	snprintf(branch->histogram, sizeof(branch->histogram), "hist:keys=common_stacktrace:size=2048%s%s",
		 filter[0] ? " if " : "", filter);
	/* Counted or not, it proves nothing where the kernel has no such function: compiled into its callers, or renamed. */
	if (kprobe_add(name, function, "ret"))
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
static uint64_t hits_below(FILE *file, const char *caller)
{
	char line[1024];
	bool below = false;
	uint64_t sum = 0;

	while (fgets(line, sizeof(line), file)) {
		const char *hits = strstr(line, "hitcount:");

		if (strchr(line, '{'))
			below = !caller[0];
		if (caller[0] && strstr(line, caller))
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
		count(counter(branch->counter), hits_below(file, branch->caller));
		fclose(file);
		kprobe_rest(branch->counter, branch->histogram);
	}
}
