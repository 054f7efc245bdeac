/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of the kernel's that take a text or hold a number: settings, cgroups, tracing, statistics, the log. */
#ifndef PATCHRIG_TEXTFILE_H
#define PATCHRIG_TEXTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Writes the text at once; whether the file took all of it. If not, errno says why. */
bool put_text(const char *path, const char *text);
/* Reads a file to its end; `text` has its last part, whole if it fits. Its length, or -1. */
ssize_t read_text(const char *path, char *text, size_t size);
/* Of a file with one number; 0 where it can't be read. */
uint64_t number_in(const char *path);

#endif
