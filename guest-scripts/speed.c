// SPDX-License-Identifier: GPL-2.0-or-later
/* Prints how fast this guest is now; see lib/speed.h. */
#include <stdio.h>

#include "speed.h"

int main(void)
{
	printf("%.1f\n", guest_speed());
	return 0;
}
