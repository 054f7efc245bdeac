// SPDX-License-Identifier: GPL-2.0-or-later
/* Compaction: see compactor.h. */
#include <unistd.h>

#include "compactor.h"
#include "textfile.h"

#define COMPACT "/proc/sys/vm/compact_memory"
/* It takes all CPUs' LRU caches, and the page tables of all that it moves: not without a pause. */
#define PAUSE_LEAST_US 50000
#define PAUSE_MOST_US 250000

void compactor(struct worker *worker)
{
	counter_t *compactions = counter("compactions");

	while (!run_over() && !access(COMPACT, W_OK)) {
		if (put_text(COMPACT, "1"))
			count(compactions, 1);
		sleep_us(rng_between(&worker->rng, PAUSE_LEAST_US, PAUSE_MOST_US));
	}
}
