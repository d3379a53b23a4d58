/*
 * Keys and tensors.  llama.cpp turns neighbours of q and k by rope, Hugging
 * Face the halves of a head: so the rows of both lie in another order in GGUF.
 */
#include "model/convert.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fmt/safetensors.h"
#include "model/model.h"

/* ---- config.json ---- */

/* What is read below, or does not matter. */
static const char *const known_keys[] = {
	"attention.head_count", "attention.head_count_kv", "attention.key_length",
	"attention.layer_norm_rms_epsilon", "attention.value_length", "block_count",
	"context_length", "embedding_length", "feed_forward_length", "rope.dimension_count",
	"rope.freq_base", "rope.scaling.type", "vocab_size", NULL
};

struct keys {
	const struct gguf *f;
	char		 family[32];	/* general.architecture */
	struct err	*err;
	bool		 bad;
};

static const struct gguf_value *
find_key(const struct keys *k, const char *name)
{
	char key[GGUF_NAME + 1];

	snprintf(key, sizeof(key), "%s.%s", k->family, name);
	return gguf_find_key(k->f, key);
}

/* A size; def when it is not there and may lack (def > 0). */
static int64_t
size_of(struct keys *k, const char *name, int64_t def)
{
	const struct gguf_value *v = find_key(k, name);
	int64_t x = def;

	if (v == NULL && def > 0)
		return def;
	if (!k->bad && (!gguf_int(v, &x) || x < 1 || x > INT32_MAX)) {
		err_set(k->err, ERR_FORMAT, "key '%s.%s' is %s", k->family, name,
		    v == NULL ? "not there" : "no size");
		k->bad = true;
	}
	return k->bad ? 1 : x;
}

static double
real_of(struct keys *k, const char *name, double def)
{
	const struct gguf_value *v = find_key(k, name);
	double x = def;

	if (v != NULL && !k->bad && !gguf_real(v, &x)) {
		err_set(k->err, ERR_FORMAT, "key '%s.%s' is no number", k->family, name);
		k->bad = true;
	}
	return x;
}

static int
check_family(struct keys *k)
{
	str name;

	if (!gguf_text(gguf_find_key(k->f, "general.architecture"), &name))
		return err_set(k->err, ERR_FORMAT, "no key 'general.architecture'");
	if (!str_eq(name, S("llama")))
		return err_set(k->err, ERR_FORMAT, "architecture '%.*s' is not supported, only "
		    "llama", (int)(name.n < 99 ? name.n : 99), name.p);
	snprintf(k->family, sizeof(k->family), "%.*s", STR_ARG(name));
	return 0;
}

static int
check_keys(const struct keys *k)
{
	size_t n = strlen(k->family);
	str scaling;

	for (int i = 0; i < gguf_keys(k->f); i++) {
		const char *key = gguf_key(k->f, i)->key, *const *known = known_keys;

		if (strncmp(key, k->family, n) != 0 || key[n] != '.')
			continue;
		while (*known != NULL && strcmp(*known, key + n + 1) != 0)
			known++;
		if (*known == NULL)
			return err_set(k->err, ERR_FORMAT, "key '%s' is not supported", key);
	}
	if (gguf_text(find_key(k, "rope.scaling.type"), &scaling) && !str_eq(scaling, S("none")))
		return err_set(k->err, ERR_FORMAT, "rope scaling '%.*s' is not supported",
		    (int)(scaling.n < 99 ? scaling.n : 99), scaling.p);
	return 0;
}

/*
 * Llama 3's stretched rope is a tensor of divisors here and four numbers there.
 * Its releases differ in the factor alone; other divisors are refused.
 */
static int
set_scaling(json_t *o, const struct keys *k, int64_t head_dim, double theta)
{
	const struct gguf_tensor *t = gguf_find(k->f, "rope_freqs.weight");
	const double low = 1, high = 4, original = 8192;
	double factor = 1;
	float *x;

	if (t == NULL)
		return json_object_set_new(o, "rope_scaling", json_null());
	if (t->n != head_dim / 2 || (x = malloc((size_t)t->n * sizeof(*x))) == NULL)
		return err_set(k->err, ERR_FORMAT, "tensor 'rope_freqs.weight' has %" PRId64
		    " elements, not %" PRId64, t->n, head_dim / 2);
	if (gguf_decode(t, x, k->err) < 0) {
		free(x);
		return -1;
	}
	for (int64_t i = 0; i < t->n; i++)
		factor = (double)x[i] > factor ? (double)x[i] : factor;
	for (int64_t i = 0; i < t->n; i++) {
		double wave = 2 * M_PI * pow(theta, 2.0 * (double)i / (double)head_dim), want, s;

		s = (original / wave - low) / (high - low);
		want = s >= 1 ? 1 : s <= 0 ? factor : 1 / ((1 - s) / factor + s);
		if (!(fabs((double)x[i] - want) <= 1e-4 * want)) {
			free(x);
			return err_set(k->err, ERR_FORMAT, "tensor 'rope_freqs.weight' is not "
			    "that of a Llama 3: not supported");
		}
	}
	free(x);
	return json_object_set_new(o, "rope_scaling", json_pack("{s:s, s:f, s:f, s:f, s:i}",
	    "rope_type", "llama3", "factor", factor, "low_freq_factor", low, "high_freq_factor",
	    high, "original_max_position_embeddings", (int)original));
}

/* bos_token_id and eos_token_id, which are several where turns end by another. */
static int
set_ends(json_t *o, const struct gguf *f)
{
	const struct gguf_value *bos = gguf_find_key(f, "tokenizer.ggml.bos_token_id");
	const struct gguf_value *eos = gguf_find_key(f, "tokenizer.ggml.eos_token_id");
	const struct gguf_value *eot = gguf_find_key(f, "tokenizer.ggml.eot_token_id");
	int64_t a, b;
	json_t *v;

	v = gguf_int(bos, &a) ? json_integer(a) : json_null();
	if (json_object_set_new(o, "bos_token_id", v) < 0)
		return -1;
	if (!gguf_int(eos, &a))
		v = json_null();
	else if (gguf_int(eot, &b) && a != b)
		v = json_pack("[I, I]", (json_int_t)a, (json_int_t)b);
	else
		v = json_integer(a);
	return json_object_set_new(o, "eos_token_id", v);
}

static const char *
type_name(dtype type)
{
	return type == DTYPE_BF16 ? "bfloat16" : type == DTYPE_F16 ? "float16" : "float32";
}

static json_t *
make_config(struct keys *k, dtype type)
{
	const struct gguf_tensor *embed = gguf_find(k->f, "token_embd.weight");
	int64_t width = size_of(k, "embedding_length", 0), heads, head_dim;
	double theta = real_of(k, "rope.freq_base", 10000);
	json_t *o;

	heads = size_of(k, "attention.head_count", 0);
	head_dim = size_of(k, "attention.key_length", width / heads > 0 ? width / heads : 1);
	if (!k->bad && embed == NULL)
		k->bad = err_set(k->err, ERR_FORMAT, "no tensor 'token_embd.weight'") < 0;
	if (!k->bad && (size_of(k, "attention.value_length", head_dim) != head_dim ||
	    size_of(k, "rope.dimension_count", head_dim) != head_dim))
		k->bad = err_set(k->err, ERR_FORMAT, "heads whose values or turned part are of "
		    "another width than their keys, %" PRId64 ", are not supported",
		    head_dim) < 0;
	if (k->bad)
		return NULL;
	o = json_pack("{s:[s], s:b, s:I, s:s, s:I, s:f, s:I, s:I, s:b, s:s, s:I, s:I, s:I, s:f, "
	    "s:f, s:b, s:s, s:b, s:I}",
	    "architectures", "LlamaForCausalLM",
	    "attention_bias", gguf_find(k->f, "blk.0.attn_q.bias") != NULL,
	    "head_dim", (json_int_t)head_dim, "hidden_act", "silu",
	    "hidden_size", (json_int_t)width, "initializer_range", 0.02,
	    "intermediate_size", (json_int_t)size_of(k, "feed_forward_length", 0),
	    "max_position_embeddings", (json_int_t)size_of(k, "context_length", 0),
	    "mlp_bias", gguf_find(k->f, "blk.0.ffn_up.bias") != NULL, "model_type", "llama",
	    "num_attention_heads", (json_int_t)heads,
	    "num_hidden_layers", (json_int_t)size_of(k, "block_count", 0),
	    "num_key_value_heads", (json_int_t)size_of(k, "attention.head_count_kv", heads),
	    "rms_norm_eps", real_of(k, "attention.layer_norm_rms_epsilon", 1e-5),
	    "rope_theta", theta,
	    "tie_word_embeddings", gguf_find(k->f, "output.weight") == NULL,
	    "torch_dtype", type_name(type), "use_cache", true,
	    "vocab_size", (json_int_t)embed->shape[0]);
	if (k->bad || o == NULL || set_ends(o, k->f) < 0) {
		if (!k->bad)
			err_set(k->err, ERR_NOMEM, "out of memory");
	} else if (set_scaling(o, k, head_dim, theta) == 0) {
		return o;
	}
	json_decref(o);
	return NULL;
}

json_t *
convert_gguf_config(const struct gguf *f, dtype type, struct err *err)
{
	struct keys k = { .f = f, .err = err };

	return check_family(&k) < 0 || check_keys(&k) < 0 ? NULL : make_config(&k, type);
}

/* ---- tensors ---- */

/* Names of parameters in both worlds; a layer's come after its number. */
static const char *const whole_names[][2] = {
	{ "model.embed_tokens.", "token_embd." }, { "model.norm.", "output_norm." },
	{ "lm_head.", "output." },
};

static const char *const layer_names[][2] = {
	{ "input_layernorm.", "attn_norm." }, { "self_attn.q_proj.", "attn_q." },
	{ "self_attn.k_proj.", "attn_k." }, { "self_attn.v_proj.", "attn_v." },
	{ "self_attn.o_proj.", "attn_output." }, { "post_attention_layernorm.", "ffn_norm." },
	{ "mlp.gate_proj.", "ffn_gate." }, { "mlp.up_proj.", "ffn_up." },
	{ "mlp.down_proj.", "ffn_down." },
};

/* The name in GGUF of a parameter of Hugging Face's name, or NULL. */
static const char *
gguf_name(char *to, size_t size, const char *name)
{
	const char *const (*pair)[2] = whole_names;
	size_t n = sizeof(whole_names) / sizeof(*whole_names);
	char *rest = NULL;
	int64_t layer = 0;

	if (strncmp(name, "model.layers.", 13) == 0) {
		layer = strtoll(name + 13, &rest, 10);
		name = rest + (*rest == '.');
		pair = layer_names;
		n = sizeof(layer_names) / sizeof(*layer_names);
	}
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(pair[i][0]);

		if (strncmp(name, pair[i][0], len) != 0)
			continue;
		if (rest == NULL)
			snprintf(to, size, "%s%s", pair[i][1], name + len);
		else
			snprintf(to, size, "blk.%" PRId64 ".%s%s", layer, pair[i][1], name + len);
		return to;
	}
	return NULL;
}

struct weights {
	const struct gguf *f;
	const struct params *ps;
	const struct gguf_tensor **from;	/* of each parameter */
	int64_t		 head_dim;
	dtype		 type;
	float		*wide, *turned;		/* a whole tensor */
	void		*out;			/* as it is written: one of these, or its own */
	int		 held;			/* the parameter that is in out, -1: none */
};

/* Rows of each head from neighbours to halves. */
static void
turn(float *y, const float *x, int64_t rows, int64_t cols, int64_t head_dim)
{
	int64_t half = head_dim / 2;

	for (int64_t r = 0; r < rows; r++) {
		int64_t i = r % head_dim, from = r - i + (i % half) * 2 + i / half;

		memcpy(y + r * cols, x + from * cols, (size_t)cols * sizeof(*y));
	}
}

static int
hold(struct weights *w, int i, struct err *err)
{
	const struct param *p = &w->ps->p[i];
	const struct gguf_tensor *t = w->from[i];
	const float *x = w->wide;

	if (gguf_decode(t, w->wide, err) < 0)
		return -1;
	if (strstr(p->name, ".q_proj.") != NULL || strstr(p->name, ".k_proj.") != NULL) {
		turn(w->turned, x, p->shape[0], p->n / p->shape[0], w->head_dim);
		x = w->turned;
	}
	dtype_convert(w->out, w->type, x, DTYPE_F32, p->n);
	w->held = i;
	return 0;
}

static int
fill(void *ctx, int tensor, int64_t at, void *p, int64_t n, struct err *err)
{
	struct weights *w = ctx;

	if (w->held != tensor && hold(w, tensor, err) < 0)
		return -1;
	memcpy(p, (const char *)w->out + at, (size_t)n);
	return 0;
}

/* The tensor of a parameter, of its shape. */
static const struct gguf_tensor *
find_tensor(const struct gguf *f, const struct param *p, struct err *err)
{
	char name[NN_NAME];
	const struct gguf_tensor *t;

	if (gguf_name(name, sizeof(name), p->name) == NULL) {
		err_set(err, ERR_FORMAT, "parameter '%s' has no name in GGUF", p->name);
		return NULL;
	}
	if ((t = gguf_find(f, name)) == NULL) {
		err_set(err, ERR_FORMAT, "no tensor '%s'", name);
		return NULL;
	}
	for (int i = 0; i < p->ndim; i++)
		if (t->ndim != p->ndim || t->shape[i] != p->shape[i]) {
			err_set(err, ERR_FORMAT, "tensor '%s' has another shape than the keys "
			    "say: dimension %d should be %" PRId64, name, i, p->shape[i]);
			return NULL;
		}
	return t;
}

/* Every parameter has its tensor, and every tensor is one. */
static int
match(struct weights *w, struct err *err)
{
	int used = gguf_find(w->f, "rope_freqs.weight") != NULL;

	for (int i = 0; i < w->ps->n; i++)
		if ((w->from[i] = find_tensor(w->f, &w->ps->p[i], err)) == NULL)
			return -1;
	if (w->ps->n + used == gguf_count(w->f))
		return 0;
	for (int k = 0; k < gguf_count(w->f); k++) {
		const char *name = gguf_at(w->f, k)->name;
		int i = 0;

		while (i < w->ps->n && w->from[i] != gguf_at(w->f, k))
			i++;
		if (i == w->ps->n && strcmp(name, "rope_freqs.weight") != 0)
			return err_set(err, ERR_FORMAT, "tensor '%s' is not of this model", name);
	}
	return 0;
}

static int
write_weights(struct weights *w, struct st_tensor *t, const char *dir, struct err *err)
{
	struct st_write write = { .tensor = t, .n = w->ps->n, .fill = fill, .ctx = w };
	char path[MODEL_PATH];
	int64_t most = 0;

	for (int i = 0; i < w->ps->n; i++) {
		const struct param *p = &w->ps->p[i];

		t[i] = (struct st_tensor){ .name = p->name, .type = w->type, .ndim = p->ndim };
		memcpy(t[i].shape, p->shape, (size_t)p->ndim * sizeof(*p->shape));
		most = p->n > most ? p->n : most;
	}
	w->wide = malloc((size_t)most * 4);
	w->turned = malloc((size_t)most * 4);
	w->out = malloc((size_t)most * 4);
	if (w->wide == NULL || w->turned == NULL || w->out == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	snprintf(path, sizeof(path), "%s/model.safetensors", dir);
	return st_save(path, &write, err);
}

/* All tensors as the parameters of a model of this config. */
static int
convert_weights(const struct gguf *f, const struct config *c, dtype type, const char *dir,
    struct err *err)
{
	struct model m = { .dev = NULL };
	struct weights w = { .f = f, .ps = &m.params, .head_dim = c->head_dim, .type = type,
	    .held = -1 };
	struct st_tensor *t = NULL;
	int ret = -1;

	if (model_declare(&m, c, err) == 0) {
		w.from = calloc((size_t)m.params.n, sizeof(*w.from));
		t = calloc((size_t)m.params.n, sizeof(*t));
		if (w.from == NULL || t == NULL)
			err_set(err, ERR_NOMEM, "out of memory");
		else if (match(&w, err) == 0)
			ret = write_weights(&w, t, dir, err);
	}
	free(w.from);
	free(w.wide);
	free(w.turned);
	free(w.out);
	free(t);
	model_free(&m);
	return ret;
}

/* ---- the directory ---- */

static int
save_json(const char *dir, const char *name, const json_t *doc, struct err *err)
{
	char path[MODEL_PATH];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return err_set(err, ERR_ARG, "%s: name too long", dir);
	return json_doc_save(path, doc, err);
}

static int
save_generation(const struct gguf *f, const char *dir, struct err *err)
{
	json_t *o = json_pack("{s:b}", "_from_model_config", 1);
	int ret;

	if (o == NULL || set_ends(o, f) < 0)
		ret = err_set(err, ERR_NOMEM, "out of memory");
	else
		ret = save_json(dir, "generation_config.json", o, err);
	json_decref(o);
	return ret;
}

int
convert_gguf(const struct gguf *f, dtype type, const char *dir, struct err *err)
{
	json_t *doc = convert_gguf_config(f, type, err);
	struct config c;
	int ret = -1;

	if (doc == NULL)
		return -1;
	if (config_read(&c, doc, err) == 0 && save_json(dir, "config.json", doc, err) == 0 &&
	    save_generation(f, dir, err) == 0 && convert_gguf_tokenizer(f, dir, err) == 0)
		ret = convert_weights(f, &c, type, dir, err);
	json_decref(doc);
	return ret;
}
