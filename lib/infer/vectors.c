#include "infer/vectors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fmt/safetensors.h"

#define GATHER 4096	/* tokens, or texts, that are computed at once */

struct vectors {
	struct embedder	*e;
	enum vectors_format format;
	str		 key;
	bool		 each;		/* a vector for each token */
	struct out	*out;
	const char	*path;		/* of safetensors */
	/* texts that wait */
	struct buf	 line, ends;	/* records, and where each ends (int64) */
	struct buf	 cu;		/* (n + 1) int32 */
	struct ids	 ids;
	int64_t		 n;
	struct buf	 text;		/* a record as it is written */
	/* of this output; vectors, where each text's tokens begin (int64), those are held */
	struct buf	 all, starts;
	int64_t		 texts, tokens;
	int64_t		 all_texts, all_tokens;
};

struct vectors *
vectors_new(struct embedder *e, enum vectors_format format, const char *key, struct err *err)
{
	struct vectors *v = calloc(1, sizeof(*v));

	if (v == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	*v = (struct vectors){ .e = e, .format = format, .key = str_of(key),
	    .each = embed_settings(e)->pooling == POOL_NONE, .all.limit = VECTORS_MAX };
	return v;
}

void
vectors_free(struct vectors *v)
{
	if (v == NULL)
		return;
	buf_free(&v->line);
	buf_free(&v->ends);
	buf_free(&v->cu);
	buf_free(&v->text);
	buf_free(&v->all);
	buf_free(&v->starts);
	ids_free(&v->ids);
	free(v);
}

int64_t
vectors_texts(const struct vectors *v)
{
	return v->all_texts;
}

int64_t
vectors_tokens(const struct vectors *v)
{
	return v->all_tokens;
}

/* ---- records ---- */

static void
put_vector(struct buf *b, const float *x, int64_t n)
{
	buf_byte(b, '[');
	for (int64_t i = 0; i < n; i++) {
		if (i > 0)
			buf_byte(b, ',');
		/* Nine digits are all of a float; JSON has no NaN, as broken weights give. */
		if (isfinite(x[i]))
			buf_fmt(b, "%.9g", (double)x[i]);
		else
			buf_add(b, S("null"));
	}
	buf_byte(b, ']');
}

/* A record with its vector, or those of its n tokens. */
static int
write_record(struct vectors *v, str line, const float *x, int64_t n, struct err *err)
{
	int64_t width = embed_width(v->e);
	struct buf value = { 0 };
	struct json_set set = { .key = v->key };
	int ret;

	if (v->each) {
		buf_byte(&value, '[');
		for (int64_t i = 0; i < n; i++) {
			if (i > 0)
				buf_byte(&value, ',');
			put_vector(&value, x + i * width, width);
		}
		buf_byte(&value, ']');
	} else {
		put_vector(&value, x, width);
	}
	set.value = buf_str(&value);
	buf_reset(&v->text);
	ret = buf_ok(&value, err) < 0 || json_splice(&v->text, line, &set, 1, err) < 0 ? -1 : 0;
	buf_byte(&v->text, '\n');
	buf_free(&value);
	if (ret < 0 || buf_ok(&v->text, err) < 0)
		return -1;
	return out_write(v->out, v->text.p, v->text.n, err);
}

static int
write_records(struct vectors *v, const float *x, const int32_t *cu, struct err *err)
{
	const int64_t *end = (const int64_t *)(const void *)v->ends.p;
	int64_t from = 0;

	for (int64_t i = 0; i < v->n; i++) {
		str line = { v->line.p + from, end[i] - from };

		if (write_record(v, line, x + embed_width(v->e) * (v->each ? cu[i] : i),
		    cu[i + 1] - cu[i], err) < 0)
			return -1;
		from = end[i];
	}
	return out_flush(v->out, err);
}

/* ---- what waits ---- */

/* The vectors of the texts that wait, to where they go. */
static int
give(struct vectors *v, const float *x, int64_t bytes, const int32_t *cu, struct err *err)
{
	if (v->format == VECTORS_JSONL)
		return write_records(v, x, cu, err);
	if (v->format == VECTORS_F32)
		return out_write(v->out, x, bytes, err);
	for (int64_t i = 1; i <= v->n; i++) {
		int64_t start = v->tokens + cu[i];

		buf_add(&v->starts, (str){ (const char *)&start, 8 });
	}
	buf_add(&v->all, (str){ (const char *)x, bytes });
	return buf_ok(&v->all, err) < 0 || buf_ok(&v->starts, err) < 0 ? -1 : 0;
}

int
vectors_settle(struct vectors *v, struct err *err)
{
	const int32_t *cu = (const int32_t *)(const void *)v->cu.p;
	int64_t bytes = (v->each ? v->ids.n : v->n) * embed_width(v->e) * 4;
	float *x;
	int ret;

	if (v->n == 0)
		return 0;
	if (buf_ok(&v->cu, err) < 0 || buf_ok(&v->line, err) < 0 || buf_ok(&v->ends, err) < 0)
		return -1;
	if ((x = malloc((size_t)bytes + 1)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	ret = embed_run(v->e, v->ids.id, cu, v->n, x, err);
	if (ret == 0)
		ret = give(v, x, bytes, cu, err);
	free(x);
	v->texts += v->n;
	v->tokens += v->ids.n;
	v->n = v->ids.n = 0;
	buf_reset(&v->line);
	buf_reset(&v->ends);
	v->cu.n = sizeof(*cu);
	return ret;
}

int
vectors_add(struct vectors *v, str line, const int32_t *id, int64_t n, struct err *err)
{
	int32_t to = (int32_t)(v->ids.n + n);
	int64_t end;

	if (ids_room(&v->ids, n, err) < 0)
		return -1;
	memcpy(v->ids.id + v->ids.n, id, (size_t)n * sizeof(*id));
	v->ids.n += n;
	buf_add(&v->cu, (str){ (const char *)&to, sizeof(to) });
	if (v->format == VECTORS_JSONL)
		buf_add(&v->line, line);
	end = v->line.n;
	buf_add(&v->ends, (str){ (const char *)&end, sizeof(end) });
	v->n++;
	return v->ids.n >= GATHER || v->n >= GATHER ? vectors_settle(v, err) : 0;
}

/* ---- an output ---- */

int
vectors_begin(struct vectors *v, const char *path, struct codec_spec codec, struct err *err)
{
	const int32_t none = 0;
	const int64_t zero = 0;

	v->path = path;
	buf_reset(&v->cu);
	buf_reset(&v->all);
	buf_reset(&v->starts);
	buf_add(&v->cu, (str){ (const char *)&none, sizeof(none) });
	buf_add(&v->starts, (str){ (const char *)&zero, sizeof(zero) });
	v->tokens = v->texts = 0;
	if (v->format == VECTORS_SAFETENSORS)
		return path != NULL ? 0 :
		    err_set(err, ERR_ARG, "safetensors cannot go to the standard output");
	return (v->out = out_open(path, codec, err)) == NULL ? -1 : 0;
}

/* The header of NumPy's files, version 1: magic, length, and a dictionary; then the floats. */
static int
write_npy(struct vectors *v, struct err *err)
{
	static const char magic[10] = { '\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, 118, 0 };
	char head[118];
	int n = snprintf(head, sizeof(head), "{'descr': '<f4', 'fortran_order': False, "
	    "'shape': (%lld, %lld), }", (long long)v->texts, (long long)embed_width(v->e));

	memset(head + n, ' ', sizeof(head) - (size_t)n);
	head[sizeof(head) - 1] = '\n';
	if (out_write(v->out, magic, sizeof(magic), err) < 0 ||
	    out_write(v->out, head, sizeof(head), err) < 0)
		return -1;
	return out_write(v->out, v->all.p, v->all.n, err);
}

static int
write_safetensors(struct vectors *v, struct err *err)
{
	struct st_tensor tensor[] = {
		{ .name = "embeddings", .type = DTYPE_F32, .ndim = 2, .bytes = v->all.n,
		    .shape = { v->each ? v->tokens : v->texts, embed_width(v->e) },
		    .data = v->all.p },
		{ .name = "cu_seqlens", .type = DTYPE_I64, .ndim = 1, .shape = { v->texts + 1 },
		    .bytes = v->starts.n, .data = v->starts.p },
	};
	struct st_write w = { .tensor = tensor, .n = v->each ? 2 : 1 };

	if (v->all.n == 0)
		return err_set(err, ERR_ARG, "no texts at all");
	return st_save(v->path, &w, err);
}

int
vectors_end(struct vectors *v, bool failed, struct err *err)
{
	struct out *out;

	if (!failed && (vectors_settle(v, err) < 0 ||
	    (v->format == VECTORS_NPY && write_npy(v, err) < 0)))
		failed = true;
	else if (failed)
		err = NULL;	/* told already */
	out = v->out;
	v->out = NULL;
	v->all_texts += v->texts;
	v->all_tokens += v->tokens;
	if (failed) {
		out_abort(out);
		return err != NULL ? -1 : 0;
	}
	return v->format == VECTORS_SAFETENSORS ? write_safetensors(v, err) : out_commit(out, err);
}
