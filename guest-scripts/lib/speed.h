/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How fast this guest is. Time limits scale with it, so a busy host or a slow emulator makes a run longer and not red. */
#ifndef PATCHRIG_SPEED_H
#define PATCHRIG_SPEED_H

/* Iterations of a fixed loop per microsecond, measured for 20 ms. */
double guest_speed(void);

#endif
