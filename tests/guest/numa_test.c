// SPDX-License-Identifier: GPL-2.0-or-later
/* Sets of nodes. */
#include "check.h"
#include "fake_kernel.h"
#include "numa.h"

static void lists_of_nodes_are_read(void)
{
	CHECK_NUMBER(nodes_parse("0\n"), 1);
	CHECK_NUMBER(nodes_parse("0-1\n"), 3);
	CHECK_NUMBER(nodes_parse("0,2-3"), 13);
	CHECK_NUMBER(nodes_parse(""), 0);
	CHECK_NUMBER(nodes_parse("\n"), 0);
	CHECK_NUMBER(nodes_parse("none"), 0);
	CHECK_NUMBER(nodes_parse("1,"), 2);
	/* Beyond what a set has. */
	CHECK_NUMBER(nodes_parse("64-99,1"), 2);
	CHECK(nodes_parse("63") == 1ull << 63);
}

static void lists_of_nodes_are_written(void)
{
	char text[256], small[4];

	nodes_format(13, text, sizeof(text));
	CHECK_TEXT(text, "0,2,3");
	CHECK_NUMBER(nodes_parse(text), 13);
	nodes_format(0, text, sizeof(text));
	CHECK_TEXT(text, "");
	nodes_format(~0ull, small, sizeof(small));
	CHECK_TEXT(small, "0,1");
}

static void without_numa_there_is_one_node(void)
{
	CHECK_NUMBER(nodes_with_memory(), 1);
	kernel_file("/sys/devices/system/node/has_memory", "0-1\n");
	CHECK_NUMBER(nodes_with_memory(), 3);
}

int main(void)
{
	RUN(lists_of_nodes_are_read);
	RUN(lists_of_nodes_are_written);
	RUN(without_numa_there_is_one_node);
	return check_result();
}
