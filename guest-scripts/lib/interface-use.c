// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One use of an interface file: see interface.h. Any text may be written, so that a file refuses it proves nothing. What is
 * promised whatever is written: an errno that programs may see, no more bytes than were asked for, and text.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "interface.h"
#include "paging.h"

#define PIECES_MAX 64
#define SIZE(array) (sizeof(array) / sizeof((array)[0]))

static counter_t *read_whole, *read_in_pieces, *written, *refused;

struct file_user *file_user_new(const struct rng *rng, const struct words *hints)
{
	struct file_user *user = locked_memory(sizeof(*user));

	user->rng = *rng;
	user->hints = hints;
	read_whole = counter("files_read");
	read_in_pieces = counter("files_read_in_pieces");
	written = counter("files_written");
	refused = counter("writes_refused");
	return user;
}

/* "read of mm/swap/tiers": the end of the path, as errors have room for 63 characters. */
static void complain(const char *what, const char *path, const char *name)
{
	const size_t length = strlen(path);
	char call[64];

	snprintf(call, sizeof(call), "%s%s", what, length > 50 ? path + length - 50 : path);
	run_error_named(call, name);
}

static void check_errno(const char *what, const char *path, int error)
{
	const char *name = strerrorname_np(error);
	char number[24];

	snprintf(number, sizeof(number), "errno %d", error);
	if (!name || error == EFAULT)
		complain(what, path, name ? name : number);
}

static void check_text(const char *path, const char *text, size_t size)
{
	static const char *const of_text[] = { "/sys/kernel/mm/", "/sys/fs/cgroup/", "/sys/module/" };

	for (size_t i = 0; i < SIZE(of_text); i++)
		if (!strncmp(path, of_text[i], strlen(of_text[i])) && !is_plain_text(text, size))
			complain("text of ", path, "other characters");
}

/* Pieces of the first part, and the rest at once; at most VALUE_SIZE - 1 bytes. -1: not even the first. */
static ssize_t read_pieces(int fd, const char *path, char *text, size_t piece)
{
	ssize_t sum = 0, got = 0;

	for (unsigned int i = 0; sum < VALUE_SIZE - 1; i++) {
		const size_t room = VALUE_SIZE - 1 - (size_t)sum, size = i < PIECES_MAX && piece < room ? piece : room;

		got = read(fd, text + sum, size);
		if (got <= 0)
			break;
		if ((size_t)got > size) {
			complain("read of ", path, "more than was asked for");
			break;
		}
		sum += got;
	}
	if (got < 0)
		check_errno("read of ", path, errno);
	text[sum] = 0;
	return got < 0 && !sum ? -1 : sum;
}

ssize_t file_read(struct file_user *user, const char *path, bool whole)
{
	const size_t piece = whole || rng_below(&user->rng, 3) ? VALUE_SIZE : rng_between(&user->rng, 1, 24);
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t got;

	user->text[0] = 0;
	operations_add(1);
	if (fd < 0)
		return -1;
	got = read_pieces(fd, path, user->text, piece);
	close(fd);
	if (got < 0)
		return -1;
	count(piece == VALUE_SIZE ? read_whole : read_in_pieces, 1);
	check_text(path, user->text, (size_t)got);
	return got;
}

bool file_write(const char *path, const char *text, size_t size)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t put;

	operations_add(1);
	if (fd < 0)
		return false;
	put = write(fd, text, size);
	if (put < 0)
		check_errno("write to ", path, errno);
	else if ((size_t)put > size)
		complain("write to ", path, "more than was given");
	close(fd);
	if (written && refused)
		count(put < 0 ? refused : written, 1);
	return put >= 0;
}

void file_use(struct file_user *user, const char *path, enum may may, struct words *accepted, struct interface_use *use)
{
	const struct value_source source = { user->text, user->hints, &user->names, accepted };
	/* A file of sysctl gives only what fits into the first piece: written back, that would be another number. */
	const ssize_t got = file_read(user, path, may == MAY_WRITE_BACK);
	size_t size = (size_t)got;
	bool took;

	if (got >= 0 && use) {
		count(&use->reads, 1);
		words_add_names(&user->names, user->text);
	}
	if (may >= MAY_READ || (may == MAY_WRITE_BACK && got <= 0) || rng_below(&user->rng, 4) == 0)
		return;
	if (may == MAY_WRITE_BACK)
		memcpy(user->value, user->text, size + 1);
	else
		size = value_make(user->value, &source, &user->rng);
	took = file_write(path, user->value, size);
	if (took && accepted)
		words_add(accepted, user->value);
	if (use)
		count(took ? &use->writes : &use->refused, 1);
}
