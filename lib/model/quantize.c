#include "model/quantize_impl.h"

#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/gptq.h"
#include "model/gguf_impl.h"
#include "model/save_impl.h"

#define RULES_MAX	64
#define TASK		((int64_t)1 << 15)	/* elements of a task, whole rows */
#define DAMP		0.01	/* of the mean square, as GPTQ has it */
#define SAMPLE		((int64_t)1 << 16)	/* elements that tell a tensor's sensitivity */

struct rule {
	regex_t		 regex;
	dtype		 type;
};

struct quantize {
	struct export	*x;
	const struct quantize_options *o;
	struct team	*team;
	const struct mix *mix;		/* to GGUF */
	dtype		 base;		/* of linear layers, to a directory */
	struct mix_model model;
	struct rule	 rule[RULES_MAX];
	int		 n_rules;
	struct quantize_tensor *tensor;
	struct gguf_tensor *out;	/* the same, with types as in files */
	struct fold	*fold;		/* of each */
	quantize_done	*done;
	void		*ctx;
	bool		*told;		/* done() of each, to a directory */
	/* the tensor that is worked on */
	int		 held;		/* -1: none */
	float		*y;		/* its elements */
	float		*weight;	/* of columns, of each of its matrices */
	char		*seen;		/* the matrices that weight has something of */
	struct gptq	 gptq;		/* of one of its matrices; n 0: none */
	float		*within;	/* or quant_within() of the sums, to clip by; NULL: none */
	int64_t		 grams_mat;	/* which; -1: not asked for yet */
	double		*error, *size;	/* sums of a task's */
	double		 held_error, held_size;
};

static int64_t
cols_of(const struct gguf_tensor *t)
{
	return t->shape[t->ndim - 1];
}

static int64_t
mats_of(const struct gguf_tensor *t)
{
	return t->ndim > 2 ? t->shape[0] : 1;
}

/* ---- a tensor's rows ---- */

static int64_t
row_bytes(dtype type, int64_t cols)
{
	int scale = channel_scale(type);

	return scale > 0 ? scale + cols : dtype_bytes(type, cols);
}

/* Scale the elements, and the importance of columns whose inputs are scaled back. */
static void
apply_fold(struct quantize *q, int i)
{
	const struct fold *f = &q->fold[i];
	int64_t cols = cols_of(&q->x->tensor[i]), n = q->x->tensor[i].n;
	float plus = export_plus(q->x, i);

	for (int64_t k = 0; k < n && f->cols != NULL; k++)
		q->y[k] = (q->y[k] + plus) * f->cols[k % cols] - plus;
	for (int64_t k = 0; k < n && f->rows != NULL; k++)
		q->y[k] *= f->rows[k / cols];
	for (int64_t k = 0; k < cols && f->cols != NULL && q->seen[0]; k++)
		q->weight[k] /= f->cols[k] * f->cols[k];
}

static void
drop_grams(struct quantize *q)
{
	gptq_free(&q->gptq);
	free(q->within);
	q->within = NULL;
	q->grams_mat = -1;
}

/* Decode a tensor, and the importance of its columns. */
static int
hold(struct quantize *q, int i, struct err *err)
{
	const struct gguf_tensor *t = &q->x->tensor[i];
	const struct imatrix_entry *e = q->o->imatrix == NULL ? NULL :
	    imatrix_find(q->o->imatrix, t->name);
	int64_t cols = cols_of(t), mats = mats_of(t), all, first;

	if (q->held == i)
		return 0;
	free(q->weight);
	free(q->seen);
	q->held = -1;
	q->weight = malloc((size_t)(cols * mats) * sizeof(float));
	q->seen = calloc((size_t)mats, 1);
	if (q->weight == NULL || q->seen == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (export_read(q->x, i, q->y, err) < 0)
		return -1;
	export_mats(q->x, i, &all, &first);
	for (int64_t m = 0; e != NULL && m < mats; m++)
		q->seen[m] = imatrix_mean(e, first + m, all, cols, q->weight + m * cols);
	apply_fold(q, i);
	q->tensor[i].weighted = e != NULL && q->seen[0];
	drop_grams(q);
	q->held_error = q->held_size = 0;
	q->held = i;
	return 0;
}

static int
hold_within(struct quantize *q, const float *h, int64_t n, struct err *err)
{
	q->within = malloc((size_t)(n * QUANT_BLOCK_MAX) * sizeof(*q->within));
	if (q->within == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	quant_within(q->within, h, n);
	return 0;
}

/* GPTQ for a matrix of the tensor that is held, or the sums, where its inputs are known. */
static int
hold_grams(struct quantize *q, dtype type, int64_t mat, struct err *err)
{
	const struct gguf_tensor *t = &q->x->tensor[q->held];
	const struct fold *f = &q->fold[q->held];
	int64_t cols = cols_of(t), all, first;
	float *h;
	int got;

	if (q->o->grams == NULL || q->grams_mat == mat || dtype_block(type) == 1 ||
	    (!q->o->clip && !quant_even(type)))
		return 0;
	drop_grams(q);
	if ((h = malloc((size_t)(cols * cols) * sizeof(*h))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	export_mats(q->x, q->held, &all, &first);
	got = grams_get(q->o->grams, t->name, first + mat, cols, h, err);
	for (int64_t k = 0; k < cols * cols && got > 0 && f->cols != NULL; k++)
		h[k] /= f->cols[k / cols] * f->cols[k % cols];
	if (got > 0 && q->o->clip)
		got = hold_within(q, h, cols, err);
	else if (got > 0)
		got = gptq_init(&q->gptq, h, cols, DAMP, q->team, err);
	free(h);
	q->grams_mat = mat;
	return got < 0 ? err_wrap(err, "tensor '%s'", t->name) : 0;
}

/* Rows [row, row + rows) of the tensor that is held, of one matrix. */
struct encode {
	struct quantize	*q;
	dtype		 type;
	int64_t		 row, rows, step, cols;
	const float	*weight;	/* of its columns, or NULL */
	const struct gptq *gptq;	/* or NULL */
	const float	*within;	/* or NULL */
	char		*to;
};

static void
encode_channels(const struct encode *e, const float *y, int64_t n, char *p, float *back)
{
	for (int64_t i = 0; i < n; i++, y += e->cols, back += e->cols) {
		channel_encode(e->type, p, y, e->cols);
		channel_decode(e->type, back, p, e->cols);
		p += row_bytes(e->type, e->cols);
	}
}

static void
encode_row(const struct encode *e, const float *y, char *p)
{
	if (e->within != NULL && e->weight != NULL)
		quant_encode_clipped(e->type, p, y, e->cols, e->weight, e->within);
	else
		quant_encode(e->type, p, y, e->cols, e->weight);
}

/* Encode n rows from y on to p, and decode them to back. */
static int
encode_some(const struct encode *e, const float *y, int64_t n, char *p, float *back)
{
	struct err err;

	if (channel_scale(e->type) > 0) {
		encode_channels(e, y, n, p, back);
		return 0;
	}
	if (dtype_block(e->type) == 1) {
		dtype_convert(p, e->type, y, DTYPE_F32, n * e->cols);
		dtype_convert(back, DTYPE_F32, p, e->type, n * e->cols);
		return 0;
	}
	if (e->gptq != NULL) {
		if (gptq_encode(e->gptq, e->type, p, y, n, &err) < 0)
			return -1;
	} else {
		for (int64_t i = 0; i < n; i++)
			encode_row(e, y + i * e->cols, p + i * dtype_bytes(e->type, e->cols));
	}
	quant_decode(e->type, back, p, n * e->cols);
	return 0;
}

static void
encode_rows(void *ctx, int64_t task, int member)
{
	struct encode *e = ctx;
	int64_t from = task * e->step, n = e->step < e->rows - from ? e->step : e->rows - from;
	const float *y = e->q->y + (e->row + from) * e->cols;
	float *back = malloc((size_t)(n * e->cols) * sizeof(*back));
	double sum[2] = { 0 };

	(void)member;
	/* What could not be, and elements that are no numbers, are told by the sums. */
	if (back == NULL || encode_some(e, y, n, e->to + from * row_bytes(e->type, e->cols),
	    back) < 0)
		sum[0] = (double)NAN;
	for (int64_t i = 0; i < n && !isnan(sum[0]); i++)
		quant_lost(sum, y + i * e->cols, back + i * e->cols, e->weight, e->cols);
	e->q->error[task] = sum[0];
	e->q->size[task] = sum[1];
	free(back);
}

/* Encode rows of one matrix of the held tensor to p; the sums of errors are added. */
static int
encode_mat(struct quantize *q, struct encode *e, struct err *err)
{
	int64_t tasks = (e->rows + e->step - 1) / e->step;
	double error = 0;

	free(q->error);
	free(q->size);
	q->error = calloc((size_t)tasks, sizeof(double));
	q->size = calloc((size_t)tasks, sizeof(double));
	if (q->error == NULL || q->size == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	team_run(q->team, tasks, encode_rows, e);
	for (int64_t i = 0; i < tasks; i++) {
		error += q->error[i];
		q->held_size += q->size[i];
	}
	if (!isfinite(error))
		return err_set(err, ERR_FORMAT, "tensor '%s' has elements that are no numbers or "
		    "too large for %s", q->tensor[q->held].name, dtype_name(e->type));
	q->held_error += error;
	return 0;
}

/* Encode rows of the held tensor, of any of its matrices. */
static int
encode(struct quantize *q, dtype type, int64_t row, int64_t rows, char *p, bool by_grams,
    struct err *err)
{
	const struct gguf_tensor *t = &q->x->tensor[q->held];
	struct encode e = { .q = q, .type = type, .row = row, .to = p, .cols = cols_of(t) };
	int64_t per_mat = t->n / e.cols / mats_of(t), end = row + rows;

	e.step = e.cols < TASK ? TASK / e.cols : 1;
	for (; e.row < end; e.row += e.rows) {
		int64_t mat = e.row / per_mat, last = (mat + 1) * per_mat;

		e.rows = (end < last ? end : last) - e.row;
		e.weight = q->seen[mat] ? q->weight + mat * e.cols : NULL;
		if (by_grams && hold_grams(q, type, mat, err) < 0)
			return -1;
		e.gptq = by_grams && q->gptq.n > 0 ? &q->gptq : NULL;
		e.within = by_grams ? q->within : NULL;
		if (encode_mat(q, &e, err) < 0)
			return -1;
		e.to += e.rows * row_bytes(type, e.cols);
	}
	return 0;
}

/* ---- which type ---- */

static int
add_rule(struct quantize *q, const char *text, struct err *err)
{
	const char *at = strrchr(text, '=');
	struct rule *r = &q->rule[q->n_rules];
	char pattern[256];

	if (at == NULL || at == text || at - text >= (ptrdiff_t)sizeof(pattern))
		return err_set(err, ERR_ARG, "'%s' is not REGEX=TYPE", text);
	if (q->n_rules == RULES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d rules for tensors", RULES_MAX);
	r->type = mix_dtype(str_of(at + 1));
	if (r->type == DTYPE_NONE)
		return err_set(err, ERR_ARG, "'%s': no type of tensors", at + 1);
	snprintf(pattern, sizeof(pattern), "%.*s", (int)(at - text), text);
	if (regcomp(&r->regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return err_set(err, ERR_ARG, "'%s' is no regular expression", pattern);
	q->n_rules++;
	return 0;
}

/* The number that a file has under this key of its family; 0. */
static int64_t
number(const struct gguf *f, const char *key)
{
	int64_t n = 0;

	gguf_int(gguf_family_key(f, key), &n);
	return n;
}

static void
know_model(struct quantize *q)
{
	const struct config *c = &q->x->m.config;
	const struct gguf *f = q->x->gguf;

	if (f != NULL)
		q->model = (struct mix_model){ number(f, "block_count"),
		    number(f, "expert_count"), number(f, "attention.head_count"),
		    number(f, "attention.head_count_kv"), true, false };
	else
		q->model = (struct mix_model){ c->layers, c->router.experts, c->heads,
		    c->kv_heads, true, false };
	q->model.weighted = q->o->imatrix != NULL;
	for (int i = 0; i < q->x->n; i++)
		if (strcmp(q->x->tensor[i].name, "output.weight") == 0)
			q->model.tied = false;
}

/* Set the type that a tensor gets. */
static void
set_type(struct quantize *q, int i, dtype type)
{
	int64_t cols = cols_of(&q->x->tensor[i]);

	q->tensor[i].to = type;
	q->tensor[i].bytes = q->tensor[i].n / cols * row_bytes(type, cols);
	q->tensor[i].changed = type != q->tensor[i].from;
	q->out[i].type = (uint32_t)gguf_type_of(type);
}

int
quantize_refuse(const char *name, dtype type, struct err *err)
{
	return err_set(err, ERR_ARG, "tensor '%s' is %s already: --allow-requantize takes it",
	    name, dtype_block(type) > 1 ? dtype_name(type) : "quantized");
}

static int
choose(struct quantize *q, int i, struct err *err)
{
	const struct gguf_tensor *t = &q->x->tensor[i];
	struct quantize_tensor *out = &q->tensor[i];
	dtype type = gguf_block(t->type)->type, to = type;
	const char *name;

	*out = (struct quantize_tensor){ .name = export_called(q->x, i), .from = type, .n = t->n };
	q->out[i] = *t;
	q->out[i].data = NULL;
	if (q->x->own) {
		to = export_free(q->x, i) && cols_of(t) > 1 ? mix_fitting(q->base, cols_of(t)) :
		    type;
		to = save_quantizes(to) ? to : type;
	} else if (export_free(q->x, i) && mix_free(t->name, t->ndim)) {
		to = mix_type(q->mix, &q->model, t->name, cols_of(t), q->o->pure);
		for (int k = 0; k < q->n_rules; k++)
			if (regexec(&q->rule[k].regex, t->name, 0, NULL, 0) == 0) {
				to = mix_fitting(q->rule[k].type, cols_of(t));
				break;
			}
	}
	/* Of a directory nothing is copied as it lies there. */
	if ((to != type || q->x->gguf == NULL) && !q->o->again &&
	    (name = export_quantized(q->x, i)) != NULL)
		return quantize_refuse(name, type, err);
	set_type(q, i, to);
	return 0;
}

/* ---- types under a budget ---- */

/* From the smallest on. */
static const dtype ladder[] = {
	DTYPE_Q2_K, DTYPE_Q3_K, DTYPE_IQ4_XS, DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q4_1, DTYPE_Q5_0,
	DTYPE_Q5_K, DTYPE_Q5_1, DTYPE_Q6_K, DTYPE_Q8_0, DTYPE_F16
};

enum { RUNGS = sizeof(ladder) / sizeof(*ladder) };

/* What types would cost a tensor: the share of its output that is lost, on a sample of rows. */
static int
measure(struct quantize *q, int i, double *cost, struct err *err)
{
	const struct gguf_tensor *t = &q->x->tensor[i];
	int64_t cols = cols_of(t), rows = t->n / cols;
	int64_t sample = SAMPLE / cols < 1 ? 1 : SAMPLE / cols < rows ? SAMPLE / cols : rows;
	char *p = malloc((size_t)cols * 4);
	int ret = p == NULL ? err_set(err, ERR_NOMEM, "out of memory") : hold(q, i, err);

	for (int k = 0; k < RUNGS && ret == 0; k++) {
		cost[k] = (double)INFINITY;
		if (cols % dtype_block(ladder[k]) != 0)
			continue;
		q->held_error = q->held_size = 0;
		for (int64_t s = 0; s < sample && ret == 0; s++)
			ret = encode(q, ladder[k], s * rows / sample, 1, p, false, err);
		cost[k] = q->held_size > 0 ? q->held_error / q->held_size : 0;
	}
	q->held_error = q->held_size = 0;
	free(p);
	return ret;
}

struct climb {
	int	at;		/* the rung a tensor is on; -1: it does not take part */
	double	cost[RUNGS];
};

/* The next step up from here that saves most for a bit. */
static double
next_step(const struct climb *c, int64_t n, int *to)
{
	double best = 0;

	for (int k = c->at + 1; k < RUNGS; k++) {
		double bytes = (double)(dtype_bytes(ladder[k], n) -
		    dtype_bytes(ladder[c->at], n));
		double gain = (c->cost[c->at] - c->cost[k]) / bytes;

		if (isfinite(c->cost[k]) && bytes > 0 && gain > best) {
			best = gain;
			*to = k;
		}
	}
	return best;
}

static int64_t
total_bytes(const struct quantize *q)
{
	int64_t bytes = 0;

	for (int i = 0; i < q->x->n; i++)
		bytes += q->tensor[i].bytes;
	return bytes;
}

/* From the lowest rungs, the step that gains most for its bytes, while they last. */
static void
spend(struct quantize *q, struct climb *c, int64_t budget)
{
	int64_t used = total_bytes(q);

	for (;;) {
		int best = -1, rung = 0, to = 0;
		double most = 0;

		for (int i = 0; i < q->x->n; i++) {
			double gain = c[i].at < 0 ? 0 : next_step(&c[i], q->tensor[i].n, &to);

			if (gain > most && used - q->tensor[i].bytes +
			    dtype_bytes(ladder[to], q->tensor[i].n) <= budget) {
				best = i;
				most = gain;
				rung = to;
			}
		}
		if (best < 0)
			return;
		used -= q->tensor[best].bytes;
		set_type(q, best, ladder[rung]);
		used += q->tensor[best].bytes;
		c[best].at = rung;
	}
}

static bool
has_rule(const struct quantize *q, int i)
{
	for (int k = 0; k < q->n_rules; k++)
		if (regexec(&q->rule[k].regex, q->tensor[i].name, 0, NULL, 0) == 0)
			return true;
	return false;
}

static int
choose_by_budget(struct quantize *q, struct err *err)
{
	struct climb *c = calloc((size_t)q->x->n, sizeof(*c));
	int64_t elements = 0;
	int ret = c == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;

	for (int i = 0; i < q->x->n && ret == 0; i++) {
		const struct gguf_tensor *t = &q->x->tensor[i];

		elements += t->n;
		c[i].at = -1;
		if (!export_free(q->x, i) || !mix_free(t->name, t->ndim) || has_rule(q, i) ||
		    cols_of(t) % 32 != 0)
			continue;
		ret = measure(q, i, c[i].cost, err);
		for (c[i].at = 0; !isfinite(c[i].cost[c[i].at]); )
			c[i].at++;
		set_type(q, i, ladder[c[i].at]);
	}
	if (ret == 0) {
		int64_t budget = (int64_t)(q->o->bits * (double)elements / 8);

		if (total_bytes(q) > budget)
			ret = err_set(err, ERR_ARG, "%g bits a weight are too few: %.2f is the "
			    "least", q->o->bits, 8.0 * (double)total_bytes(q) / (double)elements);
		else
			spend(q, c, budget);
	}
	free(c);
	return ret;
}

/* ---- the whole ---- */

/* AWQ, SmoothQuant: what is scaled is written anew, norms too. */
static int
scale(struct quantize *q, struct err *err)
{
	q->held = -1;
	if (fold_find(q->x, q->tensor, q->o->imatrix, q->model.layers, q->o->smooth, q->y,
	    q->fold, err) < 0)
		return -1;
	for (int i = 0; i < q->x->n; i++)
		q->tensor[i].changed |= q->fold[i].cols != NULL || q->fold[i].rows != NULL;
	return 0;
}

bool
quantize_own(const char *type)
{
	return strcasecmp(type, "fp8") == 0 || strcasecmp(type, "w8a8") == 0 ||
	    strcasecmp(type, "w4a16") == 0;
}

static int
find_type(struct quantize *q, struct err *err)
{
	static const dtype groups[] = { DTYPE_I4_32, DTYPE_I4_64, DTYPE_I4_128 };
	const char *type = q->o->type;

	if (!q->x->own) {
		q->mix = mix_find(type);
		return q->mix != NULL ? 0 : err_set(err, ERR_ARG, "'%s': no such type", type);
	}
	if (strcasecmp(type, "w4a16") != 0)
		q->base = strcasecmp(type, "fp8") == 0 ? DTYPE_F8_E4M3 : DTYPE_I8;
	for (int i = 0; i < 3 && q->base == DTYPE_NONE; i++)
		if (dtype_block(groups[i]) == q->o->group)
			q->base = groups[i];
	if (q->base == DTYPE_NONE)
		return err_set(err, ERR_ARG, "groups of %lld: 32, 64 or 128",
		    (long long)q->o->group);
	return 0;
}

/* A directory that nothing of would be quantized is refused. */
static int
check_any(const struct quantize *q, struct err *err)
{
	for (int i = 0; i < q->x->n; i++)
		if (q->tensor[i].changed)
			return 0;
	return err_set(err, ERR_ARG, "%s: no linear layers that %sare not transposed",
	    arch_name(q->x->m.config.arch), dtype_block(q->base) > 1 ?
	    "have rows of 32, 64 .. and " : "");
}

static int
plan(struct quantize *q, struct err *err)
{
	size_t n = (size_t)q->x->n;

	for (int i = 0; i < q->o->n_rules; i++)
		if (add_rule(q, q->o->rule[i], err) < 0)
			return -1;
	if (find_type(q, err) < 0)
		return -1;
	q->tensor = calloc(n + 1, sizeof(*q->tensor));
	q->out = calloc(n + 1, sizeof(*q->out));
	q->fold = calloc(n + 1, sizeof(*q->fold));
	q->y = malloc((size_t)q->x->most * sizeof(*q->y) + 1);
	if (q->tensor == NULL || q->out == NULL || q->y == NULL || q->fold == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	know_model(q);
	for (int i = 0; i < q->x->n; i++)
		if (choose(q, i, err) < 0)
			return -1;
	if (q->x->own && check_any(q, err) < 0)
		return -1;
	if (q->o->bits > 0 && choose_by_budget(q, err) < 0)
		return -1;
	return q->o->awq || q->o->smooth > 0 ? scale(q, err) : 0;
}

struct quantize *
quantize_plan(struct export *x, const struct quantize_options *o, struct team *team,
    struct err *err)
{
	struct quantize *q = calloc(1, sizeof(*q));

	if (q == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	q->x = x;
	q->o = o;
	q->team = team;
	q->held = -1;
	if (plan(q, err) < 0) {
		quantize_free(q);
		return NULL;
	}
	return q;
}

void
quantize_free(struct quantize *q)
{
	if (q == NULL)
		return;
	for (int i = 0; i < q->n_rules; i++)
		regfree(&q->rule[i].regex);
	for (int i = 0; i < q->x->n && q->fold != NULL; i++) {
		free(q->fold[i].cols);
		free(q->fold[i].rows);
	}
	free(q->fold);
	free(q->tensor);
	free(q->out);
	free(q->y);
	free(q->weight);
	free(q->seen);
	free(q->told);
	drop_grams(q);
	free(q->error);
	free(q->size);
	free(q);
}

int
quantize_count(const struct quantize *q)
{
	return q->x->n;
}

const struct quantize_tensor *
quantize_at(const struct quantize *q, int i)
{
	return &q->tensor[i];
}

/* ---- writing ---- */

static int
fill(void *ctx, int i, int64_t at, void *p, int64_t n, struct err *err)
{
	struct quantize *q = ctx;
	const struct gguf_tensor *t = &q->x->tensor[i];
	struct quantize_tensor *out = &q->tensor[i];
	int64_t row = dtype_bytes(out->to, cols_of(t));

	if (hold(q, i, err) < 0 || encode(q, out->to, at / row, n / row, p, true, err) < 0)
		return -1;
	if (at + n < out->bytes)
		return 0;
	out->error = q->held_size > 0 ? q->held_error / q->held_size : 0;
	if (q->done != NULL)
		q->done(q->ctx, out);
	return 0;
}

/* The number of the type that most weights have: what a mix by budget is nearest to. */
static int
file_type(const struct quantize *q)
{
	int64_t n[DTYPE_COUNT] = { 0 };
	dtype most = DTYPE_F32;

	if (q->o->bits == 0)
		return mix_file_type(q->mix);
	for (int i = 0; i < q->x->n; i++)
		n[q->tensor[i].to] += q->tensor[i].n;
	for (int t = 0; t < DTYPE_COUNT; t++)
		if (n[t] > n[most])
			most = (dtype)t;
	for (int i = 0; mix_name(i) != NULL; i++)
		if (mix_base(mix_find(mix_name(i))) == most)
			return mix_file_type(mix_find(mix_name(i)));
	return 0;
}

/* ---- writing a directory ---- */

static void
tell(struct quantize *q, int weight)
{
	if (q->done != NULL && !q->told[weight])
		q->done(q->ctx, &q->tensor[weight]);
	q->told[weight] = true;
}

static int
read_own(void *ctx, int weight, float *y, struct err *err)
{
	struct quantize *q = ctx;
	const struct quantize_tensor *out = &q->tensor[weight];

	if (hold(q, weight, err) < 0)
		return -1;
	memcpy(y, q->y, (size_t)out->n * sizeof(*y));
	tell(q, weight);
	return 0;
}

static int
encode_own(void *ctx, int weight, void *blocks, struct err *err)
{
	struct quantize *q = ctx;
	struct quantize_tensor *out = &q->tensor[weight];

	if (hold(q, weight, err) < 0 || encode(q, out->to, 0,
	    out->n / cols_of(&q->x->tensor[weight]), blocks, true, err) < 0)
		return -1;
	out->error = q->held_size > 0 ? q->held_error / q->held_size : 0;
	tell(q, weight);
	return 0;
}

static int
save_own(struct quantize *q, const char *dir, struct err *err)
{
	dtype *type = calloc((size_t)q->x->n, sizeof(*type));
	struct save_as as = { .type = type, .ordered = q->o->grams != NULL && !q->o->clip,
	    .read = read_own, .encode = encode_own, .ctx = q };
	int ret;

	free(q->told);
	q->told = calloc((size_t)q->x->n, sizeof(*q->told));
	if (type == NULL || q->told == NULL) {
		free(type);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	for (int i = 0; i < q->x->n; i++)
		type[i] = save_quantizes(q->tensor[i].to) ? q->tensor[i].to : DTYPE_NONE;
	ret = model_save_as(&q->x->m, dir, &as, err);
	free(type);
	return ret;
}

int
quantize_save(struct quantize *q, const char *path, quantize_done *done, void *ctx,
    struct err *err)
{
	struct gguf_keys *k = &q->x->keys;
	struct gguf_write w = { .keys = k, .tensor = q->out, .n = q->x->n, .fill = fill, .ctx = q };

	q->done = done;
	q->ctx = ctx;
	if (q->x->own)
		return save_own(q, path, err);
	gguf_put_u32(k, "general.file_type", file_type(q));
	for (int i = 0; i < q->x->n; i++)
		if (!q->tensor[i].changed && q->x->gguf != NULL)
			q->out[i].data = gguf_find(q->x->gguf, q->tensor[i].name)->data;
	return gguf_save(path, &w, err);
}
