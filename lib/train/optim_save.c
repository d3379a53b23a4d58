/* optimizer.safetensors: what an optimizer remembers, and the guard's history. */
#include <stdio.h>
#include <stdlib.h>

#include "fmt/safetensors.h"
#include "train/optim_impl.h"

enum {
	HISTORY = sizeof(((struct dev_history *)0)->loss) / sizeof(double),
	EACH = 6,		/* tensors of a parameter at most */
};

struct saved {
	struct optim	*o;
	struct st_tensor *tensor;
	char		(*name)[NN_NAME + 16];
	dptr		*at;
	int		 n;
};

/* "prefix.name"; nothing when at is 0. */
static void
add(struct saved *s, const char *prefix, const char *name, dtype type, int ndim,
    const int64_t *shape, dptr at)
{
	struct st_tensor *t = &s->tensor[s->n];

	if (at.at == 0)
		return;
	snprintf(s->name[s->n], sizeof(s->name[0]), "%s.%s", prefix, name);
	*t = (struct st_tensor){ .name = s->name[s->n], .type = type, .ndim = ndim,
	    .bytes = dtype_size(type) };
	for (int d = 0; d < ndim; d++) {
		t->shape[d] = shape[d];
		t->bytes *= shape[d];
	}
	s->at[s->n++] = at;
}

static void
add_param(struct saved *s, const struct param *p, const struct slot *slot)
{
	const int64_t blocks = (p->n + MOMENT_BLOCK - 1) / MOMENT_BLOCK;
	struct stack k = param_stack(p);
	int64_t row[2] = { k.n, k.rows }, col[2] = { k.n, k.cols };

	add(s, "m", p->name, slot->type, p->ndim, p->shape, slot->m.at);
	add(s, "m_scale", p->name, DTYPE_F32, 1, &blocks, slot->m.scale);
	add(s, "v", p->name, slot->type, p->ndim, p->shape, slot->v.at);
	add(s, "v_scale", p->name, DTYPE_F32, 1, &blocks, slot->v.scale);
	add(s, "row", p->name, DTYPE_F32, 2, row, slot->row);
	add(s, "col", p->name, DTYPE_F32, 2, col, slot->col);
}

static int
saved_init(struct saved *s, struct optim *o, struct err *err)
{
	const struct params *ps = o->params;
	size_t n = EACH * (size_t)ps->n + 3;
	const int64_t history = HISTORY;

	*s = (struct saved){ .o = o };
	s->tensor = calloc(n, sizeof(*s->tensor));
	s->name = calloc(n, sizeof(*s->name));
	s->at = calloc(n, sizeof(*s->at));
	if (s->tensor == NULL || s->name == NULL || s->at == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < ps->n; i++)
		add_param(s, &ps->p[i], &o->slot[i]);
	add(s, "guard", "loss", DTYPE_F64, 1, &history,
	    dptr_add(o->history, offsetof(struct dev_history, loss)));
	add(s, "guard", "norm", DTYPE_F64, 1, &history,
	    dptr_add(o->history, offsetof(struct dev_history, norm)));
	add(s, "guard", "accepted", DTYPE_I64, 0, NULL,
	    dptr_add(o->history, offsetof(struct dev_history, n)));
	return 0;
}

static void
saved_free(struct saved *s)
{
	free(s->tensor);
	free(s->name);
	free(s->at);
}

static int
fill(void *ctx, int tensor, int64_t at, void *p, int64_t n, struct err *err)
{
	struct saved *s = ctx;

	dev_download(s->o->dev, p, dptr_add(s->at[tensor], at), n);
	return dev_wait(s->o->dev, err);
}

int
optim_save(struct optim *o, const char *dir, struct err *err)
{
	char path[4096];
	struct saved s;
	int ret = saved_init(&s, o, err);

	if (ret == 0) {
		struct st_write w = { .tensor = s.tensor, .n = s.n, .fill = fill, .ctx = &s };

		snprintf(path, sizeof(path), "%s/optimizer.safetensors", dir);
		ret = st_save(path, &w, err);
	}
	saved_free(&s);
	return ret;
}

static int
restore_one(struct saved *s, int i, const struct st_file *f, const char *path, struct err *err)
{
	const struct st_tensor *want = &s->tensor[i], *t = st_find(f, want->name);

	if (t == NULL)
		return err_set(err, ERR_FORMAT, "%s: no tensor '%s'", path, want->name);
	if (t->type != want->type || t->bytes != want->bytes)
		return err_set(err, ERR_FORMAT, "%s: '%s' has another type or shape", path,
		    want->name);
	dev_upload(s->o->dev, s->at[i], t->data, t->bytes);
	return 0;
}

int
optim_restore(struct optim *o, const char *dir, struct err *err)
{
	struct st_file *f = NULL;
	char path[4096];
	struct saved s;
	int ret = saved_init(&s, o, err);

	snprintf(path, sizeof(path), "%s/optimizer.safetensors", dir);
	if (ret == 0 && (f = st_open(path, err)) == NULL)
		ret = -1;
	for (int i = 0; ret == 0 && i < s.n; i++)
		ret = restore_one(&s, i, f, path, err);
	if (ret == 0)
		ret = dev_wait(o->dev, err);
	if (f != NULL)
		st_close(f);
	saved_free(&s);
	return ret;
}
