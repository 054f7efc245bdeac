/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes system calls in which one allocation of the kernel fails: fault injection by /proc/thread-self/fail-nth
 * (Documentation/fault-injection in the kernel's source). Page faults of the program itself never fail: they are not within a call.
 */
#ifndef PATCHRIG_FAIL_NTH_H
#define PATCHRIG_FAIL_NTH_H

#include <stdbool.h>

struct attempt {
	long result; /* of the system call, or -errno */
	bool failed; /* an allocation has failed; if not, the call makes fewer than n */
};

struct system_call {
	long number;
	long arguments[6];
};

/* For prepare(): allocations of any kind and order may fail, and the kernel prints no line for each. Missing where it can't do that. */
void fail_nth_allow(void);
/* Makes the call, and its nth allocation fails. A thread has its own count; what the call leaves to other threads does not fail. */
struct attempt fail_nth(unsigned int nth, struct system_call call);
/* The same with fork(): the child ends at once, and has been waited for. `result` is 0 where there was one. */
struct attempt fail_nth_fork(unsigned int nth);

#endif
