#include "model/model_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/stream.h"

/* No dimension of a model is larger; products of four of them are checked elsewhere. */
#define SIZE_LIMIT ((int64_t)1 << 31)

static const struct {
	const char	*name;
	enum dev_act	 act;
} acts[] = {
	{ "silu", ACT_SILU }, { "swish", ACT_SILU }, { "gelu", ACT_GELU },
	{ "gelu_new", ACT_GELU_TANH }, { "gelu_pytorch_tanh", ACT_GELU_TANH },
	{ "relu", ACT_RELU }, { "relu2", ACT_RELU2 },
};

#define NONE ((double)NAN)		/* no value is neutral */

/*
 * Keys of other models, quantizers and forks that change what is computed.
 * Absent, null and the value given here mean that they do not.
 */
static const struct {
	const char	*key;
	double		 neutral;
} foreign[] = {
	{ "add_cross_attention", 0 }, { "alibi", 0 }, { "attention_chunk_size", 0 },
	{ "attention_multiplier", NONE }, { "attn_logit_softcapping", 0 },
	{ "embedding_multiplier", 1 }, { "final_logit_softcapping", 0 },
	{ "is_encoder_decoder", 0 }, { "logits_scaling", 1 }, { "logit_scale", 1 },
	{ "no_rope_layer_interval", 0 }, { "num_experts", 0 }, { "num_local_experts", 0 },
	{ "partial_rotary_factor", 1 }, { "qk_norm", 0 }, { "quantization_config", NONE },
	{ "query_pre_attn_scalar", NONE }, { "residual_multiplier", 1 },
	{ "rope_interleaved", 0 }, { "scale_attn_by_inverse_layer_idx", 0 },
	{ "scale_attn_weights", 1 }, { "sliding_window", NONE }, { "use_qk_norm", 0 },
	{ "use_sliding_window", 0 }, { "compression_config", NONE }, { "text_config", NONE },
};

/* ---- reading values; the first failure sticks ---- */

struct reader {
	const json_t	*doc;
	struct err	*err;
	bool		 bad;
};

static void
complain(struct reader *r, const char *key, const char *want)
{
	if (!r->bad)
		err_set(r->err, ERR_FORMAT, "'%s' is no %s", key, want);
	r->bad = true;
}

static const json_t *
value(const struct reader *r, const char *key)
{
	const json_t *v = json_object_get(r->doc, key);

	return json_is_null(v) ? NULL : v;
}

/* must: it has to be there; else def stands in. */
static int64_t
size_of(struct reader *r, const char *key, bool must, int64_t def)
{
	const json_t *v = value(r, key);

	if (v == NULL && !must)
		return def;
	if (v == NULL && !r->bad) {
		err_set(r->err, ERR_FORMAT, "no key '%s'", key);
		r->bad = true;
	}
	if (!json_is_integer(v) || json_integer_value(v) < 1 ||
	    json_integer_value(v) > SIZE_LIMIT) {
		complain(r, key, "size");
		return def;
	}
	return json_integer_value(v);
}

static double
real_of(struct reader *r, const char *key, double def)
{
	const json_t *v = value(r, key);

	if (v == NULL)
		return def;
	if (!json_is_number(v))
		complain(r, key, "number");
	return json_number_value(v);
}

static bool
bool_of(struct reader *r, const char *key, bool def)
{
	const json_t *v = value(r, key);

	if (v == NULL)
		return def;
	if (!json_is_boolean(v))
		complain(r, key, "boolean");
	return json_is_true(v);
}

static enum dev_act
act_of(struct reader *r, const char *key, const char *def)
{
	const json_t *v = value(r, key);
	const char *name = v == NULL ? def : json_string_value(v);

	for (size_t i = 0; name != NULL && i < sizeof(acts) / sizeof(*acts); i++)
		if (strcmp(acts[i].name, name) == 0)
			return acts[i].act;
	if (!r->bad)
		err_set(r->err, ERR_FORMAT, "'%s': activation '%s' is not supported", key,
		    name != NULL ? name : "");
	r->bad = true;
	return ACT_NONE;
}

static int32_t
id_of(struct reader *r, const char *key, const json_t *v)
{
	if (v == NULL || json_is_null(v))
		return -1;
	if (!json_is_integer(v) || json_integer_value(v) < -1 ||
	    json_integer_value(v) > INT32_MAX) {
		complain(r, key, "token id");
		return -1;
	}
	return (int32_t)json_integer_value(v);
}

static void
read_tokens(struct config *c, struct reader *r)
{
	const json_t *eos = value(r, "eos_token_id");

	c->bos = id_of(r, "bos_token_id", value(r, "bos_token_id"));
	if (!json_is_array(eos)) {
		c->eos = id_of(r, "eos_token_id", eos);
		return;
	}
	c->eos = id_of(r, "eos_token_id", json_array_get(eos, 0));
	for (size_t i = 1; i < json_array_size(eos); i++) {
		if (c->n_eos_more == CONFIG_EOS_MORE) {
			complain(r, "eos_token_id", "list of at most 8");
			return;
		}
		c->eos_more[c->n_eos_more++] = id_of(r, "eos_token_id", json_array_get(eos, i));
	}
}

/* ---- what we do not honour ---- */

static int
check_foreign(const json_t *doc, struct err *err)
{
	const json_t *types = json_object_get(doc, "layer_types"), *v;
	size_t i;

	for (i = 0; i < sizeof(foreign) / sizeof(*foreign); i++) {
		v = json_object_get(doc, foreign[i].key);
		if (v == NULL || json_is_null(v) ||
		    (json_is_boolean(v) && json_is_true(v) == (foreign[i].neutral > 0)) ||
		    (json_is_number(v) && json_number_value(v) == foreign[i].neutral))
			continue;
		return err_set(err, ERR_FORMAT, "'%s' is not supported", foreign[i].key);
	}
	json_array_foreach(types, i, v)
		if (json_string_value(v) == NULL ||
		    strcmp(json_string_value(v), "full_attention") != 0)
			return err_set(err, ERR_FORMAT, "'layer_types': only full_attention is "
			    "supported");
	return 0;
}

/* ---- rope: rope_theta and rope_scaling, or rope_parameters of transformers 5 ---- */

static int
read_rope(struct config *c, struct reader *r)
{
	const json_t *p = value(r, "rope_parameters"), *scaling = value(r, "rope_scaling"), *v;
	struct reader in = { p, r->err, false };
	const char *kind = NULL;

	c->rope_theta = real_of(r, "rope_theta", 10000);
	if (p != NULL)
		c->rope_theta = real_of(&in, "rope_theta", c->rope_theta);
	else
		in.doc = scaling;
	if (in.doc == NULL)
		return 0;
	if ((v = value(&in, "rope_type")) != NULL || (v = value(&in, "type")) != NULL)
		kind = json_string_value(v);
	if ((v = value(&in, "partial_rotary_factor")) != NULL && json_number_value(v) != 1)
		return err_set(r->err, ERR_FORMAT, "'partial_rotary_factor' is not supported");
	if (kind == NULL || strcmp(kind, "default") == 0)
		return in.bad ? -1 : 0;
	if (strcmp(kind, "llama3") != 0)
		return err_set(r->err, ERR_FORMAT, "'%s': type '%s' is not supported",
		    p != NULL ? "rope_parameters" : "rope_scaling", kind);
	c->rope_factor = real_of(&in, "factor", 0);
	c->rope_low = real_of(&in, "low_freq_factor", 1);
	c->rope_high = real_of(&in, "high_freq_factor", 4);
	c->rope_original = size_of(&in, "original_max_position_embeddings", true, 1);
	if (!in.bad && (c->rope_factor < 1 || !(c->rope_low > 0) || !(c->rope_high > c->rope_low)))
		return err_set(r->err, ERR_FORMAT, "rope scaling: factors out of range");
	return in.bad ? -1 : 0;
}

static int
read_llama(struct config *c, struct reader *r)
{
	c->arch = ARCH_LLAMA;
	c->norm = NORM_RMS;
	c->pos = POS_ROPE;
	c->gated = true;
	c->width = size_of(r, "hidden_size", true, 1);
	c->layers = size_of(r, "num_hidden_layers", true, 1);
	c->heads = size_of(r, "num_attention_heads", true, 1);
	c->kv_heads = size_of(r, "num_key_value_heads", false, c->heads);
	c->head_dim = size_of(r, "head_dim", false, c->width / c->heads);
	c->ffn = size_of(r, "intermediate_size", true, 1);
	c->context = size_of(r, "max_position_embeddings", false, 2048);
	c->act = act_of(r, "hidden_act", "silu");
	c->qkv_bias = c->out_bias = bool_of(r, "attention_bias", false);
	c->ffn_bias = bool_of(r, "mlp_bias", false);
	c->tied = bool_of(r, "tie_word_embeddings", false);
	c->norm_eps = real_of(r, "rms_norm_eps", 1e-6);
	return read_rope(c, r);
}

static int
read_gpt2(struct config *c, struct reader *r)
{
	c->arch = ARCH_GPT2;
	c->norm = NORM_LAYER;
	c->pos = POS_LEARNED;
	c->width = size_of(r, "n_embd", true, 1);
	c->layers = size_of(r, "n_layer", true, 1);
	c->heads = c->kv_heads = size_of(r, "n_head", true, 1);
	c->head_dim = c->width / c->heads;
	c->ffn = size_of(r, "n_inner", false, 4 * c->width);
	c->context = size_of(r, "n_positions", false, 1024);
	c->act = act_of(r, "activation_function", "gelu_new");
	c->qkv_bias = c->out_bias = c->ffn_bias = true;
	c->tied = bool_of(r, "tie_word_embeddings", true);
	c->norm_eps = real_of(r, "layer_norm_epsilon", 1e-5);
	return 0;
}

int
config_read(struct config *c, const json_t *doc, struct err *err)
{
	struct reader r = { doc, err, false };
	const char *type = json_string_value(json_object_get(doc, "model_type"));

	*c = (struct config){ 0 };
	if (!json_is_object(doc))
		return err_set(err, ERR_FORMAT, "not a JSON object");
	if (type == NULL)
		return err_set(err, ERR_FORMAT, "no key 'model_type'");
	if (check_foreign(doc, err) < 0)
		return -1;
	c->vocab = size_of(&r, "vocab_size", true, 1);
	c->init_std = real_of(&r, "initializer_range", 0.02);
	read_tokens(c, &r);
	if (strcmp(type, "llama") == 0) {
		if (read_llama(c, &r) < 0)
			return -1;
	} else if (strcmp(type, "gpt2") == 0) {
		if (read_gpt2(c, &r) < 0)
			return -1;
	} else {
		return err_set(err, ERR_FORMAT, "model_type '%s' is not supported", type);
	}
	return r.bad ? -1 : config_check(c, err);
}

/* A directory without a config: a run keeps its models one deeper. */
static int
no_config(const char *dir, struct err *err)
{
	static const char *const names[] = { "latest/config.json", NULL };
	bool run = file_first(dir, names) != NULL;

	errno = ENOENT;
	if (!run)
		return err_sys(err, "%s/config.json", dir);
	return err_sys(err, "%s is a run, its model is %s/latest: config.json", dir, dir);
}

int
config_load(struct config *c, const char *path, struct err *err)
{
	static const char *const names[] = { "config.json", NULL };
	char file[4096];
	struct stat st;
	json_t *doc;
	int ret;
	bool dir = stat(path, &st) == 0 && S_ISDIR(st.st_mode);

	if (dir && file_first(path, names) == NULL)
		return no_config(path, err);
	snprintf(file, sizeof(file), "%s%s", path, dir ? "/config.json" : "");
	if ((doc = json_doc_load(file, err)) == NULL)
		return -1;
	ret = config_read(c, doc, err);
	json_decref(doc);
	return ret < 0 ? err_wrap(err, "%s", file) : 0;
}

/* ---- checks ---- */

static int
check_sizes(const struct config *c, struct err *err)
{
	const struct { const char *name; int64_t n; } size[] = {
		{ "vocabulary", c->vocab }, { "width", c->width }, { "layers", c->layers },
		{ "heads", c->heads }, { "key heads", c->kv_heads }, { "head size", c->head_dim },
		{ "ffn", c->ffn }, { "context", c->context },
	};

	for (size_t i = 0; i < sizeof(size) / sizeof(*size); i++)
		if (size[i].n < 1 || size[i].n > SIZE_LIMIT)
			return err_set(err, ERR_ARG, "%s of %" PRId64 ": out of range",
			    size[i].name, size[i].n);
	if (c->layers > 4096)
		return err_set(err, ERR_LIMIT, "%" PRId64 " layers: at most 4096", c->layers);
	/* Sums and products of sizes stay far from the limits of int64_t. */
	if ((double)c->layers * (double)c->width *
	    (2.0 * (double)(c->heads + c->kv_heads) * (double)c->head_dim + 3.0 * (double)c->ffn) +
	    (2.0 * (double)c->vocab + (double)c->context) * (double)c->width > 1e15)
		return err_set(err, ERR_LIMIT, "more than 10^15 parameters");
	if (c->heads % c->kv_heads != 0)
		return err_set(err, ERR_ARG, "%" PRId64 " heads are no multiple of %" PRId64
		    " key heads", c->heads, c->kv_heads);
	return 0;
}

int
config_check(const struct config *c, struct err *err)
{
	const int32_t *more = c->eos_more;

	if (check_sizes(c, err) < 0)
		return -1;
	if (c->pos == POS_ROPE && c->head_dim % 2 != 0)
		return err_set(err, ERR_ARG, "head size %" PRId64 " is odd: rope turns pairs",
		    c->head_dim);
	if (c->pos == POS_ROPE && !(c->rope_theta > 0))
		return err_set(err, ERR_ARG, "rope_theta is not positive");
	if (!(c->norm_eps >= 0) || !(c->init_std >= 0))
		return err_set(err, ERR_ARG, "negative norm epsilon or standard deviation");
	if (c->arch == ARCH_GPT2 &&
	    (c->heads != c->kv_heads || c->heads * c->head_dim != c->width))
		return err_set(err, ERR_ARG, "gpt2: width is not heads times head size, "
		    "or keys have heads of their own");
	if (c->bos >= c->vocab || c->eos >= c->vocab)
		return err_set(err, ERR_ARG, "bos or eos is outside the vocabulary");
	for (int i = 0; i < c->n_eos_more; i++)
		if (more[i] < 0 || more[i] >= c->vocab)
			return err_set(err, ERR_ARG, "eos %d is outside the vocabulary", more[i]);
	return 0;
}

bool
config_is_eos(const struct config *c, int32_t id)
{
	if (id < 0)
		return false;
	for (int i = 0; i < c->n_eos_more; i++)
		if (c->eos_more[i] == id)
			return true;
	return id == c->eos;
}

/* ---- writing ---- */

static const char *
act_name(const struct config *c)
{
	if (c->act == ACT_GELU_TANH)
		return c->arch == ARCH_GPT2 ? "gelu_new" : "gelu_pytorch_tanh";
	for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++)
		if (acts[i].act == c->act)
			return acts[i].name;
	return "silu";
}

/* An object that is written; a failure (memory) sticks. */
struct writer {
	json_t	*o;
	bool	 failed;
};

static void
set(struct writer *w, const char *key, json_t *v)
{
	w->failed |= json_object_set_new(w->o, key, v) < 0;
}

static void
write_tokens(const struct config *c, struct writer *o)
{
	json_t *list;

	set(o, "bos_token_id", c->bos < 0 ? json_null() : json_integer(c->bos));
	if (c->n_eos_more == 0) {
		set(o, "eos_token_id", c->eos < 0 ? json_null() : json_integer(c->eos));
		return;
	}
	list = json_pack("[i]", c->eos);
	for (int i = 0; i < c->n_eos_more; i++)
		o->failed |= json_array_append_new(list, json_integer(c->eos_more[i])) < 0;
	set(o, "eos_token_id", list);
}

int
config_write_tokens(const struct config *c, json_t *o, struct err *err)
{
	struct writer w = { o, false };

	write_tokens(c, &w);
	return w.failed ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

static void
write_llama(const struct config *c, struct writer *o)
{
	set(o, "attention_bias", json_boolean(c->qkv_bias));
	set(o, "attention_dropout", json_real(0));
	set(o, "head_dim", json_integer(c->head_dim));
	set(o, "hidden_act", json_string(act_name(c)));
	set(o, "hidden_size", json_integer(c->width));
	set(o, "intermediate_size", json_integer(c->ffn));
	set(o, "max_position_embeddings", json_integer(c->context));
	set(o, "mlp_bias", json_boolean(c->ffn_bias));
	set(o, "num_attention_heads", json_integer(c->heads));
	set(o, "num_hidden_layers", json_integer(c->layers));
	set(o, "num_key_value_heads", json_integer(c->kv_heads));
	set(o, "rms_norm_eps", json_real(c->norm_eps));
	set(o, "rope_scaling", c->rope_factor > 0 ? json_pack("{s:s, s:f, s:f, s:f, s:I}",
	    "rope_type", "llama3", "factor", c->rope_factor, "low_freq_factor", c->rope_low,
	    "high_freq_factor", c->rope_high, "original_max_position_embeddings",
	    (json_int_t)c->rope_original) : json_null());
	set(o, "rope_theta", json_real(c->rope_theta));
}

static void
write_gpt2(const struct config *c, struct writer *o)
{
	set(o, "activation_function", json_string(act_name(c)));
	set(o, "attn_pdrop", json_real(0));
	set(o, "embd_pdrop", json_real(0));
	set(o, "layer_norm_epsilon", json_real(c->norm_eps));
	set(o, "n_embd", json_integer(c->width));
	set(o, "n_head", json_integer(c->heads));
	set(o, "n_inner", json_integer(c->ffn));
	set(o, "n_layer", json_integer(c->layers));
	set(o, "n_positions", json_integer(c->context));
	set(o, "resid_pdrop", json_real(0));
}

json_t *
config_write(const struct config *c, struct err *err)
{
	bool llama = c->arch == ARCH_LLAMA;
	struct writer w = { NULL, false };

	if (config_check(c, err) < 0)
		return NULL;
	w.o = json_object();
	set(&w, "architectures", json_pack("[s]", llama ? "LlamaForCausalLM" :
	    "GPT2LMHeadModel"));
	write_tokens(c, &w);
	set(&w, "initializer_range", json_real(c->init_std));
	set(&w, "model_type", json_string(llama ? "llama" : "gpt2"));
	if (llama)
		write_llama(c, &w);
	else
		write_gpt2(c, &w);
	set(&w, "tie_word_embeddings", json_boolean(c->tied));
	set(&w, "torch_dtype", json_string("float32"));
	set(&w, "use_cache", json_true());
	set(&w, "vocab_size", json_integer(c->vocab));
	if (w.failed) {
		json_decref(w.o);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	return w.o;
}

/* ---- sizes ---- */

/* Weights of one layer's matrices. */
static int64_t
layer_matrices(const struct config *c)
{
	int64_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;

	return c->width * (2 * q + 2 * kv) + c->width * c->ffn * (c->gated ? 3 : 2);
}

int64_t
config_params(const struct config *c)
{
	int64_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
	int64_t norm = c->norm == NORM_LAYER ? 2 * c->width : c->width;
	int64_t layer = layer_matrices(c) + 2 * norm;

	if (c->qkv_bias)
		layer += q + 2 * kv;
	if (c->out_bias)
		layer += c->width;
	if (c->ffn_bias)
		layer += c->ffn * (c->gated ? 2 : 1) + c->width;
	return c->vocab * c->width * (c->tied ? 1 : 2) + norm + c->layers * layer +
	    (c->pos == POS_LEARNED ? c->context * c->width : 0);
}

double
config_flops(const struct config *c, int64_t context)
{
	/* A token sees half of the context on average: scores and values, 2 FLOPs each. */
	double attention = 2.0 * (double)context * (double)(c->heads * c->head_dim);

	return (double)c->layers * (2.0 * (double)layer_matrices(c) + attention) +
	    2.0 * (double)c->vocab * (double)c->width;
}
