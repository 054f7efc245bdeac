// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * policy-cpuset: a task has a memory policy, and the nodes of its cpuset change.
 *
 * Nothing is switched off here. The task asks for its policy when its cpuset has all nodes again. With a flag that says how the nodes are
 * meant, they must be those that the task has set. Without one the kernel maps them to the nodes of the cpuset: one node to one node.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <string.h>

#include "cgroup.h"
#include "numa.h"
#include "run.h"

#define SIZE(array) (sizeof(array) / sizeof((array)[0]))

static const int modes[] = { MPOL_PREFERRED, MPOL_BIND, MPOL_INTERLEAVE, POLICY_PREFERRED_MANY };
static const int flags[] = { 0, MPOL_F_STATIC_NODES, MPOL_F_RELATIVE_NODES, POLICY_BALANCING };

static nodes_t nodes;
static struct cgroup cpuset;
static counter_t *policies, *changes;

static bool ready(void)
{
	return cpuset.path[0] && __builtin_popcountll(nodes) > 1;
}

static void set_mems(nodes_t mems)
{
	char text[256];

	nodes_format(mems, text, sizeof(text));
	if (!cgroup_put(&cpuset, "cpuset.mems", text))
		run_error("write to cpuset.mems", errno);
	count(changes, 1);
}

static void expect(const struct policy *set, const struct policy *seen)
{
	const bool meant = set->mode & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES);

	if (seen->mode != set->mode)
		run_error_named("get_mempolicy", "another mode than was set");
	else if (meant ? seen->nodes != set->nodes : __builtin_popcountll(seen->nodes) != 1)
		run_error_named("get_mempolicy", "other nodes than were set");
}

static void try_policy(const struct policy *policy, nodes_t mems)
{
	struct policy seen;
	const int error = policy_set(policy);

	/* A mode that this kernel does not have, or not with balancing. */
	if (error == EINVAL && (policy->mode & POLICY_BALANCING || policy->mode >= POLICY_PREFERRED_MANY))
		return;
	if (error) {
		run_error("set_mempolicy", error);
		return;
	}
	set_mems(mems);
	set_mems(nodes);
	if (policy_of_task(&seen))
		run_error("get_mempolicy", errno);
	else
		expect(policy, &seen);
	count(policies, 1);
	operations_add(1);
}

static void task(void *argument)
{
	const nodes_t first = nodes & -nodes, others = nodes & ~first;
	struct rng rng = rng_stream(run_seed(), 1);

	(void)argument;
	set_mems(nodes);
	if (!cgroup_enter(&cpuset, 0))
		run_error("moving to another cgroup", errno);
	while (!run_over()) {
		const struct policy policy = {
			.mode = modes[rng_below(&rng, SIZE(modes))] | flags[rng_below(&rng, SIZE(flags))],
			.nodes = rng_below(&rng, 2) ? first : others & -others,
		};

		try_policy(&policy, rng_below(&rng, 2) ? first : others);
	}
}

static void setup(void)
{
	const struct cgroup root = { CGROUP_ROOT };

	policies = counter("policies");
	changes = counter("mems_changes");
	nodes = nodes_with_memory();
	if (__builtin_popcountll(nodes) < 2)
		run_missing("two NUMA nodes with memory");
	else if (!cgroup_put(&root, "cgroup.subtree_control", "+cpuset"))
		run_missing("the cpuset controller of cgroup v2: %s", strerror(errno));
	else {
		cpuset = cgroup_in(root.path, "policy-cpuset");
		if (!cgroup_make(&cpuset))
			run_fail("mkdir of a cgroup");
	}
}

static void load(void)
{
	if (!ready())
		return;
	child_join(child_start(task, NULL));
	if (!cgroup_remove(&cpuset, 10000))
		run_error("rmdir of an empty cgroup", errno);
}

/* It has no memory that is worth a look. */
static void verify(void)
{
}

int main(int argc, char **argv)
{
	static const struct workload workload = { .steady = 1, .setup = setup, .load = load, .verify = verify };

	return run_workload(&workload, argc, argv);
}
