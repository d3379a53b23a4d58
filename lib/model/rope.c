/*
 * Rotary positions (arXiv 2104.09864) and their stretching: linear, by parts
 * for Llama 3, YaRN (2309.00071) and LongRoPE (2402.13753), with the
 * parameters of config.json and the formulas of transformers.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/model_impl.h"

static const struct {
	const char	*name;
	enum rope_kind	 kind;
} kinds[] = {
	{ "default", ROPE_DEFAULT }, { "linear", ROPE_LINEAR }, { "llama3", ROPE_LLAMA3 },
	{ "yarn", ROPE_YARN }, { "longrope", ROPE_LONGROPE }, { "su", ROPE_LONGROPE },
};

#define KINDS ((int)(sizeof(kinds) / sizeof(*kinds)))

int64_t
rope_dims(const struct config *c)
{
	return c->rope_dims > 0 ? c->rope_dims : c->head_dim;
}

/* ---- reading ---- */

static void
read_factors(struct config *c, struct reader *r, const char *key, double *to)
{
	const json_t *list = read_value(r, key), *v;
	size_t i;

	if (json_array_size(list) != (size_t)rope_dims(c) / 2 || rope_dims(c) / 2 > ROPE_PAIRS) {
		read_fail(r, "'%s' is no list of %" PRId64 ", at most %d", key, rope_dims(c) / 2,
		    ROPE_PAIRS);
		return;
	}
	json_array_foreach(list, i, v) {
		if (!json_is_number(v) || !(json_number_value(v) > 0))
			read_fail(r, "'%s' has what is no positive number", key);
		to[i] = json_number_value(v);
	}
}

/* Where top says it too, as Phi-3's does, that counts. */
static int64_t
read_original(const struct config *c, struct reader *r, struct reader *top, bool must)
{
	const char *key = "original_max_position_embeddings";

	return read_value(top, key) != NULL ? read_size(top, key, true, 1) :
	    read_size(r, key, must, c->context);
}

static void
read_scaling(struct config *c, struct reader *r, struct reader *top)
{
	struct rope_scaling *s = &c->rope;

	s->factor = read_real(r, "factor", 0);
	if (s->kind == ROPE_LINEAR && !(s->factor >= 1))
		read_fail(r, "rope scaling: factor out of range");
	if (s->kind == ROPE_LLAMA3) {
		s->low = read_real(r, "low_freq_factor", 1);
		s->high = read_real(r, "high_freq_factor", 4);
		s->original = read_original(c, r, top, true);
	}
	if (s->kind == ROPE_YARN) {
		s->beta_fast = read_real(r, "beta_fast", 32);
		s->beta_slow = read_real(r, "beta_slow", 1);
		s->mscale = read_real(r, "mscale", 0);
		s->mscale_all_dim = read_real(r, "mscale_all_dim", 0);
		s->truncate = read_bool(r, "truncate", true);
	}
	if (s->kind == ROPE_LONGROPE) {
		read_factors(c, r, "short_factor", s->near);
		read_factors(c, r, "long_factor", s->far);
	}
	if (s->kind == ROPE_YARN || s->kind == ROPE_LONGROPE) {
		s->original = read_original(c, r, top, false);
		s->attention = read_real(r, "attention_factor", 0);
	}
}

/* Of one kind of layers: theta, how much of a head turns, and the scaling's kind. */
static enum rope_kind
read_one(struct config *c, struct reader *r, const char *where, double *theta)
{
	const json_t *v = read_value(r, "rope_type");
	const char *name = "default";
	double part = read_real(r, "partial_rotary_factor", 0);

	if (v != NULL || (v = read_value(r, "type")) != NULL)
		name = json_is_string(v) ? json_string_value(v) : "";
	*theta = read_real(r, "rope_theta", *theta);
	if (part != 0 && part != 1 && c->arch != ARCH_PHI3)
		read_fail(r, "'partial_rotary_factor' is not supported in %s", arch_name(c->arch));
	else if (part > 0 && part < 1)
		c->rope_dims = (int64_t)((double)c->head_dim * part);
	else if (part != 0 && part != 1)
		read_fail(r, "'partial_rotary_factor' is not between 0 and 1");
	if (c->arch == ARCH_PHI3 && strcmp(name, "yarn") == 0)
		name = "longrope";	/* its name in first releases */
	for (int i = 0; i < KINDS; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return kinds[i].kind;
	read_fail(r, "'%s': type '%s' is not supported", where, name);
	return ROPE_DEFAULT;
}

/* Gemma 3's two: those of local layers have a base, and no scaling. */
static void
read_local(struct config *c, struct reader *r, const json_t *doc)
{
	struct reader in = { doc, r->err, false };

	c->rope_local_theta = 10000;
	if (doc == NULL)
		c->rope_local_theta = read_real(r, "rope_local_base_freq", 10000);
	else if (read_one(c, &in, "rope_parameters", &c->rope_local_theta) != ROPE_DEFAULT)
		read_fail(&in, "'rope_parameters': sliding_attention is scaled");
	r->bad |= in.bad;
}

void
read_rope(struct config *c, struct reader *r, double theta)
{
	const json_t *p = read_value(r, "rope_parameters"), *local = NULL;
	const char *where = p != NULL ? "rope_parameters" : "rope_scaling";
	struct reader in = { p != NULL ? p : read_value(r, "rope_scaling"), r->err, r->bad };
	struct reader top = { NULL, r->err, r->bad };

	if (c->arch == ARCH_PHI3)
		top.doc = r->doc;
	if (json_object_get(p, "full_attention") != NULL) {
		local = json_object_get(p, "sliding_attention");
		in.doc = json_object_get(p, "full_attention");
	}
	c->rope_theta = theta;
	read_one(c, &(struct reader){ r->doc, r->err, r->bad }, "model", &c->rope_theta);
	c->rope.kind = read_one(c, &in, where, &c->rope_theta);
	if (!in.bad && c->rope.kind != ROPE_DEFAULT)
		read_scaling(c, &in, &top);
	r->bad |= in.bad || top.bad;
	if (c->arch == ARCH_GEMMA3)
		read_local(c, r, local);
}

/* ---- writing: the keys of transformers 4, which 5 reads as well ---- */

static json_t *
factors(const struct config *c, const double *f, struct writer *w)
{
	json_t *list = json_array();

	for (int64_t i = 0; i < rope_dims(c) / 2; i++)
		w->failed |= json_array_append_new(list, json_real(f[i])) < 0;
	return list;
}

static json_t *
scaling(const struct config *c, struct writer *top)
{
	const struct rope_scaling *s = &c->rope;
	struct writer w = { json_object(), false };

	for (int i = KINDS - 1; i >= 0; i--)
		if (kinds[i].kind == s->kind && strcmp(kinds[i].name, "su") != 0)
			write_key(&w, "rope_type", json_string(kinds[i].name));
	if (s->factor > 0)
		write_key(&w, "factor", json_real(s->factor));
	if (s->kind == ROPE_LLAMA3) {
		write_key(&w, "low_freq_factor", json_real(s->low));
		write_key(&w, "high_freq_factor", json_real(s->high));
	}
	if (s->kind == ROPE_YARN) {
		write_key(&w, "beta_fast", json_real(s->beta_fast));
		write_key(&w, "beta_slow", json_real(s->beta_slow));
		if (s->mscale > 0)
			write_key(&w, "mscale", json_real(s->mscale));
		if (s->mscale_all_dim > 0)
			write_key(&w, "mscale_all_dim", json_real(s->mscale_all_dim));
		write_key(&w, "truncate", json_boolean(s->truncate));
	}
	if (s->kind == ROPE_LONGROPE) {
		write_key(&w, "short_factor", factors(c, s->near, &w));
		write_key(&w, "long_factor", factors(c, s->far, &w));
	}
	if (s->attention > 0)
		write_key(&w, "attention_factor", json_real(s->attention));
	if (s->original > 0)
		write_key(&w, "original_max_position_embeddings", json_integer(s->original));
	top->failed |= w.failed;
	return w.o;
}

void
write_rope(const struct config *c, struct writer *w)
{
	if (c->rope_dims > 0)
		write_key(w, "partial_rotary_factor",
		    json_real((double)c->rope_dims / (double)c->head_dim));
	if (c->rope_local_theta > 0)
		write_key(w, "rope_local_base_freq", json_real(c->rope_local_theta));
	write_key(w, "rope_scaling", c->rope.kind != ROPE_DEFAULT ? scaling(c, w) : json_null());
	write_key(w, "rope_theta", json_real(c->rope_theta));
}

/* ---- checks ---- */

static bool
in_range(const struct config *c)
{
	const struct rope_scaling *s = &c->rope;

	if (s->kind == ROPE_DEFAULT)
		return true;
	if (s->factor != 0 && !(s->factor >= 1 && s->factor < 1e9))
		return false;
	if (s->kind == ROPE_LINEAR)
		return s->factor >= 1;
	if (s->original < 1 || s->original > SIZE_LIMIT)
		return false;
	if (s->kind == ROPE_LLAMA3)
		return s->factor >= 1 && s->low > 0 && s->high > s->low;
	if (s->kind == ROPE_YARN && !(s->beta_slow > 0 && s->beta_fast >= s->beta_slow))
		return false;
	return s->attention >= 0 && s->mscale >= 0 && s->mscale_all_dim >= 0;
}

int
rope_check(const struct config *c, struct err *err)
{
	if (rope_dims(c) % 2 != 0 || rope_dims(c) > c->head_dim)
		return err_set(err, ERR_ARG, "head size %" PRId64 " is odd: rope turns pairs",
		    rope_dims(c));
	if (!(c->rope_theta > 0) || !(c->rope_local_theta >= 0))
		return err_set(err, ERR_ARG, "rope_theta is not positive");
	if (!in_range(c))
		return err_set(err, ERR_ARG, "rope scaling: factors out of range");
	return 0;
}

/* ---- the table ---- */

static double
llama3(const struct rope_scaling *s, double f)
{
	double wave = 2 * M_PI / f, original = (double)s->original, t;

	if (wave < original / s->high)
		return f;
	if (wave > original / s->low)
		return f / s->factor;
	t = (original / wave - s->low) / (s->high - s->low);
	return (1 - t) * f / s->factor + t * f;
}

static double
factor_of(const struct config *c)
{
	return c->rope.factor > 0 ? c->rope.factor :
	    (double)c->context / (double)c->rope.original;
}

/* The pair that turns so often in the original context. */
static double
yarn_bound(const struct config *c, double turns)
{
	return (double)rope_dims(c) * log((double)c->rope.original / (turns * 2 * M_PI)) /
	    (2 * log(c->rope_theta));
}

static double
yarn(const struct config *c, int64_t i, double f)
{
	double low = yarn_bound(c, c->rope.beta_fast), high = yarn_bound(c, c->rope.beta_slow);
	double most = (double)rope_dims(c) - 1, ramp;

	if (c->rope.truncate) {
		low = floor(low);
		high = ceil(high);
	}
	low = low > 0 ? low : 0;
	high = high < most ? high : most;
	ramp = ((double)i - low) / (low == high ? 0.001 : high - low);
	ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
	return f / factor_of(c) * ramp + f * (1 - ramp);
}

/* Turns a position of pair i.  far: of a sequence longer than the original context. */
static double
frequency(const struct config *c, bool local, bool far, int64_t i)
{
	double theta = local ? c->rope_local_theta : c->rope_theta;
	double f = pow(theta, -2.0 * (double)i / (double)rope_dims(c));

	if (local || c->rope.kind == ROPE_DEFAULT)
		return f;
	switch (c->rope.kind) {
	case ROPE_LLAMA3:
		return llama3(&c->rope, f);
	case ROPE_YARN:
		return yarn(c, i, f);
	case ROPE_LONGROPE:
		return f / (far ? c->rope.far[i] : c->rope.near[i]);
	default:
		return f / c->rope.factor;
	}
}

static double
mscale(double factor, double by)
{
	return factor <= 1 ? 1 : 0.1 * by * log(factor) + 1;
}

/* What cosines and sines are multiplied by. */
static double
amplitude(const struct config *c, bool local)
{
	const struct rope_scaling *s = &c->rope;
	double factor;

	if (local || (s->kind != ROPE_YARN && s->kind != ROPE_LONGROPE))
		return 1;
	if (s->attention > 0)
		return s->attention;
	factor = factor_of(c);
	if (s->kind == ROPE_LONGROPE)
		return factor <= 1 ? 1 : sqrt(1 + log(factor) / log((double)s->original));
	if (s->mscale > 0 && s->mscale_all_dim > 0)
		return mscale(factor, s->mscale) / mscale(factor, s->mscale_all_dim);
	return mscale(factor, 1);
}

double
rope_score_scale(const struct config *c)
{
	if (c->rope.kind != ROPE_YARN || c->rope.mscale_all_dim == 0)
		return 1;
	return pow(mscale(factor_of(c), c->rope.mscale_all_dim), 2);
}

static void
set(void *table, bool wide, int64_t at, double v)
{
	if (wide)
		((double *)table)[at] = v;
	else
		((float *)table)[at] = (float)v;
}

int64_t
model_rope_base(const struct config *c, int64_t length)
{
	return c->pos == POS_ROPE && c->rope.kind == ROPE_LONGROPE && length > c->rope.original ?
	    c->rope.original : 0;
}

/* Cosine and sine of pair i in each row; pos NULL: rows are positions 0, 1, 2 ... */
static void
turn_pair(const struct config *c, bool local, int64_t i, const int32_t *pos, int64_t n, bool wide,
    void *table)
{
	int64_t dims = rope_dims(c);
	int64_t base = c->rope.kind == ROPE_LONGROPE ? c->rope.original : INT64_MAX;
	double near = frequency(c, local, false, i), far = frequency(c, local, true, i);
	double times = amplitude(c, local);

	for (int64_t row = 0; row < n; row++) {
		int64_t at = pos != NULL ? pos[row] : row;
		double turn = at < base ? (double)at * near : (double)(at - base) * far;

		set(table, wide, row * dims + i, times * cos(turn));
		set(table, wide, row * dims + dims / 2 + i, times * sin(turn));
	}
}

void
model_rope_rows(const struct config *c, bool local, const int32_t *pos, int64_t n, dtype type,
    void *rows)
{
	for (int64_t i = 0; i < rope_dims(c) / 2; i++)
		turn_pair(c, local, i, pos, n, type == DTYPE_F64, rows);
}

struct tensor *
rope_table(struct tape *t, const struct config *c, bool local, int64_t positions,
    struct err *err)
{
	int64_t shape[2] = { model_rope_base(c, positions) + positions, rope_dims(c) };
	void *table = calloc((size_t)(shape[0] * shape[1]), (size_t)dtype_size(tape_wide(t)));
	struct tensor *x;

	if (table == NULL) {
		err_set(err, ERR_NOMEM, "out of memory for the table of positions");
		return NULL;
	}
	model_rope_rows(c, local, NULL, shape[0], tape_wide(t), table);
	x = tape_const(t, local ? "local rope" : "rope", tape_wide(t), 2, shape, table);
	free(table);
	return x;
}
