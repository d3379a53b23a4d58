/*
 * ids - copies of token ids that change their width, for each instruction set
 *
 * Each copies n ids and returns the largest, 0 when there is none.
 */
#ifndef FMT_IDS_H
#define FMT_IDS_H

#include <stdint.h>

#include "base/isa.h"

struct ids_simd {
	uint32_t (*narrow)(uint16_t *restrict to, const uint32_t *restrict from, int64_t n);
	uint32_t (*widen)(uint32_t *restrict to, const uint16_t *restrict from, int64_t n);
	uint32_t (*copy)(uint32_t *restrict to, const uint32_t *restrict from, int64_t n);
};

ISA_TABLE(ids_simd)

#endif
