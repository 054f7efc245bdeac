/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PATCHRIG_POINT_H
#define PATCHRIG_POINT_H

/*
 * Ends a basic block and has no instructions: what comes next begins with a call of the callback. A block of the compiler's
 * goes on over a lock that is taken or released, and what was read on one side of it is used on the other.
 */
#define PATCHRIG_POINT()                             \
	({                                           \
		__label__ patchrig_next;             \
		asm goto("" : : : : patchrig_next);  \
patchrig_next:;                                      \
	})

#define PATCHRIG_POINT_THEN(call) \
	({                        \
		PATCHRIG_POINT(); \
		call;             \
	})
#define PATCHRIG_THEN_POINT(call) \
	({                        \
		call;             \
		PATCHRIG_POINT(); \
	})

#endif
