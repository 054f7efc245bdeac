/* Files of the kernel's that take a text: settings, cgroups, tracing, the log. */
#ifndef PATCHRIG_TEXTFILE_H
#define PATCHRIG_TEXTFILE_H

#include <stdbool.h>

/* Writes the text at once; whether the file took all of it. If not, errno says why. */
bool put_text(const char *path, const char *text);

#endif
