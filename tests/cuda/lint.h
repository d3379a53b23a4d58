/*
 * lint - how well kernels use memory, by source line
 *
 * Global memory moves in sectors of 32 bytes: those that a warp's access touches are
 * counted beside the fewest that could hold the bytes it uses.  Shared memory has 32
 * banks of 4 bytes: an access takes as many turns as there are different words in its
 * worst bank.  Each line that nvcc's -lineinfo names gets its own count.
 */
#ifndef LINT_H
#define LINT_H

#include "exec.h"

struct account;

/* Count from now on, and append tables to this file; NULL: count nothing. */
void lint_start(const char *file);
/* A kernel's account; where nothing is counted there is none. */
void lint_kernel(struct kernel *k);
/* Append a module's table and free its accounts.  The columns are in lint.c. */
void lint_write(struct module *m);

/* All of these only with an account.  Addresses are of the space. */
void lint_access(const struct warp *w, const struct insn *in, uint32_t mask, int space,
    const uint64_t addr[LANES], uint32_t size);
void lint_product(const struct warp *w, const struct insn *in);
void lint_launch(const struct launch *l);

#endif
