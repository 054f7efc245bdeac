// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which mutant of the series this kernel has; 0: none.
 *
 * All mutants are compiled in, each behind "unlikely(patchrig_mutant == N)". The number is set before the load starts:
 *
 *   patchrig_mutant=N                                   on the kernel's command line
 *   /sys/module/kernel/parameters/patchrig_mutant       in a guest that has booted, or was restored
 */
#include <linux/cache.h>
#include <linux/export.h>
#include <linux/moduleparam.h>

unsigned int patchrig_mutant __read_mostly;
/* Mutated code may be a module's, or an inline function that one uses. */
EXPORT_SYMBOL_GPL(patchrig_mutant);
core_param(patchrig_mutant, patchrig_mutant, uint, 0600);
