// SPDX-License-Identifier: GPL-2.0-or-later
/* Allocations that fail: see fail-nth.h. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fail-nth.h"
#include "paging.h"
#include "run.h"
#include "textfile.h"

#define DEBUGFS "/sys/kernel/debug/"
#define FAIL_NTH "/proc/thread-self/fail-nth"
#define LEFT_SIZE 16

static const struct {
	const char *path, *text;
} SETTINGS[] = {
	{ DEBUGFS "failslab/verbose", "0" },
	{ DEBUGFS "failslab/ignore-gfp-wait", "N" },
	{ DEBUGFS "fail_page_alloc/verbose", "0" },
	{ DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N" },
	{ DEBUGFS "fail_page_alloc/ignore-gfp-highmem", "N" },
	{ DEBUGFS "fail_page_alloc/min-order", "0" },
};

/* The thread's own file, and how many allocations were left, as text. */
static __thread int fd = -1;
static __thread char *left;

void fail_nth_allow(void)
{
	if (access(FAIL_NTH, W_OK)) {
		run_missing("%s: the kernel has no CONFIG_FAULT_INJECTION", FAIL_NTH);
		return;
	}
	for (size_t i = 0; i < sizeof(SETTINGS) / sizeof(SETTINGS[0]); i++)
		run_set(SETTINGS[i].path, SETTINGS[i].text);
}

/*
 * On the way out of a call the kernel writes to the thread's struct rseq. After fork() that copies a page; if this fails, the kernel
 * sends SIGSEGV.
 */
static void leave_rseq(void)
{
	if (__rseq_size)
		syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, sizeof(struct rseq), RSEQ_FLAG_UNREGISTER,
			RSEQ_SIG);
}

/* Neither may be swapped out, nor copied after a fork: the kernel reads and writes them while allocations may still fail. */
static void open_once(void)
{
	if (fd >= 0)
		return;
	fd = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		run_fail(FAIL_NTH);
	left = locked_memory(PAGE);
	left[LEFT_SIZE] = '0';
	leave_rseq();
}

/*
 * The call; what is left of the count; no count any more. Nothing between them touches memory of the program, whose fault would
 * allocate, and fail. Where the call forks, the child returns at once.
 */
#if defined(__x86_64__)
static long call_and_look(const struct system_call *call, bool forks)
{
	register long number __asm__("rax") = call->number;
	register long first __asm__("rdi") = call->arguments[0];
	register long second __asm__("rsi") = call->arguments[1];
	register long third __asm__("rdx") = call->arguments[2];
	register long fourth __asm__("r10") = call->arguments[3];
	register long fifth __asm__("r8") = call->arguments[4];
	register long sixth __asm__("r9") = call->arguments[5];
	register long result __asm__("r12");
	register long is_fork __asm__("r13") = forks;
	register long file __asm__("r14") = fd;
	register char *buffer __asm__("r15") = left;

	__asm__ volatile("syscall\n\t"
			 "movq %%rax, %%r12\n\t"
			 "testq %%r13, %%r13\n\t"
			 "jz 1f\n\t"
			 "testq %%rax, %%rax\n\t"
			 "jz 2f\n"
			 "1:\n\t"
			 "movl %[pread], %%eax\n\t"
			 "movq %%r14, %%rdi\n\t"
			 "movq %%r15, %%rsi\n\t"
			 "movl %[size], %%edx\n\t"
			 "xorl %%r10d, %%r10d\n\t"
			 "syscall\n\t"
			 "movl %[pwrite], %%eax\n\t"
			 "movq %%r14, %%rdi\n\t"
			 "leaq %c[size](%%r15), %%rsi\n\t"
			 "movl $1, %%edx\n\t"
			 "xorl %%r10d, %%r10d\n\t"
			 "syscall\n"
			 "2:\n\t"
			 : "+r"(number), "+r"(first), "+r"(second), "+r"(third), "+r"(fourth), "=r"(result)
			 : "r"(fifth), "r"(sixth), "r"(is_fork), "r"(file), "r"(buffer), [pread] "i"(SYS_pread64),
			   [pwrite] "i"(SYS_pwrite64), [size] "i"(LEFT_SIZE)
			 : "rcx", "r11", "memory", "cc");
	return result;
}
#elif defined(__aarch64__)
static long call_and_look(const struct system_call *call, bool forks)
{
	register long number __asm__("x8") = call->number;
	register long first __asm__("x0") = call->arguments[0];
	register long second __asm__("x1") = call->arguments[1];
	register long third __asm__("x2") = call->arguments[2];
	register long fourth __asm__("x3") = call->arguments[3];
	register long fifth __asm__("x4") = call->arguments[4];
	register long sixth __asm__("x5") = call->arguments[5];
	register long result __asm__("x20");
	register long is_fork __asm__("x21") = forks;
	register long file __asm__("x22") = fd;
	register char *buffer __asm__("x23") = left;

	__asm__ volatile("svc #0\n\t"
			 "mov x20, x0\n\t"
			 "cbz x21, 1f\n\t"
			 "cbz x0, 2f\n"
			 "1:\n\t"
			 "mov x8, %[pread]\n\t"
			 "mov x0, x22\n\t"
			 "mov x1, x23\n\t"
			 "mov x2, %[size]\n\t"
			 "mov x3, #0\n\t"
			 "svc #0\n\t"
			 "mov x8, %[pwrite]\n\t"
			 "mov x0, x22\n\t"
			 "add x1, x23, %[size]\n\t"
			 "mov x2, #1\n\t"
			 "mov x3, #0\n\t"
			 "svc #0\n"
			 "2:\n\t"
			 : "+r"(number), "+r"(first), "+r"(second), "+r"(third), "+r"(fourth), "=&r"(result)
			 : "r"(fifth), "r"(sixth), "r"(is_fork), "r"(file), "r"(buffer), [pread] "i"(SYS_pread64),
			   [pwrite] "i"(SYS_pwrite64), [size] "i"(LEFT_SIZE)
			 : "memory", "cc");
	return result;
}
#else
#error "no system calls for this arch"
#endif

static struct attempt attempt(unsigned int nth, const struct system_call *call, bool forks)
{
	struct attempt made;
	char text[LEFT_SIZE];
	const int length = snprintf(text, sizeof(text), "%u", nth);

	open_once();
	if (pwrite(fd, text, length, 0) != length)
		run_fail(FAIL_NTH);
	made.result = call_and_look(call, forks);
	if (forks && !made.result)
		syscall(SYS_exit_group, 0);
	made.failed = nth && !atoi(left);
	return made;
}

struct attempt fail_nth(unsigned int nth, struct system_call call)
{
	return attempt(nth, &call, false);
}

struct attempt fail_nth_fork(unsigned int nth)
{
	const struct system_call fork_call = { SYS_clone, { SIGCHLD } };
	struct attempt made = attempt(nth, &fork_call, true);

	if (made.result > 0) {
		while (waitpid((pid_t)made.result, NULL, 0) < 0 && errno == EINTR)
			;
		made.result = 0;
	}
	return made;
}
