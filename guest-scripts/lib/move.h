/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UFFDIO_MOVE, also where the headers are older than Linux 6.8. */
#ifndef PATCHRIG_MOVE_H
#define PATCHRIG_MOVE_H

#include <linux/userfaultfd.h>

#ifndef UFFDIO_MOVE
#define UFFD_FEATURE_MOVE (1 << 16)
#define UFFDIO_MOVE_MODE_DONTWAKE ((__u64)1 << 0)
#define UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES ((__u64)1 << 1)
#define UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct uffdio_move)

struct uffdio_move {
	__u64 dst;
	__u64 src;
	__u64 len;
	__u64 mode;
	__s64 move;
};
#endif

/* Of a page that is found in both areas afterwards, or in none. */
#define MOVED_NOT_COPIED "ioctl_userfaultfd(2), UFFDIO_MOVE: a page is moved from source to destination, neither copied nor lost"

#endif
