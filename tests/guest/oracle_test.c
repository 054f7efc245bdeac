// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a page may hold: what it may is good, and all else is a mismatch. A page that is wrongly called good here would be a passed
 * run of a broken kernel.
 */
#include <stdlib.h>

#include "check.h"
#include "oracle.h"
#include "paging.h"
#include "shared.h"

#define REGION 3
#define PAGES 16

static struct oracle oracle;
static uint8_t *memory;

static void start_anew(void)
{
	memset(shared, 0, sizeof(*shared));
	shared->seed = 7;
	oracle = oracle_new(REGION, PAGES);
	memory = locked_memory(PAGES * PAGE);
}

static void *page_at(size_t page)
{
	return memory + page * PAGE;
}

static void write_all(void)
{
	for (size_t page = 0; page < PAGES; page++)
		oracle_write(&oracle, page, page_at(page), 0);
}

static bool is_good(size_t page)
{
	return oracle_verify(&oracle, page, page_at(page), true);
}

static void a_new_page_is_zeros_and_nothing_else(void)
{
	start_anew();
	CHECK(is_good(0));
	*(uint64_t *)page_at(0) = 1;
	CHECK(!is_good(0));
	CHECK(shared->mismatches[0].kind == KIND_NONZERO);
}

static void a_written_page_has_its_last_record(void)
{
	uint8_t *old = malloc(PAGE);

	start_anew();
	write_all();
	for (size_t page = 0; page < PAGES; page++)
		CHECK(is_good(page));
	memcpy(old, page_at(2), PAGE);
	oracle_write(&oracle, 2, page_at(2), 0);
	CHECK(is_good(2));
	memcpy(page_at(2), old, PAGE);
	CHECK(!is_good(2));
	CHECK(shared->mismatches[0].kind == KIND_STALE);
	memcpy(page_at(2), page_at(3), PAGE);
	CHECK(!is_good(2));
	CHECK(shared->mismatches[1].kind == KIND_FOREIGN);
	memset(page_at(2), 0, PAGE);
	CHECK(!is_good(2));
	free(old);
}

static void free_page(size_t page)
{
	oracle_begin(&oracle, page, 1);
	oracle_end(&oracle, page, 1, HOLDS_EITHER);
}

static void a_freed_page_has_its_record_or_zeros(void)
{
	start_anew();
	write_all();
	free_page(2);
	CHECK(is_good(2));
	CHECK(oracle_holds(&oracle, 2) == HOLDS_EITHER);
	memset(page_at(2), 0, PAGE);
	CHECK(is_good(2));
	CHECK_NUMBER(shared->mismatches_total, 0);
}

static void a_freed_page_has_nothing_else(void)
{
	start_anew();
	write_all();
	free_page(2);
	memset(page_at(2), 0, PAGE / 2);
	CHECK(!is_good(2));
	memcpy(page_at(2), page_at(3), PAGE);
	CHECK(!is_good(2));
}

static void a_freed_record_that_was_seen_gone_may_not_come_back(void)
{
	uint8_t *old = malloc(PAGE);

	start_anew();
	write_all();
	memcpy(old, page_at(2), PAGE);
	free_page(2);
	memset(page_at(2), 0, PAGE);
	CHECK(is_good(2));
	CHECK(oracle_holds(&oracle, 2) == HOLDS_ZEROS);
	memcpy(page_at(2), old, PAGE);
	CHECK(!is_good(2));
	free(old);
}

static void a_moved_record_is_at_its_new_place_and_left_zeros(void)
{
	start_anew();
	write_all();
	oracle_begin(&oracle, 2, 1);
	oracle_begin(&oracle, 11, 1);
	memcpy(page_at(11), page_at(2), PAGE);
	memset(page_at(2), 0, PAGE);
	oracle_end_moved(&oracle, 11, &oracle, 2);
	CHECK(is_good(11));
	CHECK(is_good(2));
	/* Its numbers are its own: what is written at the old place next is another record. */
	oracle_write(&oracle, 2, page_at(2), 0);
	CHECK(is_good(2));
	CHECK(is_good(11));
	memcpy(page_at(11), page_at(2), PAGE);
	CHECK(!is_good(11));
}

static void a_look_at_a_copy_judges_nothing_that_changed(void)
{
	uint32_t ticket;

	start_anew();
	write_all();
	ticket = oracle_ticket(&oracle, 2);
	CHECK(oracle_verify_copy(&oracle, 2, ticket, page_at(2), true) == LOOK_GOOD);
	CHECK(oracle_verify_copy(&oracle, 2, ticket, page_at(3), true) == LOOK_BAD);
	oracle_begin(&oracle, 2, 1);
	CHECK(oracle_verify_copy(&oracle, 2, ticket, page_at(3), true) == LOOK_RACED);
	CHECK(oracle_verify_copy(&oracle, 2, oracle_ticket(&oracle, 2), page_at(3), true) == LOOK_RACED);
	oracle_end(&oracle, 2, 1, HOLDS_RECORD);
	CHECK(oracle_verify_copy(&oracle, 2, ticket, page_at(3), true) == LOOK_RACED);
	CHECK(oracle_verify_copy(&oracle, 2, oracle_ticket(&oracle, 2), page_at(2), true) == LOOK_GOOD);
	CHECK_NUMBER(shared->mismatches_total, 1);
}

static void a_child_has_what_its_parent_had(void)
{
	uint8_t *own = malloc(PAGE);
	struct oracle child;

	start_anew();
	child = oracle_new(0, PAGES);
	write_all();
	free_page(4);
	memcpy(own, page_at(2), PAGE);
	oracle_copy(&child, &oracle, 9);
	oracle_write(&oracle, 2, page_at(2), 0);
	CHECK(oracle_verify(&child, 2, own, true));
	CHECK(!oracle_verify(&child, 2, page_at(2), true));
	CHECK(oracle_holds(&child, 4) == HOLDS_EITHER);
	/* Its records are not those of the parent. */
	oracle_write(&child, 2, own, 0);
	CHECK(oracle_verify(&child, 2, own, true));
	memcpy(own, page_at(2), PAGE);
	CHECK(!oracle_verify(&child, 2, own, true));
	CHECK(is_good(2));
	free(own);
}

static void a_mismatch_has_the_page_s_history(void)
{
	start_anew();
	record_history = "free(0+1)";
	*(uint64_t *)page_at(0) = 1;
	CHECK(!is_good(0));
	record_history = NULL;
	CHECK(strstr(shared->mismatches[0].seen, "; before: free(0+1)"));
}

int main(void)
{
	shared_new();
	RUN(a_new_page_is_zeros_and_nothing_else);
	RUN(a_written_page_has_its_last_record);
	RUN(a_freed_page_has_its_record_or_zeros);
	RUN(a_freed_page_has_nothing_else);
	RUN(a_freed_record_that_was_seen_gone_may_not_come_back);
	RUN(a_moved_record_is_at_its_new_place_and_left_zeros);
	RUN(a_look_at_a_copy_judges_nothing_that_changed);
	RUN(a_child_has_what_its_parent_had);
	RUN(a_mismatch_has_the_page_s_history);
	return check_result();
}
