#include <math.h>
#include <stdlib.h>

#include "base/stream.h"
#include "text/fasttext_impl.h"

#define MAGIC		793712314
#define VERSION_LAST	12
#define DIM_MAX		65536

struct reader {
	const char	*p, *end;
	const char	*start;
};

bool
fasttext_is(str head)
{
	int32_t magic = MAGIC;

	return head.n >= 4 && memcmp(head.p, &magic, 4) == 0;
}

static int
broken(const struct reader *r, const char *what, struct err *err)
{
	return err_set(err, ERR_FORMAT, "offset %td: %s", r->p - r->start, what);
}

static int
take(struct reader *r, void *to, ptrdiff_t n, struct err *err)
{
	if (n > r->end - r->p)
		return broken(r, "the model ends here", err);
	memcpy(to, r->p, (size_t)n);
	r->p += n;
	return 0;
}

static int
take_i32(struct reader *r, int32_t *x, struct err *err)
{
	return take(r, x, sizeof(*x), err);
}

static int
take_i64(struct reader *r, int64_t *x, struct err *err)
{
	return take(r, x, sizeof(*x), err);
}

static int
read_args(struct fasttext *f, struct reader *r, struct err *err)
{
	enum { MAGIC_AT, VERSION_AT, DIM, WS, EPOCH, MIN_COUNT, NEG, NGRAMS, LOSS, MODEL, BUCKET,
	    MINN, MAXN, RATE, N };
	int32_t x[N];
	double t;

	for (int i = 0; i < N; i++)
		if (take_i32(r, &x[i], err) < 0)
			return -1;
	if (take(r, &t, sizeof(t), err) < 0)
		return -1;
	if (x[MAGIC_AT] != MAGIC)
		return err_set(err, ERR_FORMAT, "not a model of fastText");
	if (x[VERSION_AT] < 11 || x[VERSION_AT] > VERSION_LAST)
		return err_set(err, ERR_FORMAT, "version %d of fastText's models is not known",
		    x[VERSION_AT]);
	if (x[MODEL] != 3)
		return err_set(err, ERR_FORMAT, "vectors of words, no classifier");
	if (x[DIM] < 1 || x[DIM] > DIM_MAX || x[NGRAMS] < 0 || x[BUCKET] < 0 || x[MINN] < 0 ||
	    x[MAXN] < 0 || x[MAXN] > 1024 || x[NGRAMS] > 1024 || x[LOSS] < LOSS_HS ||
	    x[LOSS] > LOSS_OVA)
		return broken(r, "an argument before it is out of range", err);
	f->dim = x[DIM];
	f->ngrams = x[NGRAMS];
	f->loss = x[LOSS];
	f->bucket = x[BUCKET];
	f->minn = x[MINN];
	f->maxn = x[VERSION_AT] == 11 ? 0 : x[MAXN];
	return 0;
}

int32_t
fasttext_find(const struct fasttext *f, str word, uint32_t hash)
{
	for (uint32_t at = hash & f->mask; f->table[at] != 0; at = (at + 1) & f->mask) {
		const struct word *w = &f->word[f->table[at] - 1];

		if (w->n == word.n && memcmp(w->p, word.p, (size_t)word.n) == 0)
			return f->table[at] - 1;
	}
	return -1;
}

static int
read_words(struct fasttext *f, struct reader *r, struct err *err)
{
	uint32_t size = 4;
	int32_t words = 0, labels = 0;

	while (size < 2 * (uint64_t)f->nentries + 1)
		size *= 2;
	f->mask = size - 1;
	f->word = calloc((size_t)f->nentries + 1, sizeof(*f->word));
	f->table = calloc(size, sizeof(*f->table));
	if (f->word == NULL || f->table == NULL)
		return err_set(err, ERR_NOMEM, "no memory for %d words", f->nentries);
	for (int32_t i = 0; i < f->nentries; i++) {
		struct word *w = &f->word[i];
		const char *end = memchr(r->p, '\0', (size_t)(r->end - r->p));
		uint32_t at;
		int8_t type = 0;

		if (end == NULL || end - r->p > INT32_MAX)
			return broken(r, "a word has no end", err);
		w->p = r->p;
		w->n = (int32_t)(end - r->p);
		r->p = end + 1;
		if (take_i64(r, &w->count, err) < 0 || take(r, &type, 1, err) < 0)
			return -1;
		if (type != 0 && type != 1)
			return broken(r, "neither a word nor a label", err);
		/* Labels come after words, and a label's number is its place among them. */
		if (type == 0 && labels > 0)
			return broken(r, "a word behind labels", err);
		w->label = type == 1 ? labels++ : -1;
		words += type == 0;
		at = fasttext_hash(FASTTEXT_HASH, (str){ w->p, w->n }) & f->mask;
		while (f->table[at] != 0)
			at = (at + 1) & f->mask;
		f->table[at] = i + 1;
	}
	if (words != f->nwords || labels != f->nlabels)
		return broken(r, "words before it are not as many as were said", err);
	return 0;
}

static int
by_from(const void *x, const void *y)
{
	const struct pruned *a = x, *b = y;

	return a->from < b->from ? -1 : a->from > b->from;
}

static int
read_pruned(struct fasttext *f, struct reader *r, struct err *err)
{
	if (f->npruned <= 0)
		return 0;
	if (f->npruned > (r->end - r->p) / (int64_t)sizeof(*f->pruned))
		return broken(r, "the model ends before its pruned hashes do", err);
	f->pruned = malloc((size_t)f->npruned * sizeof(*f->pruned));
	if (f->pruned == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (take(r, f->pruned, f->npruned * (ptrdiff_t)sizeof(*f->pruned), err) < 0)
		return -1;
	qsort(f->pruned, (size_t)f->npruned, sizeof(*f->pruned), by_from);
	return 0;
}

static int
read_dictionary(struct fasttext *f, struct reader *r, struct err *err)
{
	int64_t tokens;

	if (take_i32(r, &f->nentries, err) < 0 || take_i32(r, &f->nwords, err) < 0 ||
	    take_i32(r, &f->nlabels, err) < 0 || take_i64(r, &tokens, err) < 0 ||
	    take_i64(r, &f->npruned, err) < 0)
		return -1;
	/* An entry takes ten bytes at least. */
	if (f->nentries < 0 || f->nentries > (r->end - r->p) / 10 || f->nwords < 0 ||
	    f->nlabels < 1 || f->npruned < -1)
		return broken(r, "a count before it is out of range", err);
	return read_words(f, r, err) < 0 ? -1 : read_pruned(f, r, err);
}

/* n floats, aligned. */
static float *
take_floats(struct reader *r, int64_t n, struct err *err)
{
	float *p;

	if (n > (r->end - r->p) / (int64_t)sizeof(*p)) {
		broken(r, "the model ends before its numbers do", err);
		return NULL;
	}
	if ((p = malloc((size_t)n * sizeof(*p) + 1)) == NULL) {
		err_set(err, ERR_NOMEM, "no memory for %lld numbers", (long long)n);
		return NULL;
	}
	take(r, p, n * (ptrdiff_t)sizeof(*p), err);
	for (int64_t i = 0; i < n; i++)
		if (!isfinite(p[i])) {
			free(p);
			broken(r, "a number before it is not finite", err);
			return NULL;
		}
	return p;
}

static int
read_quantizer(struct quantizer *q, int64_t dim, struct reader *r, struct err *err)
{
	if (take_i32(r, &q->dim, err) < 0 || take_i32(r, &q->nsubq, err) < 0 ||
	    take_i32(r, &q->dsub, err) < 0 || take_i32(r, &q->lastdsub, err) < 0)
		return -1;
	if (q->dim != dim || q->nsubq < 1 || q->dsub < 1 || q->lastdsub < 1 ||
	    q->lastdsub > q->dsub || (int64_t)(q->nsubq - 1) * q->dsub + q->lastdsub != dim)
		return broken(r, "a quantizer before it has another size", err);
	q->centroid = take_floats(r, dim * KSUB, err);
	return q->centroid != NULL ? 0 : -1;
}

static int
read_codes(struct matrix *m, struct reader *r, struct err *err)
{
	int32_t size = 0;

	if (take_i32(r, &size, err) < 0)
		return -1;
	if (size < 0 || size > r->end - r->p)
		return broken(r, "the model ends before its codes do", err);
	m->code = (const uint8_t *)r->p;
	r->p += size;
	if (read_quantizer(&m->pq, m->cols, r, err) < 0)
		return -1;
	if ((int64_t)m->pq.nsubq * m->rows != size)
		return broken(r, "the codes before it are not as many as rows are", err);
	if (!m->has_norm)
		return 0;
	if (m->rows > r->end - r->p)
		return broken(r, "the model ends before its codes do", err);
	m->norm_code = (const uint8_t *)r->p;
	r->p += m->rows;
	return read_quantizer(&m->npq, 1, r, err);
}

static int
read_matrix(struct matrix *m, bool quant, int32_t dim, struct reader *r, struct err *err)
{
	uint8_t norm = 0;

	m->quant = quant;
	if ((quant && take(r, &norm, 1, err) < 0) || take_i64(r, &m->rows, err) < 0 ||
	    take_i64(r, &m->cols, err) < 0)
		return -1;
	m->has_norm = norm != 0;
	if (m->rows < 0 || m->cols != dim || m->rows > (r->end - r->p))
		return broken(r, "a matrix has another size", err);
	if (quant)
		return read_codes(m, r, err);
	m->data = take_floats(r, m->rows * m->cols, err);
	return m->data != NULL ? 0 : -1;
}

/* The tree of hierarchical softmax: Huffman's, by how often labels were. */
static int
build_tree(struct fasttext *f, struct err *err)
{
	int32_t n = f->nlabels, leaf = n - 1, node = n;
	int64_t *count = malloc((size_t)n * 2 * sizeof(*count));

	f->tree = malloc((size_t)n * 2 * sizeof(*f->tree));
	if (count == NULL || f->tree == NULL) {
		free(count);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	for (int32_t i = 0; i < 2 * n - 1; i++) {
		f->tree[i] = (struct node){ -1, -1 };
		count[i] = i < n ? f->word[f->nwords + i].count : (int64_t)1e15;
	}
	for (int32_t i = n; i < 2 * n - 1; i++) {
		int32_t least[2];

		for (int j = 0; j < 2; j++)
			least[j] = leaf >= 0 && count[leaf] < count[node] ? leaf-- : node++;
		/* Counts that are no counts could make a node its own child. */
		if (least[0] >= i || least[1] >= i) {
			free(count);
			return err_set(err, ERR_FORMAT, "counts of labels are out of range");
		}
		f->tree[i] = (struct node){ least[0], least[1] };
		count[i] = (int64_t)((uint64_t)count[least[0]] + (uint64_t)count[least[1]]);
	}
	free(count);
	return 0;
}

static int
read_model(struct fasttext *f, struct err *err)
{
	struct reader r = { f->file.p, f->file.p + f->file.n, f->file.p };
	uint8_t quant = 0, qout = 0;
	int64_t hashed;

	if (read_args(f, &r, err) < 0 || read_dictionary(f, &r, err) < 0 ||
	    take(&r, &quant, 1, err) < 0 ||
	    read_matrix(&f->in, quant != 0, f->dim, &r, err) < 0 ||
	    take(&r, &qout, 1, err) < 0 ||
	    read_matrix(&f->out, quant != 0 && qout != 0, f->dim, &r, err) < 0)
		return -1;
	if (quant == 0 && f->npruned >= 0)
		return broken(&r, "a pruned model that is not quantized", err);
	hashed = f->npruned >= 0 ? f->npruned : f->maxn > 0 || f->ngrams > 1 ? f->bucket : 0;
	if (f->in.rows < f->nwords + hashed || f->out.rows < f->nlabels)
		return broken(&r, "a matrix has too few rows", err);
	for (int64_t i = 0; i < f->npruned; i++)
		if (f->pruned[i].to < 0 || f->pruned[i].to >= f->npruned)
			return err_set(err, ERR_FORMAT, "a pruned hash is out of range");
	for (int i = 0; i <= 512; i++)
		f->sigmoid[i] = (float)(1 / (1 + exp(-(double)((float)(i * 16) / 512 - 8))));
	return f->loss == LOSS_HS ? build_tree(f, err) : 0;
}

struct fasttext *
fasttext_open_mem(str bytes, struct err *err)
{
	struct fasttext *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	f->file = bytes;
	if (read_model(f, err) < 0) {
		fasttext_close(f);
		return NULL;
	}
	return f;
}

struct fasttext *
fasttext_open(const char *path, struct err *err)
{
	struct fasttext *f;
	str bytes;

	if (file_map(path, &bytes, err) < 0)
		return NULL;
	if ((f = fasttext_open_mem(bytes, err)) == NULL) {
		err_wrap(err, "%s", path);
		file_unmap(bytes);
		return NULL;
	}
	f->mapped = true;
	return f;
}

void
fasttext_close(struct fasttext *f)
{
	if (f == NULL)
		return;
	if (f->mapped)
		file_unmap(f->file);
	free(f->word);
	free(f->table);
	free(f->pruned);
	free(f->tree);
	free(f->in.data);
	free(f->out.data);
	free(f->in.pq.centroid);
	free(f->in.npq.centroid);
	free(f->out.pq.centroid);
	free(f->out.npq.centroid);
	free(f);
}
