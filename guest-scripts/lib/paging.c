// SPDX-License-Identifier: GPL-2.0-or-later
/* Mappings, paging out, and where a page is. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
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

/* The address of a 2 MiB aligned hole in the address space. */
static uint8_t *aligned_hole(size_t length)
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

static void *map_aligned(size_t length, int flags, int fd)
{
	void *memory = mmap(aligned_hole(length), length, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);

	if (memory == MAP_FAILED)
		run_fail("mmap of a region");
	/* EINVAL: a kernel without huge pages, which is as good. */
	if (madvise(memory, length, MADV_NOHUGEPAGE) && errno != EINVAL)
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

void page_out(void *address, size_t length)
{
	wait_for_looped_device();
	if (madvise(address, length, MADV_PAGEOUT))
		run_error("MADV_PAGEOUT", errno);
}

bool reclaim(size_t bytes)
{
	char path[300], amount[32];

	if (!shared->cgroup[0])
		return false;
	wait_for_looped_device();
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
