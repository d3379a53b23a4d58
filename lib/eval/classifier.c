#include "eval/classifier.h"

#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "eval/classifier_impl.h"
#include "fmt/safetensors.h"

#define META	"llm-classify"

struct classifier *
classifier_new(const struct features_opts *o, char *const *label, int nlabels, struct err *err)
{
	struct classifier *c = calloc(1, sizeof(*c));
	int columns = nlabels == 2 ? 1 : nlabels;

	if (c != NULL) {
		c->features = *o;
		c->columns = columns;
		c->slope = 1;
		c->label = calloc((size_t)nlabels + 1, sizeof(*c->label));
		c->bias = calloc((size_t)columns, sizeof(*c->bias));
		c->weight = calloc(((size_t)1 << o->bits) * (size_t)columns, sizeof(*c->weight));
	}
	if (c == NULL || c->label == NULL || c->bias == NULL || c->weight == NULL) {
		classifier_free(c);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	for (; c->nlabels < nlabels; c->nlabels++)
		if ((c->label[c->nlabels] = strdup(label[c->nlabels])) == NULL) {
			classifier_free(c);
			err_set(err, ERR_NOMEM, "out of memory");
			return NULL;
		}
	return c;
}

void
classifier_free(struct classifier *c)
{
	if (c == NULL)
		return;
	for (int i = 0; i < c->nlabels; i++)
		free(c->label[i]);
	free(c->label);
	free(c->weight);
	free(c->bias);
	fasttext_close(c->foreign);
	free(c);
}

/* ---- applying ---- */

void
classifier_logits(const struct classifier *c, const uint32_t *id, int64_t n, double *logit)
{
	double scale = 1 / sqrt(n > 0 ? (double)n : 1);

	if (c->columns == 1) {
		/* Four sums, so that none awaits another. */
		double sum[4] = { 0 };
		int64_t i = 0;

		for (; i + 4 <= n; i += 4)
			for (int k = 0; k < 4; k++)
				sum[k] += (double)c->weight[id[i + k]];
		for (; i < n; i++)
			sum[0] += (double)c->weight[id[i]];
		logit[0] = ((sum[0] + sum[1]) + (sum[2] + sum[3])) * scale + (double)c->bias[0];
		return;
	}
	for (int k = 0; k < c->columns; k++)
		logit[k] = 0;
	for (int64_t i = 0; i < n; i++)
		for (int k = 0; k < c->columns; k++)
			logit[k] += (double)c->weight[(int64_t)id[i] * c->columns + k];
	for (int k = 0; k < c->columns; k++)
		logit[k] = logit[k] * scale + (double)c->bias[k];
}

/* Probabilities of calibrated logits; logit[] is used up. */
static void
probabilities(const struct classifier *c, double *logit, float *p)
{
	double most = -HUGE_VAL, sum = 0;

	if (c->columns == 1) {
		double x = 1 / (1 + exp(-(c->slope * logit[0] + c->shift)));

		p[0] = (float)(1 - x);
		p[1] = (float)x;
		return;
	}
	for (int k = 0; k < c->columns; k++)
		most = fmax(most, c->slope * logit[k]);
	for (int k = 0; k < c->columns; k++)
		sum += logit[k] = exp(c->slope * logit[k] - most);
	for (int k = 0; k < c->columns; k++)
		p[k] = (float)(logit[k] / sum);
}

static int
room(const struct classifier *c, struct classifier_state *s, struct err *err)
{
	if (s->p != NULL)
		return 0;
	s->logit = calloc((size_t)c->nlabels, sizeof(*s->logit));
	if (s->logit != NULL)
		s->p = calloc((size_t)c->nlabels, sizeof(*s->p));
	return s->p != NULL ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

int
classifier_apply(const struct classifier *c, struct classifier_state *s, str text, struct err *err)
{
	int64_t n;

	if (room(c, s, err) < 0)
		return -1;
	if (c->foreign != NULL)
		return fasttext_apply(c->foreign, &s->foreign, text, s->p, err);
	if (features_of(&c->features, text, &s->features, err) < 0)
		return -1;
	n = s->features.n < CLASSIFIER_FEATURES ? s->features.n : CLASSIFIER_FEATURES;
	classifier_logits(c, s->features.id, n, s->logit);
	probabilities(c, s->logit, s->p);
	return n > 0;
}

int
classifier_lesson(const struct classifier *c, struct classifier_state *s,
    const struct lessons *l, int64_t i, int *label, struct err *err)
{
	const struct lesson *x = lesson_at(l, i);

	if (room(c, s, err) < 0)
		return -1;
	classifier_logits(c, x->id, x->n, s->logit);
	probabilities(c, s->logit, s->p);
	*label = x->label;
	return x->n > 0;
}

void
classifier_state_free(struct classifier_state *s)
{
	features_free(&s->features);
	fasttext_state_free(&s->foreign);
	free(s->p);
	free(s->logit);
	*s = (struct classifier_state){ 0 };
}

int
classifier_label(const struct classifier *c, str label)
{
	for (int i = 0; i < c->nlabels; i++)
		if (str_eq(str_of(c->label[i]), label))
			return i;
	return -1;
}

/* ---- files ---- */

int
classifier_save(const struct classifier *c, const char *path, const char *note, struct err *err)
{
	int64_t n = (int64_t)1 << c->features.bits;
	struct st_tensor tensor[] = {
		{ .name = "weight", .type = DTYPE_F32, .ndim = 2, .shape = { n, c->columns },
		  .data = c->weight },
		{ .name = "bias", .type = DTYPE_F32, .ndim = 1, .shape = { c->columns },
		  .data = c->bias },
	};
	json_t *labels = json_array(), *about = json_pack("{s:i,s:o,s:i,s:[i,i],s:i,s:f,s:f}",
	    "version", 1, "labels", labels, "words", c->features.words, "chars",
	    c->features.chars_min, c->features.chars_max, "bits", c->features.bits,
	    "slope", c->slope, "shift", c->shift);
	char *text = NULL;
	int ret = -1;

	for (int i = 0; i < c->nlabels && about != NULL; i++)
		json_array_append_new(labels, json_string(c->label[i]));
	if (about != NULL && json_array_size(labels) == (size_t)c->nlabels)
		text = json_dumps(about, JSON_COMPACT | JSON_REAL_PRECISION(17));
	if (text == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
	} else {
		const char *const meta[][2] = { { META, text }, { "provenance", note } };
		struct st_write w = {
			.tensor = tensor, .n = 2, .meta = meta, .n_meta = note != NULL ? 2 : 1,
		};

		ret = st_save(path, &w, err);
	}
	free(text);
	json_decref(about);
	return ret;
}

static int
copy_tensor(const struct st_file *st, const char *name, float *to, int64_t n, struct err *err)
{
	const struct st_tensor *t = st_find(st, name);

	if (t == NULL || t->type != DTYPE_F32 || t->bytes != n * (int64_t)sizeof(*to))
		return err_set(err, ERR_FORMAT, "no tensor '%s' of %lld F32", name, (long long)n);
	memcpy(to, t->data, (size_t)t->bytes);
	for (int64_t i = 0; i < n; i++)
		if (!isfinite(to[i]))
			return err_set(err, ERR_FORMAT, "'%s' has a number that is none", name);
	return 0;
}

/* The labels of an array, which stay the document's; NULL when it is none. */
static char **
labels_of(const json_t *array, int *n)
{
	size_t size = json_array_size(array);
	char **label = size < 2 || size > CLASSIFIER_LABELS ? NULL : calloc(size, sizeof(*label));

	for (size_t i = 0; i < size && label != NULL; i++)
		if ((label[i] = (char *)json_string_value(json_array_get(array, i))) == NULL) {
			free(label);
			label = NULL;
		}
	*n = (int)size;
	return label;
}

static struct classifier *
from_about(const json_t *about, const struct st_file *st, struct err *err)
{
	struct features_opts o = { 0 };
	json_t *labels = json_object_get(about, "labels");
	struct classifier *c = NULL;
	double slope, shift;
	int version = 0, n = 0;
	char **label = labels_of(labels, &n);

	if (label == NULL || json_unpack((json_t *)about, "{s:i,s:i,s:[i,i],s:i,s:F,s:F}",
	    "version", &version, "words", &o.words, "chars", &o.chars_min, &o.chars_max,
	    "bits", &o.bits, "slope", &slope, "shift", &shift) < 0 || version != 1 ||
	    o.words < 1 || o.words > FEATURES_WORDS || o.chars_min < 0 ||
	    o.chars_max > FEATURES_CHARS || o.chars_max < 0 || o.bits < 8 || o.bits > 30) {
		err_set(err, ERR_FORMAT, version > 1 ? "version %d is not known" :
		    "'" META "' is not as llm-classify writes it", version);
	} else if (n > 2 && ((int64_t)n << o.bits) > (int64_t)1 << 34) {
		err_set(err, ERR_LIMIT, "more than 2^34 weights");
	} else if ((c = classifier_new(&o, label, n, err)) != NULL) {
		c->slope = slope;
		c->shift = shift;
		if (copy_tensor(st, "weight", c->weight, ((int64_t)1 << o.bits) * c->columns,
		    err) < 0 || copy_tensor(st, "bias", c->bias, c->columns, err) < 0) {
			classifier_free(c);
			c = NULL;
		}
	}
	free(label);
	return c;
}

static struct classifier *
load_ours(const char *path, struct err *err)
{
	struct st_file *st = st_open(path, err);
	struct classifier *c = NULL;
	json_t *about = NULL;
	const char *text;

	if (st == NULL)
		return NULL;
	if ((text = st_meta(st, META)) == NULL)
		err_set(err, ERR_FORMAT, "no classifier: its metadata has no '" META "'");
	else if ((about = json_doc(str_of(text), err)) != NULL)
		c = from_about(about, st, err);
	if (c == NULL)
		err_wrap(err, "%s", path);
	json_decref(about);
	st_close(st);
	return c;
}

static struct classifier *
load_foreign(const char *path, struct err *err)
{
	struct classifier *c = calloc(1, sizeof(*c));
	int n;

	if (c == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if ((c->foreign = fasttext_open(path, err)) == NULL) {
		free(c);
		return NULL;
	}
	n = fasttext_labels(c->foreign);
	c->label = calloc((size_t)n + 1, sizeof(*c->label));
	for (; c->label != NULL && c->nlabels < n; c->nlabels++) {
		str label = fasttext_label(c->foreign, c->nlabels);

		if ((c->label[c->nlabels] = strndup(label.p, (size_t)label.n)) == NULL)
			break;
	}
	if (c->nlabels < n) {
		classifier_free(c);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	return c;
}

struct classifier *
classifier_load(const char *path, struct err *err)
{
	struct err ignored;
	struct in *in = in_open(path, err);
	char head[4];
	ptrdiff_t n = 0, got;

	if (in == NULL) {
		err_wrap(err, "%s", path);
		return NULL;
	}
	while (n < (ptrdiff_t)sizeof(head) &&
	    (got = in_read(in, head + n, (ptrdiff_t)sizeof(head) - n, &ignored)) > 0)
		n += got;
	in_close(in);
	return fasttext_is((str){ head, n }) ? load_foreign(path, err) : load_ours(path, err);
}
