#include "eval/score.h"

#include <stdlib.h>

enum { PASS = 4096 };		/* tokens a pass, or one context when that is more */

struct score {
	struct scorer	*scorer;	/* one of these */
	struct cached	*cached;
	struct batch	 batch;
	int64_t		 context, stride, vocab, tokens;
	double		 nats;
	struct score_report sum;
};

struct score *
score_new(struct model *model, int64_t context, int64_t stride, dtype kv, struct err *err)
{
	int64_t most = model->config.context, cap;
	struct score *s;

	if (context == 0)
		context = most;
	if (stride == 0)
		stride = context - 1;
	if (context < 2 || context > most || stride < 1 || stride >= context) {
		err_set(err, ERR_ARG, "a context of %lld with stride %lld: the model's is %lld, "
		    "and the stride is less than the context", (long long)context,
		    (long long)stride, (long long)most);
		return NULL;
	}
	if ((s = calloc(1, sizeof(*s))) == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	s->context = context;
	s->stride = stride;
	s->vocab = model->config.vocab;
	cap = context > PASS ? context : PASS;
	if (batch_init(&s->batch, cap, err) < 0 || (kv == DTYPE_NONE ?
	    (s->scorer = scorer_new(model, cap, err)) == NULL :
	    (s->cached = cached_new(model, context, kv, false, err)) == NULL)) {
		score_free(s);
		return NULL;
	}
	return s;
}

static int
flush(struct score *s, struct err *err)
{
	struct batch *b = &s->batch;

	if (s->scorer != NULL && scorer_batch(s->scorer, b, &s->nats, &s->sum, err) < 0)
		return -1;
	b->tokens = b->seqs = b->targets = b->source_bytes = 0;
	return 0;
}

/* One window [from, to); its targets are the tokens from done on. */
static int
window(struct score *s, const uint32_t *token, int64_t from, int64_t to, int64_t done,
    struct err *err)
{
	struct batch *b = &s->batch;

	if (b->tokens + (to - from) > b->cap_tokens && flush(s, err) < 0)
		return -1;
	for (int64_t i = from; i < to; i++) {
		bool target = i + 1 < to && i + 1 >= done;

		b->token[b->tokens] = (int32_t)token[i];
		b->target[b->tokens] = target ? (int32_t)token[i + 1] : -1;
		b->targets += target;
		b->tokens++;
	}
	if (s->cached == NULL) {
		b->cu_seqlens[++b->seqs] = (int32_t)b->tokens;
		return 0;
	}
	s->sum.targets += b->targets;
	if (cached_window(s->cached, b->token, b->tokens, done - from, &s->nats, err) < 0)
		return -1;
	b->tokens = b->targets = 0;
	return 0;
}

int
score_add(struct score *s, const uint32_t *token, int64_t n, int64_t source_bytes,
    struct err *err)
{
	for (int64_t i = 0; i < n; i++)
		if (token[i] >= s->vocab)
			return err_set(err, ERR_FORMAT, "token %u in a model of %lld", token[i],
			    (long long)s->vocab);
	s->sum.source_bytes += source_bytes;
	s->tokens += n;
	for (int64_t from = 0, done = 1; done < n; from += s->stride) {
		int64_t to = from + s->context < n ? from + s->context : n;

		if (window(s, token, from, to, done, err) < 0)
			return -1;
		done = to;
	}
	return 0;
}

int
score_end(struct score *s, struct score_report *r, struct err *err)
{
	if (flush(s, err) < 0)
		return -1;
	*r = s->sum;
	/* Not those of the windows, which overlap. */
	r->tokens = s->tokens;
	score_finish(r, s->nats);
	return 0;
}

void
score_free(struct score *s)
{
	if (s == NULL)
		return;
	scorer_free(s->scorer);
	cached_free(s->cached);
	batch_free(&s->batch);
	free(s);
}
