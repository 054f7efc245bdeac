// SPDX-License-Identifier: GPL-2.0-or-later
/* Pages that are charged to the load's cgroup: which count, whatever lies around them. */
#define _GNU_SOURCE

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "accounting.h"
#include "check.h"
#include "fake_kernel.h"

#define CGROUP "./kernel/sys/fs/cgroup/workload"
/* More than are read at once, and no multiple of it. */
#define PAGES 10001
#define MMAP (1ull << 11)
#define ANON (1ull << 12)
#define SWAPCACHE (1ull << 13)
#define SWAPBACKED (1ull << 14)
#define BUDDY (1ull << 10)
#define SLAB (1ull << 7)
#define HWPOISON (1ull << 19)

static struct kernel_counters figures;
static uint64_t owners[PAGES], flags[PAGES];

static void write_file(const char *path, const void *content, size_t size)
{
	const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK_NUMBER(write(file, content, size), size);
	close(file);
}

static void read_them(void)
{
	kernel_file("/proc/kpagecgroup", "");
	kernel_file("/proc/kpageflags", "");
	write_file("./kernel/proc/kpagecgroup", owners, sizeof(owners));
	write_file("./kernel/proc/kpageflags", flags, sizeof(flags));
	memset(&figures, 0, sizeof(figures));
	left_pages_read(&figures);
}

static uint64_t own;

static void start_anew(void)
{
	struct stat folder;

	memset(shared, 0, sizeof(*shared));
	memset(owners, 0, sizeof(owners));
	memset(flags, 0, sizeof(flags));
	kernel_file("/sys/fs/cgroup/workload/memory.stat", "");
	strcpy(shared->cgroup, CGROUP);
	CHECK(!stat(CGROUP, &folder));
	own = folder.st_ino;
}

static void page(unsigned int number, uint64_t owner, uint64_t its)
{
	owners[number] = owner;
	flags[number] = its;
}

static uint64_t value_of(const char *name)
{
	uint64_t value = 77;

	CHECK(figure_value(&figures, name, &value));
	return value;
}

static void the_swap_cache_does_not_count_where_swapoff_leaves_pages_there(void)
{
	start_anew();
	page(7, own, SWAPCACHE | SWAPBACKED);
	page(8, own, ANON | SWAPBACKED);
	read_them();
	CHECK_NUMBER(value_of("cgroup.unmapped_pages"), 2);
	shared->swap_stays = true;
	read_them();
	CHECK_NUMBER(value_of("cgroup.unmapped_pages"), 1);
}

static void none_is_zero(void)
{
	start_anew();
	page(3, own + 1, ANON);
	read_them();
	CHECK_NUMBER(value_of("cgroup.unmapped_pages"), 0);
	CHECK_NUMBER(value_of("cgroup.mapped_pages"), 0);
	CHECK_NUMBER(shared->figures_lacking_count, 0);
}

static void those_of_user_space_count(void)
{
	start_anew();
	page(0, own, ANON | SWAPBACKED | 1 << 5 | 1 << 3);
	page(4096, own, SWAPBACKED);
	page(PAGES - 1, own, SWAPCACHE | SWAPBACKED | ANON);
	page(5000, own, ANON | MMAP | SWAPBACKED);
	page(5001, own, SLAB);
	page(5002, own, 0);
	page(5003, own, ANON | HWPOISON);
	page(5004, own, ANON | BUDDY);
	page(5005, own + 1, ANON);
	read_them();
	CHECK_NUMBER(value_of("cgroup.unmapped_pages"), 3);
	CHECK_NUMBER(value_of("cgroup.mapped_pages"), 1);
	CHECK_NUMBER(shared->left_pages_count, 3);
	CHECK_TEXT(shared->left_pages[0], "pfn 0: uptodate lru anon swapbacked");
	CHECK_TEXT(shared->left_pages[2], "pfn 2710: anon swapcache swapbacked");
}

static void only_the_first_are_listed_and_again_at_each_look(void)
{
	start_anew();
	for (unsigned int i = 0; i < 100; i++)
		page(i, own, ~(BUDDY | HWPOISON | MMAP));
	read_them();
	read_them();
	CHECK_NUMBER(value_of("cgroup.unmapped_pages"), 100);
	CHECK_NUMBER(shared->left_pages_count, LEFT_PAGES_MAX);
}

static void a_kernel_that_does_not_say_lacks_it(void)
{
	uint64_t value;

	start_anew();
	kernel_forget("/proc/kpagecgroup");
	memset(&figures, 0, sizeof(figures));
	left_pages_read(&figures);
	CHECK(!figure_value(&figures, "cgroup.unmapped_pages", &value));
	CHECK_TEXT(shared->figures_lacking[0].name, "cgroup.unmapped_pages");
	start_anew();
	shared->cgroup[0] = 0;
	left_pages_read(&figures);
	CHECK_TEXT(shared->figures_lacking[0].why, "the load has no memory cgroup of its own");
}

int main(void)
{
	shared_new();
	RUN(none_is_zero);
	RUN(the_swap_cache_does_not_count_where_swapoff_leaves_pages_there);
	RUN(those_of_user_space_count);
	RUN(only_the_first_are_listed_and_again_at_each_look);
	RUN(a_kernel_that_does_not_say_lacks_it);
	return check_result();
}
