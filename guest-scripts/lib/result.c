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
	printf("\"%s\": ", name);
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
		printf("\"count\": %" PRIu64 "}", error->count);
	}
	printf("], ");
}

static void print_kernel(const struct kernel_counters *counters)
{
	for (unsigned int i = 0; i < counters->count; i++)
		printf("\"%s\": %" PRIu64 ", ", counters->of[i].name, counters->of[i].value);
}

static void print_own(bool after)
{
	for (unsigned int i = 0; i < shared->counters_count; i++)
		printf("\"%s\": %" PRIu64 ", ", shared->counters[i].name, after ? shared->counters[i].value : 0);
	/* The last site of the array is swapoff itself. */
	for (unsigned int i = 0; i <= shared->sites_count && shared->probe[0]; i++) {
		const struct shared_site *site = &shared->sites[i];

		if (!site->name[0])
			continue;
		printf("\"site.%s.calls\": %" PRIu64 ", \"site.%s.failed\": %" PRIu64 ", ", site->name,
		       after ? site->calls : 0, site->name, after ? site->failed : 0);
	}
	printf("\"operations\": %" PRIu64 ", \"verified\": %" PRIu64 ", \"swapoffs\": %" PRIu64 "}",
	       after ? shared->operations : 0, after ? shared->verified : 0, after ? shared->swapoffs : 0);
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
	print_field("missing", shared->missing, "}\n");
	fflush(stdout);
}
