// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory of the kernel's: that it is used, with names and without. */
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "kernel-memory.h"
#include "shared.h"

static void names_count(void)
{
	char folder[] = "/tmp/kernel_memory_test.XXXXXX", path[64];
	struct rng rng = rng_stream(1, 1);
	unsigned int without, with, there = 0;

	if (!mkdtemp(folder))
		return;
	without = kernel_memory_use("", 1, 1, &rng);
	with = kernel_memory_use(folder, 1, 1, &rng);
	CHECK(without > 0 && with > without);
	CHECK_NUMBER(shared->operations, 2);
	CHECK_NUMBER(shared->errors_count, 0);
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "%s/1.%u", folder, i);
		there += !unlink(path);
	}
	CHECK(there > 0);
	CHECK(!rmdir(folder));
}

int main(void)
{
	shared_new();
	RUN(names_count);
	return check_result();
}
