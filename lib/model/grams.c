#include "model/grams.h"

#include <stdio.h>
#include <stdlib.h>

#include "dev/kernels.h"
#include "model/gguf_impl.h"

/* What is known of an input's matrix. */
struct sum {
	char	 name[NN_NAME];	/* empty: GGUF has none */
	int	 like;		/* the first input with the same x */
	int64_t	 cols, mats;
	dptr	 h;		/* (mats, K, K); 0: not computed now */
	bool	 asked;		/* for, at any time */
	int64_t	*seen;		/* rows of each */
};

struct grams {
	struct inputs	*in;
	struct dev	*dev;
	const uint32_t	*token;
	int64_t		 n, piece, memory;
	struct sum	*sum;
};

static int64_t
bytes_of(const struct sum *s)
{
	return s->mats * s->cols * s->cols * (int64_t)sizeof(float);
}

static int
describe(struct grams *g, int i, struct err *err)
{
	const struct input *p = inputs_at(g->in, i);
	struct sum *s = &g->sum[i];
	struct gguf_name name;
	struct err none;

	s->cols = p->param->shape[p->param->ndim - 1];
	s->mats = p->experts > 0 ? p->experts : 1;
	for (s->like = 0; inputs_at(g->in, s->like)->x != p->x; )
		s->like++;
	if (gguf_name(&inputs_model(g->in)->config, p->param, &name, &none) == 0)
		snprintf(s->name, sizeof(s->name), "%s", name.name);
	if ((s->seen = calloc((size_t)s->mats, sizeof(*s->seen))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

struct grams *
grams_new(struct inputs *in, const uint32_t *token, int64_t n, int64_t piece, int64_t memory,
    struct err *err)
{
	struct grams *g = calloc(1, sizeof(*g));
	int ret = 0;

	if (g == NULL || (g->sum = calloc((size_t)inputs_count(in), sizeof(*g->sum))) == NULL) {
		free(g);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	g->in = in;
	g->dev = inputs_model(in)->dev;
	g->token = token;
	g->n = n;
	g->piece = piece;
	g->memory = memory;
	for (int i = 0; i < inputs_count(in) && ret == 0; i++)
		ret = describe(g, i, err);
	if (ret < 0) {
		grams_free(g);
		return NULL;
	}
	return g;
}

/* Give back what is computed. */
static void
drop(struct grams *g)
{
	for (int i = 0; i < inputs_count(g->in); i++) {
		if (g->sum[i].h.at != 0)
			dev_free(g->dev, g->sum[i].h);
		g->sum[i].h.at = 0;
	}
}

void
grams_free(struct grams *g)
{
	if (g == NULL)
		return;
	drop(g);
	for (int i = 0; i < inputs_count(g->in); i++)
		free(g->sum[i].seen);
	free(g->sum);
	free(g);
}

/* Add the products of the last piece's rows of input i. */
static int
add(struct grams *g, int i, struct err *err)
{
	const struct tensor *x = inputs_at(g->in, i)->x;
	struct sum *s = &g->sum[i];

	for (int64_t mat = 0; mat < s->mats; mat++) {
		union dev_args a = { 0 };
		int64_t row, rows, n = s->cols;

		if (inputs_rows(g->in, i, mat, &row, &rows, err) < 0)
			return -1;
		if (rows == 0)
			continue;
		s->seen[mat] += rows;
		a.matmul = (struct k_matmul){
		    .c = dptr_add(s->h, mat * n * n * (int64_t)sizeof(float)),
		    .a = dptr_add(x->data, row * n * (int64_t)sizeof(float)),
		    .c_type = DTYPE_F32, .a_type = DTYPE_F32, .b_type = DTYPE_F32,
		    .m = { .cap = n }, .k = { .cap = rows }, .n = n, .lda = n, .ldb = n,
		    .ldc = n, .ta = true, .add = true, .alpha = 1 };
		a.matmul.b = a.matmul.a;
		if (dev_check(g->dev, K_MATMUL, &a, err) < 0)
			return -1;
		dev_launch(g->dev, K_MATMUL, &a);
	}
	return 0;
}

static long long
layer_of(const struct sum *s)
{
	long long n = -1;

	sscanf(s->name, "blk.%lld.", &n);
	return n;
}

/*
 * Where to begin, to have the sums of input i: of its layer those before it too that were not
 * asked for and that memory has room for.  A directory's weights are written by their names.
 */
static int
begin(const struct grams *g, int i)
{
	int64_t used = bytes_of(&g->sum[i]);

	for (; i > 0; i--) {
		const struct sum *s = &g->sum[i - 1];

		used += s->like == i - 1 ? bytes_of(s) : 0;
		if (layer_of(s) != layer_of(&g->sum[i]) || g->sum[s->like].asked ||
		    used > g->memory)
			break;
	}
	return i;
}

/* The sums of input i and of those behind it that memory has room for. */
static int
compute(struct grams *g, int i, struct err *err)
{
	int64_t used = 0;
	int end = i;

	drop(g);
	for (; end < inputs_count(g->in); end++) {
		struct sum *s = &g->sum[end];

		if (s->like != end)
			continue;
		if (end > i && used + bytes_of(s) > g->memory)
			break;
		used += bytes_of(s);
		for (int64_t mat = 0; mat < s->mats; mat++)
			s->seen[mat] = 0;
		if ((s->h = dev_alloc(g->dev, bytes_of(s), err)).at == 0)
			return -1;
	}
	for (int64_t at = 0; at < g->n; at += g->piece) {
		int64_t n = g->n - at < g->piece ? g->n - at : g->piece;

		if (inputs_run(g->in, g->token + at, n, err) < 0)
			return -1;
		for (int k = i; k < end; k++)
			if (g->sum[k].h.at != 0 && add(g, k, err) < 0)
				return -1;
		if (dev_wait(g->dev, err) < 0)
			return -1;
	}
	return 0;
}

int
grams_get(struct grams *g, const char *name, int64_t mat, int64_t cols, float *h,
    struct err *err)
{
	for (int i = 0; i < inputs_count(g->in); i++) {
		struct sum *s = &g->sum[g->sum[i].like];

		if (strcmp(g->sum[i].name, name) != 0 || s->cols != cols || mat >= s->mats)
			continue;
		s->asked = true;
		if (s->h.at == 0 && compute(g, begin(g, g->sum[i].like), err) < 0)
			return -1;
		if (s->seen[mat] == 0)
			return 0;
		dev_download(g->dev, h, dptr_add(s->h, mat * cols * cols *
		    (int64_t)sizeof(float)), cols * cols * (int64_t)sizeof(float));
		return dev_wait(g->dev, err) < 0 ? -1 : 1;
	}
	return 0;
}
