/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Control groups below /sys/fs/cgroup, where the guest has the memory controller of v2 or, in the flavour memcg-v1, of v1. */
#ifndef PATCHRIG_CGROUP_H
#define PATCHRIG_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CGROUP_ROOT "/sys/fs/cgroup"

struct cgroup {
	char path[160];
};

bool cgroups_are_v1(void);
/* Whether a controller of v2 can be enabled in the children of this one ("io", "cpuset"). */
bool cgroup_has(const struct cgroup *cgroup, const char *controller);

/* The one of that name in its parent's folder; nothing is made. */
struct cgroup cgroup_in(const char *parent, const char *name);
/* mkdir(); one that is there already is as good. */
bool cgroup_make(const struct cgroup *cgroup);
/*
 * rmdir(), again while it says EBUSY: a process may be on its way out. False when it was in use for so many ms, or was not to be
 * removed for another reason (errno).
 */
bool cgroup_remove(const struct cgroup *cgroup, unsigned int ms);
/* Moves a process there; 0: this one. */
bool cgroup_enter(const struct cgroup *cgroup, int process);

/* A control file. False when it did not take the text, or this kernel has no such file: errno says why. */
bool cgroup_put(const struct cgroup *cgroup, const char *file, const char *text);
bool cgroup_put_bytes(const struct cgroup *cgroup, const char *file, uint64_t bytes);
#define CGROUP_MAX UINT64_MAX
/* A file with one number, or "max": CGROUP_MAX. False when it can't be read. */
bool cgroup_get(const struct cgroup *cgroup, const char *file, uint64_t *value);
/* The number behind the word in a file such as memory.events; 0 where there is none. */
uint64_t cgroup_field(const struct cgroup *cgroup, const char *file, const char *word);

/*
 * Reads all files of the controller; how many. With write_back each short text is written to its file again, which changes nothing or is
 * refused.
 */
unsigned int cgroup_read_all(const struct cgroup *cgroup, bool write_back);
/* A peak (memory.peak) begins anew for who has written to it, and can be read then. */
void cgroup_reset_peak(const struct cgroup *cgroup, const char *file);
/* v1 tells by an eventfd that a threshold was crossed, that memory is short, or out. The eventfd; to close it ends it. */
int cgroup_listen(const struct cgroup *cgroup, const char *file, const char *what);

/*
 * How a process of the tree ended: by itself, or killed by the OOM killer, and by nobody else. memory.events of the tree's top has counted
 * that before the signal was sent. `killed` is shared by all who wait for such processes. Whether it was killed.
 */
bool cgroup_note_end(const struct cgroup *top, _Atomic uint64_t *killed, int status, const char *who);

#endif
