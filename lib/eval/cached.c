#include "eval/cached.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS = 64 };		/* tokens whose logits are there at once */

struct cached {
	struct engine	*engine;
	struct seq	*seq;
};

struct cached *
cached_new(struct model *model, int64_t context, dtype kv, bool plain, struct err *err)
{
	struct engine_options o = { .pass = ROWS, .rows = ROWS, .cache = context, .kv = kv,
		.plain = plain };
	struct cached *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if ((c->engine = engine_new(model, &o, err)) == NULL ||
	    (c->seq = seq_new(c->engine, err)) == NULL) {
		cached_free(c);
		return NULL;
	}
	return c;
}

/* -log of the softmax of token id. */
static double
cost(const float *logits, int64_t vocab, int32_t id)
{
	double sum = 0;
	float top = -INFINITY;

	for (int64_t i = 0; i < vocab; i++)
		top = fmaxf(top, logits[i]);
	for (int64_t i = 0; i < vocab; i++)
		sum += (double)expf(logits[i] - top);
	return log(sum) - (double)(logits[id] - top);
}

int
cached_window(struct cached *c, const int32_t *token, int64_t n, int64_t done, double *nats,
    struct err *err)
{
	int64_t vocab = engine_config(c->engine)->vocab;

	seq_truncate(c->seq, 0);
	/* The last token predicts nothing. */
	for (int64_t at = 0; at < n - 1; at += ROWS) {
		int64_t rows = at + ROWS < n - 1 ? ROWS : n - 1 - at;

		seq_want(c->seq, rows);
		if (seq_push(c->seq, token + at, rows, err) < 0 ||
		    engine_run(c->engine, &c->seq, 1, err) < 0)
			return -1;
		for (int64_t i = at; i < at + rows; i++)
			if (i + 1 >= done)
				*nats += cost(seq_logits(c->seq) + (i - at - rows + 1) * vocab,
				    vocab, token[i + 1]);
	}
	return 0;
}

void
cached_free(struct cached *c)
{
	if (c == NULL)
		return;
	seq_free(c->seq);
	engine_free(c->engine);
	free(c);
}
