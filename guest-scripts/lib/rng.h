/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seeded random numbers (splitmix64): the same seed gives the same choices on every arch. */
#ifndef PATCHRIG_RNG_H
#define PATCHRIG_RNG_H

#include <stdint.h>

struct rng {
	uint64_t state;
};

/* A bijection that leaves no pattern of its argument visible. */
static inline uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/* Streams of one seed are independent: one for each thread, swapoff loop, ... */
static inline struct rng rng_stream(uint64_t seed, uint64_t stream)
{
	return (struct rng){ mix(seed + mix(stream + 1)) };
}

static inline uint64_t rng_next(struct rng *rng)
{
	rng->state += 0x9e3779b97f4a7c15u;
	return mix(rng->state);
}

/* 0 .. bound - 1 */
static inline uint64_t rng_below(struct rng *rng, uint64_t bound)
{
	return rng_next(rng) % bound;
}

/* low .. high, both included */
static inline uint64_t rng_between(struct rng *rng, uint64_t low, uint64_t high)
{
	return low + rng_below(rng, high - low + 1);
}

#endif
