/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of the kernel's that take a text or hold a number: settings, cgroups, tracing, statistics, the log. */
#ifndef PATCHRIG_TEXTFILE_H
#define PATCHRIG_TEXTFILE_H

#include <stdbool.h>
#include <stdint.h>

/* Writes the text at once; whether the file took all of it. If not, errno says why. */
bool put_text(const char *path, const char *text);
/* Of a file with one number; 0 where it can't be read. */
uint64_t number_in(const char *path);

#endif
