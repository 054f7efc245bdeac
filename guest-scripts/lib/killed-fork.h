/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Forks that do not come to their end. */
#ifndef PATCHRIG_KILLED_FORK_H
#define PATCHRIG_KILLED_FORK_H

#include "rng.h"

/*
 * A new process swaps out memory of many mappings, forks again and again, and is killed: mostly in the middle of a fork. Of the process that
 * was to be, there is a part then, with swap entries, until the kernel has taken it back; some of it at once, by process_mrelease().
 */
void fork_until_killed(struct rng *rng);

#endif
