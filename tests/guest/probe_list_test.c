// SPDX-License-Identifier: GPL-2.0-or-later
/* The list of what is probed: what is taken, and that nothing odd is taken in silence. */
#include "check.h"
#include "fake_kernel.h"
#include "probe.h"

#define LIST "/patchrig/test.probes"
#define NAME_OF_63 "123456789012345678901234567890123456789012345678901234567890123"

static bool read_list(const char *text, unsigned int *line)
{
	memset(shared, 0, sizeof(*shared));
	kernel_file(LIST, text);
	return probe_list_read(LIST, line);
}

static bool refused(const char *text, unsigned int at)
{
	unsigned int line;

	return !read_list(text, &line) && line == at;
}

static void a_whole_list_is_taken(void)
{
	unsigned int line;

	CHECK(read_list("site fault\nreturn get returns-null\nreturn other returns-negative\nfrom a\nfrom b.isra.0 10 ff\n"
			"site second\nreturn get returns-null\nentry do_swap_page+0x1a\n"
			"changed 3\nentry f\nentry g+0x2\nchanged 12\n",
			&line));
	CHECK_NUMBER(shared->sites_count, 2);
	CHECK_TEXT(shared->sites[1].name, "second");
	CHECK_NUMBER(probe_list.returns_count, 2);
	CHECK_TEXT(probe_list.returns[1].function, "other");
	CHECK_TEXT(probe_list.returns[1].failure->filter, "found<0");
	CHECK_NUMBER(probe_list.sites[0].returns, 3);
	CHECK_NUMBER(probe_list.sites[1].returns, 1);
	CHECK_NUMBER(probe_list.sites[0].callers_count, 2);
	CHECK_NUMBER(probe_list.sites[0].callers[0].end, 0);
	CHECK_NUMBER(probe_list.sites[0].callers[1].first, 16);
	CHECK_NUMBER(probe_list.sites[0].callers[1].end, 255);
	CHECK_NUMBER(probe_list.entries_count, 3);
	CHECK_NUMBER(probe_list.entries[0].owner, 1);
	CHECK_NUMBER(probe_list.entries[2].owner, SITES_MAX);
	CHECK_TEXT(probe_list.entries[2].place, "g+0x2");
	CHECK_NUMBER(shared->changed_count, 2);
	CHECK_TEXT(shared->changed[1].name, "12");
}

static void one_function_that_fails_in_two_ways_has_two_probes(void)
{
	unsigned int line;

	CHECK(read_list("site a\nreturn get returns-false\nsite b\nreturn get -\n", &line));
	CHECK_NUMBER(probe_list.returns_count, 2);
	CHECK(!probe_list.returns[1].failure);
}

static void what_is_odd_is_refused_with_its_line(void)
{
	CHECK(refused("site\n", 1));
	CHECK(refused("site a b\n", 1));
	CHECK(refused("site a\n\n", 2));
	CHECK(refused("from a\n", 1));
	CHECK(refused("entry a\n", 1));
	CHECK(refused("changed 1\nfrom a\n", 2));
	CHECK(refused("changed 1\nreturn a -\n", 2));
	CHECK(refused("site a\nreturn get nothing\n", 2));
	CHECK(refused("site a\nfrom f 10\n", 2));
	CHECK(refused("site a\nfrom f 10 xy\n", 2));
	CHECK(refused("site a\nfrom f 10 20 30\n", 2));
	CHECK(refused("site " NAME_OF_63 "4\n", 1));
	CHECK(refused("what is this\n", 1));
}

static void there_may_be_as_many_as_there_is_room_for(void)
{
	static char text[100000];
	unsigned int line;
	char *at = text;

	for (int i = 0; i < SITES_MAX; i++)
		at += sprintf(at, "site s%d\n", i);
	CHECK(read_list(text, &line));
	strcpy(at, "site more\n");
	CHECK(!read_list(text, &line));
	at = text;
	for (int i = 0; i < CHANGED_MAX; i++)
		at += sprintf(at, "changed %d\n", i);
	for (int i = 0; i < ENTRIES_MAX; i++)
		at += sprintf(at, "entry f+0x%x\n", i);
	CHECK(read_list(text, &line));
	strcpy(at, "entry more\n");
	CHECK(!read_list(text, &line));
	at = text + sprintf(text, "site a\n");
	for (int i = 0; i < CALLERS_MAX; i++)
		at += sprintf(at, "from f%d\n", i);
	CHECK(read_list(text, &line));
	strcpy(at, "from more\n");
	CHECK(!read_list(text, &line));
}

static void a_file_that_is_not_there_is_none(void)
{
	unsigned int line;

	kernel_forget(LIST);
	CHECK(!probe_list_read(LIST, &line));
	CHECK_NUMBER(line, 0);
}

int main(void)
{
	shared_new();
	RUN(a_whole_list_is_taken);
	RUN(one_function_that_fails_in_two_ways_has_two_probes);
	RUN(what_is_odd_is_refused_with_its_line);
	RUN(there_may_be_as_many_as_there_is_room_for);
	RUN(a_file_that_is_not_there_is_none);
	return check_result();
}
