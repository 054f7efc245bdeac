// SPDX-License-Identifier: GPL-2.0-or-later
/* What each page may hold: see oracle.h. */
#include "oracle.h"
#include "paging.h"
#include "run.h"
#include "soft-dirty.h"

struct oracle oracle_new(uint64_t region, size_t pages)
{
	return (struct oracle){ region, pages, locked_memory(pages * sizeof(struct expected_page)) };
}

void oracle_copy(struct oracle *to, const struct oracle *from, uint64_t region)
{
	to->region = region;
	for (size_t i = 0; i < to->pages && i < from->pages; i++) {
		struct expected_page *page = &to->expected[i];
		const struct expected_page *original = &from->expected[i];

		page->ticket = original->ticket + 0;
		page->holds = original->holds + 0;
		page->region = original->region + 0;
		page->page = original->page + 0;
		page->generation = original->generation + 0;
		page->written = 0;
	}
}

void oracle_begin(struct oracle *oracle, size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++) {
		atomic_fetch_add(&oracle->expected[i].ticket, 1);
		oracle->expected[i].begun = soft_dirty_round();
	}
	atomic_thread_fence(memory_order_seq_cst);
}

static void end(struct expected_page *page, enum holds holds)
{
	page->holds = holds;
	atomic_fetch_add(&page->ticket, 1);
}

void oracle_end(struct oracle *oracle, size_t first, size_t count, enum holds holds)
{
	for (size_t i = first; i < first + count; i++)
		end(&oracle->expected[i], holds);
}

struct identity oracle_next(const struct oracle *oracle, size_t page)
{
	return (struct identity){ oracle->region, page, oracle->expected[page].written + 1 };
}

static void set_identity(struct expected_page *page, const struct identity *identity)
{
	page->region = identity->region;
	page->page = identity->page;
	page->generation = identity->generation;
}

static struct identity identity_of(const struct expected_page *page)
{
	return (struct identity){ page->region, page->page, page->generation };
}

void oracle_end_written(struct oracle *oracle, size_t page)
{
	const struct identity next = oracle_next(oracle, page);

	set_identity(&oracle->expected[page], &next);
	oracle->expected[page].written++;
	oracle->expected[page].changed = oracle->expected[page].begun + 0;
	end(&oracle->expected[page], HOLDS_RECORD);
}

void oracle_end_moved(struct oracle *to, size_t to_page, struct oracle *from, size_t from_page)
{
	const struct identity moved = identity_of(&from->expected[from_page]);

	set_identity(&to->expected[to_page], &moved);
	/* Zeros that come where zeros were are nothing new. */
	if (!record_is_zero(&moved))
		to->expected[to_page].changed = to->expected[to_page].begun + 0;
	end(&to->expected[to_page], from->expected[from_page].holds);
	end(&from->expected[from_page], HOLDS_ZEROS);
}

void oracle_write(struct oracle *oracle, size_t page, void *memory, uint64_t writer)
{
	const struct identity next = oracle_next(oracle, page);

	oracle_begin(oracle, page, 1);
	record_write(memory, &next, writer);
	oracle_end_written(oracle, page);
}

enum holds oracle_holds(const struct oracle *oracle, size_t page)
{
	return oracle->expected[page].holds;
}

bool oracle_holds_data(const struct oracle *oracle, size_t page)
{
	const struct identity identity = identity_of(&oracle->expected[page]);

	return oracle->expected[page].holds == HOLDS_RECORD && !record_is_zero(&identity);
}

bool oracle_changed_in(const struct oracle *oracle, size_t page, uint32_t round)
{
	return oracle->expected[page].holds == HOLDS_RECORD && oracle->expected[page].changed == round;
}

static enum kind judge(enum holds holds, const struct identity *identity, const void *memory, bool thorough)
{
	enum kind kind;

	if (holds == HOLDS_ZEROS)
		return zero_check(memory);
	kind = record_check(memory, identity, thorough);
	return holds == HOLDS_EITHER && kind != KIND_OK && zero_check(memory) == KIND_OK ? KIND_OK : kind;
}

bool oracle_verify(struct oracle *oracle, size_t page, const void *memory, bool thorough)
{
	struct expected_page *expected = &oracle->expected[page];
	const struct identity identity = identity_of(expected);
	const enum holds holds = expected->holds;
	const enum kind kind = judge(holds, &identity, memory, thorough);

	operations_add(1);
	verified_add(1);
	if (kind != KIND_OK)
		record_complain(kind, memory, &identity, true);
	else if (holds == HOLDS_EITHER && zero_check(memory) == KIND_OK) {
		oracle_begin(oracle, page, 1);
		oracle_end(oracle, page, 1, HOLDS_ZEROS);
	}
	return kind == KIND_OK;
}

uint32_t oracle_ticket(const struct oracle *oracle, size_t page)
{
	return oracle->expected[page].ticket;
}

enum look oracle_verify_copy(const struct oracle *oracle, size_t page, uint32_t ticket, const void *copy, bool thorough)
{
	const struct expected_page *expected = &oracle->expected[page];
	const struct identity identity = identity_of(expected);
	const enum holds holds = expected->holds;
	enum kind kind;

	/* What was just read is of that ticket only if it still is the page's. */
	atomic_thread_fence(memory_order_seq_cst);
	if (ticket % 2 || expected->ticket != ticket)
		return LOOK_RACED;
	kind = judge(holds, &identity, copy, thorough);
	operations_add(1);
	verified_add(1);
	if (kind == KIND_OK)
		return LOOK_GOOD;
	record_complain(kind, copy, &identity, false);
	return LOOK_BAD;
}
