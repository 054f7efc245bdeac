// SPDX-License-Identifier: GPL-2.0-or-later
/* See kprobe.h. */
#define _GNU_SOURCE

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kprobe.h"
#include "textfile.h"

#define PATH_SIZE 200

static const char *event_file(const char *name, const char *file)
{
	static char path[PATH_SIZE];

	snprintf(path, sizeof(path), TRACING "events/patchrig/%s/%s", name, file);
	return path;
}

static void forget(const char *name)
{
	char text[PATH_SIZE];

	snprintf(text, sizeof(text), "-:patchrig/%s", name);
	/* Mostly there is none. */
	put_text(TRACING "kprobe_events", text);
}

bool kprobe_add_return(const char *name, const char *function, const char *value, const char *type)
{
	char text[PATH_SIZE];

	forget(name);
	/* At the return even where nobody asks what it is: an optimised probe at the entry hides the callers. */
	snprintf(text, sizeof(text), "r512:patchrig/%s %s %s=$retval:%s", name, function, value, type);
	return put_text(TRACING "kprobe_events", text);
}

bool kprobe_add(const char *name, const char *function, const char *value)
{
	return kprobe_add_return(name, function, value, "x64");
}

bool kprobe_add_entry(const char *name, const char *place)
{
	char text[PATH_SIZE];

	forget(name);
	snprintf(text, sizeof(text), "p:patchrig/%s %s", name, place);
	return put_text(TRACING "kprobe_events", text);
}

/* With the key that kernels before v6.3 have for the call stack. */
static const char *as_before(const char *histogram)
{
	static char text[PATH_SIZE];
	const char *key = strstr(histogram, "common_stacktrace");

	snprintf(text, sizeof(text), "%.*s%s", key ? (int)(key - histogram) : 0, histogram,
		 key ? key + strlen("common_") : histogram);
	return text;
}

static bool before_v6_3;

bool kprobe_count(const char *name, const char *histogram)
{
	/* The event's own "enable" stays off: it would only fill the trace buffer, too. */
	if (!before_v6_3 && put_text(event_file(name, "trigger"), histogram))
		return true;
	if ((!before_v6_3 && errno != EINVAL) || !put_text(event_file(name, "trigger"), as_before(histogram)))
		return false;
	before_v6_3 = true;
	return true;
}

bool kprobe_rest(const char *name, const char *histogram)
{
	char text[PATH_SIZE + 2];

	snprintf(text, sizeof(text), "!%s", before_v6_3 ? as_before(histogram) : histogram);
	return put_text(event_file(name, "trigger"), text);
}

bool kprobe_run(const char *name, bool run)
{
	return put_text(event_file(name, "enable"), run ? "1" : "0");
}

FILE *kprobe_read(const char *name)
{
	return fopen(event_file(name, "hist"), "re");
}
