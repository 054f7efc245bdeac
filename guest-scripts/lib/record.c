// SPDX-License-Identifier: GPL-2.0-or-later
/* Page records: see record.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "shared.h"
#include "paging.h"

#define RECORD_MAGIC 0x7061746368726967u /* "patchrig" */
#define SAMPLES 8
#define DROPPED_READS_AS_ZERO \
	"madvise(2) MADV_DONTNEED, fallocate(2) FALLOC_FL_PUNCH_HOLE, truncate(2): what was dropped reads as zeros"

enum shape { SHAPE_NOISE, SHAPE_PATTERN, SHAPE_FILLED, SHAPE_ZERO };

static enum shape shape_of(const struct identity *identity)
{
	switch (identity->page % 8) {
	case 0:
	case 1:
		return SHAPE_NOISE;
	case 6:
		return SHAPE_FILLED;
	case 7:
		return identity->generation % 2 || identity->region & REGION_NO_ZEROS ? SHAPE_PATTERN : SHAPE_ZERO;
	default:
		return SHAPE_PATTERN;
	}
}

static uint64_t key_of(const struct identity *identity)
{
	return mix(mix(mix(shared->seed + identity->region) + identity->page) + identity->generation);
}

/* Random access, so that a reader may check any few words. */
static uint64_t body_word(enum shape shape, uint64_t key, unsigned int word)
{
	return shape == SHAPE_NOISE ? mix(key + word) : key + (word & 1);
}

static uint64_t seal_of(uint64_t key)
{
	return mix(~key);
}

static unsigned int body_words(void)
{
	return RECORD_WORDS - RECORD_HEADER - 1;
}

static void fill(uint64_t *words, uint64_t value)
{
	const unsigned int count = RECORD_WORDS;

	for (unsigned int i = 0; i < count; i++)
		words[i] = value;
}

bool record_is_zero(const struct identity *identity)
{
	return shape_of(identity) == SHAPE_ZERO;
}

void record_write(void *memory, const struct identity *identity, uint64_t writer)
{
	const enum shape shape = shape_of(identity);
	const uint64_t key = key_of(identity);
	const unsigned int words = body_words();
	struct record *record = memory;

	if (shape == SHAPE_ZERO || shape == SHAPE_FILLED) {
		fill(memory, shape == SHAPE_ZERO ? 0 : key);
		return;
	}
	record->magic = RECORD_MAGIC ^ identity->region;
	record->page = identity->page;
	record->generation = identity->generation;
	record->writer = writer;
	record->counter = 0;
	for (unsigned int i = 0; i < words; i++)
		record->body[i] = body_word(shape, key, i);
	record->body[words] = seal_of(key);
}

static bool all_words(const uint64_t *words, uint64_t value, bool thorough)
{
	const unsigned int count = RECORD_WORDS;
	const unsigned int step = thorough ? 1 : count / SAMPLES - 1;

	for (unsigned int i = 0; i < count; i += step)
		if (words[i] != value)
			return false;
	return words[count - 1] == value;
}

static bool same_body(const struct record *record, enum shape shape, uint64_t key, bool thorough)
{
	const unsigned int words = body_words();
	const unsigned int step = thorough ? 1 : words / SAMPLES;

	/* Where the samples lie differs from generation to generation, so that in time each word is seen. */
	for (unsigned int i = thorough ? 0 : key % step; i < words; i += step)
		if (record->body[i] != body_word(shape, key, i))
			return false;
	return record->body[words] == seal_of(key);
}

/* A page that says nothing about itself: is it what this page held a few generations ago? */
static enum kind kind_of_silent(const uint64_t *words, const struct identity *identity)
{
	struct identity old = *identity;

	for (unsigned int back = 0; back < 16 && old.generation > 0; back++) {
		old.generation--;
		if (shape_of(&old) == SHAPE_FILLED && all_words(words, key_of(&old), true))
			return KIND_STALE;
		if (shape_of(&old) == SHAPE_ZERO && all_words(words, 0, true))
			return KIND_STALE;
	}
	return KIND_WRONG;
}

/* What went wrong with a page that is not as it should be. */
static enum kind kind_of_bad(const struct record *record, const struct identity *identity)
{
	const uint64_t region = record->magic ^ RECORD_MAGIC;

	/* Region numbers are small; anything else was no record's magic. */
	if (region >> 16)
		return kind_of_silent((const uint64_t *)record, identity);
	if (region != identity->region || record->page != identity->page)
		return KIND_FOREIGN;
	if (record->generation == identity->generation)
		return KIND_TORN;
	return record->generation < identity->generation ? KIND_STALE : KIND_WRONG;
}

enum kind record_check(const void *memory, const struct identity *identity, bool thorough)
{
	const enum shape shape = shape_of(identity);
	const struct record *record = memory;
	const uint64_t key = key_of(identity);
	bool good;

	if (shape == SHAPE_ZERO || shape == SHAPE_FILLED)
		good = all_words(memory, shape == SHAPE_ZERO ? 0 : key, thorough);
	else
		good = record->magic == (RECORD_MAGIC ^ identity->region) && record->page == identity->page &&
		       record->generation == identity->generation && same_body(record, shape, key, thorough);
	return good ? KIND_OK : kind_of_bad(record, identity);
}

enum kind zero_check(const void *memory)
{
	return all_words(memory, 0, true) ? KIND_OK : KIND_NONZERO;
}

static void describe(char *text, size_t size, const struct record *record)
{
	const uint64_t *words = (const uint64_t *)record;
	const uint64_t region = record->magic ^ RECORD_MAGIC;

	if (all_words(words, words[0], true))
		snprintf(text, size, "all words %" PRIx64, words[0]);
	else if (region >> 16)
		snprintf(text, size, "%016" PRIx64 " %016" PRIx64 " %016" PRIx64 " %016" PRIx64 " ... %016" PRIx64,
			 words[0], words[1], words[2], words[3], words[RECORD_WORDS - 1]);
	else
		snprintf(text, size, "region %" PRIu64 " page %" PRIu64 " generation %" PRIu64 " writer %" PRIu64,
			 region, record->page, record->generation, record->writer);
}

_Thread_local const char *record_history;

void record_complain(enum kind kind, const void *memory, const struct identity *identity, bool mapped)
{
	static const char *const shapes[] = { "noise", "pattern", "one word", "zero" };
	char expected[160], seen[400], what[200];
	uint64_t before = 0, after = 0;
	bool heals = false;

	if (mapped)
		before = pagemap_word(memory);
	describe(what, sizeof(what), memory);
	if (mapped) {
		sleep_us(1000);
		heals = (kind == KIND_NONZERO ? zero_check(memory) : record_check(memory, identity, true)) == KIND_OK;
		after = pagemap_word(memory);
	}
	snprintf(expected, sizeof(expected), "region %" PRIu64 " page %" PRIu64 " generation %" PRIu64 " (%s)",
		 identity->region, identity->page, identity->generation, shapes[shape_of(identity)]);
	snprintf(seen, sizeof(seen), "%s; pagemap %" PRIx64 " then %" PRIx64 "; %s%s%s", what, before, after,
		 !mapped ? "a copy" : heals ? "a second look finds it right" : "a second look finds it bad",
		 record_history ? "; before: " : "", record_history ? record_history : "");
	run_mismatch(identity->page, kind, kind == KIND_NONZERO ? DROPPED_READS_AS_ZERO : HOLDS_WHAT_WAS_WRITTEN, expected, seen);
}

bool record_verify(const void *memory, const struct identity *identity, bool thorough)
{
	const enum kind kind = record_check(memory, identity, thorough);

	operations_add(1);
	verified_add(1);
	if (kind == KIND_OK)
		return true;
	record_complain(kind, memory, identity, true);
	return false;
}

struct region region_over(void *base, uint64_t id, size_t pages)
{
	return (struct region){ base, id, pages, locked_memory(pages * sizeof(uint32_t)) };
}

void *region_page(const struct region *region, size_t page)
{
	return region->base + page * PAGE;
}

struct identity region_identity(const struct region *region, size_t page)
{
	return (struct identity){ region->id, page, atomic_load(&region->shadow[page]) / 2 };
}

struct identity region_begin(struct region *region, size_t page)
{
	struct identity identity = region_identity(region, page);

	atomic_fetch_add(&region->shadow[page], 1);
	atomic_thread_fence(memory_order_seq_cst);
	identity.generation++;
	return identity;
}

void region_end(struct region *region, size_t page)
{
	atomic_fetch_add(&region->shadow[page], 1);
}

uint64_t region_write(struct region *region, size_t page, uint64_t writer)
{
	const struct identity identity = region_begin(region, page);

	record_write(region_page(region, page), &identity, writer);
	region_end(region, page);
	return identity.generation;
}

void region_fill(struct region *region)
{
	for (size_t page = 0; page < region->pages; page++) {
		region_write(region, page, 0);
		operations_add(1);
	}
}

uint32_t region_ticket(const struct region *region, size_t page)
{
	return atomic_load(&region->shadow[page]);
}

/* A verdict counts only if nobody was writing: not when we began, and not before we had finished. */
static enum look look(const struct region *region, size_t page, uint32_t ticket, const void *memory, bool thorough,
		      bool mapped)
{
	const struct identity identity = { region->id, page, ticket / 2 };
	enum kind kind;

	if (ticket % 2)
		return LOOK_RACED;
	kind = record_check(memory, &identity, thorough);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&region->shadow[page]) != ticket)
		return LOOK_RACED;
	operations_add(1);
	verified_add(1);
	if (kind == KIND_OK)
		return LOOK_GOOD;
	record_complain(kind, memory, &identity, mapped);
	return LOOK_BAD;
}

enum look region_verify_at(const struct region *region, size_t page, const void *memory, bool thorough)
{
	return look(region, page, region_ticket(region, page), memory, thorough, true);
}

enum look region_verify(const struct region *region, size_t page, bool thorough)
{
	return region_verify_at(region, page, region_page(region, page), thorough);
}

enum look region_verify_copy(const struct region *region, size_t page, uint32_t ticket, const void *copy,
			     bool thorough)
{
	return look(region, page, ticket, copy, thorough, false);
}

void region_verify_all(const struct region *region)
{
	for (size_t page = 0; page < region->pages; page++)
		region_verify(region, page, true);
}
