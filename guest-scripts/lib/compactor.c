// SPDX-License-Identifier: GPL-2.0-or-later
/* Compaction: see compactor.h. */
#include <stdio.h>
#include <unistd.h>

#include "compactor.h"
#include "textfile.h"

#define COMPACT "/proc/sys/vm/compact_memory"
#define ZRAM_MOST 4
/* It takes all CPUs' LRU caches, and the page tables of all that it moves: not without a pause. */
#define PAUSE_LEAST_US 50000
#define PAUSE_MOST_US 250000

/* zsmalloc moves what zram has compressed together; a device without a size has nothing (EINVAL). */
static void compact_zram(counter_t *compactions)
{
	for (unsigned int number = 0; number < ZRAM_MOST; number++) {
		char path[40];

		snprintf(path, sizeof(path), "/sys/block/zram%u/compact", number);
		if (!access(path, W_OK) && put_text(path, "1"))
			count(compactions, 1);
	}
}

void compactor(struct worker *worker)
{
	counter_t *zram_compactions = counter("zram_compactions");
	counter_t *compactions = counter("compactions");

	while (!run_over() && !access(COMPACT, W_OK)) {
		if (put_text(COMPACT, "1"))
			count(compactions, 1);
		compact_zram(zram_compactions);
		sleep_us(rng_between(&worker->rng, PAUSE_LEAST_US, PAUSE_MOST_US));
	}
}
