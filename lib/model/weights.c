/*
 * Hugging Face's names are the names of parameters.  GPT-2's Conv1D matrices
 * lie (in, out) in its files and (out, in) here, as all others do.
 */
#include "model/model.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fmt/safetensors.h"
#include "model/model_impl.h"

#define GPT2_PREFIX "transformer."

/* ---- the parameters of a config ---- */

struct decl {
	struct params	*ps;
	double		 std;
	struct err	*err;
	bool		 failed;
	bool		 hidden;	/* between the embedding and the head */
};

static void matrix(struct decl *d, double std, int64_t n, int64_t k, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
static void vector(struct decl *d, enum init_kind init, int64_t n, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void
declare(struct decl *d, const char *fmt, va_list ap, int ndim, const int64_t *shape,
    enum init_kind init, double std)
{
	char name[NN_NAME];
	struct param *p;

	vsnprintf(name, sizeof(name), fmt, ap);
	if (d->failed)
		return;
	p = params_add(d->ps, name, ndim, shape, init, std, ndim == 2, d->err);
	if (p == NULL)
		d->failed = true;
	else
		p->hidden = d->hidden && ndim == 2;
}

static void
matrix(struct decl *d, double std, int64_t n, int64_t k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	declare(d, fmt, ap, 2, (int64_t[]){ n, k }, INIT_NORMAL, std);
	va_end(ap);
}

static void
vector(struct decl *d, enum init_kind init, int64_t n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	declare(d, fmt, ap, 1, &n, init, 0);
	va_end(ap);
}

#define LLAMA "model.layers.%" PRId64 "."
#define GPT2 GPT2_PREFIX "h.%" PRId64 "."

/* out is the deviation of projections into the residual stream. */
static void
declare_llama_layer(struct decl *d, const struct config *c, int64_t i, double out)
{
	int64_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;

	vector(d, INIT_ONES, c->width, LLAMA "input_layernorm.weight", i);
	matrix(d, d->std, q, c->width, LLAMA "self_attn.q_proj.weight", i);
	matrix(d, d->std, kv, c->width, LLAMA "self_attn.k_proj.weight", i);
	matrix(d, d->std, kv, c->width, LLAMA "self_attn.v_proj.weight", i);
	matrix(d, out, c->width, q, LLAMA "self_attn.o_proj.weight", i);
	if (c->qkv_bias) {
		vector(d, INIT_ZEROS, q, LLAMA "self_attn.q_proj.bias", i);
		vector(d, INIT_ZEROS, kv, LLAMA "self_attn.k_proj.bias", i);
		vector(d, INIT_ZEROS, kv, LLAMA "self_attn.v_proj.bias", i);
	}
	if (c->out_bias)
		vector(d, INIT_ZEROS, c->width, LLAMA "self_attn.o_proj.bias", i);
	vector(d, INIT_ONES, c->width, LLAMA "post_attention_layernorm.weight", i);
	matrix(d, d->std, c->ffn, c->width, LLAMA "mlp.gate_proj.weight", i);
	matrix(d, d->std, c->ffn, c->width, LLAMA "mlp.up_proj.weight", i);
	matrix(d, out, c->width, c->ffn, LLAMA "mlp.down_proj.weight", i);
	if (c->ffn_bias) {
		vector(d, INIT_ZEROS, c->ffn, LLAMA "mlp.gate_proj.bias", i);
		vector(d, INIT_ZEROS, c->ffn, LLAMA "mlp.up_proj.bias", i);
		vector(d, INIT_ZEROS, c->width, LLAMA "mlp.down_proj.bias", i);
	}
}

static void
declare_gpt2_layer(struct decl *d, const struct config *c, int64_t i, double out)
{
	vector(d, INIT_ONES, c->width, GPT2 "ln_1.weight", i);
	vector(d, INIT_ZEROS, c->width, GPT2 "ln_1.bias", i);
	matrix(d, d->std, 3 * c->width, c->width, GPT2 "attn.c_attn.weight", i);
	vector(d, INIT_ZEROS, 3 * c->width, GPT2 "attn.c_attn.bias", i);
	matrix(d, out, c->width, c->width, GPT2 "attn.c_proj.weight", i);
	vector(d, INIT_ZEROS, c->width, GPT2 "attn.c_proj.bias", i);
	vector(d, INIT_ONES, c->width, GPT2 "ln_2.weight", i);
	vector(d, INIT_ZEROS, c->width, GPT2 "ln_2.bias", i);
	matrix(d, d->std, c->ffn, c->width, GPT2 "mlp.c_fc.weight", i);
	vector(d, INIT_ZEROS, c->ffn, GPT2 "mlp.c_fc.bias", i);
	matrix(d, out, c->width, c->ffn, GPT2 "mlp.c_proj.weight", i);
	vector(d, INIT_ZEROS, c->width, GPT2 "mlp.c_proj.bias", i);
}

int
model_declare(struct model *m, const struct config *c, struct err *err)
{
	struct decl d = { .ps = &m->params, .std = c->init_std, .err = err };
	double out = c->init_std / sqrt(2.0 * (double)c->layers);

	if (config_check(c, err) < 0)
		return -1;
	m->config = *c;
	if (c->arch == ARCH_LLAMA) {
		matrix(&d, c->init_std, c->vocab, c->width, "model.embed_tokens.weight");
		d.hidden = true;
		for (int64_t i = 0; i < c->layers; i++)
			declare_llama_layer(&d, c, i, out);
		d.hidden = false;
		vector(&d, INIT_ONES, c->width, "model.norm.weight");
	} else {
		matrix(&d, c->init_std, c->vocab, c->width, GPT2_PREFIX "wte.weight");
		matrix(&d, c->init_std, c->context, c->width, GPT2_PREFIX "wpe.weight");
		d.hidden = true;
		for (int64_t i = 0; i < c->layers; i++)
			declare_gpt2_layer(&d, c, i, out);
		d.hidden = false;
		vector(&d, INIT_ONES, c->width, GPT2_PREFIX "ln_f.weight");
		vector(&d, INIT_ZEROS, c->width, GPT2_PREFIX "ln_f.bias");
	}
	if (!c->tied)
		matrix(&d, c->init_std, c->vocab, c->width, "lm_head.weight");
	return d.failed ? -1 : params_seal(&m->params, err);
}

int
model_init(struct model *m, const struct config *c, struct dev *dev, bool grads,
    uint64_t seed, struct err *err)
{
	m->dev = dev;
	if (model_declare(m, c, err) < 0 || params_place(&m->params, dev, grads, err) < 0)
		return -1;
	return params_init(&m->params, seed, err);
}

void
model_free(struct model *m)
{
	params_free(&m->params);
	*m = (struct model){ 0 };
}

/* ---- loading ---- */

/* A Conv1D matrix of GPT-2, (in, out) in files. */
static bool
is_conv1d(const struct model *m, const struct param *p)
{
	return m->config.arch == ARCH_GPT2 && p->ndim == 2 && strstr(p->name, ".h.") != NULL;
}

static const char *
short_name(const struct param *p)
{
	size_t n = strlen(GPT2_PREFIX);

	return strncmp(p->name, GPT2_PREFIX, n) == 0 ? p->name + n : p->name;
}

static const struct st_tensor *
find(const struct st_file *f, const struct param *p)
{
	const struct st_tensor *s = st_find(f, p->name);

	return s != NULL ? s : st_find(f, short_name(p));
}

static bool
same_shape(const struct param *p, const struct st_tensor *s, bool turned)
{
	if (s->ndim != p->ndim)
		return false;
	for (int i = 0; i < p->ndim; i++)
		if (s->shape[i] != p->shape[turned ? p->ndim - 1 - i : i])
			return false;
	return true;
}

static void
print_shape(char *to, size_t size, const int64_t *shape, int ndim)
{
	size_t n = 0;

	to[0] = '\0';
	for (int i = 0; i < ndim && n < size; i++)
		n += (size_t)snprintf(to + n, size - n, "%s%" PRId64, i ? ", " : "", shape[i]);
}

/* y (n, k) = x (k, n) */
static void
transpose(void *y, const void *x, int64_t n, int64_t k, dtype type)
{
	for (int64_t i = 0; i < n; i++)
		for (int64_t j = 0; j < k; j++) {
			if (type == DTYPE_F64)
				((double *)y)[i * k + j] = ((const double *)x)[j * n + i];
			else
				((float *)y)[i * k + j] = ((const float *)x)[j * n + i];
		}
}

static int
load_param(struct model *m, const struct param *p, const struct st_tensor *s, struct err *err)
{
	bool turned = is_conv1d(m, p);
	dtype wide = params_wide(&m->params);
	size_t bytes = (size_t)(p->n * dtype_size(wide));
	char have[64], want[64];
	void *x = NULL, *y = NULL;
	int ret;

	if (!same_shape(p, s, turned)) {
		print_shape(have, sizeof(have), s->shape, s->ndim);
		print_shape(want, sizeof(want), p->shape, p->ndim);
		return err_set(err, ERR_FORMAT, "tensor '%s' is (%s), not (%s)%s", s->name, have,
		    want, turned ? " transposed" : "");
	}
	if (s->type != DTYPE_F64 && s->type != DTYPE_F32 && s->type != DTYPE_F16 &&
	    s->type != DTYPE_BF16)
		return err_set(err, ERR_FORMAT, "tensor '%s' is %s: not supported", s->name,
		    dtype_name(s->type));
	if (!turned)
		return param_upload(&m->params, p, 0, p->n, s->data, s->type, err);
	if ((x = malloc(bytes)) == NULL || (y = malloc(bytes)) == NULL) {
		free(x);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	dtype_convert(x, wide, s->data, s->type, p->n);
	transpose(y, x, p->shape[0], p->shape[1], wide);
	ret = param_upload(&m->params, p, 0, p->n, y, wide, err);
	free(x);
	free(y);
	return ret;
}

/* Tensors in files that are no weights: masks and frequencies of old releases. */
static bool
is_ballast(const char *name)
{
	str s = str_of(name);

	return str_ends(s, S(".rotary_emb.inv_freq")) || str_ends(s, S(".attn.bias")) ||
	    str_ends(s, S(".attn.masked_bias"));
}

static struct param *
find_param(struct model *m, const char *name)
{
	struct param *p = params_find(&m->params, name);

	for (int i = 0; p == NULL && i < m->params.n; i++)
		if (strcmp(short_name(&m->params.p[i]), name) == 0)
			p = &m->params.p[i];
	return p;
}

/* A head that is stored though it is tied has to be the embedding's copy. */
static bool
is_tied_copy(const struct model *m, const struct st_file *f, const struct st_tensor *s)
{
	const struct st_tensor *e = find(f, &m->params.p[0]);

	return m->config.tied && strcmp(s->name, "lm_head.weight") == 0 && e != NULL &&
	    e->type == s->type && e->bytes == s->bytes &&
	    memcmp(e->data, s->data, (size_t)s->bytes) == 0;
}

static int
load_all(struct model *m, const struct st_file *f, struct err *err)
{
	for (int i = 0; i < m->params.n; i++) {
		const struct st_tensor *s = find(f, &m->params.p[i]);

		if (s == NULL)
			return err_set(err, ERR_FORMAT, "no tensor '%s'", m->params.p[i].name);
		if (load_param(m, &m->params.p[i], s, err) < 0)
			return -1;
	}
	for (int i = 0; i < st_count(f); i++) {
		const struct st_tensor *s = st_at(f, i);

		if (find_param(m, s->name) == NULL && !is_ballast(s->name) &&
		    !is_tied_copy(m, f, s))
			return err_set(err, ERR_FORMAT, "tensor '%s' is not of this model",
			    s->name);
	}
	return dev_wait(m->dev, err);
}

int
model_load(struct model *m, const char *dir, struct dev *dev, bool grads, struct err *err)
{
	struct config c;
	struct st_file *f;
	struct stat st;
	int ret;

	m->dev = dev;
	if (stat(dir, &st) == 0 && !S_ISDIR(st.st_mode))
		return err_set(err, ERR_FORMAT, "%s: not a directory: a model is one, with "
		    "config.json and safetensors", dir);
	if (config_load(&c, dir, err) < 0 || model_declare(m, &c, err) < 0)
		return -1;
	if ((f = st_open(dir, err)) == NULL)
		return -1;
	ret = params_place(&m->params, dev, grads, err) < 0 || load_all(m, f, err) < 0 ? -1 : 0;
	st_close(f);
	return ret < 0 ? err_wrap(err, "%s", dir) : 0;
}

/* ---- saving ---- */

struct save {
	struct model	*m;
	int		 held;		/* the parameter that is in host, -1: none */
	float		*host, *raw;	/* a whole tensor: as it is stored, as it was */
};

/* Bring a parameter to the host, as fp32 in the file's order. */
static int
hold(struct save *s, int i, struct err *err)
{
	const struct param *p = &s->m->params.p[i];

	bool turned = is_conv1d(s->m, p);

	if (param_download(&s->m->params, p, 0, p->n, turned ? s->raw : s->host, DTYPE_F32,
	    err) < 0)
		return -1;
	if (turned)
		transpose(s->host, s->raw, p->shape[1], p->shape[0], DTYPE_F32);
	s->held = i;
	return 0;
}

static int
fill(void *ctx, int tensor, int64_t at, void *p, int64_t n, struct err *err)
{
	struct save *s = ctx;

	if (s->held != tensor && hold(s, tensor, err) < 0)
		return -1;
	memcpy(p, (const char *)s->host + at, (size_t)n);
	return 0;
}

static int
save_weights(struct model *m, const char *path, struct err *err)
{
	struct st_tensor *t = calloc((size_t)m->params.n, sizeof(*t));
	struct save s = { .m = m, .held = -1 };
	struct st_write w = { .tensor = t, .n = m->params.n, .fill = fill, .ctx = &s };
	int64_t most = 0;
	int ret;

	for (int i = 0; i < m->params.n && t != NULL; i++) {
		const struct param *p = &m->params.p[i];
		bool turned = is_conv1d(m, p);

		t[i] = (struct st_tensor){ .name = p->name, .type = DTYPE_F32, .ndim = p->ndim,
		    .bytes = 4 * p->n };
		for (int k = 0; k < p->ndim; k++)
			t[i].shape[k] = p->shape[turned ? p->ndim - 1 - k : k];
		most = p->n > most ? p->n : most;
	}
	s.host = malloc((size_t)most * 4);
	s.raw = malloc((size_t)most * 4);
	if (t == NULL || s.host == NULL || s.raw == NULL)
		ret = err_set(err, ERR_NOMEM, "out of memory");
	else
		ret = st_save(path, &w, err);
	free(t);
	free(s.host);
	free(s.raw);
	return ret;
}

static int
save_json(const char *dir, const char *name, json_t *doc, struct err *err)
{
	char path[4096];
	int ret = -1;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (doc != NULL)
		ret = json_doc_save(path, doc, err);
	json_decref(doc);
	return ret;
}

int
model_save(struct model *m, const char *dir, struct err *err)
{
	char path[4096];
	json_t *doc = config_write(&m->config, err);

	if (doc == NULL || save_json(dir, "config.json", doc, err) < 0)
		return -1;
	if ((doc = json_pack("{s:b}", "_from_model_config", 1)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (config_write_tokens(&m->config, doc, err) < 0) {
		json_decref(doc);
		return -1;
	}
	if (save_json(dir, "generation_config.json", doc, err) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/model.safetensors", dir);
	return save_weights(m, path, err);
}
