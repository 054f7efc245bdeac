// SPDX-License-Identifier: GPL-2.0-or-later
/* The measure that time limits scale with: a number that can be divided by. */
#include "check.h"
#include "run.h"
#include "speed.h"

static void the_speed_is_measured_for_20_ms(void)
{
	const uint64_t start = now_ns();
	const double speed = guest_speed();

	CHECK(now_ns() - start >= 20000000);
	/* Iterations per microsecond: a slow emulator and a fast host are within. */
	CHECK(speed > 0.1 && speed < 100000);
}

int main(void)
{
	RUN(the_speed_is_measured_for_20_ms);
	return check_result();
}
