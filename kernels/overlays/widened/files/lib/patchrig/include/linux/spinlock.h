/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's own, with a point before a lock is taken and one after it is released: patchrig/point.h. */
#include_next <linux/spinlock.h>
#ifndef PATCHRIG_SPINLOCK_H
#define PATCHRIG_SPINLOCK_H

#include <patchrig/point.h>

#define spin_lock(lock) PATCHRIG_POINT_THEN(spin_lock(lock))
#define spin_lock_bh(lock) PATCHRIG_POINT_THEN(spin_lock_bh(lock))
#define spin_lock_irq(lock) PATCHRIG_POINT_THEN(spin_lock_irq(lock))
#ifndef spin_trylock
#define spin_trylock(lock) PATCHRIG_POINT_THEN(spin_trylock(lock))
#endif
#ifndef spin_trylock_bh
#define spin_trylock_bh(lock) PATCHRIG_POINT_THEN(spin_trylock_bh(lock))
#endif
#ifndef spin_trylock_irq
#define spin_trylock_irq(lock) PATCHRIG_POINT_THEN(spin_trylock_irq(lock))
#endif
#define spin_unlock(lock) PATCHRIG_THEN_POINT(spin_unlock(lock))
#define spin_unlock_bh(lock) PATCHRIG_THEN_POINT(spin_unlock_bh(lock))
#define spin_unlock_irq(lock) PATCHRIG_THEN_POINT(spin_unlock_irq(lock))
#define spin_unlock_irqrestore(lock, flags) PATCHRIG_THEN_POINT(spin_unlock_irqrestore(lock, flags))

#endif
