// SPDX-License-Identifier: GPL-2.0-or-later
/* Control groups: see cgroup.h. */
#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "run.h"
#include "textfile.h"

#define BUSY_US 1000

struct path {
	char text[420]; /* a name has 255 characters at most */
};

static struct path file_of(const struct cgroup *cgroup, const char *file)
{
	struct path path;

	snprintf(path.text, sizeof(path.text), "%s/%s", cgroup->path, file);
	return path;
}

bool cgroups_are_v1(void)
{
	return access(CGROUP_ROOT "/cgroup.controllers", F_OK) != 0;
}

bool cgroup_has(const struct cgroup *cgroup, const char *controller)
{
	char word[64] = "";
	bool has = false;
	FILE *file = fopen(file_of(cgroup, "cgroup.controllers").text, "re");

	while (file && !has && fscanf(file, "%63s", word) == 1)
		has = !strcmp(word, controller);
	if (file)
		fclose(file);
	return has;
}

struct cgroup cgroup_in(const char *parent, const char *name)
{
	struct cgroup cgroup;

	snprintf(cgroup.path, sizeof(cgroup.path), "%s/%s", parent, name);
	return cgroup;
}

bool cgroup_make(const struct cgroup *cgroup)
{
	return !mkdir(cgroup->path, 0755) || errno == EEXIST;
}

bool cgroup_remove(const struct cgroup *cgroup, unsigned int ms)
{
	const uint64_t end = now_ns() + ms * 1000000ull;

	while (rmdir(cgroup->path)) {
		if (errno != EBUSY || now_ns() > end)
			return false;
		sleep_us(BUSY_US);
	}
	return true;
}

bool cgroup_enter(const struct cgroup *cgroup, int process)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", process);
	return cgroup_put(cgroup, "cgroup.procs", text);
}

bool cgroup_put(const struct cgroup *cgroup, const char *file, const char *text)
{
	return put_text(file_of(cgroup, file).text, text);
}

bool cgroup_put_bytes(const struct cgroup *cgroup, const char *file, uint64_t bytes)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, bytes);
	return cgroup_put(cgroup, file, text);
}

bool cgroup_get(const struct cgroup *cgroup, const char *file, uint64_t *value)
{
	char word[24] = "";
	bool got = false;
	FILE *from = fopen(file_of(cgroup, file).text, "re");

	if (from)
		got = fscanf(from, "%23s", word) == 1;
	if (from)
		fclose(from);
	if (got && !strcmp(word, "max"))
		*value = CGROUP_MAX;
	else if (got)
		got = sscanf(word, "%" SCNu64, value) == 1;
	return got;
}

uint64_t cgroup_field(const struct cgroup *cgroup, const char *file, const char *word)
{
	uint64_t value = 0, found = 0;
	char name[64];
	FILE *from = fopen(file_of(cgroup, file).text, "re");

	while (from && fscanf(from, "%63s %" SCNu64, name, &value) == 2)
		if (!strcmp(name, word))
			found = value;
	if (from)
		fclose(from);
	return found;
}

unsigned int cgroup_read_all(const struct cgroup *cgroup, bool write_back)
{
	struct dirent *entry;
	unsigned int files = 0;
	char text[4096];
	DIR *folder = opendir(cgroup->path);

	while (folder && (entry = readdir(folder)) && !run_over()) {
		ssize_t size;

		if (strncmp(entry->d_name, "memory.", 7))
			continue;
		size = read_text(file_of(cgroup, entry->d_name).text, text, sizeof(text));
		files += size >= 0;
		if (write_back && size > 0 && size < 256)
			cgroup_put(cgroup, entry->d_name, text);
	}
	if (folder)
		closedir(folder);
	return files;
}

void cgroup_reset_peak(const struct cgroup *cgroup, const char *file)
{
	char text[32];
	const int fd = open(file_of(cgroup, file).text, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	/* ENODEV: its cgroup has been removed. */
	if (pread(fd, text, sizeof(text), 0) > 0 && write(fd, "1", 1) == 1 && pread(fd, text, sizeof(text), 0) < 0 && errno != ENODEV)
		run_error(file, errno);
	close(fd);
}

int cgroup_listen(const struct cgroup *cgroup, const char *file, const char *what)
{
	const int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), fd = open(file_of(cgroup, file).text, O_RDONLY | O_CLOEXEC);
	char text[64];

	snprintf(text, sizeof(text), "%d %d %s", event, fd, what);
	cgroup_put(cgroup, "cgroup.event_control", text);
	if (fd >= 0)
		close(fd);
	return event;
}

bool cgroup_note_end(const struct cgroup *top, _Atomic uint64_t *killed, int status, const char *who)
{
	if (!WIFSIGNALED(status))
		return false;
	if (WTERMSIG(status) != SIGKILL) {
		run_error_named(who, sigabbrev_np(WTERMSIG(status)));
		return false;
	}
	if (atomic_fetch_add(killed, 1) + 1 > cgroup_field(top, "memory.events", "oom_kill") && !cgroups_are_v1())
		run_error_named("SIGKILL", "memory.events has counted fewer");
	return true;
}
