/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files by which user space reads and sets what the kernel does: where they are, what may be done with them, what to write. */
#ifndef PATCHRIG_INTERFACE_H
#define PATCHRIG_INTERFACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "rng.h"
#include "run.h"

#define PATH_SIZE 200
#define PATHS_MAX 256
#define WORD_SIZE 160
#define WORDS_MAX 48
/* A file of sysfs has a page at most, and the kernel cuts what is written there. */
#define VALUE_SIZE 5000

struct paths {
	unsigned int count;
	char of[PATHS_MAX][PATH_SIZE];
};

struct words {
	unsigned int count;
	char of[WORDS_MAX][WORD_SIZE];
};

/* --- interface-rules.c: a table --- */

enum may { MAY_ALL, MAY_WRITE_BACK, MAY_READ, MAY_NOTHING };

/* The least that any rule for the path allows; *why is set unless that is all. */
enum may interface_may(const char *path, const char **why);

/* --- interface-find.c --- */

/*
 * Adds the files below root whose path ends with "/SUFFIX" (for a cgroup's file of which only the end is known, ".SUFFIX"); all
 * files if the suffix is empty. Follows no link, and stays on what is mounted at root.
 */
void paths_find(struct paths *paths, const char *root, const char *suffix, unsigned int most);
void paths_add(struct paths *paths, const char *path);
/* Files of a series by TREE:NAME, or by NAME in all trees. TREE: cgroup, sysfs, parameter, sysctl, debugfs, proc, process. */
void interface_find(struct paths *paths, const char *name, const char *cgroup, int process);

/* --- interface-value.c: what to write. Texts, and no input or output --- */

/* Keeps a word once; of more than there is room for, the last ones. Too long, empty: not kept. */
void words_add(struct words *words, const char *word);
/* The words of a text that look like names, so that one file's names can be written to another. */
void words_add_names(struct words *words, const char *text);

struct value_source {
	const char *text; /* what the file says */
	const struct words *hints; /* what is written by documents, and compared by the code */
	const struct words *names; /* seen in files, or made up */
	const struct words *accepted; /* what the file took before */
};

/* A text to write, of at most VALUE_SIZE - 1 characters; its length. Printable, or white space. */
size_t value_make(char to[VALUE_SIZE], const struct value_source *source, struct rng *rng);
/* What restores a text such as "always [madvise] never": the word in brackets. Else the text. */
void value_chosen(char *to, size_t size, const char *text);
/* Printable ASCII, tabs and line ends. */
bool is_plain_text(const char *text, size_t size);

/* --- interface-use.c: reads and writes, and what a correct kernel promises whatever is written --- */

/* What a thread knows that uses files; in locked memory, as it must not wait for swap. */
struct file_user {
	struct rng rng;
	const struct words *hints;
	struct words names; /* seen in the series' files */
	char text[VALUE_SIZE], value[VALUE_SIZE];
};

struct file_user *file_user_new(const struct rng *rng, const struct words *hints);
/* Into user->text, now and then in pieces unless it has to be whole; the length, or -1 if nothing could be read. */
ssize_t file_read(struct file_user *user, const char *path, bool whole);
bool file_write(const char *path, const char *text, size_t size);
/* Reads and, mostly, writes. `accepted` (may be NULL) has what the file took before; `use` (may be NULL) counts. */
void file_use(struct file_user *user, const char *path, enum may may, struct words *accepted, struct interface_use *use);

#endif
