#include "eval/sampling.h"

#include <stdlib.h>

#include "infer/request.h"

enum { PASS = 64 };		/* tokens that the engine takes at once */

struct sampling {
	struct model	*model;
	struct engine	*engine;
	struct tokenizer *tokenizer;
	struct scheduler	*scheduler;
	struct ids	 prompt;
	struct sampler	 sampler;
	struct buf	 text;
};

int64_t
sampling_bytes(struct model *model, struct err *err)
{
	struct engine_options eo = { .pass = PASS };

	return engine_bytes(model, &eo, err);
}

struct sampling *
sampling_new(struct model *model, const char *dir, const char *prompt, uint64_t seed,
    struct err *err)
{
	struct engine_options eo = { .pass = PASS };
	struct sampling *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	s->model = model;
	s->sampler = (struct sampler){ SAMPLER_DEFAULTS };
	s->sampler.seed = seed;
	if ((s->tokenizer = model_tokenizer(dir, err)) == NULL ||
	    prompt_tokens(s->tokenizer, str_of(prompt), &s->prompt, err) < 0 ||
	    (s->engine = engine_new(model, &eo, err)) == NULL ||
	    (s->scheduler = scheduler_new(s->engine, s->tokenizer, err)) == NULL) {
		sampling_free(s);
		return NULL;
	}
	return s;
}

void
sampling_free(struct sampling *s)
{
	if (s == NULL)
		return;
	scheduler_free(s->scheduler);
	engine_free(s->engine);
	ids_free(&s->prompt);
	tokenizer_free(s->tokenizer);
	buf_free(&s->text);
	free(s);
}

static int
add_text(void *ctx, str text, struct err *err)
{
	struct buf *b = ctx;

	buf_add(b, text);
	return buf_ok(b, err);
}

json_t *
sampling_text(struct sampling *s, int64_t step, struct err *err)
{
	const struct request r = { .prompt = s->prompt.id, .n = s->prompt.n,
	    .sampler = s->sampler, .max_tokens = 64, .stream = (uint64_t)step,
	    .write = add_text, .ctx = &s->text };
	json_t *text;

	buf_reset(&s->text);
	if (scheduler_add(s->scheduler, &r, err) < 0 || scheduler_finish(s->scheduler, err) < 0)
		return NULL;
	if ((text = json_stringn(s->text.p, (size_t)s->text.n)) == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	return text;
}
