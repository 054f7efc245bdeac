// SPDX-License-Identifier: GPL-2.0-or-later
/* System calls in which an allocation fails: the count is set for one call, and no longer. A plain file stands for the kernel's. */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "fail-nth.h"
#include "fake_kernel.h"
#include "shared.h"

#define FILE_OF_COUNT "/proc/thread-self/fail-nth"

static void it_has_the_result_of_the_call(void)
{
	const struct attempt good = fail_nth(3, (struct system_call){ SYS_getpid, { 0 } });
	const struct attempt bad = fail_nth(3, (struct system_call){ SYS_close, { -1 } });

	CHECK_NUMBER(good.result, getpid());
	CHECK_NUMBER(bad.result, -EBADF);
	CHECK(!good.failed && !bad.failed);
}

static void all_arguments_arrive(void)
{
	int ends[2];
	char text[8] = "";
	struct attempt made;

	CHECK(!pipe(ends) && write(ends[1], "abc", 3) == 3);
	made = fail_nth(1, (struct system_call){ SYS_splice, { ends[0], 0, -1, 0, 3, 0 } });
	CHECK_NUMBER(made.result, -EBADF);
	made = fail_nth(1, (struct system_call){ SYS_read, { ends[0], (long)text, sizeof(text) } });
	CHECK_NUMBER(made.result, 3);
	CHECK_TEXT(text, "abc");
	close(ends[0]);
	close(ends[1]);
}

static void no_later_call_fails(void)
{
	fail_nth(7, (struct system_call){ SYS_getpid, { 0 } });
	CHECK(kernel_text(FILE_OF_COUNT)[0] == '0');
}

/* The call itself takes the count to its end, as the kernel does where an allocation fails. */
static void it_tells_that_an_allocation_failed(void)
{
	const int fd = open(FILE_OF_COUNT, O_RDWR);
	struct attempt made = fail_nth(5, (struct system_call){ SYS_pwrite64, { fd, (long)"0", 1, 0 } });

	CHECK(made.failed);
	made = fail_nth(0, (struct system_call){ SYS_pwrite64, { fd, (long)"0", 1, 0 } });
	CHECK(!made.failed);
	close(fd);
}

static void a_child_ends_at_once_and_has_been_waited_for(void)
{
	const struct attempt made = fail_nth_fork(2);

	CHECK_NUMBER(made.result, 0);
	CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static void a_kernel_without_fault_injection_is_named(void)
{
	kernel_forget(FILE_OF_COUNT);
	fail_nth_allow();
	CHECK(strstr(shared->missing, "CONFIG_FAULT_INJECTION"));
}

int main(void)
{
	shared_new();
	kernel_file(FILE_OF_COUNT, "0\n");
	RUN(it_has_the_result_of_the_call);
	RUN(all_arguments_arrive);
	RUN(no_later_call_fails);
	RUN(it_tells_that_an_allocation_failed);
	RUN(a_child_ends_at_once_and_has_been_waited_for);
	RUN(a_kernel_without_fault_injection_is_named);
	return check_result();
}
