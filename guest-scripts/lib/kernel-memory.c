// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory of the kernel's: see kernel-memory.h. */
#define _GNU_SOURCE

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel-memory.h"
#include "paging.h"
#include "run.h"

#define BUFFERS 16
#define NAMES 24
#define TABLES 16

static unsigned int fill(int fd)
{
	static const char bytes[4096];
	unsigned int filled = 0;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (filled < BUFFERS && write(fd, bytes, sizeof(bytes)) > 0)
		filled++;
	return filled;
}

static unsigned int fill_descriptors(void)
{
	unsigned int filled = 0;
	int ends[2];

	if (!pipe2(ends, O_CLOEXEC)) {
		fcntl(ends[1], F_SETPIPE_SZ, BUFFERS * (int)PAGE);
		filled += fill(ends[1]);
	}
	if (!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		filled += fill(ends[0]);
	return filled;
}

static unsigned int use_names(const char *folder, unsigned int who, unsigned int when, struct rng *rng)
{
	struct stat about;
	char path[160];

	for (unsigned int i = 0; i < NAMES; i++) {
		snprintf(path, sizeof(path), "%s/%u.%u", folder, who, i);
		if (rng_below(rng, 2))
			unlink(path);
		else
			close(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
		snprintf(path, sizeof(path), "%s/absent.%u.%u.%u", folder, who, when, i);
		if (!stat(path, &about))
			run_error_named("stat", "a file that nobody made");
	}
	return 2 * NAMES;
}

/* A table for each page that is touched. */
static unsigned int use_page_tables(void)
{
	const size_t length = TABLES * HUGE_ALIGN;
	uint8_t *apart = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (apart == MAP_FAILED)
		return 0;
	madvise(apart, length, MADV_NOHUGEPAGE);
	for (unsigned int i = 0; i < TABLES; i++)
		apart[i * HUGE_ALIGN] = 1;
	munmap(apart, length);
	return TABLES;
}

unsigned int kernel_memory_use(const char *folder, unsigned int who, unsigned int when, struct rng *rng)
{
	unsigned int objects = fill_descriptors() + use_page_tables();

	if (folder[0])
		objects += use_names(folder, who, when, rng);
	operations_add(1);
	return objects;
}
