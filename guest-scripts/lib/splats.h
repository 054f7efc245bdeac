/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a message of the kernel's begins a splat that fails the cell. What decides that is the judge's table of patterns
 * (orchestrator/judge/guest_splats.py), in a file of rows, the first of which that matches counts:
 *   within LINES     so many lines behind an allowed splat another one may be a part of it
 *   word TEXT        each line that any pattern matches has one of these in it
 *   fails PATTERN    POSIX extended regular expressions
 *   passes PATTERN   a note, or a splat whose end is to be seen
 *   allowed PATTERN  a splat that the cell allows, perhaps
 */
#ifndef PATCHRIG_SPLATS_H
#define PATCHRIG_SPLATS_H

#include <stdbool.h>

struct splats;

/* NULL where the file can't be read. */
struct splats *splats_in(const char *path);
void splats_free(struct splats *splats);
/* A record of /dev/kmsg, which is changed; whether a splat that fails the cell begins in it. */
bool splats_fail(struct splats *splats, char *record);
/* The first row that glibc can't compile; NULL: there is none. */
const char *splats_unfit(struct splats *splats);

#endif
