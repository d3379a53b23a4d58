/*
 * Stretched positions in GGUF.  Those of Llama 3 and LongRoPE are tensors of
 * divisors there; what else config.json says about them is found again by the
 * formulas that made them.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/gguf_impl.h"

static double
real_of(const struct gguf *f, const char *name, double def)
{
	double x = def;

	return gguf_real(gguf_family_key(f, name), &x) ? x : def;
}

/* What YaRN multiplies by, as llama.cpp does in any case, and LongRoPE's. */
static double
yarn_amplitude(double factor)
{
	return factor <= 1 ? 1 : 0.1 * log(factor) + 1;
}

static double
long_amplitude(const struct config *c)
{
	double factor = c->rope.factor > 0 ? c->rope.factor :
	    (double)c->context / (double)c->rope.original;

	return factor <= 1 ? 1 : sqrt(1 + log(factor) / log((double)c->rope.original));
}

/* ---- factors ---- */

static double
llama3_factor(const struct config *c, int64_t i)
{
	const struct rope_scaling *s = &c->rope;
	double wave = 2 * M_PI * pow(c->rope_theta, 2.0 * (double)i / (double)rope_dims(c)), t;

	t = ((double)s->original / wave - s->low) / (s->high - s->low);
	return t >= 1 ? 1 : t <= 0 ? s->factor : 1 / ((1 - t) / s->factor + t);
}

bool
gguf_rope_factors(const struct config *c, const char *name, float *to)
{
	enum rope_kind kind = strcmp(name, ROPE_FREQS) == 0 ? ROPE_LLAMA3 : ROPE_LONGROPE;
	const double *list = strcmp(name, ROPE_LONG) == 0 ? c->rope.far : c->rope.near;

	if (c->pos != POS_ROPE || c->rope.kind != kind)
		return false;
	for (int64_t i = 0; to != NULL && i < rope_dims(c) / 2; i++)
		to[i] = (float)(kind == ROPE_LLAMA3 ? llama3_factor(c, i) : list[i]);
	return true;
}

/* The factors of a tensor into x, a number for each pair that turns. */
static int
read_factors(const struct config *c, const struct gguf *f, const char *name,
    float x[ROPE_PAIRS], struct err *err)
{
	const struct gguf_tensor *t = gguf_find(f, name);
	int64_t n = rope_dims(c) / 2;

	if (t == NULL || t->n != n || n > ROPE_PAIRS)
		return err_set(err, ERR_FORMAT, "no tensor '%s' of %" PRId64 " elements, at most "
		    "%d", name, n, ROPE_PAIRS);
	if (gguf_decode(t, x, err) < 0)
		return -1;
	for (int64_t i = 0; i < n; i++)
		if (!(x[i] > 0 && x[i] < INFINITY))
			return err_set(err, ERR_FORMAT, "tensor '%s' has what is no positive "
			    "number", name);
	return 0;
}

/* Releases differ in the factor alone; other divisors are refused. */
static int
read_llama3(struct config *c, const struct gguf *f, struct err *err)
{
	struct rope_scaling *s = &c->rope;
	float x[ROPE_PAIRS];

	if (read_factors(c, f, ROPE_FREQS, x, err) < 0)
		return -1;
	*s = (struct rope_scaling){ .kind = ROPE_LLAMA3, .factor = 1, .low = 1, .high = 4,
	    .original = (int64_t)real_of(f, "rope.scaling.original_context_length", 8192) };
	for (int64_t i = 0; i < rope_dims(c) / 2; i++)
		s->factor = (double)x[i] > s->factor ? (double)x[i] : s->factor;
	for (int64_t i = 0; i < rope_dims(c) / 2; i++)
		if (!(fabs((double)x[i] - llama3_factor(c, i)) <= 1e-4 * llama3_factor(c, i)))
			return err_set(err, ERR_FORMAT, "tensor '" ROPE_FREQS "' is not that of "
			    "a Llama 3: not supported");
	return 0;
}

/* A number that was fp32 in a file: what the formula gives, when it may be that. */
static double
unless(double x, double formula)
{
	return fabs(x - formula) <= 1e-6 * formula ? 0 : x;
}

static int
read_longrope(struct config *c, const struct gguf *f, struct err *err)
{
	struct rope_scaling *s = &c->rope;
	float near[ROPE_PAIRS], far[ROPE_PAIRS];

	if (read_factors(c, f, ROPE_SHORT, near, err) < 0 ||
	    read_factors(c, f, ROPE_LONG, far, err) < 0)
		return -1;
	s->kind = ROPE_LONGROPE;
	s->original = (int64_t)real_of(f, "rope.scaling.original_context_length",
	    (double)c->context);
	for (int64_t i = 0; i < rope_dims(c) / 2; i++) {
		s->near[i] = gguf_as_written(near[i]);
		s->far[i] = gguf_as_written(far[i]);
	}
	s->attention = unless(real_of(f, "rope.scaling.attn_factor", 1), long_amplitude(c));
	return 0;
}

/* ---- keys ---- */

static int
read_yarn(struct config *c, const struct gguf *f, struct err *err)
{
	struct rope_scaling *s = &c->rope;
	double by = real_of(f, "rope.scaling.attn_factor", 1), all;

	*s = (struct rope_scaling){ .kind = ROPE_YARN, .truncate = true,
	    .factor = real_of(f, "rope.scaling.factor", 1),
	    .original = (int64_t)real_of(f, "rope.scaling.original_context_length",
	        (double)c->context),
	    .beta_fast = real_of(f, "rope.scaling.yarn_beta_fast", 32),
	    .beta_slow = real_of(f, "rope.scaling.yarn_beta_slow", 1),
	    .attention = real_of(f, "rope.scaling.yarn_attn_factor", 0) };
	if (real_of(f, "rope.scaling.yarn_ext_factor", 1) != 1)
		return err_set(err, ERR_FORMAT, "key 'rope.scaling.yarn_ext_factor' other than 1 "
		    "is not supported");
	if (s->attention == 0 && by != 1)
		s->attention = by * yarn_amplitude(s->factor);
	/* A tenth of it, for deepseek2 alone. */
	if ((all = real_of(f, "rope.scaling.yarn_log_multiplier", 0)) > 0)
		s->mscale = s->mscale_all_dim = gguf_as_written((float)(10 * all));
	return 0;
}

int
gguf_rope_read(struct config *c, const struct gguf *f, struct err *err)
{
	str type = S("none");

	if (gguf_find(f, ROPE_FREQS) != NULL)
		return read_llama3(c, f, err);
	gguf_text(gguf_family_key(f, "rope.scaling.type"), &type);
	if (gguf_find(f, ROPE_LONG) != NULL || str_eq(type, S("longrope")))
		return read_longrope(c, f, err);
	if (str_eq(type, S("yarn")))
		return read_yarn(c, f, err);
	if (str_eq(type, S("linear"))) {
		c->rope.factor = real_of(f, "rope.scaling.factor", 1);
		c->rope.kind = c->rope.factor == 1 ? ROPE_DEFAULT : ROPE_LINEAR;
	} else if (!str_eq(type, S("none"))) {
		return err_set(err, ERR_FORMAT, "rope scaling '%.*s' is not supported",
		    (int)(type.n < 99 ? type.n : 99), type.p);
	}
	return 0;
}

static void
put(struct gguf_keys *k, const struct config *c, const char *name, double x)
{
	char key[64];

	snprintf(key, sizeof(key), "%s.rope.scaling.%s", arch_family(c->arch)->gguf, name);
	gguf_put_f32(k, key, x);
}

static int
write_yarn(struct gguf_keys *k, const struct config *c, struct err *err)
{
	const struct rope_scaling *s = &c->rope;

	if (!s->truncate)
		return err_set(err, ERR_ARG, "yarn without truncate has no form in GGUF");
	if (s->mscale != s->mscale_all_dim)
		return err_set(err, ERR_ARG, "yarn with an mscale other than mscale_all_dim has "
		    "no form in GGUF");
	put(k, c, "factor", s->factor > 0 ? s->factor : (double)c->context / (double)s->original);
	put(k, c, "yarn_beta_fast", s->beta_fast);
	put(k, c, "yarn_beta_slow", s->beta_slow);
	if (s->attention > 0) {
		put(k, c, "yarn_attn_factor", s->attention);
		put(k, c, "attn_factor", s->attention / yarn_amplitude(s->factor));
	}
	if (s->mscale_all_dim > 0)
		put(k, c, "yarn_log_multiplier", 0.1 * s->mscale_all_dim);
	return 0;
}

int
gguf_rope_write(struct gguf_keys *k, const struct config *c, struct err *err)
{
	static const char *const types[] = { [ROPE_LINEAR] = "linear", [ROPE_YARN] = "yarn",
	    [ROPE_LONGROPE] = "longrope" };
	const struct rope_scaling *s = &c->rope;
	char key[64];

	if (s->kind == ROPE_DEFAULT)
		return 0;
	if (s->kind != ROPE_LLAMA3) {
		snprintf(key, sizeof(key), "%s.rope.scaling.type", arch_family(c->arch)->gguf);
		gguf_put_text(k, key, str_of(types[s->kind]));
	}
	if (s->original > 0) {
		snprintf(key, sizeof(key), "%s.rope.scaling.original_context_length",
		    arch_family(c->arch)->gguf);
		gguf_put_u32(k, key, s->original);
	}
	if (s->kind == ROPE_LINEAR)
		put(k, c, "factor", s->factor);
	if (s->kind == ROPE_LONGROPE)
		put(k, c, "attn_factor", s->attention > 0 ? s->attention : long_amplitude(c));
	return s->kind == ROPE_YARN ? write_yarn(k, c, err) : 0;
}
