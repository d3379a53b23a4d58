/*
 * The keys of GGUF and struct config: a table of those that are a number of
 * it, and functions for the rest, in pairs.  A key of the family that is not
 * known here is an error, for it may change what is computed.
 */
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/gguf_impl.h"

#define OF(family)	(1u << ARCH_##family)
#define GEMMAS		(OF(GEMMA) | OF(GEMMA2) | OF(GEMMA3))
#define LATENT		(OF(DEEPSEEK_V2) | OF(DEEPSEEK_V3))
#define SCANS		(OF(MAMBA) | OF(JAMBA))
#define ROUTERS		(OF(MIXTRAL) | OF(QWEN3_MOE) | OF(JAMBA) | LATENT)
#define WINDOWS		(OF(MISTRAL) | OF(MIXTRAL) | OF(QWEN2) | OF(QWEN3) | OF(QWEN3_MOE) | \
			    OF(GEMMA2) | OF(GEMMA3) | OF(PHI3))
#define ALL		((1u << ARCH_COUNT) - 1)
#define LAYERNORMS	(OF(GPT2) | OF(BERT))
#define TURNING		(ALL & ~(LAYERNORMS | SCANS))	/* by rotary positions */

enum { SIZE = 1, REAL = 2, FLAG = 4, MUST = 8, POSITIVE = 16 };	/* written when above 0 */

#define AT(field) offsetof(struct config, field)

static const struct row {
	const char	*name;
	size_t		 at;
	int		 kind;
	unsigned	 of;
} rows[] = {
	{ "vocab_size", AT(vocab), SIZE, ALL },
	{ "context_length", AT(context), SIZE | MUST, ALL },
	{ "embedding_length", AT(width), SIZE | MUST, ALL },
	{ "feed_forward_length", AT(ffn), SIZE | MUST, ALL & ~OF(MAMBA) },
	{ "attention.head_count", AT(heads), SIZE | MUST, ALL & ~OF(MAMBA) },
	{ "attention.head_count_kv", AT(kv_heads), SIZE, ALL & ~(SCANS | LATENT) },
	{ "attention.key_length", AT(head_dim), SIZE, TURNING & ~LATENT },
	{ "attention.key_length_mla", AT(head_dim), SIZE, LATENT },
	{ "attention.value_length_mla", AT(v_dim), SIZE, LATENT },
	{ "attention.q_lora_rank", AT(q_rank), SIZE | POSITIVE, LATENT },
	{ "attention.kv_lora_rank", AT(kv_rank), SIZE | MUST, LATENT },
	{ "attention.layer_norm_epsilon", AT(norm_eps), REAL | MUST, LAYERNORMS },
	{ "attention.layer_norm_rms_epsilon", AT(norm_eps), REAL | MUST, ALL & ~LAYERNORMS },
	{ "attention.sliding_window", AT(window), SIZE | POSITIVE, WINDOWS },
	{ "attn_logit_softcapping", AT(attn_softcap), REAL, OF(GEMMA2) },
	{ "final_logit_softcapping", AT(final_softcap), REAL, OF(GEMMA2) },
	{ "final_logit_softcapping", AT(final_softcap), REAL | POSITIVE, OF(GEMMA3) },
	{ "rope.freq_base", AT(rope_theta), REAL, TURNING },
	{ "rope.freq_base_swa", AT(rope_local_theta), REAL, OF(GEMMA3) },
	{ "expert_count", AT(router.experts), SIZE | MUST, ROUTERS },
	{ "expert_used_count", AT(router.top), SIZE | MUST, ROUTERS },
	{ "expert_feed_forward_length", AT(expert_ffn), SIZE, OF(QWEN3_MOE) | LATENT },
	{ "expert_shared_count", AT(shared_experts), SIZE, LATENT },
	{ "expert_group_count", AT(router.groups), SIZE, LATENT },
	{ "expert_group_used_count", AT(router.top_groups), SIZE, LATENT },
	{ "expert_weights_scale", AT(router.scale), REAL, LATENT },
	{ "expert_weights_norm", AT(router.normalize), FLAG, OF(QWEN3_MOE) | LATENT },
	{ "leading_dense_block_count", AT(dense_layers), SIZE, LATENT },
	{ "nextn_predict_layers", AT(ahead), SIZE | POSITIVE, OF(DEEPSEEK_V3) },
	{ "ssm.conv_kernel", AT(scan.taps), SIZE | MUST, SCANS },
	{ "ssm.inner_size", AT(scan.inner), SIZE | MUST, SCANS },
	{ "ssm.state_size", AT(scan.states), SIZE | MUST, SCANS },
	{ "ssm.time_step_rank", AT(scan.rank), SIZE | MUST, SCANS },
};

#define ROWS (sizeof(rows) / sizeof(*rows))

/* What functions below read, gguf_rope.c does, or what changes nothing. */
static const char *const others[] = {
	"block_count", "attention.scale", "attention.value_length", "attention.key_length",
	"attention.head_count_kv", "attention.sliding_window_pattern", "expert_gating_func",
	"feed_forward_length", "attention.head_count", "rope.dimension_count",
	"rope.scaling.type", "rope.scaling.factor", "rope.scaling.original_context_length",
	"rope.scaling.attn_factor", "rope.scaling.finetuned", "rope.scaling.yarn_beta_fast",
	"rope.scaling.yarn_beta_slow", "rope.scaling.yarn_attn_factor",
	"rope.scaling.yarn_ext_factor", "rope.scaling.yarn_log_multiplier", "ssm.dt_b_c_rms",
	"tensor_data_layout", "attention.causal", "pooling_type", NULL
};

/* ---- values ---- */

const struct gguf_value *
gguf_family_key(const struct gguf *f, const char *name)
{
	char key[2 * GGUF_NAME];
	str family;

	if (!gguf_text(gguf_find_key(f, "general.architecture"), &family))
		return NULL;
	snprintf(key, sizeof(key), "%.*s.%s", (int)(family.n < GGUF_NAME ? family.n : GGUF_NAME),
	    family.p, name);
	return gguf_find_key(f, key);
}

struct reading {
	const struct gguf *f;
	struct config	*c;
	const char	*family;
	struct err	*err;
};

static int
bad_key(const struct reading *r, const char *name, const char *what)
{
	return err_set(r->err, ERR_FORMAT, "key '%s.%s' is %s", r->family, name, what);
}

/* A size into *to, which stays as it is where there is no key. */
static int
read_size_key(const struct reading *r, const char *name, int64_t *to)
{
	const struct gguf_value *v = gguf_family_key(r->f, name);
	int64_t x;

	if (v == NULL)
		return 0;
	if (!gguf_int(v, &x) || x < 0 || x > SIZE_LIMIT)
		return bad_key(r, name, "no size");
	*to = x;
	return 0;
}

static int
read_row(const struct reading *r, const struct row *row)
{
	const struct gguf_value *v = gguf_family_key(r->f, row->name);
	char *field = (char *)r->c + row->at;
	double x;
	bool b;

	if (v == NULL)
		return (row->kind & MUST) != 0 ? bad_key(r, row->name, "not there") : 0;
	if ((row->kind & SIZE) != 0)
		return read_size_key(r, row->name, (int64_t *)(void *)field);
	if ((row->kind & REAL) != 0 && gguf_real(v, &x))
		*(double *)(void *)field = x;
	else if ((row->kind & FLAG) != 0 && gguf_bool(v, &b))
		*(bool *)(void *)field = b;
	else
		return bad_key(r, row->name, "of another type");
	return 0;
}

static void
write_row(struct gguf_keys *k, const struct config *c, const struct row *row)
{
	const char *field = (const char *)c + row->at;
	char key[128];

	snprintf(key, sizeof(key), "%s.%s", arch_family(c->arch)->gguf, row->name);
	if ((row->kind & SIZE) != 0) {
		int64_t x = *(const int64_t *)(const void *)field;

		if (x > 0 || (row->kind & POSITIVE) == 0)
			gguf_put_u32(k, key, x);
	} else if ((row->kind & REAL) != 0) {
		double x = *(const double *)(const void *)field;

		if (x > 0 || (row->kind & POSITIVE) == 0)
			gguf_put_f32(k, key, x);
	} else {
		gguf_put_bool(k, key, *(const bool *)(const void *)field);
	}
}

/* ---- which family ---- */

/* Several families may share a name there; what tells them apart is one key. */
static int
find_family(const struct reading *r, str name, enum arch *arch)
{
	int64_t experts = 0, window = 0, gating = 0;

	if (read_size_key(r, "expert_count", &experts) < 0 ||
	    read_size_key(r, "attention.sliding_window", &window) < 0 ||
	    read_size_key(r, "expert_gating_func", &gating) < 0)
		return -1;
	if (str_eq(name, S("llama"))) {
		*arch = experts > 0 ? ARCH_MIXTRAL : window > 0 ? ARCH_MISTRAL : ARCH_LLAMA;
		return 0;
	}
	if (str_eq(name, S("deepseek2"))) {
		*arch = gating == 2 ? ARCH_DEEPSEEK_V3 : ARCH_DEEPSEEK_V2;
		return 0;
	}
	for (int i = 0; i < ARCH_COUNT; i++)
		if (arch_family((enum arch)i)->gguf != NULL &&
		    str_eq(name, str_of(arch_family((enum arch)i)->gguf))) {
			*arch = (enum arch)i;
			return 0;
		}
	return err_set(r->err, ERR_FORMAT, "architecture '%.*s' is not supported",
	    (int)(name.n < 99 ? name.n : 99), name.p);
}

static int
check_known(const struct reading *r)
{
	size_t n = strlen(r->family);

	for (int i = 0; i < gguf_keys(r->f); i++) {
		const char *key = gguf_key(r->f, i)->key, *name = key + n + 1;
		bool known = false;

		if (strncmp(key, r->family, n) != 0 || key[n] != '.')
			continue;
		for (size_t k = 0; k < ROWS && !known; k++)
			known = (rows[k].of & 1u << r->c->arch) != 0 &&
			    strcmp(rows[k].name, name) == 0;
		for (size_t k = 0; others[k] != NULL && !known; k++)
			known = strcmp(others[k], name) == 0;
		if (!known)
			return err_set(r->err, ERR_FORMAT, "key '%s' is not supported", key);
	}
	return 0;
}

/* ---- what tensors tell ---- */

/* Is there a tensor of any layer whose name ends so? */
static bool
has(const struct gguf *f, const char *end)
{
	for (int i = 0; i < gguf_count(f); i++)
		if (str_ends(str_of(gguf_at(f, i)->name), str_of(end)))
			return true;
	return false;
}

static bool
layer_has(const struct gguf *f, int64_t layer, const char *end)
{
	char name[64];

	snprintf(name, sizeof(name), "blk.%" PRId64 ".%s", layer, end);
	return gguf_find(f, name) != NULL;
}

static int
read_tensors(const struct reading *r)
{
	const struct gguf_tensor *embed = gguf_find(r->f, "token_embd.weight");
	const struct gguf_tensor *types = gguf_find(r->f, "token_types.weight");
	struct config *c = r->c;

	if (embed == NULL || embed->ndim != 2 || embed->shape[0] < 1 ||
	    embed->shape[0] > SIZE_LIMIT)
		return err_set(r->err, ERR_FORMAT, "no tensor 'token_embd.weight'");
	c->vocab = embed->shape[0];
	c->dtype = dtype_block(gguf_block(embed->type)->type) == 1 ?
	    gguf_block(embed->type)->type : DTYPE_F32;
	if (c->dtype != DTYPE_F16 && c->dtype != DTYPE_BF16)
		c->dtype = DTYPE_F32;
	c->tied = gguf_find(r->f, "output.weight") == NULL;
	if (c->encoder)
		c->segments = types != NULL && types->ndim == 2 ? types->shape[0] : 1;
	if (c->arch == ARCH_GPT2)
		return 0;
	c->qkv_bias = has(r->f, ".attn_q.bias") || has(r->f, ".attn_q_a.bias") ||
	    has(r->f, ".attn_kv_a_mqa.bias");
	c->out_bias = has(r->f, ".attn_output.bias");
	c->ffn_bias = has(r->f, ".ffn_up.bias") || has(r->f, ".ffn_up_shexp.bias");
	c->router_bias = has(r->f, ".exp_probs_b.bias");
	c->scan.bias = has(r->f, ".ssm_in.bias");
	c->scan.conv_bias = has(r->f, ".ssm_conv1d.bias");
	return 0;
}

/* ---- layers ---- */

static bool
is_router(const struct config *c)
{
	return (ROUTERS & 1u << c->arch) != 0;
}

/* A number of keys' heads for each layer, of Jamba: 0 where it scans. */
static int
read_jamba(const struct reading *r)
{
	const struct gguf_value *v = gguf_family_key(r->f, "attention.head_count_kv");
	struct config *c = r->c;
	ptrdiff_t at = 0;
	int64_t n;

	if (v == NULL || v->type != GGUF_ARRAY || v->n != c->layers)
		return bad_key(r, "attention.head_count_kv", "no list of a number a layer");
	for (int64_t i = 0; i < c->layers; i++) {
		if (!gguf_next_int(v, &at, &n) || n < 0 || n > SIZE_LIMIT)
			return bad_key(r, "attention.head_count_kv", "no list of sizes");
		c->mixer[i] = n > 0 ? MIXER_FULL : MIXER_SCAN;
		if (n > 0)
			c->kv_heads = n;
	}
	return 0;
}

/* Which layers see a window: a period, or a boolean for each layer. */
static int
read_pattern(const struct reading *r)
{
	const struct gguf_value *v = gguf_family_key(r->f, "attention.sliding_window_pattern");
	struct config *c = r->c;
	int64_t period;

	if (v == NULL || c->window == 0)
		return 0;
	if (gguf_int(v, &period)) {
		set_local(c, 0, period);
		return 0;
	}
	if (v->type != GGUF_ARRAY || v->elem != GGUF_BOOL || v->n < c->layers)
		return bad_key(r, "attention.sliding_window_pattern", "no list of booleans");
	for (int64_t i = 0; i < c->layers; i++)
		c->mixer[i] = v->raw.p[i] != 0 ? MIXER_LOCAL : MIXER_FULL;
	return 0;
}

static int
read_layers(const struct reading *r)
{
	struct config *c = r->c;
	int64_t blocks = 0;

	if (read_size_key(r, "block_count", &blocks) < 0)
		return -1;
	if (blocks <= c->ahead || blocks > CONFIG_LAYERS)
		return bad_key(r, "block_count", "not there, or out of range");
	c->layers = blocks - c->ahead;
	if (c->ahead > 0 && !layer_has(r->f, c->layers, "nextn.eh_proj.weight"))
		c->ahead = 0;
	config_layers(c);
	if (c->window == 0 && (WINDOWS & 1u << c->arch) != 0)
		memset(c->mixer, MIXER_FULL, sizeof(c->mixer));
	if (read_pattern(r) < 0 || (c->arch == ARCH_JAMBA && read_jamba(r) < 0))
		return -1;
	for (int64_t i = 0; is_router(c) && i < c->layers; i++)
		c->mlp[i] = layer_has(r->f, i, "ffn_gate_inp.weight") ? MLP_EXPERTS : MLP_DENSE;
	return 0;
}

static int
put_layers(struct gguf_keys *k, const struct config *c, struct err *err)
{
	struct config *as = malloc(sizeof(*as));
	bool *local = calloc((size_t)c->layers, sizeof(*local));
	int32_t *heads = calloc((size_t)c->layers, sizeof(*heads));
	char key[64];

	if (as == NULL || local == NULL || heads == NULL) {
		free(as);
		free(local);
		free(heads);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	*as = *c;
	config_layers(as);
	for (int64_t i = 0; i < c->layers; i++) {
		local[i] = c->mixer[i] == MIXER_LOCAL;
		heads[i] = c->mixer[i] == MIXER_SCAN ? 0 : (int32_t)c->kv_heads;
	}
	snprintf(key, sizeof(key), "%s.attention.sliding_window_pattern",
	    arch_family(c->arch)->gguf);
	if (c->window > 0 && memcmp(as->mixer, c->mixer, (size_t)c->layers) != 0)
		gguf_put_array(k, key, GGUF_BOOL, local, c->layers);
	if (c->arch == ARCH_JAMBA)
		gguf_put_array(k, "jamba.attention.head_count_kv", GGUF_I32, heads, c->layers);
	free(as);
	free(local);
	free(heads);
	return 0;
}

/* ---- heads ---- */

/* What llama.cpp takes a Gemma's scores to be divided by, which no key of it says. */
static double
usual_scalar(const struct config *c)
{
	bool largest = (c->arch == ARCH_GEMMA2 && c->layers == 46) ||
	    (c->arch == ARCH_GEMMA3 && c->layers == 62);

	return largest ? (double)(c->width / c->heads) : (double)c->head_dim;
}

static void
read_scalar(const struct reading *r)
{
	double scale = 0, x;
	struct config *c = r->c;

	if (c->arch != ARCH_GEMMA2 && c->arch != ARCH_GEMMA3)
		return;
	c->attn_scalar = usual_scalar(c);
	if (gguf_real(gguf_family_key(r->f, "attention.scale"), &scale) && scale > 0) {
		x = 1 / (scale * scale);
		c->attn_scalar = fabs(x - rint(x)) <= 1e-5 * x ? rint(x) : x;
	}
}

static int
read_heads(const struct reading *r)
{
	struct config *c = r->c;
	int64_t values = 0, turning = 0, keys = 0;

	if (c->heads < 1 || c->width < 1)
		return bad_key(r, "attention.head_count", "out of range");
	if (c->kv_heads == 0 || (LATENT & 1u << c->arch) != 0)
		c->kv_heads = c->heads;
	if (read_size_key(r, "attention.value_length", &values) < 0 ||
	    read_size_key(r, "attention.key_length", &keys) < 0 ||
	    read_size_key(r, "rope.dimension_count", &turning) < 0)
		return -1;
	if ((LATENT & 1u << c->arch) != 0) {
		/* Older files have the sizes of heads by these names. */
		c->rope_dims = turning;
		if (c->head_dim == 0)
			c->head_dim = keys;
		if (c->v_dim == 0)
			c->v_dim = values;
		return 0;
	}
	if (c->head_dim == 0)
		c->head_dim = c->width / c->heads;
	if (values != 0 && values != c->head_dim)
		return bad_key(r, "attention.value_length", "not the width of keys");
	if (turning != 0 && turning != c->head_dim)
		c->rope_dims = turning;
	if (c->rope_dims > 0 && c->arch != ARCH_PHI3)
		return bad_key(r, "rope.dimension_count", "not the width of heads");
	read_scalar(r);
	return 0;
}

static void
put_size(struct gguf_keys *k, const struct config *c, const char *name, int64_t x)
{
	char key[128];

	snprintf(key, sizeof(key), "%s.%s", arch_family(c->arch)->gguf, name);
	gguf_put_u32(k, key, x);
}

static void
put_heads(struct gguf_keys *k, const struct config *c)
{
	char key[64];

	if ((LATENT & 1u << c->arch) != 0) {
		/* As llama.cpp's cache has them: of all heads once. */
		put_size(k, c, "attention.head_count_kv", 1);
		put_size(k, c, "attention.key_length", c->kv_rank + c->rope_dims);
		put_size(k, c, "attention.value_length", c->kv_rank);
		put_size(k, c, "expert_gating_func", c->router.sigmoid ? 2 : 1);
	} else if ((TURNING & 1u << c->arch) != 0) {
		put_size(k, c, "attention.value_length", c->head_dim);
	}
	if ((TURNING & 1u << c->arch) != 0)
		put_size(k, c, "rope.dimension_count", rope_dims(c));
	if (c->attn_scalar > 0 && (GEMMAS & 1u << c->arch) != 0 &&
	    c->attn_scalar != usual_scalar(c)) {
		snprintf(key, sizeof(key), "%s.attention.scale", arch_family(c->arch)->gguf);
		gguf_put_f32(k, key, 1 / sqrt(c->attn_scalar));
	}
	if (c->arch == ARCH_MAMBA) {
		/* Of no use, and asked for. */
		put_size(k, c, "feed_forward_length", 0);
		put_size(k, c, "attention.head_count", 0);
	}
}

/* ---- encoders ---- */

static int
read_direction(const struct reading *r)
{
	bool causal = !r->c->encoder;

	gguf_bool(gguf_family_key(r->f, "attention.causal"), &causal);
	return causal != r->c->encoder ? 0 : bad_key(r, "attention.causal", causal ? "true" :
	    "false");
}

/* What llama.cpp takes an encoder to be, which no key says, and the key that it needs. */
static int
put_encoder(struct gguf_keys *k, const struct config *c, struct err *err)
{
	char key[64];

	if (c->act != ACT_GELU)
		return err_set(err, ERR_ARG, "an encoder with another activation than gelu has no "
		    "form in GGUF");
	snprintf(key, sizeof(key), "%s.attention.causal", arch_family(c->arch)->gguf);
	gguf_put_bool(k, key, false);
	gguf_put_u32(k, "tokenizer.ggml.token_type_count", c->segments);
	return 0;
}

/* ---- tokens ---- */

static const struct {
	const char	*key;
	size_t		 at;
} tokens[] = {
	{ "tokenizer.ggml.bos_token_id", AT(bos) }, { "tokenizer.ggml.eos_token_id", AT(eos) },
	{ "tokenizer.ggml.padding_token_id", AT(pad) },
	{ "tokenizer.ggml.eot_token_id", AT(eos_more) },
};

static int
read_token_ids(const struct reading *r)
{
	for (size_t i = 0; i < 4; i++) {
		const struct gguf_value *v = gguf_find_key(r->f, tokens[i].key);
		int64_t x;

		if (v == NULL)
			continue;
		if (!gguf_int(v, &x) || x < 0 || x >= r->c->vocab)
			return err_set(r->err, ERR_FORMAT, "key '%s' is the number of no token",
			    tokens[i].key);
		*(int32_t *)(void *)((char *)r->c + tokens[i].at) = (int32_t)x;
		if (tokens[i].at == AT(eos_more) && r->c->eos != (int32_t)x)
			r->c->n_eos_more = r->c->eos >= 0;
	}
	return 0;
}

/* ---- the whole ---- */

int
gguf_config_read(struct config *c, const struct gguf *f, struct err *err)
{
	struct reading r = { .f = f, .c = c, .err = err };
	const struct gguf_value *v;
	bool norms = false;
	enum arch arch = ARCH_LLAMA;
	str name;

	if (!gguf_text(gguf_find_key(f, "general.architecture"), &name))
		return err_set(err, ERR_FORMAT, "no key 'general.architecture'");
	r.family = "";
	if (find_family(&r, name, &arch) < 0)
		return -1;
	config_default(c, arch);
	r.family = arch_family(arch)->gguf;
	if (arch == ARCH_DEEPSEEK_V2 || arch == ARCH_DEEPSEEK_V3)
		c->shared_experts = c->dense_layers = 0;
	c->rope_interleaved |= strcmp(r.family, "llama") == 0;
	if (check_known(&r) < 0)
		return -1;
	for (size_t i = 0; i < ROWS; i++)
		if ((rows[i].of & 1u << arch) != 0 && read_row(&r, &rows[i]) < 0)
			return -1;
	v = gguf_family_key(f, "ssm.dt_b_c_rms");
	if (gguf_bool(v, &norms) && norms && arch == ARCH_MAMBA)
		return bad_key(&r, "ssm.dt_b_c_rms", "not supported");
	if (read_direction(&r) < 0 || read_tensors(&r) < 0 || read_layers(&r) < 0 ||
	    read_heads(&r) < 0 || (c->pos == POS_ROPE && gguf_rope_read(c, f, err) < 0) ||
	    read_token_ids(&r) < 0)
		return -1;
	if ((LATENT & 1u << arch) != 0)
		c->attn_scalar = (double)c->head_dim / pow(rope_score_scale(c), 2);
	return config_check(c, err);
}

int
gguf_config_write(struct gguf_keys *k, const struct config *c, struct err *err)
{
	const char *family = arch_family(c->arch)->gguf;

	if (family == NULL)
		return err_set(err, ERR_ARG, "%s as GGUF is not supported", arch_name(c->arch));
	if ((LATENT & 1u << c->arch) != 0 && !c->rope_interleaved)
		return err_set(err, ERR_ARG, "rope that does not turn neighbours has no form in "
		    "GGUF's %s", family);
	gguf_put_text(k, "general.architecture", str_of(family));
	gguf_put_text(k, "general.type", S("model"));
	put_size(k, c, "block_count", c->layers + c->ahead);
	for (size_t i = 0; i < ROWS; i++)
		if ((rows[i].of & 1u << c->arch) != 0)
			write_row(k, c, &rows[i]);
	put_heads(k, c);
	if (c->encoder && put_encoder(k, c, err) < 0)
		return -1;
	if (put_layers(k, c, err) < 0)
		return -1;
	return c->pos == POS_ROPE ? gguf_rope_write(k, c, err) : 0;
}
