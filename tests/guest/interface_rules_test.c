// SPDX-License-Identifier: GPL-2.0-or-later
/* What may be done with a file: nothing that ends the guest, or takes from the load what it needs. */
#include "check.h"
#include "interface.h"

static enum may may(const char *path)
{
	const char *why;
	const enum may found = interface_may(path, &why);

	CHECK((found == MAY_ALL) == !*why);
	return found;
}

static void most_files_may_be_used_in_every_way(void)
{
	CHECK_NUMBER(may("/sys/kernel/mm/swap/tiers"), MAY_ALL);
	CHECK_NUMBER(may("/sys/fs/cgroup/knobs/0-1/a/memory.max"), MAY_ALL);
	CHECK_NUMBER(may("/proc/sys/vm/swappiness"), MAY_ALL);
	CHECK_NUMBER(may("/proc/17/clear_refs"), MAY_ALL);
}

static void what_harms_the_guest_or_the_verdict_is_left_out(void)
{
	CHECK_NUMBER(may("/proc/sys/vm/panic_on_oom"), MAY_READ);
	CHECK_NUMBER(may("/proc/sysrq-trigger"), MAY_NOTHING);
	CHECK_NUMBER(may("/proc/17/mem"), MAY_NOTHING);
	CHECK_NUMBER(may("/sys/kernel/debug/patchrig/blocks"), MAY_NOTHING);
	CHECK_NUMBER(may("/sys/devices/system/cpu/cpu1/online"), MAY_READ);
}

static void what_takes_memory_from_the_load_is_only_written_back(void)
{
	CHECK_NUMBER(may("/proc/sys/vm/overcommit_memory"), MAY_WRITE_BACK);
	CHECK_NUMBER(may("/proc/sys/vm/nr_hugepages_mempolicy"), MAY_WRITE_BACK);
	CHECK_NUMBER(may("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"), MAY_WRITE_BACK);
	CHECK_NUMBER(may("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages"), MAY_ALL);
}

int main(void)
{
	RUN(most_files_may_be_used_in_every_way);
	RUN(what_harms_the_guest_or_the_verdict_is_left_out);
	RUN(what_takes_memory_from_the_load_is_only_written_back);
	return check_result();
}
