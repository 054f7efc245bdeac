// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pressure: memory is short in the whole guest, and kswapd decides what is swapped out, against swapoff.
 *
 *   readers   read a large file of ext2 at random: more than fits into memory, all holes, so that it costs no time of a disk, and
 *             each part twice, so that the kernel takes it for in use;
 *   owners    each has an area of each kind (area.h). They change and verify pages, but swap nothing out by themselves;
 *   a switcher turns the multi-gen LRU and zswap on and off, and changes the swappiness.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "area.h"
#include "deeds.h"
#include "paging.h"
#include "run.h"
#include "share.h"
#include "textfile.h"

#define OWNERS_MAX 8
#define PIECE (128u << 10)
#define LRU_GEN "/sys/kernel/mm/lru_gen/enabled"
#define SWAPPINESS "/proc/sys/vm/swappiness"
#define ZSWAP "/sys/module/zswap/parameters/"
#define KINDS (AREA_FILE_LARGE + 1)

static uint64_t owners_count = 3;
static uint64_t pages = 128;
static uint64_t readers = 2;
static uint64_t percent = 110; /* of free memory: size of the file */

static const struct number_option options[] = {
	{ "owners", &owners_count },
	{ "pages", &pages },
	{ "readers", &readers },
	{ "percent", &percent },
	{ 0 },
};

static struct area areas[OWNERS_MAX][KINDS];
static int file = -1;
static uint64_t pieces;
static counter_t *pieces_read, *switches;

/* Those of deeds.h that neither swap out nor need another area, and leave the addresses as they are. */
static const char *const deed_names[] = {
	"write", "look", "willneed", "drop", "free", "unmap", "protect", "lock", "mincore", "populate",
};

static void do_step(struct area *own, struct rng rng)
{
	struct step step = { .rng = rng };
	const struct deed *deed = deed_choose_of(&step.rng, deed_names, sizeof(deed_names) / sizeof(deed_names[0]));

	step.area = &own[rng_below(&step.rng, KINDS)];
	if (!area_is(step.area, deed->kinds) || !step.area->pages)
		return;
	step_choose_pages(&step, pages);
	area_note(step.area, deed->name, step.first, step.count);
	deed->body(&step);
	operations_add(1);
}

/* What is used all the time stays in memory: there are pauses. */
static void own(struct worker *worker)
{
	while (!run_over()) {
		do_step(areas[worker->index], rng_stream(rng_next(&worker->rng), 0));
		sleep_us(rng_below(&worker->rng, 2000));
	}
}

static void reader(struct worker *worker)
{
	char *const piece = locked_memory(PIECE);

	while (!run_over()) {
		const off_t at = (off_t)rng_below(&worker->rng, pieces) * PIECE;

		for (int i = 0; i < 2; i++)
			if (pread(file, piece, PIECE, at) != PIECE)
				run_error("pread", errno);
		count(pieces_read, 1);
	}
}

struct setting {
	const char *path, *value;
};

static const struct setting settings[] = {
	{ LRU_GEN, "y" }, { LRU_GEN, "n" }, { SWAPPINESS, "200" }, { SWAPPINESS, "100" },
	{ ZSWAP "enabled", "Y" }, { ZSWAP "enabled", "N" }, { ZSWAP "shrinker_enabled", "Y" }, { ZSWAP "shrinker_enabled", "N" },
};

static void switcher(struct worker *worker)
{
	while (!run_over()) {
		const struct setting *setting = &settings[rng_below(&worker->rng, sizeof(settings) / sizeof(settings[0]))];

		sleep_us(rng_between(&worker->rng, 100000, 400000));
		if (access(setting->path, W_OK))
			continue;
		run_set(setting->path, setting->value);
		count(switches, 1);
	}
	if (!access(ZSWAP "enabled", W_OK))
		run_set(ZSWAP "enabled", "N");
}

static void make_file(void)
{
	struct sysinfo memory;
	char path[120];

	snprintf(path, sizeof(path), "%s/pressure", disk_folder());
	file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (file < 0)
		run_fail("a file beside the swap file");
	unlink(path);
	if (sysinfo(&memory))
		run_fail("sysinfo");
	pieces = memory.freeram * (uint64_t)memory.mem_unit / 100 * percent / PIECE;
	if (!pieces || ftruncate(file, (off_t)(pieces * PIECE)))
		run_fail("ftruncate");
}

static void prepare(void)
{
	area_allow_large_folios();
	run_set(SWAPPINESS, "200");
}

static void setup(void)
{
	pieces_read = counter("pieces_read");
	switches = counter("switches");
	if (owners_count > OWNERS_MAX || !owners_count || !pages)
		run_fail("--owners and --pages");
	for (uint64_t i = 0; i < owners_count; i++)
		for (unsigned int kind = 0; kind < KINDS; kind++) {
			if (kind == AREA_HUGE)
				continue;
			area_new(&areas[i][kind], kind, 1 + i * KINDS + kind, pages, -1);
			for (size_t page = 0; page < pages; page++)
				area_write(&areas[i][kind], page, 0);
		}
	make_file();
}

static void load(void)
{
	static struct threads threads;

	threads_add(&threads, owners_count, own, NULL);
	threads_add(&threads, readers, reader, NULL);
	threads_add(&threads, 1, switcher, NULL);
	threads_join(&threads);
	/* Its pages go with it. */
	close(file);
}

static void verify(void)
{
	for (uint64_t i = 0; i < owners_count; i++)
		for (unsigned int kind = 0; kind < KINDS; kind++)
			area_verify_all(&areas[i][kind]);
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
