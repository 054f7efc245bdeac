/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's own, with a point before a lock is taken and one after it is released: patchrig/point.h. */
#include_next <linux/pagemap.h>
#ifndef PATCHRIG_PAGEMAP_H
#define PATCHRIG_PAGEMAP_H

#include <patchrig/point.h>

#define folio_lock(folio) PATCHRIG_POINT_THEN(folio_lock(folio))
#define folio_trylock(folio) PATCHRIG_POINT_THEN(folio_trylock(folio))
#ifndef PATCHRIG_DEFINES_LOCKS
#define folio_unlock(folio) PATCHRIG_THEN_POINT(folio_unlock(folio))
#endif

#endif
