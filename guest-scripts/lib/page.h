/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The size of a page of the running kernel: 4, 16 or 64 KiB on the same arch. */
#ifndef PATCHRIG_PAGE_H
#define PATCHRIG_PAGE_H

unsigned int page_size(void);

/* No constant: an array of PAGE bytes is one of variable length. */
#define PAGE page_size()

#endif
