/* SPDX-License-Identifier: GPL-2.0-or-later */
/* NUMA nodes and memory policies: the system calls, which the C library does not have, and sets of nodes. */
#ifndef PATCHRIG_NUMA_H
#define PATCHRIG_NUMA_H

#include <linux/mempolicy.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of kernels that are newer than the compiler's headers. */
#define POLICY_PREFERRED_MANY 5
#define POLICY_WEIGHTED_INTERLEAVE 6
#define POLICY_BALANCING (1 << 13) /* MPOL_F_NUMA_BALANCING */

/* A bit for each node. */
typedef uint64_t nodes_t;

struct policy {
	int mode; /* with its flags */
	nodes_t nodes;
};

/* Nodes that have memory; without NUMA, node 0. */
nodes_t nodes_with_memory(void);
/* "0-1,3", as sysfs and cpuset.mems have it; what is no such list is empty. */
nodes_t nodes_parse(const char *list);
void nodes_format(nodes_t nodes, char *text, size_t size);

/* All return 0, or the errno. */
int policy_set(const struct policy *policy);
int policy_of_task(struct policy *policy);
int policy_of_page(const void *address, struct policy *policy);
int policy_bind(void *address, size_t length, const struct policy *policy, unsigned int flags);
int policy_home_node(void *address, size_t length, unsigned int node);
/* The node that a page is on; it is brought in if it is not in memory. Or -errno. */
int node_of_page(const void *address);
/* move_pages(2) of this process; how many of the pages are on their node then. */
unsigned int pages_move(unsigned int count, void **pages, const int *nodes, int *status);
/* migrate_pages(2) */
int process_migrate(int process, nodes_t from, nodes_t to);

#endif
