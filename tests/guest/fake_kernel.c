// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fake_kernel.h"

#define PATH_SIZE 400

FILE *__real_fopen(const char *path, const char *mode);
int __real_open(const char *path, int flags, ...);
int __real_access(const char *path, int mode);
uint64_t __real_now_ns(void);
void __real_sleep_us(uint64_t us);
FILE *__wrap_fopen(const char *path, const char *mode);
int __wrap_open(const char *path, int flags, ...);
int __wrap_access(const char *path, int mode);
uint64_t __wrap_now_ns(void);
void __wrap_sleep_us(uint64_t us);
unsigned int __real_page_size(void);
unsigned int __wrap_page_size(void);
int __wrap_swapon(const char *path, int flags);
int __wrap_swapoff(const char *path);
int __wrap_setpriority(int which, unsigned int who, int priority);
int __wrap_mlock(const void *address, size_t length);
int __wrap_munlock(const void *address, size_t length);

unsigned int swapoffs_seen, swapons_seen;
void (*swapoff_does)(void);

static uint64_t fake_now;
static unsigned int fake_page_size;
static const int *swapoff_errors;
static unsigned int swapoff_errors_count;
static int swapon_error;

/* Below the folder that the test runs in. */
static const char *in_place_of(const char *path)
{
	static char place[PATH_SIZE];

	if (strncmp(path, "/proc/", 6) && strncmp(path, "/sys/", 5) && strncmp(path, "/patchrig/", 10) &&
	    strcmp(path, "/dev/kmsg"))
		return path;
	snprintf(place, sizeof(place), "./kernel%s", path);
	return place;
}

static void make_folders(const char *path)
{
	char folder[PATH_SIZE];

	for (const char *slash = strchr(path + 2, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		mkdir(folder, 0755);
	}
}

void kernel_file(const char *path, const char *text)
{
	const char *place = in_place_of(path);
	FILE *file;

	make_folders(place);
	file = __real_fopen(place, "w");
	if (!file || fputs(text, file) < 0 || fclose(file))
		abort();
}

const char *kernel_text(const char *path)
{
	static char text[16384];
	FILE *file = __real_fopen(in_place_of(path), "r");

	text[file ? fread(text, 1, sizeof(text) - 1, file) : 0] = 0;
	if (file)
		fclose(file);
	return text;
}

void kernel_forget(const char *path)
{
	unlink(in_place_of(path));
}

void clock_set(uint64_t ns)
{
	fake_now = ns;
}

void page_size_set(unsigned int size)
{
	fake_page_size = size;
}

unsigned int __wrap_page_size(void)
{
	return fake_page_size ? fake_page_size : __real_page_size();
}

void swapoff_returns(const int *errors, unsigned int count)
{
	swapoff_errors = errors;
	swapoff_errors_count = count;
}

void swapon_returns(int error)
{
	swapon_error = error;
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
	return __real_fopen(in_place_of(path), mode);
}

int __wrap_open(const char *path, int flags, ...)
{
	const bool written = (flags & O_ACCMODE) == O_WRONLY;

	/* The library creates no file. */
	return __real_open(in_place_of(path), flags | (written ? O_APPEND : 0));
}

int __wrap_access(const char *path, int mode)
{
	return __real_access(in_place_of(path), mode);
}

uint64_t __wrap_now_ns(void)
{
	return fake_now ? fake_now : __real_now_ns();
}

void __wrap_sleep_us(uint64_t us)
{
	if (fake_now)
		fake_now += us * 1000;
	else
		__real_sleep_us(us);
}

int __wrap_swapon(const char *path, int flags)
{
	(void)path, (void)flags;
	swapons_seen++;
	errno = swapon_error;
	return swapon_error ? -1 : 0;
}

int __wrap_swapoff(const char *path)
{
	(void)path;
	swapoffs_seen++;
	if (swapoff_does)
		swapoff_does();
	errno = swapoff_errors_count ? *swapoff_errors : 0;
	if (swapoff_errors_count) {
		swapoff_errors++;
		swapoff_errors_count--;
	}
	return errno ? -1 : 0;
}

/* The tests need not be root. */
int __wrap_setpriority(int which, unsigned int who, int priority)
{
	(void)which, (void)who, (void)priority;
	return 0;
}

/* Those of ASan do nothing, and then what is locked need not be resident. */
int __wrap_mlock(const void *address, size_t length)
{
	return (int)syscall(SYS_mlock, address, length);
}

int __wrap_munlock(const void *address, size_t length)
{
	return (int)syscall(SYS_munlock, address, length);
}
