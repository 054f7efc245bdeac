/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The swap devices of the run. */
#ifndef PATCHRIG_DEVICE_H
#define PATCHRIG_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#define DEVICES_MAX 8

unsigned int device_count(void);
const char *device_path(unsigned int device);
const char *device_kind(unsigned int device); /* virtio-blk, zram, null_blk, swapfile */
int device_priority(unsigned int device); /* as the host asked */
bool device_is_on(unsigned int device);
bool device_is_leaving(unsigned int device); /* a swapoff of it is under way */
/* /proc/swaps; 0 when it is off */
uint64_t device_used_kib(unsigned int device);

/*
 * swapon/swapoff as the swapoff loops do it: measured, watched (a swapoff that does not return ends the run as a hang)
 * and failures noted. For devices without a swapoff loop; each must have one user at a time. False when it failed.
 */
bool device_on(unsigned int device, int priority);
bool device_off(unsigned int device);

/* For who calls swapon() by itself: that was done. */
void device_has_come(unsigned int device);
/*
 * For who calls swapoff() by itself: it is watched from one call to the next. The first one gives what the second one takes. `off`: the
 * device was swapped off.
 */
struct leave {
	uint64_t since;
	int window; /* of delay injection */
};
struct leave device_leaves(unsigned int device);
void device_has_left(unsigned int device, struct leave leave, bool off);

/*
 * Puts this thread ahead of the load, whose threads outnumber the CPUs: otherwise a swapoff takes seconds, and there are
 * few of them. The swapoff loops are.
 */
void run_ahead(void);

/* Waits until a swapoff is under way or about to be, for so long at most: what begins then races with it. */
void wait_for_swapoff(uint64_t us);

#endif
