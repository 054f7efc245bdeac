// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whether a swapoff hangs: over its budget, waiting for a reference that nobody can hold, or not getting on although
 * nobody is in its way.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared.h"
#include "textfile.h"

#define SECOND 1000000000ull
/*
 * Of the budget of a swapoff this part is enough for its last wait alone: whoever holds a reference holds it for one
 * lookup, or for one read at most, while the reads of try_to_unuse() before it may take long.
 */
#define REFERENCE_SHARE 5
/*
 * Sooner by stopping the load: a frozen task is on its way back to user space and holds nothing, so a swapoff that goes on
 * waiting then waits for ever. When it has waited for so long the load is frozen, and so long it has to be.
 */
#define FREEZE_SHARE 40
#define FROZEN_SHARE 20
/* A swapoff that has run for so long has the load frozen, too, and then has to bring a page back in so long a time. */
#define EMPTYING_SHARE 8
#define IDLING_SHARE 10
/* A load that does not freeze is left to the longer wait, as is one with a swapoff of its own. */
#define FREEZING_SHARE 20

static uint64_t freezing_since, frozen_since;
static bool will_not_freeze;

/* The first line of a file of /proc/TASK; "" when the task has gone. */
static const char *first_line(int task, const char *name, char *line, int size)
{
	char path[64];
	FILE *file;

	line[0] = 0;
	snprintf(path, sizeof(path), "/proc/%d/%s", task, name);
	file = fopen(path, "re");
	if (!file)
		return line;
	if (!fgets(line, size, file))
		line[0] = 0;
	fclose(file);
	return line;
}

static bool in_state_d(int task)
{
	char line[512];
	const char *end = strrchr(first_line(task, "stat", line, sizeof(line)), ')');

	return end && end[1] == ' ' && end[2] == 'D';
}

/*
 * Whether the task sleeps in swapoff itself. /proc/PID/stack leaves out the scheduler's functions, among them
 * wait_for_completion(): with nothing else inside it, swapoff waits for the last reference to its device.
 */
static bool waits_for_reference(int task)
{
	char line[256];

	return in_state_d(task) && strstr(first_line(task, "stack", line, sizeof(line)), "sys_swapoff+");
}

static uint64_t part(unsigned int share)
{
	return shared->swapoff_budget * SECOND / share;
}

/* The supervisor and the swapoff loops are in another cgroup. */
static void freeze(bool on)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/cgroup.freeze", shared->cgroup);
	if (!access(path, F_OK) && !put_text(path, on ? "1" : "0"))
		run_error("freezing the load", errno);
}

static bool load_is_frozen(void)
{
	char path[300], line[64];
	bool frozen = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/cgroup.events", shared->cgroup);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		frozen |= !strcmp(line, "frozen 1\n");
	if (file)
		fclose(file);
	return frozen;
}

/* A freeze ends a swapoff of the load's own, with EINTR, and what it then does not do says nothing. */
static bool load_swaps_off(void)
{
	const char *own = shared->cgroup + strlen("/sys/fs/cgroup");
	char line[300];

	for (unsigned int i = 0; i < shared->devices_count; i++) {
		const struct shared_device *d = &shared->devices[i];

		if (!d->leaving_since)
			continue;
		first_line(d->leaving_task, "cgroup", line, sizeof(line));
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "0::", 3) && !strcmp(line + 3, own))
			return true;
	}
	return false;
}

static void thaw(void)
{
	if (freezing_since)
		freeze(false);
	freezing_since = frozen_since = 0;
	will_not_freeze = false;
}

/* Asked again and again while a swapoff takes long: since when the load has been frozen; 0: not yet, or it does not freeze. */
static uint64_t load_frozen_since(uint64_t now)
{
	if (!shared->cgroup[0])
		return 0;
	if (!freezing_since) {
		if (load_swaps_off())
			return 0;
		freezing_since = now;
		freeze(true);
	}
	if (!frozen_since && !will_not_freeze && load_is_frozen())
		frozen_since = now;
	if (!frozen_since && !will_not_freeze && now - freezing_since > part(FREEZING_SHARE)) {
		will_not_freeze = true;
		freeze(false);
	}
	return frozen_since;
}

static bool frozen_for(uint64_t time, uint64_t now)
{
	const uint64_t since = load_frozen_since(now);

	return since && now - since > time;
}

static bool reference_lost(struct shared_device *d, uint64_t since, uint64_t now)
{
	/* Most are through within a second, and cost no look. */
	if (now - since < SECOND || !waits_for_reference(d->leaving_task)) {
		d->waiting_since = 0;
		return false;
	}
	if (!d->waiting_since)
		d->waiting_since = now;
	if (now - d->waiting_since > part(FREEZE_SHARE) && frozen_for(part(FROZEN_SHARE), now))
		return true;
	return now - d->waiting_since > part(REFERENCE_SHARE);
}

/* A swap slot that nobody frees: swapoff looks for its owner for ever. */
static bool never_empty(struct shared_device *d, uint64_t since, uint64_t now)
{
	uint64_t used;

	if (now - since < part(EMPTYING_SHARE) || d->waiting_since) {
		d->emptying_since = 0;
		return false;
	}
	used = device_used_kib(d - shared->devices);
	if (!d->emptying_since || used < d->least_used_kib) {
		d->emptying_since = now;
		d->least_used_kib = used;
	}
	return frozen_for(part(IDLING_SHARE), now) && now - d->emptying_since > part(IDLING_SHARE);
}

static bool hangs(struct shared_device *d, uint64_t since, uint64_t now)
{
	return now - since > part(1) || reference_lost(d, since, now) || never_empty(d, since, now);
}

bool swapoff_hangs(void)
{
	const uint64_t now = now_ns();
	bool slow = false;

	for (unsigned int i = 0; i < shared->devices_count; i++) {
		struct shared_device *d = &shared->devices[i];
		const uint64_t since = d->leaving_since;

		if (!since || now <= since)
			d->waiting_since = d->emptying_since = 0;
		else if (hangs(d, since, now))
			return true;
		slow |= d->waiting_since || d->emptying_since;
	}
	if (!slow)
		thaw();
	return false;
}
