/*
 * memory - memory for a test, or its end
 */
#ifndef TESTS_LIB_MEMORY_H
#define TESTS_LIB_MEMORY_H

#include <stdio.h>
#include <stdlib.h>

static inline void *
must(void *p)
{
	if (p == NULL) {
		printf("Bail out! out of memory\n");
		exit(2);
	}
	return p;
}

#endif
