// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "splats.h"

#define ROWS_MOST 512

enum verb { WORD, FAILS, PASSES, ALLOWED };

struct row {
	enum verb verb;
	char *text;
	int compiled; /* 1: yes, -1: it can't be */
	regex_t pattern;
};

struct splats {
	size_t rows;
	unsigned int within;
	unsigned int left; /* lines that may be a part of an allowed splat */
	struct row row[ROWS_MOST];
};

static const char *const verbs[] = { [WORD] = "word ", [FAILS] = "fails ", [PASSES] = "passes ", [ALLOWED] = "allowed " };

static void add_row(struct splats *splats, const char *line)
{
	struct row *const row = &splats->row[splats->rows];

	if (sscanf(line, "within %u", &splats->within) == 1 || splats->rows == ROWS_MOST)
		return;
	for (size_t verb = 0; verb < sizeof(verbs) / sizeof(verbs[0]); verb++) {
		const size_t size = strlen(verbs[verb]);

		if (!strncmp(line, verbs[verb], size) && (row->text = strdup(line + size))) {
			row->verb = (enum verb)verb;
			splats->rows++;
			return;
		}
	}
}

struct splats *splats_in(const char *path)
{
	FILE *file = fopen(path, "re");
	struct splats *const splats = file ? calloc(1, sizeof(*splats)) : NULL;
	char *line = NULL;
	size_t size = 0;

	while (splats && getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		add_row(splats, line);
	}
	free(line);
	if (file)
		fclose(file);
	return splats;
}

void splats_free(struct splats *splats)
{
	for (size_t i = 0; splats && i < splats->rows; i++) {
		free(splats->row[i].text);
		if (splats->row[i].compiled > 0)
			regfree(&splats->row[i].pattern);
	}
	free(splats);
}

/* Few guests print a line for which it is worth it. */
static bool usable(struct row *row)
{
	if (!row->compiled)
		row->compiled = regcomp(&row->pattern, row->text, REG_EXTENDED | REG_NOSUB) ? -1 : 1;
	return row->compiled > 0;
}

static bool suspect(const struct splats *splats, const char *line)
{
	for (size_t i = 0; i < splats->rows; i++)
		if (splats->row[i].verb == WORD && strstr(line, splats->row[i].text))
			return true;
	return false;
}

static bool line_fails(struct splats *splats, const char *line)
{
	const bool part = splats->left > 0;

	splats->left -= part;
	if (!suspect(splats, line))
		return false;
	for (size_t i = 0; i < splats->rows; i++) {
		struct row *const row = &splats->row[i];

		if (row->verb == WORD || !usable(row) || regexec(&row->pattern, line, 0, NULL, 0))
			continue;
		if (row->verb == ALLOWED)
			splats->left = splats->within;
		return row->verb == FAILS && !part;
	}
	return false;
}

/* "6,339,5140900,-;text": the first number is the facility times eight plus the level; the kernel's facility is 0. */
bool splats_fail(struct splats *splats, char *record)
{
	char *text = strchr(record, ';');
	const bool kernel = strtoul(record, NULL, 10) < 8;
	bool fails = false;

	if (!text)
		return false;
	/* What follows are properties. */
	text[strcspn(text, "\n")] = '\0';
	for (char *line = text + 1, *next; line; line = next) {
		next = strstr(line, "\\x0a");
		if (next) {
			*next = '\0';
			next += strlen("\\x0a");
		}
		fails = line_fails(splats, kernel ? line : "") || fails;
	}
	return fails;
}

const char *splats_unfit(struct splats *splats)
{
	for (size_t i = 0; i < splats->rows; i++)
		if (splats->row[i].verb != WORD && !usable(&splats->row[i]))
			return splats->row[i].text;
	return NULL;
}
