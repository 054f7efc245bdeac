// SPDX-License-Identifier: GPL-2.0-or-later
/* Random numbers: the same for a seed on every arch and in every version, and evenly spread. */
#include "check.h"
#include "rng.h"

static void a_seed_gives_the_same_numbers_for_ever(void)
{
	/* Numbers that reproducers depend on: splitmix64 of these states. */
	struct rng rng = { 0 };

	CHECK(mix(1) == 0x5692161d100b05e5u);
	CHECK(rng_next(&rng) == 0xe220a8397b1dcdafu);
	CHECK(rng_next(&rng) == 0x6e789e6aa1b965f4u);
	CHECK(rng_next(&rng) == 0x06c45d188009454fu);
}

static void streams_and_seeds_differ(void)
{
	for (uint64_t seed = 0; seed < 30; seed++)
		for (uint64_t stream = 0; stream < 30; stream++) {
			struct rng rng = rng_stream(seed, stream), same = rng_stream(seed, stream);
			struct rng next = rng_stream(seed, stream + 1), other = rng_stream(seed + 1, stream);
			const uint64_t first = rng_next(&rng);

			CHECK(first == rng_next(&same));
			CHECK(first != rng_next(&next));
			CHECK(first != rng_next(&other));
		}
}

static void both_ends_of_a_range_come_and_nothing_beyond(void)
{
	struct rng rng = rng_stream(1, 2);
	unsigned int seen[5] = { 0 };

	for (int i = 0; i < 5000; i++) {
		const uint64_t at = rng_between(&rng, 10, 14);

		CHECK(at >= 10 && at <= 14);
		seen[at - 10]++;
		CHECK(rng_below(&rng, 3) < 3);
		CHECK(rng_below(&rng, 1) == 0);
		CHECK(rng_between(&rng, 7, 7) == 7);
	}
	for (int i = 0; i < 5; i++)
		CHECK(seen[i] > 800 && seen[i] < 1200);
}

int main(void)
{
	RUN(a_seed_gives_the_same_numbers_for_ever);
	RUN(streams_and_seeds_differ);
	RUN(both_ends_of_a_range_come_and_nothing_beyond);
	return check_result();
}
