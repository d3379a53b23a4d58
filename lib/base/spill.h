/*
 * spill - big tables in a given amount of memory, and beyond it in a file
 *
 * Pieces are mappings of zeros.  Up to a limit they are ordinary memory; past
 * it each is a file without a name in a directory of the caller's choice, so
 * the kernel can write it out and nothing is left behind.  The spill owns all
 * pieces and spill_free() unmaps them.  For one thread at a time.
 */
#ifndef BASE_SPILL_H
#define BASE_SPILL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct piece {
	void	*p;
	int64_t	 bytes;
	bool	 file;
	struct piece *next, **at;	/* the spill's list */
};

struct spill {
	const char	*dir;		/* borrowed */
	int64_t		 memory;	/* what is left of the limit */
	int64_t		 in_memory, in_files;	/* bytes mapped */
	struct piece	*first;
	char		*bump, *bump_end;	/* of spill_bytes() */
};

void spill_init(struct spill *s, const char *dir, int64_t memory);

/* A piece of at least bytes, or NULL.  A full disk is told here, not by SIGBUS. */
struct piece *spill_map(struct spill *s, int64_t bytes, struct err *err);
void spill_unmap(struct spill *s, struct piece *p);

/* n bytes, aligned to 8, that never move and live as long as the spill. */
void *spill_bytes(struct spill *s, int64_t n, struct err *err);

void spill_free(struct spill *s);

/* A file in dir that has no name, with so many bytes allocated: its descriptor, or -1. */
int spill_file(const char *dir, int64_t bytes, struct err *err);

#endif
