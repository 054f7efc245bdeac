/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kprobes that count by call stack. For the library only. */
#ifndef PATCHRIG_KPROBE_H
#define PATCHRIG_KPROBE_H

#include <stdbool.h>
#include <stdio.h>

#define TRACING "/sys/kernel/tracing/"

/*
 * A probe at the return of `function`, whose value it calls `value`; `type` is the kernel's (x64, u8, s32). It takes the
 * place of one that an earlier program of this guest left behind under the same name. False: errno says why.
 *
 * A probe is never taken out while anybody may run into it, not even at the end. QEMU's TCG (seen with 7.2, x86_64) can
 * keep a translation that still has the breakpoint when it comes and goes while another CPU is there, and whoever runs
 * that later dies of an int3 that belongs to no probe. For one that merely rests, the kernel knows it.
 */
bool kprobe_add_return(const char *name, const char *function, const char *value, const char *type);
bool kprobe_add(const char *name, const char *function, const char *value);

/* A probe at a place, FUNCTION or FUNCTION+OFFSET. */
bool kprobe_add_entry(const char *name, const char *place);

/*
 * Arms the probe: its hits go into a histogram, whose description is the kernel's ("hist:keys=... if value==0").
 * Several may be had. False: errno says why.
 */
bool kprobe_count(const char *name, const char *histogram);

/* Ends a histogram, and what it had counted is gone; the last one leaves the probe at rest. */
bool kprobe_rest(const char *name, const char *histogram);

/*
 * Lets a probe count its hits in kprobe_profile, or rest. They go into the trace buffer, too, where nobody looks: to end a
 * trigger takes a grace period of RCU tasks trace, and this does not.
 */
bool kprobe_run(const char *name, bool run);

/* All histograms of a probe, one after the other; NULL where they can't be read. */
FILE *kprobe_read(const char *name);

#endif
