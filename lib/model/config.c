#include "model/gguf_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/stream.h"

#define NONE ((double)NAN)		/* no value is neutral */

/*
 * Keys of other models and forks that change what is computed.
 * Absent, null and the value given here mean that they do not; a family
 * honours those that it reads.
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
	{ "partial_rotary_factor", 1 }, { "qk_norm", 0 },
	{ "query_pre_attn_scalar", NONE }, { "residual_multiplier", 1 },
	{ "rope_interleaved", 0 }, { "scale_attn_by_inverse_layer_idx", 0 },
	{ "scale_attn_weights", 1 }, { "sliding_window", NONE }, { "use_qk_norm", 0 },
	{ "use_bidirectional_attention", 0 }, { "use_sliding_window", 0 },
	{ "compression_config", NONE }, { "text_config", NONE },
};

static bool
honours(const struct arch_family *f, const char *key)
{
	for (const char *const *k = f->honours; k != NULL && *k != NULL; k++)
		if (strcmp(*k, key) == 0)
			return true;
	return false;
}

static int
check_foreign(const struct arch_family *f, const json_t *doc, struct err *err)
{
	const json_t *types = json_object_get(doc, "layer_types"), *v;
	size_t i;

	for (i = 0; i < sizeof(foreign) / sizeof(*foreign); i++) {
		v = json_object_get(doc, foreign[i].key);
		if (v == NULL || json_is_null(v) || honours(f, foreign[i].key) ||
		    (json_is_boolean(v) && json_is_true(v) == (foreign[i].neutral > 0)) ||
		    (json_is_number(v) && json_number_value(v) == foreign[i].neutral))
			continue;
		return err_set(err, ERR_FORMAT, "'%s' is not supported", foreign[i].key);
	}
	if (honours(f, "layer_types"))
		return 0;
	json_array_foreach(types, i, v)
		if (json_string_value(v) == NULL ||
		    strcmp(json_string_value(v), "full_attention") != 0)
			return err_set(err, ERR_FORMAT, "'layer_types': only full_attention is "
			    "supported in %s", f->model_type);
	return 0;
}

/* ---- tokens, types: what all have ---- */

static int32_t
id_of(struct reader *r, const char *key, const json_t *v)
{
	if (v == NULL || json_is_null(v))
		return -1;
	if (!json_is_integer(v) || json_integer_value(v) < -1 ||
	    json_integer_value(v) > INT32_MAX)
		return read_fail(r, "'%s' is no token id", key);
	return (int32_t)json_integer_value(v);
}

static void
read_tokens(struct config *c, struct reader *r)
{
	const json_t *eos = read_value(r, "eos_token_id");

	c->bos = id_of(r, "bos_token_id", read_value(r, "bos_token_id"));
	c->pad = id_of(r, "pad_token_id", read_value(r, "pad_token_id"));
	if (c->pad >= c->vocab)
		c->pad = -1;	/* of no use here, and wrong in files that work elsewhere */
	if (!json_is_array(eos)) {
		c->eos = id_of(r, "eos_token_id", eos);
		return;
	}
	c->eos = id_of(r, "eos_token_id", json_array_get(eos, 0));
	for (size_t i = 1; i < json_array_size(eos); i++) {
		if (c->n_eos_more == CONFIG_EOS_MORE) {
			read_fail(r, "'eos_token_id' is no list of at most 8");
			return;
		}
		c->eos_more[c->n_eos_more++] = id_of(r, "eos_token_id", json_array_get(eos, i));
	}
}

static const struct {
	const char	*name;
	dtype		 type;
} types[] = {
	{ "float32", DTYPE_F32 }, { "bfloat16", DTYPE_BF16 }, { "float16", DTYPE_F16 },
	{ "float64", DTYPE_F64 },
};

/* dtype of transformers 5, torch_dtype of those before; "torch.float16" of the first. */
static dtype
read_type(const struct reader *r)
{
	const json_t *v = read_value(r, "dtype");
	const char *name = json_string_value(v != NULL ? v : read_value(r, "torch_dtype"));

	if (name != NULL && strncmp(name, "torch.", 6) == 0)
		name += 6;
	for (size_t i = 0; name != NULL && i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(types[i].name, name) == 0)
			return types[i].type;
	return DTYPE_F32;
}

static int
read_family(struct config *c, const struct arch_family *f, struct reader *r)
{
	if (check_foreign(f, r->doc, r->err) < 0)
		return -1;
	config_default(c, arch_named(f->name));
	c->vocab = read_size(r, "vocab_size", true, 1);
	c->init_std = read_real(r, "initializer_range", 0.02);
	c->dtype = read_type(r);
	read_tokens(c, r);
	f->read(c, r);
	return r->bad ? -1 : config_check(c, r->err);
}

int
config_read(struct config *c, const json_t *doc, struct err *err)
{
	struct reader r = { doc, err, false };
	const char *type = json_string_value(json_object_get(doc, "model_type"));
	const json_t *text = json_object_get(doc, "text_config");
	const struct arch_family *f;

	*c = (struct config){ 0 };
	if (!json_is_object(doc))
		return err_set(err, ERR_FORMAT, "not a JSON object");
	if (type == NULL)
		return err_set(err, ERR_FORMAT, "no key 'model_type'");
	/* The language model of one that sees too. */
	if (strcmp(type, "gemma3") == 0 && json_is_object(text)) {
		r.doc = text;
		type = "gemma3_text";
	}
	if ((f = arch_of_type(type)) == NULL)
		return err_set(err, ERR_FORMAT, "model_type '%s' is not supported", type);
	return read_family(c, f, &r);
}

/* A directory without a config: a run keeps its models one deeper. */
static int
no_config(const char *dir, struct err *err)
{
	static const char *const names[] = {
		"latest/config.json", "adapter_config.json", "latest/adapter_config.json", NULL
	};
	const char *name = file_first(dir, names);

	errno = ENOENT;
	if (name == NULL)
		return err_sys(err, "%s/config.json", dir);
	if (name != names[0])
		return err_sys(err, "%s%s is an adapter, -m takes its model and --adapter it: "
		    "config.json", dir, name == names[2] ? "/latest" : "");
	return err_sys(err, "%s is a run, its model is %s/latest: config.json", dir, dir);
}

static int
load_gguf(struct config *c, const char *path, struct err *err)
{
	struct gguf *f = gguf_open(path, err);
	int ret;

	if (f == NULL)
		return -1;
	ret = gguf_config_read(c, f, err);
	gguf_close(f);
	return ret < 0 ? err_wrap(err, "%s", path) : 0;
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
	if (!dir && gguf_is(path))
		return load_gguf(c, path, err);
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
	if (c->layers > CONFIG_LAYERS)
		return err_set(err, ERR_LIMIT, "%" PRId64 " layers: at most %d", c->layers,
		    CONFIG_LAYERS);
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

static int
check_numbers(const struct config *c, struct err *err)
{
	if (!(c->norm_eps >= 0) || !(c->init_std >= 0))
		return err_set(err, ERR_ARG, "negative norm epsilon or standard deviation");
	if (!(c->attn_scalar >= 0) || !(c->attn_softcap >= 0) || !(c->final_softcap >= 0))
		return err_set(err, ERR_ARG, "negative scale or soft cap");
	for (int64_t i = 0; i < c->layers; i++)
		if (c->mixer[i] == MIXER_LOCAL && (c->window < 1 || c->window > SIZE_LIMIT))
			return err_set(err, ERR_ARG, "layer %" PRId64 " attends to a window, "
			    "and there is no sliding_window", i);
	return 0;
}

int
config_check(const struct config *c, struct err *err)
{
	const struct arch_family *f = arch_family(c->arch);
	const int32_t *more = c->eos_more;

	if (c->ahead < 0 || c->ahead > AHEAD_MAX || c->layers + c->ahead > CONFIG_LAYERS)
		return err_set(err, ERR_ARG, "%" PRId64 " layers that predict ahead: at most %d",
		    c->ahead, AHEAD_MAX);
	if (c->ahead > 0 && !f->ahead)
		return err_set(err, ERR_ARG, "%s has no layers that predict ahead", f->name);
	if (check_sizes(c, err) < 0 || check_numbers(c, err) < 0 || experts_check(c, err) < 0 ||
	    (c->pos == POS_ROPE && rope_check(c, err) < 0) ||
	    (f->check != NULL && f->check(c, err) < 0))
		return -1;
	if (c->bos >= c->vocab || c->eos >= c->vocab)
		return err_set(err, ERR_ARG, "bos or eos is outside the vocabulary");
	for (int i = 0; i < c->n_eos_more; i++)
		if (more[i] < 0 || more[i] >= c->vocab)
			return err_set(err, ERR_ARG, "eos %d is outside the vocabulary", more[i]);
	return 0;
}

bool
config_recurrent(const struct config *c)
{
	return memchr(c->mixer, MIXER_SCAN, (size_t)c->layers) != NULL;
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

static void
write_tokens(const struct config *c, struct writer *w)
{
	json_t *list;

	write_key(w, "bos_token_id", c->bos < 0 ? json_null() : json_integer(c->bos));
	write_key(w, "pad_token_id", c->pad < 0 ? json_null() : json_integer(c->pad));
	if (c->n_eos_more == 0) {
		write_key(w, "eos_token_id", c->eos < 0 ? json_null() : json_integer(c->eos));
		return;
	}
	list = json_pack("[i]", c->eos);
	for (int i = 0; i < c->n_eos_more; i++)
		w->failed |= json_array_append_new(list, json_integer(c->eos_more[i])) < 0;
	write_key(w, "eos_token_id", list);
}

int
config_write_tokens(const struct config *c, json_t *o, struct err *err)
{
	struct writer w = { o, false };

	write_tokens(c, &w);
	return w.failed ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

static const char *
type_name(dtype type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (types[i].type == type)
			return types[i].name;
	return "float32";
}

json_t *
config_write(const struct config *c, struct err *err)
{
	const struct arch_family *f = arch_family(c->arch);
	struct writer w = { NULL, false };

	if (config_check(c, err) < 0)
		return NULL;
	w.o = json_object();
	write_key(&w, "architectures", json_pack("[s]", f->class_name));
	write_tokens(c, &w);
	write_key(&w, "initializer_range", json_real(c->init_std));
	write_key(&w, "model_type", json_string(f->model_type));
	f->write(c, &w);
	write_key(&w, "tie_word_embeddings", json_boolean(c->tied));
	write_key(&w, "torch_dtype", json_string(type_name(c->dtype)));
	write_key(&w, "use_cache", json_true());
	write_key(&w, "vocab_size", json_integer(c->vocab));
	if (w.failed) {
		json_decref(w.o);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	return w.o;
}
