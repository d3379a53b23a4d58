/*
 * memory - device memory and what is known of each word of it
 *
 * Device addresses are a reserved range that the host cannot touch; the bytes
 * are elsewhere, so a program that follows a device pointer ends at once.
 * Addresses are never used twice.  Pinned host memory is mapped at its own
 * device address.  Between allocations lie gaps that belong to nobody.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include "standin.h"

/*
 * Who last wrote and read a word of four bytes: from the top, the epoch of the
 * operation (16 bits), the block (32; MANY), the thread (10), whether it was
 * atomic (1), which bytes (4).  0 for nobody.
 */
struct shadow {
	uint64_t write, read;
};

/*
 * When an operation was: the at-th of its stream (0: the host).  It was before one that knows
 * as many of that stream.
 */
struct when {
	uint32_t stream, at;
};

#define SHADOW_EPOCH 48
#define SHADOW_BLOCK 16
#define SHADOW_THREAD 5
#define SHADOW_ATOMIC 16u
#define SHADOW_MANY 0xffffffffu

struct area {
	uint64_t lo, hi;	/* device addresses */
	uint8_t	*data;		/* of lo */
	struct shadow *shadow;	/* of each word */
	uint8_t	*init;		/* four bits a word */
	char	*name;
	bool	freed, pinned;
};

enum { MEMORY_ZERO = 1, MEMORY_PINNED = 2 };

/* 0 when there is no more. */
uint64_t memory_new(uint64_t size, int flags, const char *name);
/* False if nothing was allocated there. */
bool memory_free(uint64_t addr);
/* The area that holds addr or, if none does, NULL. */
struct area *memory_find(uint64_t addr);
/* The one that begins last before addr, for messages; NULL if none does. */
struct area *memory_before(uint64_t addr);
/* Host address of what a device address in an area names. */
void *memory_host(uint64_t addr);
uint64_t memory_used(void);
uint64_t memory_total(void);
/* The bytes of all device memory, to be freed; put back; where the first are that differ. */
uint8_t *memory_save(void);
void memory_restore(const uint8_t *saved);
const char *memory_differs(const uint8_t *saved, uint64_t *byte);
/* Forget who read and wrote, when epochs begin anew. */
void memory_new_epochs(void);

#endif
