// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Swap devices that fail: null_blk with bad blocks that a saboteur switches on and off, under swapoff.
 *   victims      fault anonymous pages that can't be read: do_swap_page() must answer with a bus error. Now and then they fork, and
 *                what is lost to them must not look like anything else to the child; and
 *   file owners  read pages of a tmpfs file that can't be read: shmem_swapin_folio() must answer with EIO.
 * Writes fail at such times, too; then the page just stays in memory. swapoff (Linux 6.19) gives up a page that it can't
 * read and returns 0: a poison marker takes the place of the entry, in the page table or in the file.
 *
 * So what is legal is not "any bus error", it is: a page may be lost if errors were on at some time since it was
 * written, else it may not; and what can be read at all must be right, also after it could not be read for a while. Whether
 * a page that was given up once says EIO for ever, as in 6.19, is promised by nobody.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device.h"
#include "guard.h"
#include "paging.h"
#include "record.h"
#include "run.h"
#include "textfile.h"

#define FILES "/tmp/io-error"
#define SECTOR 512
/* mkswap's header is the first page: without it there is no swapon. */
#define HEADER_SECTORS (PAGE / SECTOR)
#define SLICES_MAX 8
/* In microseconds. Off for longer than a slice takes to be written and paged out. */
#define GOOD_LEAST 20000
#define GOOD_MOST 60000
#define BAD_LEAST 5000
#define BAD_MOST 25000
#define BAD_LONG 300000
#define BAD_LONG_ONE_IN 8
#define PATIENCE 200000
/* Long enough for a swapoff to meet the pages first. */
#define LEFT_ALONE 60000
#define FORK_ONE_IN 2
/* The last number of a swap type; devices come first. An entry of it is a marker, no page (Linux 6.19, swapops.h). */
#define MARKER_TYPE 31

static uint64_t slice_pages = 64;
static uint64_t victims = 2;
static uint64_t owners = 2;

static const struct number_option options[] = {
	{ "pages", &slice_pages },
	{ "victims", &victims },
	{ "owners", &owners },
	{ 0 },
};

/* Pages with one owner. */
struct slice {
	struct region region;
	uint32_t *written; /* for each page: the epoch just before it was written */
	bool *lost; /* for each page: not to be read again */
	bool *spoiled; /* for each page: it broke off while it was written, and may hold anything */
	int fd; /* of a file; -1 for anonymous memory */
	unsigned int files;
};

/* Odd while errors are on. Raised before they begin and after they have ended. */
static _Atomic uint32_t epoch;
/* Of each device. Read once: a stream of stdio would put pages into play that nobody guards. */
static uint64_t sectors[DEVICES_MAX];
static struct slice slices[SLICES_MAX];
static counter_t *spells, *bus_errors, *eio_reads, *eio_faults, *markers, *readable, *files_spoiled, *failed_writes, *read_after_all;
static counter_t *emptied, *child_reads, *child_losses, *children_lost;

static uint64_t sectors_of(unsigned int device)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/block/%s/size", strrchr(device_path(device), '/') + 1);
	return number_in(path);
}

/* "first-last" in sectors, all of the device but its header; + makes them bad, - good. */
static bool set_bad_blocks(unsigned int device, char sign)
{
	char path[128], text[64];

	snprintf(path, sizeof(path), "/sys/kernel/config/nullb/swap%u/badblocks", device);
	snprintf(text, sizeof(text), "%c%u-%" PRIu64, sign, HEADER_SECTORS, sectors[device] - 1);
	return put_text(path, text);
}

static void set_errors(bool on)
{
	for (unsigned int i = 0; i < device_count(); i++)
		if (!set_bad_blocks(i, on ? '+' : '-'))
			run_error("bad blocks of null_blk", errno);
}

static void rest(uint64_t us)
{
	const uint64_t end = now_ns() + us * 1000;

	while (!run_over() && now_ns() < end)
		sleep_us(1000);
}

/*
 * What swapoff does with a page that it can't read is the kernel's own affair: 6.19 leaves a marker, a kernel with virtual swap
 * the folio that was never filled. That it met such pages shows in any: the device had pages when it went bad, and was swapped
 * off before it was good again.
 */
static void note_in_use(bool *in_use)
{
	for (unsigned int i = 0; i < device_count(); i++)
		in_use[i] = device_is_on(i) && !device_is_leaving(i) && device_used_kib(i);
}

static unsigned int emptied_of(const bool *in_use)
{
	unsigned int gone = 0;

	for (unsigned int i = 0; i < device_count(); i++)
		gone += in_use[i] && !device_is_on(i);
	return gone;
}

/* Most spells are too short for a swapoff. */
static void wait_for_emptied(const bool *in_use)
{
	const uint64_t end = now_ns() + BAD_LONG * 1000ull;

	while (!emptied_of(in_use) && !run_over() && now_ns() < end)
		sleep_us(1000);
}

static void saboteur(struct worker *worker)
{
	bool in_use[DEVICES_MAX];

	while (!run_over()) {
		rest(rng_between(&worker->rng, GOOD_LEAST, GOOD_MOST));
		epoch++;
		set_errors(true);
		note_in_use(in_use);
		rest(rng_between(&worker->rng, BAD_LEAST, BAD_MOST));
		if (rng_below(&worker->rng, BAD_LONG_ONE_IN) == 0)
			wait_for_emptied(in_use);
		count(emptied, emptied_of(in_use));
		set_errors(false);
		epoch++;
		count(spells, 1);
	}
}

/* False when it takes too long: another round will do. */
static bool wait_for_errors(bool on)
{
	const uint64_t end = now_ns() + PATIENCE * 1000ull;

	while (epoch % 2 != on && !run_over() && now_ns() < end)
		sleep_us(500);
	return epoch % 2 == on;
}

/* Asked after a page was found unreadable. */
static void judge_loss(const struct slice *slice, size_t page, const char *call, const char *error)
{
	const uint32_t now = epoch;

	slice->lost[page] = true;
	operations_add(1);
	if (now % 2 == 0 && now == slice->written[page])
		run_error_named(call, error);
}

struct touch {
	struct slice *slice;
	size_t page;
	struct identity identity;
};

static void write_body(void *argument)
{
	const struct touch *touch = argument;

	record_write(region_page(&touch->slice->region, touch->page), &touch->identity, 0);
}

/* A page that is swapped out half written may be lost at the other half. */
static void write_page(struct slice *slice, size_t page)
{
	struct touch touch = { .slice = slice, .page = page, .identity = region_begin(&slice->region, page) };
	const uint32_t before = epoch;

	if (slice->fd < 0 && madvise(region_page(&slice->region, page), PAGE, MADV_DONTNEED))
		run_error("MADV_DONTNEED", errno);
	if (slice->fd < 0)
		slice->written[page] = before;
	if (guarded(write_body, &touch)) {
		slice->written[page] = before;
		slice->lost[page] = false;
		slice->spoiled[page] = false;
	} else {
		slice->spoiled[page] = true;
		judge_loss(slice, page, "a write to memory that no error hit", "SIGBUS");
		count(failed_writes, 1);
	}
	region_end(&slice->region, page);
}

static void verify_body(void *argument)
{
	const struct touch *touch = argument;

	region_verify(&touch->slice->region, touch->page, true);
}

static bool is_marker(const void *address)
{
	const uint64_t word = pagemap_word(address);

	return word & PAGEMAP_SWAPPED && pagemap_type(word) == MARKER_TYPE;
}

static void read_memory(struct slice *slice, size_t page, counter_t *failed)
{
	struct touch touch = { .slice = slice, .page = page };

	if (guarded(verify_body, &touch)) {
		count(readable, 1);
		return;
	}
	judge_loss(slice, page, "a read of memory that no error hit", "SIGBUS");
	count(is_marker(region_page(&slice->region, page)) ? markers : failed, 1);
}

static void shuffle(size_t *order, struct rng *rng)
{
	for (size_t i = 0; i < slice_pages; i++) {
		const size_t other = rng_below(rng, i + 1);

		order[i] = order[other];
		order[other] = i;
	}
}

/* Everything is on the device, and the device has gone bad: false when that did not come about. */
static bool strand(struct slice *slice, struct rng *rng)
{
	page_out_fully(slice->region.base, slice_pages * PAGE, 3);
	if (!wait_for_errors(true))
		return false;
	/* madvise(2) knows EIO and ENOMEM for what could not be paged in. */
	if (rng_below(rng, 4) == 0 && madvise(slice->region.base, slice_pages * PAGE, MADV_WILLNEED) && errno != EIO &&
	    errno != ENOMEM)
		run_error("MADV_WILLNEED", errno);
	if (rng_below(rng, 4) == 0)
		rest(LEFT_ALONE);
	return !run_over();
}

/*
 * It touches next to nothing: its own stack is no more locked than what it shares, and could be lost before it waits. Then the
 * kernel kills it, as it can't take a signal that it blocks.
 */
static pid_t start_fragile_child(void (*body)(void *))
{
	sigset_t faults, before;
	pid_t child;

	sigemptyset(&faults);
	sigaddset(&faults, SIGBUS);
	sigaddset(&faults, SIGSEGV);
	pthread_sigmask(SIG_BLOCK, &faults, &before);
	child = child_start(body, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return child;
}

static void wait_to_be_killed(void *unused)
{
	(void)unused;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

/* It was killed for what it lost, or by the OOM killer, who takes the memory away first. */
static bool is_gone(pid_t child)
{
	siginfo_t end = { 0 };

	return waitid(P_PID, child, &end, WEXITED | WNOHANG | WNOWAIT) || end.si_pid;
}

/* False: the child is gone. */
static bool read_page_of_child(struct slice *slice, size_t page, pid_t child)
{
	const uint32_t ticket = region_ticket(&slice->region, page);
	uint64_t copy[PAGE / 8];
	const struct iovec to = { copy, PAGE }, from = { region_page(&slice->region, page), PAGE };
	const ssize_t got = process_vm_readv(child, &to, 1, &from, 1, 0);
	const int error = got < 0 ? errno : 0;

	if (got == PAGE) {
		region_verify_copy(&slice->region, page, ticket, copy, true);
		count(child_reads, 1);
	} else if (error == ESRCH || (error == EFAULT && is_gone(child))) {
		count(children_lost, 1);
		return false;
	} else if (error == EFAULT) {
		if (!slice->lost[page])
			judge_loss(slice, page, "a read of memory of a child that no error hit", "EFAULT");
		count(child_losses, 1);
	} else {
		run_error("process_vm_readv", error ? error : ENODATA);
	}
	return true;
}

/* What is lost to this process is lost to its child, too, or it is what was written: be it that a swapoff gave it up before. */
static void read_child(struct slice *slice)
{
	const pid_t child = start_fragile_child(wait_to_be_killed);

	for (size_t page = 0; page < slice_pages && !run_over(); page++)
		if (!slice->spoiled[page] && !read_page_of_child(slice, page, child))
			break;
	kill(child, SIGKILL);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

static void victim(struct worker *worker)
{
	struct slice *slice = worker->argument;
	size_t *order = locked_memory(slice_pages * sizeof(*order));

	while (!run_over()) {
		wait_for_errors(false);
		for (size_t i = 0; i < slice_pages; i++)
			if (slice->lost[i] || rng_below(&worker->rng, 4) == 0)
				write_page(slice, i);
		if (!strand(slice, &worker->rng))
			continue;
		shuffle(order, &worker->rng);
		for (size_t i = 0; i < slice_pages && !run_over(); i++)
			if (!slice->lost[order[i]])
				read_memory(slice, order[i], bus_errors);
		if (rng_below(&worker->rng, FORK_ONE_IN) == 0)
			read_child(slice);
	}
}

/* Once more: EIO again, or the data. Anything else, and be it zeros, was never written there. */
static void check_given_up(const struct slice *slice, size_t page)
{
	const uint32_t ticket = region_ticket(&slice->region, page);
	uint64_t buffer[PAGE / 8];
	const ssize_t got = pread(slice->fd, buffer, PAGE, page * PAGE);

	if (got == PAGE) {
		region_verify_copy(&slice->region, page, ticket, buffer, true);
		count(read_after_all, 1);
	} else if (got >= 0 || errno != EIO) {
		run_error("pread", got < 0 ? errno : ENODATA);
	}
	verified_add(1);
}

static void read_file(struct slice *slice, size_t page)
{
	const uint32_t ticket = region_ticket(&slice->region, page);
	uint64_t buffer[PAGE / 8];
	const ssize_t got = pread(slice->fd, buffer, PAGE, page * PAGE);

	if (got == PAGE) {
		region_verify_copy(&slice->region, page, ticket, buffer, true);
		count(readable, 1);
	} else if (got < 0 && errno == EIO) {
		judge_loss(slice, page, "pread of a page that no error hit", "EIO");
		count(eio_reads, 1);
	} else {
		slice->lost[page] = true;
		run_error("pread", got < 0 ? errno : ENODATA);
	}
}

static void read_somehow(struct slice *slice, size_t page, struct rng *rng)
{
	if (rng_below(rng, 2))
		read_file(slice, page);
	else
		read_memory(slice, page, eio_faults);
	if (slice->lost[page])
		check_given_up(slice, page);
}

/*
 * Linux 6.19 looks for the device of a marker when it is cut off or punched out ("get_swap_device: Bad swap file
 * entry"). So a file that was spoiled stays behind, in a file system of its own, without those of its pages that are
 * good: locked first, so that none of them is lost between the look and the hole.
 */
static void leave_file(struct slice *slice)
{
	for (size_t page = 0; page < slice_pages; page++) {
		void *memory = region_page(&slice->region, page);

		if (slice->lost[page] || mlock(memory, PAGE))
			continue;
		if (fallocate(slice->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page * PAGE, PAGE))
			run_error("FALLOC_FL_PUNCH_HOLE", errno);
	}
	munmap(slice->region.base, slice_pages * PAGE);
	close(slice->fd);
}

static void new_file(struct slice *slice)
{
	char path[64];

	snprintf(path, sizeof(path), FILES "/%" PRIu64 ".%u", slice->region.id, slice->files++);
	slice->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (slice->fd < 0 || ftruncate(slice->fd, slice_pages * PAGE))
		run_fail("a file of tmpfs");
	slice->region.base = map_file(slice->fd, slice_pages * PAGE);
	for (size_t page = 0; page < slice_pages; page++) {
		slice->lost[page] = false;
		write_page(slice, page);
	}
}

static size_t lost_pages(const struct slice *slice)
{
	size_t lost = 0;

	for (size_t page = 0; page < slice_pages; page++)
		lost += slice->lost[page];
	return lost;
}

static void file_owner(struct worker *worker)
{
	struct slice *slice = worker->argument;
	struct rng *rng = &worker->rng;

	while (!run_over()) {
		wait_for_errors(false);
		if (lost_pages(slice) > slice_pages / 2) {
			leave_file(slice);
			new_file(slice);
			count(files_spoiled, 1);
		}
		for (size_t i = 0; i < slice_pages; i++)
			if (!slice->lost[i] && rng_below(rng, 2))
				write_page(slice, i);
			else if (!slice->lost[i])
				/* Only mapped pages are paged out on request. */
				read_memory(slice, i, eio_faults);
		if (!strand(slice, rng))
			continue;
		for (size_t i = 0; i < slice_pages && !run_over(); i++)
			if (!slice->lost[i])
				read_somehow(slice, i, rng);
	}
}

static void prepare(void)
{
	for (unsigned int i = 0; i < device_count(); i++) {
		sectors[i] = sectors_of(i);
		if (strcmp(device_kind(i), "null_blk") || !set_bad_blocks(i, '+') || !set_bad_blocks(i, '-'))
			run_missing("bad blocks of %s: null_blk only, /sys/kernel/config/nullb/swap%u", device_path(i), i);
	}
	/*
	 * More room than is ever used: what a lost page was counted for is given back with its file only. With a limit, statfs() says
	 * what the files have at the end; they stay.
	 */
	mkdir(FILES, 0700);
	if (mount("io-error", FILES, "tmpfs", 0, "size=64g,nr_inodes=0"))
		run_missing("a tmpfs in " FILES ": %m");
}

static void slice_new(struct slice *slice, uint64_t id, bool is_file)
{
	void *memory = is_file ? NULL : private_memory(slice_pages * PAGE);

	slice->region = region_over(memory, id, slice_pages);
	slice->written = locked_memory(slice_pages * sizeof(*slice->written));
	slice->lost = locked_memory(slice_pages * sizeof(*slice->lost));
	slice->spoiled = locked_memory(slice_pages * sizeof(*slice->spoiled));
	slice->fd = -1;
	if (is_file)
		new_file(slice);
	else
		for (size_t page = 0; page < slice_pages; page++)
			write_page(slice, page);
}

static void setup(void)
{
	spells = counter("error_spells");
	bus_errors = counter("bus_errors");
	eio_reads = counter("eio_reads");
	eio_faults = counter("eio_faults");
	markers = counter("markers");
	readable = counter("readable");
	files_spoiled = counter("files_spoiled");
	failed_writes = counter("failed_writes");
	read_after_all = counter("read_after_eio");
	emptied = counter("emptied_while_bad");
	child_reads = counter("child_reads");
	child_losses = counter("child_losses");
	children_lost = counter("children_lost");
	guard_bus_errors();
	if (victims + owners > SLICES_MAX)
		run_fail("--victims and --owners");
	for (uint64_t i = 0; i < victims + owners; i++)
		slice_new(&slices[i], i + 1, i >= victims);
}

static void load(void)
{
	static struct threads threads;

	threads_add(&threads, 1, saboteur, NULL);
	for (uint64_t i = 0; i < victims + owners; i++)
		threads_add(&threads, 1, i < victims ? victim : file_owner, &slices[i]);
	threads_join(&threads);
}

/* Errors are off. What has not been given up by now is right. */
static void verify(void)
{
	if (*emptied && !*markers)
		counter_lacking("markers", "swapoff emptied a bad device %" PRIu64 " times and left no marker in pagemap", *emptied);
	for (uint64_t i = 0; i < victims + owners; i++)
		for (size_t page = 0; page < slice_pages; page++)
			if (!slices[i].lost[page])
				read_memory(&slices[i], page, i < victims ? bus_errors : eio_faults);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options,
		.prepare = prepare,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
