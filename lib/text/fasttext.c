#include "text/fasttext.h"

#include <math.h>
#include <stdlib.h>

#include "text/fasttext_impl.h"

#define LABEL	S("__label__")
#define EOS	S("</s>")

/* ---- rows of a text ---- */

static int
grow(int32_t **p, int64_t *cap, int64_t n, struct err *err)
{
	int64_t more = *cap > 0 ? *cap : 1024;
	int32_t *q;

	if (n <= *cap)
		return 0;
	while (more < n)
		more *= 2;
	if ((q = realloc(*p, (size_t)more * sizeof(*q))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*p = q;
	*cap = more;
	return 0;
}

static int
by_hash(const void *key, const void *x)
{
	int32_t a = *(const int32_t *)key, b = ((const struct pruned *)x)->from;

	return a < b ? -1 : a > b;
}

/* The row of a hash, if the model kept it. */
static int
add_hash(const struct fasttext *f, struct fasttext_state *s, uint64_t hash, struct err *err)
{
	int32_t id;

	if (f->bucket == 0)
		return 0;
	id = (int32_t)(hash % (uint64_t)f->bucket);
	if (f->npruned >= 0) {
		const struct pruned *at = f->npruned == 0 ? NULL : bsearch(&id, f->pruned,
		    (size_t)f->npruned, sizeof(*f->pruned), by_hash);

		if (at == NULL)
			return 0;
		id = at->to;
	}
	if (grow(&s->id, &s->cap, s->n + 1, err) < 0)
		return -1;
	s->id[s->n++] = f->nwords + id;
	return 0;
}

static inline bool
continues(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* Byte i of a word between "<" and ">". */
static inline char
byte_at(str w, ptrdiff_t i)
{
	return i == 0 ? '<' : i == w.n + 1 ? '>' : w.p[i - 1];
}

/* The n-grams of characters of a word. */
static int
add_chars(const struct fasttext *f, struct fasttext_state *s, str w, struct err *err)
{
	ptrdiff_t size = w.n + 2;

	for (ptrdiff_t i = 0; i < size; i++) {
		uint32_t h = FASTTEXT_HASH;
		ptrdiff_t j = i;

		if (continues(byte_at(w, i)))
			continue;
		for (int n = 1; j < size && n <= f->maxn; n++) {
			do {
				char c = byte_at(w, j++);

				h = fasttext_hash(h, (str){ &c, 1 });
			} while (j < size && continues(byte_at(w, j)));
			if (n >= f->minn && !(n == 1 && (i == 0 || j == size)) &&
			    add_hash(f, s, h, err) < 0)
				return -1;
		}
	}
	return 0;
}

static int
add_word(const struct fasttext *f, struct fasttext_state *s, str w, struct err *err)
{
	uint32_t hash = fasttext_hash(FASTTEXT_HASH, w);
	int32_t at = fasttext_find(f, w, hash);

	if (at >= 0 ? f->word[at].label >= 0 : str_starts(w, LABEL))
		return 0;
	if (at >= 0) {
		if (grow(&s->id, &s->cap, s->n + 1, err) < 0)
			return -1;
		s->id[s->n++] = at;
	}
	if (f->maxn > 0 && !str_eq(w, EOS) && add_chars(f, s, w, err) < 0)
		return -1;
	if (grow(&s->hash, &s->hash_cap, s->nhash + 1, err) < 0)
		return -1;
	s->hash[s->nhash++] = (int32_t)hash;
	return 0;
}

static inline bool
separates(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0';
}

/* The next word of *rest; at its end, what stands for the end of a line. */
static str
next_word(str *rest)
{
	const char *p = rest->p, *end = p + rest->n, *from;

	while (p < end && separates(*p))
		p++;
	for (from = p; p < end && !separates(*p);)
		p++;
	*rest = (str){ p, end - p };
	return p > from ? (str){ from, p - from } : EOS;
}

static int
find_rows(const struct fasttext *f, struct fasttext_state *s, str text, struct err *err)
{
	str w;

	s->n = s->nhash = 0;
	/* As there, it ends a text in its middle, too. */
	do {
		w = next_word(&text);
		if (add_word(f, s, w, err) < 0)
			return -1;
	} while (!str_eq(w, EOS));
	for (int64_t i = 0; i < s->nhash; i++) {
		uint64_t h = (uint64_t)s->hash[i];

		for (int64_t j = i + 1; j < s->nhash && j < i + f->ngrams; j++) {
			h = h * 116049371 + (uint64_t)s->hash[j];
			if (add_hash(f, s, h, err) < 0)
				return -1;
		}
	}
	return 0;
}

/* ---- products, in the order of the reference, so that sums round as there ---- */

static const float *
centroid(const struct quantizer *q, int32_t part, uint8_t code)
{
	if (part == q->nsubq - 1)
		return q->centroid + ((int64_t)part * KSUB) * q->dsub + (int64_t)code * q->lastdsub;
	return q->centroid + ((int64_t)part * KSUB + code) * q->dsub;
}

static float
norm_of(const struct matrix *m, int64_t row)
{
	return m->has_norm ? m->npq.centroid[m->norm_code[row]] : 1;
}

static void
add_row(const struct matrix *m, int64_t row, float *x)
{
	const struct quantizer *q = &m->pq;
	float norm;

	if (!m->quant) {
		const float *r = m->data + row * m->cols;

		for (int64_t i = 0; i < m->cols; i++)
			x[i] += r[i];
		return;
	}
	norm = norm_of(m, row);
	for (int32_t part = 0; part < q->nsubq; part++) {
		const float *c = centroid(q, part, m->code[row * q->nsubq + part]);
		int32_t n = part == q->nsubq - 1 ? q->lastdsub : q->dsub;

		for (int32_t i = 0; i < n; i++)
			x[part * q->dsub + i] += norm * c[i];
	}
}

static float
dot_row(const struct matrix *m, int64_t row, const float *x)
{
	const struct quantizer *q = &m->pq;
	float sum = 0;

	if (!m->quant) {
		const float *r = m->data + row * m->cols;

		for (int64_t i = 0; i < m->cols; i++)
			sum += r[i] * x[i];
		return sum;
	}
	for (int32_t part = 0; part < q->nsubq; part++) {
		const float *c = centroid(q, part, m->code[row * q->nsubq + part]);
		int32_t n = part == q->nsubq - 1 ? q->lastdsub : q->dsub;

		for (int32_t i = 0; i < n; i++)
			sum += x[part * q->dsub + i] * c[i];
	}
	return sum * norm_of(m, row);
}

static float
log_of(float x)
{
	return (float)log((double)x + 1e-5);
}

static void
softmax(const struct fasttext *f, const float *hidden, float *p)
{
	float most = -INFINITY, sum = 0;

	for (int i = 0; i < f->nlabels; i++) {
		p[i] = dot_row(&f->out, i, hidden);
		most = p[i] > most ? p[i] : most;
	}
	for (int i = 0; i < f->nlabels; i++) {
		p[i] = expf(p[i] - most);
		sum += p[i];
	}
	for (int i = 0; i < f->nlabels; i++)
		p[i] = expf(log_of(p[i] / sum));
}

static void
independent(const struct fasttext *f, const float *hidden, float *p)
{
	for (int i = 0; i < f->nlabels; i++) {
		float x = dot_row(&f->out, i, hidden);

		/* What is no number, of sums that overflow, is no index. */
		x = x < -8 ? 0 : x <= 8 ? f->sigmoid[(int)((x + 8) * 512 / 8 / 2)] : 1;
		p[i] = expf(log_of(x));
	}
}

/* score: of all nodes. */
static void
hierarchical(const struct fasttext *f, const float *hidden, float *score, float *p)
{
	int32_t n = f->nlabels;

	score[2 * n - 2] = 0;
	for (int32_t i = 2 * n - 2; i >= n; i--) {
		float x = dot_row(&f->out, i - n, hidden);

		x = (float)(1 / (1 + exp(-(double)x)));
		score[f->tree[i].left] = score[i] + log_of((float)(1 - (double)x));
		score[f->tree[i].right] = score[i] + log_of(x);
	}
	for (int32_t i = 0; i < n; i++)
		p[i] = expf(score[i]);
}

int
fasttext_apply(const struct fasttext *f, struct fasttext_state *s, str text, float *p,
    struct err *err)
{
	float scale;

	if (s->hidden == NULL && (s->hidden = malloc(((size_t)f->dim + 2 * (size_t)f->nlabels) *
	    sizeof(*s->hidden))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (find_rows(f, s, text, err) < 0)
		return -1;
	if (s->n == 0)
		return 0;
	memset(s->hidden, 0, (size_t)f->dim * sizeof(*s->hidden));
	for (int64_t i = 0; i < s->n; i++)
		add_row(&f->in, s->id[i], s->hidden);
	scale = (float)(1.0 / (double)s->n);
	for (int32_t i = 0; i < f->dim; i++)
		s->hidden[i] *= scale;
	if (f->loss == LOSS_HS)
		hierarchical(f, s->hidden, s->hidden + f->dim, p);
	else if (f->loss == LOSS_SOFTMAX)
		softmax(f, s->hidden, p);
	else
		independent(f, s->hidden, p);
	for (int i = 0; i < f->nlabels; i++)
		p[i] = p[i] > 1 ? 1 : p[i] >= 0 ? p[i] : 0;
	return 1;
}

int
fasttext_labels(const struct fasttext *f)
{
	return f->nlabels;
}

str
fasttext_label(const struct fasttext *f, int i)
{
	const struct word *w = &f->word[f->nwords + i];
	str label = { w->p, w->n };

	if (str_starts(label, LABEL))
		label = (str){ label.p + LABEL.n, label.n - LABEL.n };
	return label;
}

void
fasttext_state_free(struct fasttext_state *s)
{
	free(s->id);
	free(s->hash);
	free(s->hidden);
	*s = (struct fasttext_state){ 0 };
}
