// SPDX-License-Identifier: GPL-2.0-or-later
/* See probe.h. */
#define _GNU_SOURCE

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe.h"

#define WORDS_MAX 4
#define NOBODY (SITES_MAX + CHANGED_MAX)

struct probe_list probe_list;

static const struct probe_failure FAILURES[] = {
	{ "returns-null", "x64", "found==0" },
	/* The other bits of the register are anything. */
	{ "returns-false", "u8", "found==0" },
	{ "returns-negative", "s32", "found<0" },
};

static bool copy(char *to, const char *from)
{
	if (!*from || strlen(from) >= NAME_SIZE)
		return false;
	strcpy(to, from);
	return true;
}

static bool add_site(const char *name, unsigned int *owner)
{
	*owner = shared->sites_count;
	return shared->sites_count < SITES_MAX && copy(shared->sites[shared->sites_count++].name, name);
}

static bool add_changed(const char *number, unsigned int *owner)
{
	*owner = SITES_MAX + shared->changed_count;
	return shared->changed_count < CHANGED_MAX && copy(shared->changed[shared->changed_count++].name, number);
}

static bool failure_named(const char *name, const struct probe_failure **failure)
{
	*failure = NULL;
	for (size_t i = 0; i < sizeof(FAILURES) / sizeof(FAILURES[0]); i++)
		if (!strcmp(FAILURES[i].name, name))
			*failure = &FAILURES[i];
	return *failure || !strcmp(name, "-");
}

/* Sites share a probe where they are seen by the same function. */
static bool add_return(struct probe_site *site, const char *function, const char *failure)
{
	struct probe_return wanted = { 0 };
	unsigned int at = 0;

	if (!copy(wanted.function, function) || !failure_named(failure, &wanted.failure))
		return false;
	while (at < probe_list.returns_count && (strcmp(probe_list.returns[at].function, function) ||
						 probe_list.returns[at].failure != wanted.failure))
		at++;
	if (at == RETURNS_MAX)
		return false;
	if (at == probe_list.returns_count)
		probe_list.returns[probe_list.returns_count++] = wanted;
	site->returns |= 1u << at;
	return true;
}

static bool number(const char *text, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 16);
	return !errno && end != text && !*end;
}

static bool add_caller(struct probe_site *site, char *const *words, unsigned int count)
{
	struct probe_caller *caller = &site->callers[site->callers_count];

	if (site->callers_count == CALLERS_MAX || !copy(caller->function, words[1]))
		return false;
	site->callers_count++;
	return count == 2 || (count == 4 && number(words[2], &caller->first) && number(words[3], &caller->end));
}

static bool add_entry(unsigned int owner, const char *place)
{
	struct probe_entry *entry = &probe_list.entries[probe_list.entries_count];

	if (probe_list.entries_count == ENTRIES_MAX || !copy(entry->place, place))
		return false;
	entry->owner = owner;
	probe_list.entries_count++;
	return true;
}

static bool take(char *const *words, unsigned int count, unsigned int *owner)
{
	struct probe_site *site = *owner < SITES_MAX ? &probe_list.sites[*owner] : NULL;

	if (count == 2 && !strcmp(words[0], "site"))
		return add_site(words[1], owner);
	if (count == 2 && !strcmp(words[0], "changed"))
		return add_changed(words[1], owner);
	if (count == 2 && !strcmp(words[0], "entry"))
		return *owner != NOBODY && add_entry(*owner, words[1]);
	if (count == 3 && !strcmp(words[0], "return"))
		return site && add_return(site, words[1], words[2]);
	if (count >= 2 && !strcmp(words[0], "from"))
		return site && add_caller(site, words, count);
	return false;
}

bool probe_list_read(const char *path, unsigned int *line)
{
	char text[400];
	unsigned int owner = NOBODY;
	bool good = true;
	FILE *file = fopen(path, "re");

	*line = 0;
	memset(&probe_list, 0, sizeof(probe_list));
	if (!file)
		return false;
	while (good && fgets(text, sizeof(text), file)) {
		char *words[WORDS_MAX + 1], *rest = text;
		unsigned int count = 0;

		++*line;
		for (char *word; count <= WORDS_MAX && (word = strsep(&rest, " \n"));)
			if (*word)
				words[count++] = word;
		good = count && count <= WORDS_MAX && take(words, count, &owner);
	}
	fclose(file);
	return good;
}
