// SPDX-License-Identifier: GPL-2.0-or-later
/* Swap areas in files: a good header, each bad one, and what is beside. */
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "page.h"
#include "swap-area.h"

#define PAGES 6

static struct swap_area area;
static uint32_t header[3];
static char signature[11];

static void read_header(void)
{
	memset(signature, 0, sizeof(signature));
	CHECK(pread(area.file, header, sizeof(header), 1024) == sizeof(header));
	CHECK(pread(area.file, signature, 10, (off_t)PAGE - 10) == 10);
}

static void a_good_header_is_one_of_mkswap(void)
{
	CHECK(swap_area_of_many_extents(&area, "extents", PAGES));
	CHECK(swap_area_mark(&area, FLAW_NONE));
	read_header();
	CHECK_NUMBER(header[0], 1);
	CHECK_NUMBER(header[1], PAGES - 1);
	CHECK_NUMBER(header[2], 0);
	CHECK_TEXT(signature, "SWAPSPACE2");
}

static void each_flaw_makes_another_header(void)
{
	for (enum flaw flaw = FLAW_NONE + 1; flaw < FLAWS; flaw++) {
		CHECK(swap_area_mark(&area, flaw));
		read_header();
		CHECK(strcmp(signature, "SWAPSPACE2") || header[0] != 1 || header[1] != PAGES - 1 || header[2]);
	}
}

static void the_file_beside_it_shows_what_was_written_to_a_wrong_place(void)
{
	const char wrong = 1;

	CHECK_NUMBER(swap_area_damage(&area), -1);
	CHECK(pwrite(area.beside, &wrong, 1, 3 * (off_t)PAGE + 100) == 1);
	CHECK_NUMBER(swap_area_damage(&area), 3);
}

static void a_file_with_a_hole_is_as_long_and_has_a_header(void)
{
	struct stat about;

	CHECK(swap_area_with_hole("hole", PAGES));
	CHECK(!stat("hole", &about));
	CHECK_NUMBER(about.st_size, PAGES * (off_t)PAGE);
	CHECK(!swap_area_with_hole("nowhere/hole", PAGES));
}

int main(void)
{
	RUN(a_good_header_is_one_of_mkswap);
	RUN(each_flaw_makes_another_header);
	RUN(the_file_beside_it_shows_what_was_written_to_a_wrong_place);
	RUN(a_file_with_a_hole_is_as_long_and_has_a_header);
	return check_result();
}
