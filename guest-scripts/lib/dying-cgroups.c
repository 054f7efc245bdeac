// SPDX-License-Identifier: GPL-2.0-or-later
/* Dying cgroups: see dying-cgroups.h. */
#define _GNU_SOURCE

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dying-cgroups.h"
#include "run.h"
#include "textfile.h"

#define STATISTICS "cgroup.stat"
#define DYING "nr_dying_descendants"
#define PAUSE_US 50000
#define AGAIN 60
#define REMOVE_MS 10000

bool dying_cgroups(const struct cgroup *cgroup, uint64_t *number)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/" STATISTICS, cgroup->path);
	if (access(path, R_OK))
		return false;
	*number = cgroup_field(cgroup, STATISTICS, DYING);
	return true;
}

/*
 * Charges a page to its cgroup on each CPU. So this CPU has charges of it in stock, and when the cgroup is removed, all that the CPU has in
 * stock goes: also that of a cgroup which had been removed before, even where it is a stock of no pages (drain_all_stock()).
 */
static void charge_on_each_cpu(void *argument)
{
	const struct cgroup *cgroup = argument;
	const long cpus = sysconf(_SC_NPROCESSORS_CONF);
	char *memory;

	if (!cgroup_enter(cgroup, 0))
		return;
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (long cpu = 0; memory != MAP_FAILED && cpu < cpus; cpu++) {
		cpu_set_t one;

		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one))
			continue;
		*(volatile char *)memory = 1;
		madvise(memory, PAGE, MADV_DONTNEED);
	}
}

/* What may keep a removed cgroup for as long as nobody asks for it. */
static void release_all(const struct cgroup *cgroup)
{
	struct cgroup last = cgroup_in(cgroup->path, "last");

	/* Dirty files keep the writeback state of their cgroup, and clean pages their cgroup. */
	sync();
	put_text("/proc/sys/vm/drop_caches", "3");
	/* Pages of processes that have ended may be on their way through a list, and are reclaimed. */
	cgroup_put(cgroup, "memory.high", "0");
	cgroup_put(cgroup, "memory.high", "max");
	if (!cgroup_make(&last))
		return;
	child_join(child_start(charge_on_each_cpu, &last));
	/* Also makes the kernel look again for inodes with a writeback state of removed cgroups (cleanup_offline_cgwbs_workfn()). */
	if (!cgroup_remove(&last, REMOVE_MS))
		run_error("rmdir of an empty cgroup", errno);
}

uint64_t dying_cgroups_left(const struct cgroup *cgroup, unsigned int ms)
{
	const uint64_t end = now_ns() + ms * 1000000ull;
	uint64_t left = 0;

	if (!dying_cgroups(cgroup, &left))
		return 0;
	for (unsigned int looks = 0; left && now_ns() < end; looks++) {
		/* What it has begun is done by workers and after grace periods; each time it leaves a cgroup of its own behind. */
		if (looks % AGAIN == 0)
			release_all(cgroup);
		operations_add(1);
		sleep_us(PAUSE_US);
		dying_cgroups(cgroup, &left);
	}
	return left;
}
