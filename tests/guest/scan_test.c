// SPDX-License-Identifier: GPL-2.0-or-later
/* Which pages are written; the kernel of this test is one that can't say so. */
#include "check.h"
#include "fake_kernel.h"
#include "page.h"
#include "run.h"
#include "scan.h"
#include "shared.h"

static void a_kernel_without_scans_is_told_by_the_answer(void)
{
	uint64_t named = 7;

	CHECK(!scan_written(shared, 1, SCAN_IS_SWAPPED, 0, &named));
	CHECK_NUMBER(named, 7);
	CHECK_NUMBER(shared->errors_count, 0);
}

int main(void)
{
	shared_new();
	kernel_file("/proc/self/pagemap", "");
	RUN(a_kernel_without_scans_is_told_by_the_answer);
	return check_result();
}
