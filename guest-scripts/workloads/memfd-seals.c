// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memfd-seals: memory files are sealed, some of them while they are mapped and may be written.
 *
 * Nothing is switched off here. Each round has a new file, which is executable, with a record in each page. It gets some seals. If the
 * kernel says afterwards that the file is sealed against writing, then nobody may be able to change what is in it: not by write(), not by
 * a new mapping, and not by one that was there before.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "paging.h"
#include "record.h"
#include "run.h"

/* Linux 6.3. */
#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif
#define PAGES 4
#define LENGTH ((size_t)PAGES * PAGE)
#define NOT_CHANGED "fcntl(2), F_SEAL_WRITE: the contents of a file with this seal can't be modified"

static const int choices[] = { F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, F_SEAL_EXEC };

static bool there;
static struct identity record = { .region = 1 };
static counter_t *rounds, *sealed, *busy;

/* What is in the first page, with whatever was tried. */
static void check_contents(int fd, const char *tried)
{
	uint64_t copy[PAGE / sizeof(uint64_t)];

	verified_add(1);
	if (pread(fd, copy, PAGE, 0) != PAGE)
		run_error("pread", errno);
	else if (record_check(copy, &record, true) != KIND_OK)
		run_mismatch(0, KIND_WRONG, NOT_CHANGED, "what was in the file when it was sealed", tried);
}

static void try_to_change(int fd, uint8_t *mapped)
{
	uint8_t *again;

	if (pwrite(fd, "x", 1, 0) >= 0)
		check_contents(fd, "pwrite() has changed it");
	again = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (again != MAP_FAILED) {
		again[0]++;
		check_contents(fd, "a write to a new mapping has changed it");
		munmap(again, LENGTH);
	}
	if (mapped) {
		mapped[0]++;
		check_contents(fd, "a write to a mapping that was there before has changed it");
	}
}

static int some_seals(struct rng *rng)
{
	int seals = 0;

	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		if (rng_below(rng, 3) == 0)
			seals |= choices[i];
	return seals;
}

static void seal(int fd, uint8_t *mapped, struct rng *rng)
{
	if (fcntl(fd, F_ADD_SEALS, some_seals(rng))) {
		/* Somebody may write by a mapping. */
		if (errno != EBUSY || !mapped)
			run_error("F_ADD_SEALS", errno);
		count(busy, 1);
	}
	if (!(fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE))
		return;
	count(sealed, 1);
	check_contents(fd, "it is not what was written");
	try_to_change(fd, mapped);
}

static void round_of(struct rng *rng)
{
	const int fd = memfd_create("memfd-seals", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	const bool stays = rng_below(rng, 2);
	uint8_t *mapped;

	if (fd < 0 || ftruncate(fd, (off_t)LENGTH))
		run_fail("memfd_create");
	mapped = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED)
		run_fail("mmap of a memory file");
	record.generation++;
	record_write(mapped, &record, 0);
	if (!stays)
		munmap(mapped, LENGTH);
	seal(fd, stays ? mapped : NULL, rng);
	if (stays)
		munmap(mapped, LENGTH);
	close(fd);
	count(rounds, 1);
	operations_add(1);
}

static void driver(struct worker *worker)
{
	while (!run_over())
		round_of(&worker->rng);
}

static void setup(void)
{
	const int fd = memfd_create("memfd-seals", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

	rounds = counter("rounds");
	sealed = counter("sealed");
	busy = counter("busy");
	there = fd >= 0 && !fcntl(fd, F_ADD_SEALS, F_SEAL_EXEC);
	if (!there)
		run_missing("F_SEAL_EXEC: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void load(void)
{
	static struct threads threads;

	if (!there)
		return;
	threads_add(&threads, 1, driver, NULL);
	threads_join(&threads);
}

/* Each file was looked at before it was closed. */
static void verify(void)
{
}

int main(int argc, char **argv)
{
	static const struct workload workload = { .steady = 1, .setup = setup, .load = load, .verify = verify };

	return run_workload(&workload, argc, argv);
}
