// SPDX-License-Identifier: GPL-2.0-or-later
/* One use of a file: what is read is what there is, and what no correct kernel does is an error. */
#include <errno.h>

#include "check.h"
#include "fake_kernel.h"
#include "interface.h"
#include "shared.h"

#define TIERS "/sys/kernel/mm/swap/tiers"
#define SETTING "/proc/sys/vm/swappiness"

static struct words hints;
static struct file_user *user;

static void start_anew(void)
{
	const struct rng rng = rng_stream(3, 0);

	memset(shared, 0, sizeof(*shared));
	user = file_user_new(&rng, &hints);
}

static void a_file_is_read_whole_in_pieces_or_not(void)
{
	start_anew();
	kernel_file(TIERS, "Name Idx\nHDD 0\n");
	for (unsigned int i = 0; i < 20; i++) {
		CHECK_NUMBER(file_read(user, TIERS, false), 15);
		CHECK_TEXT(user->text, "Name Idx\nHDD 0\n");
	}
	CHECK(*counter("files_read") > 0 && *counter("files_read_in_pieces") > 0);
	CHECK_NUMBER(*counter("files_read") + *counter("files_read_in_pieces"), 20);
	CHECK_NUMBER(file_read(user, "/sys/none", false), -1);
	CHECK_TEXT(user->text, "");
	CHECK_NUMBER(shared->operations, 21);
	CHECK_NUMBER(shared->errors_count, 0);
}

static void a_long_file_is_cut(void)
{
	static char text[2 * VALUE_SIZE];

	start_anew();
	memset(text, 'a', sizeof(text) - 1);
	kernel_file(SETTING, text);
	for (unsigned int i = 0; i < 10; i++)
		CHECK_NUMBER(file_read(user, SETTING, false), VALUE_SIZE - 1);
}

static void what_is_no_text_is_an_error_where_files_are_text(void)
{
	start_anew();
	kernel_file(SETTING, "\x01\xff\n");
	file_read(user, SETTING, false);
	CHECK_NUMBER(shared->errors_count, 0);
	kernel_file(TIERS, "HDD\x01\n");
	file_read(user, TIERS, false);
	CHECK_NUMBER(shared->errors_count, 1);
	CHECK_TEXT(shared->errors[0].call, "text of " TIERS);
	CHECK(strstr(promise_of(shared->errors[0].call), "sysfs.rst"));
}

static void a_write_that_is_refused_is_counted_and_no_error(void)
{
	start_anew();
	kernel_file(SETTING, "");
	CHECK(file_write(SETTING, "60", 2));
	CHECK_TEXT(kernel_text(SETTING), "60");
	CHECK(!file_write("/dev/full", "60", 2));
	CHECK_NUMBER(errno, ENOSPC);
	CHECK(!file_write("/sys/none", "60", 2));
	CHECK_NUMBER(*counter("files_written"), 1);
	CHECK_NUMBER(*counter("writes_refused"), 1);
	CHECK_NUMBER(shared->errors_count, 0);
}

static void a_file_that_may_only_be_read_is_not_written_to(void)
{
	start_anew();
	kernel_file(SETTING, "60\n");
	for (unsigned int i = 0; i < 20; i++)
		file_use(user, SETTING, MAY_READ, NULL, NULL);
	CHECK_TEXT(kernel_text(SETTING), "60\n");
	file_use(user, "/sys/none", MAY_WRITE_BACK, NULL, NULL);
	CHECK_NUMBER(*counter("files_written"), 0);
}

static void a_file_that_may_be_written_back_gets_what_was_read(void)
{
	start_anew();
	kernel_file(SETTING, "6\n");
	for (unsigned int i = 0; i < 6; i++)
		file_use(user, SETTING, MAY_WRITE_BACK, NULL, NULL);
	CHECK(*counter("files_written") > 0);
	/* What is in the first piece of a file of sysctl is all that it gives. */
	CHECK_NUMBER(*counter("files_read_in_pieces"), 0);
	CHECK_NUMBER(strspn(kernel_text(SETTING), "6\n"), strlen(kernel_text(SETTING)));
}

static void the_series_files_teach_names_and_what_they_take(void)
{
	struct words accepted = { 0 };
	struct interface_use *use;

	start_anew();
	use = interface_given("sysfs:tiers", TIERS, "");
	kernel_file(TIERS, "Name HDD 0\n");
	for (unsigned int i = 0; i < 40; i++)
		file_use(user, TIERS, MAY_ALL, &accepted, use);
	CHECK_NUMBER(use->reads, 40);
	CHECK(use->writes > 0 && use->writes < 40);
	CHECK_NUMBER(use->refused, 0);
	CHECK(accepted.count > 0 && user->names.count >= 2);
	CHECK_TEXT(user->names.of[1], "HDD");
}

int main(void)
{
	shared_new();
	RUN(a_file_is_read_whole_in_pieces_or_not);
	RUN(a_long_file_is_cut);
	RUN(what_is_no_text_is_an_error_where_files_are_text);
	RUN(a_write_that_is_refused_is_counted_and_no_error);
	RUN(a_file_that_may_only_be_read_is_not_written_to);
	RUN(a_file_that_may_be_written_back_gets_what_was_read);
	RUN(the_series_files_teach_names_and_what_they_take);
	return check_result();
}
