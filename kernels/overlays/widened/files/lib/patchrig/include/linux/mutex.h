/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's own, with a point after a lock is released: patchrig/point.h. */
#include_next <linux/mutex.h>
#ifndef PATCHRIG_MUTEX_H
#define PATCHRIG_MUTEX_H

#include <patchrig/point.h>

#ifndef PATCHRIG_DEFINES_LOCKS
#define mutex_unlock(lock) PATCHRIG_THEN_POINT(mutex_unlock(lock))
#endif

#endif
