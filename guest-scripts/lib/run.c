// SPDX-License-Identifier: GPL-2.0-or-later
/* The supervisor: see run.h. */
#define _GNU_SOURCE

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "accounting.h"
#include "shared.h"
#include "textfile.h"

#define TICK_US 50000
#define AFTER_FINDING_NS 2000000000u

enum watched { WATCHED_DONE, WATCHED_HANG, WATCHED_DEAD, WATCHED_LATE };

static struct kernel_counters before, after;
static uint64_t started_ns;
static pid_t load_pid;
static pid_t children[DEVICES_MAX + 1];
static unsigned int children_count;

static void move_to(const char *path)
{
	if (!access(path, F_OK) && !put_text(path, "0"))
		run_error("moving to another cgroup", errno);
}

/* The path in a line of /proc/self/cgroup that is of the memory controller: "0::/workload", of v1 "4:memory:/workload". */
static const char *memory_cgroup(const char *line)
{
	const char *colon = strchr(line, ':');

	if (colon && !strncmp(colon, ":memory:/", 9))
		return colon + 8;
	return strncmp(line, "0::/", 4) ? NULL : line + 3;
}

/* The supervisor and the swapoff loops stay outside: limits are for the load, and nothing may make them wait. */
static void leave_cgroup(void)
{
	char line[200] = "";
	FILE *file = fopen("/proc/self/cgroup", "re");

	while (file && !shared->cgroup[0] && fgets(line, sizeof(line), file)) {
		const char *path = memory_cgroup(line);

		line[strcspn(line, "\n")] = 0;
		if (path && path[1])
			snprintf(shared->cgroup, sizeof(shared->cgroup), "/sys/fs/cgroup%s", path);
	}
	if (file)
		fclose(file);
	if (shared->cgroup[0])
		move_to("/sys/fs/cgroup/cgroup.procs");
}

static void join_cgroup(void)
{
	char path[300];

	if (!shared->cgroup[0])
		return;
	snprintf(path, sizeof(path), "%s/cgroup.procs", shared->cgroup);
	move_to(path);
}

/* A page that can't be had is a finding; which kind is in si_code. */
static void died(int signal, siginfo_t *info, void *context)
{
	static const char *const bus[] = { "", "BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR", "BUS_MCEERR_AR" };
	const char *name = info->si_code == SEGV_ACCERR ? "SEGV_ACCERR" : "SEGV_MAPERR";

	(void)context;
	if (signal == SIGBUS)
		name = info->si_code > 0 && info->si_code < 5 ? bus[info->si_code] : "unknown";
	run_error_named(signal == SIGBUS ? "SIGBUS" : "SIGSEGV", name);
	_exit(1);
}

static void advance(enum phase phase)
{
	shared->phase = phase;
}

/* Waits inside the load process; nobody is left behind when the supervisor is gone. */
static void wait_for_phase(enum phase phase)
{
	while (shared->phase < (int)phase)
		sleep_us(1000);
}

static _Noreturn void load_main(const struct workload *workload)
{
	const struct sigaction action = { .sa_sigaction = died, .sa_flags = SA_SIGINFO };

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	join_cgroup();
	/* Program, stack and tables; what setup() maps comes later and stays swappable. */
	if (mlockall(MCL_CURRENT))
		run_fail("mlockall");
	workload->setup();
	advance(PHASE_READY);
	wait_for_phase(PHASE_RUNNING);
	workload->load();
	advance(PHASE_STOPPED);
	wait_for_phase(PHASE_AUDITED);
	workload->verify();
	advance(PHASE_VERIFIED);
	_exit(0);
}

/* The load ended before its time: says how, unless it said so itself. */
static bool load_died(void)
{
	int status;

	/* Before there is one: a process 0 would be any child. */
	if (!load_pid || shared->phase == PHASE_VERIFIED || waitpid(load_pid, &status, WNOHANG) != load_pid)
		return false;
	load_pid = 0;
	if (shared->phase == PHASE_VERIFIED)
		return false;
	if (WIFSIGNALED(status))
		run_error_named("load", sigabbrev_np(WTERMSIG(status)));
	else if (!shared->errors_count)
		run_error_named("load", "ended early");
	return true;
}

static bool children_gone(int unused)
{
	int status;

	(void)unused;
	for (unsigned int i = 0; i < children_count; i++)
		if (children[i] && waitpid(children[i], &status, WNOHANG) == children[i]) {
			children[i] = 0;
			if (WIFSIGNALED(status))
				run_error_named("swapoff process", sigabbrev_np(WTERMSIG(status)));
		}
	for (unsigned int i = 0; i < children_count; i++)
		if (children[i])
			return false;
	return true;
}

/* What it held goes before its parent hears of its end: only then has the kernel said all that it has to say. */
static bool load_gone(int unused)
{
	int status;

	(void)unused;
	if (load_pid && waitpid(load_pid, &status, WNOHANG) == load_pid)
		load_pid = 0;
	return !load_pid;
}

static bool phase_reached(int phase)
{
	return shared->phase >= phase;
}

/*
 * Nobody need wait for what is a failure already. What follows a first finding may tell more, so it gets a moment: the
 * kernel's complaint about it, other pages, how often.
 */
static bool found_enough(int unused)
{
	static uint64_t since;

	(void)unused;
	if (!since && shared->found)
		since = now_ns();
	return since && now_ns() - since > AFTER_FINDING_NS;
}

/* The only wait of the supervisor: bounded, with progress, and with an eye on swapoff and on the load. */
static enum watched watch(bool (*done)(int), int argument, double seconds)
{
	const uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);

	for (;;) {
		progress_print(started_ns);
		probe_tick();
		if (done(argument))
			return WATCHED_DONE;
		if (swapoff_hangs())
			return WATCHED_HANG;
		if (load_died())
			return WATCHED_DEAD;
		if (now_ns() > end)
			return WATCHED_LATE;
		sleep_us(TICK_US);
	}
}

static enum watched wait_or_blame(bool (*done)(int), int argument, const char *what)
{
	/* Progress lines with a constant count tell the host first; this is for a run without one. */
	const enum watched end = watch(done, argument, 4.0 * (double)shared->swapoff_budget + 60.0);

	if (end == WATCHED_LATE)
		run_error(what, ETIMEDOUT);
	return end;
}

static void devices_on(void)
{
	for (unsigned int i = 0; i < shared->devices_count; i++)
		device_on(i, shared->devices[i].priority);
}

static enum watched run_load(void)
{
	enum watched end;

	kernel_counters_read(&before);
	probe_start();
	branches_start();
	advance(PHASE_RUNNING);
	children_count = 0;
	for (unsigned int i = 0; i < shared->devices_count; i++)
		if (shared->devices[i].looped)
			children[children_count++] = swapoff_loop_start(i);
	end = watch(found_enough, 0, (double)shared->seconds);
	shared->over = true;
	if (end == WATCHED_LATE || end == WATCHED_DONE)
		end = wait_or_blame(phase_reached, PHASE_STOPPED, "end of the load");
	kernel_counters_read(&after);
	kernel_counters_lacking(&after);
	probe_end();
	branches_end();
	return end;
}

static enum watched audit(const char *name)
{
	children_count = 0;
	children[children_count++] = audit_start();
	return wait_or_blame(children_gone, 0, name);
}

/* In a process of its own: a kernel that is sick may keep it waiting, and the supervisor waits for nothing without a limit. */
static enum watched take_figures(enum moment moment)
{
	children_count = 0;
	children[children_count++] = accounting_start(moment);
	return wait_or_blame(children_gone, 0, "the accounting");
}

static enum watched supervise(const struct workload *workload)
{
	enum watched end;

	delay_injection_prepare();
	devices_on();
	/* A device that is of no use shows here, and not in a load that can do anything but go on because of it. */
	end = audit("the audit of empty devices");
	if (end == WATCHED_DONE)
		end = take_figures(BEFORE_LOAD);
	if (end != WATCHED_DONE)
		return end;
	devices_on();
	load_pid = fork();
	if (!load_pid)
		load_main(workload);
	end = wait_or_blame(phase_reached, PHASE_READY, "setup");
	/* A load without what it is made of would report as errors what follows from that. */
	if (end == WATCHED_DONE && shared->missing[0])
		return end;
	if (end == WATCHED_DONE)
		end = run_load();
	if (end == WATCHED_DONE)
		end = wait_or_blame(children_gone, 0, "end of the swapoff loops");
	if (end == WATCHED_DONE)
		end = audit("the audit");
	if (end == WATCHED_DONE) {
		advance(PHASE_AUDITED);
		end = wait_or_blame(phase_reached, PHASE_VERIFIED, "the last verification");
	}
	if (end == WATCHED_DONE)
		end = wait_or_blame(load_gone, 0, "the end of the load's process");
	if (end == WATCHED_DONE)
		end = take_figures(AFTER_LOAD);
	return end;
}

int run_workload(const struct workload *workload, int argc, char **argv)
{
	enum watched end = WATCHED_DONE;

	shared_new();
	parse_options(workload, argc, argv);
	leave_cgroup();
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		run_missing("mlockall: %s", strerrorname_np(errno));
	started_ns = now_ns();
	if (workload->prepare)
		workload->prepare();
	if (!shared->missing[0])
		end = supervise(workload);
	/* Whoever hangs stays as evidence; only the load, which could go on for ever, is ended. */
	shared->over = true;
	if (load_pid > 0 && end != WATCHED_HANG)
		kill(load_pid, SIGKILL);
	result_print(&before, &after, end == WATCHED_HANG);
	_exit(0);
}
