// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which blocks of whole folders ran: a bit for each address that the callback may return to.
 *
 * The compiler calls __sanitizer_cov_trace_pc() at the start of every basic block of the objects that objects.mk names.
 *
 *   patchrig/on        write 1: forget what ran, and record from here on; 0: stop
 *   patchrig/reached   read: "OFFSET - 1 0 0 0" of each block that ran, by address. OFFSET, in hex, is the callback's return
 *                      address as distance from _stext; the rest fills the columns of the overlay widened's patchrig/blocks
 *
 * An address is its own index: no table of the blocks has to be brought here, and a block that has run before costs two
 * loads. Text that is freed after the boot lies behind _etext and is not recorded.
 */
#include <linux/bitops.h>
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/instruction_pointer.h>
#include <linux/jump_label.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <asm/sections.h>

/* Instructions of x86 begin anywhere. */
#ifdef CONFIG_ARM64
#define ADDRESS_SHIFT 2
#else
#define ADDRESS_SHIFT 0
#endif

static DEFINE_STATIC_KEY_FALSE(patchrig_on);
/* Held while the switch changes. */
static DEFINE_MUTEX(patchrig_lock);
static unsigned long *reached;
static unsigned long reached_bits;

void __sanitizer_cov_trace_pc(void);

void notrace __sanitizer_cov_trace_pc(void)
{
	if (static_branch_unlikely(&patchrig_on)) {
		const unsigned long at = (_RET_IP_ - (unsigned long)_stext) >> ADDRESS_SHIFT;

		/* Tested first: CPUs that run the same code share the line as long as nobody writes to it. */
		if (at < reached_bits && !test_bit(at, reached))
			set_bit(at, reached);
	}
}
EXPORT_SYMBOL(__sanitizer_cov_trace_pc);

static void *reached_start(struct seq_file *seq, loff_t *at)
{
	*at = find_next_bit(reached, reached_bits, *at);
	return *at < reached_bits ? at : NULL;
}

static void *reached_next(struct seq_file *seq, void *block, loff_t *at)
{
	++*at;
	return reached_start(seq, at);
}

static void reached_stop(struct seq_file *seq, void *block)
{
}

static int reached_show(struct seq_file *seq, void *at)
{
	seq_printf(seq, "%lx - 1 0 0 0\n", (unsigned long)*(loff_t *)at << ADDRESS_SHIFT);
	return 0;
}

static const struct seq_operations reached_sops = {
	.start = reached_start,
	.next = reached_next,
	.stop = reached_stop,
	.show = reached_show,
};
DEFINE_SEQ_ATTRIBUTE(reached);

static int on_set(void *unused, u64 value)
{
	mutex_lock(&patchrig_lock);
	if (value && !static_key_enabled(&patchrig_on)) {
		memset(reached, 0, BITS_TO_LONGS(reached_bits) * sizeof(long));
		static_branch_enable(&patchrig_on);
	} else if (!value && static_key_enabled(&patchrig_on)) {
		static_branch_disable(&patchrig_on);
	}
	mutex_unlock(&patchrig_lock);
	return 0;
}

static int on_get(void *unused, u64 *value)
{
	*value = static_key_enabled(&patchrig_on);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(on_file, on_get, on_set, "%llu\n");

static int __init reach_init(void)
{
	struct dentry *folder = debugfs_create_dir("patchrig", NULL);

	reached_bits = (unsigned long)(_etext - _stext) >> ADDRESS_SHIFT;
	reached = vcalloc(BITS_TO_LONGS(reached_bits), sizeof(long));
	if (!reached)
		return -ENOMEM;
	debugfs_create_file("reached", 0400, folder, NULL, &reached_fops);
	debugfs_create_file("on", 0600, folder, NULL, &on_file);
	return 0;
}
late_initcall(reach_init);
