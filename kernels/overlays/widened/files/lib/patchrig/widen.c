// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which blocks of the code under test ran, and a wider window at each of them.
 *
 * The compiler calls __sanitizer_cov_trace_pc() at the start of every basic block of the objects that objects.mk names.
 * The blocks that matter are written to debugfs before anything is switched on:
 *
 *   patchrig/blocks    write: "OFFSET FUNCTION FLAGS" a line. OFFSET, in hex, is the callback's return address as
 *                      distance from _stext; FLAGS is 'g' for the gate of a function (the block that leads into what
 *                      the series changed), '-' for one before it, 'a' for one after it, and 'q' for a block where
 *                      no time may be lost. 'p' is a block of a partner, a function that the series does not change and
 *                      that works on the same state; 'P' the one with which that begins. 'A' and 'B' are the two places
 *                      of a claimed race (sites.h), and 'AB' is a block of both.
 *                      read: "OFFSET FUNCTION HITS SLEEPS SPINS REFUSED EARLY" of each block that ran; EARLY is how often
 *                      it ran before the switch
 *   patchrig/targets   read: the same per function, with its number of blocks and how many of them ran
 *   patchrig/chance    how likely a delay is, in millionths for each execution of a block that runs often; more in one that runs seldom
 *   patchrig/partner_percent   chances at the blocks of partners, as a share of those elsewhere; 0: none
 *   patchrig/sleep_us  the longest sleep; 0: none
 *   patchrig/spin_us   the longest busy wait, where sleeping is not allowed but time may be lost, in a block that runs often; 0: none
 *   patchrig/hold_us   the longest hold: a sleep at a gate until the race that is on is over, so that what was read before is
 *                      used after. 0: none
 *   patchrig/held, held_to_the_end   how many holds there were, and how many of them did not run out of time before
 *   patchrig/race      open for as long as the other side of the race is under way
 *   patchrig/moment    write: a kernel function, the first call of which by the task that has the race open is the moment from
 *                      which on the other side says no to newcomers. RCU readers, for whom it waits, are held until then
 *   patchrig/rest      for how long a task is left alone after a delay, in hundredths of the delay: what is executed in a
 *                      loop is not delayed at each turn
 *   patchrig/seed      of the random choices: whether, and for how long
 *   patchrig/kthreads  0: not kernel threads
 *   patchrig/on        1: from here on the blocks count and delay. The blocks can't be changed any more.
 *
 * A sleep is nothing but a preemption that lasts: it is taken only where the task could have been preempted and is not
 * in an RCU read section, which would hold up the grace period that the other side of the race waits for. A reader is preempted, for
 * a few milliseconds.
 */
#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/hash.h>
#include <linux/irqflags.h>
#include <linux/init.h>
#include <linux/irq_work.h>
#include <linux/jump_label.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/kstrtox.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/mutex.h>
#include <linux/oom.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>
#ifdef CONFIG_ARM64
#include <asm/proc-fns.h>
#endif
#include <asm/sections.h>
#include <asm/syscall.h>
#include <asm/unistd.h>

#define BLOCKS_MAX 65536
#define TARGETS_MAX 1024
/* An offset, the longest name that the kernel gives a function, and a flag. */
#define LINE_LENGTH (KSYM_NAME_LEN + 16)
#define TURNS_BITS 10
/* Twice the blocks that may be named: the objects have more than those. */
#define EARLY_BITS 17
#define EARLY_STEPS 64
#define DELAYED_BITS 12
#define RACERS_MAX 16
#define MILLION 1000000
/*
 * A function whose gate has had so many more holds than that with the fewest is mostly passed over: what calls another
 * is on its way there first, and who is held at the first gate never comes to the second.
 */
#define HOLDS_AHEAD 6
#define HELD_AHEAD_PPM 60000
/* Of the times that a task comes to a gate or to a block after it while a race is on, how many are holds. */
#define HELD_AT_GATE_PPM 500000
#define HELD_AFTER_PPM 50000
#define HELD_AFTER_AHEAD_PPM 2000
/* Who is held after the gate may have locked what the other side needs: few in a race, and not for long past its moment. */
#define HELD_AFTER_MOST 2
#define HELD_AFTER_US 100000
/* Where a spin lock is held everybody waits. */
#define HELD_ATOMIC_US 10000
/*
 * The same for partners, to be lowered by partner_percent. A task comes by many of them on its way to a function that the
 * series changes, where it can't be held any more.
 */
#define HELD_AT_PARTNER_PPM 80000
#define HELD_AFTER_PARTNER_PPM 8000
/*
 * swapoff itself is delayed as well, so that what it has read gets old, too. It goes through its blocks for each page: few
 * and short delays in a race, or there would be few swapoffs.
 */
#define SWAPOFF_LESS_OFTEN 8
#define SWAPOFF_MOST 4
#define SWAPOFF_SLEEP_US 5000
/*
 * What runs seldom has few chances to meet the other side, and what runs once has one: until a block has run RARE_HITS times its
 * chance is RARE_TIMES as high, and its busy waits are as much longer. After that the chance falls as the block runs on.
 */
#define RARE_HITS 16
#define RARE_TIMES 12
/* The longest delay of an RCU reader, by preemption: a grace period waits for it. */
#define READER_US 5000
/* Of the delays during which nobody else is delayed: one in so many. */
#define ALONE_ONE_IN 4

/* What a race is used for; the next one may be another. */
enum use { HOLD_AT_GATES, HOLD_AFTER_GATES, NO_HOLDS };
static const enum use USES[] = { HOLD_AT_GATES, HOLD_AT_GATES, HOLD_AFTER_GATES, NO_HOLDS };

enum where { BEFORE_GATE, GATE, AFTER_GATE, QUIET };

struct block {
	u32 offset;
	u16 target;
	u16 sides; /* of a claimed race: 1: A, 2: B, 3: both */
	bool partner;
	enum where where;
	atomic_t sleeps, spins, refused;
	atomic64_t hits;
};

/* A block that ran before anybody said which ones matter; an offset of 0 is a free place. */
struct early {
	u32 offset, hits;
};

struct line {
	char text[LINE_LENGTH];
	size_t used;
};

static DEFINE_STATIC_KEY_FALSE(patchrig_on);
/* From the first block of the boot until the first switch. */
static DEFINE_STATIC_KEY_TRUE(patchrig_early);
static struct early early[1 << EARLY_BITS];
/* Held while the blocks or the switch change; what the callback reads is settled before it is switched on. */
static DEFINE_MUTEX(patchrig_lock);

static struct block *blocks;
static u32 blocks_count;
/* Open addressing: a block's number plus 1, by its offset. At most half full. */
static u32 *places;
static u32 places_bits;
static char *targets[TARGETS_MAX];
static u32 targets_count;
/* How many holds there were in each function, at its gate and after it; -1: nobody has been there. */
static atomic_t gate_holds[TARGETS_MAX], after_holds[TARGETS_MAX];
/* The fewest of those, looked up when a race begins. */
static int fewest_gate_holds, fewest_after_holds;
/* The race that a task is still to be held in, once it may sleep, as in held_in: at its gate it might not. */
static u32 pending_in[1 << TURNS_BITS];
/* Holds after a gate, and delays of swapoff itself, that the race may still have. */
static atomic_t after_left, swapoff_left;

static u32 chance, partner_percent, sleep_us = 30000, spin_us = 1000, hold_us, rest = 10;
static u32 held, held_to_the_end;
/* How many races are on, how many are over, and how many of all came to their moment. */
static atomic_t races_on, races_over, moments;
static DECLARE_WAIT_QUEUE_HEAD(race_moved);
static struct task_struct *racers[RACERS_MAX];
static char moment_name[KSYM_NAME_LEN];
static u64 seed;
static bool kthreads = true;

/* How many choices a task has had, and who is being delayed right now. Tasks that share a slot do each other no harm. */
static u32 turns[1 << TURNS_BITS];
static u64 rested_at[1 << TURNS_BITS];
/* The race that a task was last held in, as the number of those over by its end. */
static u32 held_in[1 << TURNS_BITS];
static struct task_struct *delayed[1 << DELAYED_BITS];
/* Who is delayed alone: what all others do meanwhile goes on without delays, so that much of it comes to pass. */
static struct task_struct *alone;

void __sanitizer_cov_trace_pc(void);

static notrace struct block *find(u32 offset)
{
	u32 at = hash_32(offset, places_bits);

	for (; places[at]; at = (at + 1) & ((1u << places_bits) - 1))
		if (blocks[places[at] - 1].offset == offset)
			return &blocks[places[at] - 1];
	return NULL;
}

/* Where a block is, or where it would be; NULL where too many others are in its way. */
static notrace struct early *early_place(u32 offset)
{
	u32 at = hash_32(offset, EARLY_BITS);

	for (int step = 0; step < EARLY_STEPS; step++, at = (at + 1) & ((1u << EARLY_BITS) - 1)) {
		const u32 there = READ_ONCE(early[at].offset);

		if (!there || there == offset)
			return &early[at];
	}
	return NULL;
}

/* Anywhere in the boot, with nothing but memory. Two CPUs at one block may count it once. */
static notrace void early_reached(u32 offset)
{
	struct early *place;

	while ((place = early_place(offset))) {
		const u32 there = cmpxchg(&place->offset, 0, offset);

		if (there && there != offset)
			continue;
		if (READ_ONCE(place->hits) < U32_MAX)
			WRITE_ONCE(place->hits, place->hits + 1);
		return;
	}
}

static u32 early_hits(u32 offset)
{
	const struct early *place = early_place(offset);

	return place && place->offset == offset ? place->hits : 0;
}

/* splitmix64 */
static notrace u64 mixed(u64 x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/* A function of the seed, the task and how often it was asked, so that a run can be replayed. */
static notrace u64 chosen(void)
{
	u32 *turn = &turns[hash_32(current->pid, TURNS_BITS)];
	const u32 now = READ_ONCE(*turn);

	WRITE_ONCE(*turn, now + 1);
	return mixed(mixed(seed ^ ((u64)current->pid << 32)) ^ now);
}

/* arm64 has nothing to take the permission back for a while: no sleep with it. */
static notrace bool accessing_user(void)
{
#ifdef CONFIG_ARM64
	return system_uses_ttbr0_pan() || (system_uses_hw_pan() && !read_sysreg_s(SYS_PSTATE_PAN));
#else
	return false;
#endif
}

static notrace bool swapping_off(void)
{
	if (current->flags & PF_KTHREAD)
		return false;
	return oom_task_origin(current) || syscall_get_nr(current, task_pt_regs(current)) == __NR_swapoff;
}

static notrace bool may_be_delayed(const struct block *block)
{
	if (block->where == QUIET || system_state != SYSTEM_RUNNING || is_idle_task(current))
		return false;
	if ((current->flags & PF_KTHREAD) && !READ_ONCE(kthreads))
		return false;
	return !irqs_disabled();
}

static notrace bool may_sleep(void)
{
#ifdef CONFIG_DEBUG_ATOMIC_SLEEP
	if (current->non_block_count)
		return false;
#endif
	/* A task that has said what it waits for would find itself running. */
	return READ_ONCE(sleep_us) && preemptible() && !rcu_preempt_depth() &&
	       READ_ONCE(current->__state) == TASK_RUNNING && !accessing_user();
}

/* What a preemption may do to a reader, and a sleep may not: it only gives the CPU away. */
static notrace bool may_be_preempted(void)
{
	return READ_ONCE(sleep_us) && preemptible() && READ_ONCE(current->__state) == TASK_RUNNING && !accessing_user();
}

static notrace void spin(u32 us)
{
	const u64 end = ktime_get_mono_fast_ns() + (u64)us * NSEC_PER_USEC;

	while (ktime_get_mono_fast_ns() < end)
		cpu_relax();
}

static notrace void sleep_for(u32 random, u32 most)
{
	random %= most;
	/* Neither load nor a hung task. */
	usleep_range_state(random + 1, random + 1 + random / 8, TASK_IDLE);
}

static notrace u64 rest_until(u64 start, u32 percent)
{
	const u64 now = ktime_get_mono_fast_ns();

	return now + (now - start) * percent / 100;
}

/* Until the next interrupt, the tick at the latest: the CPUs of a guest share those of its host. */
static notrace void wait_for_interrupt(void)
{
	local_irq_disable();
#ifdef CONFIG_X86
	safe_halt();
#else
	cpu_do_idle();
	local_irq_enable();
#endif
}

/* Off the CPU as after a preemption, which RCU readers may be, too. */
static notrace void be_preempted(void)
{
	preempt_disable();
	set_tsk_need_resched(current);
	set_preempt_need_resched();
	preempt_enable();
	wait_for_interrupt();
}

static notrace void stay_preempted(u32 us)
{
	const u64 end = ktime_get_mono_fast_ns() + (u64)us * NSEC_PER_USEC;

	while (ktime_get_mono_fast_ns() < end)
		be_preempted();
}

/* 1: often enough. */
static notrace u32 times_as_rare(u64 hits)
{
	if (hits >= RARE_HITS * RARE_TIMES)
		return 1;
	return min(RARE_TIMES, RARE_HITS * RARE_TIMES / ((u32)hits + 1));
}

static notrace bool delayed_for(struct block *block, u32 random, bool swapoff)
{
	const u32 most = READ_ONCE(sleep_us), least_spin = READ_ONCE(spin_us);

	if (may_sleep()) {
		atomic_inc(&block->sleeps);
		sleep_for(random, swapoff ? min(most, SWAPOFF_SLEEP_US) : most);
	} else if (may_be_preempted()) {
		atomic_inc(&block->sleeps);
		stay_preempted(random % min(most, READER_US) + 1);
	} else if (least_spin) {
		atomic_inc(&block->spins);
		spin(random % (least_spin * times_as_rare(atomic64_read(&block->hits))) + 1);
	} else {
		atomic_inc(&block->refused);
		return false;
	}
	return true;
}

static notrace void delay(struct block *block, u32 random, bool swapoff)
{
	u64 *rested = &rested_at[hash_32(current->pid, TURNS_BITS)];
	const u64 start = ktime_get_mono_fast_ns();
	bool is_alone;

	if (start < READ_ONCE(*rested))
		return;
	is_alone = mixed(random) % ALONE_ONE_IN == 0 && !cmpxchg(&alone, NULL, current);
	if (delayed_for(block, random, swapoff))
		WRITE_ONCE(*rested, rest_until(start, READ_ONCE(rest)));
	if (is_alone)
		smp_store_release(&alone, NULL);
}

static void wake_held(struct irq_work *work)
{
	wake_up_all(&race_moved);
}

static DEFINE_IRQ_WORK(moment_work, wake_held);

#include "sites.h"

struct hold {
	u64 end; /* ktime */
	int over, moment; /* the counts that end it */
	bool after_gate;
};

static notrace bool hold_ends(struct hold *hold)
{
	const u64 now = ktime_get_mono_fast_ns();

	if (hold->after_gate && atomic_read(&moments) - hold->moment >= 0) {
		hold->end = min(hold->end, now + HELD_AFTER_US * NSEC_PER_USEC);
		hold->after_gate = false;
	}
	return atomic_read(&races_over) - hold->over >= 0 || now >= hold->end;
}

static notrace bool moment_ends(const struct hold *hold)
{
	return atomic_read(&moments) - hold->moment >= 0 || ktime_get_mono_fast_ns() >= hold->end;
}

static notrace void hold(struct hold *hold)
{
	WRITE_ONCE(held, held + 1);
	while (!hold_ends(hold))
		/* The tick bounds what nobody wakes up. */
		wait_event_idle_timeout(race_moved, hold_ends(hold), msecs_to_jiffies(10));
	if (atomic_read(&races_over) - hold->over >= 0)
		WRITE_ONCE(held_to_the_end, held_to_the_end + 1);
}

static notrace void hold_reader(struct hold *hold)
{
	WRITE_ONCE(held, held + 1);
	while (!moment_ends(hold))
		be_preempted();
	if (atomic_read(&moments) - hold->moment >= 0)
		WRITE_ONCE(held_to_the_end, held_to_the_end + 1);
}

static notrace void hold_atomic(struct hold *hold)
{
	hold->end = min(hold->end, ktime_get_mono_fast_ns() + HELD_ATOMIC_US * NSEC_PER_USEC);
	while (!moment_ends(hold))
		cpu_relax();
}

static notrace void delay_till_race_over(struct block *block)
{
	const bool after = block->where == AFTER_GATE;
	struct hold until = {
		.end = ktime_get_mono_fast_ns() + (u64)READ_ONCE(hold_us) * NSEC_PER_USEC,
		.over = atomic_read(&races_over) + 1,
		.moment = atomic_read(&moments) + 1,
		.after_gate = after,
	};

	const u32 slot = hash_32(current->pid, TURNS_BITS);

	/* Once in a race: where it is the race that waits for the task, it gets on. */
	if (READ_ONCE(held_in[slot]) == until.over || (after && atomic_dec_return(&after_left) < 0))
		return;
	WRITE_ONCE(held_in[slot], until.over);
	if (!block->partner)
		atomic_inc(after ? &after_holds[block->target] : &gate_holds[block->target]);
	if (may_sleep()) {
		atomic_inc(&block->sleeps);
		hold(&until);
	} else if (block->where == GATE && !block->partner) {
		atomic_inc(&block->spins);
		if (preemptible() && !accessing_user())
			hold_reader(&until);
		else
			hold_atomic(&until);
		/* What leads into the changed line may begin with the end of a lock: then before the next thing it calls. */
		WRITE_ONCE(pending_in[slot], until.over);
	}
}

/* At any block of an instrumented object. */
static notrace void hold_if_pending(void)
{
	u32 *pending = &pending_in[hash_32(current->pid, TURNS_BITS)];
	struct hold until = { .over = READ_ONCE(*pending) };

	if (!until.over)
		return;
	if (until.over != atomic_read(&races_over) + 1) {
		WRITE_ONCE(*pending, 0);
		return;
	}
	if (irqs_disabled() || !may_sleep())
		return;
	WRITE_ONCE(*pending, 0);
	until.end = ktime_get_mono_fast_ns() + (u64)READ_ONCE(hold_us) * NSEC_PER_USEC;
	hold(&until);
}

/* In its own slot a task comes here once at a time, although what delays it may be instrumented itself. */
static notrace void delay_once(struct block *block, u32 random, bool holding, bool swapoff)
{
	struct task_struct **slot = &delayed[hash_32(current->pid, DELAYED_BITS)];

	if (cmpxchg(slot, NULL, current)) {
		atomic_inc(&block->refused);
		return;
	}
	if (holding)
		delay_till_race_over(block);
	else
		delay(block, random, swapoff);
	smp_store_release(slot, NULL);
}

/* What the races that are on are used for. */
static notrace enum use use_now(void)
{
	if (!READ_ONCE(hold_us) || !atomic_read(&races_on))
		return NO_HOLDS;
	return USES[mixed(seed + atomic_read(&races_over)) % ARRAY_SIZE(USES)];
}

static notrace bool lags(atomic_t *holds, const int *fewest)
{
	atomic_cmpxchg(holds, -1, 0);
	return atomic_read(holds) <= READ_ONCE(*fewest) + HOLDS_AHEAD;
}

static notrace u32 for_partners(u32 ppm)
{
	return (u64)ppm * READ_ONCE(partner_percent) / 100;
}

static notrace bool held_at_gate(const struct block *block, u32 at)
{
	if (block->partner)
		return at < for_partners(HELD_AT_PARTNER_PPM) && may_sleep();
	return at < (lags(&gate_holds[block->target], &fewest_gate_holds) ? HELD_AT_GATE_PPM : HELD_AHEAD_PPM);
}

static notrace bool held_after(const struct block *block, u32 at)
{
	if (block->partner)
		return at < for_partners(HELD_AFTER_PARTNER_PPM) && may_sleep();
	return at < (lags(&after_holds[block->target], &fewest_after_holds) ? HELD_AFTER_PPM : HELD_AFTER_AHEAD_PPM);
}

static notrace bool held_here(const struct block *block, enum use use, u32 at)
{
	if (use == HOLD_AT_GATES)
		return block->where == GATE && held_at_gate(block, at);
	return use == HOLD_AFTER_GATES && block->where == AFTER_GATE && held_after(block, at);
}

static notrace u32 chance_of(const struct block *block, bool swapoff)
{
	const u32 whole = READ_ONCE(chance) * times_as_rare(atomic64_read(&block->hits));
	const u32 own = block->partner ? for_partners(whole) : whole;

	return swapoff ? own / SWAPOFF_LESS_OFTEN : own;
}

static noinline notrace void block_reached(u32 offset)
{
	struct block *block = find(offset);
	enum use use;
	bool holding, swapoff;
	u64 random;
	u32 at;

	/* Where no time may be lost, none is lost for a gate that lies behind either. */
	if (in_task() && !(block && block->where == QUIET)) {
		hold_if_pending();
		hold_if_passed();
	}
	if (!block)
		return;
	atomic64_inc(&block->hits);
	if (block->sides)
		sites_reached(block->sides, block - blocks);
	if (!READ_ONCE(chance) || !in_task())
		return;
	random = chosen();
	at = (u32)(random >> 32) % MILLION;
	use = use_now();
	swapoff = swapping_off();
	/* What others are held for is that swapoff goes on. */
	holding = !swapoff && held_here(block, use, at);
	/* On the way to a gate nobody is kept, and nobody with a reference in hand, who would keep the race from its end. */
	if (!holding && (use == HOLD_AT_GATES || at >= chance_of(block, swapoff) || READ_ONCE(alone)))
		return;
	if (may_be_delayed(block) && (!swapoff || atomic_dec_return(&swapoff_left) >= 0))
		delay_once(block, (u32)random, holding, swapoff);
	else
		atomic_inc(&block->refused);
}

void notrace __sanitizer_cov_trace_pc(void)
{
	if (static_branch_unlikely(&patchrig_on)) {
		/* Between user_access_begin() and user_access_end(), x86's permission must not leave with the task. */
		const unsigned long access = user_access_save();

		block_reached((u32)(_RET_IP_ - (unsigned long)_stext));
		user_access_restore(access);
	} else if (static_branch_unlikely(&patchrig_early)) {
		early_reached((u32)(_RET_IP_ - (unsigned long)_stext));
	}
}
EXPORT_SYMBOL(__sanitizer_cov_trace_pc);

/* The names stay: this file is part of the kernel, and the blocks refer to them until it ends. */
static int target_of(const char *name)
{
	char *kept;

	for (u32 i = 0; i < targets_count; i++)
		if (!strcmp(targets[i], name))
			return i;
	if (targets_count == TARGETS_MAX)
		return -ENOSPC;
	kept = kstrdup(name, GFP_KERNEL);
	if (!kept)
		return -ENOMEM;
	targets[targets_count] = kept;
	atomic_set(&gate_holds[targets_count], -1);
	atomic_set(&after_holds[targets_count], -1);
	return targets_count++;
}

static enum where where_of(char flag)
{
	switch (flag) {
	case 'g':
	case 'P':
		return GATE;
	case 'a':
	case 'p':
		return AFTER_GATE;
	case 'q':
		return QUIET;
	default:
		return BEFORE_GATE;
	}
}

static int add_block(char *flags)
{
	const char *offset_text = strsep(&flags, " "), *name = strsep(&flags, " ");
	struct block *block;
	u32 offset, sides;
	int target, error;

	if (!flags || !*flags || !*name || kstrtou32(offset_text, 16, &offset))
		return -EINVAL;
	if (blocks_count == BLOCKS_MAX)
		return -ENOSPC;
	target = target_of(name);
	if (target < 0)
		return target;
	sides = sides_of(flags);
	error = add_to_sites(blocks_count, sides);
	if (error)
		return error;
	block = &blocks[blocks_count++];
	block->offset = offset;
	block->sides = sides;
	block->target = target;
	block->partner = *flags == 'P' || *flags == 'p';
	block->where = where_of(*flags);
	return 0;
}

/* Lines come in pieces of any size. */
static ssize_t blocks_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	struct seq_file *seq = file->private_data;
	struct line *line = seq->private;
	char *text = memdup_user_nul(from, size);
	int error = 0;

	if (IS_ERR(text))
		return PTR_ERR(text);
	mutex_lock(&patchrig_lock);
	if (places)
		error = -EBUSY;
	for (size_t i = 0; i < size && !error; i++) {
		if (line->used == LINE_LENGTH)
			error = -E2BIG;
		else if (text[i] != '\n')
			line->text[line->used++] = text[i];
		else {
			line->text[line->used] = 0;
			line->used = 0;
			error = add_block(line->text);
		}
	}
	mutex_unlock(&patchrig_lock);
	kfree(text);
	return error ?: size;
}

static void *blocks_start(struct seq_file *seq, loff_t *at)
{
	return *at < blocks_count ? &blocks[*at] : NULL;
}

static void *blocks_next(struct seq_file *seq, void *block, loff_t *at)
{
	++*at;
	return blocks_start(seq, at);
}

static void blocks_stop(struct seq_file *seq, void *block)
{
}

static int blocks_show(struct seq_file *seq, void *at)
{
	const struct block *block = at;
	const u64 hits = atomic64_read(&block->hits);
	const u32 before = early_hits(block->offset);

	if (hits || before)
		seq_printf(seq, "%x %s %llu %d %d %d %u\n", block->offset, targets[block->target], hits,
			   atomic_read(&block->sleeps), atomic_read(&block->spins), atomic_read(&block->refused), before);
	return 0;
}

static const struct seq_operations blocks_seq = {
	.start = blocks_start,
	.next = blocks_next,
	.stop = blocks_stop,
	.show = blocks_show,
};

static int blocks_open(struct inode *inode, struct file *file)
{
	return seq_open_private(file, &blocks_seq, sizeof(struct line));
}

static const struct file_operations blocks_file = {
	.owner = THIS_MODULE,
	.open = blocks_open,
	.read = seq_read,
	.write = blocks_write,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

static void show_target(struct seq_file *seq, u32 target)
{
	u64 hits = 0, sleeps = 0, spins = 0, refused = 0;
	u32 count = 0, ran = 0;

	for (const struct block *block = blocks; block < blocks + blocks_count; block++) {
		const u64 own = atomic64_read(&block->hits);

		if (block->target != target)
			continue;
		count++;
		ran += own > 0;
		hits += own;
		sleeps += atomic_read(&block->sleeps);
		spins += atomic_read(&block->spins);
		refused += atomic_read(&block->refused);
	}
	seq_printf(seq, "%s %u %u %llu %llu %llu %llu\n", targets[target], count, ran, hits, sleeps, spins, refused);
}

static int targets_show(struct seq_file *seq, void *unused)
{
	for (u32 i = 0; i < targets_count; i++)
		show_target(seq, i);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(targets);

static int fill_places(void)
{
	if (!blocks_count)
		return -ENODATA;
	places_bits = max(4, ilog2(blocks_count) + 2);
	places = vcalloc(1u << places_bits, sizeof(*places));
	if (!places)
		return -ENOMEM;
	for (u32 i = 0; i < blocks_count; i++) {
		u32 at = hash_32(blocks[i].offset, places_bits);

		while (places[at])
			at = (at + 1) & ((1u << places_bits) - 1);
		places[at] = i + 1;
	}
	return 0;
}

static int on_set(void *unused, u64 value)
{
	int error = 0;

	mutex_lock(&patchrig_lock);
	if (value && !static_key_enabled(&patchrig_on)) {
		if (!places)
			error = fill_places();
		if (!error) {
			static_branch_disable(&patchrig_early);
			static_branch_enable(&patchrig_on);
		}
	} else if (!value && static_key_enabled(&patchrig_on)) {
		static_branch_disable(&patchrig_on);
		if (sites[0].count && sites[1].count)
			say_sites();
	}
	mutex_unlock(&patchrig_lock);
	return error;
}

static int on_get(void *unused, u64 *value)
{
	*value = static_key_enabled(&patchrig_on);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(on_file, on_get, on_set, "%llu\n");

static int fewest(const atomic_t *holds)
{
	int found = INT_MAX;

	for (u32 i = 0; i < targets_count; i++)
		if (atomic_read(&holds[i]) >= 0)
			found = min(found, atomic_read(&holds[i]));
	return found == INT_MAX ? 0 : found;
}

static int race_open(struct inode *inode, struct file *file)
{
	WRITE_ONCE(fewest_gate_holds, fewest(gate_holds));
	WRITE_ONCE(fewest_after_holds, fewest(after_holds));
	atomic_set(&after_left, HELD_AFTER_MOST);
	atomic_set(&swapoff_left, SWAPOFF_MOST);
	for (u32 i = 0; i < RACERS_MAX; i++)
		if (!cmpxchg(&racers[i], NULL, current)) {
			file->private_data = &racers[i];
			atomic_inc(&races_on);
			return nonseekable_open(inode, file);
		}
	return -EBUSY;
}

static int race_release(struct inode *inode, struct file *file)
{
	WRITE_ONCE(*(struct task_struct **)file->private_data, NULL);
	atomic_dec(&races_on);
	atomic_inc(&races_over);
	wake_up_all(&race_moved);
	return 0;
}

static const struct file_operations race_file = {
	.owner = THIS_MODULE,
	.open = race_open,
	.release = race_release,
};

static int moment_reached(struct kprobe *probe, struct pt_regs *regs)
{
	for (u32 i = 0; i < RACERS_MAX; i++)
		if (READ_ONCE(racers[i]) == current) {
			atomic_inc(&moments);
			/* Whoever is to be woken may not be woken from here. */
			irq_work_queue(&moment_work);
		}
	return 0;
}

static struct kprobe moment_probe = { .symbol_name = moment_name, .pre_handler = moment_reached };

static ssize_t moment_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	char *text, *name;
	int error;

	if (size > KSYM_NAME_LEN)
		return -E2BIG;
	text = memdup_user_nul(from, size);
	if (IS_ERR(text))
		return PTR_ERR(text);
	name = strim(text);
	mutex_lock(&patchrig_lock);
	/* Once: it is part of what the load is. */
	if (moment_name[0]) {
		error = strcmp(moment_name, name) ? -EBUSY : 0;
	} else if (strscpy(moment_name, name, sizeof(moment_name)) < 0) {
		moment_name[0] = 0;
		error = -E2BIG;
	} else {
		error = register_kprobe(&moment_probe);
		if (error)
			moment_name[0] = 0;
	}
	mutex_unlock(&patchrig_lock);
	kfree(text);
	return error ?: size;
}

static const struct file_operations moment_file = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = moment_write,
};

static int __init widen_init(void)
{
	struct dentry *folder = debugfs_create_dir("patchrig", NULL);

	blocks = vcalloc(BLOCKS_MAX, sizeof(*blocks));
	if (!blocks)
		return -ENOMEM;
	debugfs_create_file("blocks", 0600, folder, NULL, &blocks_file);
	debugfs_create_file("targets", 0400, folder, NULL, &targets_fops);
	debugfs_create_u32("chance", 0600, folder, &chance);
	debugfs_create_u32("partner_percent", 0600, folder, &partner_percent);
	debugfs_create_u32("sleep_us", 0600, folder, &sleep_us);
	debugfs_create_u32("spin_us", 0600, folder, &spin_us);
	debugfs_create_u32("hold_us", 0600, folder, &hold_us);
	debugfs_create_u32("held", 0400, folder, &held);
	debugfs_create_u32("held_to_the_end", 0400, folder, &held_to_the_end);
	debugfs_create_file("race", 0400, folder, NULL, &race_file);
	debugfs_create_file("moment", 0200, folder, NULL, &moment_file);
	debugfs_create_u32("rest", 0600, folder, &rest);
	debugfs_create_u64("seed", 0600, folder, &seed);
	debugfs_create_bool("kthreads", 0600, folder, &kthreads);
	debugfs_create_file("on", 0600, folder, NULL, &on_file);
	return 0;
}
late_initcall(widen_init);
