/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel says about swap at any moment, also while areas come and go. */
#ifndef PATCHRIG_SWAP_REPORT_H
#define PATCHRIG_SWAP_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#define SWAPS_PROMISE "proc_swaps(5): swap areas in use, with size and use of each"
#define SUMS_PROMISE "sysinfo(2): freeswap is what is still available of totalswap"

/* One read of /proc/swaps, from its beginning: no area is there twice, and none uses more than it has. False: why is in `wrong`. */
bool swap_report_is_right(int swaps, char *wrong, size_t size);
/* By sysinfo(2). It may be wrong for a moment: what is free, and what leaving areas still use, is not read at once. */
bool swap_sums_are_right(char *wrong, size_t size);

#endif
