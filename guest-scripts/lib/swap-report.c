// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel says about swap: see swap-report.h. */
#define _GNU_SOURCE

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "swap-report.h"

/* More than one read has of the areas of a run; the kernel holds them for so long. */
#define TEXT_SIZE 4096
#define AREAS_MOST 16

struct line {
	char name[80];
	uint64_t size, used;
};

static bool is_right(const struct line *lines, unsigned int count, char *wrong, size_t size)
{
	const struct line *last = &lines[count - 1];

	if (last->used > last->size) {
		snprintf(wrong, size, "%s uses %" PRIu64 " of %" PRIu64 " kB", last->name, last->used, last->size);
		return false;
	}
	for (unsigned int i = 0; i + 1 < count; i++)
		if (!strcmp(lines[i].name, last->name)) {
			snprintf(wrong, size, "%s is there twice", last->name);
			return false;
		}
	return true;
}

bool swap_report_is_right(int swaps, char *wrong, size_t size)
{
	struct line lines[AREAS_MOST];
	char text[TEXT_SIZE];
	const ssize_t length = pread(swaps, text, sizeof(text) - 1, 0);
	unsigned int count = 0;
	char *rest = text;

	text[length < 0 ? 0 : length] = 0;
	for (char *line = strsep(&rest, "\n"); line && count < AREAS_MOST; line = strsep(&rest, "\n"))
		/* The headings have no numbers. */
		if (sscanf(line, "%79s %*s %" SCNu64 " %" SCNu64, lines[count].name, &lines[count].size, &lines[count].used) == 3 &&
		    !is_right(lines, ++count, wrong, size))
			return false;
	return true;
}

bool swap_sums_are_right(char *wrong, size_t size)
{
	struct sysinfo info;

	if (sysinfo(&info) || info.freeswap <= info.totalswap)
		return true;
	snprintf(wrong, size, "freeswap %lu, totalswap %lu", info.freeswap, info.totalswap);
	return false;
}
