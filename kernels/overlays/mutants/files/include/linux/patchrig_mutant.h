/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included by each C file with guards. BUILD_BUG(), and min() of values whose sign gcc has to find out, assert what
 * gcc knows of values and of what it has inlined. Guards are in its way, and then it refuses code that is right. The
 * series compiles without guards, so its assertions hold.
 */
#undef __compiletime_assert
#define __compiletime_assert(condition, msg, prefix, suffix) ((void)(condition))
