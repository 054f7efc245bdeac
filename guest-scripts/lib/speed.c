// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdint.h>

#include "run.h"
#include "speed.h"

#define MEASURED_NS (20ull * 1000 * 1000)
/* The least that is printed as more than nothing. A host that keeps the guest from running may leave it less. */
#define SLOWEST 0.1

double guest_speed(void)
{
	const uint64_t start = now_ns();
	volatile uint64_t sink = 1;
	uint64_t rounds = 0, end;

	do {
		for (int i = 0; i < 1000; i++)
			sink = sink * 6364136223846793005u + 1442695040888963407u;
		rounds++;
		end = now_ns();
	} while (end - start < MEASURED_NS);
	const double speed = (double)rounds * 1000.0 * 1000.0 / (double)(end - start);

	return speed < SLOWEST ? SLOWEST : speed;
}
