// SPDX-License-Identifier: GPL-2.0-or-later
/* The command line: what run-workload and the host pass, and the workload's own numbers. */
#define _GNU_SOURCE

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared.h"

static _Noreturn void usage(const char *what, const char *argument)
{
	fprintf(stderr, "%s: %s\n", what, argument);
	exit(2);
}

static uint64_t number(const char *option, const char *text)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 0);
	/* strtoull() takes "-1", and blanks before it. */
	if (errno || *end || !isdigit((unsigned char)*text))
		usage(option, text);
	return value;
}

static void copy_name(char *to, const char *from, size_t length)
{
	if (length >= NAME_SIZE)
		usage("too long", from);
	memcpy(to, from, length);
	to[length] = 0;
}

/* PATH:PRIORITY:KIND[:discard] */
static void add_swap(const char *text)
{
	const char *priority = strchr(text, ':');
	const char *kind = priority ? strchr(priority + 1, ':') : NULL;
	const char *more = kind ? strchrnul(kind + 1, ':') : NULL;
	struct shared_device *device = &shared->devices[shared->devices_count];
	char *end;

	if (!kind || shared->devices_count == DEVICES_MAX)
		usage("--swap", text);
	device->priority = (int)strtol(priority + 1, &end, 10);
	if (end == priority + 1 || end != kind || (*more && strcmp(more, ":discard")))
		usage("--swap", text);
	copy_name(device->path, text, priority - text);
	copy_name(device->kind, kind + 1, more - kind - 1);
	device->discards = *more;
	shared->devices_count++;
}

static void set_probes(const char *path)
{
	if (strlen(path) >= sizeof(shared->probes))
		usage("too long", path);
	strcpy(shared->probes, path);
}

static void choose_looped(const char *text)
{
	char *end;

	for (unsigned int i = 0; i < shared->devices_count; i++)
		shared->devices[i].looped = false;
	while (*text) {
		const unsigned long i = strtoul(text, &end, 10);

		if (end == text || i >= shared->devices_count)
			usage("--flip", text);
		shared->devices[i].looped = true;
		text = *end == ',' ? end + 1 : end;
	}
}

/* 0,3,5 */
static void leave_out(const char *text)
{
	char *end;

	for (shared->without = 0; *text; text = *end == ',' ? end + 1 : end) {
		const unsigned long thread = strtoul(text, &end, 10);

		if (!isdigit((unsigned char)*text) || thread >= 64 || (*end && *end != ','))
			usage("--without", text);
		shared->without |= UINT64_C(1) << thread;
	}
}

static bool set_number(const struct workload *workload, const char *name, const char *value)
{
	const struct number_option *option = workload->options;

	for (; option && option->name; option++)
		if (!strcmp(option->name, name)) {
			*option->value = number(name, value);
			return true;
		}
	return false;
}

static bool take_text(const struct workload *workload, const char *name, const char *value)
{
	const struct text_option *option = workload->texts;

	for (; option && option->name; option++)
		if (!strcmp(option->name, name)) {
			option->take(value);
			return true;
		}
	return false;
}

static void take(const struct workload *workload, const char *name, const char *value, const char **flip)
{
	if (!strcmp(name, "swap"))
		add_swap(value);
	else if (!strcmp(name, "flip"))
		*flip = value;
	else if (!strcmp(name, "probes"))
		set_probes(value);
	else if (!strcmp(name, "without"))
		leave_out(value);
	else if (!strcmp(name, "seconds"))
		shared->seconds = number(name, value);
	else if (!strcmp(name, "seed"))
		shared->seed = number(name, value);
	else if (!strcmp(name, "swapoff-budget"))
		shared->swapoff_budget = number(name, value);
	else if (!take_text(workload, name, value) && !set_number(workload, name, value))
		usage("unknown option", name);
}

void parse_options(const struct workload *workload, int argc, char **argv)
{
	const char *flip = NULL;

	shared->numbers = workload->options;
	shared->seconds = 10;
	shared->swapoff_budget = 30;
	for (int i = 1; i < argc; i += 2) {
		if (strncmp(argv[i], "--", 2) || i + 1 == argc)
			usage("not an option with a value", argv[i]);
		take(workload, argv[i] + 2, argv[i + 1], &flip);
	}
	for (unsigned int i = 0; i + workload->steady < shared->devices_count; i++)
		shared->devices[i].looped = true;
	shared->together = workload->together;
	if (flip)
		choose_looped(flip);
	if (!shared->devices_count)
		usage("needed", "--swap PATH:PRIORITY:KIND[:discard]");
}
