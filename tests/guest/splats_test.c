// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which records of /dev/kmsg begin a splat that fails the cell. With arguments, ROWS LINES: each line of the kernel's that
 * does, by the judge's own rows.
 */
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "splats.h"
#include "textfile.h"

#define ROWS "splats"

static const char rows[] = "within 2\n"
			   "word BUG\n"
			   "word WARNING\n"
			   "passes ^(BUG: soft)\n"
			   "allowed ^(WARNING: odd)\n"
			   "fails ^(BUG: [0-9]+)\n"
			   "fails ^(WARNING)\n";

static struct splats *made(void)
{
	FILE *file = fopen(ROWS, "we");
	struct splats *splats;

	fputs(rows, file);
	fclose(file);
	splats = splats_in(ROWS);
	unlink(ROWS);
	return splats;
}

static bool fails(struct splats *splats, const char *text)
{
	char record[512];

	snprintf(record, sizeof(record), "%s", text);
	return splats_fail(splats, record);
}

static void the_first_row_that_matches_decides(void)
{
	struct splats *const splats = made();

	CHECK(fails(splats, "3,1,2,-;BUG: 12"));
	CHECK(!fails(splats, "3,1,2,-;BUG: soft 12"));
	CHECK(!fails(splats, "3,1,2,-;a BUG: 12"));
	CHECK(!fails(splats, "3,1,2,-;nothing"));
	CHECK(!splats_unfit(splats));
	splats_free(splats);
}

static void only_what_the_kernel_says_counts(void)
{
	struct splats *const splats = made();

	CHECK(!fails(splats, "12,1,2,-;BUG: 12"));
	CHECK(fails(splats, "4,1,2,-,caller=T1;BUG: 12\n SUBSYSTEM=x\n"));
	CHECK(!fails(splats, "4,1,2,-;nothing\n BUG: 12\n"));
	CHECK(!fails(splats, "BUG: 12"));
	splats_free(splats);
}

static void each_line_of_a_record_counts(void)
{
	struct splats *const splats = made();

	CHECK(fails(splats, "3,1,2,-;nothing\\x0aBUG: 12\\x0a"));
	CHECK(fails(splats, "3,1,2,-;BUG: 12\\x0anothing"));
	splats_free(splats);
}

static void what_follows_an_allowed_splat_at_once_is_a_part_of_it(void)
{
	struct splats *const splats = made();

	CHECK(!fails(splats, "3,1,2,-;WARNING: odd"));
	CHECK(!fails(splats, "3,1,2,-;BUG: 12"));
	CHECK(!fails(splats, "12,1,2,-;somebody"));
	CHECK(fails(splats, "3,1,2,-;BUG: 12"));
	splats_free(splats);
}

static void a_row_that_can_not_be_compiled_is_named(void)
{
	FILE *file = fopen(ROWS, "we");

	fputs("word BUG\nfails ^(BUG\nfails ^(BUG: 1)\n", file);
	fclose(file);
	struct splats *const splats = splats_in(ROWS);

	CHECK_TEXT(splats_unfit(splats), "^(BUG");
	CHECK(fails(splats, "3,1,2,-;BUG: 1"));
	CHECK(!splats_in("nowhere"));
	splats_free(splats);
}

static int print_failing(const char *path, const char *lines)
{
	struct splats *const splats = splats_in(path);
	FILE *file = fopen(lines, "re");
	char line[4096], record[4200];

	if (!splats || !file || splats_unfit(splats)) {
		fprintf(stderr, "%s\n", splats ? splats_unfit(splats) : "no rows");
		return 1;
	}
	while (fgets(line, sizeof(line), file)) {
		snprintf(record, sizeof(record), "3,1,2,-;%s", line);
		if (splats_fail(splats, record))
			fputs(line, stdout);
	}
	fclose(file);
	splats_free(splats);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3)
		return print_failing(argv[1], argv[2]);
	RUN(the_first_row_that_matches_decides);
	RUN(only_what_the_kernel_says_counts);
	RUN(each_line_of_a_record_counts);
	RUN(what_follows_an_allowed_splat_at_once_is_a_part_of_it);
	RUN(a_row_that_can_not_be_compiled_is_named);
	return check_result();
}
