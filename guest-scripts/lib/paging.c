// SPDX-License-Identifier: GPL-2.0-or-later
/* Mappings, paging out, and where a page is. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared.h"
#include "paging.h"
#include "textfile.h"

void *locked_memory(size_t length)
{
	void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || mlock(memory, length))
		run_fail("mmap of a table");
	return memory;
}

void *reserved_addresses(size_t length)
{
	uint8_t *memory = mmap(NULL, length + HUGE_ALIGN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *aligned;

	if (memory == MAP_FAILED)
		run_fail("mmap of address space");
	aligned = (uint8_t *)(((uintptr_t)memory + HUGE_ALIGN - 1) & -(uintptr_t)HUGE_ALIGN);
	if (aligned > memory)
		munmap(memory, aligned - memory);
	if (memory + HUGE_ALIGN > aligned)
		munmap(aligned + length, memory + HUGE_ALIGN - aligned);
	return aligned;
}

void *reserved_addresses_across(size_t length)
{
	uint8_t *const memory = reserved_addresses(2 * HUGE_ALIGN);
	uint8_t *const start = memory + HUGE_ALIGN - length / PAGE / 2 * PAGE;

	munmap(memory, start - memory);
	munmap(start + length, memory + 2 * HUGE_ALIGN - start - length);
	return start;
}

bool is_one_mapping(const void *address, size_t length)
{
	const uint64_t first = (uintptr_t)address;
	uint64_t start, end;
	bool one = false;
	char line[256];
	FILE *file = fopen("/proc/self/maps", "re");

	while (file && !one && fgets(line, sizeof(line), file))
		one = sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) == 2 && start <= first && first + length <= end;
	if (file)
		fclose(file);
	return one;
}

/* A guest that has them always has them here, too: it was asked for. */
static bool huge_pages_everywhere(void)
{
	static int always = -1;
	char text[64] = "";
	FILE *file;

	if (always >= 0)
		return always;
	file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
	always = file && fgets(text, sizeof(text), file) && strstr(text, "[always]");
	if (file)
		fclose(file);
	return always;
}

static void *map_aligned(size_t length, int flags, int fd)
{
	void *memory = mmap(reserved_addresses(length), length, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);

	if (memory == MAP_FAILED)
		run_fail("mmap of a region");
	/* EINVAL: a kernel without huge pages, which is as good. */
	if (!huge_pages_everywhere() && madvise(memory, length, MADV_NOHUGEPAGE) && errno != EINVAL)
		run_fail("MADV_NOHUGEPAGE");
	return memory;
}

void *private_memory(size_t length)
{
	return map_aligned(length, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

void *map_file(int fd, size_t length)
{
	return map_aligned(length, MAP_SHARED, fd);
}

void *map_file_privately(int fd, size_t length)
{
	return map_aligned(length, MAP_PRIVATE, fd);
}

int memory_file(const char *name, size_t length)
{
	const int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, length))
		run_fail("memfd_create");
	return fd;
}

/* Pages that go to a device which is never swapped off race with nobody. */
#define LOOPED_WAIT 150000

static bool looped_device_is_on(void)
{
	bool any = false;

	for (unsigned int i = 0; i < shared->devices_count; i++) {
		if (shared->devices[i].looped && shared->devices[i].on && !shared->devices[i].leaving_since)
			return true;
		any |= shared->devices[i].looped;
	}
	return !any;
}

static void wait_for_looped_device(void)
{
	const uint64_t end = now_ns() + LOOPED_WAIT * 1000ull;

	while (!looped_device_is_on() && !run_over() && now_ns() < end)
		sleep_us(2000);
}

bool collapse(void *address, size_t length)
{
	if (!madvise(address, length, MADV_COLLAPSE))
		return true;
	if (errno != EAGAIN && errno != EBUSY && errno != ENOMEM && errno != EINVAL)
		run_error("MADV_COLLAPSE", errno);
	return false;
}

void page_out(void *address, size_t length)
{
	wait_for_looped_device();
	if (madvise(address, length, MADV_PAGEOUT))
		run_error("MADV_PAGEOUT", errno);
}

/*
 * cgroup v1 can't be asked to reclaim so much; to set a limit below what is in use is the same, and is an error where that much
 * can't be had. The limit goes at once: who is charged meanwhile reclaims, too.
 */
static bool reclaim_by_limit(const char *usage, size_t bytes)
{
	const uint64_t used = number_in(usage);
	char path[300], limit[32];
	bool done;

	snprintf(path, sizeof(path), "%s/memory.limit_in_bytes", shared->cgroup);
	snprintf(limit, sizeof(limit), "%" PRIu64, used > 2 * bytes ? used - bytes : used / 2);
	done = put_text(path, limit);
	if (!put_text(path, "-1"))
		run_error("memory.limit_in_bytes", errno);
	return done;
}

bool reclaim(size_t bytes)
{
	char path[300], amount[32];

	if (!shared->cgroup[0])
		return false;
	wait_for_looped_device();
	snprintf(path, sizeof(path), "%s/memory.usage_in_bytes", shared->cgroup);
	if (!access(path, F_OK))
		return reclaim_by_limit(path, bytes);
	snprintf(path, sizeof(path), "%s/memory.reclaim", shared->cgroup);
	snprintf(amount, sizeof(amount), "%zu", bytes);
	/* EAGAIN: less than that could be had. */
	return put_text(path, amount);
}

bool ask_mincore(const void *address, size_t length, unsigned char *vec)
{
	while (mincore((void *)address, length, vec)) {
		if (errno != EAGAIN) {
			run_error("mincore", errno);
			return false;
		}
		sleep_us(1000);
	}
	return true;
}

size_t resident_pages(const void *address, size_t length)
{
	const uint8_t *at = address;
	unsigned char vec[512];
	size_t resident = 0;

	for (size_t done = 0; done < length;) {
		const size_t part = length - done < sizeof(vec) * PAGE ? length - done : sizeof(vec) * PAGE;

		if (!ask_mincore(at + done, part, vec))
			return 0;
		for (size_t i = 0; i < part / PAGE; i++)
			resident += vec[i] & 1;
		done += part;
	}
	return resident;
}

size_t page_out_fully(void *address, size_t length, unsigned int rounds)
{
	size_t resident;

	do {
		page_out(address, length);
		resident = resident_pages(address, length);
		if (!resident || run_over())
			break;
		/* Written out but still cached: the device is done in a moment, then reclaim finds clean pages. */
		sleep_us(2000);
		reclaim(resident * PAGE);
	} while (--rounds);
	return resident;
}

uint64_t pagemap_word(const void *address)
{
	static _Thread_local int fd = -1;
	static _Thread_local pid_t owner;
	uint64_t word = 0;

	/* The file shows the process that opened it, and a fork inherits it. */
	if (owner != getpid()) {
		if (fd >= 0)
			close(fd);
		fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
		owner = getpid();
	}
	if (pread(fd, &word, sizeof(word), (uintptr_t)address / PAGE * sizeof(word)) != sizeof(word))
		return 0;
	return word;
}

bool is_hole(const void *address)
{
	return !(pagemap_word(address) & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED));
}
