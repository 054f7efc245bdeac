// SPDX-License-Identifier: GPL-2.0-or-later
/* NUMA nodes and memory policies: see numa.h. */
#define _GNU_SOURCE

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "numa.h"

#define NODES_MOST 64
/* The kernel takes one bit less than it is told. */
#define MAXNODE (NODES_MOST + 1)
#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node 450
#endif

nodes_t nodes_parse(const char *list)
{
	nodes_t nodes = 0;
	char *end;

	for (;;) {
		const unsigned long first = strtoul(list, &end, 10);
		unsigned long last = first;

		if (end == list)
			return nodes;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (unsigned long node = first; node <= last && node < NODES_MOST; node++)
			nodes |= (nodes_t)1 << node;
		if (*end != ',')
			return nodes;
		list = end + 1;
	}
}

void nodes_format(nodes_t nodes, char *text, size_t size)
{
	size_t used = 0;

	text[0] = 0;
	for (unsigned int node = 0; node < NODES_MOST && used < size; node++)
		if (nodes >> node & 1)
			used += (size_t)snprintf(text + used, size - used, "%s%u", used ? "," : "", node);
}

nodes_t nodes_with_memory(void)
{
	char list[256] = "";
	FILE *file = fopen("/sys/devices/system/node/has_memory", "re");
	nodes_t nodes = 0;

	if (file && fgets(list, sizeof(list), file))
		nodes = nodes_parse(list);
	if (file)
		fclose(file);
	return nodes ? nodes : 1;
}

static int result(long returned)
{
	return returned < 0 ? errno : 0;
}

int policy_set(const struct policy *policy)
{
	return result(syscall(SYS_set_mempolicy, policy->mode, &policy->nodes, MAXNODE));
}

static int get_policy(const void *address, unsigned long flags, struct policy *policy)
{
	policy->nodes = 0;
	return result(syscall(SYS_get_mempolicy, &policy->mode, &policy->nodes, MAXNODE, address, flags));
}

int policy_of_task(struct policy *policy)
{
	return get_policy(NULL, 0, policy);
}

int policy_of_page(const void *address, struct policy *policy)
{
	return get_policy(address, MPOL_F_ADDR, policy);
}

int policy_bind(void *address, size_t length, const struct policy *policy, unsigned int flags)
{
	return result(syscall(SYS_mbind, address, length, policy->mode, &policy->nodes, MAXNODE, flags));
}

int policy_home_node(void *address, size_t length, unsigned int node)
{
	return result(syscall(SYS_set_mempolicy_home_node, address, length, (unsigned long)node, 0ul));
}

int node_of_page(const void *address)
{
	int node = 0;

	if (syscall(SYS_get_mempolicy, &node, NULL, 0, address, MPOL_F_NODE | MPOL_F_ADDR))
		return -errno;
	return node;
}

unsigned int pages_move(unsigned int count, void **pages, const int *nodes, int *status)
{
	unsigned int there = 0;

	memset(status, 0xff, count * sizeof(*status));
	if (syscall(SYS_move_pages, 0, (unsigned long)count, pages, nodes, status, MPOL_MF_MOVE) < 0)
		return 0;
	for (unsigned int i = 0; i < count; i++)
		there += status[i] == nodes[i];
	return there;
}

int process_migrate(int process, nodes_t from, nodes_t to)
{
	return result(syscall(SYS_migrate_pages, process, MAXNODE, &from, &to));
}
