/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two places of a claimed race, A and B: a task is held at one of them until another one has come by at the other. Part of
 * widen.c, which says what a block is, who may sleep, and what time it is.
 *
 * One task is held at a time. Whether at A or at B, at which block, before or after that block, and for what of the other place
 * it waits, is a turn; the seed and the turn's number decide. A turn ends with its hold, or when nobody has come to be held.
 * In half of the turns the task waits for any block of the other place, in the others for a certain one: where that is a long
 * function, what the race needs may be near its end.
 *
 * In the kernel's log, when the meetings have become 1, 2, 4, 8, ..., and at the end (patchrig/on: 0):
 *   patchrig: sites A HITS HOLDS MET PASSES B HITS HOLDS MET PASSES
 * HITS: executions of the blocks of the place. HOLDS: how often a task was held there. MET: in how many of those the other
 * place was passed by another task or an interrupt. PASSES: how often it was, altogether.
 */
#define SITE_BLOCKS_MAX 4096
#define TURN_US 50000

struct site {
	char name;
	u32 count; /* of its blocks */
	u32 blocks[SITE_BLOCKS_MAX];
	atomic64_t hits;
	atomic_t holds, met, passes;
	atomic_t ends; /* of waits of those who are held here */
};

static struct site sites[2] = { { .name = 'A' }, { .name = 'B' } };
static atomic_t site_turn;
static u64 site_turn_began;
/* The place at which a task is held, from 1, and the task. */
static u32 site_held;
static struct task_struct *site_task;
/* For what it waits: a block of the other place, plus 1; 0: any. */
static u32 site_awaited;
/* The turn, plus 1, in which a task is to be held at the next block that it comes to. */
static u32 site_pending[1 << TURNS_BITS];

static notrace u64 site_choice(void)
{
	return mixed(mixed(seed) ^ (u32)atomic_read(&site_turn));
}

static notrace struct site *wanted_site(u64 choice)
{
	return &sites[choice & 1];
}

static notrace bool held_after_block(u64 choice)
{
	return choice >> 1 & 1;
}

static notrace struct site *other_site(const struct site *site)
{
	return &sites[site == sites];
}

/* Of the blocks that ran, so that no turn waits for one that never does. */
static notrace u32 wanted_block(const struct site *site, u64 choice)
{
	const u32 first = (u32)(choice >> 32) % site->count;

	for (u32 i = 0; i < site->count; i++) {
		const u32 number = site->blocks[(first + i) % site->count];

		if (atomic64_read(&blocks[number].hits))
			return number;
	}
	return site->blocks[first];
}

/* Plus 1; 0: any of them. */
static notrace u32 awaited_block(const struct site *site, u64 random)
{
	return random >> 2 & 1 && site->count ? wanted_block(site, mixed(random)) + 1 : 0;
}

static notrace void next_turn(void)
{
	WRITE_ONCE(site_turn_began, ktime_get_mono_fast_ns());
	atomic_inc(&site_turn);
}

static notrace void say_sites(void)
{
	const struct site *a = &sites[0], *b = &sites[1];

	pr_info("patchrig: sites A %llu %d %d %d B %llu %d %d %d\n", (unsigned long long)atomic64_read(&a->hits),
		atomic_read(&a->holds), atomic_read(&a->met), atomic_read(&a->passes),
		(unsigned long long)atomic64_read(&b->hits), atomic_read(&b->holds), atomic_read(&b->met),
		atomic_read(&b->passes));
}

static notrace bool passed_since(const struct site *site, int passes)
{
	return atomic_read(&site->passes) != passes;
}

static notrace bool has_ended(const struct site *site, int ends)
{
	return atomic_read(&site->ends) != ends;
}

static notrace void wait_for_pass(const struct site *site, int ends)
{
	const u64 start = ktime_get_mono_fast_ns(), end = start + (u64)READ_ONCE(hold_us) * NSEC_PER_USEC;
	const u64 atomic_end = min(end, start + HELD_ATOMIC_US * NSEC_PER_USEC);

	while (!has_ended(site, ends) && ktime_get_mono_fast_ns() < end) {
		if (may_sleep())
			wait_event_idle_timeout(race_moved, has_ended(site, ends), msecs_to_jiffies(10));
		else if (preemptible() && !accessing_user())
			be_preempted();
		else if (ktime_get_mono_fast_ns() < atomic_end)
			cpu_relax();
		else
			return;
	}
}

/* The other one has begun: it may come to its end, get a part of the way, or run side by side with this one. */
static notrace void linger(u64 random)
{
	if (!(random & 3))
		return;
	if (may_sleep())
		sleep_for((u32)(random >> 32), READ_ONCE(sleep_us));
	else if (READ_ONCE(spin_us))
		spin((u32)(random >> 32) % READ_ONCE(spin_us) + 1);
}

static notrace void hold_at_site(struct site *site, u64 random)
{
	const struct site *other = other_site(site);
	const int passes = atomic_read(&site->passes), ends = atomic_read(&site->ends);
	u32 meetings;

	if (cmpxchg(&site_held, 0, site - sites + 1))
		return;
	WRITE_ONCE(site_task, current);
	WRITE_ONCE(site_awaited, awaited_block(other, random));
	atomic_inc(&site->holds);
	wait_for_pass(site, ends);
	if (passed_since(site, passes)) {
		linger(random);
		atomic_inc(&site->met);
		meetings = atomic_read(&sites[0].met) + atomic_read(&sites[1].met);
		/* A guest that crashes has no end at which it could say so. */
		if (is_power_of_2(meetings) && preemptible())
			say_sites();
	}
	next_turn();
	WRITE_ONCE(site_task, NULL);
	smp_store_release(&site_held, 0);
}

static notrace bool may_be_held(void)
{
	if (!READ_ONCE(hold_us) || READ_ONCE(site_held) || system_state != SYSTEM_RUNNING || is_idle_task(current))
		return false;
	return ((current->flags & PF_KTHREAD) == 0 || READ_ONCE(kthreads)) && !irqs_disabled();
}

static notrace void hold_once(struct site *site, u64 random)
{
	struct task_struct **slot = &delayed[hash_32(current->pid, DELAYED_BITS)];

	if (cmpxchg(slot, NULL, current))
		return;
	hold_at_site(site, random);
	smp_store_release(slot, NULL);
}

/* At any block of an instrumented object: the first after that which was to be passed. */
static notrace void hold_if_passed(void)
{
	u32 *pending = &site_pending[hash_32(current->pid, TURNS_BITS)];
	u64 choice;

	if (!READ_ONCE(*pending))
		return;
	choice = site_choice();
	if (READ_ONCE(*pending) != (u32)atomic_read(&site_turn) + 1) {
		WRITE_ONCE(*pending, 0);
		return;
	}
	if (!may_be_held())
		return;
	WRITE_ONCE(*pending, 0);
	hold_once(wanted_site(choice), mixed(choice));
}

/* Whether somebody is held at the other place, who has now met this one. */
static notrace bool passed_by(const struct site *site, u32 number)
{
	const u32 at = READ_ONCE(site_held), awaited = READ_ONCE(site_awaited);

	if (!at || &sites[at - 1] == site || (in_task() && READ_ONCE(site_task) == current))
		return false;
	atomic_inc(&sites[at - 1].passes);
	if (!awaited || awaited == number + 1) {
		atomic_inc(&sites[at - 1].ends);
		irq_work_queue(&moment_work);
	}
	return true;
}

static notrace bool is_at(const struct site *site, u32 sides)
{
	return sides >> (site - sites) & 1;
}

/* A block, of one of the places or of both: two tasks in one function may race, too. */
static notrace void sites_reached(u32 sides, u32 number)
{
	const u64 choice = site_choice();
	struct site *const wanted = wanted_site(choice);
	bool passed = false;

	for (struct site *site = sites; site < sites + ARRAY_SIZE(sites); site++) {
		if (!is_at(site, sides))
			continue;
		atomic64_inc(&site->hits);
		passed |= passed_by(site, number);
	}
	if (passed || !in_task() || !may_be_held())
		return;
	if (!is_at(wanted, sides) || wanted_block(wanted, choice) != number) {
		if (ktime_get_mono_fast_ns() > READ_ONCE(site_turn_began) + TURN_US * NSEC_PER_USEC)
			next_turn();
		return;
	}
	if (held_after_block(choice))
		WRITE_ONCE(site_pending[hash_32(current->pid, TURNS_BITS)], (u32)atomic_read(&site_turn) + 1);
	else
		hold_once(wanted, mixed(choice));
}

static u32 sides_of(const char *flags)
{
	u32 sides = 0;

	for (struct site *site = sites; site < sites + ARRAY_SIZE(sites); site++)
		if (strchr(flags, site->name))
			sides |= 1 << (site - sites);
	return sides;
}

static int add_to_sites(u32 number, u32 sides)
{
	for (struct site *site = sites; site < sites + ARRAY_SIZE(sites); site++) {
		if (!is_at(site, sides))
			continue;
		if (site->count == SITE_BLOCKS_MAX)
			return -ENOSPC;
		site->blocks[site->count++] = number;
	}
	return 0;
}
