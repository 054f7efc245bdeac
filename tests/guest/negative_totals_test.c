// SPDX-License-Identifier: GPL-2.0-or-later
/* Totals below zero, from the kernel's log: no other message is taken for one. */
#include "accounting.h"
#include "check.h"
#include "fake_kernel.h"

static struct accounting accounting;

static void start_anew(void)
{
	memset(shared, 0, sizeof(*shared));
	memset(&accounting, 0, sizeof(accounting));
}

static void a_record_of_the_log_is_a_total(void)
{
	start_anew();
	negative_totals_in("4,1234,567890,-,caller=T81;vmstat_refresh: nr_swapcached -5\n", &accounting);
	CHECK_NUMBER(accounting.negative_count, 1);
	CHECK_TEXT(accounting.negative[0].name, "nr_swapcached");
	CHECK_NUMBER(accounting.negative[0].value, -5);
}

static void other_messages_are_none(void)
{
	start_anew();
	negative_totals_in("4,1,2,-;swapin (81): drop_caches: 3\n", &accounting);
	negative_totals_in("4,1,2,-;vmstat_refresh: nr_x 5\n", &accounting);
	negative_totals_in("4,1,2,-;vmstat_refresh: nr_x", &accounting);
	negative_totals_in("4,1,2,-;vmstat_refresh: ", &accounting);
	negative_totals_in("", &accounting);
	CHECK_NUMBER(accounting.negative_count, 0);
}

static void several_are_all_taken_up_to_an_end(void)
{
	start_anew();
	negative_totals_in("vmstat_refresh: nr_isolated_anon -1\nvmstat_refresh: nr_shmem -16\n", &accounting);
	CHECK_NUMBER(accounting.negative_count, 2);
	CHECK_NUMBER(accounting.negative[1].value, -16);
	for (unsigned int i = 0; i < 2 * NEGATIVE_TOTALS_MAX; i++)
		negative_totals_in("vmstat_refresh: nr_shmem -16\n", &accounting);
	CHECK_NUMBER(accounting.negative_count, NEGATIVE_TOTALS_MAX);
}

static void a_kernel_that_can_not_be_asked_lacks_them(void)
{
	start_anew();
	accounting.negative_count = 3;
	totals_refresh(&accounting);
	CHECK_NUMBER(accounting.negative_count, 0);
	CHECK_NUMBER(shared->figures_lacking_count, 1);
	CHECK_TEXT(shared->figures_lacking[0].name, "negative");
	kernel_file("/proc/sys/vm/stat_refresh", "");
	totals_refresh(&accounting);
	CHECK_TEXT(kernel_text("/proc/sys/vm/stat_refresh"), "1");
}

int main(void)
{
	shared_new();
	RUN(a_record_of_the_log_is_a_total);
	RUN(other_messages_are_none);
	RUN(several_are_all_taken_up_to_an_end);
	RUN(a_kernel_that_can_not_be_asked_lacks_them);
	return check_result();
}
