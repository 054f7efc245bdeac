// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "textfile.h"

bool put_text(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	const ssize_t size = (ssize_t)strlen(text);
	ssize_t written;
	int why;

	if (fd < 0)
		return false;
	written = write(fd, text, (size_t)size);
	why = written < 0 ? errno : EIO;
	close(fd);
	errno = why;
	return written == size;
}

ssize_t read_text(const char *path, char *text, size_t size)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t sum = 0, got = -1, last = 0;

	while (fd >= 0 && (got = read(fd, text, size - 1)) > 0) {
		sum += got;
		last = got;
	}
	text[last] = 0;
	if (fd >= 0)
		close(fd);
	return got < 0 ? -1 : sum;
}

uint64_t number_in(const char *path)
{
	uint64_t number = 0;
	FILE *file = fopen(path, "re");

	if (file && fscanf(file, "%" SCNu64, &number) != 1)
		number = 0;
	if (file)
		fclose(file);
	return number;
}
