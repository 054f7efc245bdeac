// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes a guest that was restored from a snapshot one of its own: "reseed SECONDS ENTROPY" sets the wall clock, gives the
 * kernel entropy of the host's (hex digits) and has every random number from here on depend on it. Then it says what the guest
 * is and how fast it is now, as init's ready line does.
 *
 * Status 1 when any of it failed: such a guest may repeat the random numbers of another.
 */
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "speed.h"

#define MOST_BYTES 64

struct entropy {
	struct rand_pool_info info;
	unsigned char bytes[MOST_BYTES];
};

static int failed(const char *what)
{
	perror(what);
	return 1;
}

static int set_clock(const char *seconds)
{
	const double now = strtod(seconds, NULL);
	struct timespec t = { .tv_sec = (time_t)now };

	t.tv_nsec = (long)((now - (double)t.tv_sec) * 1e9);
	return clock_settime(CLOCK_REALTIME, &t);
}

static int give_entropy(const char *hex)
{
	struct entropy entropy = { 0 };
	const size_t size = strlen(hex) / 2;
	const int urandom = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	unsigned char *const buf = (unsigned char *)&entropy + sizeof(entropy.info);

	if (urandom < 0 || !size || size > MOST_BYTES)
		return -1;
	for (size_t i = 0; i < size; i++) {
		unsigned int byte;

		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			return -1;
		buf[i] = (unsigned char)byte;
	}
	entropy.info.entropy_count = (int)(8 * size);
	entropy.info.buf_size = (int)size;
	/* What was added is not used before the generator is seeded again, which else happens once a minute. */
	return ioctl(urandom, RNDADDENTROPY, &entropy) || ioctl(urandom, RNDRESEEDCRNG);
}

int main(int argc, char **argv)
{
	struct sysinfo system;

	if (argc != 3) {
		fprintf(stderr, "reseed SECONDS ENTROPY\n");
		return 2;
	}
	if (set_clock(argv[1]))
		return failed("the wall clock");
	if (give_entropy(argv[2]))
		return failed("entropy");
	if (sysinfo(&system))
		return failed("sysinfo");
	printf("cpus=%ld memory_kib=%lu speed=%.1f\n", sysconf(_SC_NPROCESSORS_ONLN),
	       system.totalram * system.mem_unit / 1024, guest_speed());
	return 0;
}
