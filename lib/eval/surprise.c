#include "eval/surprise.h"

#include <math.h>
#include <stdlib.h>

#include "eval/documents.h"
#include "eval/ngram.h"

struct surprise {
	const struct tokenizer	*tokenizer;
	struct ngram		*ngram;
	uint32_t		 vocab;
};

static int
learn(void *ctx, const uint32_t *token, int64_t n, int64_t source_bytes, struct err *err)
{
	struct surprise *s = ctx;

	(void)source_bytes;
	for (int64_t i = 0; i < n; i++)
		if (token[i] >= s->vocab)
			return err_set(err, ERR_FORMAT, "token %u in a vocabulary of %u", token[i],
			    s->vocab);
	return ngram_add(s->ngram, token, n, err);
}

struct surprise *
surprise_learn(const struct tokenizer *t, const char *path, int order, str field, struct err *err)
{
	struct surprise *s = calloc(1, sizeof(*s));
	struct documents d = { .tokenizer = t, .field = field, .each = learn, .ctx = s };

	if (s == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	s->tokenizer = t;
	s->vocab = (uint32_t)tokenizer_vocab(t);
	if ((s->ngram = ngram_new(order, (int32_t)s->vocab, err)) == NULL ||
	    documents_each(&d, path, err) < 0 || ngram_build(s->ngram, err) < 0) {
		surprise_free(s);
		return NULL;
	}
	return s;
}

/* Room for the text's tokens and for what begins and ends it. */
static int
room(struct surprise_state *x, int64_t n, struct err *err)
{
	uint32_t *p;

	if (n <= x->cap)
		return 0;
	if ((p = realloc(x->token, (size_t)(2 * n) * sizeof(*p))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	x->token = p;
	x->cap = 2 * n;
	return 0;
}

int
surprise_of(const struct surprise *s, struct surprise_state *x, str text, double *perplexity,
    struct err *err)
{
	int64_t ids = encode_text(&x->encoded, s->tokenizer, text, err), n;
	double nats = 0;

	if (ids < 0 || room(x, ids + 2, err) < 0)
		return -1;
	n = documents_tokens(s->tokenizer, &x->encoded.ids, x->token);
	if (n < 2 || ids == 0)
		return 0;
	for (int64_t i = 1; i < n; i++)
		nats -= ngram_logp(s->ngram, x->token, i);
	*perplexity = exp(nats / (double)(n - 1));
	return 1;
}

void
surprise_state_free(struct surprise_state *x)
{
	encoded_free(&x->encoded);
	free(x->token);
	*x = (struct surprise_state){ 0 };
}

void
surprise_free(struct surprise *s)
{
	if (s == NULL)
		return;
	ngram_free(s->ngram);
	free(s);
}
