// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * numa-policy: memory policies are set, asked for and changed while pages are faulted, moved between nodes and swapped.
 *
 *   setters    set a task policy of each mode with each flag, ask for it, and look where new memory is
 *   a binder   gives ranges of locked memory a policy (mbind) and has their pages moved: then they are where the policy says
 *   movers     move pages of memory that others use (move_pages, mbind), private and of a memory file, and page it out
 *   users      read and write that memory
 *   a carrier  takes the pages of a huge page elsewhere by UFFDIO_MOVE, some at a time, while a shover moves the huge page between nodes
 *   a guest    is a process in a cpuset whose nodes change under it, and whose memory is migrated from outside
 *   mounts     of tmpfs have policies of their own
 *   settings   of the kernel's that have to do with nodes are written
 *
 * With one node there is nowhere to go, and all of it is done all the same.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "area.h"
#include "cgroup.h"
#include "numa.h"
#include "paging.h"
#include "record.h"
#include "run.h"
#include "textfile.h"
#include "uffd.h"

#define OWN_CGROUPS "/tmp/numa-cgroup2" /* where the guest has no v2 */
#define MOUNT "/tmp/numa-tmpfs"
#define MOVED 16
#define SIZE(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t pages = 512, placed_pages = 64, file_pages = 128, new_pages = 16, guest_pages = 128, carried_pages = 48;

static const struct number_option OPTIONS[] = {
	{ "pages", &pages },	     { "placed-pages", &placed_pages }, { "file-pages", &file_pages },
	{ "new-pages", &new_pages }, { "guest-pages", &guest_pages },	{ "carried-pages", &carried_pages }, { NULL, NULL },
};

enum { REGION_MAIN = 1, REGION_PLACED, REGION_FILE, REGION_NEW, REGION_GUEST, REGION_MOUNT, REGION_WHOLE, REGION_PARTS };

static const int MODES[] = {
	MPOL_DEFAULT,	       MPOL_PREFERRED,		   MPOL_BIND, MPOL_INTERLEAVE, MPOL_LOCAL,
	POLICY_PREFERRED_MANY, POLICY_WEIGHTED_INTERLEAVE,
};
static const int FLAGS[] = { 0, 0, MPOL_F_STATIC_NODES, MPOL_F_RELATIVE_NODES, POLICY_BALANCING };

static nodes_t nodes;
static struct region main_region, placed, file_region, guest_region;
static struct cgroup cpuset;
static _Atomic int *guest;
/* The huge page, and where its pages are carried to. */
static struct area whole, parts;
static int uffd = -1;
static counter_t *carried, *shoved;
static counter_t *policies, *placements, *ranges, *pages_moved, *mems_changes, *migrations, *mounts, *guest_rounds, *settings_written;

/* Some of the nodes, at least one. */
static nodes_t some_nodes(struct rng *rng)
{
	nodes_t some;

	do
		some = rng_next(rng) & nodes;
	while (!some);
	return some;
}

static unsigned int one_node(struct rng *rng)
{
	return (unsigned int)__builtin_ctzll(some_nodes(rng));
}

static struct policy some_policy(struct rng *rng)
{
	struct policy policy = { .mode = MODES[rng_below(rng, SIZE(MODES))] };

	if (policy.mode == MPOL_DEFAULT || policy.mode == MPOL_LOCAL)
		return policy;
	policy.nodes = some_nodes(rng);
	/* Of several ones the first is preferred. */
	if (policy.mode == MPOL_PREFERRED)
		policy.nodes &= -policy.nodes;
	policy.mode |= FLAGS[rng_below(rng, SIZE(FLAGS))];
	return policy;
}

static int mode_of(const struct policy *policy)
{
	return policy->mode & ~(MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES | POLICY_BALANCING);
}

/* A mode or a flag that this kernel does not have, or, of balancing, not with this mode. */
static bool may_be_refused(const struct policy *policy)
{
	return mode_of(policy) > MPOL_LOCAL || policy->mode & POLICY_BALANCING;
}

static void expect_policy(const char *call, const struct policy *set, const struct policy *seen)
{
	if (seen->mode != set->mode)
		run_error_named(call, "another mode than was set");
	else if (set->nodes && seen->nodes != set->nodes)
		run_error_named(call, "other nodes than were set");
}

/* Strict, and in a place that no cpuset changes. */
static bool decides_nodes(const struct policy *policy)
{
	return mode_of(policy) == MPOL_BIND && !(policy->mode & MPOL_F_RELATIVE_NODES);
}

/* Of locked pages that only this thread and no other process maps: nothing else moves them. */
static void expect_nodes(const char *call, const void *memory, size_t length, nodes_t allowed)
{
	for (size_t i = 0; i < length; i++) {
		const int node = node_of_page((const uint8_t *)memory + i * PAGE);

		if (node < 0)
			run_error("get_mempolicy", -node);
		else if (!(allowed >> node & 1))
			run_error_named(call, "a page on another node");
		count(placements, 1);
	}
}

static void use_new_memory(const struct policy *policy, struct rng *rng)
{
	const size_t length = new_pages * PAGE;
	const struct identity identity = { REGION_NEW, 0, rng_between(rng, 1, 1000) };
	uint8_t *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);

	if (memory == MAP_FAILED)
		run_fail("mmap of new memory");
	madvise(memory, length, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < new_pages; i++)
		record_write(memory + i * PAGE, &identity, 0);
	if (decides_nodes(policy))
		expect_nodes("set_mempolicy", memory, new_pages, policy->nodes);
	for (size_t i = 0; i < new_pages; i++)
		if (record_check(memory + i * PAGE, &identity, true) != KIND_OK)
			record_complain(record_check(memory + i * PAGE, &identity, true), memory + i * PAGE, &identity, true);
	verified_add(new_pages);
	munmap(memory, length);
}

static void setter(struct worker *worker)
{
	static const struct policy usual = { MPOL_DEFAULT, 0 };

	while (!run_over()) {
		const struct policy policy = some_policy(&worker->rng);
		const int error = policy_set(&policy);
		struct policy seen;

		if (error && !(error == EINVAL && may_be_refused(&policy)))
			run_error("set_mempolicy", error);
		if (!error) {
			if (policy_of_task(&seen))
				run_error("get_mempolicy", errno);
			else
				expect_policy("get_mempolicy", &policy, &seen);
			use_new_memory(&policy, &worker->rng);
			count(policies, 1);
		}
		operations_add(1);
		sleep_us(rng_below(&worker->rng, 2000));
	}
	policy_set(&usual);
}

static void binder(struct worker *worker)
{
	static const unsigned int how[] = {
		0, MPOL_MF_MOVE, MPOL_MF_STRICT, MPOL_MF_MOVE | MPOL_MF_STRICT, MPOL_MF_MOVE | MPOL_MF_STRICT, MPOL_MF_MOVE_ALL,
	};

	while (!run_over()) {
		const struct policy policy = some_policy(&worker->rng);
		const unsigned int flags = how[rng_below(&worker->rng, SIZE(how))];
		const size_t first = rng_below(&worker->rng, placed.pages), length = rng_between(&worker->rng, 1, placed.pages - first);
		void *memory = region_page(&placed, first);
		const int error = policy_bind(memory, length * PAGE, &policy, flags);
		struct policy seen;

		/* EIO: pages that are elsewhere, or could not be moved. */
		if (error && error != ENOMEM && !(error == EIO && flags & MPOL_MF_STRICT) && !(error == EINVAL && may_be_refused(&policy)))
			run_error("mbind", error);
		if (!error) {
			if (policy_of_page(memory, &seen))
				run_error("get_mempolicy", errno);
			else
				expect_policy("get_mempolicy", &policy, &seen);
			if (decides_nodes(&policy) && flags == (MPOL_MF_MOVE | MPOL_MF_STRICT))
				expect_nodes("mbind", memory, length, policy.nodes);
			count(ranges, 1);
		}
		policy_home_node(memory, length * PAGE, one_node(&worker->rng));
		for (size_t i = first; i < first + length && !run_over(); i++)
			if (rng_below(&worker->rng, 4))
				region_verify(&placed, i, i % 4 == 0);
			else
				region_write(&placed, i, 0);
		sleep_us(rng_below(&worker->rng, 2000));
	}
}

static void move_some(struct region *region, struct rng *rng)
{
	void *addresses[MOVED];
	int targets[MOVED], status[MOVED];

	for (unsigned int i = 0; i < MOVED; i++) {
		addresses[i] = region_page(region, rng_below(rng, region->pages));
		targets[i] = (int)one_node(rng);
	}
	count(pages_moved, pages_move(MOVED, addresses, targets, status));
	operations_add(1);
}

static void mover(struct worker *worker)
{
	struct region *const region = worker->argument;
	const size_t chunk = region->pages / 8;

	while (!run_over()) {
		const struct policy policy = some_policy(&worker->rng);
		void *memory = region_page(region, rng_below(&worker->rng, region->pages - chunk));

		move_some(region, &worker->rng);
		/* Of memory that others use: nothing is known about it a moment later. */
		policy_bind(memory, chunk * PAGE, &policy, rng_below(&worker->rng, 2) ? MPOL_MF_MOVE : 0);
		page_out(memory, chunk * PAGE);
		if (rng_below(&worker->rng, 4) == 0)
			reclaim(chunk * PAGE);
		move_some(region, &worker->rng);
		sleep_us(rng_below(&worker->rng, 3000));
	}
}

/* --- a huge page in pieces --- */

static void fill_whole(void)
{
	/* Nothing of it is left, page tables neither: the first write gets a huge page where the node has one. */
	area_renew(&whole);
	for (size_t page = 0; page < whole.pages; page++)
		area_write(&whole, page, 0);
	/* What it has by now stays, and it is not collapsed again meanwhile, which a move would call EINVAL. */
	if (madvise(whole.base, whole.length, MADV_NOHUGEPAGE))
		run_error("MADV_NOHUGEPAGE", errno);
}

static void carrier(struct worker *worker)
{
	while (!run_over()) {
		fill_whole();
		sleep_us(rng_below(&worker->rng, 2000));
		for (size_t first = 0, run; first < whole.pages && !run_over(); first += run) {
			run = rng_between(&worker->rng, 1, 8);
			if (run > whole.pages - first)
				run = whole.pages - first;
			area_note(&parts, "from", first, run);
			count(carried, uffd_move(&parts, first, &whole, first, run));
		}
		area_verify_all(&whole);
		area_verify_all(&parts);
		area_drop(&parts, 0, parts.pages);
	}
}

static void shover(struct worker *worker)
{
	int target, status;

	while (!run_over()) {
		void *address = area_page(&whole, rng_below(&worker->rng, whole.pages));

		target = (int)one_node(&worker->rng);
		count(shoved, pages_move(1, &address, &target, &status));
		sleep_us(rng_below(&worker->rng, 500));
	}
}

/* The first one writes. */
static void user(struct worker *worker)
{
	struct region *const region = worker->argument;

	while (!run_over()) {
		const size_t first = rng_below(&worker->rng, region->pages - 16);

		for (size_t i = first; i < first + 16 && !run_over(); i++)
			if (worker->index == 0 && rng_below(&worker->rng, 3) == 0)
				region_write(region, i, 0);
			else
				region_verify(region, i, i % 4 == 0);
		sleep_us(rng_below(&worker->rng, 1000));
	}
}

/* --- the process in the cpuset --- */

static void child_of_guest(void *argument)
{
	struct rng *rng = argument;

	for (size_t i = 0; i < guest_pages && !run_over(); i++)
		if (rng_below(rng, 2))
			region_verify(&guest_region, i, false);
}

/* Its nodes may all be taken from a policy at any moment, and come back: EINVAL is right, and so is any node. */
static void live_in_cpuset(struct rng *rng)
{
	const struct policy policy = some_policy(rng);
	struct policy seen;
	const int error = policy_set(&policy);

	if (error && error != EINVAL)
		run_error("set_mempolicy", error);
	policy_bind(guest_region.base, guest_pages / 2 * PAGE, &policy, rng_below(rng, 2) ? MPOL_MF_MOVE : 0);
	for (size_t i = 0; i < guest_pages && !run_over(); i++)
		if (rng_below(rng, 4))
			region_verify(&guest_region, i, i % 8 == 0);
		else
			region_write(&guest_region, i, 0);
	page_out(guest_region.base, guest_pages * PAGE);
	/*
	 * These nodes are the policy's own, whatever its cpuset has. Linux up to 7.1 forgets those of the two preferred modes
	 * (mpol_rebind_preferred()), which no series can help.
	 */
	if (!error && policy.mode & MPOL_F_STATIC_NODES && mode_of(&policy) != MPOL_PREFERRED &&
	    mode_of(&policy) != POLICY_PREFERRED_MANY && !policy_of_task(&seen))
		expect_policy("get_mempolicy", &policy, &seen);
}

static void guest_main(void *argument)
{
	struct rng rng = rng_stream(run_seed(), 700);

	(void)argument;
	guest_region = region_over(private_memory(guest_pages * PAGE), REGION_GUEST, guest_pages);
	if (cpuset.path[0] && !cgroup_enter(&cpuset, 0))
		run_error("moving to another cgroup", errno);
	*guest = getpid();
	region_fill(&guest_region);
	for (unsigned int round = 0; !run_over(); round++) {
		live_in_cpuset(&rng);
		if (round % 4 == 3)
			child_join(child_start(child_of_guest, &rng));
		count(guest_rounds, 1);
	}
	region_verify_all(&guest_region);
}

static void change_guest(struct worker *worker)
{
	char text[256], maps[4096];

	while (!run_over()) {
		if (cpuset.path[0]) {
			nodes_format(some_nodes(&worker->rng), text, sizeof(text));
			if (cgroup_put(&cpuset, "cpuset.mems", text))
				count(mems_changes, 1);
		}
		sleep_us(rng_below(&worker->rng, 10000));
		if (*guest && !process_migrate(*guest, some_nodes(&worker->rng), some_nodes(&worker->rng)))
			count(migrations, 1);
		snprintf(text, sizeof(text), "/proc/%d/numa_maps", rng_below(&worker->rng, 2) ? *guest : getpid());
		read_text(text, maps, sizeof(maps));
		operations_add(1);
		sleep_us(rng_below(&worker->rng, 10000));
	}
}

/* --- tmpfs, and settings --- */

static void use_mount(struct rng *rng)
{
	uint64_t buffer[PAGE / 8];
	struct identity identity = { REGION_MOUNT, 1, rng_between(rng, 1, 1000) };
	const int fd = open(MOUNT "/file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0) {
		run_error("open", errno);
		return;
	}
	for (unsigned int i = 0; i < 8; i++) {
		record_write(buffer, &identity, 0);
		if (pwrite(fd, buffer, PAGE, i * PAGE) != PAGE)
			run_error("pwrite", errno);
	}
	for (unsigned int i = 0; i < 8; i++) {
		if (pread(fd, buffer, PAGE, i * PAGE) != PAGE)
			run_error("pread", errno);
		else if (record_check(buffer, &identity, true) != KIND_OK)
			record_complain(record_check(buffer, &identity, true), buffer, &identity, false);
		verified_add(1);
	}
	close(fd);
}

static void mounter(struct worker *worker)
{
	static const char *const forms[] = {
		"mpol=default",		 "mpol=local",		    "mpol=prefer:%s",	      "mpol=bind:%s",
		"mpol=interleave:%s",	 "mpol=bind=static:%s",	    "mpol=bind=relative:%s",  "mpol=interleave=relative:%s",
		"mpol=prefer=static:%s", "mpol=prefer (many):%s",   "mpol=weighted interleave:%s", "mpol=bind:99",
		"mpol=bind",		 "mpol=default:%s",	    "mpol=bind=nothing:%s",
	};
	char list[256], options[300], text[4096];

	while (!run_over()) {
		nodes_format(some_nodes(&worker->rng), list, sizeof(list));
		snprintf(options, sizeof(options), forms[rng_below(&worker->rng, SIZE(forms))], list);
		/* Some are no policy. */
		if (!mount("tmpfs", MOUNT, "tmpfs", 0, options)) {
			use_mount(&worker->rng);
			read_text("/proc/mounts", text, sizeof(text));
			mount("tmpfs", MOUNT, "tmpfs", MS_REMOUNT, "mpol=default");
			if (umount2(MOUNT, MNT_DETACH))
				run_error("umount", errno);
			count(mounts, 1);
		}
		sleep_us(rng_below(&worker->rng, 20000));
	}
}

static void write_settings(struct worker *worker)
{
	static const struct {
		const char *path;
		const char *values[3];
	} settings[] = {
		{ "/sys/kernel/mm/mempolicy/weighted_interleave/node0", { "1", "3", "0" } },
		{ "/sys/kernel/mm/mempolicy/weighted_interleave/node1", { "2", "5", "0" } },
		{ "/sys/kernel/mm/mempolicy/weighted_interleave/auto", { "Y", "N", "Y" } },
		{ "/sys/kernel/mm/numa/demotion_enabled", { "1", "0", "0" } },
		{ "/proc/sys/vm/zone_reclaim_mode", { "0", "7", "0" } },
		{ "/proc/sys/kernel/numa_balancing", { "1", "0", "1" } },
		{ "/sys/devices/system/node/node0/reclaim", { "65536", "262144 swappiness=100", "65536" } },
		{ "/sys/devices/system/node/node1/reclaim", { "65536", "262144 swappiness=100", "65536" } },
		{ "/sys/devices/system/node/node1/compact", { "1", "1", "1" } },
	};

	while (!run_over()) {
		const unsigned int i = rng_below(&worker->rng, SIZE(settings));

		if (put_text(settings[i].path, settings[i].values[rng_below(&worker->rng, 3)]))
			count(settings_written, 1);
		sleep_us(rng_below(&worker->rng, 30000));
	}
}

/* --- the frame --- */

/* Errors that set_mempolicy(2) promises, at a time when nothing else can be the reason. */
static void check_refusals(void)
{
	const struct policy wrong[] = {
		{ MPOL_BIND, 0 },     { MPOL_INTERLEAVE, 0 },
		{ MPOL_DEFAULT, 1 },  { MPOL_BIND | MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES, 1 },
		{ 99, 1 },	      { MPOL_BIND, (nodes_t)1 << 63 },
	};

	for (size_t i = 0; i < SIZE(wrong); i++)
		if (policy_set(&wrong[i]) != EINVAL)
			run_error_named("set_mempolicy", "takes what is no policy");
}

static void prepare(void)
{
	struct policy policy;

	if (policy_of_task(&policy))
		run_missing("this kernel has no memory policies (get_mempolicy: %s); the flavour numa has", strerrorname_np(errno));
}

/* A cpuset of v2 beside the workload's cgroup; the guest of v1 has that hierarchy nowhere. */
static void make_cpuset(void)
{
	struct cgroup root = { CGROUP_ROOT };

	if (cgroups_are_v1()) {
		root = cgroup_in(OWN_CGROUPS, ".");
		mkdir(OWN_CGROUPS, 0755);
		if (mount("cgroup2", OWN_CGROUPS, "cgroup2", 0, NULL) && errno != EBUSY)
			return;
	}
	if (!cgroup_put(&root, "cgroup.subtree_control", "+cpuset"))
		return;
	cpuset = cgroup_in(root.path, "numa-policy");
	if (!cgroup_make(&cpuset))
		run_fail("mkdir of a cgroup");
}

static void make_whole(void)
{
	carried = counter("carried_pages");
	shoved = counter("shoved_pages");
	if (!carried_pages || carried_pages > HUGE_ALIGN / PAGE)
		run_fail("--carried-pages");
	if (area_huge_is_small())
		uffd = uffd_open(0);
	if (uffd < 0) {
		counter_lacking("carried_pages", "there are no huge pages of a few MiB, or there is no UFFDIO_MOVE");
		return;
	}
	area_new(&whole, AREA_HUGE, REGION_WHOLE, carried_pages, -1);
	area_new(&parts, AREA_SMALL, REGION_PARTS, carried_pages, uffd);
	/* A page that a child shares is not moved, it is busy. */
	madvise(parts.base, parts.length, MADV_DONTFORK);
}

static void setup(void)
{
	int fd;

	nodes = nodes_with_memory();
	policies = counter("policies");
	placements = counter("placements");
	ranges = counter("ranges_bound");
	pages_moved = counter("pages_moved");
	mems_changes = counter("mems_changes");
	migrations = counter("migrations");
	mounts = counter("mounts");
	guest_rounds = counter("guest_rounds");
	settings_written = counter("settings_written");
	guest = locked_memory(sizeof(*guest));
	mkdir(MOUNT, 0755);
	make_cpuset();
	if (!cpuset.path[0])
		counter_lacking("mems_changes", "there is no cpuset controller of cgroup v2");
	check_refusals();
	main_region = region_over(private_memory(pages * PAGE), REGION_MAIN, pages);
	region_fill(&main_region);
	placed = region_over(private_memory(placed_pages * PAGE), REGION_PLACED, placed_pages);
	/* A large folio may be in two ranges. */
	madvise(placed.base, placed_pages * PAGE, MADV_NOHUGEPAGE);
	region_fill(&placed);
	if (mlock(placed.base, placed_pages * PAGE))
		run_fail("mlock");
	madvise(main_region.base, pages * PAGE, MADV_DONTFORK);
	madvise(placed.base, placed_pages * PAGE, MADV_DONTFORK);
	fd = memory_file("numa", file_pages * PAGE);
	file_region = region_over(map_file(fd, file_pages * PAGE), REGION_FILE, file_pages);
	region_fill(&file_region);
	make_whole();
}

static void load(void)
{
	static struct threads threads;
	const int child = child_start(guest_main, NULL);

	threads_add(&threads, 2, setter, NULL);
	threads_add(&threads, 1, binder, NULL);
	threads_add(&threads, 1, mover, &main_region);
	threads_add(&threads, 1, mover, &file_region);
	threads_add(&threads, 2, user, &main_region);
	threads_add(&threads, 2, user, &file_region);
	threads_add(&threads, 1, change_guest, NULL);
	threads_add(&threads, 1, mounter, NULL);
	threads_add(&threads, 1, write_settings, NULL);
	if (uffd >= 0) {
		threads_add(&threads, 1, carrier, NULL);
		threads_add(&threads, 1, shover, NULL);
	}
	threads_join(&threads);
	child_join(child);
	if (cpuset.path[0] && !cgroup_remove(&cpuset, 10000))
		run_error("rmdir of an empty cgroup", errno);
}

static void verify(void)
{
	region_verify_all(&main_region);
	region_verify_all(&placed);
	region_verify_all(&file_region);
	if (uffd < 0)
		return;
	area_verify_all(&whole);
	area_verify_all(&parts);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = OPTIONS, .prepare = prepare, .setup = setup, .load = load, .verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
