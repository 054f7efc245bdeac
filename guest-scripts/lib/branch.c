/* Kprobes of the workload's own; the kernel counts per call stack. */
#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "board.h"
#include "branch.h"
#include "textfile.h"

#define TRACING "/sys/kernel/tracing/"
#define BRANCHES_MAX 4

struct branch {
	const char *counter;
	const char *caller;
};

static struct branch branches[BRANCHES_MAX];
static unsigned int branches_count;

static const char *event_file(const struct branch *branch, const char *file)
{
	static char path[200];

	snprintf(path, sizeof(path), TRACING "events/patchrig/%s/%s", branch->counter, file);
	return path;
}

void branch_probe(const char *name, const char *function, const char *filter, const char *caller)
{
	struct branch *branch = &branches[branches_count];
	char text[200];

	counter(name);
	if (branches_count == BRANCHES_MAX)
		abort();
	*branch = (struct branch){ name, caller };
	/* At the return even where nobody asks what it is: an optimised probe at the entry hides the callers. */
	snprintf(text, sizeof(text), "r512:patchrig/%s %s ret=$retval:x64", name, function);
	/* A branch that can not be counted was not exercised: its counter stays 0. */
	if (!put_text(TRACING "kprobe_events", text))
		return;
	snprintf(text, sizeof(text), "hist:keys=common_stacktrace:size=2048%s%s", filter[0] ? " if " : "", filter);
	if (put_text(event_file(branch, "trigger"), text))
		branches_count++;
}

void branches_start(void)
{
	for (unsigned int i = 0; i < branches_count; i++)
		put_text(event_file(&branches[i], "enable"), "1");
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
		FILE *file;

		put_text(event_file(&branches[i], "enable"), "0");
		file = fopen(event_file(&branches[i], "hist"), "re");
		if (!file)
			continue;
		count(counter(branches[i].counter), hits_below(file, branches[i].caller));
		fclose(file);
	}
}
