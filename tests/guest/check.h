/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a C test says of what it sees: a failed check is printed with its place, and the program goes on. */
#ifndef PATCHRIG_TESTS_CHECK_H
#define PATCHRIG_TESTS_CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *running_test;
static unsigned int failed_checks;

static inline void check_that(bool good, const char *what, const char *file, int line)
{
	if (good)
		return;
	failed_checks++;
	fprintf(stderr, "%s:%d: %s: not so: %s\n", file, line, running_test, what);
}

static inline void check_numbers(long long seen, long long expected, const char *what, const char *file, int line)
{
	if (seen == expected)
		return;
	failed_checks++;
	fprintf(stderr, "%s:%d: %s: %s is %lld, not %lld\n", file, line, running_test, what, seen, expected);
}

static inline void check_texts(const char *seen, const char *expected, const char *what, const char *file, int line)
{
	if (!strcmp(seen, expected))
		return;
	failed_checks++;
	fprintf(stderr, "%s:%d: %s: %s is \"%s\", not \"%s\"\n", file, line, running_test, what, seen, expected);
}

#define CHECK(condition) check_that((condition), #condition, __FILE__, __LINE__)
#define CHECK_NUMBER(seen, expected) check_numbers((long long)(seen), (long long)(expected), #seen, __FILE__, __LINE__)
#define CHECK_TEXT(seen, expected) check_texts((seen), (expected), #seen, __FILE__, __LINE__)

/* The test's name is that of its function. */
#define RUN(test) (running_test = #test, test())

/* main()'s status. */
static inline int check_result(void)
{
	return failed_checks != 0;
}

#endif
