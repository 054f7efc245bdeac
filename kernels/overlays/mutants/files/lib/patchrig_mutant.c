// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which mutant of the series this kernel has; 0: none. And which of their places were passed, whatever the number is.
 *
 * All mutants are compiled in, each behind "unlikely(patchrig_mutant == N)". The number is set before the load starts:
 *
 *   patchrig_mutant=N                                   on the kernel's command line
 *   /sys/module/kernel/parameters/patchrig_mutant       in a guest that has booted, or was restored
 *
 * /proc/patchrig_reached has the number, and then a line for each place that was passed since that was set: the number
 * of its mutant, and how often. Two CPUs may count as one, but what was passed is never 0.
 */
#include <linux/cache.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/moduleparam.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

/* As in orchestrator/model/mutants.py. */
#define MOST_MUTANTS 32768

unsigned int patchrig_mutant __read_mostly;
/* volatile: KCSAN takes such accesses for marked ones, and need not report that CPUs count side by side. */
volatile unsigned int patchrig_reached[MOST_MUTANTS];
/* Mutated code may be a module's, or an inline function that one uses. */
EXPORT_SYMBOL_GPL(patchrig_mutant);
EXPORT_SYMBOL_GPL(patchrig_reached);

static int set_mutant(const char *value, const struct kernel_param *parameter)
{
	int error = param_set_uint(value, parameter);
	unsigned int n;

	for (n = 0; !error && n < MOST_MUTANTS; n++)
		patchrig_reached[n] = 0;
	return error;
}

static const struct kernel_param_ops param_ops_mutant = {
	.set = set_mutant,
	.get = param_get_uint,
};
#define param_check_mutant param_check_uint
core_param(patchrig_mutant, patchrig_mutant, mutant, 0600);

static int show_reached(struct seq_file *file, void *unused)
{
	unsigned int n, count;

	seq_printf(file, "%u\n", patchrig_mutant);
	for (n = 0; n < MOST_MUTANTS; n++) {
		count = patchrig_reached[n];
		if (count)
			seq_printf(file, "%u %u\n", n, count);
	}
	return 0;
}

static int __init offer_reached(void)
{
	proc_create_single("patchrig_reached", 0400, NULL, show_reached);
	return 0;
}
device_initcall(offer_reached);
