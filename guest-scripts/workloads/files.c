// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files: many small memory files that come and go, are punched and cut, while several devices are swapped off at the same time.
 *
 *   owners      each has some of the files. They fill a file, page it out page by page from one CPU after another, so that it lies on
 *               several devices, and then: punch holes at pages that are in the swap cache still, cut the file, put a new file in its
 *               place, which ends the old one with all that is swapped out of it, empty it and page another one out at once, or leave it as
 *               it is;
 *   readers     read pages by pread(), mostly of a file that its owner is at: the last swapped page of a file comes back, or a
 *               large entry is split, in the middle of all that;
 *   a compactor moves pages, in the swap cache and out of it;
 *   a mounter   has a few more files, each on a file system of its own, which has been unmounted already and ends with the file; mostly
 *               while a swapoff is on.
 *
 * A quarter of the files have folios of 64 KiB where the kernel has them. All that a file may hold is known at any time.
 *
 * The stage is a process of its own with one file. A mover takes its mapping back and forth between two places. Both are mapped at any time:
 * the one that it was taken from is empty, and finds the file's pages again (MREMAP_DONTUNMAP). A changer punches and writes the file
 * meanwhile. A watcher looks by plain loads: while a move goes on, at the place that the mapping is taken from (at the other one it would
 * have to wait for the end of the move), and then at both.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "area.h"
#include "compactor.h"
#include "device.h"
#include "paging.h"
#include "run.h"

#define FILES_MAX 96
#define OWNERS_MAX 8
#define LARGE (64u << 10)
#define IN_FOUR 4
#define SYSTEMS 4
#define SYSTEM_REGION 990
/* Of the mounter, in microseconds. */
#define SWAPOFF_WAIT 200000
#define MOUNT_REST 6000
#define END_REST 2000
#define SHOWN_PAGES 4
/* Of the changer: what is written by a store is dirty in the page table, and not only in the page. */
#define STORED_ONE_IN 16
#define MOVE_WAIT 10000
#define HOLE_REST 1000
#define CHANGE_REST 2000
/* Of the watcher: not longer, for it keeps others from its CPU. */
#define BURST 100000
/* Of the mover, in microseconds: the watcher has begun to look by then; and between two moves. */
#define ANNOUNCED 500
#define MOVE_REST 8000
#define SHOWN_REGION 1000

static uint64_t files_count = 36;
static uint64_t small_pages = 6;
static uint64_t owners = 3;
static uint64_t readers = 3;

static const struct number_option options[] = {
	{ "files", &files_count },
	{ "pages", &small_pages },
	{ "owners", &owners },
	{ "readers", &readers },
	{ 0 },
};

static struct area files[FILES_MAX];
static _Atomic unsigned int at[OWNERS_MAX]; /* the file that each owner is at */
static struct area systems[SYSTEMS]; /* the mounter's */
static counter_t *reads, *raced, *punches, *cuts, *renewals, *left_out, *rooms, *file_systems, *moves, *looks;
/* What the mover moves, by its file. Its base is the first place. */
static struct area shown;
static uint8_t *places[2];
static _Atomic unsigned int leaving; /* 1 + the place whose move has been announced, or goes on; 0: none */
static int stage_process; /* 0: none */
static _Atomic bool *staged; /* all threads of the stage have been started */

/* Each CPU stays with the device that it wrote to last. */
static void hop(struct rng *rng)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(rng_below(rng, sysconf(_SC_NPROCESSORS_ONLN)), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		run_fail("sched_setaffinity");
}

static void fill(struct area *file)
{
	area_note(file, "fill", 0, file->pages);
	for (size_t page = 0; page < file->pages; page++)
		area_write(file, page, 0);
}

/* Only what is mapped is paged out on request. */
static void map_all(struct area *file)
{
	for (size_t page = 0; page < file->pages; page++)
		area_verify(file, page, page % 4 == 0);
}

static void send_out(struct area *file, struct rng *rng)
{
	if (file->kind == AREA_FILE_LARGE) {
		area_note(file, "out", 0, file->pages);
		page_out(file->base, file->length);
		return;
	}
	for (size_t page = 0; page < file->pages && !run_over(); page++) {
		if (page % 2 == 0)
			hop(rng);
		page_out(area_page(file, page), PAGE);
	}
}

static void punch(struct area *file, struct rng *rng)
{
	const bool whole = rng_below(rng, 2);
	const size_t first = whole ? 0 : rng_below(rng, file->pages);
	const size_t pages = whole ? file->pages : rng_between(rng, 1, file->pages - first);

	area_note(file, "hole", first, pages);
	area_drop(file, first, pages);
	for (size_t i = first; i < first + pages && !run_over(); i++)
		area_verify(file, i, true);
	count(punches, 1);
}

/* Shorter, and as long as before: zeros from here on. What lies behind the end is not to be touched meanwhile: see reader(). */
static void cut(struct area *file, struct rng *rng)
{
	const size_t keep = rng_below(rng, file->pages);

	area_note(file, "cut", keep, file->pages - keep);
	area_cut(file, keep);
	area_verify(file, keep, true);
	count(cuts, 1);
}

/* Unmounted at once: the file system lives for as long as somebody has the file open, or mapped. */
static int file_of_its_own_system(size_t length)
{
	char folder[] = "/files-XXXXXX", path[sizeof(folder) + 8];
	int fd;

	if (!mkdtemp(folder) || mount("files", folder, "tmpfs", 0, "size=0"))
		run_fail("mount of a tmpfs");
	snprintf(path, sizeof(path), "%s/file", folder);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)length))
		run_fail("open in a tmpfs");
	if (umount2(folder, MNT_DETACH))
		run_error("umount2", errno);
	else
		rmdir(folder);
	return fd;
}

static bool has_own_system(const struct area *file)
{
	return file >= systems && file < systems + SYSTEMS;
}

static int another_file(const struct area *file)
{
	return has_own_system(file) ? file_of_its_own_system(file->length) : memory_file("files", file->length);
}

/* Another file at the same number and the same addresses; nobody has the old one any more. */
static void renew(struct area *file)
{
	area_note(file, "renew", 0, file->pages);
	area_take_file(file, another_file(file));
	count(has_own_system(file) ? file_systems : renewals, 1);
}

/* What this one has swapped out is free at the moment in which another one of its owner goes out. */
static void make_room(struct area *file, struct rng *rng)
{
	struct area *const other = &files[rng_below(rng, files_count / owners) * owners + (size_t)(file - files) % owners];

	if (other == file)
		return;
	map_all(other);
	area_note(file, "room", 0, file->pages);
	area_drop(file, 0, file->pages);
	send_out(other, rng);
	count(rooms, 1);
}

static void change(struct area *file, struct rng *rng)
{
	switch (rng_below(rng, 8)) {
	case 0:
	case 1:
		punch(file, rng);
		break;
	case 2:
		cut(file, rng);
		break;
	case 3:
		renew(file);
		break;
	case 4:
		make_room(file, rng);
		break;
	default:
		count(left_out, 1);
		return;
	}
	fill(file);
	send_out(file, rng);
}

static void owner(struct worker *worker)
{
	struct rng *rng = &worker->rng;

	while (!run_over()) {
		const unsigned int index = rng_below(rng, files_count / owners) * owners + worker->index;
		struct area *file = &files[index];

		at[worker->index] = index;
		hop(rng);
		map_all(file);
		send_out(file, rng);
		/* What an asynchronous device has written is in the swap cache still, or has left it. */
		if (rng_below(rng, 3) == 0)
			page_out_fully(file->base, file->length, 2);
		change(file, rng);
	}
}

static void read_page(const struct area *file, size_t page)
{
	count(area_read(file, page, true) == LOOK_RACED ? raced : reads, 1);
}

/* By plain loads: what the CPU knows of the place is what it was told. */
static void look(const uint8_t *place, size_t page)
{
	const uint32_t ticket = oracle_ticket(&shown.oracle, page);
	uint64_t copy[PAGE / sizeof(uint64_t)];

	memcpy(copy, place + page * PAGE, PAGE);
	record_history = shown.history;
	if (oracle_verify_copy(&shown.oracle, page, ticket, copy, false) != LOOK_RACED)
		count(looks, 1);
}

static void look_at_all(const uint8_t *place)
{
	for (size_t page = 0; page < SHOWN_PAGES; page++)
		look(place, page);
}

/* Without a pause: a CPU that sleeps, or turns to another process, is told anew. */
static void watch_move(void)
{
	const uint64_t end = now_ns() + BURST * 1000ull;
	unsigned int place;

	while ((place = leaving) && now_ns() < end)
		look_at_all(places[place - 1]);
	while (leaving)
		sleep_us(1000);
}

static void watcher(struct worker *worker)
{
	(void)worker;
	thread_is_urgent();
	while (!run_over()) {
		watch_move();
		look_at_all(places[0]);
		look_at_all(places[1]);
		sleep_us(200);
	}
}

/* Mapped by reads, and not written to since: most page table entries would be dirty, which some code treats with more care. */
static void map_clean(uint8_t *place)
{
	if (madvise(place, shown.length, MADV_DONTNEED))
		run_error("MADV_DONTNEED", errno);
	look_at_all(place);
}

static void mover(struct worker *worker)
{
	const size_t length = shown.length;

	for (unsigned int from = 0; !run_over(); from = !from) {
		uint8_t *const to = places[!from];

		if (rng_below(&worker->rng, IN_FOUR))
			map_clean(places[from]);
		leaving = 1 + from;
		sleep_us(ANNOUNCED);
		if (mremap(places[from], length, length, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) != to)
			run_fail("mremap");
		leaving = 0;
		count(moves, 1);
		sleep_us(rng_below(&worker->rng, MOVE_REST));
		/* Paged out is what is mapped once. */
		if (rng_below(&worker->rng, 8) == 0) {
			madvise(places[from], length, MADV_DONTNEED);
			page_out(to, length);
		}
	}
}

/* So it is mapped by those who only read. */
static void write_by_call(size_t page)
{
	const struct identity next = oracle_next(&shown.oracle, page);
	uint64_t record[PAGE / sizeof(uint64_t)];

	record_write(record, &next, 0);
	oracle_begin(&shown.oracle, page, 1);
	if (pwrite(shown.fd, record, PAGE, (off_t)(page * PAGE)) != PAGE)
		run_error("pwrite", errno);
	oracle_end_written(&shown.oracle, page);
}

/* And a little more, so that it has begun. */
static void wait_for_move(struct rng *rng)
{
	const uint64_t end = now_ns() + MOVE_WAIT * 1000ull;

	while (!leaving && !run_over() && now_ns() < end)
		sleep_us(200);
	sleep_us(rng_below(rng, 4 * ANNOUNCED));
}

static void changer(struct worker *worker)
{
	struct rng *rng = &worker->rng;

	thread_is_urgent();
	while (!run_over()) {
		const size_t first = rng_below(rng, SHOWN_PAGES), pages = rng_between(rng, 1, SHOWN_PAGES - first);
		const bool by_call = rng_below(rng, STORED_ONE_IN);

		if (rng_below(rng, 2))
			wait_for_move(rng);
		area_note(&shown, "hole", first, pages);
		area_drop(&shown, first, pages);
		sleep_us(rng_below(rng, HOLE_REST));
		for (size_t page = first; page < first + pages; page++)
			if (by_call)
				write_by_call(page);
			else
				area_write(&shown, page, 0);
		sleep_us(rng_below(rng, CHANGE_REST));
	}
}

static void reader(struct worker *worker)
{
	struct rng *rng = &worker->rng;

	while (!run_over()) {
		const unsigned int index = rng_below(rng, 4) ? at[rng_below(rng, owners)] : (unsigned int)rng_below(rng, files_count);

		read_page(&files[index], rng_below(rng, files[index].pages));
		sleep_us(rng_below(rng, 400));
	}
}

static void mounter(struct worker *worker)
{
	struct rng *rng = &worker->rng;

	while (!run_over()) {
		for (size_t i = 0; i < SYSTEMS; i++) {
			renew(&systems[i]);
			sleep_us(rng_below(rng, END_REST));
		}
		for (size_t i = 0; i < SYSTEMS; i++) {
			fill(&systems[i]);
			page_out(systems[i].base, systems[i].length);
			if (rng_below(rng, IN_FOUR) == 0)
				map_all(&systems[i]);
		}
		if (rng_below(rng, IN_FOUR))
			wait_for_swapoff(SWAPOFF_WAIT);
		sleep_us(rng_below(rng, MOUNT_REST));
	}
}

static void shown_new(void)
{
	area_new(&shown, AREA_FILE, SHOWN_REGION, SHOWN_PAGES, -1);
	for (size_t page = 0; page < SHOWN_PAGES; page++)
		area_write(&shown, page, 0);
	places[0] = shown.base;
	places[1] = map_file(shown.fd, shown.length);
}

static void stage(void *unused)
{
	static struct threads threads;

	(void)unused;
	shown_new();
	threads_add(&threads, 1, mover, NULL);
	threads_add(&threads, 1, changer, NULL);
	threads_add(&threads, 1, watcher, NULL);
	*staged = true;
	threads_join(&threads);
	area_verify_all(&shown);
}

/* Before there is memory of others that it would share; threads are numbered in the order in which they start. */
static void set_stage(void)
{
	const uint64_t end = now_ns() + run_patience_ns();

	staged = locked_memory(sizeof(*staged));
	stage_process = child_start(stage, NULL);
	while (!*staged && now_ns() < end)
		sleep_us(1000);
}

static void setup(void)
{
	reads = counter("reads");
	raced = counter("reads_that_raced");
	punches = counter("punches");
	cuts = counter("truncations");
	renewals = counter("files_ended");
	left_out = counter("files_left_out");
	rooms = counter("files_made_room");
	file_systems = counter("file_systems_ended");
	moves = counter("moves");
	looks = counter("looks_while_moved");
	if (files_count > FILES_MAX || owners > OWNERS_MAX || !owners || files_count < owners || !small_pages)
		run_fail("--files, --owners and --pages");
	set_stage();
	for (uint64_t i = 0; i < files_count; i++) {
		const bool large = i % IN_FOUR == IN_FOUR - 1;

		area_new(&files[i], large ? AREA_FILE_LARGE : AREA_FILE, 1 + i, large ? LARGE / PAGE : small_pages, -1);
		fill(&files[i]);
	}
	for (unsigned int i = 0; i < owners; i++)
		at[i] = i;
	for (size_t i = 0; i < SYSTEMS; i++)
		area_new(&systems[i], AREA_FILE, SYSTEM_REGION + i, small_pages, -1);
}

static void load(void)
{
	static struct threads threads;

	threads_add(&threads, owners, owner, NULL);
	threads_add(&threads, readers, reader, NULL);
	threads_add(&threads, 1, compactor, NULL);
	threads_add(&threads, 1, mounter, NULL);
	threads_join(&threads);
	child_reap(&stage_process);
}

static void verify(void)
{
	for (uint64_t i = 0; i < files_count; i++)
		area_verify_all(&files[i]);
	for (size_t i = 0; i < SYSTEMS; i++)
		area_verify_all(&systems[i]);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options,
		.together = true,
		.prepare = area_allow_large_folios,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
