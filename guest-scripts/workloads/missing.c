// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * missing: pages that userfaultfd puts in when somebody asks for them, against swapoff.
 *
 *   an owner   has an area that is registered for missing pages, with events: it drops pages, has them swapped out, takes the area to other
 *              addresses by mremap(), and forks; each time it waits until the server has read what it does. Then it closes the
 *              userfaultfd while readers wait for pages, and opens another one;
 *   a server   puts in the page's record where one is missing (UFFDIO_COPY), also while the address space changes, and reads the events;
 *   readers    read pages by process_vm_readv(), which maps and pins them, and by write() to a pipe;
 *   children   of the owner look at their memory, of which the server has let go at once.
 *
 * While the userfaultfd is open, a page has its record, whether it was there, missing or swapped out. Once it is closed, a missing page
 * is zeros, as anywhere.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "paging.h"
#include "record.h"
#include "run.h"
#include "uffd.h"

#define REGION (REGION_NO_ZEROS | 1)
#define READERS_MAX 8
#define EVENTS (UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP)
#define AT_ONCE 4 /* pages of a look */
#define WAITING_MOST 32
#define SERVE_MS 5
#define STEPS_LEAST 20
#define STEPS_MOST 80
/* Between the last page that is served and the end of the userfaultfd: readers come to wait. In microseconds. */
#define WAIT_MOST 3000
/* In place of what the kernel has to say. */
#define UNTOLD 0x5eed5eedll
#define TOLD "ioctl_userfaultfd(2), UFFDIO_COPY: `copy` is the number of bytes that were copied, or a negated errno; EAGAIN: it is not `len`"
#define PUT_IN "ioctl_userfaultfd(2), UFFDIO_COPY: who waits for a missing page finds what was copied there; while it is registered, no other"
#define UNWRITTEN "write(2): a write that fails has written nothing"
#define AS_ANYWHERE "userfaultfd(2): a missing page has what was put there, or zeros once it is watched no longer"

static uint64_t pages = 48;
static uint64_t readers = 3;

static const struct number_option options[] = {
	{ "pages", &pages },
	{ "readers", &readers },
	{ 0 },
};

static uint8_t *_Atomic base;
static _Atomic uint32_t moves; /* odd while the area is between two places */
static _Atomic uint32_t served_rounds; /* odd: each page that is seen from its beginning to its end must have its record */
static int uffd = -1;
/* The owner's word, and the server's answer: it uses the userfaultfd no more. */
static _Atomic bool paused = true, idle, ended;
/* The server's: the place that the area is at by the events so far, and the one before. */
static uintptr_t places[2];
static uint64_t waiting[WAITING_MOST]; /* addresses of pages that could not be put in yet */
static size_t waiting_count;
static counter_t *put_in, *put_in_later, *events, *closed, *looks, *raced, *children;

static struct identity identity_of(size_t page)
{
	return (struct identity){ REGION, page, 1 };
}

/* --- the server --- */

static bool page_of(uint64_t address, size_t *page)
{
	for (size_t i = 0; i < 2; i++)
		if (places[i] && address >= places[i] && address < places[i] + pages * PAGE) {
			*page = (address - places[i]) / PAGE;
			return true;
		}
	return false;
}

static void wake(uint64_t address)
{
	struct uffdio_range range = { address & -(uint64_t)PAGE, PAGE };

	ioctl(uffd, UFFDIO_WAKE, &range);
}

static void check_told(size_t page, const struct uffdio_copy *copy)
{
	const bool is_part = copy->copy > 0 && (uint64_t)copy->copy < copy->len && copy->copy % (int64_t)PAGE == 0;
	char seen[60];

	if (copy->copy == -EAGAIN || is_part)
		return;
	snprintf(seen, sizeof(seen), "EAGAIN, and copy is %" PRId64 " of %" PRIu64, (int64_t)copy->copy, (uint64_t)copy->len);
	run_mismatch(page, KIND_WRONG, TOLD, "EAGAIN, and copy says how far it came", seen);
}

/* False: to be tried again, when the address space does not change any more. */
static bool put(uint64_t address)
{
	uint64_t record[PAGE / sizeof(uint64_t)];
	struct uffdio_copy copy = { .dst = address & -(uint64_t)PAGE, .src = (uintptr_t)record, .len = PAGE, .copy = UNTOLD };
	struct identity identity;
	size_t page = 0;

	/* Elsewhere by now: who waits there asks again. */
	if (!page_of(address, &page)) {
		wake(address);
		return true;
	}
	identity = identity_of(page);
	record_write(record, &identity, 0);
	if (!ioctl(uffd, UFFDIO_COPY, &copy)) {
		count(put_in, 1);
		operations_add(1);
		return true;
	}
	if (errno == EAGAIN) {
		check_told(page, &copy);
		return false;
	}
	/* There is one already; or it is not mapped there, or not registered, any more. */
	if (errno != EEXIST && errno != ENOENT)
		run_error("UFFDIO_COPY", errno);
	wake(address);
	return true;
}

static void wait_for_page(uint64_t address)
{
	if (waiting_count < WAITING_MOST)
		waiting[waiting_count++] = address;
	else
		wake(address);
}

static void put_waiting(void)
{
	const size_t number = waiting_count;

	waiting_count = 0;
	for (size_t i = 0; i < number; i++)
		if (put(waiting[i]))
			count(put_in_later, 1);
		else
			wait_for_page(waiting[i]);
}

static void take_event(const struct uffd_msg *message)
{
	count(events, 1);
	if (message->event == UFFD_EVENT_REMAP) {
		places[1] = places[0];
		places[0] = message->arg.remap.to;
	} else if (message->event == UFFD_EVENT_FORK)
		close((int)message->arg.fork.ufd);
}

static void serve(void)
{
	struct pollfd ready = { .fd = uffd, .events = POLLIN };
	struct uffd_msg message;

	/* What changes the address space waits for its event to be read: before that no page can be put in. */
	if (poll(&ready, 1, waiting_count ? 0 : SERVE_MS) < 0)
		return;
	while (read(uffd, &message, sizeof(message)) == sizeof(message))
		if (message.event != UFFD_EVENT_PAGEFAULT)
			take_event(&message);
		else if (!put(message.arg.pagefault.address))
			wait_for_page(message.arg.pagefault.address);
	put_waiting();
}

static void server(struct worker *worker)
{
	(void)worker;
	while (!ended) {
		if (!paused) {
			serve();
			continue;
		}
		/* Who waits is woken by the end of the userfaultfd. */
		waiting_count = 0;
		idle = true;
		while (paused && !ended)
			sleep_us(200);
		idle = false;
	}
}

static void pause_server(bool on)
{
	paused = on;
	while (idle != on)
		sleep_us(100);
}

/* --- what is seen of pages --- */

static void check_copy(size_t page, const void *copy, bool must)
{
	const struct identity identity = identity_of(page);
	const enum kind kind = record_check(copy, &identity, page % 4 == 0);

	verified_add(1);
	if (kind == KIND_OK || (!must && zero_check(copy) == KIND_OK))
		return;
	if (zero_check(copy) == KIND_OK)
		run_mismatch(page, KIND_WRONG, PUT_IN, "the record", "zeros");
	else if (must)
		record_complain(kind, copy, &identity, false);
	else
		run_mismatch(page, kind, AS_ANYWHERE, "the record, or zeros", "neither of them");
}

/* By pins, or by a copy as any system call makes it. The result is how many bytes there are. */
static ssize_t read_pages(uint8_t *to, uint8_t *from, size_t length, const int *ends)
{
	const struct iovec target = { to, length }, source = { from, length };
	ssize_t got;
	int error;

	if (!ends)
		return process_vm_readv(getpid(), &target, 1, &source, 1, 0);
	got = write(ends[1], from, PAGE);
	if (got > 0)
		return read(ends[0], to, (size_t)got);
	/* Linux 6.12 leaves an empty buffer in the pipe where a write fails, and two of them fill it: a read takes them out. */
	error = errno;
	if (read(ends[0], to, PAGE) > 0)
		run_mismatch(0, KIND_WRONG, UNWRITTEN, "nothing", "data");
	errno = error;
	return got;
}

static void look(uint8_t *copy, size_t first, size_t number, const int *ends)
{
	const uint32_t round = served_rounds, before = moves;
	const ssize_t got = read_pages(copy, base + first * PAGE, number * PAGE, ends);
	const bool must = round % 2 && served_rounds == round;

	/* Not there while it is taken elsewhere; 6.19 also says so of an entry that went and came back for a lack of memory. */
	if (got < 0 && errno != EFAULT)
		run_error(ends ? "write to a pipe" : "process_vm_readv", errno);
	if (got <= 0 || before % 2 || moves != before) {
		count(raced, 1);
		return;
	}
	for (size_t i = 0; (i + 1) * PAGE <= (size_t)got; i++)
		check_copy(first + i, copy + i * PAGE, must);
	count(looks, 1);
}

static void reader(struct worker *worker)
{
	uint8_t *const copy = locked_memory(AT_ONCE * PAGE);
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		run_fail("pipe2");
	fcntl(ends[1], F_SETPIPE_SZ, (int)(2 * PAGE));
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	while (!run_over()) {
		const size_t first = rng_below(&worker->rng, pages), rest = pages - first;
		const size_t number = 1 + rng_below(&worker->rng, rest < AT_ONCE ? rest : AT_ONCE);

		look(copy, first, number, rng_below(&worker->rng, 4) ? NULL : ends);
		operations_add(1);
		sleep_us(rng_below(&worker->rng, 300));
	}
}

/* --- the owner --- */

static void drop(size_t first, size_t number)
{
	if (madvise(base + first * PAGE, number * PAGE, MADV_DONTNEED))
		run_error("MADV_DONTNEED", errno);
}

static void shift(void)
{
	uint8_t *const to = reserved_addresses(pages * PAGE);

	atomic_fetch_add(&moves, 1);
	if (mremap(base, pages * PAGE, pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		run_fail("mremap");
	base = to;
	atomic_fetch_add(&moves, 1);
}

static void child(void *argument)
{
	(void)argument;
	for (size_t page = 0; page < pages && !run_over(); page++)
		check_copy(page, base + page * PAGE, false);
}

static void change(struct rng *rng)
{
	const size_t first = rng_below(rng, pages), number = 1 + rng_below(rng, pages - first);

	switch (rng_below(rng, 16)) {
	case 0:
		shift();
		break;
	case 1:
		child_join(child_start(child, NULL));
		count(children, 1);
		break;
	case 2:
		reclaim(number * PAGE);
		break;
	case 3:
	case 4:
	case 5:
		drop(first, number);
		break;
	default:
		page_out(base + first * PAGE, number * PAGE);
	}
	operations_add(1);
	sleep_us(rng_below(rng, 2000));
}

static bool open_uffd(void)
{
	struct uffdio_register range = { .range = { (uintptr_t)base, pages * PAGE }, .mode = UFFDIO_REGISTER_MODE_MISSING };

	uffd = uffd_open_with(EVENTS);
	if (uffd < 0)
		return false;
	if (ioctl(uffd, UFFDIO_REGISTER, &range))
		run_error("UFFDIO_REGISTER", errno);
	places[0] = (uintptr_t)base;
	places[1] = 0;
	return true;
}

static void live(struct rng *rng)
{
	if (!open_uffd()) {
		run_error("userfaultfd", errno);
		sleep_us(10000);
		return;
	}
	pause_server(false);
	/* Zeros that came before it was registered go. */
	drop(0, pages);
	served_rounds++;
	for (uint64_t steps = rng_between(rng, STEPS_LEAST, STEPS_MOST); steps && !run_over(); steps--)
		change(rng);
	served_rounds++;
	/* Some are to wait for pages, and others to come while it ends. */
	drop(0, pages);
	pause_server(true);
	sleep_us(rng_below(rng, WAIT_MOST));
	close(uffd);
	count(closed, 1);
}

static void own(struct worker *worker)
{
	while (!run_over())
		live(&worker->rng);
	ended = true;
}

static void prepare(void)
{
	const int tried = uffd_open_with(EVENTS);

	if (tried < 0)
		run_missing("userfaultfd with events: %m");
	else
		close(tried);
}

static void setup(void)
{
	put_in = counter("pages_put_in");
	put_in_later = counter("put_in_later");
	events = counter("events");
	closed = counter("closed_userfaultfds");
	looks = counter("looks");
	raced = counter("looks_that_raced");
	children = counter("children");
	if (!pages || !readers || readers > READERS_MAX)
		run_fail("--pages and --readers");
	base = private_memory(pages * PAGE);
}

static void load(void)
{
	static struct threads threads;

	threads_add(&threads, 1, server, NULL);
	threads_add(&threads, readers, reader, NULL);
	threads_add(&threads, 1, own, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	for (size_t page = 0; page < pages; page++)
		check_copy(page, base + page * PAGE, false);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options, .prepare = prepare, .setup = setup, .load = load, .verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
