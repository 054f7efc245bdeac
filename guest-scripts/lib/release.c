// SPDX-License-Identifier: GPL-2.0-or-later
/* Of which release the kernel is: see release.h. */
#include <stdio.h>

#include "release.h"

#define RELEASE "/proc/sys/kernel/osrelease"

bool release_is_at_least(unsigned int major, unsigned int minor)
{
	unsigned int its_major = 0, its_minor = 0;
	FILE *file = fopen(RELEASE, "re");

	if (file && fscanf(file, "%u.%u", &its_major, &its_minor) != 2)
		its_major = 0;
	if (file)
		fclose(file);
	return its_major > major || (its_major == major && its_minor >= minor);
}
