/*
 * The tensors of a directory as sources of a model's weights.  The table of
 * the model (declare.c) says which elements of which parameter each is; names
 * may begin otherwise in some files, and matrices may be transposed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fmt/safetensors.h"
#include "model/sources_impl.h"

/* A tensor of the files by the name it has here. */
struct entry {
	char		 name[NN_NAME];
	const struct st_tensor *tensor;
	bool		 used;
};

struct matching {
	struct model	*m;
	const struct arch_family *family;
	struct entry	*entry;		/* sorted by name */
	int		 n;
	struct sources	*to;
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
make_entries(struct matching *g, const struct st_file *f, struct err *err)
{
	g->n = st_count(f);
	g->entry = calloc((size_t)g->n + 1, sizeof(*g->entry));
	if (g->entry == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < g->n; i++) {
		g->entry[i].tensor = st_at(f, i);
		our_name(g->family, g->entry[i].tensor->name, g->entry[i].name);
	}
	qsort(g->entry, (size_t)g->n, sizeof(*g->entry), by_name);
	for (int i = 1; i < g->n; i++)
		if (by_name(&g->entry[i - 1], &g->entry[i]) == 0)
			return err_set(err, ERR_FORMAT, "tensors '%s' and '%s' are the same",
			    g->entry[i - 1].tensor->name, g->entry[i].tensor->name);
	return 0;
}

static struct entry *
find(const struct matching *g, const char *name)
{
	struct entry key;

	snprintf(key.name, sizeof(key.name), "%s", name);
	return bsearch(&key, g->entry, (size_t)g->n, sizeof(key), by_name);
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

static int
match_weight(const struct matching *g, int i, const struct st_tensor *s, struct err *err)
{
	const struct weight *w = &g->m->weight[i];
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
	g->to->source[i] = (struct source){ .form = w->turned ? FORM_TURNED : w->pairs ?
	    FORM_HALVES : FORM_SAME, .type = s->type, .data = s->data };
	return 0;
}

/* Tensors in files that are no weights: masks and frequencies of old releases, other senses. */
static bool
is_ballast(const struct matching *g, const char *name)
{
	const char *const *b = g->family->ballast;
	str s = str_of(name);

	if (is_ahead_copy(&g->m->config, name))
		return true;
	for (; b != NULL && *b != NULL; b++)
		if (strncmp(name, *b, strlen(*b)) == 0)
			return true;
	return str_ends(s, S(".rotary_emb.inv_freq")) || str_ends(s, S(".attn.bias")) ||
	    str_ends(s, S(".attn.masked_bias"));
}

/* A head that is stored though it is tied has to be the embedding's copy. */
static bool
is_tied_copy(const struct matching *g, const struct entry *e)
{
	const struct entry *like = find(g, g->m->weight[0].name);

	return g->m->config.tied && strcmp(e->name, "lm_head.weight") == 0 && like != NULL &&
	    like->tensor->type == e->tensor->type && like->tensor->bytes == e->tensor->bytes &&
	    memcmp(like->tensor->data, e->tensor->data, (size_t)e->tensor->bytes) == 0;
}

static const struct st_tensor *
find_part(void *ctx, const char *name)
{
	struct entry *e = find(ctx, name);

	if (e == NULL)
		return NULL;
	e->used = true;
	return e->tensor;
}

/* A matrix that is quantized: 1, 0 when it is not, or -1. */
static int
match_packed(const struct matching *g, int i, const struct entry *e, struct err *err)
{
	const struct weight *w = &g->m->weight[i];
	struct packed *p = &g->to->packed[i];
	int got;

	if (w->ndim != 2 || w->turned || w->pairs || (e != NULL &&
	    e->tensor->type != DTYPE_I8 && e->tensor->type != DTYPE_F8_E4M3 &&
	    e->tensor->type != DTYPE_F8_E5M2))
		return 0;
	got = packing_match(p, &g->to->packing, w->name, w->shape[0], w->shape[1], find_part,
	    (void *)(uintptr_t)g, err);
	if (got > 0)
		g->to->source[i] = (struct source){ .form = FORM_PACKED, .type = DTYPE_F32,
		    .packed = p };
	return got;
}

static int
match_entries(const struct matching *g, struct err *err)
{
	for (int i = 0; i < g->m->n_weights; i++) {
		struct entry *e = find(g, g->m->weight[i].name);
		int packed = match_packed(g, i, e, err);

		if (packed < 0)
			return -1;
		if (packed > 0)
			continue;
		if (e == NULL)
			return err_set(err, ERR_FORMAT, "no tensor '%s'", g->m->weight[i].name);
		if (match_weight(g, i, e->tensor, err) < 0)
			return -1;
		e->used = true;
	}
	for (int i = 0; i < g->n; i++) {
		const struct entry *e = &g->entry[i];

		if (!e->used && !is_ballast(g, e->tensor->name) && !is_tied_copy(g, e))
			return err_set(err, ERR_FORMAT, "tensor '%s' is not of this model",
			    e->tensor->name);
	}
	return 0;
}

int
st_match(struct sources *f, struct model *m, struct err *err)
{
	struct matching g = { .m = m, .family = arch_family(m->config.arch), .to = f };
	int ret = -1;

	f->packed = calloc((size_t)m->n_weights, sizeof(*f->packed));
	f->blocks = calloc((size_t)m->n_weights, sizeof(*f->blocks));
	if (f->packed == NULL || f->blocks == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (make_entries(&g, f->st, err) == 0)
		ret = match_entries(&g, err);

	free(g.entry);
	return ret;
}
