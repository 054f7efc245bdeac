/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ways to the pages of an area beside its own mapping: /proc/self/mem, a pipe, smaps, other processes; and the split of their folios. */
#ifndef PATCHRIG_AREA_WAYS_H
#define PATCHRIG_AREA_WAYS_H

#include "area.h"

/*
 * The next records of some pages, by /proc/self/mem, as a debugger writes them. What is anonymous may not be written by the program itself
 * meanwhile (PROT_READ): the kernel writes by force.
 */
void area_poke(struct area *area, size_t first, size_t count);
/*
 * The pages go to a pipe, which keeps them for as long as nobody reads it (vmsplice(), or splice() of a file); meanwhile they are paged out.
 * What is read from the pipe is what they held.
 */
void area_splice(struct area *area, size_t first, size_t count);
/* Of a file: what is a hole becomes zeros, and all else stays (fallocate()). */
void area_allocate(const struct area *area, size_t first, size_t count);
/*
 * By smaps: what is in memory and what is swapped is no more than what is mapped, and no less than what has been written. Anonymous memory
 * only.
 */
void area_report(const struct area *area);

/*
 * By another mapping of the file, shared or private, for as long as this takes: it shows what the file holds, and maps no huge page of it, as
 * it has MADV_NOHUGEPAGE. Of a private one smaps says what of the file is swapped out page by page. Files only.
 */
void area_view(struct area *area, size_t first, size_t pages, bool privately);

/* Large folios are split to single pages, wherever they are. False: this kernel does not do that when asked. */
bool area_split(const struct area *area, size_t first, size_t count, struct rng *rng);
/*
 * All pages anew, in folios that were split to some smaller size before anything of them was swapped out. Anonymous memory only. They are
 * locked until they have been split: Linux 6.19 warns when a folio of the swap cache is asked to be split to more than single pages.
 */
bool area_rebuild_of_pieces(struct area *area, struct rng *rng);

/* process_madvise(); 0 or the errno. It may do less than it is asked for. */
int advise_process(int process, void *address, size_t length, int advice);

#endif
