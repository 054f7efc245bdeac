// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs one workload in a guest that nobody can reach (`patchrig run --deterministic`), and says on the console what it prints.
 *
 *   job SPIN:NO_PROGRESS:OVERALL RUN-WORKLOAD-ARGUMENT...
 *
 * SPIN is how many rounds of a loop pass before the workload starts, which moves all that follows against the timers. The
 * limits are seconds of the guest's own clock: those of the host's would make the end of a hang another one each time.
 *
 * When the kernel prints a splat that fails the cell, nothing that the load does after it changes that: the guest ends soon.
 *
 * On the console, each line a message of the kernel's, which nothing that is printed at the same moment can tear:
 *   patchrig: said NUMBER CRC32 BASE64       a piece of what the workload printed; numbers count from 0
 *   patchrig: blocks NUMBER CRC32 BASE64     a piece of what an instrumented kernel counted; numbers count on
 *   patchrig: ended HOW STATUS               HOW is status, no-progress, timeout or splat; nothing comes after it but the reset
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/random.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "splats.h"
#include "textfile.h"

/* A message of /dev/kmsg may have 1024 bytes with all that is before it. */
#define PIECE 540
#define SYSRQ "/proc/sysrq-trigger"
#define PRINT_USECONDS 500000
#define DEBUGFS "/sys/kernel/debug/patchrig"
#define BLOCKS "/patchrig/blocks"
#define LOOK_MS 100
/* Of a splat: its stack, what other CPUs say of it, and what becomes of the load. */
#define SPLAT_SECONDS 2
/* A record of /dev/kmsg with what stands before it and in it as \xNN. */
#define RECORD_BYTES 8192
/* A kernel that prints without an end lets the rest wait. */
#define RECORDS_MOST 1000

static unsigned int pieces;

static double seconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static uint32_t crc32(const unsigned char *data, size_t size)
{
	uint32_t sum = ~0u;

	for (size_t i = 0; i < size; i++) {
		sum ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
	}
	return ~sum;
}

static void base64(char *text, const unsigned char *data, size_t size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < size; i += 3) {
		const uint32_t three = (uint32_t)data[i] << 16 | (uint32_t)(i + 1 < size ? data[i + 1] : 0) << 8 |
				       (i + 2 < size ? data[i + 2] : 0);

		*text++ = digits[three >> 18];
		*text++ = digits[three >> 12 & 63];
		*text++ = i + 1 < size ? digits[three >> 6 & 63] : '=';
		*text++ = i + 2 < size ? digits[three & 63] : '=';
	}
	*text = '\0';
}

static void say(const char *stream, const unsigned char *data, size_t size)
{
	char text[PIECE / 3 * 4 + 1], line[PIECE / 3 * 4 + 64];

	base64(text, data, size);
	snprintf(line, sizeof(line), "patchrig: %s %u %08" PRIx32 " %s\n", stream, pieces++, crc32(data, size), text);
	put_text("/dev/kmsg", line);
}

/* Says what can be read there now; how many bytes that were. */
static ssize_t forward(const char *stream, int fd, unsigned char *data)
{
	const ssize_t size = read(fd, data, PIECE);

	if (size > 0)
		say(stream, data, (size_t)size);
	return size;
}

/* The number of operations that a progress line tells, as text. Lines are put together here. */
static const char *operations(const unsigned char *data, size_t size)
{
	static char line[512], found[32];
	static size_t used;

	for (size_t i = 0; i < size; i++) {
		if (data[i] != '\n') {
			if (used < sizeof(line) - 1)
				line[used++] = (char)data[i];
			continue;
		}
		line[used] = '\0';
		used = 0;
		const char *at = strstr(line, "\"progress\"") ? strstr(line, "\"operations\": ") : NULL;

		if (at)
			snprintf(found, sizeof(found), "%.20s", at + strlen("\"operations\": "));
		found[strcspn(found, ",}")] = '\0';
	}
	return found;
}

struct kernel_log {
	struct splats *splats; /* NULL: nothing is known of splats */
	int fd;
	double failed; /* when a splat was seen; 0: none was */
};

/* By the rows of the workload, or those of all workloads without some of their own. */
static struct kernel_log opened_log(char *const *argv)
{
	struct kernel_log log = { .fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC) };
	char path[128] = "";

	while (*argv && strcmp(*argv, "--"))
		argv++;
	if (argv[0] && argv[1])
		snprintf(path, sizeof(path), "/patchrig/%s.splats", argv[1]);
	log.splats = splats_in(access(path, R_OK) ? "/patchrig/splats" : path);
	return log;
}

static void look_for_splat(struct kernel_log *log)
{
	char record[RECORD_BYTES + 1];

	for (unsigned int i = 0; log->splats && !log->failed && i < RECORDS_MOST; i++) {
		const ssize_t size = read(log->fd, record, RECORD_BYTES);

		/* Some were overwritten before they were read. */
		if (size < 0 && errno == EPIPE)
			continue;
		if (size <= 0)
			return;
		record[size] = '\0';
		if (splats_fail(log->splats, record))
			log->failed = seconds();
	}
}

/* Whether what belongs to a splat has been printed. */
static int told_splat(const struct kernel_log *log)
{
	return log->failed && seconds() - log->failed > SPLAT_SECONDS;
}

static pid_t start(char **argv, int output)
{
	const pid_t child = fork();

	if (child)
		return child;
	const int null = open("/dev/null", O_RDONLY);

	dup2(null, 0);
	dup2(output, 1);
	dup2(output, 2);
	argv[0] = "/patchrig/run-workload";
	execv(argv[0], argv);
	_exit(127);
}

/* Follows the workload to its end, to that of a limit, or until a splat has failed it. What is to be said of it. */
static const char *follow(pid_t child, int pipe, struct kernel_log *log, double no_progress, double overall, int *status)
{
	const double began = seconds();
	double moved = began;
	char before[32] = "";
	unsigned char data[PIECE];

	for (;;) {
		const int over = waitpid(child, status, WNOHANG) == child;
		struct pollfd readable = { .fd = pipe, .events = POLLIN };
		ssize_t size = 0;

		while (poll(&readable, 1, over ? 0 : LOOK_MS) > 0 && (size = forward("said", pipe, data)) > 0) {
			const char *now = operations(data, (size_t)size);

			if (strcmp(now, before)) {
				snprintf(before, sizeof(before), "%s", now);
				moved = seconds();
			}
			look_for_splat(log);
			if (seconds() - began > overall || told_splat(log))
				break;
		}
		look_for_splat(log);
		if (over)
			return "status";
		/* Who has closed its output ends next, or does not. */
		if (size == 0 && readable.revents & POLLHUP)
			usleep(LOOK_MS * 1000);
		if (told_splat(log))
			return "splat";
		if (seconds() - began > overall)
			return "timeout";
		if (seconds() - moved > no_progress)
			return "no-progress";
	}
}

static void say_blocks(void)
{
	const int records = !access(DEBUGFS "/reached", F_OK);
	unsigned char data[PIECE];
	int fd;

	if (!records && (access(BLOCKS, F_OK) || access(DEBUGFS "/blocks", F_OK)))
		return;
	put_text(DEBUGFS "/on", "0");
	fd = open(records ? DEBUGFS "/reached" : DEBUGFS "/blocks", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && forward("blocks", fd, data) > 0)
		continue;
}

#define ENTROPY_BYTES 64

/*
 * Nothing random of the host's enters, and the kernel collects its own for up to 20 s, for which mkswap would wait. What it gets
 * here is the same each time.
 */
static void give_entropy(void)
{
	struct {
		struct rand_pool_info info;
		unsigned char bytes[ENTROPY_BYTES];
	} entropy = { .info = { .entropy_count = 8 * ENTROPY_BYTES, .buf_size = ENTROPY_BYTES } };
	const int urandom = open("/dev/urandom", O_RDWR | O_CLOEXEC);

	if (urandom < 0 || ioctl(urandom, RNDADDENTROPY, &entropy))
		put_text("/dev/kmsg", "patchrig: the kernel takes no entropy\n");
	if (urandom >= 0)
		close(urandom);
}

static void spin(unsigned long rounds)
{
	volatile uint64_t sink = 1;

	for (unsigned long i = 0; i < rounds; i++)
		sink = sink * 6364136223846793005u + 1442695040888963407u;
}

static int exit_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	unsigned long rounds = 0;
	double no_progress = 0, overall = 0;
	int ends[2], status = 0;
	char line[64];

	if (argc < 3 || sscanf(argv[1], "%lu:%lf:%lf", &rounds, &no_progress, &overall) != 3 || pipe2(ends, O_CLOEXEC)) {
		put_text("/dev/kmsg", "patchrig: ended status 2\n");
		return 2;
	}
	setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin:/patchrig", 1);
	struct kernel_log log = opened_log(argv + 2);

	give_entropy();
	spin(rounds);
	const pid_t child = start(argv + 1, ends[1]);

	close(ends[1]);
	const char *how = follow(child, ends[0], &log, no_progress, overall, &status);

	/* Blocked tasks, what every CPU runs, and the locks that are held. A splat has told enough. */
	if (strcmp(how, "status") && strcmp(how, "splat"))
		for (const char *key = "wld"; *key; key++)
			put_text(SYSRQ, (const char[]){ *key, '\0' });
	say_blocks();
	snprintf(line, sizeof(line), "patchrig: ended %s %d\n", how, exit_status(status));
	put_text("/dev/kmsg", line);
	/* A thread of the kernel's prints on some consoles (arm64: pl011), and sysrq b does not wait for it. */
	usleep(PRINT_USECONDS);
	put_text(SYSRQ, "b");
	return 0;
}
