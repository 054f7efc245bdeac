/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's own, with a point after a read section: patchrig/point.h. */
#include_next <linux/rcupdate.h>
#ifndef PATCHRIG_RCUPDATE_H
#define PATCHRIG_RCUPDATE_H

#include <patchrig/point.h>

#define rcu_read_unlock() PATCHRIG_THEN_POINT(rcu_read_unlock())

#endif
