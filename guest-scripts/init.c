// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * PID 1 of every guest: mounts, kernel settings, network, SSH server, and the one line that says the guest is ready. Then it
 * starts the script "console", as soon as somebody wants that. Programmed, and not a script itself, because each process that
 * a script starts costs some ten milliseconds of an emulated CPU, and every booted guest waits for that. It never ends and
 * never becomes another program: that would be a panic, and of a kernel that is sick already a finding of our own making.
 *
 * What fails is said on the console, and the rest goes on: the orchestrator compares the guest with what it asked for.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "speed.h"
#include "textfile.h"

#define ADDRESS "10.0.2.15"
#define LISTEN ADDRESS ":22"
#define LOOPBACK "127.0.0.1"
#define NETMASK "255.255.255.0"
#define CGROUP "/sys/fs/cgroup"
#define NODES_MOST 8
#define THP "/sys/kernel/mm/transparent_hugepage/enabled"
#define HOST_KEY "/etc/dropbear/host_key"

/* In this order: some have their place in others. */
static const struct {
	const char *type;
	const char *target;
} mounts[] = {
	{ "proc", "/proc" },
	{ "devtmpfs", "/dev" },
	{ "sysfs", "/sys" },
	{ "devpts", "/dev/pts" },
	{ "tmpfs", "/dev/shm" },
	{ "tmpfs", "/tmp" },
	{ "debugfs", "/sys/kernel/debug" },
	{ "tracefs", "/sys/kernel/tracing" },
	{ "configfs", "/sys/kernel/config" },
};

static const struct {
	const char *file;
	const char *value;
} settings[] = {
	/* A hang is confirmed by the orchestrator and documented; the kernel's own report is one more witness and must not stop early. */
	{ "/proc/sys/kernel/hung_task_warnings", "-1" },
	{ "/proc/sys/kernel/hung_task_check_interval_secs", "10" },
	/* The console is evidence: nothing may be held back. */
	{ "/proc/sys/kernel/printk", "8" },
	{ "/proc/sys/kernel/sysrq", "1" },
};

static void put(const char *file, const char *text)
{
	if (!put_text(file, text))
		perror(file);
}

static void mount_all(void)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		/* Those in /dev are new each time; the others are there. */
		mkdir(mounts[i].target, 0755);
		if (mount(mounts[i].type, mounts[i].target, mounts[i].type, 0, NULL))
			perror(mounts[i].target);
	}
}

/* Whether the orchestrator, or a reproducer, put the word on the kernel's command line. */
static int asked(const char *word)
{
	char cmdline[4096] = "";
	const int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, cmdline, sizeof(cmdline) - 1) < 0)
		perror("/proc/cmdline");
	if (fd >= 0)
		close(fd);
	return strstr(cmdline, word) != NULL;
}

/* The memory controller, of v1 or v2: in the same place, so that a workload's cgroup has one path. */
static void mount_cgroup(void)
{
	const int v1 = asked("patchrig.memcg=v1");

	if (mount("cgroup", CGROUP, v1 ? "cgroup" : "cgroup2", 0, v1 ? "memory" : NULL))
		perror(CGROUP);
	if (!v1)
		put(CGROUP "/cgroup.subtree_control", "+memory");
}

static void set_address(struct ifreq *request, const char *address)
{
	struct sockaddr_in *const in = (struct sockaddr_in *)&request->ifr_addr;

	in->sin_family = AF_INET;
	inet_pton(AF_INET, address, &in->sin_addr);
}

/* Whether the interface is there, and up. */
static int up(const char *name, const char *address, const char *netmask)
{
	struct ifreq request = { 0 };
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int failed;

	strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
	if (fd < 0) {
		perror("socket");
		return 0;
	}
	set_address(&request, address);
	failed = ioctl(fd, SIOCSIFADDR, &request);
	set_address(&request, netmask);
	failed = failed || ioctl(fd, SIOCSIFNETMASK, &request) || ioctl(fd, SIOCGIFFLAGS, &request);
	request.ifr_flags |= IFF_UP | IFF_RUNNING;
	failed = failed || ioctl(fd, SIOCSIFFLAGS, &request);
	if (failed)
		perror(name);
	close(fd);
	return !failed;
}

/* Starts a program and throws away what it says; its process, or -1. */
static pid_t start(const char *path, char *const argv[])
{
	const pid_t child = vfork();

	if (!child) {
		const int null = open("/dev/null", O_RDWR);

		dup2(null, 1);
		dup2(null, 2);
		execv(path, argv);
		_exit(127);
	}
	return child;
}

/* The SSH server: its first process ends once the server listens. 0: none is wanted; -1: there can be none. */
static pid_t start_server(void)
{
	/*
	 * Only the pinned key of this run opens the door; no password, no forwarding. By a name that is no path: of a path it
	 * would start itself anew for each session.
	 */
	static char *const argv[] = { "dropbear", "-r", HOST_KEY, "-s", "-g", "-j", "-k", "-p", LISTEN, NULL };

	/* Nor is there anybody to call in a guest that has all its work on its command line. */
	if (access(HOST_KEY, R_OK) || asked("patchrig.job="))
		return 0;
	/* As it is in a reproducer's guest, where nobody would call. */
	if (access("/sys/class/net/eth0", F_OK)) {
		fprintf(stderr, "patchrig: there is no eth0\n");
		return -1;
	}
	if (!up("eth0", ADDRESS, NETMASK))
		return -1;
	return start("/usr/sbin/dropbear", argv);
}

/* busybox's programs under their names, for people and scripts. */
static pid_t start_links(void)
{
	static char *const argv[] = { "busybox", "--install", "-s", "/bin", NULL };

	return start("/bin/busybox", argv);
}

/* Whether the program, if there was one to be started, did what it was to do. */
static int well_ended(pid_t child)
{
	int status = 0;

	return child >= 0 && (!child || (waitpid(child, &status, 0) == child && !status));
}

/*
 * CRC-32 and length of the kernel's .config, as the last 8 bytes of config.gz have them (RFC 1952). Enough to tell one kernel
 * that we built from another, and there is nothing to unpack for it.
 */
static uint64_t config_sum(void)
{
	const int fd = open("/proc/config.gz", O_RDONLY | O_CLOEXEC);
	struct stat file;
	uint32_t sums[2] = { 0 };

	if (fd < 0 || fstat(fd, &file) || pread(fd, sums, sizeof(sums), file.st_size - (off_t)sizeof(sums)) != sizeof(sums))
		perror("/proc/config.gz");
	if (fd >= 0)
		close(fd);
	return (uint64_t)sums[0] << 32 | sums[1];
}

/* Nodes that have memory; a kernel without NUMA has one, and does not speak of it. */
static unsigned int nodes_with_memory(void)
{
	char path[64], line[128];
	unsigned int nodes = 0;

	for (unsigned int node = 0; node < NODES_MOST; node++) {
		unsigned long kib = 0;
		FILE *file;

		snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/meminfo", node);
		file = fopen(path, "re");
		/* "Node 0 MemTotal:         507904 kB" */
		if (file && fgets(line, sizeof(line), file) && sscanf(line, "Node %*u MemTotal: %lu", &kib) == 1 && kib)
			nodes++;
		if (file)
			fclose(file);
	}
	return nodes ? nodes : 1;
}

/* By the files that it has, and not by what was mounted. */
static const char *memory_controller(void)
{
	if (!access(CGROUP "/memory.limit_in_bytes", F_OK))
		return "v1";
	return access(CGROUP "/memory.reclaim", F_OK) ? "none" : "v2";
}

/* Where huge pages are used: the word that the kernel has in brackets, or "none". */
static void huge_pages(char *text, size_t size)
{
	char line[64] = "";
	FILE *file = fopen(THP, "re");
	const char *word = file && fgets(line, sizeof(line), file) ? strchr(line, '[') : NULL;

	snprintf(text, size, "%.*s", word ? (int)strcspn(word + 1, "]") : 4, word ? word + 1 : "none");
	if (file)
		fclose(file);
}

static void say_ready(int reachable, double speed)
{
	struct sysinfo system;
	char thp[16], line[240];

	sysinfo(&system);
	huge_pages(thp, sizeof(thp));
	/* As a message of the kernel's: what the kernel prints at the same moment can't tear it. */
	snprintf(line, sizeof(line),
		 "patchrig: ready cpus=%ld memory_kib=%lu speed=%.1f config=%016" PRIx64 " ssh=%d page_kib=%ld nodes=%u memcg=%s thp=%s\n",
		 sysconf(_SC_NPROCESSORS_ONLN), system.totalram * system.mem_unit / 1024, speed, config_sum(), reachable,
		 sysconf(_SC_PAGESIZE) / 1024, nodes_with_memory(), memory_controller(), thp);
	put("/dev/kmsg", line);
}

/* Else nobody is there, until somebody sends a line. Orphans of SSH sessions come to us meanwhile; nobody asks how they ended. */
static void wait_for_a_line(void)
{
	char line[256];

	signal(SIGCHLD, SIG_IGN);
	while (read(STDIN_FILENO, line, sizeof(line)) < 0 && errno == EINTR)
		continue;
	signal(SIGCHLD, SIG_DFL);
}

/* The console's script, again and again: it has no end of its own. */
static void serve_console(void)
{
	for (;;) {
		const pid_t child = vfork();

		if (!child) {
			execl("/patchrig/console", "console", (char *)NULL);
			_exit(127);
		}
		while (child > 0 && waitpid(-1, NULL, 0) != child)
			continue;
		sleep(1);
	}
}

int main(void)
{
	pid_t server, links;
	int reachable;

	mount_all();
	mount_cgroup();
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		put(settings[i].file, settings[i].value);
	/* With less than 512 MiB of memory Linux 6.19 switches them off, whatever its command line says. */
	if (asked("transparent_hugepage=always"))
		put(THP, "always");
	server = start_server();
	links = start_links();
	up("lo", LOOPBACK, "255.0.0.0");
	if (!well_ended(links))
		fprintf(stderr, "patchrig: busybox has not made its links\n");
	reachable = well_ended(server);
	/* With nothing beside it: half the speed would be twice the time limits. */
	say_ready(reachable, guest_speed());
	/* From here on nothing happens by itself: a guest that is to be saved is saved now. */
	put("/dev/kmsg", "patchrig: settled\n");
	/* By a reproducer, or by somebody who sits at the console: then without a workload. */
	if (!asked("patchrig.run="))
		wait_for_a_line();
	serve_console();
}
