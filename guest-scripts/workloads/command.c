// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any program as a workload: swaps the devices on, runs the command, swaps them off again, and speaks for it.
 *
 *   command [--swap PATH:PRIORITY:KIND]... -- PROGRAM [ARGUMENT]...
 *
 * Each line that the command prints is an operation, and goes to our standard output with a "|" before it, so that nothing in it can
 * be taken for a line of ours. The exit status is the command's; 128 + N where signal N ended it.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared.h"
#include "textfile.h"

#define LINE_MOST 4000
#define TICK_MS 200
/* A daemon that the command left behind may hold its output open: what comes within so many looks after its end is taken. */
#define LOOKS_AFTER 5
#define PATHS "PATH=/bin:/sbin:/usr/bin:/usr/sbin:/usr/local/bin:/patchrig"

static const struct workload nothing;
static struct kernel_counters before, after;
static char line[LINE_MOST + 1];
static size_t length;
static uint64_t started_ns;

static void print_line(void)
{
	line[length] = 0;
	length = 0;
	printf("|%s\n", line);
	operations_add(1);
}

static void take(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '\n' || length == LINE_MOST)
			print_line();
		/* A NUL would end the line for whoever reads it. */
		if (text[i] != '\n')
			line[length++] = text[i] ? text[i] : ' ';
	}
}

static void print_progress(void)
{
	progress_print(started_ns);
	/* The command's lines, too. */
	fflush(stdout);
}

static pid_t start(char *const command[], int output)
{
	static char *const environment[] = { PATHS, "HOME=/tmp", "TMPDIR=/tmp", "LC_ALL=C", "USER=root", "TERM=dumb", NULL };
	const pid_t child = fork();

	if (child)
		return child;
	/* A session of its own: it may do to its process group what it likes. */
	setsid();
	dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	putenv(PATHS);
	execvpe(command[0], command, environment);
	dprintf(STDERR_FILENO, "%s: %s\n", command[0], strerror(errno));
	_exit(127);
}

/* Until the command has ended and said all; its status as a shell has it. */
static int follow(pid_t child, int input)
{
	struct pollfd readable = { .fd = input, .events = POLLIN };
	char text[65536];
	int status = 0, looks = 0;
	bool ended = false;

	while (!ended || looks++ < LOOKS_AFTER) {
		const bool some = poll(&readable, 1, TICK_MS) > 0;
		const ssize_t size = some ? read(input, text, sizeof(text)) : 0;

		if (size > 0)
			take(text, (size_t)size);
		print_progress();
		if (!ended)
			ended = waitpid(child, &status, WNOHANG) == child;
		/* All of it has been read; who closed its output early may still run. */
		if (some && size == 0) {
			if (ended)
				break;
			readable.fd = -1;
		}
	}
	if (length)
		print_line();
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The command may have swapped it off itself: EINVAL. */
static void devices_off(void)
{
	for (unsigned int i = 0; i < shared->devices_count; i++) {
		const uint64_t began = now_ns();

		if (!swapoff(shared->devices[i].path)) {
			const uint64_t took = now_ns() - began;

			shared->swapoffs++;
			if (took > shared->longest_ns)
				shared->longest_ns = took;
		} else if (errno != EINVAL) {
			run_error("swapoff", errno);
		}
		print_progress();
	}
}

static int run(char *const command[])
{
	int ends[2];
	pid_t child;
	int status;

	if (pipe2(ends, O_CLOEXEC))
		run_fail("pipe2");
	kernel_counters_read(&before);
	child = start(command, ends[1]);
	if (child < 0)
		run_fail("fork");
	close(ends[1]);
	/* Limits are for the command. */
	put_text("/sys/fs/cgroup/cgroup.procs", "0");
	mlockall(MCL_CURRENT);
	status = follow(child, ends[0]);
	kernel_counters_read(&after);
	return status;
}

int main(int argc, char **argv)
{
	int own = 1, status = 0;

	while (own < argc && strcmp(argv[own], "--"))
		own += 2;
	if (own + 1 >= argc) {
		fprintf(stderr, "no command given\n");
		return 2;
	}
	shared_new();
	parse_options(&nothing, own, argv);
	started_ns = now_ns();
	for (unsigned int i = 0; i < shared->devices_count; i++)
		if (swapon(shared->devices[i].path,
			   SWAP_FLAG_PREFER | (shared->devices[i].priority << SWAP_FLAG_PRIO_SHIFT & SWAP_FLAG_PRIO_MASK)))
			run_missing("swapon %s: %s", shared->devices[i].path, strerror(errno));
	if (!shared->missing[0]) {
		status = run(argv + own + 1);
		devices_off();
	}
	result_print(&before, &after, false);
	return status;
}
