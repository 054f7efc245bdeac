/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands for the kernel below guest-scripts/lib: a folder in place of /proc and /sys, a clock that only moves when somebody
 * sleeps, and a swapon and swapoff that say what the test wants. The linker puts these in the place of the real calls
 * (--wrap, see test_guest_lib.py).
 */
#ifndef PATCHRIG_TESTS_FAKE_KERNEL_H
#define PATCHRIG_TESTS_FAKE_KERNEL_H

#include <stdint.h>

/* A file of the fake /proc or /sys; its folders are made. What the library writes is appended. */
void kernel_file(const char *path, const char *text);
/* Its text now; "" where there is none. Good until the next call. */
const char *kernel_text(const char *path);
void kernel_forget(const char *path);

/* From the first call on the time is what the test says, in ns. */
void clock_set(uint64_t ns);

/* What the next swapoffs return, in turn: 0 or an errno; after that, 0. */
void swapoff_returns(const int *errors, unsigned int count);
/* Called by each swapoff. */
extern void (*swapoff_does)(void);
/* What each swapon returns: 0 or an errno. */
void swapon_returns(int error);
extern unsigned int swapoffs_seen, swapons_seen;

/* Of the kernel below the test, until it says otherwise. */
void page_size_set(unsigned int size);

#endif
