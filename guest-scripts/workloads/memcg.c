// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memcg: a tree of cgroups whose members come and go while swap devices do.
 *
 *   landlords  make a cgroup with children, put a tenant there, move it, and remove the cgroups while pages of the files that the
 *              tenant wrote are charged to them still, some of them swapped out. Then they verify these pages.
 *   tenants    are processes: anonymous memory, huge pages that they cut into pieces, a shared memory file, a file of ext2, pipes,
 *              sockets, dentries and inodes. One in four has a limit that it exceeds, and is killed.
 *   evictors   reclaim from cgroups, of those that are being removed first.
 *   settings   are written to the cgroups of the tenants, and lifted a moment later; in one part of the tree the controller itself is
 *              switched off and on.
 *   readers    read all statistics, and write back what the files of one cgroup say.
 *   droppers   drop caches, and switch zswap and the multi-gen LRU.
 *
 * v2 and v1 of the memory controller have files of other names and the same tree.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "dying-cgroups.h"
#include "kernel-memory.h"
#include "paging.h"
#include "record.h"
#include "run.h"
#include "share.h"
#include "textfile.h"

#define SLOTS 3
#define LEAVES 2
#define REMOVE_MS 60000
#define GONE_MS 20000
#define DYING_MS 6000
/*
 * Removed cgroups that a correct kernel may have for as long as nobody uses it: one or two were seen (docs/found/correct-kernels.md). Where
 * there are more, it is given more time.
 */
#define DYING_MOST 5
#define LEAKED_MS 30000
#define PRESS_WAITS 100

static uint64_t share_pages = 96, anon_pages = 128, hog_pages = 1024, file_pages = 64, rounds = 8;

static const struct number_option OPTIONS[] = {
	{ "share-pages", &share_pages }, { "anon-pages", &anon_pages }, { "hog-pages", &hog_pages },
	{ "file-pages", &file_pages },	 { "rounds", &rounds },		{ NULL, NULL },
};

/* Zeros over a page that zswap has would find a bug of Linux 6.19: zswap-zero is the workload for it. */
enum { REGION_SHARE = REGION_NO_ZEROS | 1, REGION_FILE, REGION_ANON, REGION_HUGE };
/* The memory controller of the children of the second one is switched off and on; their swap has a limit in the first one. */
enum arm { ARM_STEADY, ARM_SWITCHED, ARMS };

/* A place for a tenant, and who is there. What its cgroup is called follows from it, so that all can find it. */
struct slot {
	_Atomic uint32_t life; /* which of its cgroups it is; 0: none */
	_Atomic int tenant;
	_Atomic bool leaving;
	_Atomic bool pressed; /* somebody has begun to reclaim from it */
	_Atomic bool limiting; /* somebody writes to memory.max of one of its cgroups */
};

struct setting {
	const char *file;
	const char *lenient;
	bool is_switch;
};

static const struct setting V2[] = {
	{ "memory.high", "max", false },      { "memory.max", "max", false },	    { "memory.low", "0", false },
	{ "memory.min", "0", false },	      { "memory.swap.max", "max", false },  { "memory.swap.high", "max", false },
	{ "memory.zswap.max", "max", false }, { "memory.zswap.writeback", "1", true }, { "memory.oom.group", "0", true },
};

static const struct setting V1[] = {
	{ "memory.limit_in_bytes", "-1", false }, { "memory.soft_limit_in_bytes", "-1", false },
	{ "memory.memsw.limit_in_bytes", "-1", false }, { "memory.kmem.tcp.limit_in_bytes", "-1", false },
	{ "memory.oom_control", "0", true },	 { "memory.swappiness", "60", false },
	{ "memory.max_usage_in_bytes", "0", true }, { "memory.failcnt", "0", true },
};

static bool v1;
static struct slot *slots;
static struct cgroup top, arms[ARMS];
static struct share shared_file, disk_file;
static char names_folder[100];
static _Atomic uint64_t *killed;
static counter_t *lives, *removed, *left_charged, *verified_after, *dying_reclaims, *moves, *settings_written, *files_read;
static counter_t *switched, *huge_cut, *kernel_objects, *killed_tenants, *drops;

static const char *usage_file(void)
{
	return v1 ? "memory.usage_in_bytes" : "memory.current";
}

static struct cgroup slot_cgroup(unsigned int slot, uint32_t life)
{
	char name[32];

	snprintf(name, sizeof(name), "%u-%u", slot, life);
	return cgroup_in(arms[life % ARMS].path, name);
}

static struct cgroup leaf_of(const struct cgroup *cgroup, unsigned int leaf)
{
	return cgroup_in(cgroup->path, leaf ? "b" : "a");
}

/* Of a slot, or of one of its leaves; it may be gone at any moment. */
static struct cgroup any_cgroup(struct rng *rng, unsigned int slot)
{
	const struct cgroup cgroup = slot_cgroup(slot, slots[slot].life);
	const unsigned int which = rng_below(rng, LEAVES + 1);

	return which == LEAVES ? cgroup : leaf_of(&cgroup, which);
}

/*
 * One writer at a time has memory.max of a slot. If another one raised the limit meanwhile, Linux 7.1 would keep the first one for
 * ever, and with it who removes the cgroup (docs/found/memory-max.md): memory-max is the workload for it.
 */
static bool put_limit(unsigned int slot, const struct cgroup *cgroup, const char *file, const char *text)
{
	const bool alone = !strcmp(file, "memory.max");
	bool put;

	while (alone && atomic_exchange(&slots[slot].limiting, true))
		sleep_us(200);
	put = cgroup_put(cgroup, file, text);
	if (alone)
		slots[slot].limiting = false;
	return put;
}

static void reclaim_from(const struct cgroup *cgroup, uint64_t bytes, struct rng *rng)
{
	static const char *const how[] = { "", "", " swappiness=0", " swappiness=200", " swappiness=max" };
	char text[64];

	if (v1) {
		cgroup_put(cgroup, "memory.force_empty", "0");
		return;
	}
	snprintf(text, sizeof(text), "%" PRIu64 "%s", bytes, how[rng_below(rng, 5)]);
	/* EAGAIN: less than that could be had; EINVAL: an older kernel, without that word. */
	cgroup_put(cgroup, "memory.reclaim", text);
}

/* --- what a tenant does; at any moment it may be killed, where it holds nothing but its own share --- */

struct tenant {
	unsigned int slot;
	struct cgroup home;
	struct region anon, huge;
	uint8_t *hoard; /* what a hog fills */
	bool cuts_huge, is_hog;
	struct rng rng;
};

static void use_anonymous(struct tenant *self)
{
	struct region *anon = &self->anon;

	for (size_t i = 0; i < anon->pages && !run_over(); i++)
		if (!anon->shadow[i] || rng_below(&self->rng, 4) == 0)
			region_write(anon, i, self->slot);
		else
			region_verify(anon, i, i % 8 == 0);
	page_out(anon->base, anon->pages * PAGE);
	reclaim_from(&self->home, anon->pages * PAGE, &self->rng);
}

/* New pages in the place of old ones: they are charged to the tenant's cgroup, and stay when it goes. */
static void write_shared(struct tenant *self)
{
	share_rewrite_mapped(&shared_file, self->slot, &self->rng);
	for (unsigned int i = 0; i < 16; i++)
		share_verify(&shared_file, rng_below(&self->rng, shared_file.region.pages), i == 0);
}

static void use_disk(struct tenant *self)
{
	share_rewrite_disk(&disk_file, self->slot, &self->rng);
	for (unsigned int i = 0; disk_file.fd >= 0 && i < 16 && !run_over(); i++)
		share_verify(&disk_file, rng_below(&self->rng, disk_file.region.pages), i == 0);
}

/* Huge pages, every second page of them given back: what is left is split when memory is short. */
static void cut_huge(struct tenant *self)
{
	struct region *huge = &self->huge;

	if (!self->cuts_huge)
		return;
	region_fill(huge);
	for (size_t i = 1; i < huge->pages; i += 2) {
		region_begin(huge, i);
		if (madvise(region_page(huge, i), PAGE, MADV_DONTNEED))
			run_error("MADV_DONTNEED", errno);
		region_end(huge, i);
	}
	count(huge_cut, 1);
	if (rng_below(&self->rng, 2))
		page_out(huge->base, huge->pages * PAGE);
	reclaim_from(&self->home, huge->pages * PAGE, &self->rng);
	for (size_t i = 0; i < huge->pages && !run_over(); i++) {
		const struct identity identity = region_identity(huge, i);

		if (i % 2 == 0)
			region_verify(huge, i, false);
		else if (i % 8 == 1 && zero_check(region_page(huge, i)) != KIND_OK)
			record_complain(KIND_NONZERO, region_page(huge, i), &identity, true);
	}
	madvise(huge->base, huge->pages * PAGE, MADV_DONTNEED);
}

static void use_kernel(struct tenant *self)
{
	count(kernel_objects, kernel_memory_use(names_folder, self->slot, slots[self->slot].life, &self->rng));
}

static void hog(struct tenant *self)
{
	uint8_t *const memory = self->hoard;

	for (size_t i = 0; i < 2 * hog_pages && !run_over(); i++) {
		*(uint64_t *)(memory + i % hog_pages * PAGE) = i + self->slot + 1;
		operations_add(1);
	}
	madvise(memory, hog_pages * PAGE, MADV_DONTNEED);
}

static void move_house(struct tenant *self)
{
	const struct cgroup next = leaf_of(&self->home, rng_below(&self->rng, LEAVES));

	if (cgroup_enter(&next, 0))
		count(moves, 1);
}

static void tenant_main(void *argument)
{
	struct tenant *const self = argument;
	static void (*const uses[])(struct tenant *) = {
		use_anonymous, write_shared, use_disk, use_kernel, cut_huge, move_house, write_shared, use_anonymous,
	};
	const struct cgroup first = leaf_of(&self->home, 0);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!cgroup_enter(&first, 0))
		run_error("moving to another cgroup", errno);
	if (self->is_hog) {
		/* A second one of the group. */
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			hog(self);
			_exit(0);
		}
		hog(self);
		wait(NULL);
	}
	for (uint64_t i = 0; i < rounds && !run_over(); i++)
		uses[(i + self->slot + rng_below(&self->rng, 2)) % (sizeof(uses) / sizeof(uses[0]))](self);
}

/* --- the landlord, a process without threads --- */

static void expect_number(const struct cgroup *cgroup, const char *file, uint64_t expected)
{
	uint64_t seen;

	if (cgroup_get(cgroup, file, &seen) && seen != expected)
		run_error_named(file, "not what a new cgroup has");
}

/* Nobody was in it yet, and nobody knows of it. */
static void check_new(const struct cgroup *cgroup, struct rng *rng)
{
	const uint64_t bytes = rng_between(rng, 1, 4096) * PAGE;
	uint64_t seen;

	expect_number(cgroup, usage_file(), 0);
	expect_number(cgroup, "memory.swap.current", 0);
	expect_number(cgroup, "memory.zswap.current", 0);
	expect_number(cgroup, "memory.max", CGROUP_MAX);
	expect_number(cgroup, "memory.high", CGROUP_MAX);
	expect_number(cgroup, "memory.swap.max", CGROUP_MAX);
	expect_number(cgroup, "memory.low", 0);
	expect_number(cgroup, "memory.min", 0);
	if (!v1 && cgroup_put_bytes(cgroup, "memory.high", bytes) && cgroup_get(cgroup, "memory.high", &seen)) {
		if (seen != bytes)
			run_error_named("memory.high", "reads otherwise than it was written");
		cgroup_put(cgroup, "memory.high", "max");
	}
}

static void limit_hog(const struct cgroup *cgroup, struct rng *rng)
{
	const uint64_t bytes = hog_pages * PAGE / rng_between(rng, 4, 8);

	cgroup_put_bytes(cgroup, v1 ? "memory.limit_in_bytes" : "memory.max", bytes);
	cgroup_put_bytes(cgroup, "memory.swap.max", rng_below(rng, 2) ? 0 : bytes / 4);
	cgroup_put_bytes(cgroup, "memory.memsw.limit_in_bytes", bytes + bytes / 4);
	cgroup_put(cgroup, "memory.oom.group", rng_below(rng, 2) ? "1" : "0");
}

static void await_tenant(unsigned int slot, struct rng *rng)
{
	const struct cgroup home = slot_cgroup(slot, slots[slot].life);
	const pid_t tenant = slots[slot].tenant;
	int status = 0;

	while (waitpid(tenant, &status, WNOHANG) != tenant) {
		const struct cgroup leaf = leaf_of(&home, rng_below(rng, LEAVES));

		if (rng_below(rng, 16) == 0 && cgroup_enter(&leaf, tenant))
			count(moves, 1);
		sleep_us(2000);
	}
	if (cgroup_note_end(&top, killed, status, "tenant"))
		count(killed_tenants, 1);
}

static void remove_empty(const struct cgroup *cgroup)
{
	if (cgroup_remove(cgroup, REMOVE_MS))
		count(removed, 1);
	else
		run_error("rmdir of an empty cgroup", errno);
}

static void verify_share(unsigned int slot)
{
	const size_t first = share_first(&shared_file, slot);

	for (size_t i = first; i < first + share_count(&shared_file); i++)
		if (share_verify(&shared_file, i, true) == LOOK_GOOD)
			count(verified_after, 1);
}

static void evict(const struct cgroup *home, unsigned int slot, struct rng *rng, int events[3])
{
	uint64_t usage = 0;

	slots[slot].pressed = false;
	slots[slot].leaving = true;
	for (unsigned int i = 0; i < PRESS_WAITS && !slots[slot].pressed; i++)
		sleep_us(1000);
	sleep_us(rng_below(rng, 2000));
	if (cgroup_get(home, usage_file(), &usage) && usage)
		count(left_charged, 1);
	for (unsigned int i = 0; i < LEAVES; i++) {
		const struct cgroup leaf = leaf_of(home, i);

		remove_empty(&leaf);
	}
	remove_empty(home);
	slots[slot].leaving = false;
	for (unsigned int i = 0; v1 && i < 3; i++)
		close(events[i]);
}

/* One life of a slot, from mkdir to rmdir. */
static void live(struct tenant *tenant, uint32_t life)
{
	const unsigned int slot = tenant->slot;
	int events[3];

	tenant->home = slot_cgroup(slot, life);
	tenant->is_hog = life % 4 == 3;
	if (!cgroup_make(&tenant->home)) {
		run_error("mkdir of a cgroup", errno);
		return;
	}
	if (life % ARMS == ARM_STEADY) {
		check_new(&tenant->home, &tenant->rng);
		/* In the switched arm the leaves have no controller of their own. */
		cgroup_put(&tenant->home, "cgroup.subtree_control", "+memory");
	}
	for (unsigned int i = 0; i < LEAVES; i++) {
		const struct cgroup leaf = leaf_of(&tenant->home, i);

		cgroup_make(&leaf);
	}
	if (v1) {
		events[0] = cgroup_listen(&tenant->home, "memory.usage_in_bytes", "65536");
		events[1] = cgroup_listen(&tenant->home, "memory.oom_control", "");
		events[2] = cgroup_listen(&tenant->home, "memory.pressure_level", "low,hierarchy");
	}
	if (tenant->is_hog)
		limit_hog(&tenant->home, &tenant->rng);
	slots[slot].life = life;
	slots[slot].tenant = child_start(tenant_main, tenant);
	await_tenant(slot, &tenant->rng);
	/* What it was writing when it was killed. */
	share_finish(&shared_file, slot);
	share_finish(&disk_file, slot);
	evict(&tenant->home, slot, &tenant->rng, events);
	verify_share(slot);
	count(lives, 1);
}

static void landlord(void *argument)
{
	struct tenant tenant = { .slot = *(unsigned int *)argument };

	tenant.rng = rng_stream(run_seed(), 500 + tenant.slot);
	/* Untouched here, so that each tenant begins with pages of its own; tables are charged to nobody in the tree. */
	tenant.anon = region_over(private_memory(anon_pages * PAGE), REGION_ANON, anon_pages);
	/* Mapped here: to a tenant at its limit mmap() may say ENOMEM, as a VMA is charged, too. */
	tenant.hoard = private_memory(hog_pages * PAGE);
	/* With pages of 64 KiB a huge one has 512 MiB. */
	tenant.cuts_huge = HUGE_ALIGN <= 4u << 20;
	if (tenant.cuts_huge) {
		tenant.huge = region_over(private_memory(HUGE_ALIGN), REGION_HUGE, HUGE_ALIGN / PAGE);
		madvise(tenant.huge.base, HUGE_ALIGN, MADV_HUGEPAGE);
	}
	for (uint32_t life = 1 + tenant.slot; !run_over(); life++) {
		/* The last one may have been killed while it wrote; its pages are gone. */
		memset((void *)tenant.anon.shadow, 0, anon_pages * sizeof(*tenant.anon.shadow));
		if (tenant.cuts_huge)
			memset((void *)tenant.huge.shadow, 0, tenant.huge.pages * sizeof(*tenant.huge.shadow));
		live(&tenant, life);
	}
}

/* --- who works on the tree meanwhile: threads --- */

static void press(unsigned int slot, const struct cgroup *cgroup, struct rng *rng)
{
	const char *const limits[] = { v1 ? "memory.limit_in_bytes" : "memory.high", v1 ? "memory.soft_limit_in_bytes" : "memory.max" };

	if (rng_below(rng, 2))
		reclaim_from(cgroup, (share_pages + anon_pages) * PAGE, rng);
	else
		/* The second one calls the OOM killer, who has much to say each time. */
		put_limit(slot, cgroup, limits[rng_below(rng, 8) == 0], "0");
}

/* A slot that is being left, or any. */
static unsigned int slot_to_press(struct rng *rng)
{
	const unsigned int first = rng_below(rng, SLOTS);

	for (unsigned int i = 0; i < SLOTS; i++)
		if (slots[(first + i) % SLOTS].leaving)
			return (first + i) % SLOTS;
	return first;
}

static void evictor(struct worker *worker)
{
	while (!run_over()) {
		const unsigned int slot = slot_to_press(&worker->rng);
		const struct cgroup cgroup = any_cgroup(&worker->rng, slot);

		if (slots[slot].leaving) {
			slots[slot].pressed = true;
			press(slot, &cgroup, &worker->rng);
			count(dying_reclaims, 1);
		} else if (rng_below(&worker->rng, 8) == 0) {
			reclaim_from(rng_below(&worker->rng, 2) ? &top : &cgroup, 32 * PAGE, &worker->rng);
			/* Clean pages of the swap cache that are charged outside of the tree. */
			reclaim(16 * PAGE);
		}
		sleep_us(rng_below(&worker->rng, 1500));
	}
}

static void write_setting(const struct setting *setting, unsigned int slot, const struct cgroup *cgroup, struct rng *rng)
{
	uint64_t usage = 0, bytes;
	char text[24];

	cgroup_get(cgroup, usage_file(), &usage);
	bytes = rng_below(rng, 3) ? usage * rng_between(rng, 1, 6) / 4 : rng_below(rng, 8) * PAGE;
	/* Who is far above this one sleeps for seconds. */
	if (strstr(setting->file, "high"))
		bytes = usage * rng_between(rng, 90, 150) / 100;
	snprintf(text, sizeof(text), "%" PRIu64, setting->is_switch ? rng_below(rng, 2) : bytes);
	if (put_limit(slot, cgroup, setting->file, text))
		count(settings_written, 1);
	sleep_us(rng_below(rng, 4000));
	put_limit(slot, cgroup, setting->file, setting->lenient);
}

static void set_and_lift(struct worker *worker)
{
	const size_t known = v1 ? sizeof(V1) / sizeof(V1[0]) : sizeof(V2) / sizeof(V2[0]);

	while (!run_over()) {
		const unsigned int slot = rng_below(&worker->rng, SLOTS);
		const struct cgroup cgroup = any_cgroup(&worker->rng, slot);

		write_setting(&(v1 ? V1 : V2)[rng_below(&worker->rng, known)], slot, &cgroup, &worker->rng);
		operations_add(1);
		sleep_us(rng_below(&worker->rng, 6000));
	}
}

/* With a controller that needs it (io) the memory controller is hidden and reset; without one it goes, and comes back as a new one. */
static void switch_controllers(struct worker *worker)
{
	const struct cgroup *arm = &arms[ARM_SWITCHED];
	const bool has_io = cgroup_has(arm, "io");

	while (!run_over() && !v1) {
		sleep_us(rng_between(&worker->rng, 20000, 120000));
		if (has_io)
			cgroup_put(arm, "cgroup.subtree_control", rng_below(&worker->rng, 2) ? "+io" : "-io");
		if (cgroup_put(arm, "cgroup.subtree_control", "-memory"))
			count(switched, 1);
		sleep_us(rng_below(&worker->rng, 20000));
		cgroup_put(arm, "cgroup.subtree_control", "+memory");
	}
}

/* A charge that will be refused is counted for a moment. */
static void check_swap_limit(void)
{
	uint64_t most, used;

	for (unsigned int looks = 0; looks < 50; looks++) {
		if (!cgroup_get(&arms[ARM_STEADY], "memory.swap.max", &most) ||
		    !cgroup_get(&arms[ARM_STEADY], "memory.swap.current", &used) || used <= most)
			return;
		sleep_us(10000);
	}
	run_error_named("memory.swap.current", "above memory.swap.max");
}

static void read_statistics(struct worker *worker)
{
	const struct cgroup root = { CGROUP_ROOT };
	char text[4096];

	while (!run_over()) {
		const struct cgroup cgroup = any_cgroup(&worker->rng, rng_below(&worker->rng, SLOTS));

		count(files_read, cgroup_read_all(&cgroup, false));
		count(files_read, cgroup_read_all(&root, false));
		count(files_read, cgroup_read_all(&top, false));
		count(files_read, cgroup_read_all(&arms[ARM_SWITCHED], true));
		cgroup_reset_peak(&cgroup, "memory.peak");
		cgroup_reset_peak(&top, "memory.swap.peak");
		check_swap_limit();
		read_text("/sys/kernel/debug/lru_gen", text, sizeof(text));
		read_text("/proc/zoneinfo", text, sizeof(text));
		operations_add(1);
		sleep_us(rng_below(&worker->rng, 20000));
	}
}

static void drop_caches(struct worker *worker)
{
	static const char *const what[] = { "1", "2", "2", "3" };

	for (unsigned int i = 0; !run_over(); i++) {
		sleep_us(rng_between(&worker->rng, 10000, 80000));
		put_text("/proc/sys/vm/drop_caches", what[rng_below(&worker->rng, 4)]);
		if (i % 8 == 7)
			put_text("/sys/module/zswap/parameters/enabled", i / 8 % 2 ? "Y" : "N");
		/* Until the next round it is full: it writes back, from one cgroup after another, also from those that are being removed. */
		put_text("/sys/module/zswap/parameters/max_pool_percent", i % 8 == 3 ? "0" : "20");
		if (i % 16 == 15)
			put_text("/sys/kernel/mm/lru_gen/enabled", i / 16 % 2 ? "y" : "n");
		count(drops, 1);
	}
	put_text("/sys/module/zswap/parameters/max_pool_percent", "20");
}

/* --- the frame --- */

static void make_tree(void)
{
	static const char *const names[ARMS] = { "steady", "switched" };
	const struct cgroup root = { CGROUP_ROOT };

	top = cgroup_in(CGROUP_ROOT, "memcg");
	if (!v1)
		cgroup_put(&root, "cgroup.subtree_control", "+io");
	if (!cgroup_make(&top))
		run_fail("mkdir of a cgroup");
	if (!v1 && !cgroup_put(&top, "cgroup.subtree_control", "+memory"))
		run_fail("cgroup.subtree_control");
	cgroup_put(&top, "cgroup.subtree_control", "+io");
	for (unsigned int i = 0; i < ARMS; i++) {
		arms[i] = cgroup_in(top.path, names[i]);
		if (!cgroup_make(&arms[i]) || (!v1 && !cgroup_put(&arms[i], "cgroup.subtree_control", "+memory")))
			run_fail("mkdir of a cgroup");
	}
	cgroup_put_bytes(&arms[ARM_STEADY], "memory.swap.max", share_pages * PAGE);
}

static void setup(void)
{
	v1 = cgroups_are_v1();
	lives = counter("lives");
	removed = counter("removed_cgroups");
	left_charged = counter("left_charged");
	verified_after = counter("verified_after_removal");
	dying_reclaims = counter("dying_reclaims");
	moves = counter("moves");
	settings_written = counter("settings_written");
	files_read = counter("files_read");
	switched = counter("controller_switches");
	huge_cut = counter("huge_cut");
	kernel_objects = counter("kernel_objects");
	killed_tenants = counter("killed_tenants");
	drops = counter("cache_drops");
	slots = locked_memory(SLOTS * sizeof(*slots));
	killed = locked_memory(sizeof(*killed));
	make_tree();
	shared_file = share_in_memory(REGION_SHARE, share_pages, SLOTS);
	disk_file = share_on_disk(REGION_FILE, file_pages, SLOTS, "records");
	if (disk_folder()[0]) {
		snprintf(names_folder, sizeof(names_folder), "%s/names", disk_folder());
		mkdir(names_folder, 0700);
	}
}

static void load(void)
{
	static struct threads threads;
	static struct children landlords;

	children_start(&landlords, SLOTS, landlord);
	threads_add(&threads, 2, evictor, NULL);
	threads_add(&threads, 1, set_and_lift, NULL);
	threads_add(&threads, 1, switch_controllers, NULL);
	threads_add(&threads, 1, read_statistics, NULL);
	threads_add(&threads, 1, drop_caches, NULL);
	threads_join(&threads);
	children_join(&landlords);
}

/* Nobody is left who could use it. The statistics are up to date in a moment. */
static void check_back_to_zero(const char *file)
{
	const uint64_t end = now_ns() + GONE_MS * 1000000ull;
	uint64_t used = 0;

	while (cgroup_get(&top, file, &used) && used && now_ns() < end) {
		operations_add(1);
		sleep_us(50000);
	}
	if (used)
		run_error_named(file, "not zero with nothing left");
}

/* All of them were removed, and nothing of theirs is left in use. No promise says when the kernel destroys them, but that it does. */
static void count_dying(void)
{
	uint64_t before = 0, left;

	dying_cgroups(&top, &before);
	count(counter("dying_cgroups"), before);
	left = dying_cgroups_left(&top, DYING_MS);
	if (left > DYING_MOST)
		left = dying_cgroups_left(&top, LEAKED_MS);
	count(counter("dying_cgroups_left"), left);
	if (left > DYING_MOST)
		run_error_named("nr_dying_descendants", "removed cgroups that are not destroyed");
}

static void verify(void)
{
	share_verify_all(&shared_file);
	share_verify_all(&disk_file);
	share_close(&shared_file);
	share_close(&disk_file);
	check_back_to_zero("memory.swap.current");
	check_back_to_zero("memory.zswap.current");
	for (unsigned int i = 0; i < ARMS; i++)
		remove_empty(&arms[i]);
	count_dying();
	remove_empty(&top);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = OPTIONS, .setup = setup, .load = load, .verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
