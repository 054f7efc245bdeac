// SPDX-License-Identifier: GPL-2.0-or-later
/* Files that several processes write: what a killed writer leaves, and who has which page. */
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "share.h"
#include "shared.h"

#define PAGES 12
#define WRITERS 3

static char folder[] = "/tmp/share_test.XXXXXX";

static void start_anew(void)
{
	memset(shared, 0, sizeof(*shared));
	shared->devices_count = 1;
	strcpy(shared->devices[0].kind, "swapfile");
	snprintf(shared->devices[0].path, sizeof(shared->devices[0].path), "%s/swap", folder);
}

static void each_writer_has_its_own_pages(struct share *share)
{
	struct rng rng = rng_stream(1, 1);

	CHECK_NUMBER(share_count(share), 4);
	CHECK_NUMBER(share_first(share, 2), 8);
	for (unsigned int round = 0; round < 100; round++)
		if (share->region.base)
			share_rewrite_mapped(share, 1, &rng);
		else
			share_rewrite_disk(share, 1, &rng);
	for (size_t i = 0; i < PAGES; i++)
		CHECK((share->region.shadow[i] > 2) == (i >= 4 && i < 8));
	share_verify_all(share);
	CHECK_NUMBER(shared->verified, PAGES);
	CHECK_NUMBER(shared->mismatches_total, 0);
}

static void what_a_killed_writer_began_is_judged_once_it_is_finished(struct share *share)
{
	region_begin(&share->region, 5);
	CHECK(share_verify(share, 5, true) == LOOK_RACED);
	share_finish(share, 0);
	CHECK(share_verify(share, 5, true) == LOOK_RACED);
	share_finish(share, 1);
	CHECK(share_verify(share, 5, true) == LOOK_GOOD);
	CHECK_NUMBER(shared->mismatches_total, 0);
}

static void wrong_data_is_found(struct share *share)
{
	const struct identity old = { share->region.id, 9, 0 };

	if (share->region.base) {
		record_write(region_page(&share->region, 9), &old, 0);
	} else {
		uint64_t buffer[PAGE / 8];

		record_write(buffer, &old, 0);
		CHECK(pwrite(share->fd, buffer, PAGE, 9 * PAGE) == PAGE);
	}
	CHECK(share_verify(share, 9, true) == LOOK_BAD);
	CHECK_NUMBER(shared->mismatches_total, 1);
}

static void test_share(struct share share)
{
	shared->verified = 0;
	each_writer_has_its_own_pages(&share);
	what_a_killed_writer_began_is_judged_once_it_is_finished(&share);
	wrong_data_is_found(&share);
	share_close(&share);
	share_verify_all(&share);
}

static void in_memory(void)
{
	start_anew();
	test_share(share_in_memory(REGION_NO_ZEROS | 1, PAGES, WRITERS));
}

static void on_disk(void)
{
	char path[64];

	start_anew();
	CHECK_TEXT(disk_folder(), folder);
	test_share(share_on_disk(REGION_NO_ZEROS | 2, PAGES, WRITERS, "records"));
	snprintf(path, sizeof(path), "%s/records", folder);
	unlink(path);
}

int main(void)
{
	shared_new();
	if (!mkdtemp(folder))
		return 1;
	RUN(in_memory);
	RUN(on_disk);
	rmdir(folder);
	return check_result();
}
