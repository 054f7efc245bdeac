// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages of anonymous memory, of memory files and of the swap cache that are charged to the load's cgroup: who owns each page,
 * /proc/kpagecgroup says, and what it is, /proc/kpageflags (admin-guide/mm/pagemap.rst). A folio stays charged until it is
 * freed, whatever counters say: so each one that is left, in nobody's page tables, when all of the load's processes and files are
 * gone has a reference too many. Mapped are only the pages of the supervisor that were charged before it left the cgroup; they
 * become fewer with each one that it copies on write, since a fork.
 */
#define _GNU_SOURCE

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "accounting.h"

#define KPAGECGROUP "/proc/kpagecgroup"
#define KPAGEFLAGS "/proc/kpageflags"
#define AT_ONCE 4096
#define MAPPED "cgroup.mapped_pages"
#define UNMAPPED "cgroup.unmapped_pages"

/* linux/kernel-page-flags.h */
enum { KPF_BUDDY = 10, KPF_MMAP = 11, KPF_ANON = 12, KPF_SWAPCACHE = 13, KPF_SWAPBACKED = 14, KPF_HWPOISON = 19 };

static const struct {
	unsigned int bit;
	const char *name;
} NAMES[] = {
	{ 0, "locked" },  { 3, "uptodate" },	{ 4, "dirty" },		  { 5, "lru" },		   { 8, "writeback" }, { KPF_MMAP, "mapped" },
	{ KPF_ANON, "anon" }, { KPF_SWAPCACHE, "swapcache" }, { KPF_SWAPBACKED, "swapbacked" }, { 15, "head" }, { 16, "tail" },
	{ 18, "unevictable" }, { 33, "mlocked" },
};

static bool of_user_space(uint64_t flags)
{
	const uint64_t wanted = 1ull << KPF_ANON | 1ull << KPF_SWAPCACHE | 1ull << KPF_SWAPBACKED;
	/* A page with broken memory is kept from use on purpose. */
	const uint64_t unwanted = 1ull << KPF_BUDDY | 1ull << KPF_HWPOISON | (uint64_t)shared->swap_stays << KPF_SWAPCACHE;

	return flags & wanted && !(flags & unwanted);
}

static void note_page(uint64_t number, uint64_t flags)
{
	char text[NAME_SIZE * 2];
	int length = snprintf(text, sizeof(text), "pfn %" PRIx64 ":", number);

	for (unsigned int i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
		if (flags >> NAMES[i].bit & 1 && length < (int)sizeof(text))
			length += snprintf(text + length, sizeof(text) - (size_t)length, " %s", NAMES[i].name);
	if (shared->left_pages_count < LEFT_PAGES_MAX)
		strcpy(shared->left_pages[shared->left_pages_count++], text);
}

static void count_chunk(const uint64_t *owners, size_t size, uint64_t first, uint64_t own, int flags_file,
			struct kernel_counters *figures)
{
	uint64_t flags;

	for (size_t i = 0; i < size; i++) {
		if (owners[i] != own)
			continue;
		if (pread(flags_file, &flags, sizeof(flags), (off_t)((first + i) * sizeof(flags))) != sizeof(flags))
			continue;
		if (!of_user_space(flags))
			continue;
		figure_add(figures, flags >> KPF_MMAP & 1 ? MAPPED : UNMAPPED, 1);
		if (!(flags >> KPF_MMAP & 1))
			note_page(first + i, flags);
	}
}

static void count_pages(int owners_file, int flags_file, uint64_t own, struct kernel_counters *figures)
{
	static uint64_t owners[AT_ONCE];
	uint64_t first = 0;
	ssize_t size;

	figure_add(figures, MAPPED, 0);
	figure_add(figures, UNMAPPED, 0);
	while ((size = pread(owners_file, owners, sizeof(owners), (off_t)(first * sizeof(owners[0])))) > 0) {
		const size_t number = (size_t)size / sizeof(owners[0]);

		count_chunk(owners, number, first, own, flags_file, figures);
		first += number;
	}
}

void left_pages_read(struct kernel_counters *figures)
{
	struct stat cgroup;
	int owners_file, flags_file;

	shared->left_pages_count = 0;
	if (!shared->cgroup[0] || stat(shared->cgroup, &cgroup)) {
		figure_lacking(UNMAPPED, "the load has no memory cgroup of its own");
		return;
	}
	owners_file = open(KPAGECGROUP, O_RDONLY | O_CLOEXEC);
	flags_file = open(KPAGEFLAGS, O_RDONLY | O_CLOEXEC);
	if (owners_file >= 0 && flags_file >= 0)
		count_pages(owners_file, flags_file, cgroup.st_ino, figures);
	else
		figure_lacking(UNMAPPED, KPAGECGROUP " or " KPAGEFLAGS " can't be read");
	if (owners_file >= 0)
		close(owners_file);
	if (flags_file >= 0)
		close(flags_file);
}
