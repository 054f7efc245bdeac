// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Delay injection: which blocks are watched, who is delayed there, how long, and until when a task is held in a race. The file is
 * the kernel's own (kernels/overlays/widened), on headers that stand for the kernel's (fake_linux.h).
 */
#include "check.h"
#include "fake_linux.h"

/* The kernel is compiled without these. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include "lib/patchrig/widen.c"
#pragma GCC diagnostic pop

#define MS 1000000ull
#define ENTRY 0x10u
#define BEFORE 0x20u
#define AFTER 0x30u
#define NO_DELAY 0x40u
#define PARTNER_ENTRY 0x50u
#define PARTNER 0x60u

static struct task_struct task, swapoff_task;
static struct file blocks_handle, race_handle;
static bool early_used;

static void free_all(void)
{
	free(blocks);
	free(places);
	while (targets_count)
		free(targets[--targets_count]);
}

static void all_as_at_boot(void)
{
	free_all();
	places = NULL;
	blocks_count = places_bits = 0;
	memset(turns, 0, sizeof(turns));
	memset(rested_at, 0, sizeof(rested_at));
	memset(held_in, 0, sizeof(held_in));
	memset(pending_in, 0, sizeof(pending_in));
	memset(site_pending, 0, sizeof(site_pending));
	memset(sites, 0, sizeof(sites));
	sites[0].name = 'A';
	sites[1].name = 'B';
	site_turn = (atomic_t){ 0 };
	site_turn_began = site_held = 0;
	site_task = NULL;
	memset(racers, 0, sizeof(racers));
	memset(moment_name, 0, sizeof(moment_name));
	fewest_gate_holds = fewest_after_holds = 0;
	races_on = races_over = moments = after_left = swapoff_left = (atomic_t){ 0 };
	partner_percent = 25;
	chance = hold_us = held = held_to_the_end = 0;
	sleep_us = 30000;
	spin_us = 1000;
	rest = 0;
	seed = 1;
	kthreads = true;
	alone = NULL;
	patchrig_on.on = false;
	patchrig_early.on = true;
	/* It is large, and most tests leave it alone. */
	if (early_used)
		memset(early, 0, sizeof(early));
	early_used = false;
	widen_init();
}

static void nobody_in_the_way(void)
{
	task = (struct task_struct){ .pid = 77 };
	swapoff_task = (struct task_struct){ .pid = 99, .syscall = __NR_swapoff };
	current = &task;
	system_state = SYSTEM_RUNNING;
	fake_irqs_disabled = fake_in_interrupt = fake_not_preemptible = false;
	fake_rcu_depth = 0;
	meanwhile = NULL;
	sleeps_seen = waits_seen = halts_seen = relaxes_seen = slept_us = 0;
	register_kprobe_returns = 0;
	names_until_failure = UINT_MAX;
}

static ssize_t write_blocks(const char *text)
{
	loff_t at = 0;

	return blocks_write(&blocks_handle, text, strlen(text), &at);
}

static void open_blocks(void)
{
	if (blocks_handle.private_data) {
		free(((struct seq_file *)blocks_handle.private_data)->private);
		free(blocks_handle.private_data);
	}
	blocks_open(NULL, &blocks_handle);
}

/* Four blocks of one function, one of each kind; switched on. */
static void start_anew(void)
{
	nobody_in_the_way();
	all_as_at_boot();
	open_blocks();
	CHECK(write_blocks("10 f g\n20 f -\n30 f a\n40 f q\n50 other P\n60 other p\n") > 0);
	CHECK_NUMBER(on_set(NULL, 1), 0);
}

static void reach(u32 offset)
{
	early_used |= patchrig_early.on;
	fake_return_address = (unsigned long)_stext + offset;
	__sanitizer_cov_trace_pc();
}

static struct block *at(u32 offset)
{
	return find(offset);
}

static void blocks_are_read_from_lines_in_pieces(void)
{
	nobody_in_the_way();
	all_as_at_boot();
	open_blocks();
	CHECK_NUMBER(write_blocks("1f do_swap_page g\n2"), 19);
	CHECK_NUMBER(write_blocks("a do_swap_page -\nffffffff other "), 32);
	CHECK_NUMBER(blocks_count, 2);
	CHECK_NUMBER(write_blocks("a\n30 other q\n"), 13);
	CHECK_NUMBER(blocks_count, 4);
	CHECK_NUMBER(targets_count, 2);
	CHECK_NUMBER(on_set(NULL, 1), 0);
	CHECK(at(0x1f)->where == GATE && !strcmp(targets[at(0x1f)->target], "do_swap_page"));
	CHECK(at(0x2a)->where == BEFORE_GATE && at(0x2a)->target == at(0x1f)->target);
	CHECK(at(0xffffffff)->where == AFTER_GATE && !strcmp(targets[at(0xffffffff)->target], "other"));
	CHECK(at(0x30)->where == QUIET);
	CHECK(!at(0x31));
	CHECK_NUMBER(locks_held, 0);
}

static void a_line_that_is_none_is_refused(void)
{
	static const char *const lines[] = { "\n", "xyz f g\n", "10\n", "10 f\n", "10 f \n", "10  g\n", " f g\n", "100000000 f g\n" };
	char line[LINE_LENGTH + 20];

	for (unsigned int i = 0; i < ARRAY_SIZE(lines); i++) {
		nobody_in_the_way();
		all_as_at_boot();
		open_blocks();
		CHECK_NUMBER(write_blocks(lines[i]), -EINVAL);
	}
	memset(line, '1', sizeof(line));
	line[sizeof(line) - 1] = 0;
	open_blocks();
	CHECK_NUMBER(write_blocks(line), -E2BIG);
	CHECK_NUMBER(blocks_count, 0);
	CHECK_NUMBER(locks_held, 0);
}

static void a_function_s_name_has_any_length_that_the_kernel_knows(void)
{
	static const unsigned int lengths[] = { 1, 62, 63, 64, 65, 127, 128, KSYM_NAME_LEN - 2, KSYM_NAME_LEN - 1 };
	char name[KSYM_NAME_LEN], line[LINE_LENGTH + 1];

	nobody_in_the_way();
	all_as_at_boot();
	open_blocks();
	for (unsigned int i = 0; i < ARRAY_SIZE(lengths); i++) {
		memset(name, 'n', lengths[i]);
		name[lengths[i]] = 0;
		/* The longest offset, too, and a second block of the same function. */
		sprintf(line, "%x %s g\n", 0xffffff00 + i, name);
		CHECK_NUMBER(write_blocks(line), (ssize_t)strlen(line));
		sprintf(line, "%x %s q\n", i, name);
		CHECK_NUMBER(write_blocks(line), (ssize_t)strlen(line));
	}
	CHECK_NUMBER(targets_count, ARRAY_SIZE(lengths));
	CHECK_NUMBER(blocks_count, 2 * ARRAY_SIZE(lengths));
	CHECK_NUMBER(on_set(NULL, 1), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(lengths); i++) {
		CHECK_NUMBER(strlen(targets[i]), lengths[i]);
		CHECK(at(0xffffff00 + i)->where == GATE && at(0xffffff00 + i)->target == i);
		CHECK(at(i)->where == QUIET && at(i)->target == i);
	}
}

static void a_name_that_can_not_be_kept_is_no_block(void)
{
	nobody_in_the_way();
	all_as_at_boot();
	open_blocks();
	names_until_failure = 1;
	CHECK_NUMBER(write_blocks("10 f g\n20 g -\n"), -ENOMEM);
	CHECK_NUMBER(blocks_count, 1);
	CHECK_NUMBER(targets_count, 1);
	CHECK_NUMBER(locks_held, 0);
	/* The one that is there needs nothing. */
	CHECK_NUMBER(write_blocks("20 f -\n"), 7);
	CHECK_NUMBER(blocks_count, 2);
}

static void blocks_can_not_be_changed_once_it_is_on(void)
{
	start_anew();
	CHECK_NUMBER(write_blocks("70 f g\n"), -EBUSY);
	CHECK_NUMBER(on_set(NULL, 0), 0);
	CHECK_NUMBER(write_blocks("70 f g\n"), -EBUSY);
	CHECK_NUMBER(blocks_count, 6);
}

static void without_blocks_it_does_not_go_on(void)
{
	u64 on = 1;

	nobody_in_the_way();
	all_as_at_boot();
	CHECK_NUMBER(on_set(NULL, 1), -ENODATA);
	on_get(NULL, &on);
	CHECK_NUMBER(on, 0);
}

static void there_are_as_many_blocks_and_functions_as_there_is_room_for(void)
{
	char line[60];

	nobody_in_the_way();
	all_as_at_boot();
	open_blocks();
	for (unsigned int i = 0; i < BLOCKS_MAX; i++) {
		sprintf(line, "%x f%u -\n", i * 5, i % TARGETS_MAX);
		if (write_blocks(line) < 0)
			break;
	}
	CHECK_NUMBER(blocks_count, BLOCKS_MAX);
	CHECK_NUMBER(targets_count, TARGETS_MAX);
	CHECK_NUMBER(write_blocks("1 f0 -\n"), -ENOSPC);
	blocks_count--;
	CHECK_NUMBER(write_blocks("1 one_more -\n"), -ENOSPC);
	CHECK_NUMBER(on_set(NULL, 1), 0);
	for (unsigned int i = 0; i < BLOCKS_MAX - 1; i++)
		CHECK(at(i * 5) == &blocks[i]);
	CHECK(!at(1) && !at(4));
}

static void hits_are_counted_only_while_it_is_on(void)
{
	start_anew();
	patchrig_on.on = false;
	reach(ENTRY);
	patchrig_on.on = true;
	reach(ENTRY);
	reach(ENTRY);
	reach(0x11);
	/* No task is there to be delayed. */
	fake_in_interrupt = true;
	chance = MILLION;
	reach(BEFORE);
	CHECK_NUMBER(atomic64_read(&at(ENTRY)->hits), 2);
	CHECK_NUMBER(atomic64_read(&at(BEFORE)->hits), 1);
	CHECK_NUMBER(atomic64_read(&at(AFTER)->hits), 0);
	CHECK_NUMBER(sleeps_seen, 0);
}

static unsigned int delays_of(unsigned int ppm, u64 from_seed, int pid, u64 *lengths)
{
	start_anew();
	chance = ppm;
	seed = from_seed;
	task.pid = pid;
	*lengths = 0;
	for (unsigned int i = 0; i < 10000; i++) {
		const u64 before = sleeps_seen;

		reach(BEFORE);
		if (sleeps_seen > before) {
			*lengths = *lengths * 31 + slept_us;
			CHECK(slept_us >= 1 && slept_us <= 30000);
		}
	}
	CHECK_NUMBER(atomic_read(&at(BEFORE)->sleeps), sleeps_seen);
	return sleeps_seen;
}

/* So that each has the chance of blocks that run all the time. */
static void seen_often(void)
{
	for (u32 i = 0; i < blocks_count; i++)
		blocks[i].hits.counter = RARE_TIMES * RARE_HITS;
}

static void as_many_are_delayed_as_the_chance_says(void)
{
	u64 lengths;

	CHECK_NUMBER(delays_of(0, 1, 77, &lengths), 0);
	CHECK_NUMBER(delays_of(MILLION, 1, 77, &lengths), 10000);
	for (u64 from_seed = 1; from_seed < 6; from_seed++) {
		const unsigned int delays = delays_of(100000, from_seed, 77, &lengths);

		CHECK(delays > 900 && delays < 1100);
	}
}

/* So that a run can be replayed. */
static void the_seed_and_the_task_decide(void)
{
	u64 one, again, other_seed, other_task;

	CHECK_NUMBER(delays_of(100000, 1, 77, &one), delays_of(100000, 1, 77, &again));
	delays_of(100000, 2, 77, &other_seed);
	delays_of(100000, 1, 78, &other_task);
	CHECK(one == again);
	CHECK(one != other_seed && one != other_task);
}

/* One visit, with every block to be delayed at. */
static void visit(u32 offset)
{
	chance = MILLION;
	reach(offset);
}

static void who_may_not_be_preempted_spins(void)
{
	for (int why = 0; why < 2; why++) {
		u64 start;

		start_anew();
		seen_often();
		fake_not_preemptible = why == 0;
		task.__state = why == 1 ? 1 : TASK_RUNNING;
		start = fake_now;
		visit(BEFORE);
		CHECK_NUMBER(sleeps_seen, 0);
		CHECK_NUMBER(atomic_read(&at(BEFORE)->spins), 1);
		CHECK(fake_now > start && fake_now <= start + 1001 * 1000);
	}
	start_anew();
	sleep_us = 0;
	visit(BEFORE);
	CHECK_NUMBER(atomic_read(&at(BEFORE)->spins), 1);
	start_anew();
	fake_not_preemptible = true;
	spin_us = 0;
	visit(BEFORE);
	CHECK_NUMBER(atomic_read(&at(BEFORE)->refused), 1);
	CHECK_NUMBER(relaxes_seen, 0);
}

/* A grace period waits for it: not for long. */
static void an_rcu_reader_is_preempted(void)
{
	for (int why = 0; why < 2; why++) {
		u64 start;

		start_anew();
		fake_rcu_depth = why == 0;
		task.non_block_count = why == 1;
		for (int i = 0; i < 100; i++) {
			start = fake_now;
			visit(BEFORE);
			/* The last turn may end with a tick. */
			CHECK(fake_now > start && fake_now <= start + READER_US * 1000 + 10 * MS);
		}
		CHECK_NUMBER(sleeps_seen + relaxes_seen, 0);
		CHECK(halts_seen >= 100);
		CHECK_NUMBER(atomic_read(&at(BEFORE)->sleeps), 100);
	}
	start_anew();
	fake_rcu_depth = 1;
	sleep_us = 0;
	visit(BEFORE);
	CHECK_NUMBER(halts_seen, 0);
	CHECK_NUMBER(atomic_read(&at(BEFORE)->spins), 1);
}

static unsigned int delays_in_first(unsigned int visits)
{
	start_anew();
	chance = 20000;
	for (unsigned int i = 0; i < visits; i++) {
		task.pid = 1 + (int)i;
		reach(BEFORE);
	}
	return sleeps_seen;
}

static void what_ran_seldom_is_delayed_more_often(void)
{
	const unsigned int early_ones = delays_in_first(RARE_HITS * 4), all = delays_in_first(10000);

	CHECK(early_ones >= 5 && early_ones <= 16);
	/* As many as the chance says, and a few more. */
	CHECK(all > 160 && all < 250);
}

/* For as long as it takes to be often enough. */
static void what_ran_seldom_spins_for_longer(void)
{
	u64 longest = 0;

	start_anew();
	fake_not_preemptible = true;
	for (int i = 0; i < RARE_HITS; i++) {
		const u64 start = fake_now;

		visit(BEFORE);
		longest = max(longest, fake_now - start);
	}
	CHECK(longest > MS && longest <= 12 * MS + MS / 100);
	seen_often();
	for (int i = 0; i < 100; i++) {
		const u64 start = fake_now;

		visit(BEFORE);
		CHECK(fake_now <= start + 1001 * 1000);
	}
}

static struct task_struct neighbour = { .pid = 500 };

static void a_neighbour_comes_by(void)
{
	struct task_struct *const self = current;
	const u64 before = sleeps_seen;
	void (*const then)(void) = meanwhile;

	meanwhile = NULL;
	current = &neighbour;
	neighbour.pid++;
	reach(BEFORE);
	if (alone == self)
		CHECK_NUMBER(sleeps_seen, before);
	current = self;
	meanwhile = then;
}

static void some_are_delayed_alone(void)
{
	unsigned int alone_ones = 0;

	start_anew();
	chance = MILLION;
	for (int i = 0; i < 400; i++) {
		const u64 before = sleeps_seen;

		meanwhile = a_neighbour_comes_by;
		task.pid++;
		reach(BEFORE);
		/* The neighbour was delayed, too, or was not. */
		alone_ones += sleeps_seen == before + 1;
		CHECK(!alone);
	}
	CHECK(alone_ones > 60 && alone_ones < 140);
}

static void who_may_lose_no_time_is_not_delayed(void)
{
	for (int why = 0; why < 5; why++) {
		start_anew();
		fake_irqs_disabled = why == 0;
		task.is_idle = why == 1;
		system_state = why == 2 ? SYSTEM_BOOTING : SYSTEM_RUNNING;
		task.flags = why == 3 ? PF_KTHREAD : 0;
		kthreads = why != 3;
		visit(why == 4 ? NO_DELAY : BEFORE);
		CHECK_NUMBER(sleeps_seen + relaxes_seen, 0);
		CHECK_NUMBER(atomic_read(&at(why == 4 ? NO_DELAY : BEFORE)->refused), 1);
		CHECK_NUMBER(atomic64_read(&at(why == 4 ? NO_DELAY : BEFORE)->hits), 1);
	}
	/* A kernel thread is, unless that is switched off. */
	start_anew();
	task.flags = PF_KTHREAD;
	visit(BEFORE);
	CHECK_NUMBER(sleeps_seen, 1);
}

static void after_a_delay_a_task_is_left_alone_for_a_part_of_it(void)
{
	u64 end;

	start_anew();
	rest = 50;
	visit(BEFORE);
	end = fake_now + slept_us * 1000 / 2;
	fake_now = end - 1;
	visit(BEFORE);
	CHECK_NUMBER(sleeps_seen, 1);
	fake_now = end;
	visit(BEFORE);
	CHECK_NUMBER(sleeps_seen, 2);
	/* Its neighbour has a rest of its own. */
	task.pid = 78;
	visit(BEFORE);
	CHECK_NUMBER(sleeps_seen, 3);
}

static void what_delays_a_task_does_not_delay_it_again(void)
{
	start_anew();
	delayed[hash_32(task.pid, DELAYED_BITS)] = &task;
	visit(BEFORE);
	CHECK_NUMBER(sleeps_seen, 0);
	CHECK_NUMBER(atomic_read(&at(BEFORE)->refused), 1);
	delayed[hash_32(task.pid, DELAYED_BITS)] = NULL;
	visit(BEFORE);
	visit(BEFORE);
	CHECK_NUMBER(sleeps_seen, 2);
}

/* A swapoff is under way, for which holds are used in the given way. */
static void start_race(enum use use)
{
	start_anew();
	hold_us = 500000;
	chance = 1;
	/* The open file belongs to the task that swaps off. */
	current = &swapoff_task;
	CHECK_NUMBER(race_open(NULL, &race_handle), 0);
	current = &task;
	for (seed = 0; use_now() != use;)
		seed++;
}

static void end_race(void)
{
	race_release(NULL, &race_handle);
}

/* Visits by new tasks until one is held there; whether that came to be. */
static bool come_until_held(u32 offset)
{
	const u32 before = held;

	for (int i = 0; i < 1000 && held == before; i++) {
		task.pid++;
		reach(offset);
	}
	return held > before;
}

static u64 race_ends_at, cutoff_at;

static void end_race_in_time(void)
{
	if (cutoff_at && fake_now >= cutoff_at) {
		cutoff_at = 0;
		current = &swapoff_task;
		moment_reached(NULL, NULL);
		current = &task;
	}
	if (race_ends_at && fake_now >= race_ends_at) {
		race_ends_at = 0;
		end_race();
	}
}

static void a_race_is_used_in_three_ways(void)
{
	unsigned int uses[3] = { 0 };

	start_race(HOLD_AT_GATES);
	for (seed = 0; seed < 4000; seed++)
		uses[use_now()]++;
	CHECK(uses[HOLD_AT_GATES] > 1800 && uses[HOLD_AT_GATES] < 2200);
	CHECK(uses[HOLD_AFTER_GATES] > 850 && uses[HOLD_AFTER_GATES] < 1150);
	CHECK_NUMBER(uses[0] + uses[1] + uses[2], 4000);
	/* And in none without a race, or without holds. */
	for (seed = 0; use_now() != HOLD_AT_GATES;)
		seed++;
	hold_us = 0;
	CHECK_NUMBER(use_now(), NO_HOLDS);
	hold_us = 1;
	end_race();
	CHECK_NUMBER(use_now(), NO_HOLDS);
}

static void a_task_at_the_entry_is_held_until_the_race_is_over(void)
{
	u64 start;

	start_race(HOLD_AT_GATES);
	meanwhile = end_race_in_time;
	start = fake_now;
	race_ends_at = start + 200 * MS;
	CHECK(come_until_held(ENTRY));
	CHECK(fake_now >= start + 200 * MS && fake_now <= start + 210 * MS);
	CHECK_NUMBER(held_to_the_end, 1);
	CHECK_NUMBER(atomic_read(&at(ENTRY)->sleeps), 1);
	CHECK_NUMBER(sleeps_seen, 0);
}

static void a_hold_runs_out_of_time(void)
{
	u64 start;

	start_race(HOLD_AT_GATES);
	start = fake_now;
	CHECK(come_until_held(ENTRY));
	CHECK(fake_now >= start + 500 * MS && fake_now <= start + 510 * MS);
	CHECK_NUMBER(held, 1);
	CHECK_NUMBER(held_to_the_end, 0);
	end_race();
}

static void a_task_is_held_once_in_a_race(void)
{
	start_race(HOLD_AT_GATES);
	CHECK(come_until_held(ENTRY));
	for (int i = 0; i < 100; i++)
		reach(ENTRY);
	CHECK_NUMBER(held, 1);
	end_race();
	/* In the next race it may be again. */
	current = &swapoff_task;
	race_open(NULL, &race_handle);
	current = &task;
	for (seed = 0; use_now() != HOLD_AT_GATES;)
		seed++;
	for (int i = 0; i < 100; i++)
		reach(ENTRY);
	CHECK_NUMBER(held, 2);
	end_race();
}

static void on_the_way_to_the_entry_nobody_is_kept(void)
{
	start_race(HOLD_AT_GATES);
	chance = MILLION;
	for (int i = 0; i < 500; i++) {
		task.pid++;
		reach(BEFORE);
		reach(AFTER);
	}
	CHECK_NUMBER(sleeps_seen + waits_seen + held, 0);
	end_race();
	reach(BEFORE);
	CHECK_NUMBER(sleeps_seen, 1);
}

static void behind_the_entry_few_are_held_and_not_for_long_after_the_cutoff(void)
{
	u64 start;

	start_race(HOLD_AFTER_GATES);
	meanwhile = end_race_in_time;
	start = fake_now;
	cutoff_at = start + 50 * MS;
	CHECK(come_until_held(AFTER));
	/* 100 ms after the cutoff. */
	CHECK(fake_now >= start + 150 * MS && fake_now <= start + 170 * MS);
	CHECK(come_until_held(AFTER));
	CHECK(!come_until_held(AFTER));
	CHECK_NUMBER(held, HELD_AFTER_MOST);
	CHECK(!come_until_held(ENTRY));
	end_race();
}

/* swapoff waits for it: until swapoff says no to newcomers, and no longer. */
static void an_rcu_reader_is_held_until_the_cutoff(void)
{
	u64 start;

	start_race(HOLD_AT_GATES);
	fake_rcu_depth = 1;
	meanwhile = end_race_in_time;
	start = fake_now;
	cutoff_at = start + 60 * MS;
	CHECK(come_until_held(ENTRY));
	CHECK(fake_now >= start + 60 * MS && fake_now <= start + 64 * MS);
	CHECK_NUMBER(held_to_the_end, 1);
	CHECK_NUMBER(waits_seen, 0);
	CHECK(halts_seen > 0);
	/* And once more at the next block where it may sleep: until the race is over. */
	fake_rcu_depth = 0;
	race_ends_at = start + 300 * MS;
	reach(0x99);
	CHECK(fake_now >= start + 300 * MS && fake_now <= start + 310 * MS);
	CHECK_NUMBER(held_to_the_end, 2);
	reach(0x99);
	CHECK_NUMBER(held, 2);
}

static void a_hold_that_was_pending_is_one_hold(void)
{
	start_race(HOLD_AT_GATES);
	fake_rcu_depth = 1;
	CHECK(come_until_held(ENTRY));
	fake_rcu_depth = 0;
	reach(0x99);
	reach(0x99);
	CHECK_NUMBER(held, 2);
	CHECK_NUMBER(held_to_the_end, 0);
	end_race();
}

static void under_a_spin_lock_it_is_10_ms(void)
{
	u64 start;

	start_race(HOLD_AT_GATES);
	fake_not_preemptible = true;
	start = fake_now;
	for (int i = 0; i < 100 && !relaxes_seen; i++) {
		task.pid++;
		reach(ENTRY);
	}
	CHECK(relaxes_seen > 0);
	CHECK(fake_now >= start + 10 * MS && fake_now <= start + 11 * MS);
	CHECK_NUMBER(held, 0);
	CHECK_NUMBER(atomic_read(&at(ENTRY)->spins), 1);
	end_race();
}

static void a_hold_that_is_pending_ends_with_its_race(void)
{
	start_race(HOLD_AT_GATES);
	fake_not_preemptible = true;
	for (int i = 0; i < 100 && !relaxes_seen; i++) {
		task.pid++;
		reach(ENTRY);
	}
	end_race();
	fake_not_preemptible = false;
	reach(0x99);
	CHECK_NUMBER(held, 0);
	CHECK_NUMBER(pending_in[hash_32(task.pid, TURNS_BITS)], 0);
}

/* What calls another is on its way there first, and who is held at the first entry never comes to the second. */
static void a_function_that_is_ahead_is_mostly_passed_over(void)
{
	unsigned int lagging = 0, ahead = 0;

	start_race(HOLD_AT_GATES);
	for (u32 i = 0; i < 1000; i++) {
		const u32 random = i * (MILLION / 1000);

		atomic_set(&gate_holds[0], HOLDS_AHEAD);
		lagging += held_at_gate(at(ENTRY), random);
		atomic_set(&gate_holds[0], HOLDS_AHEAD + 1);
		ahead += held_at_gate(at(ENTRY), random);
	}
	CHECK_NUMBER(lagging, 500);
	CHECK_NUMBER(ahead, 60);
	end_race();
	/* Looked up when a race begins. */
	atomic_set(&gate_holds[0], 7);
	current = &swapoff_task;
	race_open(NULL, &race_handle);
	current = &task;
	CHECK_NUMBER(fewest_gate_holds, 7);
	CHECK_NUMBER(fewest_after_holds, 0);
	end_race();
}

/* The task itself or, of a swapoff that waits for memory, its mark. */
static void swap_off(bool by_mark)
{
	task.oom_origin = by_mark;
	task.syscall = by_mark ? 0 : __NR_swapoff;
	chance = MILLION;
	for (int i = 0; i < 1000; i++) {
		const u32 before = sleeps_seen;

		reach(BEFORE);
		CHECK(sleeps_seen == before || slept_us <= SWAPOFF_SLEEP_US);
	}
}

static void swapoff_is_delayed_a_few_times_in_a_race_and_shortly(void)
{
	for (int by_mark = 0; by_mark < 2; by_mark++) {
		start_race(NO_HOLDS);
		swap_off(by_mark);
		CHECK_NUMBER(sleeps_seen, SWAPOFF_MOST);
		end_race();
		/* Nobody waits for it then, and nobody is to wait for it. */
		start_anew();
		swap_off(by_mark);
		CHECK_NUMBER(sleeps_seen, 0);
	}
}

static void swapoff_is_never_held(void)
{
	start_race(HOLD_AT_GATES);
	task.syscall = __NR_swapoff;
	CHECK(!come_until_held(ENTRY));
	CHECK_NUMBER(sleeps_seen, 0);
	end_race();
	start_race(HOLD_AFTER_GATES);
	task.syscall = __NR_swapoff;
	CHECK(!come_until_held(AFTER));
	end_race();
}

static void partners_are_delayed_less_often(void)
{
	start_anew();
	seen_often();
	chance = 400000;
	for (int i = 0; i < 10000; i++)
		reach(PARTNER);
	CHECK(sleeps_seen > 900 && sleeps_seen < 1100);
	start_anew();
	chance = MILLION;
	partner_percent = 0;
	for (int i = 0; i < 1000; i++)
		reach(PARTNER);
	CHECK_NUMBER(sleeps_seen, 0);
	CHECK_NUMBER(atomic64_read(&at(PARTNER)->hits), 1000);
}

static unsigned int holds_at(u32 offset, enum use use, u32 percent)
{
	unsigned int chosen_for = 0;

	start_race(use);
	partner_percent = percent;
	for (u32 i = 0; i < 1000; i++)
		chosen_for += held_here(at(offset), use, i * (MILLION / 1000));
	end_race();
	return chosen_for;
}

static void partners_are_held_less_often(void)
{
	CHECK_NUMBER(holds_at(PARTNER_ENTRY, HOLD_AT_GATES, 25), 20);
	CHECK_NUMBER(holds_at(PARTNER, HOLD_AT_GATES, 25), 0);
	CHECK_NUMBER(holds_at(PARTNER, HOLD_AFTER_GATES, 25), 2);
	CHECK_NUMBER(holds_at(PARTNER_ENTRY, HOLD_AT_GATES, 0), 0);
	CHECK_NUMBER(holds_at(PARTNER, HOLD_AFTER_GATES, 0), 0);
}

/* It would have had its hold, and a changed function none. */
static void where_a_partner_may_not_sleep_nobody_is_held(void)
{
	start_race(HOLD_AT_GATES);
	fake_rcu_depth = 1;
	CHECK(!come_until_held(PARTNER_ENTRY));
	CHECK_NUMBER(halts_seen + relaxes_seen, 0);
	fake_rcu_depth = 0;
	CHECK(come_until_held(PARTNER_ENTRY));
	/* Changed functions are compared with each other alone. */
	CHECK_NUMBER(atomic_read(&gate_holds[at(PARTNER_ENTRY)->target]), -1);
	end_race();
}

static void only_the_task_that_swaps_off_comes_to_the_cutoff(void)
{
	start_race(HOLD_AT_GATES);
	moment_reached(NULL, NULL);
	CHECK_NUMBER(atomic_read(&moments), 0);
	current = &swapoff_task;
	moment_reached(NULL, NULL);
	CHECK_NUMBER(atomic_read(&moments), 1);
	end_race();
	moment_reached(NULL, NULL);
	CHECK_NUMBER(atomic_read(&moments), 1);
}

static void there_may_be_16_races_at_once(void)
{
	struct file files[RACERS_MAX + 1];

	start_anew();
	for (unsigned int i = 0; i < RACERS_MAX; i++)
		CHECK_NUMBER(race_open(NULL, &files[i]), 0);
	CHECK_NUMBER(race_open(NULL, &files[RACERS_MAX]), -EBUSY);
	CHECK_NUMBER(atomic_read(&races_on), RACERS_MAX);
	for (unsigned int i = 0; i < RACERS_MAX; i++)
		race_release(NULL, &files[i]);
	CHECK_NUMBER(atomic_read(&races_on), 0);
	CHECK_NUMBER(atomic_read(&races_over), RACERS_MAX);
	CHECK_NUMBER(race_open(NULL, &files[0]), 0);
	race_release(NULL, &files[0]);
}

static ssize_t write_cutoff(const char *name)
{
	loff_t position = 0;

	return moment_write(NULL, name, strlen(name), &position);
}

static void the_cutoff_is_set_once(void)
{
	char name[KSYM_NAME_LEN + 2];

	start_anew();
	register_kprobe_returns = -ENOENT;
	CHECK_NUMBER(write_cutoff("no_such_function"), -ENOENT);
	register_kprobe_returns = 0;
	CHECK_NUMBER(write_cutoff("synchronize_rcu\n"), 16);
	CHECK_TEXT(moment_probe.symbol_name, "synchronize_rcu");
	CHECK_NUMBER(write_cutoff("synchronize_rcu"), 15);
	CHECK_NUMBER(write_cutoff("schedule"), -EBUSY);
	CHECK_NUMBER(locks_held, 0);
	/* The longest name, with and without a newline; what is longer is no function's. */
	memset(name, 'a', sizeof(name));
	for (size_t size = KSYM_NAME_LEN - 1; size < sizeof(name); size++) {
		start_anew();
		name[size] = 0;
		CHECK_NUMBER(write_cutoff(name), size < KSYM_NAME_LEN ? (ssize_t)size : -E2BIG);
		CHECK_NUMBER(strlen(moment_name), size < KSYM_NAME_LEN ? size : 0);
		name[size] = 'a';
	}
	start_anew();
	strcpy(name + KSYM_NAME_LEN - 1, "\n");
	CHECK_NUMBER(write_cutoff(name), KSYM_NAME_LEN);
	CHECK_NUMBER(strlen(moment_name), KSYM_NAME_LEN - 1);
	CHECK_NUMBER(locks_held, 0);
}

static void what_ran_is_shown_by_block_and_by_function(void)
{
	static struct seq_file seq;
	loff_t position = 0;

	start_anew();
	visit(ENTRY);
	chance = 0;
	reach(BEFORE);
	reach(BEFORE);
	memset(&seq, 0, sizeof(seq));
	for (void *block = blocks_start(&seq, &position); block; block = blocks_next(&seq, block, &position))
		blocks_show(&seq, block);
	CHECK_TEXT(seq.text, "10 f 1 1 0 0 0\n20 f 2 0 0 0 0\n");
	memset(&seq, 0, sizeof(seq));
	targets_fops(&seq, NULL);
	CHECK_TEXT(seq.text, "f 4 2 3 1 0 0\nother 2 0 0 0 0 0\n");
}

static void what_ran_before_the_switch_is_shown_apart(void)
{
	static struct seq_file seq;
	loff_t position = 0;

	nobody_in_the_way();
	all_as_at_boot();
	open_blocks();
	reach(ENTRY);
	reach(AFTER);
	reach(AFTER);
	reach(0x11);
	CHECK(write_blocks("10 f g\n20 f -\n30 f a\n40 f q\n") > 0);
	reach(ENTRY);
	CHECK_NUMBER(on_set(NULL, 1), 0);
	reach(ENTRY);
	reach(BEFORE);
	CHECK_NUMBER(on_set(NULL, 0), 0);
	reach(ENTRY);
	memset(&seq, 0, sizeof(seq));
	for (void *block = blocks_start(&seq, &position); block; block = blocks_next(&seq, block, &position))
		blocks_show(&seq, block);
	CHECK_TEXT(seq.text, "10 f 1 0 0 0 2\n20 f 1 0 0 0 0\n30 f 0 0 0 0 2\n");
}

/* No block is taken for another one where many share a place, and none is looked for in vain for long. */
static void a_block_that_has_no_room_before_the_switch_is_not_counted(void)
{
	const u32 taken = hash_32(ENTRY, EARLY_BITS);

	nobody_in_the_way();
	all_as_at_boot();
	for (u32 i = 0; i < EARLY_STEPS; i++)
		early[(taken + i) & ((1u << EARLY_BITS) - 1)].offset = 0x1000 + i;
	reach(ENTRY);
	CHECK_NUMBER(early_hits(ENTRY), 0);
	early[(taken + 3) & ((1u << EARLY_BITS) - 1)].offset = 0;
	reach(ENTRY);
	reach(ENTRY);
	CHECK_NUMBER(early_hits(ENTRY), 2);
	early[(taken + 3) & ((1u << EARLY_BITS) - 1)].hits = U32_MAX;
	reach(ENTRY);
	CHECK_NUMBER(early_hits(ENTRY), U32_MAX);
}

#define PLACE_A 0x50u
#define PLACE_B 0x60u
#define PLACE_C 0x68u
#define PLACE_BOTH 0x70u
#define ELSEWHERE 0x80u

static struct task_struct other_task;

#define ONE_EACH "50 f A\n60 g B\n"

/* A task is held for 100 ms at most. */
static void start_with_sites(const char *lines)
{
	nobody_in_the_way();
	all_as_at_boot();
	other_task = (struct task_struct){ .pid = 78 };
	messages_seen = 0;
	open_blocks();
	CHECK(write_blocks(lines) > 0);
	CHECK_NUMBER(on_set(NULL, 1), 0);
	hold_us = 100000;
}

/* To a turn of which these are the choices. */
static void seek_turn(unsigned int site, bool after)
{
	while (wanted_site(site_choice()) != &sites[site] || held_after_block(site_choice()) != after)
		next_turn();
}

static void reach_as(struct task_struct *who, u32 offset)
{
	struct task_struct *before = current;

	current = who;
	reach(offset);
	current = before;
}

static void the_other_comes_by_at_b(void)
{
	meanwhile = NULL;
	reach_as(&other_task, PLACE_B);
	reach_as(&other_task, PLACE_B);
}

static void a_task_is_held_at_one_place_until_another_task_comes_by_at_the_other(void)
{
	u64 start;

	start_with_sites(ONE_EACH);
	seek_turn(0, false);
	meanwhile = the_other_comes_by_at_b;
	start = fake_now;
	reach(PLACE_A);
	CHECK(!meanwhile && waits_seen == 1 && fake_now - start < 100 * MS);
	CHECK_NUMBER(atomic_read(&sites[0].holds), 1);
	CHECK_NUMBER(atomic_read(&sites[0].met), 1);
	CHECK_NUMBER(atomic_read(&sites[0].passes), 2);
	CHECK_NUMBER(atomic_read(&sites[1].holds), 0);
	CHECK(!site_held && !site_task);
}

static void who_meets_nobody_goes_on_in_time(void)
{
	u64 start;

	start_with_sites(ONE_EACH);
	seek_turn(1, false);
	start = fake_now;
	reach(PLACE_B);
	CHECK(fake_now - start >= 100 * MS && fake_now - start < 120 * MS);
	CHECK_NUMBER(atomic_read(&sites[1].holds), 1);
	CHECK_NUMBER(atomic_read(&sites[1].met), 0);
	CHECK_NUMBER(messages_seen, 0);
}

static void the_same_place_is_no_meeting(void)
{
	start_with_sites(ONE_EACH);
	seek_turn(0, false);
	site_held = 1;
	site_task = &other_task;
	reach(PLACE_A);
	CHECK_NUMBER(atomic_read(&sites[0].passes), 0);
	CHECK_NUMBER(atomic_read(&sites[0].holds), 0);
}

static void the_other_comes_by_at_both(void)
{
	meanwhile = NULL;
	reach_as(&other_task, PLACE_BOTH);
}

static void at_a_block_of_both_places_two_tasks_meet(void)
{
	for (unsigned int site = 0; site < 2; site++) {
		start_with_sites("70 f AB\n");
		seek_turn(site, false);
		meanwhile = the_other_comes_by_at_both;
		reach(PLACE_BOTH);
		CHECK(!meanwhile);
		CHECK_NUMBER(atomic_read(&sites[site].holds), 1);
		CHECK_NUMBER(atomic_read(&sites[site].met), 1);
		CHECK_NUMBER(atomic_read(&sites[site].passes), 1);
		CHECK_NUMBER(atomic_read(&sites[!site].holds), 0);
		CHECK_NUMBER(atomic64_read(&sites[0].hits), 2);
		CHECK_NUMBER(atomic64_read(&sites[1].hits), 2);
	}
}

static void the_task_that_is_held_does_not_meet_itself_but_an_interrupt_of_it_does(void)
{
	start_with_sites(ONE_EACH);
	site_held = 1;
	site_task = &task;
	reach(PLACE_B);
	CHECK_NUMBER(atomic_read(&sites[0].passes), 0);
	fake_in_interrupt = true;
	reach(PLACE_B);
	CHECK_NUMBER(atomic_read(&sites[0].passes), 1);
	CHECK_NUMBER(atomic64_read(&sites[1].hits), 2);
}

static void the_other_comes_by_at_c(void)
{
	meanwhile = NULL;
	reach_as(&other_task, PLACE_C);
}

static void the_other_comes_by_at_b_and_later_at_c(void)
{
	meanwhile = the_other_comes_by_at_c;
	reach_as(&other_task, PLACE_B);
}

/* To a turn of A that waits for any block of the other place (0), or for the one of this number. */
static void seek_awaited(u32 awaited)
{
	do {
		next_turn();
		seek_turn(0, false);
	} while (awaited_block(&sites[1], mixed(site_choice())) != awaited);
}

static void some_turns_wait_for_one_block_of_the_other_place(void)
{
	start_with_sites("50 f A\n60 g B\n68 g B\n");
	reach_as(&other_task, PLACE_B);
	reach_as(&other_task, PLACE_C);
	seek_awaited(sites[1].blocks[1] + 1);
	waits_seen = 0;
	meanwhile = the_other_comes_by_at_b_and_later_at_c;
	reach(PLACE_A);
	CHECK(!meanwhile && waits_seen == 2);
	CHECK_NUMBER(atomic_read(&sites[0].passes), 2);
	CHECK_NUMBER(atomic_read(&sites[0].met), 1);
	seek_awaited(0);
	waits_seen = 0;
	meanwhile = the_other_comes_by_at_b;
	reach(PLACE_A);
	CHECK(!meanwhile && waits_seen == 1);
	CHECK_NUMBER(atomic_read(&sites[0].met), 2);
}

static void half_of_the_turns_hold_before_the_block_and_half_after_it(void)
{
	start_with_sites(ONE_EACH);
	seek_turn(0, true);
	reach(PLACE_A);
	CHECK_NUMBER(atomic_read(&sites[0].holds), 0);
	/* No block that is listed, but one of the same objects. */
	reach(ELSEWHERE);
	CHECK_NUMBER(atomic_read(&sites[0].holds), 1);
	reach(ELSEWHERE);
	CHECK_NUMBER(atomic_read(&sites[0].holds), 1);
}

static void both_places_have_their_turns(void)
{
	start_with_sites(ONE_EACH);
	for (unsigned int i = 0; i < 200; i++) {
		reach(PLACE_A);
		reach_as(&other_task, PLACE_B);
		time_goes_on(10 * MS);
	}
	CHECK(atomic_read(&sites[0].holds) > 20 && atomic_read(&sites[1].holds) > 20);
}

static void a_turn_for_which_nobody_comes_ends(void)
{
	start_with_sites(ONE_EACH);
	seek_turn(1, false);
	for (unsigned int i = 0; i < 1000 && !atomic_read(&sites[0].holds); i++) {
		reach(PLACE_A);
		time_goes_on(1 * MS);
	}
	CHECK(atomic_read(&sites[0].holds) > 0);
}

static void under_a_spin_lock_a_task_is_held_for_10_ms(void)
{
	u64 start;

	start_with_sites(ONE_EACH);
	seek_turn(0, false);
	fake_not_preemptible = true;
	start = fake_now;
	reach(PLACE_A);
	CHECK(fake_now - start >= 10 * MS && fake_now - start < 12 * MS);
	CHECK_NUMBER(atomic_read(&sites[0].holds), 1);
}

static void with_interrupts_off_or_without_holds_nobody_is_held(void)
{
	start_with_sites(ONE_EACH);
	seek_turn(0, false);
	fake_irqs_disabled = true;
	reach(PLACE_A);
	fake_irqs_disabled = false;
	hold_us = 0;
	reach(PLACE_A);
	CHECK_NUMBER(atomic_read(&sites[0].holds), 0);
	CHECK_NUMBER(atomic64_read(&sites[0].hits), 2);
}

static void swapoff_is_held_at_a_place_too(void)
{
	start_with_sites(ONE_EACH);
	seek_turn(0, false);
	reach_as(&swapoff_task, PLACE_A);
	CHECK_NUMBER(atomic_read(&sites[0].holds), 1);
}

static void meetings_are_said_at_powers_of_two_and_all_at_the_end(void)
{
	start_with_sites(ONE_EACH);
	while (atomic_read(&sites[0].met) < 5) {
		seek_turn(0, false);
		meanwhile = the_other_comes_by_at_b;
		reach(PLACE_A);
	}
	CHECK_NUMBER(messages_seen, 3);
	on_set(NULL, 0);
	CHECK_NUMBER(messages_seen, 4);
	CHECK_TEXT(fake_said, "patchrig: sites A 5 5 5 10 B 10 0 0 0\n");
}

static void without_places_nothing_is_said_of_them(void)
{
	start_anew();
	messages_seen = 0;
	on_set(NULL, 0);
	CHECK_NUMBER(messages_seen, 0);
}

static void a_place_has_only_so_many_blocks(void)
{
	char line[32];

	nobody_in_the_way();
	all_as_at_boot();
	open_blocks();
	for (unsigned int i = 0; i < SITE_BLOCKS_MAX; i++) {
		snprintf(line, sizeof(line), "%x f A\n", i);
		CHECK(write_blocks(line) > 0);
	}
	CHECK_NUMBER(write_blocks("ffff f A\n"), -ENOSPC);
	CHECK(write_blocks("fffe f B\n") > 0);
}

int main(void)
{
	RUN(blocks_are_read_from_lines_in_pieces);
	RUN(a_line_that_is_none_is_refused);
	RUN(a_function_s_name_has_any_length_that_the_kernel_knows);
	RUN(a_name_that_can_not_be_kept_is_no_block);
	RUN(blocks_can_not_be_changed_once_it_is_on);
	RUN(without_blocks_it_does_not_go_on);
	RUN(there_are_as_many_blocks_and_functions_as_there_is_room_for);
	RUN(hits_are_counted_only_while_it_is_on);
	RUN(as_many_are_delayed_as_the_chance_says);
	RUN(the_seed_and_the_task_decide);
	RUN(who_may_not_be_preempted_spins);
	RUN(an_rcu_reader_is_preempted);
	RUN(what_ran_seldom_is_delayed_more_often);
	RUN(what_ran_seldom_spins_for_longer);
	RUN(some_are_delayed_alone);
	RUN(who_may_lose_no_time_is_not_delayed);
	RUN(after_a_delay_a_task_is_left_alone_for_a_part_of_it);
	RUN(what_delays_a_task_does_not_delay_it_again);
	RUN(a_race_is_used_in_three_ways);
	RUN(a_task_at_the_entry_is_held_until_the_race_is_over);
	RUN(a_hold_runs_out_of_time);
	RUN(a_task_is_held_once_in_a_race);
	RUN(on_the_way_to_the_entry_nobody_is_kept);
	RUN(behind_the_entry_few_are_held_and_not_for_long_after_the_cutoff);
	RUN(an_rcu_reader_is_held_until_the_cutoff);
	RUN(a_hold_that_was_pending_is_one_hold);
	RUN(under_a_spin_lock_it_is_10_ms);
	RUN(a_hold_that_is_pending_ends_with_its_race);
	RUN(a_function_that_is_ahead_is_mostly_passed_over);
	RUN(swapoff_is_delayed_a_few_times_in_a_race_and_shortly);
	RUN(swapoff_is_never_held);
	RUN(partners_are_delayed_less_often);
	RUN(partners_are_held_less_often);
	RUN(where_a_partner_may_not_sleep_nobody_is_held);
	RUN(only_the_task_that_swaps_off_comes_to_the_cutoff);
	RUN(there_may_be_16_races_at_once);
	RUN(the_cutoff_is_set_once);
	RUN(what_ran_is_shown_by_block_and_by_function);
	RUN(what_ran_before_the_switch_is_shown_apart);
	RUN(a_block_that_has_no_room_before_the_switch_is_not_counted);
	RUN(a_task_is_held_at_one_place_until_another_task_comes_by_at_the_other);
	RUN(who_meets_nobody_goes_on_in_time);
	RUN(the_same_place_is_no_meeting);
	RUN(at_a_block_of_both_places_two_tasks_meet);
	RUN(the_task_that_is_held_does_not_meet_itself_but_an_interrupt_of_it_does);
	RUN(some_turns_wait_for_one_block_of_the_other_place);
	RUN(half_of_the_turns_hold_before_the_block_and_half_after_it);
	RUN(both_places_have_their_turns);
	RUN(a_turn_for_which_nobody_comes_ends);
	RUN(under_a_spin_lock_a_task_is_held_for_10_ms);
	RUN(with_interrupts_off_or_without_holds_nobody_is_held);
	RUN(swapoff_is_held_at_a_place_too);
	RUN(meetings_are_said_at_powers_of_two_and_all_at_the_end);
	RUN(without_places_nothing_is_said_of_them);
	RUN(a_place_has_only_so_many_blocks);
	free_all();
	free(((struct seq_file *)blocks_handle.private_data)->private);
	free(blocks_handle.private_data);
	return check_result();
}
