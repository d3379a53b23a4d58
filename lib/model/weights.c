/*
 * Weights in and out.  The table of the model (declare.c) says which elements
 * of which parameter each tensor of the files is; names may begin otherwise in
 * some files, and matrices may be transposed.
 */
#include "model/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fmt/safetensors.h"
#include "model/adapter_impl.h"

/* ---- loading ---- */

/* A tensor of the files by the name it has here. */
struct entry {
	char		 name[NN_NAME];
	const struct st_tensor *tensor;
	bool		 used;
};

struct load {
	struct model	*m;
	const struct arch_family *family;
	struct entry	*entry;		/* sorted by name */
	int		 n;
	void		*x, *y;		/* scratch, for the largest that is transposed */
};

static void
our_name(const struct arch_family *f, const char *theirs, char name[NN_NAME])
{
	for (int i = 0; f->prefixes != NULL && f->prefixes[i][0] != NULL; i++) {
		size_t n = strlen(f->prefixes[i][0]);

		if (strncmp(theirs, f->prefixes[i][0], n) == 0) {
			snprintf(name, NN_NAME, "%s%s", f->prefixes[i][1], theirs + n);
			return;
		}
	}
	snprintf(name, NN_NAME, "%s", theirs);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int
make_entries(struct load *l, const struct st_file *f, struct err *err)
{
	l->n = st_count(f);
	l->entry = calloc((size_t)l->n + 1, sizeof(*l->entry));
	if (l->entry == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < l->n; i++) {
		l->entry[i].tensor = st_at(f, i);
		our_name(l->family, l->entry[i].tensor->name, l->entry[i].name);
	}
	qsort(l->entry, (size_t)l->n, sizeof(*l->entry), by_name);
	for (int i = 1; i < l->n; i++)
		if (by_name(&l->entry[i - 1], &l->entry[i]) == 0)
			return err_set(err, ERR_FORMAT, "tensors '%s' and '%s' are the same",
			    l->entry[i - 1].tensor->name, l->entry[i].tensor->name);
	return 0;
}

static struct entry *
find(const struct load *l, const char *name)
{
	struct entry key;

	snprintf(key.name, sizeof(key.name), "%s", name);
	return bsearch(&key, l->entry, (size_t)l->n, sizeof(key), by_name);
}

static bool
same_shape(const struct weight *w, const struct st_tensor *s)
{
	if (s->ndim != w->ndim)
		return false;
	for (int i = 0; i < w->ndim; i++)
		if (s->shape[i] != w->shape[i])
			return false;
	return true;
}

/* The shape as the model has it, of one that is transposed in files. */
static void
print_shape(char *to, size_t size, const int64_t *shape, int ndim, bool turned)
{
	size_t n = 0;

	to[0] = '\0';
	for (int i = 0; i < ndim && n < size; i++)
		n += (size_t)snprintf(to + n, size - n, "%s%" PRId64, i ? ", " : "",
		    shape[turned ? ndim - 1 - i : i]);
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
load_weight(struct load *l, struct weight *w, const struct st_tensor *s, struct err *err)
{
	struct params *ps = &l->m->params;
	const struct param *p = &ps->p[w->param];
	char have[64], want[64];

	if (!same_shape(w, s)) {
		print_shape(have, sizeof(have), s->shape, s->ndim, false);
		print_shape(want, sizeof(want), w->shape, w->ndim, w->turned);
		return err_set(err, ERR_FORMAT, "tensor '%s' is (%s), not (%s)%s", s->name, have,
		    want, w->turned ? " transposed" : "");
	}
	if (s->type != DTYPE_F64 && s->type != DTYPE_F32 && s->type != DTYPE_F16 &&
	    s->type != DTYPE_BF16)
		return err_set(err, ERR_FORMAT, "tensor '%s' is %s: not supported", s->name,
		    dtype_name(s->type));
	w->type = s->type == DTYPE_F64 ? DTYPE_F32 : s->type;
	if (!w->turned)
		return param_upload(ps, p, w->at, w->n, s->data, s->type, err);
	dtype_convert(l->x, params_wide(ps), s->data, s->type, w->n);
	transpose(l->y, l->x, w->shape[1], w->shape[0], params_wide(ps));
	return param_upload(ps, p, w->at, w->n, l->y, params_wide(ps), err);
}

/* Tensors in files that are no weights: masks and frequencies of old releases, other senses. */
static bool
is_ballast(const struct load *l, const char *name)
{
	const char *const *b = l->family->ballast;
	str s = str_of(name);

	if (is_ahead_copy(&l->m->config, name))
		return true;
	for (; b != NULL && *b != NULL; b++)
		if (strncmp(name, *b, strlen(*b)) == 0)
			return true;
	return str_ends(s, S(".rotary_emb.inv_freq")) || str_ends(s, S(".attn.bias")) ||
	    str_ends(s, S(".attn.masked_bias"));
}

/* A head that is stored though it is tied has to be the embedding's copy. */
static bool
is_tied_copy(const struct load *l, const struct entry *e)
{
	const struct entry *like = find(l, l->m->weight[0].name);

	return l->m->config.tied && strcmp(e->name, "lm_head.weight") == 0 && like != NULL &&
	    like->tensor->type == e->tensor->type && like->tensor->bytes == e->tensor->bytes &&
	    memcmp(like->tensor->data, e->tensor->data, (size_t)e->tensor->bytes) == 0;
}

static int
load_entries(struct load *l, struct err *err)
{
	for (int i = 0; i < l->m->n_weights; i++) {
		struct entry *e = find(l, l->m->weight[i].name);

		if (e == NULL)
			return err_set(err, ERR_FORMAT, "no tensor '%s'", l->m->weight[i].name);
		if (load_weight(l, &l->m->weight[i], e->tensor, err) < 0)
			return -1;
		e->used = true;
	}
	for (int i = 0; i < l->n; i++) {
		const struct entry *e = &l->entry[i];

		if (!e->used && !is_ballast(l, e->tensor->name) && !is_tied_copy(l, e))
			return err_set(err, ERR_FORMAT, "tensor '%s' is not of this model",
			    e->tensor->name);
	}
	return dev_wait(l->m->dev, err);
}

/* Elements of the largest weight, of all or of those that are transposed. */
static int64_t
largest(const struct model *m, bool turned)
{
	int64_t most = 1;

	for (int i = 0; i < m->n_weights; i++)
		if ((!turned || m->weight[i].turned) && m->weight[i].n > most)
			most = m->weight[i].n;
	return most;
}

static int
load_all(struct model *m, const struct st_file *f, struct err *err)
{
	struct load l = { .m = m, .family = arch_family(m->config.arch) };
	int ret = -1;

	l.x = malloc((size_t)largest(m, true) * 8);
	l.y = malloc((size_t)largest(m, true) * 8);
	if (l.x == NULL || l.y == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	else if (make_entries(&l, f, err) == 0)
		ret = load_entries(&l, err);
	free(l.entry);
	free(l.x);
	free(l.y);
	return ret;
}

/* Layers that predict ahead are often named by a config and left out of the files. */
static void
drop_ahead(struct config *c, const struct st_file *f)
{
	char name[2 * NN_NAME];

	model_layer_prefix(c, c->layers, name);
	snprintf(name + strlen(name), NN_NAME, "eh_proj.weight");
	if (c->ahead > 0 && st_find(f, name) == NULL)
		c->ahead = 0;
}

int
model_reload(struct model *m, const char *dir, struct err *err)
{
	struct st_file *f = st_open(dir, err);
	int ret;

	if (f == NULL)
		return -1;
	ret = load_all(m, f, err);
	st_close(f);
	return ret < 0 ? err_wrap(err, "%s", dir) : 0;
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
	if (config_load(&c, dir, err) < 0 || (f = st_open(dir, err)) == NULL)
		return -1;
	drop_ahead(&c, f);
	ret = model_declare(m, &c, err) < 0 ||
	    params_place(&m->params, dev, grads, err) < 0 || load_all(m, f, err) < 0 ? -1 : 0;
	st_close(f);
	if (ret < 0)
		return err_wrap(err, "%s", dir);
	return m->adapter != NULL ? adapter_fill(m, err) : 0;
}

/* ---- saving ---- */

#define PART ((int64_t)5000000000)	/* bytes of a file, as Hugging Face has it */

struct save {
	struct model	*m;
	const char	*dir;
	struct st_tensor *tensor;	/* one a weight */
	int		 first;		/* of the part that is written */
	int		 held;		/* the transposed weight that is in host, -1: none */
	char		*host;		/* a whole one as it is stored */
	void		*raw;
};

/* Bring a transposed weight to the host, in the file's type and order. */
static int
hold(struct save *s, int i, struct err *err)
{
	const struct weight *w = &s->m->weight[i];
	struct params *ps = &s->m->params;
	dtype type = s->tensor[i].type;

	if (param_download(ps, &ps->p[w->param], w->at, w->n, s->raw, DTYPE_F32, err) < 0)
		return -1;
	transpose(s->host, s->raw, w->shape[0], w->shape[1], DTYPE_F32);
	dtype_convert(s->host, type, s->host, DTYPE_F32, w->n);
	s->held = i;
	return 0;
}

static int
fill(void *ctx, int tensor, int64_t at, void *p, int64_t n, struct err *err)
{
	struct save *s = ctx;
	const struct weight *w = &s->m->weight[s->first + tensor];
	dtype type = s->tensor[s->first + tensor].type;
	int64_t size = dtype_size(type);

	if (!w->turned)
		return param_download(&s->m->params, &s->m->params.p[w->param], w->at + at / size,
		    n / size, p, type, err);
	if (s->held != s->first + tensor && hold(s, s->first + tensor, err) < 0)
		return -1;
	memcpy(p, s->host + at, (size_t)n);
	return 0;
}

static dtype
describe(struct save *s, dtype type)
{
	for (int i = 0; i < s->m->n_weights; i++) {
		const struct weight *w = &s->m->weight[i];
		dtype own = w->type != DTYPE_NONE ? w->type : DTYPE_F32;
		struct st_tensor *t = &s->tensor[i];

		*t = (struct st_tensor){ .name = w->name, .ndim = w->ndim,
		    .type = type != DTYPE_NONE ? type : own };
		memcpy(t->shape, w->shape, sizeof(w->shape));
		t->bytes = w->n * dtype_size(t->type);
	}
	return s->tensor[0].type;
}

/* The end of the part that begins at weight i. */
static int
part_end(const struct save *s, int i, int64_t limit)
{
	int64_t bytes = 0;
	int from = i;

	for (; i < s->m->n_weights; i++) {
		bytes += s->tensor[i].bytes;
		if (bytes > limit && i > from)
			break;
	}
	return i;
}

static int
save_part(struct save *s, const char *name, int end, struct err *err)
{
	struct st_write w = { .tensor = s->tensor + s->first, .n = end - s->first, .fill = fill,
	    .ctx = s };
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	return st_save(path, &w, err);
}

static int
save_json(const char *dir, const char *name, json_t *doc, struct err *err)
{
	char path[4096];
	int ret = -1;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (doc == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	else
		ret = json_doc_save(path, doc, err);
	json_decref(doc);
	return ret;
}

static int
save_parts(struct save *s, int parts, int64_t limit, struct err *err)
{
	json_t *map = json_object(), *index;
	int64_t total = 0;
	bool bad = map == NULL;

	for (int n = 1; n <= parts; n++) {
		char name[64];
		int end = part_end(s, s->first, limit);

		snprintf(name, sizeof(name), "model-%05d-of-%05d.safetensors", n, parts);
		if (save_part(s, name, end, err) < 0) {
			json_decref(map);
			return -1;
		}
		for (; s->first < end; s->first++) {
			total += s->tensor[s->first].bytes;
			bad |= json_object_set_new(map, s->tensor[s->first].name,
			    json_string(name)) < 0;
		}
	}
	index = json_pack("{s:{s:I}, s:o}", "metadata", "total_size", (json_int_t)total,
	    "weight_map", map);
	if (bad) {
		json_decref(index);
		index = NULL;
	}
	return save_json(s->dir, "model.safetensors.index.json", index, err);
}

static int
save_weights(struct save *s, int64_t limit, struct err *err)
{
	int parts = 0;

	for (int i = 0; i < s->m->n_weights; i = part_end(s, i, limit))
		parts++;
	s->host = malloc((size_t)largest(s->m, true) * 4);
	s->raw = malloc((size_t)largest(s->m, true) * 4);
	if (s->host == NULL || s->raw == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return parts == 1 ? save_part(s, "model.safetensors", s->m->n_weights, err) :
	    save_parts(s, parts, limit, err);
}

static int
save_configs(const struct config *c, const char *dir, struct err *err)
{
	json_t *doc = config_write(c, err);

	if (doc == NULL || save_json(dir, "config.json", doc, err) < 0)
		return -1;
	if ((doc = json_pack("{s:b}", "_from_model_config", 1)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (config_write_tokens(c, doc, err) < 0) {
		json_decref(doc);
		return -1;
	}
	return save_json(dir, "generation_config.json", doc, err);
}

int
model_save(struct model *m, const char *dir, dtype type, int64_t part, struct err *err)
{
	struct save s = { .m = m, .dir = dir, .held = -1 };
	struct config c = m->config;
	int ret = -1;

	if (m->adapter != NULL)
		return adapter_save(m, dir, err);
	s.tensor = calloc((size_t)m->n_weights, sizeof(*s.tensor));
	if (s.tensor == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	c.dtype = describe(&s, type);
	if (save_configs(&c, dir, err) == 0)
		ret = save_weights(&s, part > 0 ? part : PART, err);
	free(s.tensor);
	free(s.host);
	free(s.raw);
	return ret;
}
