#include "eval/sampling.h"

#include <stdlib.h>

#include "infer/generate.h"

enum { PASS = 64 };		/* tokens that the engine takes at once */

struct sampling {
	struct model	*model;
	struct engine	*engine;
	struct tokenizer *tokenizer;
	const char	*prompt;
	uint64_t	 seed;
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
	s->prompt = prompt;
	s->seed = seed;
	if ((s->tokenizer = tokenizer_load(dir, err)) == NULL ||
	    (s->engine = engine_new(model, &eo, err)) == NULL) {
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
	engine_free(s->engine);
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
	struct sampler how = { .temperature = 0.8, .top_p = 0.95, .seed = s->seed };
	struct generate_options g = { .max_tokens = 64, .stream = (uint64_t)step,
	    .write = add_text, .ctx = &s->text };
	struct generate_report r;
	json_t *text = NULL;

	buf_reset(&s->text);
	if (sampler_init(&how, s->model->config.vocab, err) == 0 &&
	    generate(s->engine, s->tokenizer, &how, str_of(s->prompt), &g, &r, err) == 0 &&
	    (text = json_stringn(s->text.p, (size_t)s->text.n)) == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	sampler_free(&how);
	return text;
}
