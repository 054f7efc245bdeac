// SPDX-License-Identifier: GPL-2.0-or-later
/* Processes that are killed while they fork: nothing of them stays behind. */
#include <errno.h>
#include <sys/wait.h>

#include "check.h"
#include "killed-fork.h"
#include "shared.h"

static void a_killed_process_has_been_waited_for(void)
{
	struct rng rng = rng_stream(1, 1);

	memset(shared, 0, sizeof(*shared));
	for (unsigned int i = 0; i < 3; i++)
		fork_until_killed(&rng);
	CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
	CHECK_NUMBER(shared->errors_count, 0);
}

static void it_ends_with_the_run(void)
{
	struct rng rng = rng_stream(1, 1);

	memset(shared, 0, sizeof(*shared));
	shared->over = true;
	fork_until_killed(&rng);
	CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

int main(void)
{
	shared_new();
	RUN(a_killed_process_has_been_waited_for);
	RUN(it_ends_with_the_run);
	return check_result();
}
