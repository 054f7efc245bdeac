// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tmpfs: file systems in memory, with a limit of their own, whose files and symbolic links are swapped out, against swapoff.
 *
 *   owners    each has one file system. They write its files and have them swapped out, cut and punched (deeds.h); put a new file in
 *             the place of another, by rename() or by a file that had no name before; make symbolic links and read them; and fill
 *             the file system until nothing more goes in: what has a place already may still be written then. After a file is gone,
 *             its blocks and its inode are free again;
 *   readers   read pages by pread(), which fills no hole;
 *   a locker  locks a segment of System V and unlocks it again: what was touched meanwhile is in memory;
 *   a compactor moves pages.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "area.h"
#include "compactor.h"
#include "deeds.h"
#include "paging.h"
#include "run.h"

#define OWNERS_MAX 6
#define HELD 4 /* of each owner */
#define LINKS 6
#define TARGET_MOST 4000 /* a target of more than 128 bytes is in a page of its own */
#define INODES 64u
#define SPARE 32 /* pages of a file system beside those of its files */
#define SEGMENT_REGION 900
#define PATH_SIZE 64
#define FOLDER "/tmpfs-XXXXXX"
#define LOOKS 5
#define FULL "tmpfs(5): nr_blocks is an upper limit; fallocate(2), write(2): ENOSPC where there is no space"
#define GIVEN_BACK "statfs(2): blocks and inodes of a file that is gone are free"
#define LINKED "readlink(2): the contents of the symbolic link are the target that it was made with"
#define RENAMED "rename(2): afterwards the new name refers to the file that had the old one"
#define SEGMENT_STAYS "shmctl(2), SHM_LOCK: pages that were faulted in since are not swapped out"

static uint64_t owners_count = 3;
static uint64_t pages = 24;
static uint64_t readers = 1;

static const struct number_option options[] = {
	{ "owners", &owners_count },
	{ "pages", &pages },
	{ "readers", &readers },
	{ 0 },
};

struct link {
	size_t length; /* 0: there is none */
	uint64_t seed;
};

struct owner {
	char folder[sizeof(FOLDER)];
	struct area files[HELD];
	struct link links[LINKS];
	uint64_t blocks; /* of its file system */
	unsigned int names; /* so far */
	char names_of[HELD][PATH_SIZE];
};

static struct owner owners[OWNERS_MAX];
static uint8_t *segment;
static int segment_id;
static struct oracle segment_oracle;
static counter_t *reads, *filled, *renamed, *ended, *links_read, *locked;

/* Those that are for a file, and leave it where it is. */
static const char *const deed_names[] = {
	"write", "pageout", "out", "look", "cold", "willneed", "drop", "unmap", "protect", "lock", "mincore", "populate", "seek", "splice",
	"allocate", "ask", "poke", "pin",
};

static void path_of(const struct owner *owner, char *path, const char *kind, unsigned int number)
{
	snprintf(path, PATH_SIZE, "%.*s/%s-%u", (int)sizeof(FOLDER), owner->folder, kind, number);
}

/* Blocks that may still be used, or inodes. */
static uint64_t free_of(const struct owner *owner, bool inodes)
{
	struct statfs status;

	if (statfs(owner->folder, &status))
		run_fail("statfs of a tmpfs");
	return inodes ? status.f_ffree : status.f_bfree;
}

static bool are_free(const struct owner *owner, uint64_t blocks, uint64_t inodes)
{
	return free_of(owner, false) >= blocks && free_of(owner, true) >= inodes;
}

/*
 * At least so many. More are free where reclaim has taken pages that nobody wrote, which may show late. A swapoff may hold an inode for a
 * moment, which then ends with it.
 */
static void check_given_back(const struct owner *owner, uint64_t blocks, uint64_t inodes)
{
	const uint64_t end = now_ns() + run_patience_ns();
	char expected[80], seen[80];

	while (!are_free(owner, blocks, inodes) && now_ns() < end)
		sleep_us(1000);
	if (are_free(owner, blocks, inodes))
		return;
	snprintf(expected, sizeof(expected), "%llu blocks and %llu inodes free", (unsigned long long)blocks, (unsigned long long)inodes);
	snprintf(seen, sizeof(seen), "%llu and %llu", (unsigned long long)free_of(owner, false), (unsigned long long)free_of(owner, true));
	run_mismatch(0, KIND_WRONG, GIVEN_BACK, expected, seen);
}

static int create(const char *path, int flags)
{
	const int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);

	if (fd < 0)
		run_fail("open of a file of a tmpfs");
	return fd;
}

/* In place of what it has, which ends if it has no name any more. Readers use the same number. */
static void attach(struct area *file, int fd)
{
	if (ftruncate(fd, (off_t)file->length))
		run_error("ftruncate", errno);
	area_take_file(file, fd);
}

static uint64_t blocks_of(const struct area *file)
{
	struct stat status;

	if (fstat(file->fd, &status))
		run_fail("fstat");
	return (uint64_t)status.st_blocks * 512 / PAGE;
}

static void check_name(const char *path, const struct area *file)
{
	struct stat named, opened;

	if (stat(path, &named) || fstat(file->fd, &opened))
		run_error("stat of a file of a tmpfs", errno);
	else if (named.st_ino != opened.st_ino)
		run_mismatch(0, KIND_WRONG, RENAMED, "the file", "another file");
}

/* It has no name until this is done. */
static int unnamed_file(const struct owner *owner, const char *path)
{
	char link[PATH_SIZE];
	const int fd = create(owner->folder, O_TMPFILE);

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (fd >= 0 && linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW))
		run_error("linkat", errno);
	return fd;
}

static void replace(struct owner *owner, unsigned int index, struct rng *rng)
{
	struct area *file = &owner->files[index];
	const uint64_t blocks = free_of(owner, false) + blocks_of(file), inodes = free_of(owner, true);
	char path[PATH_SIZE];
	int fd;

	path_of(owner, path, "new", owner->names++);
	fd = rng_below(rng, 2) ? create(path, O_CREAT) : unnamed_file(owner, path);
	if (fd < 0)
		return;
	if (rename(path, owner->names_of[index]))
		run_error("rename", errno);
	area_note(file, "replace", 0, file->pages);
	attach(file, fd);
	check_name(owner->names_of[index], file);
	check_given_back(owner, blocks, inodes);
	count(ended, 1);
}

static void exchange(struct owner *owner, unsigned int first, unsigned int second)
{
	char path[PATH_SIZE];

	if (renameat2(AT_FDCWD, owner->names_of[first], AT_FDCWD, owner->names_of[second], RENAME_EXCHANGE)) {
		run_error("rename", errno);
		return;
	}
	memcpy(path, owner->names_of[first], PATH_SIZE);
	memcpy(owner->names_of[first], owner->names_of[second], PATH_SIZE);
	memcpy(owner->names_of[second], path, PATH_SIZE);
	check_name(owner->names_of[first], &owner->files[first]);
	check_name(owner->names_of[second], &owner->files[second]);
	count(renamed, 1);
}

static void target_of(const struct link *link, char *target)
{
	struct rng rng = rng_stream(link->seed, 0);

	for (size_t i = 0; i < link->length; i++)
		target[i] = (char)('a' + rng_below(&rng, 26));
	target[link->length] = 0;
}

static void make_link(struct owner *owner, unsigned int index, struct rng *rng)
{
	struct link *link = &owner->links[index];
	char path[PATH_SIZE], target[TARGET_MOST + 1];

	path_of(owner, path, "link", index);
	if (link->length && unlink(path))
		run_error("unlink", errno);
	link->length = rng_between(rng, 1, TARGET_MOST);
	link->seed = rng_next(rng);
	target_of(link, target);
	if (symlink(target, path)) {
		run_error("symlink", errno);
		link->length = 0;
	}
}

static void read_link(const struct owner *owner, unsigned int index)
{
	const struct link *link = &owner->links[index];
	char path[PATH_SIZE], target[TARGET_MOST + 1], seen[TARGET_MOST + 2];
	ssize_t size;

	if (!link->length)
		return;
	path_of(owner, path, "link", index);
	target_of(link, target);
	size = readlink(path, seen, sizeof(seen));
	if (size < 0)
		run_error("readlink", errno);
	else if ((size_t)size != link->length || memcmp(seen, target, link->length))
		run_mismatch(index, KIND_WRONG, LINKED, "the target", "something else");
	count(links_read, 1);
}

/* More can't be free than what no record has. */
static uint64_t most_free(const struct owner *owner)
{
	uint64_t most = owner->blocks;

	for (unsigned int i = 0; i < HELD; i++)
		for (size_t page = 0; page < pages; page++)
			most -= oracle_holds_data(&owner->files[i].oracle, page);
	return most;
}

/* The result is how many pages went in. */
static uint64_t fill_by_writes(int fd, uint64_t most)
{
	uint64_t record[PAGE / sizeof(uint64_t)];
	const struct identity identity = { SEGMENT_REGION + 1, 1, 1 };
	uint64_t done;

	record_write(record, &identity, 0);
	for (done = 0; done < most && !run_over(); done++)
		if (pwrite(fd, record, PAGE, (off_t)(done * PAGE)) != (ssize_t)PAGE)
			break;
	return done;
}

/* While nothing more goes in: what has a block of its own can be read and written, wherever it is. */
static void use_all(struct owner *owner)
{
	for (unsigned int i = 0; i < HELD; i++) {
		struct area *file = &owner->files[i];

		area_note(file, "full", 0, file->pages);
		page_out(file->base, file->length);
		for (size_t page = 0; page < file->pages && !run_over(); page++)
			if (oracle_holds_data(&file->oracle, page)) {
				area_verify(file, page, page % 4 == 0);
				area_write(file, page, 0);
			}
	}
}

static void fill_up(struct owner *owner, bool by_writes)
{
	const uint64_t blocks = free_of(owner, false), inodes = free_of(owner, true), most = most_free(owner);
	char path[PATH_SIZE], seen[60];
	uint64_t went_in = 0;
	int fd;

	path_of(owner, path, "full", 0);
	fd = create(path, O_CREAT);
	if (by_writes)
		went_in = fill_by_writes(fd, most + 1);
	else if (!fallocate(fd, 0, 0, (off_t)((most + 1) * PAGE)))
		went_in = most + 1;
	else if (errno != ENOSPC && errno != ENOMEM) /* as in area_allocate() */
		run_error("fallocate", errno);
	snprintf(seen, sizeof(seen), "%llu of %llu", (unsigned long long)went_in, (unsigned long long)most);
	if (went_in > most)
		run_mismatch(0, KIND_WRONG, FULL, "no more pages than there are blocks", seen);
	if (by_writes)
		use_all(owner);
	close(fd);
	if (unlink(path))
		run_error("unlink", errno);
	check_given_back(owner, blocks, inodes);
	count(filled, 1);
}

static void do_deed(struct area *file, struct step *step)
{
	const struct deed *deed = deed_choose_of(&step->rng, deed_names, sizeof(deed_names) / sizeof(deed_names[0]));

	step->area = file;
	step_choose_pages(step, pages);
	area_note(file, deed->name, step->first, step->count);
	deed->body(step);
}

static void do_step(struct owner *owner, struct rng rng)
{
	struct step step = { .rng = rng };
	const unsigned int index = (unsigned int)rng_below(&step.rng, HELD), link = (unsigned int)rng_below(&step.rng, LINKS);

	switch (rng_below(&step.rng, 24)) {
	case 0:
		fill_up(owner, rng_below(&step.rng, 2));
		break;
	case 1:
		replace(owner, index, &step.rng);
		break;
	case 2:
		exchange(owner, index, (index + 1) % HELD);
		break;
	case 3:
		make_link(owner, link, &step.rng);
		break;
	case 4:
	case 5:
		/* Nobody maps the page of a target: it goes when the kernel wants memory. */
		reclaim(16 * PAGE);
		read_link(owner, link);
		break;
	default:
		do_deed(&owner->files[index], &step);
	}
	operations_add(1);
}

static void own(struct worker *worker)
{
	while (!run_over())
		do_step(&owners[worker->index], rng_stream(rng_next(&worker->rng), 0));
}

static void reader(struct worker *worker)
{
	while (!run_over()) {
		const struct area *file = &owners[rng_below(&worker->rng, owners_count)].files[rng_below(&worker->rng, HELD)];
		const size_t page = rng_below(&worker->rng, pages);

		if (area_read(file, page, page % 4 == 0) != LOOK_RACED)
			count(reads, 1);
		sleep_us(rng_below(&worker->rng, 400));
	}
}

/* Reclaim may have begun with a page before it was locked: what is touched again stays. */
static void check_locked(void)
{
	size_t resident = 0;
	char seen[32];

	for (unsigned int looks = 0; resident != pages && looks < LOOKS; looks++) {
		for (size_t page = 0; page < pages; page++)
			oracle_verify(&segment_oracle, page, segment + page * PAGE, page % 4 == 0);
		resident = resident_pages(segment, pages * PAGE);
	}
	snprintf(seen, sizeof(seen), "%zu of %zu", resident, (size_t)pages);
	if (resident != pages)
		run_mismatch(0, KIND_WRONG, SEGMENT_STAYS, "all pages are resident", seen);
	count(locked, 1);
}

static void locker(struct worker *worker)
{
	while (!run_over()) {
		for (size_t page = 0; page < pages; page++)
			if (rng_below(&worker->rng, 2))
				oracle_write(&segment_oracle, page, segment + page * PAGE, 0);
		page_out(segment, pages * PAGE);
		if (shmctl(segment_id, SHM_LOCK, NULL))
			run_error("shmctl", errno);
		check_locked();
		sleep_us(rng_below(&worker->rng, 4000));
		if (shmctl(segment_id, SHM_UNLOCK, NULL))
			run_error("shmctl", errno);
		page_out(segment, pages * PAGE);
	}
}

static void owner_new(struct owner *owner)
{
	char limits[80];

	owner->blocks = HELD * pages + LINKS + SPARE;
	memcpy(owner->folder, FOLDER, sizeof(FOLDER));
	snprintf(limits, sizeof(limits), "nr_blocks=%llu,nr_inodes=%u", (unsigned long long)owner->blocks, INODES);
	if (!mkdtemp(owner->folder) || mount("tmpfs", owner->folder, "tmpfs", 0, limits))
		run_fail("mount of a tmpfs");
	for (unsigned int i = 0; i < HELD; i++) {
		struct area *file = &owner->files[i];

		area_new(file, AREA_FILE, 1 + (uint64_t)(owner - owners) * HELD + i, pages, -1);
		path_of(owner, owner->names_of[i], "file", i);
		attach(file, create(owner->names_of[i], O_CREAT));
		for (size_t page = 0; page < pages; page++)
			area_write(file, page, 0);
	}
}

/* It ends with its last page, when its last process does. */
static void segment_new(void)
{
	segment_id = shmget(IPC_PRIVATE, pages * PAGE, 0600);
	segment = segment_id < 0 ? (void *)-1 : shmat(segment_id, NULL, 0);
	if (segment == (void *)-1 || shmctl(segment_id, IPC_RMID, NULL))
		run_fail("a segment of System V");
	segment_oracle = oracle_new(SEGMENT_REGION, pages);
}

static void setup(void)
{
	reads = counter("reads");
	filled = counter("file_systems_filled");
	renamed = counter("files_exchanged");
	ended = counter("files_replaced");
	links_read = counter("links_read");
	locked = counter("segments_locked");
	if (owners_count > OWNERS_MAX || !owners_count || !pages)
		run_fail("--owners and --pages");
	segment_new();
	for (uint64_t i = 0; i < owners_count; i++)
		owner_new(&owners[i]);
}

static void load(void)
{
	static struct threads threads;

	threads_add(&threads, owners_count, own, NULL);
	threads_add(&threads, readers, reader, NULL);
	threads_add(&threads, 1, locker, NULL);
	threads_add(&threads, 1, compactor, NULL);
	threads_join(&threads);
}

/* With nothing left in it, all that it has is free. */
static void end(struct owner *owner)
{
	char path[PATH_SIZE];

	for (unsigned int i = 0; i < HELD; i++) {
		struct area *file = &owner->files[i];

		if (munmap(file->base, file->length) || close(file->fd) || unlink(owner->names_of[i]))
			run_error("unlink", errno);
	}
	for (unsigned int link = 0; link < LINKS; link++) {
		path_of(owner, path, "link", link);
		if (owner->links[link].length && unlink(path))
			run_error("unlink", errno);
	}
	/* All but that of the root. */
	check_given_back(owner, owner->blocks, INODES - 1);
	if (umount2(owner->folder, MNT_DETACH) || rmdir(owner->folder))
		run_error("umount2", errno);
}

static void verify(void)
{
	for (size_t page = 0; page < pages; page++)
		oracle_verify(&segment_oracle, page, segment + page * PAGE, true);
	for (uint64_t i = 0; i < owners_count; i++) {
		for (unsigned int link = 0; link < LINKS; link++)
			read_link(&owners[i], link);
		for (unsigned int file = 0; file < HELD; file++)
			area_verify_all(&owners[i].files[file]);
		end(&owners[i]);
	}
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options,
		.steady = 1,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
