/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mappings, paging out, and where a page is. */
#ifndef PATCHRIG_PAGING_H
#define PATCHRIG_PAGING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "page.h"

/* What one page table maps: 2 MiB with pages of 4 KiB, 512 MiB with those of 64 KiB. */
#define HUGE_ALIGN ((size_t)PAGE * (PAGE / 8))

/* For tables: zeroed, shared with children, locked. Never freed. */
void *locked_memory(size_t length);
/* Private anonymous, aligned to HUGE_ALIGN, and no huge pages unless the guest has them always. */
void *private_memory(size_t length);
/* Addresses of their own for a mapping of this length, aligned to HUGE_ALIGN: PROT_NONE, to be mapped over. */
void *reserved_addresses(size_t length);
/* The same for at most HUGE_ALIGN, half of them before such a border: two page tables map them, and a large folio may lie in both. */
void *reserved_addresses_across(size_t length);
/* The whole range is one mapping: neither split nor with a gap. */
bool is_one_mapping(const void *address, size_t length);
/* MAP_SHARED of a memfd, aligned to HUGE_ALIGN, untouched. */
void *map_file(int fd, size_t length);
/* MAP_PRIVATE of one, aligned in the same way: what is written there is anonymous memory, and not in the file. */
void *map_file_privately(int fd, size_t length);
/* A memfd of this length, all holes. */
int memory_file(const char *name, size_t length);

/* Linux 5.14. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

/* Linux 6.1. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* MADV_COLLAPSE. False: no huge page is to be had just now (madvise(2)). */
bool collapse(void *address, size_t length);
/* MADV_PAGEOUT. On a device with latency the pages stay in the swap cache until something reclaims them. */
void page_out(void *address, size_t length);
/* Frees clean swap cache pages: reclaims from the cgroup "workload", v1 or v2. False when nothing could be reclaimed. */
bool reclaim(size_t bytes);
/*
 * page_out() and reclaim() until no page of the range is resident or in the swap cache, as mincore() tells; at most
 * `rounds` times. Returns how many pages still are.
 */
size_t page_out_fully(void *address, size_t length, unsigned int rounds);
/* mincore(), again where it says EAGAIN, which mincore(2) allows; any other errno is an error of the kernel's. */
bool ask_mincore(const void *address, size_t length, unsigned char *vec);
/* Pages of the range that mincore() calls resident: mapped or in the swap cache. */
size_t resident_pages(const void *address, size_t length);

#define LOCKED_STAYS "mlock(2): locked pages are resident until they are unlocked; mincore(2): the bit of such a page is set"

/* /proc/self/pagemap */
uint64_t pagemap_word(const void *address);
#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_SWAPPED (1ull << 62)
/* By userfaultfd, against writes. */
#define PAGEMAP_PROTECTED (1ull << 57)
/* Written since clear_refs was. A kernel without CONFIG_MEM_SOFT_DIRTY never sets it. */
#define PAGEMAP_SOFT_DIRTY (1ull << 55)

/* Neither a page nor one that is swapped out is mapped here. A look would put zeros there. */
bool is_hole(const void *address);

/* The swap type (slot number of the device in the kernel) of a swapped page's word. */
static inline unsigned int pagemap_type(uint64_t word)
{
	return word & 31;
}

#endif
