// SPDX-License-Identifier: GPL-2.0-or-later
/* The command line: what is taken, and that nothing odd is taken in silence. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "shared.h"

#define ARGUMENTS_MAX 40
#define NAME_OF_63 "123456789012345678901234567890123456789012345678901234567890123"

static uint64_t pages;
static const struct number_option numbers[] = { { "pages", &pages }, { 0 } };
static char files[40];

static void add_file(const char *text)
{
	strcat(strcat(files, text), ";");
}

static const struct text_option texts[] = { { "file", add_file }, { 0 } };
static const struct workload workload = { .options = numbers, .texts = texts, .steady = 1 };

static void parse(const char *const *words)
{
	char *argv[ARGUMENTS_MAX + 1] = { "program" };
	int argc = 1;

	for (; *words; words++)
		argv[argc++] = (char *)*words;
	memset(shared, 0, sizeof(*shared));
	pages = 16;
	files[0] = 0;
	parse_options(&workload, argc, argv);
}

#define PARSE(...) parse((const char *const[]){ __VA_ARGS__, NULL })

/* Status 2 and nothing else, whatever the rest of the line says. */
static bool refused(const char *const *words)
{
	const pid_t child = fork();
	int status;

	if (!child) {
		fclose(stderr);
		parse(words);
		_exit(0);
	}
	return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 2;
}

#define REFUSED(...) refused((const char *const[]){ __VA_ARGS__, NULL })
#define SWAP "--swap", "/dev/zram0:10:zram"

static void all_options_are_taken(void)
{
	PARSE("--swap", "/dev/vda:-2:virtio-blk", "--swap", "/dev/nullb0:32767:null_blk:discard", "--seconds", "20", "--seed",
	      "0xffffffffffffffff", "--swapoff-budget", "60", "--probes", "/patchrig/swapin.probes",
	      "--pages", "64", "--without", "0,3,63");
	CHECK_NUMBER(shared->devices_count, 2);
	CHECK_TEXT(shared->devices[0].path, "/dev/vda");
	CHECK_TEXT(shared->devices[0].kind, "virtio-blk");
	CHECK_NUMBER(shared->devices[0].priority, -2);
	CHECK_TEXT(shared->devices[1].path, "/dev/nullb0");
	CHECK_TEXT(shared->devices[1].kind, "null_blk");
	CHECK(!shared->devices[0].discards && shared->devices[1].discards);
	CHECK_NUMBER(shared->devices[1].priority, 32767);
	CHECK_NUMBER(shared->seconds, 20);
	CHECK(shared->seed == UINT64_MAX);
	CHECK_NUMBER(shared->swapoff_budget, 60);
	CHECK_TEXT(shared->probes, "/patchrig/swapin.probes");
	CHECK_NUMBER(pages, 64);
	CHECK(shared->without == (UINT64_C(1) << 63 | 9));
	CHECK(shared->numbers == numbers);
}

static void a_text_may_be_given_several_times(void)
{
	PARSE(SWAP, "--file", "a b", "--pages", "3", "--file", "");
	CHECK_TEXT(files, "a b;;");
	CHECK_NUMBER(pages, 3);
}

static void what_is_not_said_has_a_default(void)
{
	PARSE(SWAP);
	CHECK_NUMBER(shared->seconds, 10);
	CHECK_NUMBER(shared->swapoff_budget, 30);
	CHECK_NUMBER(shared->seed, 0);
	CHECK_NUMBER(pages, 16);
	CHECK_NUMBER(shared->without, 0);
	CHECK_TEXT(shared->probes, "");
}

static void the_last_devices_are_steady_unless_the_loops_are_chosen(void)
{
	PARSE(SWAP, SWAP, SWAP);
	CHECK(shared->devices[0].looped && shared->devices[1].looped && !shared->devices[2].looped);
	PARSE("--flip", "0,2", SWAP, SWAP, SWAP);
	CHECK(shared->devices[0].looped && !shared->devices[1].looped && shared->devices[2].looped);
	PARSE(SWAP, SWAP, "--flip", "");
	CHECK(!shared->devices[0].looped && !shared->devices[1].looped);
}

static void names_may_be_as_long_as_there_is_room(void)
{
	PARSE(SWAP, "--probes", NAME_OF_63 NAME_OF_63);
	CHECK_TEXT(shared->probes, NAME_OF_63 NAME_OF_63);
	CHECK(REFUSED(SWAP, "--probes", NAME_OF_63 NAME_OF_63 "12"));
	CHECK(REFUSED("--swap", NAME_OF_63 "4:1:zram"));
	CHECK(REFUSED("--swap", "/dev/a:1:" NAME_OF_63 "4"));
}

static void there_may_be_as_many_as_there_is_room_for(void)
{
	PARSE(SWAP, SWAP, SWAP, SWAP, SWAP, SWAP, SWAP, SWAP);
	CHECK_NUMBER(shared->devices_count, DEVICES_MAX);
	CHECK(REFUSED(SWAP, SWAP, SWAP, SWAP, SWAP, SWAP, SWAP, SWAP, SWAP));
}

static void a_number_is_a_whole_number_and_no_more(void)
{
	CHECK(REFUSED(SWAP, "--seconds", ""));
	CHECK(REFUSED(SWAP, "--seconds", "ten"));
	CHECK(REFUSED(SWAP, "--seconds", "10s"));
	CHECK(REFUSED(SWAP, "--seed", "18446744073709551616"));
	CHECK(REFUSED(SWAP, "--pages", "1 2"));
	CHECK(REFUSED(SWAP, "--pages", "-1"));
	CHECK(REFUSED("--swap", "/dev/zram0::zram"));
	CHECK(REFUSED("--swap", "/dev/zram0:ten:zram"));
	CHECK(REFUSED("--swap", "/dev/zram0:10x:zram"));
	CHECK(REFUSED("--swap", "/dev/zram0:10:zram:often"));
}

static void what_is_not_known_is_refused(void)
{
	CHECK(REFUSED(SWAP, "--page", "1"));
	CHECK(REFUSED(SWAP, "pages", "1"));
	CHECK(REFUSED(SWAP, "--pages"));
	CHECK(REFUSED("--swap", "/dev/zram0"));
	CHECK(REFUSED("--swap", "/dev/zram0:10"));
	CHECK(REFUSED(SWAP, "--site", "fault=do_swap_page"));
	CHECK(REFUSED(SWAP, "--flip", "1"));
	CHECK(REFUSED(SWAP, "--flip", "x"));
	CHECK(REFUSED(SWAP, "--flip", "-1"));
	CHECK(REFUSED(SWAP, "--without", "64"));
	CHECK(REFUSED(SWAP, "--without", "1x"));
	CHECK(REFUSED(SWAP, "--without", "1,-2"));
	CHECK(REFUSED("--seed", "1"));
}

int main(void)
{
	shared_new();
	RUN(all_options_are_taken);
	RUN(a_text_may_be_given_several_times);
	RUN(what_is_not_said_has_a_default);
	RUN(the_last_devices_are_steady_unless_the_loops_are_chosen);
	RUN(names_may_be_as_long_as_there_is_room);
	RUN(there_may_be_as_many_as_there_is_room_for);
	RUN(a_number_is_a_whole_number_and_no_more);
	RUN(what_is_not_known_is_refused);
	return check_result();
}
