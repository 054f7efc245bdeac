// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * huge: huge pages, anonymous and of a memory file, that are swapped out, split, collapsed and moved, against swapoff.
 *
 *   owners    each has a mapping of one huge page of each kind. They fill it, so that the kernel gives it a huge page; swap it
 *             out as a whole; cut it in pieces by what they do to a few of its pages (deeds.h); have it collapsed again, while
 *             pages of it are swapped out; and take it to other addresses as a whole, by mremap() or UFFDIO_MOVE. Most of its pages
 *             are zeros;
 *   children  of the owners share it, swapped out or not, write some pages, and end;
 *   lookers   read pages of all of them, which maps and pins them;
 *   khugepaged has little else to do than to collapse the anonymous ones, and a compactor moves pages.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <sys/mman.h>

#include "area.h"
#include "compactor.h"
#include "deeds.h"
#include "paging.h"
#include "run.h"
#include "uffd.h"

#define OWNERS_MAX 4
#define FORK_ONE_IN 12
#define CHILD_REGIONS 1000

static uint64_t owners_count = 2;
static uint64_t pages = 96;
static uint64_t lookers = 1;

static const struct number_option options[] = {
	{ "owners", &owners_count },
	{ "pages", &pages },
	{ "lookers", &lookers },
	{ 0 },
};

struct owner {
	struct area anonymous, file;
	struct oracle snapshot; /* of the child */
	int child; /* 0: none */
};

static struct owner owners[OWNERS_MAX];
static int uffd;
static counter_t *fills, *whole_outs, *shifts, *forks, *looks, *whole_moves;

/* Those of deeds.h that need no other area, and no userfaultfd. */
static const char *const deed_names[] = {
	"write", "pin", "pageout", "out", "look", "cold", "willneed", "drop", "free", "unmap", "protect",
	"lock", "mincore", "collapse", "populate", "guard", "ask", "poke", "splice", "report", "seek", "view", "split", "pieces", "return",
	"allocate",
};

/*
 * Nothing is left of it. Where it is mapped anew, no table of small pages is left either: then the first write of anonymous memory gets a
 * huge page where the kernel has one.
 */
static void fill(struct area *area, bool anew)
{
	if (anew)
		area_renew(area);
	area_drop_all(area);
	for (size_t page = 0; page < area->pages && !run_over(); page++)
		area_write(area, page, 0);
	count(fills, 1);
}

static void swap_out_all(struct area *area)
{
	page_out(area->base, area->length);
	count(whole_outs, 1);
}

static void protect_all(struct area *area)
{
	if (mprotect(area->base, area->length, PROT_READ))
		run_error("mprotect", errno);
	for (size_t page = 0; page < area->pages; page += 8)
		area_verify(area, page, false);
	if (mprotect(area->base, area->length, PROT_READ | PROT_WRITE))
		run_error("mprotect", errno);
}

/* Reclaim takes a huge page that nobody has written since as a whole, and swaps nothing out. */
static void free_all(struct area *area, struct rng *rng)
{
	area_free_all(area);
	if (rng_below(rng, 2))
		swap_out_all(area);
}

/* What a child shares stays where it is. */
static void move(struct owner *owner)
{
	child_reap(&owner->child);
	count(whole_moves, uffd_move_all(uffd, &owner->anonymous));
}

/* A page of zeros behind the records goes: the huge page is in use in part, and is split when memory is wanted. */
static void cut(const struct area *area, struct rng *rng)
{
	area_drop_behind(area, rng_between(rng, area->pages, area->length / PAGE - 1));
}

static void child_body(void *argument)
{
	struct owner *parent = argument;
	struct rng rng = rng_stream(run_seed(), CHILD_REGIONS + (uint64_t)(parent - owners));
	struct area area = area_of_child(&parent->anonymous, &parent->snapshot);

	for (size_t page = 0; page < area.pages && !run_over(); page++) {
		if (rng_below(&rng, 8) == 0)
			area_write(&area, page, 1);
		area_verify(&area, page, false);
	}
	if (rng_below(&rng, 2))
		swap_out_all(&area);
}

static void fork_child(struct owner *owner)
{
	child_reap(&owner->child);
	oracle_copy(&owner->snapshot, &owner->anonymous.oracle, CHILD_REGIONS + (uint64_t)(owner - owners));
	owner->child = child_start(child_body, owner);
	count(forks, 1);
}

static void do_deed(struct owner *owner, struct step *step)
{
	const struct deed *deed = deed_choose_of(&step->rng, deed_names, sizeof(deed_names) / sizeof(deed_names[0]));

	if (!area_is(step->area, deed->kinds))
		return;
	/* What is freed Linux 6.19 may take from a child that shares it (docs/found/): free-forked is its workload. */
	if (deed->may_take_shared)
		child_reap(&owner->child);
	step_choose_pages(step, pages);
	area_note(step->area, deed->name, step->first, step->count);
	deed->body(step);
}

static void do_step(struct owner *owner, struct rng rng)
{
	struct step step = { .rng = rng };
	const uint64_t choice = rng_below(&step.rng, 16);

	if (rng_below(&step.rng, FORK_ONE_IN) == 0)
		fork_child(owner);
	step.area = rng_below(&step.rng, 2) ? &owner->anonymous : &owner->file;
	if (choice < 2)
		fill(step.area, choice);
	else if (choice < 4)
		swap_out_all(step.area);
	else if (choice == 4)
		protect_all(step.area);
	else if (choice == 5)
		cut(step.area, &step.rng);
	else if (choice == 6 && area_shift(step.area, rng_below(&step.rng, 2)))
		count(shifts, 1);
	else if (choice == 8 && step.area->fd < 0 && uffd >= 0)
		move(owner);
	else if (choice == 7 && step.area->fd < 0) {
		child_reap(&owner->child);
		free_all(step.area, &step.rng);
	} else
		do_deed(owner, &step);
	operations_add(1);
}

static void own(struct worker *worker)
{
	struct owner *owner = &owners[worker->index];

	while (!run_over())
		do_step(owner, rng_stream(rng_next(&worker->rng), 0));
	child_reap(&owner->child);
}

static void look(struct worker *worker)
{
	while (!run_over()) {
		const struct owner *owner = &owners[rng_below(&worker->rng, owners_count)];
		const struct area *area = rng_below(&worker->rng, 2) ? &owner->anonymous : &owner->file;

		if (area_look(area, rng_below(&worker->rng, pages), false) != LOOK_RACED)
			count(looks, 1);
		sleep_us(rng_below(&worker->rng, 1000));
	}
}

static void setup(void)
{
	fills = counter("fills");
	whole_outs = counter("whole_outs");
	shifts = counter("shifts");
	forks = counter("forks");
	looks = counter("looks_of_others");
	whole_moves = counter("whole_moves");
	uffd = uffd_open(0);
	if (uffd < 0)
		counter_lacking("whole_moves", "the kernel has no UFFDIO_MOVE");
	if (owners_count > OWNERS_MAX || !owners_count || !pages || pages >= HUGE_ALIGN / PAGE)
		run_fail("--owners and --pages");
	for (uint64_t i = 0; i < owners_count && area_huge_is_small(); i++) {
		area_new(&owners[i].anonymous, AREA_HUGE, 1 + 2 * i, pages, -1);
		area_new(&owners[i].file, AREA_FILE_HUGE, 2 + 2 * i, pages, -1);
		owners[i].snapshot = oracle_new(0, pages);
		fill(&owners[i].anonymous, false);
		fill(&owners[i].file, false);
	}
}

static void load(void)
{
	static struct threads threads;

	if (!area_huge_is_small())
		return;
	threads_add(&threads, owners_count, own, NULL);
	threads_add(&threads, lookers, look, NULL);
	threads_add(&threads, 1, compactor, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	for (uint64_t i = 0; i < owners_count; i++) {
		area_verify_all(&owners[i].anonymous);
		area_verify_all(&owners[i].file);
		area_verify_blocks(&owners[i].file);
	}
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options,
		.steady = 1,
		.prepare = area_need_huge_pages,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
