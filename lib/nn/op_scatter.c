#include "nn/nn_impl.h"

void
op_scatter(struct tape *t, struct tensor *cache, struct tensor *x, int64_t column,
    struct tensor *slot, int64_t parts, int64_t block_size)
{
	union dev_args *a;

	if (tape_failed(t))
		return;
	if (!is_matrix(cache) || !is_matrix(x) || column < 0 ||
	    column + cache->shape[1] > x->shape[1]) {
		tape_fail(t, "scatter: cache %s and x %s do not fit", shape_text(cache).s,
		    shape_text(x).s);
		return;
	}
	if (slot == NULL || slot->ndim != 1 || slot->type != DTYPE_I32 || !same_rows(slot, x)) {
		tape_fail(t, "scatter: slots are no vector of I32 like the rows of x");
		return;
	}
	a = tape_launch(t, K_SCATTER);
	a->scatter = (struct k_scatter){ .type = x->type, .c = cache->shape[1],
	    .ldx = x->shape[1], .rows = cache->shape[0], .y_type = cache->type,
	    .parts = parts, .block_size = block_size };
	BIND_ROWS(t, scatter.t, x);
	BIND(t, scatter.y, mem_of(cache));
	BIND(t, scatter.x, mem_at(mem_of(x), tape_bytes(t, column)));
	BIND(t, scatter.slot, mem_of(slot));
}
