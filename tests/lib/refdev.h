/*
 * refdev - a device that computes everything in double, one obvious loop each
 *
 * What the real backends are compared with, and what gradients are checked
 * on.  All tensors are F64 (`type' and its like DTYPE_F64), ids and counts
 * int32 as everywhere.  Work runs when it is launched.
 */
#ifndef TESTS_REFDEV_H
#define TESTS_REFDEV_H

#include "dev/kernels.h"

/* The team is kept for dev->team and not used.  Close with dev_close(). */
struct dev *refdev_open(struct team *team, struct err *err);

/* Its kernels in other files. */
void ref_recurrence(int kernel, const union dev_args *a);
void ref_optim(int kernel, const union dev_args *a);
/* Kernels of dev/kernels_moe.h and of columns, in refdev_moe.c; false for others. */
bool refdev_moe(int kernel, const union dev_args *a);

#endif
