// SPDX-License-Identifier: GPL-2.0-or-later
/* What to write to a file: see interface.h. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interface.h"

#define SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define BLANKS " \t\n"
#define LONGEST_NUMBER 40

static const char *const NUMBERS[] = {
	"0", "1", "-1", "2", "10", "100", "4096", "max", "1048576", "-2", "32767", "65536", "2147483647", "2147483648", "4294967296",
	"9223372036854775807", "9223372036854775808", "18446744073709551615", "99999999999999999999999", "0x10", "1k", "10M", "1G",
	"007", "3.5",
};

static const char *const NAMES[] = { "a", "b", "fast", "slow", "tier_1", "x0", "none", "default", "a_name_that_is_longer_than_most" };
static const char *const SEPARATORS[] = { " ", ",", ", ", "\n", "\t", ":", ";" };
static const char *const BETWEEN[] = { ":", "=", " ", "-", "/" };

/* --- words --- */

void words_add(struct words *words, const char *word)
{
	const size_t length = strlen(word);

	if (!length || length >= WORD_SIZE)
		return;
	for (unsigned int i = 0; i < words->count && i < WORDS_MAX; i++)
		if (!strcmp(words->of[i], word))
			return;
	memcpy(words->of[words->count < WORDS_MAX ? words->count : length % WORDS_MAX], word, length + 1);
	words->count += words->count < WORDS_MAX;
}

static bool is_of_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

void words_add_names(struct words *words, const char *text)
{
	while (*text) {
		char word[32];
		size_t length = 0;

		while (is_of_name(text[length]))
			length++;
		if (length && length < sizeof(word) && !isdigit((unsigned char)*text)) {
			memcpy(word, text, length);
			word[length] = 0;
			words_add(words, word);
		}
		text += length ? length : 1;
	}
}

/* --- a text that grows, and never out of its room --- */

struct text {
	char *at;
	size_t length;
};

static void add(struct text *text, const char *more, size_t length)
{
	const size_t room = VALUE_SIZE - 1 - text->length;

	if (length > room)
		length = room;
	memcpy(text->at + text->length, more, length);
	text->length += length;
	text->at[text->length] = 0;
}

static void put(struct text *text, const char *more)
{
	add(text, more, strlen(more));
}

#define ONE_OF(array, rng) ((array)[rng_below(rng, SIZE(array))])

static const char *any_word(const struct words *words, struct rng *rng)
{
	return words && words->count ? words->of[rng_below(rng, words->count)] : NULL;
}

/* --- parts of what is written --- */

/* Near a number that is there, or far from it. */
static void put_number_near(struct text *text, const char *digits, struct rng *rng)
{
	const uint64_t number = strtoull(digits, NULL, 10);
	const uint64_t near[] = { number, number / 2, number * 2, number + 1, number - 1, 0, 1 };
	char made[LONGEST_NUMBER];

	if (rng_below(rng, 3) == 0) {
		put(text, ONE_OF(NUMBERS, rng));
		return;
	}
	snprintf(made, sizeof(made), "%" PRIu64, ONE_OF(near, rng));
	put(text, made);
}

static const char *any_digits(const char *text, struct rng *rng)
{
	const char *found = "4096";

	for (unsigned int seen = 1; *text; seen++) {
		text += strcspn(text, "0123456789");
		if (*text && rng_below(rng, seen) == 0)
			found = text;
		text += strspn(text, "0123456789");
	}
	return found;
}

static void put_number(struct text *text, const struct value_source *source, struct rng *rng)
{
	if (rng_below(rng, 2))
		put(text, ONE_OF(NUMBERS, rng));
	else
		put_number_near(text, any_digits(source->text, rng), rng);
}

static void put_name(struct text *text, const struct value_source *source, struct rng *rng)
{
	const char *name = rng_below(rng, 3) ? any_word(source->names, rng) : NULL;

	put(text, name ? name : ONE_OF(NAMES, rng));
}

/* One word of what the file says, without brackets. */
static void put_token(struct text *text, const struct value_source *source, struct rng *rng)
{
	const char *at = source->text, *found = NULL;
	size_t length = 0;

	for (unsigned int seen = 1; *(at += strspn(at, BLANKS "[]")); seen++) {
		const size_t here = strcspn(at, BLANKS "[]");

		if (rng_below(rng, seen) == 0) {
			found = at;
			length = here;
		}
		at += here;
	}
	if (found)
		add(text, found, length);
	else
		put_name(text, source, rng);
}

/* --- what is written: each a way to make a text --- */

static void as_read(struct text *text, const struct value_source *source, struct rng *rng)
{
	(void)rng;
	add(text, source->text, strcspn(source->text, "\n"));
}

static void all_as_read(struct text *text, const struct value_source *source, struct rng *rng)
{
	(void)rng;
	put(text, source->text);
}

static void a_key_and_value(struct text *text, const struct value_source *source, struct rng *rng)
{
	struct text key = { text->at, text->length };

	put_token(&key, source, rng);
	/* A token that is a key and a value already gets another value. */
	text->length += strcspn(text->at + text->length, "=:");
	text->at[text->length] = 0;
	put(text, ONE_OF(BETWEEN, rng));
	if (rng_below(rng, 3))
		put_number(text, source, rng);
	else
		put_name(text, source, rng);
}

/* "+name", "-name", "name:number", "+name:number". */
static void an_item(struct text *text, const struct value_source *source, struct rng *rng)
{
	const unsigned int form = rng_below(rng, 8);

	if (form < 6)
		put(text, form % 2 ? "+" : "-");
	put_name(text, source, rng);
	if (form > 3) {
		put(text, ONE_OF(BETWEEN, rng));
		put_number(text, source, rng);
	}
}

static void a_list(struct text *text, const struct value_source *source, struct rng *rng)
{
	const char *separator = ONE_OF(SEPARATORS, rng);
	const unsigned int items = rng_between(rng, 2, 6);

	for (unsigned int i = 0; i < items; i++) {
		if (i)
			put(text, separator);
		if (rng_below(rng, 4))
			an_item(text, source, rng);
		else
			put_token(text, source, rng);
	}
}

static void a_hint(struct text *text, const struct value_source *source, struct rng *rng)
{
	const char *hint = any_word(source->hints, rng);

	if (hint)
		put(text, hint);
	else
		an_item(text, source, rng);
}

static void overlong(struct text *text, const struct value_source *source, struct rng *rng)
{
	static const unsigned int lengths[] = { 15, 16, 17, 64, 255, 300, 4095, 4096, 4097 };
	const char fill = "a1 +"[rng_below(rng, 4)];
	const size_t length = ONE_OF(lengths, rng);

	if (rng_below(rng, 2))
		an_item(text, source, rng);
	while (text->length < length)
		add(text, &fill, 1);
}

static void nothing(struct text *text, const struct value_source *source, struct rng *rng)
{
	static const char *const empty[] = { "", " ", "\n", "\t\n" };

	(void)source;
	put(text, ONE_OF(empty, rng));
}

/* Of a number, a name, or one other character. */
static size_t part_length(const char *from)
{
	if (isdigit((unsigned char)*from))
		return strspn(from, "0123456789");
	return is_of_name(*from) ? strcspn(from, BLANKS ",:=;+-/[]") : 1;
}

/* Numbers and names of a text that has a form: others in their places. */
static void another(struct text *text, const char *from, const struct value_source *source, struct rng *rng)
{
	while (*from) {
		const size_t length = part_length(from);
		const bool changes = rng_below(rng, 3) == 0;

		if (changes && isdigit((unsigned char)*from))
			put_number_near(text, from, rng);
		else if (changes && is_of_name(*from))
			put_name(text, source, rng);
		else if (strchr("+-", *from) && rng_below(rng, 6) == 0)
			put(text, *from == '+' ? "-" : "+");
		else if (rng_below(rng, 24))
			add(text, from, length);
		from += length;
	}
}

/* Of what has a form: what the file took before, what a document shows, what the file says. */
static void changed(struct text *text, const struct value_source *source, struct rng *rng)
{
	const char *from = rng_below(rng, 2) ? any_word(source->accepted, rng) : any_word(source->hints, rng);

	another(text, from ? from : source->text, source, rng);
	if (rng_below(rng, 4) == 0) {
		put(text, ONE_OF(SEPARATORS, rng));
		an_item(text, source, rng);
	}
}

static void cut(struct text *text, const struct value_source *source, struct rng *rng)
{
	a_hint(text, source, rng);
	text->length = rng_below(rng, text->length + 1);
	text->at[text->length] = 0;
}

struct way {
	void (*put)(struct text *, const struct value_source *, struct rng *);
	unsigned int weight;
};

static const struct way WAYS[] = {
	{ as_read, 3 },	   { all_as_read, 1 }, { put_token, 4 }, { put_number, 6 }, { a_key_and_value, 3 }, { an_item, 4 },
	{ a_list, 3 },	   { a_hint, 4 },      { changed, 8 },	 { cut, 1 },	    { overlong, 1 },	    { nothing, 1 },
};

size_t value_make(char to[VALUE_SIZE], const struct value_source *source, struct rng *rng)
{
	struct text text = { to, 0 };
	unsigned int all = 0, chosen;
	const struct way *way = WAYS;

	for (size_t i = 0; i < SIZE(WAYS); i++)
		all += WAYS[i].weight;
	for (chosen = rng_below(rng, all); chosen >= way->weight; way++)
		chosen -= way->weight;
	to[0] = 0;
	way->put(&text, source, rng);
	if (rng_below(rng, 2))
		put(&text, "\n");
	return text.length;
}

void value_chosen(char *to, size_t size, const char *text)
{
	const char *open = strchr(text, '['), *close = open ? strchr(open, ']') : NULL;

	if (close)
		snprintf(to, size, "%.*s", (int)(close - open - 1), open + 1);
	else
		snprintf(to, size, "%s", text);
}

bool is_plain_text(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!isprint((unsigned char)text[i]) && !isspace((unsigned char)text[i]))
			return false;
	return true;
}
