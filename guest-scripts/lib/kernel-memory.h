/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory of the kernel's that is charged to who makes it need it. */
#ifndef PATCHRIG_KERNEL_MEMORY_H
#define PATCHRIG_KERNEL_MEMORY_H

#include "rng.h"

/*
 * A pipe and a socket that are full, which stay open until the process ends; page tables, for a moment; and in the folder inodes and
 * dentries, of names that are there and of names that are not. Those outlive the process. `who` tells its names from others', `when` the
 * absent ones from earlier ones. Returns how many objects there are more, about. A folder of "" has no names.
 */
unsigned int kernel_memory_use(const char *folder, unsigned int who, unsigned int when, struct rng *rng);

#endif
