/* Plain loops, which the compiler makes vectors of for each instruction set. */
#include "fmt/ids.h"

#define LOOP(name, into, of)						\
static uint32_t								\
name(into *restrict to, const of *restrict from, int64_t n)		\
{									\
	uint32_t most = 0;						\
									\
	for (int64_t i = 0; i < n; i++) {				\
		to[i] = (into)from[i];					\
		most = from[i] > most ? from[i] : most;			\
	}								\
	return most;							\
}

LOOP(narrow, uint16_t, uint32_t)
LOOP(widen, uint32_t, uint16_t)
LOOP(copy, uint32_t, uint32_t)

const struct ids_simd OF_ISA(ids_simd) = { narrow, widen, copy };
