#include "base/wait.h"

#include <math.h>
#include <time.h>

void
wait_until(pthread_cond_t *c, pthread_mutex_t *lock, double time)
{
	struct timespec at;

	if (isinf(time)) {
		pthread_cond_wait(c, lock);
		return;
	}
	at.tv_sec = (time_t)time;
	at.tv_nsec = (long)((time - floor(time)) * 1e9);
	pthread_cond_clockwait(c, lock, CLOCK_MONOTONIC, &at);
}
