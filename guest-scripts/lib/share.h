/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records in a file that several processes have: each page has one writer, who may be killed while it writes. In memory (a memfd that
 * is mapped) or on the disk beside the swap file (by read and write, through the page cache).
 */
#ifndef PATCHRIG_SHARE_H
#define PATCHRIG_SHARE_H

#include "record.h"
#include "run.h"

struct share {
	struct region region;
	int fd; /* -1: there is none, and nothing is done with it */
	unsigned int writers; /* each has its part of the pages, by number */
};

/* Both are filled. */
struct share share_in_memory(uint64_t id, size_t pages, unsigned int writers);
/* A file of this name in the folder of the first swap file among the devices. */
struct share share_on_disk(uint64_t id, size_t pages, unsigned int writers, const char *name);
/* The folder of the first swap file; "" where no device is one. */
const char *disk_folder(void);

size_t share_first(const struct share *share, unsigned int writer);
size_t share_count(const struct share *share);

/* In memory: some pages of the writer's anew, in the place of holes: they are charged to who writes. Then they are paged out. */
void share_rewrite_mapped(struct share *share, unsigned int writer, struct rng *rng);
/* On disk: every second page of the writer's; some are synced, and dropped from the page cache. */
void share_rewrite_disk(struct share *share, unsigned int writer, struct rng *rng);
/* Any page, on disk by a read of the file. */
enum look share_verify(const struct share *share, size_t page, bool thorough);
/* What the writer had begun when it was killed; until then its page is judged by nobody. */
void share_finish(struct share *share, unsigned int writer);
/* All pages. */
void share_verify_all(const struct share *share);
void share_close(struct share *share);

#endif
