/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mapping whose pages have an oracle (oracle.h), and what a program can do with it. Each has one owner, who alone calls
 * what changes it; area_look() is for others. After each call the oracle knows what the pages may hold.
 */
#ifndef PATCHRIG_AREA_H
#define PATCHRIG_AREA_H

#include "oracle.h"
#include "rng.h"

enum area_kind {
	AREA_SMALL, /* anonymous, small pages */
	AREA_LARGE, /* anonymous, folios of 64 KiB where the kernel has them */
	AREA_HUGE, /* anonymous, one huge page long; the records are at its start */
	AREA_PRIVATE, /* a private mapping of a memory file, which stays all zeros: what is written is anonymous memory */
	AREA_FILE, /* a memory file */
	AREA_FILE_LARGE, /* of folios of 64 KiB, where the kernel has them */
	AREA_FILE_HUGE, /* one huge page long, and a huge page after MADV_COLLAPSE; the records are at its start */
	AREA_KINDS,
};

/* Of kinds: 1 << AREA_SMALL, ... */
#define ANONYMOUS (1u << AREA_SMALL | 1u << AREA_LARGE | 1u << AREA_HUGE)
#define FILES (1u << AREA_FILE | 1u << AREA_FILE_LARGE | 1u << AREA_FILE_HUGE)
#define HUGE (1u << AREA_HUGE | 1u << AREA_FILE_HUGE)
#define PRIVATE (1u << AREA_PRIVATE)
/* Of files, mapped in either way, that may be cut off: huge pages have enough to bear. */
#define CUTTABLE (PRIVATE | 1u << AREA_FILE | 1u << AREA_FILE_LARGE)
/* The kinds of which a child has pages of its own are the first ones. */
#define AREA_KINDS_OWN (AREA_PRIVATE + 1)

struct area {
	enum area_kind kind;
	uint8_t *_Atomic base;
	size_t pages; /* those with records */
	size_t length; /* bytes that are mapped */
	int fd; /* of a file, or -1 */
	int uffd; /* that it is registered with, or -1 */
	bool across; /* area_shift() takes it next to where two page tables map it */
	_Atomic uint32_t remaps; /* odd while other addresses become its own */
	struct oracle oracle;
	char history[120]; /* what was done with it last */
};

/* Folios of 64 KiB where madvise() asks for them. For prepare(); nothing where the kernel has none. */
void area_allow_large_folios(void);
/* For prepare(): huge pages of a few MiB, or they are missing. */
void area_need_huge_pages(void);
/* The same, and huge pages of memory files where madvise() asks for them. */
void area_allow_huge_files(void);
/* A huge page of this kernel is small enough to have several. */
bool area_huge_is_small(void);

void area_new(struct area *area, enum area_kind kind, uint64_t id, size_t pages, int uffd);
uint8_t *area_page(const struct area *area, size_t page);
bool area_is(const struct area *area, unsigned int kinds);
/* For the history: "free(3+5)". */
void area_note(struct area *area, const char *what, size_t first, size_t count);

/*
 * The next record. Zeros go to a page that was dropped before: over one whose copy zswap still has they would find a bug of
 * Linux 6.19 (docs/found/free-forked.md) that has a workload of its own.
 */
void area_write(struct area *area, size_t page, uint64_t writer);
/*
 * The next records of some pages, by process_vm_writev(): the kernel pins the pages, copies, marks them dirty and lets go. What it copies
 * is paged out before, so that the pages are pinned while it comes back.
 */
void area_write_pinned(struct area *area, size_t first, size_t count);
/* Writes zeros, over whatever the page has: only where zswap can have no copy of it. */
void area_clear(struct area *area, size_t page);
bool area_verify(struct area *area, size_t page, bool thorough);
void area_verify_all(struct area *area);
/* Zeros from here on: MADV_DONTNEED, or a hole in the file (also by MADV_REMOVE) if that is mapped shared. */
void area_drop(struct area *area, size_t first, size_t count);
/* The file is cut off after `keep` pages and made as long as before: zeros from here on, in each mapping and in those of children. */
void area_cut(struct area *area, size_t keep);
/* A hole in the file of a private mapping: what was written to the mapping stays. */
void area_punch_below(struct area *area, size_t first, size_t count);
/* All of a mapping that is longer than its records, and one page behind them. */
void area_drop_all(struct area *area);
void area_drop_behind(const struct area *area, size_t page);
/* The same for anonymous memory, by a guard that is put there and taken away again. False: the kernel has none. */
bool area_guard(struct area *area, size_t first, size_t count);
/* By lseek(): what a record is in is data, and no hole. Files only. */
void area_seek(const struct area *area);
/* By fstat(): a file without holes has as many blocks as its length says. Files only; reads all of it. */
void area_verify_blocks(const struct area *area);
/* MADV_FREE, anonymous memory only. */
void area_free(struct area *area, size_t first, size_t count);
/* The same for all of the mapping, at once: a huge page stays one. */
void area_free_all(struct area *area);
/* Unmapped and mapped again at the same addresses, at once: anonymous memory is zeros then. */
void area_renew(struct area *area);
/*
 * Taken out of its userfaultfd, and registered with it again: no page is write-protected any more. With `by_another` a userfaultfd of its own
 * protects some pages in between, and is closed. Nothing where it has none.
 */
void area_register_anew(struct area *area, size_t first, size_t pages, bool by_another);
/* To other addresses, by mremap(), every second time across the border of a page table; with `leave` the old ones stay mapped, and empty, until they are unmapped. False: not possible. */
bool area_shift(struct area *area, bool leave);
/*
 * To other addresses and back to its own by mremap(), where by then there is memory before it, or behind it, that nobody has touched, and that
 * may become one mapping with it; then that goes. Not for files that are mapped shared. False: not possible.
 */
bool area_return(struct area *area, bool before);
/* Anonymous memory: cut after `keep` pages and made as long as before. False: not possible. */
bool area_recut(struct area *area, size_t keep);

/* Another file of the same length, and empty, at its number and its addresses. The old one ends, where nobody else has it. */
void area_take_file(struct area *area, int fd);
/* One page of a file, read by pread(), which fills no hole; nothing is judged that changes meanwhile. */
enum look area_read(const struct area *area, size_t page, bool thorough);
/* One page, read by process_vm_readv(), which maps and pins it; nothing is judged that changes meanwhile. */
enum look area_look(const struct area *area, size_t page, bool thorough);

/* For a child that is forked next: the same memory; pages that are its own as they are now, with records of its own region. */
struct area area_of_child(const struct area *area, const struct oracle *snapshot);

#endif
