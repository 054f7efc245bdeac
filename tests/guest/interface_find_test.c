// SPDX-License-Identifier: GPL-2.0-or-later
/* Where files are, in folders of the test's own and in the /proc of this machine. */
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "interface.h"

static struct paths paths;

static void file(const char *path)
{
	FILE *made = fopen(path, "w");

	CHECK(made != NULL);
	if (made)
		fclose(made);
}

static void find(const char *suffix, unsigned int most)
{
	paths.count = 0;
	paths_find(&paths, "tree", suffix, most);
}

static void make_tree(void)
{
	mkdir("tree", 0700);
	mkdir("tree/swap", 0700);
	file("tree/swap/tiers");
	file("tree/memory.swap.tiers");
	file("tree/frontiers");
	file("tree/.hidden");
	CHECK(!symlink("swap", "tree/link"));
}

static void a_name_is_the_last_part_of_a_path_or_of_a_cgroups_file(void)
{
	find("swap/tiers", 9);
	CHECK_NUMBER(paths.count, 1);
	CHECK_TEXT(paths.of[0], "tree/swap/tiers");
	find("memory.swap.tiers", 9);
	CHECK_NUMBER(paths.count, 1);
	/* Whose controller is not known. */
	find("swap.tiers", 9);
	CHECK_NUMBER(paths.count, 1);
	CHECK_TEXT(paths.of[0], "tree/memory.swap.tiers");
	find("tiers", 9);
	CHECK_NUMBER(paths.count, 2);
	find("iers", 9);
	CHECK_NUMBER(paths.count, 0);
}

static void without_a_name_all_files_are_found_and_no_link_is_followed(void)
{
	find("", 9);
	CHECK_NUMBER(paths.count, 3);
	find("", 2);
	CHECK_NUMBER(paths.count, 2);
	paths_find(&paths, "none", "", 9);
	CHECK_NUMBER(paths.count, 2);
}

static void a_file_is_found_once_and_only_where_there_is_room(void)
{
	char path[PATH_SIZE + 1];

	paths.count = 0;
	for (unsigned int i = 0; i < PATHS_MAX + 5; i++) {
		snprintf(path, sizeof(path), "%u", i);
		paths_add(&paths, path);
		paths_add(&paths, path);
	}
	CHECK_NUMBER(paths.count, PATHS_MAX);
	paths.count = 0;
	memset(path, 'a', PATH_SIZE);
	path[PATH_SIZE] = 0;
	paths_add(&paths, path);
	CHECK_NUMBER(paths.count, 0);
}

static void of_a_series_file_the_tree_says_where_to_look(void)
{
	char path[PATH_SIZE], folder[PATH_SIZE - 40];

	paths.count = 0;
	interface_find(&paths, "cgroup:memory.swap.tiers", "tree", getpid());
	CHECK_NUMBER(paths.count, 1);
	CHECK_TEXT(paths.of[0], "tree/memory.swap.tiers");
	interface_find(&paths, "process:smaps_rollup", "tree", getpid());
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", getpid());
	CHECK_NUMBER(paths.count, 2);
	CHECK_TEXT(paths.of[1], path);
	interface_find(&paths, "proc:swaps", "tree", getpid());
	CHECK_NUMBER(paths.count, 3);
	interface_find(&paths, "sysctl:vm/swappiness", "tree", getpid());
	CHECK_TEXT(paths.of[3], "/proc/sys/vm/swappiness");
	/* A path stands for itself. */
	CHECK(getcwd(folder, sizeof(folder)) != NULL);
	snprintf(path, sizeof(path), "%s/tree/swap/tiers", folder);
	interface_find(&paths, path, "tree", getpid());
	CHECK_NUMBER(paths.count, 5);
	interface_find(&paths, "/none", "tree", getpid());
	interface_find(&paths, "cgroup:none", "tree", getpid());
	interface_find(&paths, "proc:none", "tree", getpid());
	interface_find(&paths, "other:tiers", "tree", getpid());
	CHECK_NUMBER(paths.count, 5);
}

static void without_a_tree_a_name_is_looked_for_in_all_of_them(void)
{
	paths.count = 0;
	interface_find(&paths, "memory.swap.tiers", "tree", getpid());
	CHECK_NUMBER(paths.count, 1);
	interface_find(&paths, "swaps", "tree", getpid());
	CHECK_TEXT(paths.of[1], "/proc/swaps");
}

int main(void)
{
	make_tree();
	RUN(a_name_is_the_last_part_of_a_path_or_of_a_cgroups_file);
	RUN(without_a_name_all_files_are_found_and_no_link_is_followed);
	RUN(a_file_is_found_once_and_only_where_there_is_room);
	RUN(of_a_series_file_the_tree_says_where_to_look);
	RUN(without_a_tree_a_name_is_looked_for_in_all_of_them);
	return check_result();
}
