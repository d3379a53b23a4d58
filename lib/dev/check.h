/*
 * check - which types and shapes the kernels are defined for, on any device
 *
 * What a backend has beyond that, or lacks, it says itself.
 */
#ifndef DEV_CHECK_H
#define DEV_CHECK_H

#include "dev/kernels.h"

/* 0, or -1 naming kernel, dtype or shape, and the device by this name. */
int dev_serves(const char *device, int kernel, const union dev_args *a, struct err *err);

#endif
