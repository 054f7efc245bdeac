// SPDX-License-Identifier: GPL-2.0-or-later
/* Files of the kernel's: a setting that does not take is never taken for one that did. */
#include <errno.h>

#include "check.h"
#include "fake_kernel.h"
#include "textfile.h"

#define FILE_NAME "/proc/sys/vm/page-cluster"

static void a_text_is_written_whole(void)
{
	kernel_file(FILE_NAME, "");
	CHECK(put_text(FILE_NAME, "3"));
	CHECK_TEXT(kernel_text(FILE_NAME), "3");
}

static void no_file_is_made(void)
{
	CHECK(!put_text("/proc/sys/vm/none", "3"));
	CHECK_NUMBER(errno, ENOENT);
	CHECK_TEXT(kernel_text("/proc/sys/vm/none"), "");
}

static void a_write_that_fails_says_why(void)
{
	CHECK(!put_text("/dev/full", "3"));
	CHECK_NUMBER(errno, ENOSPC);
}

static void a_number_is_read_and_anything_else_is_0(void)
{
	kernel_file(FILE_NAME, "18446744073709551615\n");
	CHECK(number_in(FILE_NAME) == UINT64_MAX);
	kernel_file(FILE_NAME, "17 18\n");
	CHECK_NUMBER(number_in(FILE_NAME), 17);
	kernel_file(FILE_NAME, "max\n");
	CHECK_NUMBER(number_in(FILE_NAME), 0);
	kernel_file(FILE_NAME, "");
	CHECK_NUMBER(number_in(FILE_NAME), 0);
	CHECK_NUMBER(number_in("/proc/none"), 0);
}

static void a_file_is_read_to_its_end(void)
{
	char text[5];

	kernel_file(FILE_NAME, "one\n");
	CHECK_NUMBER(read_text(FILE_NAME, text, sizeof(text)), 4);
	CHECK_TEXT(text, "one\n");
	/* Of a longer one the last part stays. */
	kernel_file(FILE_NAME, "one and two");
	CHECK_NUMBER(read_text(FILE_NAME, text, sizeof(text)), 11);
	CHECK_TEXT(text, "two");
	CHECK_NUMBER(read_text("/proc/none", text, sizeof(text)), -1);
	CHECK_TEXT(text, "");
}

int main(void)
{
	RUN(a_text_is_written_whole);
	RUN(no_file_is_made);
	RUN(a_write_that_fails_says_why);
	RUN(a_file_is_read_to_its_end);
	RUN(a_number_is_read_and_anything_else_is_0);
	return check_result();
}
