/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a promise depends on where only its release says whether a kernel gives it. */
#ifndef PATCHRIG_RELEASE_H
#define PATCHRIG_RELEASE_H

#include <stdbool.h>

/* The running kernel is of this release or a later one. */
bool release_is_at_least(unsigned int major, unsigned int minor);

#endif
