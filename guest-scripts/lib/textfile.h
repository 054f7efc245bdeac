/* Files of the kernel's that take a text or hold a number: settings, cgroups, tracing, statistics, the log. */
#ifndef PATCHRIG_TEXTFILE_H
#define PATCHRIG_TEXTFILE_H

#include <stdbool.h>
#include <stdint.h>

/* Writes the text at once; whether the file took all of it. If not, errno says why. */
bool put_text(const char *path, const char *text);
/* A file with one number; false where it can't be read, and then nothing is stored. */
bool get_number(const char *path, uint64_t *value);

#endif
