/* The table of families, and what most of them read and write alike. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "model/model_impl.h"

static const struct arch_family *const families[ARCH_COUNT] = {
	[ARCH_LLAMA] = &arch_llama, [ARCH_GPT2] = &arch_gpt2, [ARCH_MISTRAL] = &arch_mistral,
	[ARCH_QWEN2] = &arch_qwen2, [ARCH_QWEN3] = &arch_qwen3, [ARCH_GEMMA] = &arch_gemma,
	[ARCH_GEMMA2] = &arch_gemma2, [ARCH_GEMMA3] = &arch_gemma3, [ARCH_PHI3] = &arch_phi3,
	[ARCH_OLMO2] = &arch_olmo2,
	[ARCH_MAMBA] = &arch_mamba, [ARCH_JAMBA] = &arch_jamba,
	[ARCH_MIXTRAL] = &arch_mixtral, [ARCH_QWEN3_MOE] = &arch_qwen3_moe,
	[ARCH_DEEPSEEK_V2] = &arch_deepseek_v2, [ARCH_DEEPSEEK_V3] = &arch_deepseek_v3,
	[ARCH_BERT] = &arch_bert,
};

const struct arch_names llama_names = {
	.embed = "model.embed_tokens", .layer = "model.layers.%lld.", .final_norm = "model.norm",
	.pre_mixer = "input_layernorm", .pre_mlp = "post_attention_layernorm",
	.q = "self_attn.q_proj", .k = "self_attn.k_proj", .v = "self_attn.v_proj",
	.out = "self_attn.o_proj", .q_norm = "self_attn.q_norm", .k_norm = "self_attn.k_norm",
	.gate = "mlp.gate_proj", .up = "mlp.up_proj", .down = "mlp.down_proj",
	.router = "mlp.gate", .experts = "mlp.experts", .expert_gate = "gate_proj",
	.expert_up = "up_proj", .expert_down = "down_proj", .shared = "mlp.shared_experts",
};

const struct arch_family *
arch_family(enum arch arch)
{
	return families[arch];
}

const struct arch_family *
arch_of_type(const char *model_type)
{
	for (int i = 0; i < ARCH_COUNT; i++)
		if (strcmp(families[i]->model_type, model_type) == 0)
			return families[i];
	return NULL;
}

const char *
arch_name(enum arch arch)
{
	return families[arch]->name;
}

int
arch_named(const char *name)
{
	for (int i = 0; i < ARCH_COUNT; i++)
		if (strcmp(families[i]->name, name) == 0)
			return i;
	return -1;
}

void
model_layer_prefix(const struct config *c, int64_t layer, char prefix[NN_NAME])
{
	snprintf(prefix, NN_NAME, families[c->arch]->names->layer, (long long)layer);
}

void
config_default(struct config *c, enum arch arch)
{
	*c = (struct config){ .arch = arch, .gated = true, .act = ACT_SILU, .tied = true,
	    .dtype = DTYPE_F32, .norm_eps = 1e-5, .rope_theta = 10000, .bos = -1, .eos = -1,
	    .pad = -1, .init_std = 0.02 };
	if (families[arch]->defaults != NULL)
		families[arch]->defaults(c);
}

void
config_layers(struct config *c)
{
	memset(c->mixer, 0, sizeof(c->mixer));
	memset(c->mlp, 0, sizeof(c->mlp));
	if (families[c->arch]->layers != NULL)
		families[c->arch]->layers(c);
}

void
set_local(struct config *c, int64_t first, int64_t nth)
{
	for (int64_t i = 0; i < c->layers && i < CONFIG_LAYERS; i++)
		c->mixer[i] = i < first || (nth > 0 && (i + 1) % nth == 0) ? MIXER_FULL :
		    MIXER_LOCAL;
}

/* ---- reading ---- */

const json_t *
read_value(const struct reader *r, const char *key)
{
	const json_t *v = json_object_get(r->doc, key);

	return json_is_null(v) ? NULL : v;
}

int
read_fail(struct reader *r, const char *fmt, ...)
{
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (!r->bad)
		err_set(r->err, ERR_FORMAT, "%s", what);
	r->bad = true;
	return -1;
}

int64_t
read_size(struct reader *r, const char *key, bool must, int64_t def)
{
	const json_t *v = read_value(r, key);

	if (v == NULL && !must)
		return def;
	if (v == NULL)
		read_fail(r, "no key '%s'", key);
	if (!json_is_integer(v) || json_integer_value(v) < 1 ||
	    json_integer_value(v) > SIZE_LIMIT) {
		read_fail(r, "'%s' is no size", key);
		return def;
	}
	return json_integer_value(v);
}

double
read_real(struct reader *r, const char *key, double def)
{
	const json_t *v = read_value(r, key);

	if (v == NULL)
		return def;
	if (!json_is_number(v))
		read_fail(r, "'%s' is no number", key);
	return json_number_value(v);
}

bool
read_bool(struct reader *r, const char *key, bool def)
{
	const json_t *v = read_value(r, key);

	if (v == NULL)
		return def;
	if (!json_is_boolean(v))
		read_fail(r, "'%s' is no boolean", key);
	return json_is_true(v);
}

static const struct {
	const char	*name;
	enum dev_act	 act;
} acts[] = {
	{ "silu", ACT_SILU }, { "swish", ACT_SILU }, { "gelu", ACT_GELU },
	{ "gelu_new", ACT_GELU_TANH }, { "gelu_pytorch_tanh", ACT_GELU_TANH },
	{ "relu", ACT_RELU }, { "relu2", ACT_RELU2 },
};

enum dev_act
read_act(struct reader *r, const char *key, const char *def)
{
	const json_t *v = read_value(r, key);
	const char *name = v == NULL ? def : json_string_value(v);

	for (size_t i = 0; name != NULL && i < sizeof(acts) / sizeof(*acts); i++)
		if (strcmp(acts[i].name, name) == 0)
			return acts[i].act;
	read_fail(r, "'%s': activation '%s' is not supported", key, name != NULL ? name : "");
	return ACT_NONE;
}

const char *
act_name(const struct config *c)
{
	if (c->act == ACT_GELU_TANH)
		return c->arch == ARCH_GPT2 ? "gelu_new" : "gelu_pytorch_tanh";
	for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++)
		if (acts[i].act == c->act)
			return acts[i].name;
	return "silu";
}

void
read_sizes(struct config *c, struct reader *r)
{
	c->width = read_size(r, "hidden_size", true, 1);
	c->layers = read_size(r, "num_hidden_layers", true, 1);
	c->heads = read_size(r, "num_attention_heads", true, 1);
	c->kv_heads = read_size(r, "num_key_value_heads", false, c->heads);
	c->head_dim = read_size(r, "head_dim", false, c->width / c->heads);
	c->ffn = read_size(r, "intermediate_size", true, 1);
	c->context = read_size(r, "max_position_embeddings", false, 2048);
	c->norm_eps = read_real(r, "rms_norm_eps", 1e-6);
	c->tied = read_bool(r, "tie_word_embeddings", false);
}

void
read_layer_types(struct config *c, struct reader *r)
{
	const json_t *types = read_value(r, "layer_types"), *v;
	size_t i;

	if (types == NULL)
		return;
	if (!json_is_array(types) || json_array_size(types) != (size_t)c->layers ||
	    c->layers > CONFIG_LAYERS) {
		read_fail(r, "'layer_types' is no list of %" PRId64, c->layers);
		return;
	}
	json_array_foreach(types, i, v) {
		const char *name = json_is_string(v) ? json_string_value(v) : "";

		if (strcmp(name, "full_attention") == 0)
			c->mixer[i] = MIXER_FULL;
		else if (strcmp(name, "sliding_attention") == 0)
			c->mixer[i] = MIXER_LOCAL;
		else
			read_fail(r, "'layer_types': '%s' is not supported", name);
	}
}

/* ---- writing ---- */

void
write_key(struct writer *w, const char *key, json_t *v)
{
	w->failed |= json_object_set_new(w->o, key, v) < 0;
}

void
write_number(struct writer *w, const char *key, double v)
{
	write_key(w, key, v == floor(v) && fabs(v) < 1e15 ? json_integer((json_int_t)v) :
	    json_real(v));
}

void
write_sizes(const struct config *c, struct writer *w)
{
	write_key(w, "attention_dropout", json_real(0));
	write_key(w, "head_dim", json_integer(c->head_dim));
	write_key(w, "hidden_size", json_integer(c->width));
	write_key(w, "intermediate_size", json_integer(c->ffn));
	write_key(w, "max_position_embeddings", json_integer(c->context));
	write_key(w, "num_attention_heads", json_integer(c->heads));
	write_key(w, "num_hidden_layers", json_integer(c->layers));
	write_key(w, "num_key_value_heads", json_integer(c->kv_heads));
	write_key(w, "rms_norm_eps", json_real(c->norm_eps));
}

void
write_layer_types(const struct config *c, struct writer *w)
{
	json_t *types = json_array();

	for (int64_t i = 0; i < c->layers; i++)
		w->failed |= json_array_append_new(types, json_string(c->mixer[i] == MIXER_LOCAL ?
		    "sliding_attention" : "full_attention")) < 0;
	write_key(w, "layer_types", types);
}
