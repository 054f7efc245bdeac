/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What can be done with a run of pages of an area. Each deed leaves the oracle right, whatever was done before it. */
#ifndef PATCHRIG_DEEDS_H
#define PATCHRIG_DEEDS_H

#include "area.h"
#include "rng.h"

/* Of these pages may be moved: no huge page may come or go meanwhile, which UFFDIO_MOVE calls EINVAL. */
#define MOVABLE (1u << AREA_SMALL | 1u << AREA_LARGE)

struct step {
	struct area *area;
	struct area *other; /* where its pages can be moved to; for areas that are MOVABLE */
	size_t first, count;
	struct rng rng;
	bool unknown; /* the kernel does not know what the deed asked for: all is as before */
};

struct deed {
	const char *name;
	unsigned int weight; /* how often it is chosen, relative to the others */
	unsigned int kinds; /* of areas */
	void (*body)(struct step *);
	bool may_take_shared; /* from children, too: a cut of their file, or MADV_FREE in some kernels */
};

extern const struct deed deeds[];
extern const size_t deeds_count;

const struct deed *deed_choose(struct rng *rng);
/* One of those with these names, of which there must be one. */
const struct deed *deed_choose_of(struct rng *rng, const char *const *names, size_t count);
/* Some pages of the first `pages` of its area: where they begin, and how many. */
void step_choose_pages(struct step *step, size_t pages);
/* Looks at all pages of the step. */
void step_verify(struct step *step);

#endif
