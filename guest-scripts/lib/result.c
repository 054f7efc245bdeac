// SPDX-License-Identifier: GPL-2.0-or-later
/* The line that a run ends with. */
#include <inttypes.h>
#include <stdio.h>

#include "shared.h"

static const char *const KINDS[] = { "ok", "wrong", "stale", "torn", "foreign", "nonzero", "lost-update" };

/* Our texts are plain ASCII; what could break the line is made harmless. */
static void print_string(const char *text)
{
	putchar('"');
	for (; *text; text++)
		putchar(*text == '"' || *text == '\\' ? '\'' : *text < ' ' || *text > '~' ? ' ' : *text);
	putchar('"');
}

static void print_field(const char *name, const char *text, const char *after)
{
	print_string(name);
	fputs(": ", stdout);
	print_string(text);
	fputs(after, stdout);
}

static void print_mismatches(void)
{
	printf("\"mismatch_count\": %" PRIu64 ", \"mismatches\": [", shared->mismatches_total);
	for (unsigned int i = 0; i < shared->mismatches_count; i++) {
		const struct shared_mismatch *mismatch = &shared->mismatches[i];

		printf("%s{\"page\": %" PRIu64 ", ", i ? ", " : "", mismatch->page);
		print_field("kind", KINDS[mismatch->kind], ", ");
		print_field("promise", mismatch->promise, ", ");
		print_field("expected", mismatch->expected, ", ");
		print_field("seen", mismatch->seen, "}");
	}
	printf("], ");
}

static void print_errors(void)
{
	printf("\"errors\": [");
	for (unsigned int i = 0; i < shared->errors_count; i++) {
		const struct shared_error *error = &shared->errors[i];

		printf("%s{", i ? ", " : "");
		print_field("call", error->call, ", ");
		print_field("errno", error->name, ", ");
		print_field("promise", promise_of(error->call), ", ");
		printf("\"count\": %" PRIu64 "}", error->count);
	}
	printf("], ");
}

static void print_reasons(const struct shared_lacking *lacking, unsigned int count)
{
	printf("\"lacking\": {");
	for (unsigned int i = 0; i < count; i++)
		print_field(lacking[i].name, lacking[i].why, i + 1 < count ? ", " : "");
	printf("}");
}

/* Names of devices and sites come from the command line. */
static void print_count(const char *name, uint64_t value)
{
	print_string(name);
	printf(": %" PRIu64 ", ", value);
}

static void print_kernel(const struct kernel_counters *counters)
{
	for (unsigned int i = 0; i < counters->count; i++)
		print_count(counters->of[i].name, counters->of[i].value);
}

static void print_site(const struct shared_site *site, bool after)
{
	char name[NAME_SIZE + 16];

	snprintf(name, sizeof(name), "site.%s.calls", site->name);
	print_count(name, after ? site->calls : 0);
	snprintf(name, sizeof(name), "site.%s.failed", site->name);
	print_count(name, after ? site->failed : 0);
}

static void print_own(bool after)
{
	for (unsigned int i = 0; i < shared->counters_count; i++)
		print_count(shared->counters[i].name, after ? shared->counters[i].value : 0);
	/* The last site of the array is swapoff itself. */
	for (unsigned int i = 0; i <= shared->sites_count; i++)
		if (shared->sites[i].name[0])
			print_site(&shared->sites[i], after);
	printf("\"operations\": %" PRIu64 ", \"verified\": %" PRIu64 ", \"swapoffs\": %" PRIu64 "}",
	       after ? shared->operations : 0, after ? shared->verified : 0, after ? shared->swapoffs : 0);
}

/* By number: how often it ran, or null where it can not be told that it did not. */
static void print_changed(void)
{
	printf("\"changed\": {");
	for (unsigned int i = 0; i < shared->changed_count; i++) {
		const struct shared_changed *changed = &shared->changed[i];

		printf("%s", i ? ", " : "");
		print_string(changed->name);
		if (changed->partly && !changed->hits)
			printf(": null");
		else
			printf(": %" PRIu64, changed->hits);
	}
	printf("}, ");
}

static void print_figures(const char *name, const struct accounting *accounting)
{
	print_string(name);
	printf(": {");
	print_kernel(&accounting->figures);
	printf("\"swap_gap\": %" PRId64, accounting->gap_kib);
	for (unsigned int i = 0; i < accounting->negative_count; i++) {
		char name[NAME_SIZE + 16];

		snprintf(name, sizeof(name), "negative.%s", accounting->negative[i].name);
		printf(", ");
		print_string(name);
		printf(": %" PRId64, accounting->negative[i].value);
	}
	printf("}, ");
}

/* Nothing unless there is a before and an after to be compared. */
static void print_accounting(void)
{
	if (!shared->accounting[BEFORE_LOAD].taken || !shared->accounting[AFTER_LOAD].taken)
		return;
	printf("\"accounting\": {");
	print_figures("before", &shared->accounting[BEFORE_LOAD]);
	print_figures("after", &shared->accounting[AFTER_LOAD]);
	printf("\"left_pages\": [");
	for (unsigned int i = 0; i < shared->left_pages_count; i++) {
		printf("%s", i ? ", " : "");
		print_string(shared->left_pages[i]);
	}
	printf("], ");
	print_reasons(shared->figures_lacking, shared->figures_lacking_count);
	printf("}, ");
}

static void print_interfaces(void)
{
	if (!shared->interfaces_count)
		return;
	printf("\"interfaces\": [");
	for (unsigned int i = 0; i < shared->interfaces_count; i++) {
		const struct interface_use *use = &shared->interfaces[i];

		printf("%s{", i ? ", " : "");
		print_field("name", use->name, ", ");
		print_field("path", use->path, ", ");
		print_field("why", use->why, ", ");
		printf("\"reads\": %" PRIu64 ", \"writes\": %" PRIu64 ", \"refused\": %" PRIu64 "}", use->reads + 0, use->writes + 0,
		       use->refused + 0);
	}
	printf("], ");
}

/* What the load consists of: whoever looks for the smallest one that shows a bug has to know. */
static void print_parts(void)
{
	printf("\"threads\": %u, \"options\": {", shared->threads);
	for (const struct number_option *option = shared->numbers; option && option->name; option++)
		printf("%s\"%s\": %" PRIu64, option == shared->numbers ? "" : ", ", option->name, *option->value);
	printf("}}\n");
}

void progress_print(uint64_t started_ns)
{
	static uint64_t printed_ns;
	const uint64_t now = now_ns();

	if (!printed_ns)
		printed_ns = started_ns;
	if (now - printed_ns < 1000000000u)
		return;
	printed_ns = now;
	printf("{\"type\": \"progress\", \"seconds\": %.1f, \"operations\": %" PRIu64 ", \"swapoffs\": %" PRIu64 ", ",
	       (double)(now - started_ns) / 1e9, shared->operations, shared->swapoffs);
	print_parts();
	fflush(stdout);
}

void result_print(const struct kernel_counters *before, const struct kernel_counters *after, bool hang)
{
	printf("{\"type\": \"result\", \"operations\": %" PRIu64 ", \"verified\": %" PRIu64 ", ", shared->operations,
	       shared->verified);
	print_mismatches();
	print_errors();
	printf("\"swapoffs\": %" PRIu64 ", \"swapoff_longest_ms\": %.1f, \"swapoff_stuck\": %s, ", shared->swapoffs,
	       (double)shared->longest_ns / 1e6, hang ? "true" : "false");
	printf("\"counters\": {\"before\": {");
	print_kernel(before);
	print_own(false);
	printf(", \"after\": {");
	print_kernel(after);
	print_own(true);
	printf("}, ");
	print_reasons(shared->lacking, shared->lacking_count);
	printf(", ");
	print_changed();
	print_accounting();
	print_interfaces();
	print_field("missing", shared->missing, "}\n");
	fflush(stdout);
}
