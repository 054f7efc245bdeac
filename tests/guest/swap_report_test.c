// SPDX-License-Identifier: GPL-2.0-or-later
/* What /proc/swaps says, right and wrong. */
#include <fcntl.h>
#include <unistd.h>

#include "check.h"
#include "swap-report.h"

#define HEAD "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

static char wrong[100];

static bool right(const char *text)
{
	const int file = open("swaps", O_RDWR | O_CREAT | O_TRUNC, 0600);
	bool is;

	wrong[0] = 0;
	CHECK(write(file, text, strlen(text)) == (ssize_t)strlen(text));
	/* Wherever it was read to. */
	is = swap_report_is_right(file, wrong, sizeof(wrong));
	close(file);
	return is;
}

static void areas_of_any_number_are_right(void)
{
	CHECK(right(""));
	CHECK(right(HEAD));
	CHECK(right(HEAD "/dev/zram0                              partition\t2044\t\t2044\t\t10\n"
			 "/mnt/2/swap                             file\t\t2044\t\t0\t\t10\n"));
}

static void one_that_is_there_twice_is_wrong(void)
{
	CHECK(!right(HEAD "/dev/a partition 20 0 1\n/dev/b partition 20 0 1\n/dev/a partition 20 4 1\n"));
	CHECK_TEXT(wrong, "/dev/a is there twice");
}

static void one_that_uses_more_than_it_has_is_wrong(void)
{
	CHECK(!right(HEAD "/dev/a partition 20 24 1\n"));
	CHECK_TEXT(wrong, "/dev/a uses 24 of 20 kB");
	CHECK(!right(HEAD "/dev/a partition 20 18446744073709551612 1\n"));
}

static void the_host_has_no_more_swap_free_than_it_has(void)
{
	CHECK(swap_sums_are_right(wrong, sizeof(wrong)));
}

int main(void)
{
	RUN(areas_of_any_number_are_right);
	RUN(one_that_is_there_twice_is_wrong);
	RUN(one_that_uses_more_than_it_has_is_wrong);
	RUN(the_host_has_no_more_swap_free_than_it_has);
	return check_result();
}
