#include "infer/pace.h"

#include <stdlib.h>
#include <string.h>

#include "base/progress.h"
#include "base/rng.h"

struct pace {
	int64_t		 prompt, tokens;
	struct engine	*engine;
	struct seq	*seq;
};

struct pace *
pace_new(struct model *m, int64_t prompt, int64_t tokens, struct err *err)
{
	const struct engine_options o = { .cache = prompt + tokens };
	struct pace *p;

	if (prompt > m->config.context || tokens > m->config.context - prompt) {
		err_set(err, ERR_LIMIT, "%lld tokens in a context of %lld",
		    (long long)(prompt + tokens), (long long)m->config.context);
		return NULL;
	}
	if ((p = calloc(1, sizeof(*p))) == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	p->prompt = prompt;
	p->tokens = tokens;
	if ((p->engine = engine_new(m, &o, err)) == NULL ||
	    (p->seq = seq_new(p->engine, err)) == NULL) {
		pace_free(p);
		return NULL;
	}
	return p;
}

void
pace_free(struct pace *p)
{
	if (p == NULL)
		return;
	seq_free(p->seq);
	engine_free(p->engine);
	free(p);
}

int
pace_run(struct pace *p, double *prompt, double *tokens, struct err *err)
{
	uint64_t vocab = (uint64_t)engine_config(p->engine)->vocab;
	double start = progress_now();

	seq_truncate(p->seq, 0);
	for (int64_t i = 0; i < p->prompt + p->tokens; i++) {
		int32_t id = (int32_t)rng_below(1, 0, (uint64_t)i, vocab);

		if (seq_push(p->seq, &id, 1, err) < 0 || (i >= p->prompt - 1 &&
		    engine_run(p->engine, &p->seq, 1, err) < 0))
			return -1;
		if (i == p->prompt - 1) {
			*prompt = progress_now() - start;
			start = progress_now();
		}
	}
	*tokens = progress_now() - start;
	return 0;
}

double
pace_bytes(const struct model *m)
{
	const struct config *c = &m->config;
	double sum = 0;

	for (int i = 0; i < m->params.n; i++) {
		const struct param *p = &m->params.p[i];
		bool table = p->ndim == 2 && p->shape[0] == c->vocab;

		if (p->ndim > 1 && (!table || c->tied || strstr(p->name, "lm_head") != NULL))
			sum += (double)dtype_bytes(p->type, p->n);
	}
	return sum * (double)config_active(c) / (double)config_params(c);
}
