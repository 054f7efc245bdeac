// SPDX-License-Identifier: GPL-2.0-or-later
/* Where the files of an interface are: see interface.h. */
#define _GNU_SOURCE

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interface.h"

#define DEPTH_MAX 10
/* A name such as "enabled" is that of many files. */
#define OF_A_NAME 16
#define SIZE(array) (sizeof(array) / sizeof((array)[0]))

void paths_add(struct paths *paths, const char *path)
{
	for (unsigned int i = 0; i < paths->count; i++)
		if (!strcmp(paths->of[i], path))
			return;
	if (paths->count < PATHS_MAX && strlen(path) < PATH_SIZE)
		strcpy(paths->of[paths->count++], path);
}

static bool ends_with(const char *path, const char *suffix)
{
	const size_t length = strlen(path), wanted = strlen(suffix);

	if (!wanted)
		return true;
	return length > wanted && !strcmp(path + length - wanted, suffix) && strchr("/.", path[length - wanted - 1]);
}

struct search {
	struct paths *paths;
	const char *suffix;
	unsigned int most; /* count of paths at which it ends */
	dev_t device;
};

static void look_in(const struct search *search, const char *folder, unsigned int depth)
{
	char path[PATH_SIZE];
	struct dirent *entry;
	struct stat stat;
	DIR *open = opendir(folder);

	while (open && search->paths->count < search->most && (entry = readdir(open))) {
		if (entry->d_name[0] == '.' ||
		    (size_t)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >= sizeof(path) || lstat(path, &stat))
			continue;
		if (S_ISDIR(stat.st_mode) && stat.st_dev == search->device && depth < DEPTH_MAX)
			look_in(search, path, depth + 1);
		else if (S_ISREG(stat.st_mode) && ends_with(path, search->suffix))
			paths_add(search->paths, path);
	}
	if (open)
		closedir(open);
}

void paths_find(struct paths *paths, const char *root, const char *suffix, unsigned int most)
{
	struct search search = { paths, suffix, paths->count + most, 0 };
	struct stat stat;

	if (search.most > PATHS_MAX)
		search.most = PATHS_MAX;
	if (lstat(root, &stat) || !S_ISDIR(stat.st_mode))
		return;
	search.device = stat.st_dev;
	look_in(&search, root, 0);
}

/* The first root that has any decides: memory management is nearer than a device whose file has the same name. */
struct tree {
	const char *name;
	const char *const *roots;
};

static const char *const SYSFS[] = { "/sys/kernel/mm",	      "/sys/kernel", "/sys/devices/system/node", "/sys/devices/virtual",
				     "/sys/fs",		      NULL };
static const char *const PARAMETERS[] = { "/sys/module", NULL };
static const char *const SYSCTL[] = { "/proc/sys/vm", "/proc/sys/kernel", "/proc/sys", NULL };
static const char *const DEBUGFS[] = { "/sys/kernel/debug", NULL };

static const struct tree TREES[] = { { "sysfs", SYSFS }, { "parameter", PARAMETERS }, { "sysctl", SYSCTL }, { "debugfs", DEBUGFS } };

static void find_in_trees(struct paths *paths, const char *tree, const char *name)
{
	for (size_t i = 0; i < SIZE(TREES); i++) {
		const unsigned int before = paths->count;

		if (*tree && strcmp(tree, TREES[i].name))
			continue;
		for (const char *const *root = TREES[i].roots; *root && paths->count == before; root++)
			paths_find(paths, *root, name, OF_A_NAME);
	}
}

static void find_exactly(struct paths *paths, const char *folder, const char *name)
{
	char path[PATH_SIZE];
	struct stat stat;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) < sizeof(path) && !lstat(path, &stat) && S_ISREG(stat.st_mode))
		paths_add(paths, path);
}

void interface_find(struct paths *paths, const char *name, const char *cgroup, int process)
{
	const char *colon = strchr(name, ':');
	char tree[16] = "", folder[32];

	if (name[0] == '/') {
		find_exactly(paths, "", name + 1);
		return;
	}
	if (colon && (size_t)(colon - name) < sizeof(tree)) {
		memcpy(tree, name, (size_t)(colon - name));
		name = colon + 1;
	}
	if (!*tree || !strcmp(tree, "cgroup"))
		paths_find(paths, cgroup, name, OF_A_NAME);
	find_in_trees(paths, tree, name);
	if (!*tree || !strcmp(tree, "proc"))
		find_exactly(paths, "/proc", name);
	snprintf(folder, sizeof(folder), "/proc/%d", process);
	if (!*tree || !strcmp(tree, "process"))
		find_exactly(paths, folder, name);
}
