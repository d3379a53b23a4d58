#include "eval/logits.h"

#include <stdlib.h>

#include "base/buf.h"
#include "fmt/safetensors.h"

struct logits {
	struct model	*model;
	struct tape	*tape;
	struct model_io	 io;
	int32_t		*index;		/* 0, 1, 2 ...: positions, and the rows wanted */
	struct buf	 logits, tokens, cu_seqlens;
};

struct logits *
logits_new(struct model *model, struct err *err)
{
	int64_t cap = model->config.context, all = cap + model_rope_base(&model->config, cap);
	struct logits *l = calloc(1, sizeof(*l));

	if (l == NULL || (l->index = calloc((size_t)all, sizeof(*l->index))) == NULL) {
		free(l);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	l->model = model;
	l->logits.limit = LOGITS_MAX;
	for (int64_t i = 0; i < all; i++)
		l->index[i] = (int32_t)i;
	buf_add(&l->cu_seqlens, (str){ (const char *)&(int32_t){ 0 }, 4 });
	if ((l->tape = tape_new(model->dev, cap, 1, params_tape(&model->params), err)) == NULL ||
	    model_record_logits(model, l->tape, cap, &l->io, err) < 0 ||
	    tape_plan(l->tape, err) < 0) {
		logits_free(l);
		return NULL;
	}
	return l;
}

int
logits_add(struct logits *l, const uint32_t *token, int64_t n, struct err *err)
{
	const struct config *c = &l->model->config;
	const int32_t cu_seqlens[] = { 0, (int32_t)n };
	int32_t end = (int32_t)(l->tokens.n / 4 + n);
	char *to;

	if (n == 0)
		return 0;
	if (n > c->context)
		return err_set(err, ERR_LIMIT, "a document of %lld tokens in a context of %lld",
		    (long long)n, (long long)c->context);
	for (int64_t i = 0; i < n; i++)
		if (token[i] >= c->vocab)
			return err_set(err, ERR_FORMAT, "token %u in a model of %lld", token[i],
			    (long long)c->vocab);
	buf_add(&l->tokens, (str){ (const char *)token, n * 4 });
	buf_add(&l->cu_seqlens, (str){ (const char *)&end, 4 });
	if ((to = buf_room(&l->logits, n * c->vocab * 4)) == NULL)
		return buf_ok(&l->logits, err);
	tape_set_counts(l->tape, (int32_t)n, 1);
	tape_set_wanted(l->tape, (int32_t)n);
	tape_upload(l->tape, l->io.token, token, n);
	tape_upload(l->tape, l->io.pos, l->index + model_rope_base(c, n), n);
	tape_upload(l->tape, l->io.row, l->index, n);
	tape_upload(l->tape, l->io.cu_seqlens, cu_seqlens, 2);
	tape_forward(l->tape, 0, -1);
	tape_download(l->tape, l->io.logits, to, n * c->vocab);
	if (dev_wait(l->model->dev, err) < 0)
		return -1;
	l->logits.n += n * c->vocab * 4;
	return 0;
}

int
logits_save(const struct logits *l, const char *path, struct err *err)
{
	int64_t n = l->tokens.n / 4;
	const struct st_tensor tensor[] = {
		{ .name = "logits", .type = DTYPE_F32, .ndim = 2,
		    .shape = { n, l->model->config.vocab }, .bytes = l->logits.n,
		    .data = l->logits.p },
		{ .name = "tokens", .type = DTYPE_I32, .ndim = 1, .shape = { n },
		    .bytes = l->tokens.n, .data = l->tokens.p },
		{ .name = "cu_seqlens", .type = DTYPE_I32, .ndim = 1,
		    .shape = { l->cu_seqlens.n / 4 }, .bytes = l->cu_seqlens.n,
		    .data = l->cu_seqlens.p },
	};
	const struct st_write w = { .tensor = tensor, .n = 3 };

	if (buf_ok(&l->logits, err) < 0 || buf_ok(&l->tokens, err) < 0 ||
	    buf_ok(&l->cu_seqlens, err) < 0)
		return -1;
	if (n == 0)
		return err_set(err, ERR_ARG, "no tokens at all");
	return st_save(path, &w, err);
}

void
logits_free(struct logits *l)
{
	if (l == NULL)
		return;
	tape_free(l->tape);
	free(l->index);
	buf_free(&l->logits);
	buf_free(&l->tokens);
	buf_free(&l->cu_seqlens);
	free(l);
}
