// SPDX-License-Identifier: GPL-2.0-or-later
/* Bus errors as results: see guard.h. */
#define _GNU_SOURCE

#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "guard.h"
#include "run.h"

static struct sigaction unguarded;
static _Thread_local sigjmp_buf way_out;
static _Thread_local volatile sig_atomic_t armed;

static void on_bus_error(int signal, siginfo_t *info, void *context)
{
	if (!armed)
		unguarded.sa_sigaction(signal, info, context);
	armed = 0;
	siglongjmp(way_out, 1);
}

/* malloc() gives each thread an arena and takes it back at the thread's end; one that can be lost would be its end. */
static void lock_heap(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TOP_PAD, 1 << 20);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	free(malloc(1 << 16));
	if (mlockall(MCL_CURRENT))
		run_fail("mlockall");
}

void guard_bus_errors(void)
{
	/* Not blocked in its handler, which is left by a jump: there is no mask to put back. */
	const struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_NODEFER };

	if (sigaction(SIGBUS, &action, &unguarded) || !(unguarded.sa_flags & SA_SIGINFO))
		run_fail("sigaction");
	lock_heap();
}

bool guarded(void (*body)(void *), void *argument)
{
	if (sigsetjmp(way_out, 0))
		return false;
	armed = 1;
	body(argument);
	armed = 0;
	return true;
}
