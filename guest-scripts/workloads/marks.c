// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * marks: what user space is told of a page beside its contents: whether it is write-protected by userfaultfd.
 *
 *   owners    each has an area of each kind. They write-protect runs of pages and lift that again; in between they do all that
 *             leaves the protection as it is, or takes it away (deeds.h). They know of each page whether it is protected, and
 *             look it up in /proc/self/pagemap. A write to a protected page has to be reported first;
 *   children  of the owners share their pages, swapped out or not, write some, and end. Nobody has registered their memory: none of
 *             their pages is protected;
 *   lookers   read pages of all areas, which maps and pins them;
 *   a visitor reads the files by mappings of its own, whose pages userfaultfd has to map (minor.h); its server does;
 *   a server  is told of the writes, and lifts the protection;
 *   a collapser makes a huge page of an area while its owner protects some of it;
 *   a compactor moves pages.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "area-ways.h"
#include "area.h"
#include "compactor.h"
#include "deeds.h"
#include "minor.h"
#include "paging.h"
#include "run.h"
#include "scan.h"
#include "uffd.h"

#define OWNERS_MAX 8
/* Of the steps with a huge page, and how long a collapse is given before some of it is protected. */
#define COLLAPSE_ONE_IN 3
#define COLLAPSE_US 3000
#define FORK_ONE_IN 64
#define CHILD_REGIONS 1000
#define SHOWN_OF_HISTORY 70
#define REPORTED "ioctl_userfaultfd(2), UFFDIO_WRITEPROTECT: a write to what is protected is reported before it is done"
#define SHOWN "pagemap.rst: bit 57 is set for pages that userfaultfd write-protects"
#define NOT_WRITTEN "pagemap.rst, PAGE_IS_WRITTEN: the page has been written to from the time it was write protected"
#define NOT_INHERITED "userfaultfd(2): only with UFFD_FEATURE_EVENT_FORK the memory of a child is registered; pagemap.rst, bit 57"

enum mark {
	MARK_OFF,
	MARK_ON,
	MARK_UNKNOWN, /* there may be no page, or another one */
};

struct field {
	struct area area;
	uint8_t *marks; /* enum mark of each page; its owner's */
	_Atomic uint32_t *reports; /* of writes to each page */
	struct minor visited; /* of a file */
};

struct owner {
	struct field fields[AREA_KINDS];
	struct oracle snapshots[AREA_HUGE + 1]; /* of the child */
	int child; /* 0: none */
};

/* What becomes of the marks. */
enum effect { STAYS, MAY_GO, GOES, GOES_FROM_ALL };

/* Deeds that are not here are not done. */
static const struct {
	const char *deed;
	enum effect effect;
} effects[] = {
	{ "pageout", STAYS }, { "out", STAYS }, { "look", STAYS }, { "cold", STAYS }, { "willneed", STAYS },
	{ "unmap", STAYS }, { "protect", STAYS }, { "mincore", STAYS }, { "collapse", STAYS }, { "free", MAY_GO },
	{ "split", STAYS }, { "report", STAYS }, { "seek", STAYS }, { "registeranew", GOES_FROM_ALL },
	/* mlock() of private memory that may be written is a write to it. */
	{ "lock", MAY_GO }, { "populate", MAY_GO }, { "ask", STAYS }, { "drop", GOES }, { "guard", GOES }, { "renew", GOES_FROM_ALL }, { "shift", GOES_FROM_ALL },
	{ "return", GOES_FROM_ALL }, { "poison", GOES }, { "allocate", STAYS },
};

static uint64_t owners_count = 3;
static uint64_t pages = 48;
static uint64_t lookers = 1;

static const struct number_option options[] = {
	{ "owners", &owners_count },
	{ "pages", &pages },
	{ "lookers", &lookers },
	{ 0 },
};

static struct owner owners[OWNERS_MAX];
static int uffd, minor_uffd;
static _Atomic uint64_t acting; /* owners that have not ended */
static _Atomic bool visiting; /* the visitor has not ended */
static uint8_t *_Atomic to_collapse; /* NULL: nothing */
static counter_t *protected_pages, *reported, *seen_swapped, *seen_mapped, *forks, *visits, *continued, *raced_collapses, *split_zeros, *scanned;

static void set(struct field *field, size_t first, size_t number, enum mark mark)
{
	memset(field->marks + first, mark, number);
}

static void check(struct field *field, size_t page)
{
	const uint64_t word = pagemap_word(area_page(&field->area, page));
	const bool is_set = word & PAGEMAP_PROTECTED;
	const size_t length = strlen(field->area.history);
	char text[120];

	if (field->marks[page] == MARK_UNKNOWN)
		return;
	if (is_set == (field->marks[page] == MARK_ON)) {
		if (is_set)
			count(word & PAGEMAP_SWAPPED ? seen_swapped : seen_mapped, 1);
		return;
	}
	snprintf(text, sizeof(text), "pagemap %#llx; kind %u; after%s", (unsigned long long)word, (unsigned int)field->area.kind,
		 field->area.history + (length > SHOWN_OF_HISTORY ? length - SHOWN_OF_HISTORY : 0));
	run_mismatch(page, KIND_WRONG, SHOWN, is_set ? "a page that is not protected" : "a protected page", text);
}

/* As who saves changed pages asks. Nobody has written to a protected page: a write would have lifted that. */
static void check_scan(struct field *field, size_t first, size_t number)
{
	uint64_t named;

	if (!scan_written(area_page(&field->area, first), number, 0, 0, &named)) {
		counter_lacking("scanned_pages", "PAGEMAP_SCAN is of Linux 6.7");
		return;
	}
	for (size_t page = first; page < first + number; page++) {
		if (field->marks[page] != MARK_ON)
			continue;
		count(scanned, 1);
		if (named >> (page - first) & 1)
			run_mismatch(page, KIND_WRONG, NOT_WRITTEN, "a protected page is not named as written", field->area.history);
	}
}

static void check_all(struct field *field)
{
	for (size_t page = 0; page < field->area.pages; page++)
		check(field, page);
	for (size_t first = 0; first < field->area.pages; first += SCAN_PAGES)
		check_scan(field, first, field->area.pages - first < SCAN_PAGES ? field->area.pages - first : SCAN_PAGES);
}

/* Anonymous memory: with the page its protection is gone. A file's page may come back with it. */
static void set_gone(struct field *field, size_t first, size_t number)
{
	set(field, first, number, area_is(&field->area, FILES) ? MARK_UNKNOWN : MARK_OFF);
}

static void write_page(struct field *field, size_t page)
{
	const struct identity next = oracle_next(&field->area.oracle, page);
	const uint32_t before = field->reports[page];

	/* As area_write() does. */
	if (record_is_zero(&next) && oracle_holds(&field->area.oracle, page) != HOLDS_ZEROS) {
		area_drop(&field->area, page, 1);
		set_gone(field, page, 1);
	}
	area_write(&field->area, page, 0);
	if (field->marks[page] == MARK_ON && field->reports[page] == before)
		run_mismatch(page, KIND_WRONG, REPORTED, "a report of the write", field->area.history);
	field->marks[page] = MARK_OFF;
}

static void write_pages(struct field *field, size_t first, size_t number)
{
	area_note(&field->area, "write", first, number);
	for (size_t page = first; page < first + number && !run_over(); page++)
		write_page(field, page);
}

static void lift(struct field *field, size_t first, size_t number)
{
	area_note(&field->area, "lift", first, number);
	uffd_protect(&field->area, first, number, false);
	set(field, first, number, MARK_OFF);
}

/* Where there is no page, nothing of anonymous memory is protected; a file remembers it. */
static void protect(struct field *field, size_t first, size_t number)
{
	area_note(&field->area, "protect", first, number);
	uffd_protect(&field->area, first, number, true);
	for (size_t page = first; page < first + number; page++)
		if (area_is(&field->area, FILES) || oracle_holds(&field->area.oracle, page) == HOLDS_RECORD)
			field->marks[page] = MARK_ON;
		else
			field->marks[page] = MARK_UNKNOWN;
	count(protected_pages, number);
}

static void allow(const struct field *field, size_t first, size_t number, int protection)
{
	if (mprotect(area_page(&field->area, first), number * PAGE, protection))
		run_error("mprotect", errno);
}

/* Put in by userfaultfd, protected at once or not; also where nobody may write just now: reclaim may come by before anybody may again. */
static void copy(struct field *field, size_t first, size_t number, bool protected, bool read_only)
{
	area_note(&field->area, protected ? "copy_protected" : "copy", first, number);
	if (read_only)
		allow(field, first, number, PROT_READ);
	for (size_t page = first; page < first + number; page++) {
		set_gone(field, page, 1);
		if (uffd_copy(&field->area, page, protected))
			field->marks[page] = protected ? MARK_ON : MARK_OFF;
	}
	if (read_only) {
		page_out(area_page(&field->area, first), number * PAGE);
		allow(field, first, number, PROT_READ | PROT_WRITE);
	}
}

/* Without protection and without a hole, also behind the records, its pages can be made a huge page. */
static void fill(struct field *field)
{
	write_pages(field, 0, pages);
	for (size_t offset = pages * PAGE; offset < field->area.length; offset += PAGE)
		field->area.base[offset] = 1;
}

/* Some of its pages are zeros, and are there all the same: what the kernel makes of them when it splits the huge page is protected, too. */
static void split_protected_zeros(struct field *field, struct step *step)
{
	fill(field);
	area_note(&field->area, "clear", step->first, step->count);
	for (size_t page = step->first; page < step->first + step->count && !run_over(); page++)
		if (rng_below(&step->rng, 2))
			area_clear(&field->area, page);
	if (run_over() || !collapse(field->area.base, field->area.length))
		return;
	area_note(&field->area, "protect_huge", step->first, step->count);
	uffd_protect(&field->area, step->first, step->count, true);
	set(field, step->first, step->count, MARK_ON);
	check_all(field);
	if (rng_below(&step->rng, 2))
		page_out(area_page(&field->area, step->first), step->count * PAGE);
	if (area_split(&field->area, step->first, step->count, &step->rng))
		count(split_zeros, 1);
}

/* Some of them are protected while they are made a huge page, and are protected afterwards. */
static void protect_during_collapse(struct field *field, struct step *step)
{
	uint8_t *none = NULL;

	fill(field);
	if (rng_below(&step->rng, 2))
		page_out(area_page(&field->area, step->first), step->count * PAGE);
	if (run_over() || !atomic_compare_exchange_strong(&to_collapse, &none, field->area.base))
		return;
	sleep_us(rng_below(&step->rng, COLLAPSE_US));
	protect(field, step->first, step->count);
	/* The next deeds may take the range elsewhere. */
	while (to_collapse == field->area.base)
		sleep_us(200);
}

static void collapser(struct worker *worker)
{
	(void)worker;
	while (acting) {
		uint8_t *const base = to_collapse;

		/* Refused where it finds a protected page, among other reasons. */
		if (base && !madvise(base, HUGE_ALIGN, MADV_COLLAPSE))
			count(raced_collapses, 1);
		if (base)
			to_collapse = NULL;
		else
			sleep_us(200);
	}
}

static void apply(struct field *field, enum effect effect, size_t first, size_t number)
{
	switch (effect) {
	case STAYS:
		break;
	case MAY_GO:
		for (size_t page = first; page < first + number; page++)
			if (field->marks[page] == MARK_ON)
				field->marks[page] = MARK_UNKNOWN;
		break;
	case GOES:
		set_gone(field, first, number);
		break;
	case GOES_FROM_ALL:
		set(field, 0, field->area.pages, MARK_OFF);
		break;
	}
}

static void check_of_child(const struct area *area, size_t page)
{
	const uint64_t word = pagemap_word(area_page(area, page));
	char text[60];

	if (!(word & PAGEMAP_PROTECTED))
		return;
	snprintf(text, sizeof(text), "pagemap %#llx; kind %u", (unsigned long long)word, (unsigned int)area->kind);
	run_mismatch(page, KIND_WRONG, NOT_INHERITED, "a page of a child, not protected", text);
}

static void child_body(void *argument)
{
	struct owner *parent = argument;
	struct rng rng = rng_stream(run_seed(), CHILD_REGIONS + (uint64_t)(parent - owners));

	for (size_t kind = 0; kind <= AREA_HUGE; kind++) {
		struct area area = area_of_child(&parent->fields[kind].area, &parent->snapshots[kind]);

		for (size_t page = 0; page < area.pages && !run_over(); page++) {
			check_of_child(&area, page);
			if (rng_below(&rng, 4) == 0)
				area_write(&area, page, 1);
			area_verify(&area, page, false);
			check_of_child(&area, page);
		}
	}
}

static void fork_child(struct owner *owner)
{
	child_reap(&owner->child);
	for (size_t kind = 0; kind <= AREA_HUGE; kind++)
		oracle_copy(&owner->snapshots[kind], &owner->fields[kind].area.oracle,
			    CHILD_REGIONS + (uint64_t)(owner - owners) * AREA_KINDS + kind);
	owner->child = child_start(child_body, owner);
	count(forks, 1);
}

/* One of those that say what becomes of the marks. */
static const struct deed *choose_deed(struct rng *rng, enum effect *effect)
{
	for (;;) {
		const struct deed *deed = deed_choose(rng);

		for (size_t i = 0; i < sizeof(effects) / sizeof(effects[0]); i++)
			if (!strcmp(effects[i].deed, deed->name)) {
				*effect = effects[i].effect;
				return deed;
			}
	}
}

static void do_deed(struct owner *owner, struct field *field, struct step *step)
{
	enum effect effect = STAYS;
	const struct deed *deed = choose_deed(&step->rng, &effect);

	if (!area_is(&field->area, deed->kinds))
		return;
	/* What is freed Linux 6.19 may take from a child that shares it (docs/found/). */
	if (deed->may_take_shared)
		child_reap(&owner->child);
	area_note(&field->area, deed->name, step->first, step->count);
	deed->body(step);
	if (!step->unknown)
		apply(field, effect, step->first, step->count);
}

static void do_step(struct owner *owner, struct rng rng)
{
	struct step step = { .rng = rng };
	struct field *field = &owner->fields[rng_below(&step.rng, AREA_KINDS)];

	if (rng_below(&step.rng, FORK_ONE_IN) == 0)
		fork_child(owner);
	if (!field->area.pages)
		return;
	step.area = &field->area;
	step_choose_pages(&step, pages);
	if (area_is(&field->area, 1u << AREA_HUGE) && rng_below(&step.rng, COLLAPSE_ONE_IN) == 0) {
		if (rng_below(&step.rng, 2))
			protect_during_collapse(field, &step);
		else
			split_protected_zeros(field, &step);
	}
	switch (rng_below(&step.rng, 8)) {
	case 0:
		write_pages(field, step.first, step.count);
		break;
	case 1:
	case 2:
		protect(field, step.first, step.count);
		break;
	case 3:
		lift(field, step.first, step.count);
		break;
	case 4:
		copy(field, step.first, step.count, rng_below(&step.rng, 2), rng_below(&step.rng, 2));
		break;
	default:
		do_deed(owner, field, &step);
	}
	check_all(field);
	operations_add(1);
}

static void own(struct worker *worker)
{
	struct owner *owner = &owners[worker->index];

	while (!run_over())
		do_step(owner, rng_stream(rng_next(&worker->rng), 0));
	child_reap(&owner->child);
	acting--;
}

static void look(struct worker *worker)
{
	while (!run_over()) {
		const struct owner *owner = &owners[rng_below(&worker->rng, owners_count)];
		const struct area *area = &owner->fields[rng_below(&worker->rng, AREA_KINDS)].area;

		if (area->pages)
			area_look(area, rng_below(&worker->rng, area->pages), false);
		sleep_us(rng_below(&worker->rng, 1000));
	}
}

static void visit(struct rng *rng)
{
	const struct owner *owner = &owners[rng_below(rng, owners_count)];
	const struct minor *visited = &owner->fields[rng_below(rng, AREA_KINDS)].visited;
	const size_t first = rng_below(rng, pages), number = 1 + rng_below(rng, pages - first);

	if (!visited->area)
		return;
	for (size_t page = first; page < first + number && !run_over(); page++)
		if (minor_look(visited, page, page % 8 == 0) != LOOK_RACED)
			count(visits, 1);
	if (rng_below(rng, 2))
		minor_forget(visited, first, number);
}

static void visitor(struct worker *worker)
{
	while (!run_over()) {
		visit(&worker->rng);
		sleep_us(rng_below(&worker->rng, 2000));
	}
	/* Nobody serves it from now on. */
	for (uint64_t i = 0; i < owners_count; i++)
		for (unsigned int kind = 0; kind < AREA_KINDS; kind++)
			minor_unmap(&owners[i].fields[kind].visited);
	visiting = false;
}

static void minor_server(struct worker *worker)
{
	(void)worker;
	while (visiting)
		count(continued, minor_serve(minor_uffd));
}

/* Its owner waits for the answer: nothing about the area changes meanwhile. */
static void note(uint64_t address)
{
	for (uint64_t i = 0; i < owners_count; i++)
		for (unsigned int kind = 0; kind < AREA_KINDS; kind++) {
			struct field *field = &owners[i].fields[kind];
			const uint64_t base = (uintptr_t)field->area.base;

			if (address >= base && address < base + field->area.pages * PAGE)
				field->reports[(address - base) / PAGE]++;
		}
}

static void server(struct worker *worker)
{
	(void)worker;
	while (acting)
		count(reported, uffd_serve(uffd, note));
}

static void field_new(struct field *field, unsigned int kind, uint64_t id)
{
	area_new(&field->area, kind, id, pages, uffd);
	/* As with that of an anonymous area: for its deeds it has none, but pages can be protected. */
	if (1u << kind & FILES) {
		uffd_register(uffd, field->area.base, field->area.length);
		field->area.uffd = uffd;
		if (minor_uffd >= 0)
			minor_map(&field->visited, minor_uffd, &field->area);
	}
	field->marks = locked_memory(pages);
	field->reports = locked_memory(pages * sizeof(*field->reports));
	for (size_t page = 0; page < pages; page++)
		area_write(&field->area, page, 0);
}

static void setup(void)
{
	protected_pages = counter("protected_pages");
	reported = counter("reported_writes");
	seen_swapped = counter("protected_and_swapped");
	seen_mapped = counter("protected_and_mapped");
	forks = counter("forks");
	visits = counter("visits");
	continued = counter("continued_pages");
	raced_collapses = counter("raced_collapses");
	split_zeros = counter("split_zeros");
	scanned = counter("scanned_pages");
	if (owners_count > OWNERS_MAX || !owners_count || !pages)
		run_fail("--owners and --pages");
	minor_uffd = minor_open();
	uffd = uffd_open(UFFD_FEATURE_WP_HUGETLBFS_SHMEM);
	if (uffd < 0)
		run_missing("userfaultfd with write protection of files: %m");
	for (uint64_t i = 0; i < owners_count && uffd >= 0; i++)
		for (unsigned int kind = 0; kind < AREA_KINDS; kind++) {
			/* One is enough: all of its pages are swapped out and have to come back, though few have records. */
			if (!(1u << kind & (HUGE | PRIVATE)) || (1u << kind & HUGE && i == 0 && area_huge_is_small()))
				field_new(&owners[i].fields[kind], kind, 1 + i * AREA_KINDS + kind);
			if (kind <= AREA_HUGE)
				owners[i].snapshots[kind] = oracle_new(0, pages);
		}
}

static void load(void)
{
	static struct threads threads;

	if (uffd < 0)
		return;
	acting = owners_count;
	visiting = minor_uffd >= 0;
	threads_add(&threads, 1, server, NULL);
	if (visiting) {
		threads_add(&threads, 1, minor_server, NULL);
		threads_add(&threads, 1, visitor, NULL);
	}
	threads_add(&threads, 1, collapser, NULL);
	threads_add(&threads, owners_count, own, NULL);
	threads_add(&threads, lookers, look, NULL);
	threads_add(&threads, 1, compactor, NULL);
	threads_join(&threads);
}

static void verify(void)
{
	for (uint64_t i = 0; i < owners_count; i++)
		for (unsigned int kind = 0; kind < AREA_KINDS; kind++) {
			struct field *field = &owners[i].fields[kind];

			check_all(field);
			area_verify_all(&field->area);
			area_verify_blocks(&field->area);
		}
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options,
		.steady = 1,
		.prepare = area_allow_large_folios,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
