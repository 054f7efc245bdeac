/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all processes of a run share; for the library only. */
#ifndef PATCHRIG_SHARED_H
#define PATCHRIG_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "device.h"
#include "record.h"
#include "run.h"

#define NAME_SIZE 64
#define COUNTERS_MAX 64
#define ERRORS_MAX 16
#define MISMATCHES_MAX 8
#define LACKING_MAX 48
#define SITES_MAX 8
#define CHANGED_FUNCTIONS_MAX 64
#define NEGATIVE_TOTALS_MAX 8
#define LEFT_PAGES_MAX 8

enum phase { PHASE_SETUP, PHASE_READY, PHASE_RUNNING, PHASE_STOPPED, PHASE_AUDITED, PHASE_VERIFIED };

struct shared_device {
	char path[NAME_SIZE];
	char kind[NAME_SIZE];
	int priority;
	bool discards; /* it is told which slots are free again */
	bool looped; /* a swapoff loop takes it off and on */
	_Atomic bool on;
	_Atomic uint64_t leaving_since; /* ns; 0 when no swapoff of it is running */
	_Atomic int leaving_task; /* the thread that runs that swapoff */
	/* The supervisor's, in ns; 0: not so. */
	uint64_t waiting_since; /* its swapoff has been seen in its last wait only */
	uint64_t emptying_since; /* its swapoff has fewer KiB to bring back than before: least_used_kib */
	uint64_t least_used_kib;
};

struct shared_counter {
	char name[NAME_SIZE];
	counter_t value;
};

struct shared_error {
	char call[NAME_SIZE];
	char name[NAME_SIZE];
	uint64_t count;
};

struct shared_mismatch {
	uint64_t page;
	enum kind kind;
	char promise[200];
	char expected[160];
	char seen[400];
};

struct shared_lacking {
	char name[NAME_SIZE];
	char why[160];
};

struct shared_site {
	char name[NAME_SIZE];
	uint64_t calls;
	uint64_t failed;
};

/* A function that the series changed, by the number that the host gave it. */
struct shared_changed {
	char name[NAME_SIZE];
	uint64_t hits;
	bool partly; /* one of its entries at least could not be probed */
};

/* Numbers of the kernel's, each with its name. */
struct kernel_counters {
	unsigned int count;
	struct {
		char name[NAME_SIZE];
		uint64_t value;
	} of[64];
};

/* accounting.h */
enum moment { BEFORE_LOAD, AFTER_LOAD, MOMENTS };

struct negative_total {
	char name[NAME_SIZE];
	int64_t value;
};

struct accounting {
	bool taken;
	int64_t gap_kib; /* of the last device for which there was one */
	unsigned int negative_count;
	struct negative_total negative[NEGATIVE_TOTALS_MAX];
	struct kernel_counters figures;
};

struct shared {
	/* options */
	uint64_t seconds, seed, swapoff_budget;
	uint64_t without; /* a bit for each thread that is left out */
	const struct number_option *numbers; /* the workload's own options; may be NULL */
	unsigned int devices_count;
	struct shared_device devices[DEVICES_MAX];
	char probes[NAME_SIZE * 2]; /* the file of probe.h; "" = no probes */
	char cgroup[256]; /* folder of the cgroup that the program was started in; "" = the root */

	/* state */
	_Atomic int phase;
	_Atomic bool over;
	_Atomic bool found; /* an error or a mismatch: no pass any more */
	bool together; /* struct workload */
	_Atomic int alone; /* 1 + the device whose turn it is to be the only one that is off */
	_Atomic uint64_t operations, verified, swapoffs, longest_ns;
	_Atomic unsigned int threads; /* that the load has asked for, those that are left out too */

	/* the supervisor's, from the file of the probes */
	struct shared_site sites[SITES_MAX + 1]; /* the last one: swapoff itself */
	struct shared_changed changed[CHANGED_FUNCTIONS_MAX];
	unsigned int sites_count, changed_count;

	/* findings, under the lock */
	_Atomic uint32_t lock;
	unsigned int counters_count, errors_count, mismatches_count, lacking_count;
	uint64_t mismatches_total;
	struct shared_counter counters[COUNTERS_MAX];
	struct shared_error errors[ERRORS_MAX];
	struct shared_mismatch mismatches[MISMATCHES_MAX];
	struct shared_lacking lacking[LACKING_MAX];
	char missing[200];
	unsigned int interfaces_count;
	struct interface_use interfaces[INTERFACES_MAX];

	/* accounting: of the child that takes it */
	struct accounting accounting[MOMENTS];
	bool swap_stays; /* swapoff_leaves_swap() */
	unsigned int figures_lacking_count, left_pages_count;
	struct shared_lacking figures_lacking[LACKING_MAX];
	char left_pages[LEFT_PAGES_MAX][NAME_SIZE * 2]; /* the first of them, in words */
};

extern struct shared *shared;

void shared_new(void);
void shared_lock(void);
void shared_unlock(void);

/* options.c */
void parse_options(const struct workload *workload, int argc, char **argv);

/* swapoff-loop.c: children of the supervisor */
void delay_injection_prepare(void);
bool kernel_injects_delays(void); /* and knows the function that cuts newcomers off */
int swapoff_loop_start(unsigned int device);
int audit_start(void);
pid_t fork_swapoff_process(void); /* a process that may swap devices off */

/* hang-check.c: asked by the supervisor at each of its looks */
bool swapoff_hangs(void);

/* probe.c */
void probe_start(void);
void probe_tick(void);
void probe_end(void);

/* branch.c */
void branches_start(void);
void branches_end(void);

/* vmstat.c */
void kernel_counters_read(struct kernel_counters *counters);

/* vmstat.c: counter_lacking() for each of the kernel's counters that is not among these */
void kernel_counters_lacking(const struct kernel_counters *counters);

/* promises.c: what was promised to who makes this call; "" for one that it does not know */
const char *promise_of(const char *call);

/* result.c */
/* Prints a progress line where the last one, or the start, was a second ago. */
void progress_print(uint64_t started_ns);
void result_print(const struct kernel_counters *before, const struct kernel_counters *after, bool hang);

#endif
