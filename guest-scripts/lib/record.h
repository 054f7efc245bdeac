/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a page holds, and how it is judged.
 *
 * Every page is unique: its contents are a function of (seed, region, page, generation). The generation grows with
 * each rewrite and the expected one is kept in locked memory, outside of the page: a page that is merely consistent
 * in itself may be an old copy, and that is the usual symptom of a swap race.
 *
 * Shapes, by page % 8: 0 1 incompressible, 2 3 4 5 compressible, 6 one 64-bit word all over (zram and zswap store it
 * apart), 7 all zero at even generations (the kernel's zeromap), compressible at odd ones and in a REGION_NO_ZEROS.
 */
#ifndef PATCHRIG_RECORD_H
#define PATCHRIG_RECORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "page.h"
#include "rng.h"

/* A record fills a page. */
#define RECORD_WORDS (PAGE / 8)
#define RECORD_HEADER 5 /* words before the body */
/* In the number of a region. */
#define REGION_NO_ZEROS 0x8000u

struct record {
	uint64_t magic; /* RECORD_MAGIC ^ region */
	uint64_t page;
	uint64_t generation;
	uint64_t writer;
	uint64_t counter; /* the workload's own; not judged */
	uint64_t body[]; /* and in the last word of the page the header's seal: with a new head and an old tail it is torn */
};

struct identity {
	uint64_t region;
	uint64_t page;
	uint64_t generation;
};

enum kind { KIND_OK, KIND_WRONG, KIND_STALE, KIND_TORN, KIND_FOREIGN, KIND_NONZERO, KIND_LOST_UPDATE };

/* A page that is all zeros in this generation. */
bool record_is_zero(const struct identity *identity);
void record_write(void *memory, const struct identity *identity, uint64_t writer);
/*
 * wrong: not a record, or not what this one must be; foreign: another page's or region's record; stale: an older
 * generation; torn: the right header with another body. thorough compares all words, else head, tail and 8 others.
 */
enum kind record_check(const void *memory, const struct identity *identity, bool thorough);
/* All zero, as a punched hole must be: KIND_OK or KIND_NONZERO. */
enum kind zero_check(const void *memory);

/*
 * Notes a mismatch with what is in memory, the pagemap word and whether a second look
 * heals it. `memory` is the page as mapped, or a copy of it (then `mapped` is false).
 */
void record_complain(enum kind kind, const void *memory, const struct identity *identity, bool mapped);
/* What was done with the memory before, for whoever reads of the mismatch: what this thread says of it; NULL: nothing. */
extern _Thread_local const char *record_history;
/* Compares the page where it is mapped, counts it, and complains when it is bad: for those that keep no region of it. */
bool record_verify(const void *memory, const struct identity *identity, bool thorough);
/*
 * Any other mismatch. `promise` is what user space may rely on, and who says so ("mlock(2): ..."): a kernel that keeps it in
 * another way than today's is right.
 */
void run_mismatch(uint64_t page, enum kind kind, const char *promise, const char *expected, const char *seen);
/* Of memory and files. */
#define HOLDS_WHAT_WAS_WRITTEN "POSIX.1, mmap() and read(): memory and files hold what was last written to them"

/*
 * A range of records with their expected generations. One writer per page at a time; readers at any time: they see
 * from the generation (odd in the shadow while it is written) that a write came in between, and judge nothing.
 */
struct region {
	uint8_t *base;
	uint64_t id;
	size_t pages;
	_Atomic uint32_t *shadow; /* 2 * generation, + 1 while it is written */
};

/* Over memory that is mapped already; nothing is written. */
struct region region_over(void *base, uint64_t id, size_t pages);
void *region_page(const struct region *region, size_t page);
struct identity region_identity(const struct region *region, size_t page);
/* The next generation of the page; the result is its number. */
uint64_t region_write(struct region *region, size_t page, uint64_t writer);
void region_fill(struct region *region);
/* The two halves of region_write(), for data that goes another way (pwrite, UFFDIO_COPY, punch hole). */
struct identity region_begin(struct region *region, size_t page);
void region_end(struct region *region, size_t page);

enum look { LOOK_GOOD, LOOK_BAD, LOOK_RACED };

/* Reads the page where it is mapped and complains when it is bad. Counts verified pages and operations. */
enum look region_verify(const struct region *region, size_t page, bool thorough);
/* The same for the page at another address (a second mapping, a moved page). */
enum look region_verify_at(const struct region *region, size_t page, const void *memory, bool thorough);
/*
 * The same for a copy: take the ticket before reading, verify the copy after it. LOOK_RACED when the page was
 * written meanwhile.
 */
uint32_t region_ticket(const struct region *region, size_t page);
enum look region_verify_copy(const struct region *region, size_t page, uint32_t ticket, const void *copy,
			     bool thorough);
/* All pages, thoroughly: for verify(). */
void region_verify_all(const struct region *region);

#endif
