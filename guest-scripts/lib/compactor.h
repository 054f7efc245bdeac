/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages that move to other places of memory while they are used: compaction migrates all that can be migrated. */
#ifndef PATCHRIG_COMPACTOR_H
#define PATCHRIG_COMPACTOR_H

#include "run.h"

/* A role for threads_add(): compacts the memory again and again, and that of zram. Nothing where the kernel has no compaction. */
void compactor(struct worker *worker);

#endif
