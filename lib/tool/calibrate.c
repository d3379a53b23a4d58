#include "tool/calibrate.h"

#include "eval/documents.h"

#define AT(field) offsetof(struct calibrate, field)

const struct opt calibrate_options[] = {
	{ 0, "imatrix", OPT_STR, AT(imatrix), "FILE", "importance of columns" },
	{ 0, "calibrate", OPT_STR, AT(text), "FILE", "text to learn the importance from" },
	{ 'f', "field", OPT_STR, AT(field), "KEY", "key of the text in records (text)" },
	{ 'n', "tokens", OPT_I64, AT(tokens), "N", "of the text, at most (65536)",
	    .min = 1, .max = 1e12 },
	{ 0, "context", OPT_I64, AT(context), "N", "tokens of a piece of text (512)",
	    .min = 2, .max = 1e6 },
	{ 0 }
};

static int
each(void *ctx, const uint32_t *token, int64_t n, int64_t source_bytes, struct err *err)
{
	struct calibrate *c = ctx;

	(void)source_bytes;
	for (int64_t at = 0; at < n && c->seen < c->tokens; at += c->context) {
		int64_t left = n - at < c->tokens - c->seen ? n - at : c->tokens - c->seen;
		int64_t piece = left < c->context ? left : c->context;

		if (inputs_run(c->in, token + at, piece, err) < 0 ||
		    imatrix_collect(c->im, c->in, err) < 0)
			return -1;
		if (c->keep)
			buf_add(&c->run, (str){ (const char *)(token + at), piece * 4 });
		c->seen += piece;
		tool_progress_of(&c->progress, c->seen, "tokens", c->seen, c->tokens, c->quiet,
		    c->verbose);
	}
	return 0;
}

void
calibrate_run(struct calibrate *c, struct model *m, const char *path)
{
	struct documents d = { .each = each, .ctx = c };
	struct tokenizer *tokenizer;
	struct err err;

	if (c->field != NULL)
		d.field = str_of(c->field);
	/* A shard needs none. */
	d.tokenizer = tokenizer = model_tokenizer(path, &err);
	if (tokenizer == NULL && err.code != ERR_IO)
		tool_fail(NULL, &err);
	if (c->context > m->config.context)
		c->context = m->config.context;
	progress_start(&c->progress, 0.5);
	c->model = m;
	if ((c->im = imatrix_new(&err)) == NULL ||
	    (c->in = inputs_new(m, c->context, &err)) == NULL ||
	    documents_each(&d, c->text, &err) < 0 || buf_ok(&c->run, &err) < 0)
		tool_fail(NULL, &err);
	if (c->seen == 0)
		tool_die("%s: no text", c->text);
	tokenizer_free(tokenizer);
	tool_progress(NULL, c->quiet, c->verbose);
}

void
calibrate_load(struct calibrate *c)
{
	struct err err;

	if ((c->im = imatrix_load(c->imatrix, &err)) == NULL)
		tool_fail(NULL, &err);
}

void
calibrate_free(struct calibrate *c)
{
	imatrix_free(c->im);
	inputs_free(c->in);
	buf_free(&c->run);
	c->im = NULL;
	c->in = NULL;
}
