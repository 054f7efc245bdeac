/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cgroups that were removed, and that the kernel still has. */
#ifndef PATCHRIG_DYING_CGROUPS_H
#define PATCHRIG_DYING_CGROUPS_H

#include "cgroup.h"

/* How many there are below this one: cgroup.stat. False: v1 does not say. */
bool dying_cgroups(const struct cgroup *cgroup, uint64_t *number);
/*
 * Waits until there is none below this one, in which nobody is and whose memory controller is on for its children; how many are left after
 * so many ms. Meanwhile the kernel is made to let go of what it keeps for a while, for all that docs/found/correct-kernels.md names.
 */
uint64_t dying_cgroups_left(const struct cgroup *cgroup, unsigned int ms);

#endif
