/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Branches of a site that no counter of the kernel's shows. */
#ifndef PATCHRIG_BRANCH_H
#define PATCHRIG_BRANCH_H

/*
 * Counts, while the load runs, the calls of a kernel function that were made somewhere below a caller and ended as
 * `filter` says ("ret==0"; "" = all calls, however they end). `callers`: beginnings of the names of functions, with '|'
 * between them, of which any will do ("" = calls from anywhere): a kernel may have inlined the first into the next. The
 * sum is the workload's counter of that name; lacking (counter_lacking()) where the kernel has no such function, or none
 * of the callers. For prepare(). When the site's probe rests, these rest with it: the sum is then a sample, too (counter
 * site.sampled).
 */
void branch_probe(const char *counter, const char *function, const char *filter, const char *callers);

#endif
