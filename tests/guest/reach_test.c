// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which blocks are recorded, and when. The file is the kernel's own (kernels/overlays/reach), on headers that stand for the
 * kernel's (fake_linux.h).
 */
#include "check.h"

/* The kernel is compiled without these; and the headers have more in them than this file asks for. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include "fake_linux.h"
#include "lib/patchrig/reach.c"
#pragma GCC diagnostic pop

static void as_at_boot(void)
{
	free(reached);
	patchrig_on.on = false;
	reach_init();
}

static void run_block(unsigned long offset)
{
	fake_return_address = (unsigned long)_stext + offset;
	__sanitizer_cov_trace_pc();
}

static const char *list(void)
{
	static struct seq_file seq;
	loff_t at = 0;

	seq.text[0] = 0;
	for (void *block = reached_start(&seq, &at); block; block = reached_next(&seq, block, &at))
		reached_show(&seq, block);
	return seq.text;
}

static void nothing_is_recorded_before_it_is_switched_on(void)
{
	u64 on;

	run_block(0x10);
	CHECK_TEXT(list(), "");
	CHECK(!on_get(NULL, &on) && !on);
}

static void each_block_is_listed_once_by_its_address(void)
{
	on_set(NULL, 1);
	run_block(0x3f0);
	run_block(0x10);
	run_block(0x10);
	run_block(0x11);
	CHECK_TEXT(list(), "10 - 1 0 0 0\n11 - 1 0 0 0\n3f0 - 1 0 0 0\n");
}

static void what_ran_stays_when_it_is_switched_off(void)
{
	on_set(NULL, 1);
	run_block(0x10);
	on_set(NULL, 0);
	run_block(0x20);
	CHECK_TEXT(list(), "10 - 1 0 0 0\n");
}

static void switching_it_on_forgets_what_ran_before(void)
{
	on_set(NULL, 1);
	run_block(0x10);
	on_set(NULL, 0);
	on_set(NULL, 1);
	run_block(0x20);
	CHECK_TEXT(list(), "20 - 1 0 0 0\n");
	/* It is on already. */
	on_set(NULL, 1);
	CHECK_TEXT(list(), "20 - 1 0 0 0\n");
	CHECK(!locks_held);
}

static void text_behind_that_of_the_running_kernel_is_left_alone(void)
{
	on_set(NULL, 1);
	run_block(FAKE_TEXT_BYTES - 1);
	run_block(FAKE_TEXT_BYTES);
	run_block(FAKE_TEXT_BYTES * 1000);
	run_block(-16ul);
	CHECK_TEXT(list(), "3ff - 1 0 0 0\n");
}

int main(void)
{
	as_at_boot();
	RUN(nothing_is_recorded_before_it_is_switched_on);
	as_at_boot();
	RUN(each_block_is_listed_once_by_its_address);
	as_at_boot();
	RUN(what_ran_stays_when_it_is_switched_off);
	as_at_boot();
	RUN(switching_it_on_forgets_what_ran_before);
	as_at_boot();
	RUN(text_behind_that_of_the_running_kernel_is_left_alone);
	free(reached);
	return check_result();
}
