/*
 * Which tensors get which type: the mixes of llama.cpp.  Values and what leads
 * back to the stream of a layer suffer most from rounding, the first and last
 * layers more than those between.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "model/quantize_impl.h"

enum role { R_NONE, R_OUTPUT, R_EMBED, R_VALUE, R_KEY, R_JOIN, R_DOWN };

enum when {
	ALWAYS,
	SOME,		/* the first and last eighth of layers, and each third between */
	EIGHTH,		/* the first eighth */
	SIXTEENTH,
	FIRST_2, FIRST_4,
	SHARED,		/* 4 heads or more have the same keys and values */
	BLIND_EIGHTH,	/* the first eighth, without importance */
	SEEING_EIGHTH,	/* the first eighth, with it */
};

struct mix_rule {
	enum role	role;
	enum when	when;
	dtype		type;
};

struct mix {
	const char	*name;
	dtype		 base;
	int		 file_type;
	bool		 joined;	/* with 8 experts what joins heads is Q5_K */
	struct mix_rule	 rule[6];
};

static const struct mix mixes[] = {
	{ "f32", DTYPE_F32, 0 },
	{ "f16", DTYPE_F16, 1 },
	{ "bf16", DTYPE_BF16, 32 },
	{ "q4_0", DTYPE_Q4_0, 2, .rule = { { R_DOWN, SEEING_EIGHTH, DTYPE_Q4_1 } } },
	{ "q4_1", DTYPE_Q4_1, 3 },
	{ "q5_0", DTYPE_Q5_0, 8, .rule = { { R_DOWN, SEEING_EIGHTH, DTYPE_Q5_1 } } },
	{ "q5_1", DTYPE_Q5_1, 9 },
	{ "q8_0", DTYPE_Q8_0, 7 },
	{ "q2_k", DTYPE_Q2_K, 10, true, { { R_VALUE, SHARED, DTYPE_Q4_K },
	    { R_VALUE, ALWAYS, DTYPE_Q3_K }, { R_DOWN, ALWAYS, DTYPE_Q3_K },
	    { R_JOIN, ALWAYS, DTYPE_Q3_K } } },
	{ "q3_k_s", DTYPE_Q3_K, 11, true },
	{ "q3_k_m", DTYPE_Q3_K, 12, true, { { R_VALUE, FIRST_2, DTYPE_Q5_K },
	    { R_VALUE, ALWAYS, DTYPE_Q4_K }, { R_DOWN, SIXTEENTH, DTYPE_Q5_K },
	    { R_DOWN, ALWAYS, DTYPE_Q4_K }, { R_JOIN, ALWAYS, DTYPE_Q4_K } } },
	{ "q3_k_l", DTYPE_Q3_K, 13, .rule = { { R_VALUE, ALWAYS, DTYPE_Q5_K },
	    { R_DOWN, ALWAYS, DTYPE_Q5_K }, { R_JOIN, ALWAYS, DTYPE_Q5_K } } },
	{ "q4_k_s", DTYPE_Q4_K, 14, true, { { R_VALUE, FIRST_4, DTYPE_Q5_K },
	    { R_DOWN, EIGHTH, DTYPE_Q5_K } } },
	{ "q4_k_m", DTYPE_Q4_K, 15, true, { { R_VALUE, SOME, DTYPE_Q6_K },
	    { R_DOWN, SOME, DTYPE_Q6_K } } },
	{ "q5_k_s", DTYPE_Q5_K, 16 },
	{ "q5_k_m", DTYPE_Q5_K, 17, .rule = { { R_VALUE, SOME, DTYPE_Q6_K },
	    { R_DOWN, SOME, DTYPE_Q6_K } } },
	{ "q6_k", DTYPE_Q6_K, 18 },
	{ "iq4_nl", DTYPE_IQ4_NL, 25, true, { { R_VALUE, SHARED, DTYPE_Q5_K },
	    { R_DOWN, BLIND_EIGHTH, DTYPE_Q5_K } } },
	{ "iq4_xs", DTYPE_IQ4_XS, 30, true, { { R_VALUE, SHARED, DTYPE_Q5_K },
	    { R_DOWN, BLIND_EIGHTH, DTYPE_Q5_K } } },
};

enum { MIXES = sizeof(mixes) / sizeof(*mixes) };

const struct mix *
mix_find(const char *name)
{
	for (int i = 0; i < MIXES; i++)
		if (strcasecmp(mixes[i].name, name) == 0)
			return &mixes[i];
	return NULL;
}

const char *
mix_name(int i)
{
	return i < MIXES ? mixes[i].name : NULL;
}

dtype
mix_base(const struct mix *m)
{
	return m->base;
}

int
mix_file_type(const struct mix *m)
{
	return m->file_type;
}

dtype
mix_dtype(str name)
{
	dtype t = dtype_parse(name);

	for (int i = 0; i < MIXES; i++)
		if (mixes[i].base == t)
			return t;
	return DTYPE_NONE;
}

/* ---- tensors ---- */

static enum role
role_of(const char *name)
{
	static const struct {
		const char	*part;
		enum role	 role;
	} roles[] = {
		{ "attn_v.", R_VALUE }, { "attn_qkv.", R_VALUE }, { "attn_kv_b.", R_VALUE },
		{ "attn_k.", R_KEY }, { "attn_output.", R_JOIN }, { "ffn_down", R_DOWN },
	};

	if (strcmp(name, "output.weight") == 0)
		return R_OUTPUT;
	if (strcmp(name, "token_embd.weight") == 0)
		return R_EMBED;
	for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++)
		if (strstr(name, roles[i].part) != NULL)
			return roles[i].role;
	return R_NONE;
}

bool
mix_free(const char *name, int ndim)
{
	/* Routers, positions and convolutions are small and matter much. */
	static const char *const kept[] = { "_norm.weight", "ffn_gate_inp", "position_embd",
	    "token_types", "ssm_conv1d", "shortconv" };

	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		if (strstr(name, kept[i]) != NULL)
			return false;
	return ndim >= 2 && str_ends(str_of(name), S("weight"));
}

dtype
mix_fitting(dtype t, int64_t cols)
{
	if (cols % dtype_block(t) == 0)
		return t;
	switch (t) {
	case DTYPE_Q2_K: case DTYPE_Q3_K:
		t = DTYPE_Q4_0;
		break;
	case DTYPE_Q4_K:
		t = DTYPE_Q5_0;
		break;
	case DTYPE_Q5_K:
		t = DTYPE_Q5_1;
		break;
	case DTYPE_Q6_K:
		t = DTYPE_Q8_0;
		break;
	case DTYPE_IQ4_XS:
		t = DTYPE_IQ4_NL;
		break;
	case DTYPE_I4_128:
		t = cols % 64 == 0 ? DTYPE_I4_64 : DTYPE_I4_32;
		break;
	case DTYPE_I4_64:
		t = DTYPE_I4_32;
		break;
	default:
		break;
	}
	return cols % dtype_block(t) == 0 ? t : DTYPE_F16;
}

static bool
holds(enum when when, const struct mix_model *m, int64_t layer)
{
	int64_t n = m->layers;

	switch (when) {
	case SOME:
		return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
	case EIGHTH:
		return layer < n / 8;
	case SIXTEENTH:
		return layer < n / 16;
	case FIRST_2:
		return layer < 2;
	case FIRST_4:
		return layer < 4;
	case SHARED:
		return m->kv_heads > 0 && m->heads / m->kv_heads >= 4;
	case BLIND_EIGHTH:
		return layer < n / 8 && !m->weighted;
	case SEEING_EIGHTH:
		return layer < n / 8 && m->weighted;
	default:
		return true;
	}
}

/* The type by the mix, before it has to fit. */
static dtype
wanted(const struct mix *m, const struct mix_model *model, const char *name, int64_t cols)
{
	enum role role = role_of(name);
	long layer = 0;

	if (dtype_block(m->base) == 1)
		return m->base;
	if (role == R_OUTPUT || (role == R_EMBED && model->tied)) {
		if (m->base == DTYPE_Q8_0 || cols % dtype_block(m->base) != 0)
			return DTYPE_Q8_0;
		return DTYPE_Q6_K;
	}
	if (model->experts == 8 && (role == R_VALUE || role == R_KEY))
		return DTYPE_Q8_0;
	if (model->experts == 8 && role == R_JOIN)
		return m->joined ? DTYPE_Q5_K : m->base;
	if (strncmp(name, "blk.", 4) == 0)
		layer = strtol(name + 4, NULL, 10);
	for (int i = 0; i < 6 && m->rule[i].role != R_NONE; i++)
		if (m->rule[i].role == role && holds(m->rule[i].when, model, layer))
			return m->rule[i].type;
	return m->base;
}

dtype
mix_type(const struct mix *m, const struct mix_model *model, const char *name, int64_t cols,
    bool pure)
{
	return mix_fitting(pure ? m->base : wanted(m, model, name, cols), cols);
}
