// SPDX-License-Identifier: GPL-2.0-or-later
/* Control groups: what their files say. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "check.h"
#include "fake_kernel.h"

static const struct cgroup ONE = { "/sys/fs/cgroup/one" };

static void the_hierarchy_is_told_by_its_files(void)
{
	CHECK(cgroups_are_v1());
	kernel_file("/sys/fs/cgroup/cgroup.controllers", "cpuset io memory\n");
	CHECK(!cgroups_are_v1());
}

static void a_controller_is_a_whole_word(void)
{
	kernel_file("/sys/fs/cgroup/one/cgroup.controllers", "cpuset io\n");
	CHECK(cgroup_has(&ONE, "io"));
	CHECK(cgroup_has(&ONE, "cpuset"));
	CHECK(!cgroup_has(&ONE, "cpu"));
	CHECK(!cgroup_has(&ONE, "memory"));
}

static void a_number_or_the_word_max(void)
{
	uint64_t value = 7;

	kernel_file("/sys/fs/cgroup/one/memory.high", "8192\n");
	kernel_file("/sys/fs/cgroup/one/memory.max", "max\n");
	kernel_file("/sys/fs/cgroup/one/memory.low", "-\n");
	CHECK(cgroup_get(&ONE, "memory.high", &value));
	CHECK_NUMBER(value, 8192);
	CHECK(cgroup_get(&ONE, "memory.max", &value));
	CHECK(value == CGROUP_MAX);
	CHECK(!cgroup_get(&ONE, "memory.low", &value));
	CHECK(!cgroup_get(&ONE, "memory.none", &value));
}

static void the_number_behind_a_word(void)
{
	kernel_file("/sys/fs/cgroup/one/memory.events", "low 1\noom 2\noom_kill 3\noom_group_kill 4\n");
	CHECK_NUMBER(cgroup_field(&ONE, "memory.events", "oom_kill"), 3);
	CHECK_NUMBER(cgroup_field(&ONE, "memory.events", "oom_group_kill"), 4);
	CHECK_NUMBER(cgroup_field(&ONE, "memory.events", "high"), 0);
	CHECK_NUMBER(cgroup_field(&ONE, "memory.none", "oom"), 0);
}

static void what_is_put_arrives(void)
{
	kernel_file("/sys/fs/cgroup/one/memory.min", "");
	kernel_file("/sys/fs/cgroup/one/cgroup.procs", "");
	CHECK(cgroup_put_bytes(&ONE, "memory.min", 1ull << 40));
	CHECK_TEXT(kernel_text("/sys/fs/cgroup/one/memory.min"), "1099511627776");
	CHECK(cgroup_enter(&ONE, 42));
	CHECK_TEXT(kernel_text("/sys/fs/cgroup/one/cgroup.procs"), "42");
	CHECK(!cgroup_put(&ONE, "memory.none", "1"));
	CHECK_NUMBER(errno, ENOENT);
}

/* Folders are the host's own: a parent that is in use as long as it has a child, as a cgroup is. */
static void what_is_gone_is_gone_and_what_is_in_use_is_said(void)
{
	char parent[] = "/tmp/cgroup_test.XXXXXX";
	struct cgroup outer, inner;

	if (!mkdtemp(parent))
		return;
	outer = cgroup_in(parent, "outer");
	inner = cgroup_in(outer.path, "inner");
	CHECK(cgroup_make(&outer) && cgroup_make(&outer) && cgroup_make(&inner));
	CHECK(!cgroup_remove(&outer, 20));
	CHECK(cgroup_remove(&inner, 20));
	CHECK(cgroup_remove(&outer, 20));
	CHECK(!cgroup_remove(&outer, 20));
	CHECK_NUMBER(errno, ENOENT);
	rmdir(parent);
}

int main(void)
{
	RUN(the_hierarchy_is_told_by_its_files);
	RUN(a_controller_is_a_whole_word);
	RUN(a_number_or_the_word_max);
	RUN(the_number_behind_a_word);
	RUN(what_is_put_arrives);
	RUN(what_is_gone_is_gone_and_what_is_in_use_is_said);
	return check_result();
}
