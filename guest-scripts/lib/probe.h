/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the host found out about the kernel under test: where its sites and the functions of the series are. Library only. */
#ifndef PATCHRIG_PROBE_H
#define PATCHRIG_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "shared.h"

#define CALLERS_MAX 48
#define RETURNS_MAX 16
#define ENTRIES_MAX 320
#define CHANGED_MAX CHANGED_FUNCTIONS_MAX

/* A function, or the part of one between two offsets that a call returns to; end 0: all of it and its copies (.isra.0). */
struct probe_caller {
	char function[NAME_SIZE];
	uint64_t first, end;
};

/* A function that is probed at its return, for the sites that it is called from. */
struct probe_return {
	char function[NAME_SIZE];
	const struct probe_failure *failure; /* NULL: it does not say that it fails */
	bool set;
};

/* How a failure is told from the value that a function returns. */
struct probe_failure {
	const char *name; /* as in the list */
	const char *type; /* of the value, for the kernel */
	const char *filter;
};

struct probe_site {
	unsigned int callers_count;
	struct probe_caller callers[CALLERS_MAX]; /* none: whoever calls */
	uint32_t returns; /* bits */
};

/* A place whose execution is counted: a call of a site, or the entry of a function that the series changed. */
struct probe_entry {
	char place[NAME_SIZE];
	unsigned int owner; /* a site, or SITES_MAX + a changed function */
	bool set, resting;
	uint64_t hits;
};

struct probe_list {
	struct probe_site sites[SITES_MAX];
	unsigned int returns_count, entries_count;
	struct probe_return returns[RETURNS_MAX];
	struct probe_entry entries[ENTRIES_MAX];
};

extern struct probe_list probe_list;

/*
 * Reads the list of a workload; names and results are in shared->sites and shared->changed. False, with the line, where
 * it is none.
 *
 *   site NAME                     followed by what it is seen by:
 *     return FUNCTION FAILURE       calls of it, from one of the callers; FAILURE: a name of the table in probe-list.c, or -
 *     from FUNCTION [FIRST END]     a caller, or the part of it between two offsets
 *     entry PLACE                   FUNCTION or FUNCTION+OFFSET
 *   changed NUMBER                a function that the series changed, followed by its entries
 */
bool probe_list_read(const char *path, unsigned int *line);

#endif
