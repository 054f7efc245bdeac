/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's own, with a point before a lock is taken and one after it is released: patchrig/point.h. */
#include_next <linux/rwsem.h>
#ifndef PATCHRIG_RWSEM_H
#define PATCHRIG_RWSEM_H

#include <patchrig/point.h>

#ifndef PATCHRIG_DEFINES_LOCKS
#define down_read(lock) PATCHRIG_POINT_THEN(down_read(lock))
#define down_write(lock) PATCHRIG_POINT_THEN(down_write(lock))
#define up_read(lock) PATCHRIG_THEN_POINT(up_read(lock))
#define up_write(lock) PATCHRIG_THEN_POINT(up_write(lock))
#endif

#endif
