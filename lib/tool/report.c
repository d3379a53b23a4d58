#include "tool/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "eval/documents.h"

/* ---- the text, and what is measured on it ---- */

static int
keep(void *ctx, const uint32_t *token, int64_t n, int64_t source_bytes, struct err *err)
{
	struct report *r = ctx;
	uint32_t left = (uint32_t)(REPORT_TOKENS - r->tokens);
	uint32_t some = n < (int64_t)left ? (uint32_t)n : left;

	(void)source_bytes;
	if (some < 2)
		return 0;
	buf_add(&r->token, (str){ (const char *)&some, sizeof(some) });
	buf_add(&r->token, (str){ (const char *)token, (ptrdiff_t)(some * sizeof(*token)) });
	r->tokens += some;
	return buf_ok(&r->token, err);
}

void
report_begin(struct report *r, const char *path)
{
	struct documents d = { .each = keep, .ctx = r };
	struct tokenizer *tokenizer;
	struct err err;

	/* What cannot be written is known before the work. */
	if (r->path != NULL &&
	    (r->out = out_open(r->path, (struct codec_spec){ CODEC_PLAIN, 0 }, &err)) == NULL)
		tool_fail(NULL, &err);
	if (r->valid == NULL)
		return;
	if (r->field != NULL)
		d.field = str_of(r->field);
	/* A shard needs none. */
	d.tokenizer = tokenizer = model_tokenizer(path, &err);
	if (tokenizer == NULL && err.code != ERR_IO)
		tool_fail(NULL, &err);
	if ((r->dev = dev_open(tool_device(r->device), r->team, 0, &err)) == NULL ||
	    model_load(&r->original, path, r->dev, false, &err) < 0 ||
	    documents_each(&d, r->valid, &err) < 0)
		tool_fail(NULL, &err);
	if (r->tokens == 0)
		tool_die("%s: no text", r->valid);
	if (r->context > r->original.config.context)
		r->context = r->original.config.context;
	tokenizer_free(tokenizer);
}

static void
compare(struct report *r, struct parts *p)
{
	const uint32_t *at = (const uint32_t *)(void *)r->token.p, *end = at + r->token.n / 4;
	int64_t done = 0;
	struct err err;

	progress_start(&r->progress, 0.5);
	for (; at < end; at += 1 + *at) {
		if (parts_add(p, at + 1, *at, &err) < 0)
			tool_fail(NULL, &err);
		done += *at;
		tool_progress_of(&r->progress, done, "tokens", done, r->tokens, r->quiet,
		    r->verbose);
	}
	tool_progress(NULL, r->quiet, r->verbose);
}

/* ---- the table ---- */

struct size {
	int64_t	n, bytes, from;		/* elements; bytes now, and before */
};

static double
bits(int64_t bytes, int64_t n)
{
	return n > 0 ? 8 * (double)bytes / (double)n : 0;
}

static void
put_part(struct buf *b, const char *name, int64_t n, int64_t bytes,
    const struct divergence_report *d)
{
	buf_fmt(b, "%s\t-\t-\t%" PRId64 "\t%" PRId64 "\t-\t%.4g\t%.6g\t%.6g\t%.6g\n", name, n,
	    bytes, bits(bytes, n), d->kl, d->same_top, exp(d->loss));
}

static void
add_size(struct size *s, const struct quantize_tensor *t)
{
	s->n += t->n;
	s->bytes += t->bytes;
	s->from += dtype_bytes(t->from, t->n);
}

static void
put_parts(struct buf *b, struct parts *p, const struct quantize *q, int64_t layers)
{
	const int n = parts_count(p);
	struct size *size = calloc((size_t)n, sizeof(*size));
	struct divergence_report d;
	char name[NN_NAME];
	struct err err;
	int got;

	if (size == NULL)
		tool_die("out of memory");
	for (int i = 0; i < quantize_count(q); i++) {
		const struct quantize_tensor *t = quantize_at(q, i);

		add_size(&size[part_of(t->name, layers)], t);
		add_size(&size[n - 1], t);
	}
	for (int i = 0; i < n; i++) {
		if ((got = parts_end(p, i, &d, &err)) < 0)
			tool_fail(NULL, &err);
		part_name(i, layers, name);
		if (got > 0)
			put_part(b, name, size[i].n, size[i].bytes, &d);
	}
	/* The last part is the whole: its reference is what the model was. */
	put_part(b, "original", size[n - 1].n, size[n - 1].from, &(struct divergence_report){
	    .same_top = 1, .loss = d.reference_loss });
	free(size);
}

static void
measure(struct report *r, struct buf *b, const struct quantize *q, const char *path)
{
	struct model m = { .dev = NULL };
	struct parts *p;
	struct err err;

	if (model_load(&m, path, r->dev, false, &err) < 0 ||
	    (p = parts_new(&m, &r->original, r->context, &err)) == NULL)
		tool_fail(NULL, &err);
	compare(r, p);
	put_parts(b, p, q, r->original.config.layers);
	parts_free(p);
	model_free(&m);
}

void
report_write(struct report *r, const struct quantize *q, const char *path)
{
	struct buf b = { .n = 0 };
	struct err err;

	buf_fmt(&b, "tensor\tfrom\tto\telements\tbytes\terror\tbits\tkl\tsame_top\tperplexity\n");
	for (int i = 0; i < quantize_count(q); i++) {
		const struct quantize_tensor *t = quantize_at(q, i);

		buf_fmt(&b, "%s\t%s\t%s\t%" PRId64 "\t%" PRId64 "\t%.6g\t%.4g\t-\t-\t-\n",
		    t->name, dtype_name(t->from), dtype_name(t->to), t->n, t->bytes, t->error,
		    bits(t->bytes, t->n));
	}
	if (r->valid != NULL)
		measure(r, &b, q, path);
	if (buf_ok(&b, &err) < 0 || out_write(r->out, b.p, b.n, &err) < 0 ||
	    out_commit(r->out, &err) < 0)
		tool_fail(NULL, &err);
	buf_free(&b);
}

void
report_free(struct report *r)
{
	buf_free(&r->token);
	model_free(&r->original);
	if (r->dev != NULL)
		dev_close(r->dev);
}
