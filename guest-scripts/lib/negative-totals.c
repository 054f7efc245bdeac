// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Totals of /proc/vmstat below zero. The file shows them as 0, but a write to stat_refresh makes the kernel say them: "report an
 * error here if any of the stats is negative, so we know to go looking for imbalance" (vmstat_refresh() in mm/vmstat.c). It leaves out
 * those that are known to be negative now and then.
 */
#define _GNU_SOURCE

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "accounting.h"
#include "textfile.h"

#define REFRESH "/proc/sys/vm/stat_refresh"
#define SAID_BY "vmstat_refresh: "

void negative_totals_in(const char *messages, struct accounting *accounting)
{
	for (const char *at = messages; (at = strstr(at, SAID_BY)); at += strlen(SAID_BY)) {
		struct negative_total *total = &accounting->negative[accounting->negative_count];

		if (accounting->negative_count == NEGATIVE_TOTALS_MAX)
			return;
		/* The first word may be another one's: only "NAME -N" is a total. */
		if (sscanf(at + strlen(SAID_BY), "%63[a-z0-9_] %" SCNd64, total->name, &total->value) == 2 && total->value < 0)
			accounting->negative_count++;
	}
}

void totals_refresh(struct accounting *accounting)
{
	/* A record of the log for each read(), from the last one on. */
	const int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char record[1024];
	ssize_t size;

	accounting->negative_count = 0;
	if (log >= 0)
		lseek(log, 0, SEEK_END);
	if (!put_text(REFRESH, "1"))
		figure_lacking("negative", REFRESH " can't be written: totals may lack what a CPU counted for itself");
	while (log >= 0 && (size = read(log, record, sizeof(record) - 1)) > 0) {
		record[size] = 0;
		negative_totals_in(record, accounting);
	}
	if (log >= 0)
		close(log);
	else
		figure_lacking("negative", "/dev/kmsg can't be read");
}
