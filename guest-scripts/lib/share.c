// SPDX-License-Identifier: GPL-2.0-or-later
/* Records in files that several processes have: see share.h. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device.h"
#include "paging.h"
#include "share.h"

/* Beside the swap file there is not much room. */
#define DISK_BYTES (1u << 20)

struct share share_in_memory(uint64_t id, size_t pages, unsigned int writers)
{
	struct share share = { .fd = memory_file("share", pages * PAGE), .writers = writers };

	share.region = region_over(map_file(share.fd, pages * PAGE), id, pages);
	region_fill(&share.region);
	return share;
}

const char *disk_folder(void)
{
	static char folder[80];

	for (unsigned int i = 0; i < device_count() && !folder[0]; i++) {
		const char *path = device_path(i), *slash = strrchr(path, '/');

		if (!strcmp(device_kind(i), "swapfile") && slash)
			snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
	}
	return folder;
}

/* Beyond a limit of its cgroup a call that needs memory may say ENOMEM: with v1 the OOM killer can be switched off. */
static bool write_page(const struct share *share, size_t page, const struct identity *identity, unsigned int writer)
{
	uint64_t buffer[PAGE / 8];
	ssize_t put;

	record_write(buffer, identity, writer);
	do
		put = pwrite(share->fd, buffer, PAGE, page * PAGE);
	while (put < 0 && errno == ENOMEM && !run_over());
	if (put != PAGE && !(put < 0 && errno == ENOMEM))
		run_error("pwrite", put < 0 ? errno : ENOSPC);
	return put == PAGE;
}

static void write_disk(struct share *share, size_t page, const struct identity *identity, unsigned int writer)
{
	/* Else it is left to share_finish(). */
	if (write_page(share, page, identity, writer))
		region_end(&share->region, page);
}

struct share share_on_disk(uint64_t id, size_t pages, unsigned int writers, const char *name)
{
	struct share share = { .fd = -1, .writers = writers };
	char path[120];

	if (!disk_folder()[0])
		return share;
	snprintf(path, sizeof(path), "%s/%s", disk_folder(), name);
	share.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (share.fd < 0)
		run_fail("a file beside the swap file");
	if (pages > DISK_BYTES / PAGE)
		pages = DISK_BYTES / PAGE;
	share.region = region_over(NULL, id, pages);
	for (size_t i = 0; i < pages; i++) {
		const struct identity identity = region_begin(&share.region, i);

		write_disk(&share, i, &identity, 0);
	}
	return share;
}

size_t share_count(const struct share *share)
{
	return share->region.pages / share->writers;
}

size_t share_first(const struct share *share, unsigned int writer)
{
	return share_count(share) * writer;
}

void share_rewrite_mapped(struct share *share, unsigned int writer, struct rng *rng)
{
	const size_t half = share_count(share) / 2;
	const size_t from = share_first(share, writer) + rng_below(rng, half + 1), length = rng_between(rng, 1, half);

	for (size_t i = from; i < from + length && !run_over(); i++) {
		const struct identity identity = region_begin(&share->region, i);

		if (fallocate(share->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, i * PAGE, PAGE))
			run_error("FALLOC_FL_PUNCH_HOLE", errno);
		record_write(region_page(&share->region, i), &identity, writer);
		region_end(&share->region, i);
		operations_add(1);
	}
	page_out(region_page(&share->region, from), length * PAGE);
}

void share_rewrite_disk(struct share *share, unsigned int writer, struct rng *rng)
{
	const size_t first = share_first(share, writer);

	if (share->fd < 0)
		return;
	for (size_t i = first; i < first + share_count(share) && !run_over(); i++)
		if (rng_below(rng, 2)) {
			const struct identity identity = region_begin(&share->region, i);

			write_disk(share, i, &identity, writer);
		}
	if (rng_below(rng, 2))
		fdatasync(share->fd);
	posix_fadvise(share->fd, 0, 0, POSIX_FADV_DONTNEED);
}

enum look share_verify(const struct share *share, size_t page, bool thorough)
{
	const uint32_t ticket = region_ticket(&share->region, page);
	uint64_t buffer[PAGE / 8];
	ssize_t got;

	if (share->region.base)
		return region_verify(&share->region, page, thorough);
	got = pread(share->fd, buffer, PAGE, page * PAGE);
	if (got == PAGE)
		return region_verify_copy(&share->region, page, ticket, buffer, thorough);
	if (got >= 0 || errno != ENOMEM)
		run_error("pread", got < 0 ? errno : ENODATA);
	return LOOK_RACED;
}

void share_finish(struct share *share, unsigned int writer)
{
	const size_t first = share_first(share, writer);

	for (size_t i = first; share->fd >= 0 && i < first + share_count(share); i++) {
		struct identity identity = region_identity(&share->region, i);

		if (region_ticket(&share->region, i) % 2 == 0)
			continue;
		identity.generation++;
		if (!share->region.base) {
			write_disk(share, i, &identity, writer);
		} else {
			record_write(region_page(&share->region, i), &identity, writer);
			region_end(&share->region, i);
		}
	}
}

void share_verify_all(const struct share *share)
{
	for (size_t i = 0; share->fd >= 0 && i < share->region.pages; i++)
		share_verify(share, i, true);
}

void share_close(struct share *share)
{
	if (share->region.base)
		munmap(share->region.base, share->region.pages * PAGE);
	if (share->fd >= 0)
		close(share->fd);
	share->fd = -1;
}
