/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A second mapping of a memory file. Whoever touches a page of it that the file has, in memory or swapped out, waits until a server lets
 * userfaultfd map it (UFFDIO_CONTINUE).
 */
#ifndef PATCHRIG_MINOR_H
#define PATCHRIG_MINOR_H

#include "area.h"

struct minor {
	const struct area *area; /* of the file; NULL: there is no such mapping */
	uint8_t *base;
};

/* A userfaultfd for them, or -1: the kernel has none (before 5.14). */
int minor_open(void);
void minor_map(struct minor *minor, int uffd, const struct area *area);
void minor_unmap(struct minor *minor);
/* Nobody has mapped these pages any more: the next one to touch them waits again. */
void minor_forget(const struct minor *minor, size_t first, size_t count);
/* Reads a page; nothing is judged that changes meanwhile. A server must be there. */
enum look minor_look(const struct minor *minor, size_t page, bool thorough);
/* Lets those go on who wait; to be called again and again while anybody may. The result is how many pages it mapped. */
size_t minor_serve(int uffd);

#endif
