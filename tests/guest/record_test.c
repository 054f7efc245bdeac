// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Page records: a page as it was written is good, and whatever else may be in its place is not, and is called by its name. A
 * page that is wrongly called good here would be a passed run of a broken kernel.
 */
#include <stdlib.h>

#include "check.h"
#include "fake_kernel.h"
#include "paging.h"
#include "shared.h"

#define MAGIC 0x7061746368726967u
#define REGION 3u
#define BODY (RECORD_WORDS - 6)
#define FIRST_BODY_WORD 5
#define WRITER_WORD 3
#define COUNTER_WORD 4
#define LAST (RECORD_WORDS - 1)

/* Of 64 KiB, whose first PAGE bytes are used: the test is run with each size of a page. */
#define WORDS_MOST 8192
typedef uint64_t page_words[WORDS_MOST];

/* The words of a page to be tried, from one to the next: all of a small page; of a large one both ends, and some between. */
static unsigned int next_word(unsigned int word)
{
	const unsigned int sizes = RECORD_WORDS / 512, step = sizes > 1 ? sizes * sizes - 1 : 1;

	if (word < 8 || word >= LAST)
		return word + 1;
	return word + step < LAST ? word + step : LAST;
}

static struct identity identity_of(uint64_t page, uint64_t generation)
{
	return (struct identity){ REGION, page, generation };
}

/* Records with a header; the others say nothing about themselves. */
static bool has_header(const struct identity *identity)
{
	return identity->page % 8 != 6 && !record_is_zero(identity);
}

static const char *name_of(enum kind kind)
{
	static const char *const names[] = { "ok", "wrong", "stale", "torn", "foreign", "nonzero", "lost-update" };

	return names[kind];
}

static void check_kind(enum kind seen, enum kind expected, const struct identity *identity, const char *how, long where)
{
	if (seen == expected)
		return;
	failed_checks++;
	fprintf(stderr, "%s: page %lu generation %lu %s %ld: %s, not %s\n", running_test, identity->page,
		identity->generation, how, where, name_of(seen), name_of(expected));
}

static enum kind seen_as(const page_words words, const struct identity *identity)
{
	return record_check(words, identity, true);
}

static void a_record_fills_a_page(void)
{
	const struct identity identity = identity_of(0, 1);
	page_words words;

	memset(words, 0xa5, sizeof(words));
	record_write(words, &identity, 0);
	for (unsigned int word = RECORD_WORDS; word < WORDS_MOST; word++)
		CHECK_NUMBER(words[word], 0xa5a5a5a5a5a5a5a5);
	for (unsigned int word = FIRST_BODY_WORD; word < RECORD_WORDS; word++)
		CHECK(words[word] != 0xa5a5a5a5a5a5a5a5);
}

static void a_page_as_written_is_good(void)
{
	page_words words;

	for (uint64_t page = 0; page < 40; page++)
		for (uint64_t generation = 0; generation < 40; generation++) {
			const struct identity identity = { page % 3 + (page % 2 ? REGION_NO_ZEROS : 0), page, generation };

			memset(words, 0xa5, sizeof(words));
			record_write(words, &identity, page);
			check_kind(record_check(words, &identity, true), KIND_OK, &identity, "thorough", 0);
			check_kind(record_check(words, &identity, false), KIND_OK, &identity, "samples", 0);
		}
}

static void the_shapes_are_what_the_header_says(void)
{
	const struct identity zero = identity_of(7, 2), later = identity_of(7, 3), one_word = identity_of(6, 1);
	const struct identity no_zeros = { REGION | REGION_NO_ZEROS, 7, 2 };
	page_words words, none = { 0 };

	record_write(words, &zero, 1);
	CHECK(record_is_zero(&zero) && !memcmp(words, none, PAGE));
	CHECK(!record_is_zero(&later) && !record_is_zero(&no_zeros) && !record_is_zero(&one_word));
	record_write(words, &one_word, 1);
	CHECK(words[0] && !memcmp(words, words + 1, PAGE - sizeof(words[0])));
	record_write(words, &no_zeros, 1);
	CHECK(words[0] && words[FIRST_BODY_WORD] != words[FIRST_BODY_WORD + 1]);
	CHECK(words[FIRST_BODY_WORD] == words[FIRST_BODY_WORD + 2]);
}

static void noise_has_no_word_twice(void)
{
	const struct identity identity = identity_of(0, 1);
	page_words words;

	record_write(words, &identity, 0);
	for (unsigned int i = FIRST_BODY_WORD; i < RECORD_WORDS; i++)
		for (unsigned int j = FIRST_BODY_WORD; j < i; j++)
			CHECK(words[i] != words[j]);
}

/* What a change of one word of a record is to be called. */
static enum kind kind_of_damage(unsigned int word, unsigned int bit, const struct identity *identity)
{
	if (!has_header(identity))
		return KIND_WRONG;
	switch (word) {
	case 0:
		return bit < 16 ? KIND_FOREIGN : KIND_WRONG;
	case 1:
		return KIND_FOREIGN;
	case 2:
		return identity->generation >> bit & 1 ? KIND_STALE : KIND_WRONG;
	case WRITER_WORD:
	case COUNTER_WORD:
		return KIND_OK; /* not judged */
	default:
		return KIND_TORN;
	}
}

static void one_bit_anywhere_is_seen(void)
{
	static const unsigned int bits[] = { 0, 2, 15, 16, 31, 63 };
	page_words words;

	for (uint64_t page = 0; page < 8; page++)
		for (uint64_t generation = 4; generation < 6; generation++) {
			const struct identity identity = identity_of(page, generation);

			record_write(words, &identity, 0);
			for (unsigned int word = 0; word < RECORD_WORDS; word = next_word(word))
				for (unsigned int i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
					words[word] ^= 1ull << bits[i];
					check_kind(seen_as(words, &identity), kind_of_damage(word, bits[i], &identity),
						   &identity, "word", word);
					words[word] ^= 1ull << bits[i];
				}
		}
}

static void an_earlier_generation_is_stale(void)
{
	page_words words;

	for (uint64_t page = 0; page < 8; page++)
		for (uint64_t generation = 1; generation < 20; generation++)
			for (uint64_t back = 1; back <= generation; back++) {
				const struct identity now = identity_of(page, generation);
				const struct identity old = identity_of(page, generation - back);
				enum kind expected = KIND_STALE;

				/* All zeros tell no generation from another; that is what makes them worth a test. */
				if (record_is_zero(&now) && record_is_zero(&old))
					continue;
				/* Further back it is not looked for. */
				if (page == 6 && back > 16)
					expected = KIND_WRONG;
				record_write(words, &old, 0);
				check_kind(record_check(words, &now, true), expected, &now, "back", (long)back);
				check_kind(record_check(words, &now, false), expected, &now, "back, samples", (long)back);
			}
}

static void an_earlier_generation_with_a_wrong_word_is_wrong(void)
{
	page_words words;

	for (uint64_t page = 6; page < 8; page++)
		for (unsigned int word = 0; word < RECORD_WORDS; word = next_word(word)) {
			const struct identity now = identity_of(page, 5), old = identity_of(page, 4);

			record_write(words, &old, 0);
			words[word] ^= 1ull << 40;
			check_kind(seen_as(words, &now), KIND_WRONG, &now, "word", word);
		}
}

static void a_later_generation_is_wrong(void)
{
	page_words words;

	for (uint64_t page = 0; page < 8; page++) {
		const struct identity now = identity_of(page, 5), next = identity_of(page, 7);

		record_write(words, &next, 0);
		check_kind(seen_as(words, &now), KIND_WRONG, &now, "next", 0);
		check_kind(record_check(words, &now, false), KIND_WRONG, &now, "next, samples", 0);
	}
}

static void another_page_is_foreign(void)
{
	page_words words;

	for (uint64_t page = 0; page < 16; page++)
		for (uint64_t other = 0; other < 16; other++) {
			const struct identity own = identity_of(page, 4), foreign = identity_of(other, 4);
			/* One word all over says not whose it is. */
			const enum kind expected = has_header(&foreign) ? KIND_FOREIGN : KIND_WRONG;

			if (page == other || (record_is_zero(&own) && record_is_zero(&foreign)))
				continue;
			record_write(words, &foreign, 0);
			/* All zeros are what page 7 held before, too. */
			if (page % 8 == 7 && record_is_zero(&foreign))
				continue;
			check_kind(record_check(words, &own, true), expected, &own, "other", (long)other);
			check_kind(record_check(words, &own, false), expected, &own, "other, samples", (long)other);
		}
}

static void the_page_of_another_region_is_foreign(void)
{
	page_words words;

	for (uint64_t page = 0; page < 8; page++) {
		const struct identity own = identity_of(page, 5), foreign = { REGION + 1, page, 5 };

		record_write(words, &foreign, 0);
		check_kind(seen_as(words, &own), has_header(&foreign) ? KIND_FOREIGN : KIND_WRONG, &own, "region", 0);
		check_kind(record_check(words, &own, false), has_header(&foreign) ? KIND_FOREIGN : KIND_WRONG, &own,
			   "region, samples", 0);
	}
}

/* The same place of the same run of another seed: a page that outlived its guest. */
static void the_page_of_another_seed_is_torn(void)
{
	page_words words;

	for (uint64_t page = 0; page < 7; page++) {
		const struct identity identity = identity_of(page, 5);

		shared->seed = 8;
		record_write(words, &identity, 0);
		shared->seed = 7;
		check_kind(seen_as(words, &identity), has_header(&identity) ? KIND_TORN : KIND_WRONG, &identity, "seed", 0);
		CHECK(record_check(words, &identity, false) != KIND_OK);
	}
}

/* What a split at each word is to be called, new data first. */
static enum kind kind_of_split(unsigned int split, const struct identity *now, const struct identity *old)
{
	if (has_header(now) && has_header(old))
		return split > 2 ? KIND_TORN : KIND_STALE;
	if (has_header(now) && split > 2)
		return KIND_TORN;
	return KIND_OK; /* which one is not said: any but KIND_OK */
}

static void a_page_of_two_generations_is_never_good(void)
{
	page_words now_words, old_words, words;

	for (uint64_t page = 0; page < 8; page++)
		for (unsigned int split = 1; split < RECORD_WORDS; split = next_word(split)) {
			const struct identity now = identity_of(page, 5), old = identity_of(page, 4);
			const enum kind expected = kind_of_split(split, &now, &old);

			record_write(now_words, &now, 0);
			record_write(old_words, &old, 0);
			memcpy(words, now_words, split * 8);
			memcpy(words + split, old_words + split, PAGE - split * 8);
			if (expected == KIND_OK)
				CHECK(seen_as(words, &now) != KIND_OK);
			else
				check_kind(seen_as(words, &now), expected, &now, "split", split);
			/* The tail is always looked at. */
			CHECK(record_check(words, &now, false) != KIND_OK);
			memcpy(words, old_words, split * 8);
			memcpy(words + split, now_words + split, PAGE - split * 8);
			/* The first two words of a record are those of all its generations. */
			if (split <= 2 && has_header(&now) && has_header(&old))
				continue;
			CHECK(seen_as(words, &now) != KIND_OK);
			CHECK(record_check(words, &now, false) != KIND_OK);
		}
}

static void what_is_no_record_is_wrong(void)
{
	struct rng rng = rng_stream(1, 1);
	page_words words;

	for (uint64_t page = 0; page < 7; page++) {
		const struct identity identity = identity_of(page, 5);

		for (unsigned int i = 0; i < RECORD_WORDS; i++)
			words[i] = rng_next(&rng);
		check_kind(seen_as(words, &identity), KIND_WRONG, &identity, "noise", 0);
		memset(words, 0xff, sizeof(words));
		check_kind(seen_as(words, &identity), KIND_WRONG, &identity, "ones", 0);
		memset(words, 0, sizeof(words));
		check_kind(seen_as(words, &identity), KIND_WRONG, &identity, "zeros", 0);
		check_kind(record_check(words, &identity, false), KIND_WRONG, &identity, "zeros, samples", 0);
	}
}

/* A quick look sees the head, the tail and some of the body; which ones changes, so that in time it sees every word. */
static void quick_looks_see_every_word_in_time(void)
{
	static bool seen[4][WORDS_MOST];
	page_words words;

	/* A larger page has more words and as many samples. */
	for (uint64_t generation = 1; generation < 600 * (PAGE / 4096); generation++)
		for (uint64_t page = 0; page < 4; page++) {
			const struct identity identity = identity_of(page, generation);

			record_write(words, &identity, 0);
			for (unsigned int word = 0; word < RECORD_WORDS; word = next_word(word)) {
				if (word == WRITER_WORD || word == COUNTER_WORD)
					continue;
				words[word] ^= 1;
				if (record_check(words, &identity, false) != KIND_OK)
					seen[page][word] = true;
				else if (word <= 2 || word == LAST)
					check_kind(KIND_OK, KIND_WRONG, &identity, "head or tail", word);
				words[word] ^= 1;
			}
		}
	for (uint64_t page = 0; page < 4; page++)
		for (unsigned int word = FIRST_BODY_WORD; word < RECORD_WORDS; word = next_word(word))
			CHECK(seen[page][word]);
}

static void a_quick_look_compares_eight_words_of_the_body(void)
{
	const struct identity identity = identity_of(0, 5);
	unsigned int seen = 0;
	page_words words;

	record_write(words, &identity, 0);
	for (unsigned int word = FIRST_BODY_WORD; word < FIRST_BODY_WORD + BODY; word++) {
		words[word] ^= 1;
		seen += record_check(words, &identity, false) != KIND_OK;
		words[word] ^= 1;
	}
	CHECK(seen == 8 || seen == 9);
}

static void a_quick_look_at_one_word_all_over_sees_its_samples(void)
{
	for (uint64_t page = 6; page < 8; page++) {
		const struct identity identity = identity_of(page, 4);
		unsigned int seen = 0;
		page_words words;

		record_write(words, &identity, 0);
		for (unsigned int word = 0; word < RECORD_WORDS; word++) {
			words[word] ^= 1;
			seen += record_check(words, &identity, false) != KIND_OK;
			words[word] ^= 1;
		}
		CHECK(seen >= 9);
		words[LAST] ^= 1;
		CHECK(record_check(words, &identity, false) != KIND_OK);
	}
}

static void no_two_pages_are_alike(void)
{
	page_words words, others;

	for (uint64_t page = 0; page < 7; page++)
		for (uint64_t generation = 1; generation < 8; generation++) {
			const struct identity one = identity_of(page, generation), two = identity_of(page + 8, generation);

			record_write(words, &one, 0);
			record_write(others, &two, 0);
			CHECK(words[LAST] != others[LAST]);
			CHECK(words[FIRST_BODY_WORD] != others[FIRST_BODY_WORD]);
		}
}

static void a_hole_must_be_all_zero(void)
{
	page_words words = { 0 };

	CHECK_NUMBER(zero_check(words), KIND_OK);
	for (unsigned int word = 0; word < RECORD_WORDS; word = next_word(word))
		for (unsigned int bit = 0; bit < 64; bit += 21) {
			words[word] = 1ull << bit;
			CHECK_NUMBER(zero_check(words), KIND_NONZERO);
			words[word] = 0;
		}
}

static struct region new_region(size_t pages)
{
	shared->mismatches_count = 0;
	shared->mismatches_total = shared->verified = shared->operations = 0;
	shared->found = false;
	return region_over(locked_memory(pages * PAGE), REGION, pages);
}

static void a_region_is_verified_page_by_page(void)
{
	struct region region = new_region(24);

	region_fill(&region);
	CHECK_NUMBER(shared->operations, 24);
	region_verify_all(&region);
	CHECK_NUMBER(shared->verified, 24);
	CHECK_NUMBER(shared->operations, 48);
	CHECK_NUMBER(shared->mismatches_total, 0);
	CHECK(!shared->found);
	CHECK_NUMBER(region_write(&region, 5, 0), 2);
	CHECK_NUMBER(region_identity(&region, 5).generation, 2);
	CHECK_NUMBER(region_verify(&region, 5, false), LOOK_GOOD);
}

static void each_bad_page_of_a_region_is_noted(void)
{
	for (size_t page = 0; page < 16; page++) {
		struct region region = new_region(16);

		region_fill(&region);
		((uint64_t *)region_page(&region, page))[LAST] ^= 1;
		region_verify_all(&region);
		CHECK_NUMBER(shared->verified, 16);
		CHECK_NUMBER(shared->mismatches_total, 1);
		CHECK_NUMBER(shared->mismatches[0].page, page);
		CHECK(shared->found);
	}
}

/* The last look at all pages is at all words. */
static void the_last_look_sees_every_word(void)
{
	for (unsigned int word = FIRST_BODY_WORD; word < RECORD_WORDS; word = next_word(word)) {
		struct region region = new_region(1);

		region_fill(&region);
		((uint64_t *)region_page(&region, 0))[word] ^= 1;
		region_verify_all(&region);
		CHECK_NUMBER(shared->mismatches_total, 1);
	}
}

static void a_mismatch_says_what_is_there_and_what_should_be(void)
{
	struct region region = new_region(8);
	struct identity old = identity_of(2, 1);
	page_words copy;

	region_fill(&region);
	region_write(&region, 2, 0);
	record_write(region_page(&region, 2), &old, 9);
	CHECK_NUMBER(region_verify(&region, 2, true), LOOK_BAD);
	CHECK_NUMBER(shared->mismatches[0].kind, KIND_STALE);
	CHECK_TEXT(shared->mismatches[0].expected, "region 3 page 2 generation 2 (pattern)");
	CHECK_TEXT(shared->mismatches[0].seen,
		   "region 3 page 2 generation 1 writer 9; pagemap 0 then 0; a second look finds it bad");
	memset(copy, 0xff, sizeof(copy));
	CHECK_NUMBER(region_verify_copy(&region, 6, region_ticket(&region, 6), copy, true), LOOK_BAD);
	CHECK_NUMBER(shared->mismatches[1].kind, KIND_WRONG);
	CHECK_TEXT(shared->mismatches[1].expected, "region 3 page 6 generation 1 (one word)");
	CHECK_TEXT(shared->mismatches[1].seen, "all words ffffffffffffffff; pagemap 0 then 0; a copy");
	copy[0] = MAGIC << 1;
	CHECK_NUMBER(region_verify_copy(&region, 1, region_ticket(&region, 1), copy, true), LOOK_BAD);
	CHECK(!strncmp(shared->mismatches[2].seen, "e0c2e8c6d0e4d2ce ffffffffffffffff ", 34));
}

static void while_a_page_is_written_nothing_is_said_of_it(void)
{
	struct region region = new_region(8);
	struct identity next;
	uint32_t ticket;
	page_words copy;

	region_fill(&region);
	ticket = region_ticket(&region, 3);
	memcpy(copy, region_page(&region, 3), PAGE);
	next = region_begin(&region, 3);
	CHECK_NUMBER(next.generation, 2);
	CHECK_NUMBER(region_verify(&region, 3, true), LOOK_RACED);
	CHECK_NUMBER(region_verify_copy(&region, 3, region_ticket(&region, 3), copy, true), LOOK_RACED);
	/* A write came in between the read and the look: good or bad, it says nothing. */
	CHECK_NUMBER(region_verify_copy(&region, 3, ticket, copy, true), LOOK_RACED);
	record_write(region_page(&region, 3), &next, 0);
	region_end(&region, 3);
	CHECK_NUMBER(region_verify_copy(&region, 3, ticket, copy, true), LOOK_RACED);
	CHECK_NUMBER(shared->verified, 0);
	CHECK_NUMBER(shared->mismatches_total, 0);
	CHECK_NUMBER(region_verify(&region, 3, true), LOOK_GOOD);
	/* With a ticket of now it is the old page, and bad. */
	CHECK_NUMBER(region_verify_copy(&region, 3, region_ticket(&region, 3), copy, true), LOOK_BAD);
	CHECK_NUMBER(shared->mismatches[0].kind, KIND_STALE);
	CHECK_NUMBER(shared->verified, 2);
}

static void a_page_may_be_verified_where_else_it_is_mapped(void)
{
	struct region region = new_region(8);
	page_words elsewhere;

	region_fill(&region);
	memcpy(elsewhere, region_page(&region, 1), PAGE);
	CHECK_NUMBER(region_verify_at(&region, 1, elsewhere, true), LOOK_GOOD);
	elsewhere[LAST] ^= 1;
	CHECK_NUMBER(region_verify_at(&region, 1, elsewhere, true), LOOK_BAD);
	CHECK_NUMBER(shared->mismatches[0].kind, KIND_TORN);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		page_size_set(atoi(argv[1]));
	shared_new();
	shared->seed = 7;
	clock_set(1);
	RUN(a_record_fills_a_page);
	RUN(a_page_as_written_is_good);
	RUN(the_shapes_are_what_the_header_says);
	RUN(noise_has_no_word_twice);
	RUN(one_bit_anywhere_is_seen);
	RUN(an_earlier_generation_is_stale);
	RUN(an_earlier_generation_with_a_wrong_word_is_wrong);
	RUN(a_later_generation_is_wrong);
	RUN(another_page_is_foreign);
	RUN(the_page_of_another_region_is_foreign);
	RUN(the_page_of_another_seed_is_torn);
	RUN(a_page_of_two_generations_is_never_good);
	RUN(what_is_no_record_is_wrong);
	RUN(quick_looks_see_every_word_in_time);
	RUN(a_quick_look_compares_eight_words_of_the_body);
	RUN(a_quick_look_at_one_word_all_over_sees_its_samples);
	RUN(no_two_pages_are_alike);
	RUN(a_hole_must_be_all_zero);
	RUN(a_region_is_verified_page_by_page);
	RUN(each_bad_page_of_a_region_is_noted);
	RUN(the_last_look_sees_every_word);
	RUN(a_mismatch_says_what_is_there_and_what_should_be);
	RUN(while_a_page_is_written_nothing_is_said_of_it);
	RUN(a_page_may_be_verified_where_else_it_is_mapped);
	return check_result();
}
