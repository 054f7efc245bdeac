/*
 * Prints how fast this guest is: iterations of a fixed loop per microsecond, measured for 20 ms. Time limits scale
 * with it, so a busy host or a slow emulator makes a run longer and not red.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(void)
{
	const uint64_t start = now_ns();
	volatile uint64_t sink = 1;
	uint64_t rounds = 0, end;

	do {
		for (int i = 0; i < 1000; i++)
			sink = sink * 6364136223846793005u + 1442695040888963407u;
		rounds++;
		end = now_ns();
	} while (end - start < 20 * 1000 * 1000);
	printf("%.1f\n", (double)rounds * 1000.0 * 1000.0 / (double)(end - start));
	return 0;
}
