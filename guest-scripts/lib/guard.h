/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory that may turn out to be unreadable: a bus error as a result, where it is one that a kernel may give. */
#ifndef PATCHRIG_GUARD_H
#define PATCHRIG_GUARD_H

#include <stdbool.h>

/*
 * For setup(), before anything is mapped that may be swapped: what there is by now is locked. From then on guarded()
 * works in every thread; a bus error anywhere else still ends the load.
 */
void guard_bus_errors(void);
/* Runs body(argument). False when a bus error broke it off: body must hold no lock while it touches the memory. */
bool guarded(void (*body)(void *), void *argument);

#endif
