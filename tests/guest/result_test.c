// SPDX-License-Identifier: GPL-2.0-or-later
/* The line that a run ends with. Each is printed as well, and test_guest_lib.py reads it as JSON. */
#include <stdlib.h>

#include "check.h"
#include "shared.h"

static struct kernel_counters before, after;

static void start_anew(void)
{
	memset(shared, 0, sizeof(*shared));
	memset(&before, 0, sizeof(before));
	memset(&after, 0, sizeof(after));
}

static const char *line_of(bool hang)
{
	static char line[65536];
	FILE *const real = stdout;
	char *text = NULL;
	size_t size;

	stdout = open_memstream(&text, &size);
	result_print(&before, &after, hang);
	fclose(stdout);
	stdout = real;
	snprintf(line, sizeof(line), "%s", text);
	free(text);
	fputs(line, stdout);
	return line;
}

static void an_empty_run_has_every_field(void)
{
	start_anew();
	CHECK_TEXT(line_of(false),
		   "{\"type\": \"result\", \"operations\": 0, \"verified\": 0, \"mismatch_count\": 0, \"mismatches\": [], "
		   "\"errors\": [], \"swapoffs\": 0, \"swapoff_longest_ms\": 0.0, \"swapoff_stuck\": false, "
		   "\"counters\": {\"before\": {\"operations\": 0, \"verified\": 0, \"swapoffs\": 0}, "
		   "\"after\": {\"operations\": 0, \"verified\": 0, \"swapoffs\": 0}}, \"lacking\": {}, \"changed\": {}, \"missing\": \"\"}\n");
}

static void a_full_run_has_every_value(void)
{
	start_anew();
	operations_add(2400);
	verified_add(9000);
	shared->swapoffs = 61;
	shared->longest_ns = 41500000;
	run_mismatch(17, KIND_STALE, "read(2)", "write 5 of page 17", "write 4 of page 17");
	run_mismatch(18, KIND_LOST_UPDATE, "", "9", "8");
	run_error_named("a call", "EIO");
	run_error_named("a call", "EIO");
	counter_lacking("swpin", "no %s", "stats");
	counter_lacking("other", "gone");
	run_missing("no %s", "zswap");
	count(counter("own"), 3);
	before.count = after.count = 1;
	strcpy(before.of[0].name, "pswpin");
	strcpy(after.of[0].name, "pswpin");
	after.of[0].value = 4000;
	shared->changed_count = 3;
	shared->changed[0] = (struct shared_changed){ .name = "0", .hits = 8 };
	shared->changed[1] = (struct shared_changed){ .name = "7", .partly = true };
	shared->changed[2] = (struct shared_changed){ .name = "9", .hits = 1, .partly = true };
	shared->sites_count = 1;
	shared->sites[0] = (struct shared_site){ .name = "fault", .calls = 5, .failed = 2 };
	shared->sites[1] = (struct shared_site){ .name = "swapoff", .calls = 7 };
	CHECK_TEXT(line_of(true),
		   "{\"type\": \"result\", \"operations\": 2400, \"verified\": 9000, \"mismatch_count\": 2, \"mismatches\": "
		   "[{\"page\": 17, \"kind\": \"stale\", \"promise\": \"read(2)\", \"expected\": \"write 5 of page 17\", \"seen\": \"write 4 of page 17\"}, "
		   "{\"page\": 18, \"kind\": \"lost-update\", \"promise\": \"\", \"expected\": \"9\", \"seen\": \"8\"}], "
		   "\"errors\": [{\"call\": \"a call\", \"errno\": \"EIO\", \"promise\": \"\", \"count\": 2}], "
		   "\"swapoffs\": 61, \"swapoff_longest_ms\": 41.5, \"swapoff_stuck\": true, "
		   "\"counters\": {\"before\": {\"pswpin\": 0, \"own\": 0, \"site.fault.calls\": 0, \"site.fault.failed\": 0, "
		   "\"site.swapoff.calls\": 0, \"site.swapoff.failed\": 0, \"operations\": 0, \"verified\": 0, \"swapoffs\": 0}, "
		   "\"after\": {\"pswpin\": 4000, \"own\": 3, \"site.fault.calls\": 5, \"site.fault.failed\": 2, "
		   "\"site.swapoff.calls\": 7, \"site.swapoff.failed\": 0, \"operations\": 2400, \"verified\": 9000, "
		   "\"swapoffs\": 61}}, \"lacking\": {\"swpin\": \"no stats\", \"other\": \"gone\"}, \"changed\": {\"0\": 8, \"7\": null, \"9\": 1}, \"missing\": \"no zswap\"}\n");
}

static void figure(enum moment moment, const char *name, uint64_t value)
{
	struct accounting *accounting = &shared->accounting[moment];

	accounting->taken = true;
	strcpy(accounting->figures.of[accounting->figures.count].name, name);
	accounting->figures.of[accounting->figures.count++].value = value;
}

static void figures_are_said_when_there_are_two_to_compare(void)
{
	start_anew();
	figure(BEFORE_LOAD, "meminfo.SwapFree", 0);
	CHECK(!strstr(line_of(false), "accounting"));
	figure(AFTER_LOAD, "meminfo.SwapFree", UINT64_MAX - 3);
	shared->accounting[AFTER_LOAD].gap_kib = -4;
	shared->accounting[AFTER_LOAD].negative_count = 1;
	shared->accounting[AFTER_LOAD].negative[0] = (struct negative_total){ "nr_shmem", -16 };
	shared->left_pages_count = 2;
	strcpy(shared->left_pages[0], "pfn 1: lru");
	strcpy(shared->left_pages[1], "pfn \"2\"");
	shared->figures_lacking_count = 1;
	strcpy(shared->figures_lacking[0].name, "zswap");
	strcpy(shared->figures_lacking[0].why, "none");
	CHECK(strstr(line_of(false), ", \"accounting\": {\"before\": {\"meminfo.SwapFree\": 0, \"swap_gap\": 0}, "
				     "\"after\": {\"meminfo.SwapFree\": 18446744073709551612, \"swap_gap\": -4, "
				     "\"negative.nr_shmem\": -16}, \"left_pages\": [\"pfn 1: lru\", \"pfn '2'\"], "
				     "\"lacking\": {\"zswap\": \"none\"}}, \"missing\": \"\"}"));
}

static void what_became_of_interface_files_is_said_where_some_were_given(void)
{
	struct interface_use *use;

	start_anew();
	CHECK(!strstr(line_of(false), "interfaces"));
	use = interface_given("sysfs:tiers", "/sys/tiers", "");
	count(&use->reads, 3);
	count(&use->refused, 2);
	interface_given("proc:gone", "", "why");
	CHECK(strstr(line_of(false),
		     "\"interfaces\": [{\"name\": \"sysfs:tiers\", \"path\": \"/sys/tiers\", \"why\": \"\", \"reads\": 3, \"writes\": 0, "
		     "\"refused\": 2}, {\"name\": \"proc:gone\", \"path\": \"\", \"why\": \"why\", \"reads\": 0, \"writes\": 0, "
		     "\"refused\": 0}], \"missing\""));
}

static void every_kind_has_its_name(void)
{
	static const char *const names[] = { "wrong", "stale", "torn", "foreign", "nonzero", "lost-update" };
	char text[40];

	for (enum kind kind = KIND_WRONG; kind <= KIND_LOST_UPDATE; kind++) {
		start_anew();
		run_mismatch(1, kind, "", "", "");
		snprintf(text, sizeof(text), "\"kind\": \"%s\"", names[kind - KIND_WRONG]);
		CHECK(strstr(line_of(false), text));
	}
}

/* Every byte there is, in each text that comes from elsewhere. */
static void odd_texts_do_not_break_the_line(void)
{
	char bytes[257] = "";

	for (int from = 1; from < 256; from += 60) {
		for (int i = 0; i < 60; i++)
			bytes[i] = (char)(from + i < 256 ? from + i : 1);
		bytes[60] = 0;
		start_anew();
		run_mismatch(1, KIND_WRONG, bytes, bytes, bytes);
		run_error_named(bytes, bytes);
		run_missing("%s", bytes);
		counter_lacking(bytes, "%s", bytes);
		counter(bytes);
		strcpy(shared->sites[0].name, bytes);
		after.count = 1;
		strcpy(after.of[0].name, bytes);
		for (const char *at = line_of(false); *at != '\n'; at++)
			CHECK(*at >= ' ' && *at <= '~' && *at != '\\');
	}
}

static void long_texts_are_cut(void)
{
	char text[1000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	start_anew();
	run_mismatch(1, KIND_WRONG, text, text, text);
	run_error_named(text, text);
	run_missing("%s", text);
	counter_lacking(text, "%s", text);
	counter(text);
	CHECK_NUMBER(strlen(shared->mismatches[0].seen), sizeof(shared->mismatches[0].seen) - 1);
	CHECK_NUMBER(strlen(shared->mismatches[0].expected), sizeof(shared->mismatches[0].expected) - 1);
	CHECK_NUMBER(strlen(shared->mismatches[0].promise), sizeof(shared->mismatches[0].promise) - 1);
	CHECK_NUMBER(strlen(shared->lacking[0].name), NAME_SIZE - 1);
	CHECK_NUMBER(strlen(shared->lacking[0].why), sizeof(shared->lacking[0].why) - 1);
	CHECK_NUMBER(strlen(shared->errors[0].call), NAME_SIZE - 1);
	CHECK_NUMBER(strlen(shared->missing), sizeof(shared->missing) - 1);
	CHECK(strlen(line_of(false)) < 2400);
}

static void the_fullest_line_is_one_line(void)
{
	char name[NAME_SIZE];

	start_anew();
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%02u%060u", i, i);
		run_mismatch(UINT64_MAX, KIND_TORN, name, name, name);
		run_error_named(name, name);
		counter_lacking(name, "%s", name);
		if (i < COUNTERS_MAX)
			count(counter(name), UINT64_MAX);
	}
	for (unsigned int i = 0; i < INTERFACES_MAX; i++)
		CHECK(interface_given(name, name, name) != NULL);
	CHECK(interface_given(name, name, name) == NULL);
	shared->operations = shared->verified = shared->swapoffs = shared->longest_ns = UINT64_MAX;
	CHECK_NUMBER(shared->mismatches_total, 100);
	CHECK_NUMBER(shared->mismatches_count, MISMATCHES_MAX);
	/* What patchrig reads of a line at most is 256 KiB. */
	CHECK(strchr(line_of(true), '\n')[1] == 0);
}

int main(void)
{
	shared_new();
	RUN(an_empty_run_has_every_field);
	RUN(a_full_run_has_every_value);
	RUN(figures_are_said_when_there_are_two_to_compare);
	RUN(what_became_of_interface_files_is_said_where_some_were_given);
	RUN(every_kind_has_its_name);
	RUN(odd_texts_do_not_break_the_line);
	RUN(long_texts_are_cut);
	RUN(the_fullest_line_is_one_line);
	return check_result();
}
