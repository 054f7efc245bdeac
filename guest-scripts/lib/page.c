// SPDX-License-Identifier: GPL-2.0-or-later
/* A file of its own, so that tests can stand in for it. */
#include <unistd.h>

#include "page.h"

unsigned int page_size(void)
{
	static unsigned int size;

	/* Asked once: sysconf() looks the value up each time. Threads that ask at once get the same answer. */
	if (!size)
		size = sysconf(_SC_PAGESIZE);
	return size;
}
