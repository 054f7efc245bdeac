// SPDX-License-Identifier: GPL-2.0-or-later
/* Whatever is done with an area, in any order, the oracle is right about it; on the host's kernel, which swaps nothing out here. */
#include "check.h"
#include "deeds.h"
#include "fake_kernel.h"
#include "shared.h"

#define PAGES 24
#define STEPS 500

static struct area areas[AREA_KINDS], others[AREA_KINDS];

static void start_anew(void)
{
	memset(shared, 0, sizeof(*shared));
	shared->seed = 7;
	kernel_file("/proc/self/maps", "0-ffffffffffffffff rw-p\n");
	/* Without userfaultfd, which a host may forbid. */
	for (unsigned int kind = 0; kind < AREA_KINDS; kind++) {
		area_new(&areas[kind], kind, 1 + kind, PAGES, -1);
		area_new(&others[kind], kind, 11 + kind, PAGES, -1);
	}
}

static void do_one(const struct deed *deed, unsigned int kind, struct rng rng)
{
	struct step step = { .area = &areas[kind], .other = &others[kind], .rng = rng };

	step.first = rng_below(&step.rng, PAGES);
	step.count = rng_between(&step.rng, 1, PAGES - step.first);
	area_note(step.area, deed->name, step.first, step.count);
	deed->body(&step);
}

static void no_order_of_deeds_makes_the_oracle_wrong(void)
{
	struct rng rng = rng_stream(1, 1);
	uint64_t seen = 0;

	start_anew();
	for (unsigned int i = 0; i < STEPS && !shared->found; i++) {
		const struct deed *deed = deed_choose(&rng);
		const unsigned int kind = rng_below(&rng, AREA_KINDS);

		if (!(deed->kinds & 1u << kind))
			continue;
		do_one(deed, kind, rng_stream(rng_next(&rng), 0));
		area_verify_all(&areas[kind]);
		seen |= 1ull << (deed - deeds);
	}
	CHECK_NUMBER(shared->mismatches_total, 0);
	CHECK_NUMBER(shared->errors_count, 0);
	CHECK(seen);
}

static void each_deed_is_for_some_kind_of_area_and_has_its_weight(void)
{
	for (size_t i = 0; i < deeds_count; i++) {
		CHECK(deeds[i].kinds && !(deeds[i].kinds & ~(ANONYMOUS | PRIVATE | FILES)));
		CHECK(deeds[i].weight && deeds[i].body && deeds[i].name[0]);
		for (size_t j = 0; j < i; j++)
			CHECK(strcmp(deeds[i].name, deeds[j].name));
	}
}

static void each_deed_is_chosen_sooner_or_later_and_the_same_with_the_same_seed(void)
{
	struct rng first = rng_stream(5, 5), second = rng_stream(5, 5);
	uint64_t seen = 0;

	for (unsigned int i = 0; i < 5000; i++) {
		const struct deed *deed = deed_choose(&first);

		CHECK(deed == deed_choose(&second));
		seen |= 1ull << (deed - deeds);
	}
	CHECK_NUMBER(seen, (1ull << deeds_count) - 1);
}

static void one_of_some_deeds_is_one_of_these(void)
{
	static const char *const names[] = { "drop", "lock" };
	struct rng rng = rng_stream(6, 6);
	unsigned int drops = 0, locks = 0;

	for (unsigned int i = 0; i < 200; i++) {
		const struct deed *deed = deed_choose_of(&rng, names, 2);

		drops += !strcmp(deed->name, "drop");
		locks += !strcmp(deed->name, "lock");
	}
	CHECK(drops && locks);
	CHECK_NUMBER(drops + locks, 200);
}

static void the_pages_of_a_step_are_pages_of_its_area(void)
{
	struct step step = { .rng = rng_stream(8, 8) };

	for (unsigned int i = 0; i < 1000; i++) {
		step_choose_pages(&step, PAGES);
		CHECK(step.count && step.first + step.count <= PAGES);
	}
}

static void all_of_an_area_may_be_dropped_and_what_is_behind_its_records(void)
{
	static const unsigned int kinds[] = { AREA_HUGE, AREA_FILE_HUGE };

	start_anew();
	for (size_t i = 0; i < 2; i++) {
		struct area *area = &areas[kinds[i]];
		uint8_t *behind = area_page(area, PAGES);

		for (size_t page = 0; page < PAGES; page++)
			area_write(area, page, 0);
		behind[0] = behind[PAGE] = 1;
		area_drop_behind(area, PAGES);
		CHECK_NUMBER(behind[0], 0);
		CHECK_NUMBER(behind[PAGE], 1);
		area_verify_all(area);
		area_drop_all(area);
		CHECK_NUMBER(behind[PAGE], 0);
		area_verify_all(area);
	}
	CHECK_NUMBER(shared->mismatches_total, 0);
	CHECK_NUMBER(shared->errors_count, 0);
}

int main(void)
{
	shared_new();
	RUN(no_order_of_deeds_makes_the_oracle_wrong);
	RUN(each_deed_is_for_some_kind_of_area_and_has_its_weight);
	RUN(each_deed_is_chosen_sooner_or_later_and_the_same_with_the_same_seed);
	RUN(one_of_some_deeds_is_one_of_these);
	RUN(the_pages_of_a_step_are_pages_of_its_area);
	RUN(all_of_an_area_may_be_dropped_and_what_is_behind_its_records);
	return check_result();
}
