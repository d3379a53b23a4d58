/*
 * wait - for a condition, with a limit
 */
#ifndef BASE_WAIT_H
#define BASE_WAIT_H

#include <pthread.h>

/* Until it is signalled, or progress_now() is so late; INFINITY: never.  It may wake sooner. */
void wait_until(pthread_cond_t *c, pthread_mutex_t *lock, double time);

#endif
