// SPDX-License-Identifier: GPL-2.0-or-later
/* Forks that do not come to their end: see killed-fork.h. */
#define _GNU_SOURCE

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "killed-fork.h"
#include "paging.h"
#include "run.h"

/* Each is a mapping of its own, as its neighbours may be written, or may not. */
#define PAGES 48
/* In microseconds: several forks at least, on a busy machine. */
#define FORKING_MOST 20000
#define NAP 200
/* Who waits for a lock of the fork runs first, once it is released. */
#define NICE 10

/* What the new process and its parent share. */
struct forker {
	bool is_nice;
	_Atomic bool begun;
};

static void prepare(void)
{
	uint8_t *const memory = mmap(NULL, PAGES * (size_t)PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return;
	for (size_t page = 0; page < PAGES; page++)
		*(volatile uint64_t *)(memory + page * PAGE) = page + 1;
	for (size_t page = 0; page < PAGES; page += 2)
		mprotect(memory + page * PAGE, PAGE, PROT_READ);
	madvise(memory, PAGES * (size_t)PAGE, MADV_PAGEOUT);
}

static void fork_again_and_again(void *argument)
{
	struct forker *const self = argument;

	prepare();
	if (self->is_nice && nice(NICE) < 0)
		run_fail("nice");
	self->begun = true;
	while (!run_over()) {
		const pid_t child = fork();

		if (!child)
			_exit(0);
		if (child > 0)
			waitpid(child, NULL, 0);
	}
}

/* Of a process that was killed: not by itself, and as the OOM killer's reaper does it. It may have ended by then, or not have begun to. */
static void release_memory(int process)
{
	const int pidfd = (int)syscall(SYS_pidfd_open, process, 0);

	if (pidfd < 0)
		run_error("pidfd_open", errno);
	else if (!syscall(SYS_process_mrelease, pidfd, 0))
		count(counter("released_memories"), 1);
	else if (errno != ESRCH && errno != EAGAIN && errno != EINVAL && errno != EINTR)
		run_error("process_mrelease", errno);
	if (pidfd >= 0)
		close(pidfd);
}

void fork_until_killed(struct rng *rng)
{
	struct forker *const forker = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int child;

	if (forker == MAP_FAILED)
		run_fail("mmap");
	forker->is_nice = rng_below(rng, 2);
	child = child_start(fork_again_and_again, forker);
	while (!forker->begun && !run_over())
		sleep_us(NAP);
	sleep_us(rng_below(rng, FORKING_MOST));
	kill(child, SIGKILL);
	if (rng_below(rng, 2))
		release_memory(child);
	waitpid(child, NULL, 0);
	munmap(forker, PAGE);
}
