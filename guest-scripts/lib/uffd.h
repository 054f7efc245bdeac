/* SPDX-License-Identifier: GPL-2.0-or-later */
/* userfaultfd for areas: pages are put in, moved and write-protected, and a thread lifts the protection where somebody writes. */
#ifndef PATCHRIG_UFFD_H
#define PATCHRIG_UFFD_H

#include <stdbool.h>
#include <stddef.h>

#include "area.h"

/* `more`: UFFD_FEATURE_..., beside write protection and moves. -1, and why in errno: the kernel is too old, or has no userfaultfd. */
int uffd_open(uint64_t more);
/* With these alone. */
int uffd_open_with(uint64_t features);
/* For write protection only: who touches a missing page gets zeros, as anywhere. */
void uffd_register(int uffd, void *address, size_t length);
void uffd_unregister(int uffd, void *address, size_t length);
/*
 * Lets those go on who write to protected pages; to be called again and again while anybody may. The result is how many.
 * `note`, where it is not NULL, is called before with the address.
 */
size_t uffd_serve(int uffd, void (*note)(uint64_t address));

/* Puts the page's next record in, or zeros. False: somebody's look has put zeros there meanwhile, and that is what it has. */
bool uffd_copy(struct area *area, size_t page, bool protect);
bool uffd_zero(struct area *area, size_t page);
/* Poisons pages for a while, and drops them. False: the kernel has no such thing, or somebody's look has put zeros there meanwhile. */
bool uffd_poison(struct area *area, size_t first, size_t pages);
/* Write-protects the range, or lifts that; a write lifts it, too. */
void uffd_protect(struct area *area, size_t first, size_t count, bool on);
/*
 * Moves records, all of which must be ones, to pages of another area, which are dropped before. The result is how many were moved:
 * pages that are shared, pinned, or part of a large folio in the swap cache stay.
 */
size_t uffd_move(struct area *to, size_t to_page, struct area *from, size_t from_page, size_t count);
/*
 * All of a huge anonymous area to other addresses by UFFDIO_MOVE, as far as the kernel does it, and back by mremap(). It is registered nowhere.
 * True: in one call, so a huge page was moved as a whole.
 */
bool uffd_move_all(int uffd, struct area *area);

#endif
