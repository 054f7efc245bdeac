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

bool get_number(const char *path, uint64_t *value)
{
	uint64_t number;
	FILE *file = fopen(path, "re");
	const bool good = file && fscanf(file, "%" SCNu64, &number) == 1;

	if (file)
		fclose(file);
	if (good)
		*value = number;
	return good;
}
