/*
 * driver - what the entry points share
 *
 * They are compiled against cuda.h, whose macros give them the names that the real library
 * exports (cuMemAlloc is cuMemAlloc_v2).  One thread is inside at a time.
 */
#ifndef DRIVER_H
#define DRIVER_H

#include <pthread.h>

#include "memory.h"
#include "stream.h"

pthread_mutex_t *driver_lock(void);
void driver_unlock(pthread_mutex_t **m);

#define GUARD pthread_mutex_t *guard __attribute__((cleanup(driver_unlock), unused)) = driver_lock()

/* CUDA_SUCCESS if the calling thread has a context and nothing failed before. */
CUresult driver_ready(void);
/* Waiting is not allowed while a stream is captured; that ends the capture too. */
CUresult driver_may_wait(void);
/* Nor is allocating, but where the capture is said to be relaxed. */
CUresult driver_may_allocate(void);
/* Is this wait for an event the one to leave out? */
bool driver_deaf(void);

#define READY do {							\
	CUresult ready_ = driver_ready();				\
	if (ready_ != CUDA_SUCCESS)					\
		return ready_;						\
} while (0)

#define MAY_ALLOCATE do {						\
	CUresult may_ = driver_may_allocate();				\
	if (may_ != CUDA_SUCCESS)					\
		return may_;						\
} while (0)

#define MAY_WAIT do {							\
	CUresult wait_ = driver_may_wait();				\
	if (wait_ != CUDA_SUCCESS)					\
		return wait_;						\
} while (0)

#endif
