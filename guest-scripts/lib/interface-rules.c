// SPDX-License-Identifier: GPL-2.0-or-later
/* What may not be done with a file, because the guest or the verdict would suffer: a table. */
#include <fnmatch.h>

#include "interface.h"

struct rule {
	const char *pattern; /* of the path; * also stands for slashes */
	enum may may;
	const char *why;
};

static const struct rule RULES[] = {
	{ "*/panic_on_oom", MAY_READ, "a correct kernel panics" },
	{ "*/panic*", MAY_READ, "a correct kernel panics" },
	{ "*/core_pattern", MAY_READ, "the kernel starts a program" },
	{ "*/modprobe", MAY_READ, "the kernel starts a program" },
	{ "*/sysrq*", MAY_NOTHING, "ends the guest" },
	{ "*/uevent", MAY_READ, "the kernel tells programs of devices that have not changed" },
	{ "*/online", MAY_READ, "takes a CPU or memory away from the guest" },
	{ "*/provoke-crash/*", MAY_NOTHING, "ends the guest" },
	{ "*/fail*/*", MAY_READ, "makes allocations fail" },
	{ "*/kmsg", MAY_NOTHING, "waits for messages" },
	{ "*/trace_pipe", MAY_NOTHING, "waits for messages" },
	{ "/sys/kernel/debug/patchrig/*", MAY_NOTHING, "belongs to patchrig" },
	{ "/sys/kernel/debug/kprobes/*", MAY_NOTHING, "belongs to patchrig" },
	{ "/sys/kernel/debug/tracing/*", MAY_NOTHING, "belongs to patchrig" },
	{ "/sys/kernel/debug/kmemleak", MAY_NOTHING, "takes minutes" },
	{ "*/overcommit_*", MAY_WRITE_BACK, "memory is refused to the load" },
	{ "*/mmap_min_addr", MAY_WRITE_BACK, "mappings are refused to the load" },
	{ "*/laptop_mode", MAY_WRITE_BACK, "Linux 6.19 warns in lru_gen_shrink_lruvec() (docs/found/README.md)" },
	{ "*/page-cluster", MAY_WRITE_BACK, "each fault would read the whole device" },
	{ "*/max_map_count", MAY_WRITE_BACK, "mappings are refused to the load" },
	{ "*/min_free_kbytes", MAY_WRITE_BACK, "the kernel keeps the guest's memory to itself" },
	{ "*/watermark_*", MAY_WRITE_BACK, "the kernel keeps the guest's memory to itself" },
	{ "*/lowmem_reserve_ratio", MAY_WRITE_BACK, "the kernel keeps the guest's memory to itself" },
	{ "*/admin_reserve_kbytes", MAY_WRITE_BACK, "memory is refused to the load" },
	{ "*/user_reserve_kbytes", MAY_WRITE_BACK, "memory is refused to the load" },
	{ "*/nr_hugepages*", MAY_WRITE_BACK, "takes all of the guest's memory" },
	{ "*/min_ttl_ms", MAY_WRITE_BACK, "the OOM killer runs while there is memory" },
	{ "*/stat_interval", MAY_WRITE_BACK, "totals that the accounting reads would be old" },
	{ "*/page_idle/bitmap", MAY_NOTHING, "has no text" },
	{ "*/cgroup.procs", MAY_READ, "moves the load or patchrig itself" },
	{ "*/cgroup.threads", MAY_READ, "moves the load or patchrig itself" },
	{ "*/cgroup.kill", MAY_NOTHING, "kills, which is right" },
	{ "*/cgroup.freeze", MAY_READ, "what is frozen makes no progress" },
	{ "*/cgroup.type", MAY_READ, "a threaded cgroup cannot be undone" },
	{ "/proc/*/mem", MAY_NOTHING, "has no text" },
	{ "/proc/kcore", MAY_NOTHING, "has no text" },
};

enum may interface_may(const char *path, const char **why)
{
	enum may may = MAY_ALL;

	*why = "";
	for (size_t i = 0; i < sizeof(RULES) / sizeof(RULES[0]); i++)
		if (RULES[i].may > may && !fnmatch(RULES[i].pattern, path, 0)) {
			may = RULES[i].may;
			*why = RULES[i].why;
		}
	return may;
}
