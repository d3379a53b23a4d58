#include "train/share.h"

#include <stdlib.h>

#include "train/optim_impl.h"

struct share {
	struct comm	*comm;
	struct dev	*dev;
	struct launches	 list;
};

struct row_range
share_rows(const struct comm *comm, int64_t n)
{
	int64_t rank = comm_rank(comm), size = comm_size(comm), first = n * rank / size;

	return (struct row_range){ first, n * (rank + 1) / size - first };
}

static void
record(struct share *s, dptr x, dtype type, int64_t n)
{
	launches_add(&s->list, K_COLLECTIVE, &(union dev_args){ .collective = {
	    .comm = s->comm, .what = COLLECTIVE_SUM, .y = x, .x = x, .type = type, .n = n } });
}

struct share *
share_new(struct comm *comm, struct params *params, const struct model_io *io, dptr sumsq,
    struct err *err)
{
	struct share *s = calloc(1, sizeof(*s));
	const struct op_balance *b = &io->balance;

	if (s == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	s->comm = comm;
	s->dev = params->dev;
	record(s, params->grad, params_wide(params), params->grad_n);
	record(s, io->loss->data, DTYPE_F64, 1);
	for (int64_t i = 0; i < io->n_ahead; i++)
		record(s, io->ahead[i].loss->data, DTYPE_F64, 1);
	if (b->layers > 0) {
		record(s, b->loss->data, DTYPE_F64, 2);
		record(s, b->count->data, DTYPE_I32, b->layers * b->experts);
	}
	launches_add(&s->list, K_SUMSQ, &(union dev_args){ .sumsq = {
	    .out = sumsq, .x = params->grad, .type = params_wide(params),
	    .n = params->grad_n } });
	if (launches_check(&s->list, s->dev, err) < 0) {
		share_free(s);
		return NULL;
	}
	return s;
}

void
share_free(struct share *s)
{
	if (s == NULL)
		return;
	free(s->list.list);
	free(s);
}

void
share_add(struct share *s)
{
	launches_run(&s->list, s->dev, "sum");
}
