// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * knobs: the files by which user space reads and sets what memory management does, while swap devices come and go.
 *
 *   swappers   write pages, page them out and verify them: no setting may change any data.
 *   landlords  make and remove cgroups. In each a tenant, a process with swapped memory, is moved from child to child.
 *   setters    read the files of /sys/kernel/mm, /proc/sys/vm and zswap, in full and in pieces, and write to them: what was
 *              read, and texts that are made from it. All settings are put back at the end.
 *   keepers    do the same with the memory.* files of these cgroups.
 *   lookers    do the same with files of these tenants in /proc.
 *   series     do the same with the files that --file names: those that a series adds or changes. --word is a text to try;
 *              --interfaces is a file that lists both.
 *   checkers   write a number to a file that nobody else writes meanwhile, and read it back.
 *
 * lib/interface-rules.c says what is left out, lib/interface-use.c what is checked at each use.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "area.h"
#include "cgroup.h"
#include "interface.h"
#include "paging.h"
#include "run.h"
#include "textfile.h"

#define SLOTS 2
#define LEAVES 2
#define REMOVE_MS 60000
#define FIRST_SIZE 256
#define FOUND_MAX 64
#define SWAPPERS 3
#define SIZE(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t pages = 256, tenant_pages = 96;

static const struct number_option OPTIONS[] = { { "pages", &pages }, { "tenant-pages", &tenant_pages }, { NULL, NULL } };

/* Zeros over a page that zswap has would find a bug of Linux 6.19 (docs/found/zswap-zero.md), which has a workload of its own. */
enum { REGION_SWAPPER = REGION_NO_ZEROS | 1, REGION_TENANT = REGION_NO_ZEROS | 16 };

/* --- what a series brings --- */

static struct words given, hints;

static void take_file(const char *text)
{
	words_add(&given, text);
}

static void take_word(const char *text)
{
	words_add(&hints, text);
}

/* Lines "file NAME" and "word TEXT". */
static void take_list(const char *path)
{
	char line[WORD_SIZE + 8];
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "file ", 5))
			take_file(line + 5);
		else if (!strncmp(line, "word ", 5))
			take_word(line + 5);
	}
	if (file)
		fclose(file);
}

static const struct text_option TEXTS[] = {
	{ "file", take_file }, { "word", take_word }, { "interfaces", take_list }, { NULL, NULL },
};

/* --- files --- */

/* One of the whole system. */
struct knob {
	char path[PATH_SIZE];
	char first[FIRST_SIZE]; /* its setting before the load; "": none that could be put back */
	enum may may;
	_Atomic bool taken; /* by a setter that writes to it, or a checker that relies on it */
};

/* One that the series names; of a cgroup or of a process only the name. */
struct found {
	enum { OF_SYSTEM, OF_CGROUP, OF_PROCESS } of;
	char path[PATH_SIZE];
	struct interface_use *use;
};

struct slot {
	_Atomic uint32_t life;
	_Atomic int tenant; /* 0: none */
};

static struct knob *knobs;
static struct found *found;
static struct paths *memory_files; /* their names are the same in all cgroups but the root */
static unsigned int knobs_count, found_count;
static struct slot *slots;
static struct cgroup top, checked;
static struct area areas[SWAPPERS];
static counter_t *numbers_checked, *lives, *moves, *restored, *series_uses, *process_uses, *cgroup_uses, *swapped_out;

static struct cgroup slot_cgroup(unsigned int slot)
{
	char name[32];

	snprintf(name, sizeof(name), "%u-%u", slot, slots[slot].life);
	return cgroup_in(top.path, name);
}

static struct cgroup leaf_of(const struct cgroup *cgroup, unsigned int leaf)
{
	return cgroup_in(cgroup->path, leaf ? "b" : "a");
}

/* It may be gone at any moment. */
static struct cgroup any_cgroup(struct rng *rng)
{
	const unsigned int which = rng_below(rng, LEAVES + 1);
	const struct cgroup cgroup = slot_cgroup(rng_below(rng, SLOTS));

	return which < LEAVES ? leaf_of(&cgroup, which) : cgroup;
}

/* --- threads that use files --- */

static void setter(struct worker *worker)
{
	struct file_user *user = file_user_new(&worker->rng, &hints);

	while (!run_over() && knobs_count) {
		struct knob *knob = &knobs[rng_below(&user->rng, knobs_count)];

		if (!atomic_exchange(&knob->taken, true)) {
			file_use(user, knob->path, knob->may, NULL, NULL);
			knob->taken = false;
		}
		sleep_us(rng_below(&user->rng, 3000));
	}
}

/*
 * Written with O_NONBLOCK, as all files: a limit is set, and then enforced by who needs memory. Linux 7.1 would keep a writer who
 * enforces it for ever when another one raises it (docs/found/memory-max.md).
 */
static void use_in_cgroup(struct file_user *user, const char *name, struct words *accepted, struct interface_use *use)
{
	const struct cgroup cgroup = any_cgroup(&user->rng);
	char path[PATH_SIZE * 2];
	const char *why;

	snprintf(path, sizeof(path), "%s/%s", cgroup.path, name);
	file_use(user, path, interface_may(path, &why), accepted, use);
}

static void keeper(struct worker *worker)
{
	struct file_user *user = file_user_new(&worker->rng, &hints);

	while (!run_over() && memory_files->count) {
		use_in_cgroup(user, memory_files->of[rng_below(&user->rng, memory_files->count)], NULL, NULL);
		count(cgroup_uses, 1);
		sleep_us(rng_below(&user->rng, 3000));
	}
}

static bool use_in_process(struct file_user *user, const char *name, struct words *accepted, struct interface_use *use)
{
	const int tenant = slots[rng_below(&user->rng, SLOTS)].tenant;
	char path[PATH_SIZE * 2];
	const char *why;

	if (!tenant)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/%s", tenant, name);
	file_use(user, path, interface_may(path, &why), accepted, use);
	return true;
}

static void looker(struct worker *worker)
{
	static const char *const files[] = { "smaps",	"smaps_rollup", "numa_maps", "pagemap",	       "clear_refs", "clear_refs",
					     "maps",	"status",	"statm",     "coredump_filter", "oom_score" };
	struct file_user *user = file_user_new(&worker->rng, &hints);

	while (!run_over()) {
		if (use_in_process(user, files[rng_below(&user->rng, SIZE(files))], NULL, NULL))
			count(process_uses, 1);
		/* The load's own: only looked at. */
		if (rng_below(&user->rng, 8) == 0)
			file_use(user, rng_below(&user->rng, 2) ? "/proc/self/smaps" : "/proc/self/numa_maps", MAY_READ, NULL, NULL);
		sleep_us(rng_below(&user->rng, 3000));
	}
}

static void use_found(struct file_user *user, const struct found *one, struct words *accepted)
{
	const char *why;

	if (one->of == OF_CGROUP)
		use_in_cgroup(user, one->path, accepted, one->use);
	else if (one->of == OF_PROCESS)
		use_in_process(user, one->path, accepted, one->use);
	else
		file_use(user, one->path, interface_may(one->path, &why), accepted, one->use);
	count(series_uses, 1);
}

/* Each file keeps what it took: a syntax that nobody has told is found by accident once, and used from then on. */
static void series(struct worker *worker)
{
	struct file_user *user = file_user_new(&worker->rng, &hints);
	struct words *accepted = locked_memory((found_count + 1) * sizeof(*accepted));

	for (unsigned int i = 0; i < hints.count; i++)
		words_add_names(&user->names, hints.of[i]);
	while (!run_over() && found_count) {
		const unsigned int i = rng_below(&user->rng, found_count);

		use_found(user, &found[i], &accepted[i]);
		sleep_us(rng_below(&user->rng, 500));
	}
}

/* --- numbers that must be read as they were written --- */

struct number_file {
	const char *path;
	uint64_t least, most;
};

static const struct number_file NUMBER_FILES[] = {
	{ "/proc/sys/vm/swappiness", 0, 200 },
	{ "/proc/sys/vm/page-cluster", 0, 4 },
	{ "/proc/sys/vm/vfs_cache_pressure", 0, 1000 },
	{ "/proc/sys/vm/extfrag_threshold", 0, 1000 },
	{ "/proc/sys/vm/compaction_proactiveness", 0, 100 },
	{ "/proc/sys/vm/dirty_expire_centisecs", 100, 10000 },
	{ "/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs", 10, 100000 },
	{ "/sys/kernel/mm/transparent_hugepage/khugepaged/alloc_sleep_millisecs", 10, 100000 },
	{ "/sys/kernel/mm/transparent_hugepage/khugepaged/pages_to_scan", 1, 100000 },
	{ "/sys/module/zswap/parameters/max_pool_percent", 1, 50 },
	{ "/sys/module/zswap/parameters/accept_threshold_percent", 1, 100 },
};

static const char *const LIMITS[] = {
	"memory.min", "memory.low", "memory.high", "memory.max", "memory.swap.high", "memory.swap.max", "memory.zswap.max",
};

static struct knob *knob_of(const char *path)
{
	for (unsigned int i = 0; i < knobs_count; i++)
		if (!strcmp(knobs[i].path, path))
			return &knobs[i];
	return NULL;
}

static void check_read(const char *path, const char *seen, uint64_t wanted)
{
	char what[64];

	count(numbers_checked, 1);
	snprintf(what, sizeof(what), "%" PRIu64 " was written, %.20s is read", wanted, seen);
	if (strtoull(seen, NULL, 10) != wanted)
		run_error_named(path, what);
}

static void check_number(const struct number_file *file, struct rng *rng)
{
	const uint64_t wanted = rng_between(rng, file->least, file->most);
	struct knob *knob = knob_of(file->path);
	char text[24], seen[24];

	if (!knob || atomic_exchange(&knob->taken, true))
		return;
	snprintf(text, sizeof(text), "%" PRIu64 "%s", wanted, rng_below(rng, 2) ? "\n" : "");
	if (put_text(file->path, text)) {
		if (read_text(file->path, seen, sizeof(seen)) > 0)
			check_read(file->path, seen, wanted);
	}
	knob->taken = false;
}

/* Of a cgroup that nobody else knows. A limit may be rounded to a page. */
static void check_limit(const char *name, struct rng *rng)
{
	const uint64_t wanted = rng_below(rng, 8) ? rng_below(rng, 1u << 30) : CGROUP_MAX;
	uint64_t seen;

	if (!(wanted == CGROUP_MAX ? cgroup_put(&checked, name, "max") : cgroup_put_bytes(&checked, name, wanted)) ||
	    !cgroup_get(&checked, name, &seen))
		return;
	if (seen / PAGE != wanted / PAGE && seen / PAGE != wanted / PAGE + 1)
		run_error_named(name, "reads otherwise than it was written");
	count(numbers_checked, 1);
}

static void checker(struct worker *worker)
{
	while (!run_over()) {
		check_number(&NUMBER_FILES[rng_below(&worker->rng, SIZE(NUMBER_FILES))], &worker->rng);
		check_limit(LIMITS[rng_below(&worker->rng, SIZE(LIMITS))], &worker->rng);
		operations_add(1);
		sleep_us(rng_below(&worker->rng, 20000));
	}
}

/* --- cgroups and tenants --- */

struct tenant {
	unsigned int slot;
	struct region region; /* mapped by the landlord, and untouched there: each tenant begins with pages of its own */
	struct rng rng;
};

/* Its cgroup may have any limit. A system call that needs memory may fail then, so it makes none. */
static _Noreturn void tenant_main(struct tenant *self)
{
	const struct cgroup home = slot_cgroup(self->slot), first = leaf_of(&home, 0);
	struct region *region = &self->region;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!cgroup_enter(&first, 0))
		run_error("moving to another cgroup", errno);
	while (!run_over()) {
		for (size_t i = 0; i < region->pages && !run_over(); i++)
			if (!region->shadow[i] || rng_below(&self->rng, 4) == 0)
				region_write(region, i, self->slot);
			else
				region_verify(region, i, i % 8 == 0);
		page_out(region->base, region->pages * PAGE);
	}
	_exit(0);
}

/* A tenant may be killed at any time, and nothing else may happen to it. */
static void house(unsigned int slot, pid_t tenant, struct rng *rng)
{
	const unsigned int stays = rng_between(rng, 5, 40);
	const struct cgroup home = slot_cgroup(slot);
	int status = 0;

	slots[slot].tenant = tenant;
	for (unsigned int i = 0; i < stays && !run_over(); i++) {
		const struct cgroup leaf = leaf_of(&home, rng_below(rng, LEAVES));

		sleep_us(rng_between(rng, 5000, 40000));
		if (cgroup_enter(&leaf, tenant))
			count(moves, 1);
	}
	slots[slot].tenant = 0;
	kill(tenant, SIGKILL);
	if (waitpid(tenant, &status, 0) == tenant && WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		run_error_named("tenant", sigabbrev_np(WTERMSIG(status)));
}

static void remove_empty(const struct cgroup *cgroup)
{
	if (!cgroup_remove(cgroup, REMOVE_MS))
		run_error("rmdir of an empty cgroup", errno);
}

static void live(struct tenant *self)
{
	const struct cgroup home = slot_cgroup(self->slot);
	pid_t tenant;

	if (!cgroup_make(&home)) {
		run_error("mkdir of a cgroup", errno);
		return;
	}
	cgroup_put(&home, "cgroup.subtree_control", "+memory");
	for (unsigned int i = 0; i < LEAVES; i++) {
		const struct cgroup leaf = leaf_of(&home, i);

		cgroup_make(&leaf);
	}
	tenant = fork();
	if (!tenant)
		tenant_main(self);
	if (tenant < 0)
		run_error("fork", errno);
	else
		house(self->slot, tenant, &self->rng);
	for (unsigned int i = 0; i < LEAVES; i++) {
		const struct cgroup leaf = leaf_of(&home, i);

		remove_empty(&leaf);
	}
	remove_empty(&home);
	count(lives, 1);
}

static void landlord(void *argument)
{
	struct tenant tenant = { .slot = *(unsigned int *)argument };

	tenant.rng = rng_stream(run_seed(), 500 + tenant.slot);
	tenant.region = region_over(private_memory(tenant_pages * PAGE), REGION_TENANT + tenant.slot, tenant_pages);
	while (!run_over()) {
		/* The pages of the last one are gone; it may have been killed while it wrote. */
		memset((void *)tenant.region.shadow, 0, tenant_pages * sizeof(*tenant.region.shadow));
		slots[tenant.slot].life++;
		live(&tenant);
	}
}

/* --- the swap load --- */

static void swapper(struct worker *worker)
{
	struct area *area = &areas[worker->index];
	size_t out = 0;

	while (!run_over()) {
		for (unsigned int i = 0; i < 32; i++)
			area_write(area, rng_below(&worker->rng, area->pages), worker->index);
		page_out(area->base, area->length);
		/* On a device, or in zswap: whether there is one is a setting, too. */
		for (size_t page = 0; page < area->pages; page++)
			out += !!(pagemap_word(area_page(area, page)) & PAGEMAP_SWAPPED);
		count(swapped_out, out);
		out = 0;
		reclaim(area->length / 4);
		for (size_t page = 0; page < area->pages && !run_over(); page++)
			area_verify(area, page, page % 8 == 0);
	}
}

/* --- before and after --- */

static void find_knobs(void)
{
	static const char *const roots[] = { "/sys/kernel/mm", "/proc/sys/vm", "/sys/module/zswap/parameters" };
	struct paths *paths = locked_memory(sizeof(*paths));
	char text[FIRST_SIZE];
	const char *why;

	for (size_t i = 0; i < SIZE(roots); i++)
		paths_find(paths, roots[i], "", PATHS_MAX);
	knobs = locked_memory((paths->count + 1) * sizeof(*knobs));
	for (unsigned int i = 0; i < paths->count; i++) {
		struct knob *knob = &knobs[knobs_count];
		ssize_t size;

		knob->may = interface_may(paths->of[i], &why);
		if (knob->may == MAY_NOTHING)
			continue;
		strcpy(knob->path, paths->of[i]);
		size = read_text(knob->path, text, sizeof(text));
		if (size > 0 && size < (ssize_t)sizeof(text) - 1)
			value_chosen(knob->first, sizeof(knob->first), text);
		knobs_count++;
	}
}

/* What was made for one cgroup or process is there for all of them. */
static void add_found(const char *name, const char *path)
{
	const char *why, *slash = strrchr(path, '/');
	struct found *one = &found[found_count];
	const enum may may = interface_may(path, &why);

	one->of = !strncmp(path, checked.path, strlen(checked.path)) ? OF_CGROUP : OF_SYSTEM;
	if (!strncmp(path, "/proc/", 6) && path[6] >= '0' && path[6] <= '9')
		one->of = OF_PROCESS;
	strcpy(one->path, one->of == OF_SYSTEM ? path : slash + 1);
	one->use = interface_given(name, one->path, why);
	found_count += may != MAY_NOTHING && one->use && found_count + 1 < FOUND_MAX;
}

static void find_given(void)
{
	struct paths *paths = locked_memory(sizeof(*paths));

	found = locked_memory(FOUND_MAX * sizeof(*found));
	for (unsigned int i = 0; i < given.count; i++) {
		paths->count = 0;
		interface_find(paths, given.of[i], checked.path, getpid());
		for (unsigned int j = 0; j < paths->count; j++)
			add_found(given.of[i], paths->of[j]);
		if (!paths->count)
			interface_given(given.of[i], "", "");
	}
}

static void find_memory_files(void)
{
	struct paths *all = locked_memory(sizeof(*all));

	memory_files = locked_memory(sizeof(*memory_files));
	paths_find(all, checked.path, "", PATHS_MAX);
	for (unsigned int i = 0; i < all->count; i++) {
		const char *name = strrchr(all->of[i], '/') + 1;

		if (!strncmp(name, "memory.", 7))
			paths_add(memory_files, name);
	}
}

static void make_tree(void)
{
	top = cgroup_in(CGROUP_ROOT, "knobs");
	checked = cgroup_in(top.path, "checked");
	if (!cgroup_make(&top) || (!cgroups_are_v1() && !cgroup_put(&top, "cgroup.subtree_control", "+memory")) ||
	    !cgroup_make(&checked))
		run_fail("mkdir of a cgroup");
}

static void setup(void)
{
	numbers_checked = counter("numbers_checked");
	lives = counter("lives");
	moves = counter("moves");
	restored = counter("restored");
	swapped_out = counter("swapped_out");
	series_uses = counter("series_uses");
	process_uses = counter("process_uses");
	cgroup_uses = counter("cgroup_uses");
	slots = locked_memory(SLOTS * sizeof(*slots));
	make_tree();
	find_knobs();
	find_given();
	find_memory_files();
	for (unsigned int i = 0; i < SWAPPERS; i++) {
		area_new(&areas[i], i ? AREA_SMALL : AREA_FILE, REGION_SWAPPER + i, pages, -1);
		/* Pages that landlords and tenants have, too, would not be paged out. */
		if (madvise(areas[i].base, areas[i].length, MADV_DONTFORK))
			run_error("MADV_DONTFORK", errno);
		for (size_t page = 0; page < pages; page++)
			area_write(&areas[i], page, i);
	}
}

/* What depends on another setting (dirty_bytes and dirty_ratio) is right after the second time. */
static void restore_all(void)
{
	for (unsigned int i = 0; i < 2 * knobs_count; i++) {
		const struct knob *knob = &knobs[i % knobs_count];

		if (knob->may == MAY_ALL && knob->first[0] && put_text(knob->path, knob->first))
			count(restored, 1);
	}
}

static void load(void)
{
	static struct threads threads;
	static struct children landlords;

	children_start(&landlords, SLOTS, landlord);
	threads_add(&threads, SWAPPERS, swapper, NULL);
	threads_add(&threads, found_count ? 1 : 2, setter, NULL);
	threads_add(&threads, 1, keeper, NULL);
	threads_add(&threads, 1, looker, NULL);
	threads_add(&threads, 1, checker, NULL);
	threads_add(&threads, found_count ? 2 : 0, series, NULL);
	threads_join(&threads);
	children_join(&landlords);
	restore_all();
}

static void verify(void)
{
	for (unsigned int i = 0; i < SWAPPERS; i++)
		area_verify_all(&areas[i]);
	remove_empty(&checked);
	remove_empty(&top);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = OPTIONS, .texts = TEXTS, .setup = setup, .load = load, .verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
