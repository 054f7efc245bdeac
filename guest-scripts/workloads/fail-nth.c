// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fail-nth: system calls in which one allocation fails, while the devices of their pages are swapped off.
 *
 *   actors    each has an area of each kind (only the first actor can have huge ones). It chooses a call and some pages. It makes the call
 *             so that its first allocation fails, then again so that the second fails, and so on, until the call makes fewer allocations.
 *             No data may be lost: after a call that failed, each page has its old contents, or its new ones if the call was meant to
 *             change it (oracle.h);
 *   the first of them also swaps the last device on and off, makes cgroups, reclaims, and sets zswap's compressor, in the same way.
 *
 * Allocations fail only in system calls, never in the program's own page faults: these return no errno, and the kernel would try them
 * again.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "deeds.h"
#include "device.h"
#include "fail-nth.h"
#include "move.h"
#include "paging.h"
#include "run.h"
#include "uffd.h"

#define ACTORS_MAX 8
/* A call that allocates more often is tried at some of its later allocations only. */
#define EACH 40
#define NTH_MOST 400
#define SKIP_MOST 24
#define OWN (1u << AREA_SMALL | 1u << AREA_LARGE)
#define MAPPED (ANONYMOUS | PRIVATE | FILES)
#define SMALL_FILES (1u << AREA_FILE | 1u << AREA_FILE_LARGE)
#define ZSWAP "/sys/module/zswap/parameters/"
#define RECLAIM "/sys/fs/cgroup/workload/memory.reclaim"

static uint64_t actors_count = 3;
static uint64_t pages = 48;

static const struct number_option options[] = {
	{ "actors", &actors_count },
	{ "pages", &pages },
	{ 0 },
};

struct actor {
	struct area areas[AREA_KINDS];
	/* Where UFFDIO_MOVE takes pages. */
	struct area others[AREA_LARGE + 1];
	uint8_t *buffer; /* a page that is never swapped out */
};

struct trial {
	struct actor *actor;
	struct step step;
	unsigned int nth;
};

struct call {
	const char *name; /* as in promises.c */
	unsigned int kinds;
	/* Reasons beside a lack of memory; 0: none. */
	int also[3];
	void (*prepare)(struct trial *);
	struct attempt (*make)(struct trial *);
};

static struct actor actors[ACTORS_MAX];
static int uffd, reclaim_fd, compressor_fd;
static counter_t *allocations, *refused, *sweeps;

static uint8_t *memory_of(const struct trial *trial)
{
	return area_page(trial->step.area, trial->step.first);
}

static size_t length_of(const struct trial *trial)
{
	return trial->step.count * PAGE;
}

static struct attempt call_of(const struct trial *trial, long number, long first, long second, long third, long fourth, long fifth)
{
	return fail_nth(trial->nth, (struct system_call){ number, { first, second, third, fourth, fifth } });
}

static struct attempt advise(const struct trial *trial, int advice)
{
	return call_of(trial, SYS_madvise, (long)memory_of(trial), (long)length_of(trial), advice, 0, 0);
}

/* Records in all pages of the step. */
static void have_records(struct trial *trial)
{
	for (size_t i = 0; i < trial->step.count; i++)
		area_write(trial->step.area, trial->step.first + i, 0);
}

/* And they are swapped out, or some of them. */
static void have_swapped(struct trial *trial)
{
	have_records(trial);
	if (rng_below(&trial->step.rng, 2))
		page_out(memory_of(trial), length_of(trial));
	else
		page_out_fully(memory_of(trial), length_of(trial), 1);
}

static struct attempt do_populate(struct trial *trial)
{
	return advise(trial, rng_below(&trial->step.rng, 2) ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
}

static struct attempt do_willneed(struct trial *trial)
{
	return advise(trial, MADV_WILLNEED);
}

static struct attempt do_pageout(struct trial *trial)
{
	return advise(trial, rng_below(&trial->step.rng, 4) ? MADV_PAGEOUT : MADV_COLD);
}

static struct attempt do_collapse(struct trial *trial)
{
	const struct area *area = trial->step.area;

	return call_of(trial, SYS_madvise, (long)area->base, (long)area->length, MADV_COLLAPSE, 0, 0);
}

/* Pages that a failed call may have dropped, or not. */
static struct attempt end_dropped(struct trial *trial, struct attempt made)
{
	oracle_end(&trial->step.area->oracle, trial->step.first, trial->step.count, made.result ? HOLDS_EITHER : HOLDS_ZEROS);
	return made;
}

static struct attempt do_drop(struct trial *trial)
{
	oracle_begin(&trial->step.area->oracle, trial->step.first, trial->step.count);
	return end_dropped(trial, advise(trial, MADV_DONTNEED));
}

static struct attempt do_punch(struct trial *trial)
{
	oracle_begin(&trial->step.area->oracle, trial->step.first, trial->step.count);
	return end_dropped(trial, call_of(trial, SYS_fallocate, trial->step.area->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					  (long)trial->step.first * PAGE, (long)length_of(trial), 0));
}

static struct attempt do_free(struct trial *trial)
{
	struct attempt made;

	oracle_begin(&trial->step.area->oracle, trial->step.first, trial->step.count);
	made = advise(trial, MADV_FREE);
	oracle_end(&trial->step.area->oracle, trial->step.first, trial->step.count, HOLDS_EITHER);
	return made;
}

static struct attempt do_protect(struct trial *trial)
{
	const struct attempt made = call_of(trial, SYS_mprotect, (long)memory_of(trial), (long)length_of(trial), PROT_READ, 0, 0);

	if (mprotect(memory_of(trial), length_of(trial), PROT_READ | PROT_WRITE))
		run_error("mprotect", errno);
	return made;
}

static struct attempt do_lock(struct trial *trial)
{
	const struct attempt made = call_of(trial, SYS_mlock, (long)memory_of(trial), (long)length_of(trial), 0, 0, 0);

	if (munlock(memory_of(trial), length_of(trial)))
		run_error("munlock", errno);
	return made;
}

static struct attempt do_fork(struct trial *trial)
{
	return fail_nth_fork(trial->nth);
}

/* One page, by its own process as another one would: the kernel maps and pins it. */
static struct attempt do_look(struct trial *trial)
{
	struct iovec *const to = (struct iovec *)trial->actor->buffer, *const from = to + 1;

	*to = (struct iovec){ from + 1, 64 };
	*from = (struct iovec){ memory_of(trial), 64 };
	return call_of(trial, SYS_process_vm_readv, getpid(), (long)to, 1, (long)from, 1);
}

static struct attempt do_read(struct trial *trial)
{
	const off_t at = (off_t)trial->step.first * PAGE;

	return call_of(trial, SYS_pread64, trial->step.area->fd, (long)trial->actor->buffer, PAGE, at, 0);
}

static struct attempt do_write(struct trial *trial)
{
	struct area *const area = trial->step.area;
	const size_t page = trial->step.first;
	const struct identity next = oracle_next(&area->oracle, page);
	struct attempt made;

	record_write(trial->actor->buffer, &next, 0);
	oracle_begin(&area->oracle, page, 1);
	made = call_of(trial, SYS_pwrite64, area->fd, (long)trial->actor->buffer, PAGE, (long)page * PAGE, 0);
	if (made.result == PAGE)
		oracle_end_written(&area->oracle, page);
	else
		oracle_end(&area->oracle, page, 1, HOLDS_RECORD);
	return made;
}

/* A page is put where none is. */
static struct attempt do_copy(struct trial *trial)
{
	struct area *const area = trial->step.area;
	const size_t page = trial->step.first;
	const struct identity next = oracle_next(&area->oracle, page);
	struct attempt made;

	area_drop(area, page, 1);
	record_write(trial->actor->buffer, &next, 0);
	*(struct uffdio_copy *)(trial->actor->buffer + PAGE) = (struct uffdio_copy){
		.dst = (uintptr_t)area_page(area, page), .src = (uintptr_t)trial->actor->buffer, .len = PAGE,
	};
	oracle_begin(&area->oracle, page, 1);
	made = call_of(trial, SYS_ioctl, uffd, UFFDIO_COPY, (long)(trial->actor->buffer + PAGE), 0, 0);
	if (made.result)
		oracle_end(&area->oracle, page, 1, HOLDS_ZEROS);
	else
		oracle_end_written(&area->oracle, page);
	return made;
}

/* One page, which is in one place or the other afterwards. */
static struct attempt do_move(struct trial *trial)
{
	struct area *const from = trial->step.area, *const to = trial->step.other;
	const size_t page = trial->step.first;
	struct attempt made;
	bool moved;

	area_drop(to, page, 1);
	*(struct uffdio_move *)trial->actor->buffer = (struct uffdio_move){
		.dst = (uintptr_t)area_page(to, page), .src = (uintptr_t)area_page(from, page), .len = PAGE,
		.mode = UFFDIO_MOVE_MODE_DONTWAKE,
	};
	oracle_begin(&to->oracle, page, 1);
	oracle_begin(&from->oracle, page, 1);
	made = call_of(trial, SYS_ioctl, uffd, (long)UFFDIO_MOVE, (long)trial->actor->buffer, 0, 0);
	moved = !made.result || is_hole(area_page(from, page));
	/* A kernel may say EEXIST of a page that it has moved (docs/found/correct-kernels.md). */
	if (moved && made.result == -EEXIST)
		made.result = 0;
	if (moved) {
		oracle_end_moved(&to->oracle, page, &from->oracle, page);
	} else {
		oracle_end(&to->oracle, page, 1, HOLDS_ZEROS);
		oracle_end(&from->oracle, page, 1, HOLDS_RECORD);
	}
	area_verify(to, page, true);
	return made;
}

static unsigned int last_device(void)
{
	return device_count() - 1;
}

static struct attempt do_swapoff(struct trial *trial)
{
	const unsigned int device = last_device();
	const struct leave leave = device_leaves(device);
	const struct attempt made = call_of(trial, SYS_swapoff, (long)device_path(device), 0, 0, 0, 0);

	device_has_left(device, leave, !made.result);
	if (!made.result)
		device_on(device, device_priority(device));
	return made;
}

static void have_no_device(struct trial *trial)
{
	(void)trial;
	if (device_is_on(last_device()))
		device_off(last_device());
}

static struct attempt do_swapon(struct trial *trial)
{
	const unsigned int device = last_device();
	const int flags = SWAP_FLAG_PREFER | (device_priority(device) & SWAP_FLAG_PRIO_MASK);
	struct attempt made = { -EBUSY, false };

	if (device_is_on(device))
		return made;
	made = call_of(trial, SYS_swapon, (long)device_path(device), flags, 0, 0, 0);
	if (!made.result)
		device_has_come(device);
	else
		device_on(device, device_priority(device));
	return made;
}

static struct attempt do_cgroup(struct trial *trial)
{
	char *const path = (char *)trial->actor->buffer;
	struct attempt made;

	snprintf(path, PAGE, "/sys/fs/cgroup/fail-nth-%d", gettid());
	made = call_of(trial, SYS_mkdirat, AT_FDCWD, (long)path, 0755, 0, 0);
	if (!made.result && rmdir(path))
		run_error("rmdir of an empty cgroup", errno);
	return made;
}

static struct attempt put(const struct trial *trial, int fd, const char *text)
{
	strcpy((char *)trial->actor->buffer, text);
	return call_of(trial, SYS_pwrite64, fd, (long)trial->actor->buffer, (long)strlen(text), 0, 0);
}

static struct attempt do_reclaim(struct trial *trial)
{
	return put(trial, reclaim_fd, "262144");
}

static struct attempt do_compressor(struct trial *trial)
{
	return put(trial, compressor_fd, rng_below(&trial->step.rng, 2) ? "lzo" : "lzo-rle");
}

static const struct call CALLS[] = {
	{ "MADV_POPULATE", MAPPED, { EAGAIN }, have_swapped, do_populate },
	{ "MADV_POPULATE", MAPPED, { EAGAIN }, have_swapped, do_populate },
	{ "MADV_WILLNEED", MAPPED, { EAGAIN }, have_swapped, do_willneed },
	{ "MADV_PAGEOUT", MAPPED, { EAGAIN }, have_records, do_pageout },
	{ "MADV_PAGEOUT", MAPPED, { EAGAIN }, have_records, do_pageout },
	{ "MADV_COLLAPSE", HUGE, { EAGAIN, EBUSY, EINVAL }, have_swapped, do_collapse },
	{ "MADV_DONTNEED", ANONYMOUS | PRIVATE, { 0 }, have_swapped, do_drop },
	{ "MADV_FREE", ANONYMOUS, { EAGAIN }, have_swapped, do_free },
	{ "FALLOC_FL_PUNCH_HOLE", SMALL_FILES, { 0 }, have_swapped, do_punch },
	{ "mprotect", MAPPED, { 0 }, have_swapped, do_protect },
	{ "mlock", MAPPED, { EAGAIN }, have_swapped, do_lock },
	{ "fork", MAPPED, { EAGAIN }, have_swapped, do_fork },
	{ "process_vm_readv", MAPPED, { EFAULT }, have_swapped, do_look },
	{ "pread", SMALL_FILES, { 0 }, have_swapped, do_read },
	{ "pwrite", SMALL_FILES, { 0 }, have_swapped, do_write },
	{ "UFFDIO_COPY", 1u << AREA_SMALL, { EAGAIN }, NULL, do_copy },
	{ "UFFDIO_MOVE", OWN, { EAGAIN, EBUSY }, have_swapped, do_move },
};

/* Those of the whole system: of the first actor. */
static const struct call SYSTEM_CALLS[] = {
	{ "swapoff", OWN, { EBUSY }, have_swapped, do_swapoff },
	{ "swapon", OWN, { EBUSY }, have_no_device, do_swapon },
	{ "mkdir of a cgroup", OWN, { EAGAIN }, NULL, do_cgroup },
	{ "write to memory.reclaim", OWN, { EAGAIN }, have_records, do_reclaim },
	{ "write to zswap's compressor", OWN, { EINVAL, ENOENT, ENODEV }, NULL, do_compressor },
};

#define CALLS_COUNT (sizeof(CALLS) / sizeof(CALLS[0]))
#define SYSTEM_CALLS_COUNT (sizeof(SYSTEM_CALLS) / sizeof(SYSTEM_CALLS[0]))

static bool is_allowed(const struct call *call, long error)
{
	for (size_t i = 0; i < sizeof(call->also) / sizeof(call->also[0]); i++)
		if (error == call->also[i])
			return true;
	return !error || error == ENOMEM;
}

/* False: the call makes no nth allocation. */
static bool try_nth(const struct call *call, struct trial *trial)
{
	struct attempt made;

	if (call->prepare)
		call->prepare(trial);
	made = call->make(trial);
	operations_add(1);
	count(allocations, made.failed);
	count(refused, made.failed && made.result < 0);
	if (made.result < 0 && !is_allowed(call, -made.result))
		run_error(call->name, (int)-made.result);
	if (made.result < 0 || !rng_below(&trial->step.rng, 4))
		step_verify(&trial->step);
	return made.failed;
}

static void sweep(const struct call *call, struct trial *trial)
{
	const unsigned int skip = 1 + rng_below(&trial->step.rng, SKIP_MOST);

	area_note(trial->step.area, call->name, trial->step.first, trial->step.count);
	for (trial->nth = 1; trial->nth < NTH_MOST && !run_over(); trial->nth += trial->nth < EACH ? 1 : skip)
		if (!try_nth(call, trial))
			break;
	count(sweeps, 1);
}

/* False: not on this kernel. */
static bool choose_area(struct trial *trial, unsigned int kinds)
{
	uint64_t kind = rng_below(&trial->step.rng, AREA_KINDS);

	while (!(kinds & 1u << kind))
		kind = (kind + 1) % AREA_KINDS;
	trial->step.area = &trial->actor->areas[kind];
	trial->step.other = kind <= AREA_LARGE ? &trial->actor->others[kind] : NULL;
	return trial->step.area->pages;
}

static void act(struct worker *worker)
{
	struct trial trial = { .actor = &actors[worker->index] };

	while (!run_over()) {
		const uint64_t all = CALLS_COUNT + (worker->index ? 0 : SYSTEM_CALLS_COUNT);
		const uint64_t choice = rng_below(&worker->rng, all);
		const struct call *const call = choice < CALLS_COUNT ? &CALLS[choice] : &SYSTEM_CALLS[choice - CALLS_COUNT];

		trial.step = (struct step){ .rng = rng_stream(rng_next(&worker->rng), 0) };
		if (!choose_area(&trial, call->kinds))
			continue;
		step_choose_pages(&trial.step, pages);
		sweep(call, &trial);
	}
}

static void actor_new(struct actor *actor, uint64_t id)
{
	actor->buffer = locked_memory(2 * (size_t)PAGE);
	/* Where a userfaultfd is registered, no large folio is swapped in. */
	for (unsigned int kind = 0; kind < AREA_KINDS; kind++) {
		if (!(1u << kind & HUGE) || (actor == actors && area_huge_is_small()))
			area_new(&actor->areas[kind], kind, id + kind, pages, kind == AREA_SMALL ? uffd : -1);
		for (size_t page = 0; page < actor->areas[kind].pages; page++)
			area_write(&actor->areas[kind], page, 0);
		if (kind <= AREA_LARGE)
			area_new(&actor->others[kind], kind, id + AREA_KINDS + kind, pages, uffd);
	}
}

static void prepare(void)
{
	area_allow_large_folios();
	fail_nth_allow();
}

static void setup(void)
{
	allocations = counter("failed_allocations");
	refused = counter("refused_calls");
	sweeps = counter("sweeps");
	if (actors_count > ACTORS_MAX || !actors_count)
		run_fail("--actors");
	uffd = uffd_open(0);
	if (uffd < 0)
		run_missing("userfaultfd with UFFD_FEATURE_MOVE and write protection: %m");
	reclaim_fd = open(RECLAIM, O_WRONLY | O_CLOEXEC);
	compressor_fd = open(ZSWAP "compressor", O_WRONLY | O_CLOEXEC);
	for (uint64_t i = 0; i < actors_count && uffd >= 0; i++)
		actor_new(&actors[i], 1 + i * 2 * AREA_KINDS);
}

static void load(void)
{
	static struct threads threads;

	if (uffd < 0)
		return;
	threads_add(&threads, actors_count, act, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	for (uint64_t i = 0; i < actors_count; i++) {
		for (unsigned int kind = 0; kind < AREA_KINDS; kind++)
			area_verify_all(&actors[i].areas[kind]);
		for (unsigned int kind = 0; kind <= AREA_LARGE; kind++)
			area_verify_all(&actors[i].others[kind]);
	}
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options,
		.steady = 1,
		.prepare = prepare,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
