// SPDX-License-Identifier: GPL-2.0-or-later
/* What is written to a file: forms that can be told from what is known of it, and never more than there is room for. */
#include "check.h"
#include "interface.h"

#define TRIES 60000

static struct words hints, names, accepted;
static const char *text;

/* Whether this is among many texts, with or without a line end. */
static bool makes(const char *wanted)
{
	const struct value_source source = { text, &hints, &names, &accepted };
	struct rng rng = rng_stream(7, 0);
	char value[VALUE_SIZE];

	for (unsigned int i = 0; i < TRIES; i++) {
		const size_t size = value_make(value, &source, &rng);

		CHECK(size == strlen(value) && size < VALUE_SIZE && is_plain_text(value, size));
		if (size && value[size - 1] == '\n' && (strlen(wanted) < size || !*wanted))
			value[size - 1] = 0;
		if (!strcmp(value, wanted))
			return true;
	}
	return false;
}

static void forget(const char *of_file)
{
	text = of_file;
	hints.count = names.count = accepted.count = 0;
}

static void of_a_number_others_are_made(void)
{
	static const char *const wanted[] = { "300", "150", "600", "301", "299", "0", "1", "-1", "max", "18446744073709551615", "" };

	forget("300\n");
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		CHECK(makes(wanted[i]));
}

static void of_words_each_is_written(void)
{
	forget("always [madvise] never\n");
	CHECK(makes("always") && makes("madvise") && makes("never") && makes("always [madvise] never"));
}

static void names_have_signs_and_numbers(void)
{
	forget("Name Idx\n");
	words_add(&names, "HDD");
	CHECK(makes("HDD") && makes("+HDD") && makes("-HDD") && makes("+HDD:1") && makes("HDD:-1") && makes("HDD=max"));
}

static void a_key_gets_another_value(void)
{
	forget("8:0 rbps=100\n");
	CHECK(makes("rbps=0") && makes("rbps=200"));
}

static void hints_are_written_as_they_are_and_with_other_parts(void)
{
	forget("");
	words_add(&hints, "+HDD:50, +NET:-1");
	CHECK(makes("+HDD:50, +NET:-1") && makes("+HDD:100, +NET:-1") && makes("-HDD:50, +NET:-1") && makes("+HDD:50, +a:-1") &&
	      makes("+HDD"));
}

static void what_a_file_took_is_changed(void)
{
	forget("");
	words_add(&accepted, "width 16");
	CHECK(makes("width 32") && makes("width 16"));
}

static void long_texts_are_cut(void)
{
	static char large[2 * VALUE_SIZE];

	memset(large, '9', sizeof(large) - 1);
	forget(large);
	CHECK(!makes("no such text"));
	memset(large, ' ', sizeof(large) - 1);
	forget(large);
	CHECK(!makes("no such text"));
}

static void words_are_kept_once_and_the_last_ones_stay(void)
{
	struct words words = { 0 };
	char word[WORD_SIZE + 1];

	words_add(&words, "a");
	words_add(&words, "a");
	words_add(&words, "");
	CHECK_NUMBER(words.count, 1);
	memset(word, 'b', WORD_SIZE);
	word[WORD_SIZE] = 0;
	words_add(&words, word);
	CHECK_NUMBER(words.count, 1);
	for (unsigned int i = 0; i < 3 * WORDS_MAX; i++) {
		snprintf(word, sizeof(word), "w%u", i);
		words_add(&words, word);
	}
	CHECK_NUMBER(words.count, WORDS_MAX);
}

static void names_of_a_text_are_its_words_without_numbers(void)
{
	struct words words = { 0 };

	words_add_names(&words, "Name Idx\nHDD_1 0 50 0x10\n+NET:-1 a_word_that_is_longer_than_a_name_can_be");
	CHECK_NUMBER(words.count, 4);
	CHECK_TEXT(words.of[2], "HDD_1");
	CHECK_TEXT(words.of[3], "NET");
}

static void a_setting_is_restored_by_the_word_in_brackets(void)
{
	char to[16];

	value_chosen(to, sizeof(to), "always [madvise] never\n");
	CHECK_TEXT(to, "madvise");
	value_chosen(to, sizeof(to), "17\n");
	CHECK_TEXT(to, "17\n");
	value_chosen(to, sizeof(to), "a [b");
	CHECK_TEXT(to, "a [b");
}

static void text_has_no_other_characters(void)
{
	CHECK(is_plain_text("a 1\t~\n", 6));
	CHECK(!is_plain_text("a\0b", 3));
	CHECK(!is_plain_text("\xff", 1));
	CHECK(is_plain_text("a\0b", 1));
}

int main(void)
{
	RUN(of_a_number_others_are_made);
	RUN(of_words_each_is_written);
	RUN(names_have_signs_and_numbers);
	RUN(a_key_gets_another_value);
	RUN(hints_are_written_as_they_are_and_with_other_parts);
	RUN(what_a_file_took_is_changed);
	RUN(long_texts_are_cut);
	RUN(words_are_kept_once_and_the_last_ones_stay);
	RUN(names_of_a_text_are_its_words_without_numbers);
	RUN(a_setting_is_restored_by_the_word_in_brackets);
	RUN(text_has_no_other_characters);
	return check_result();
}
