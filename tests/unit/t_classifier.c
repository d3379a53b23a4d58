/*
 * Classifiers: features, learning, calibration, files; measures of scores against
 * counting by hand; models of fastText against what fastText says.
 */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/rng.h"
#include "eval/classifier.h"
#include "eval/roc.h"
#include "../tap.h"

static const char *data = "tests/data/fasttext";

/* The features of a text are as many as wanted, and those of another text are the same. */
static bool
features_are(const struct features_opts *o, const char *text, int64_t n, const char *same)
{
	struct features f = { 0 }, g = { 0 };
	struct err err;
	bool good = features_of(o, str_of(text), &f, &err) == 0 &&
	    features_of(o, str_of(same), &g, &err) == 0 && f.n == n && g.n == n &&
	    (n == 0 || memcmp(f.id, g.id, (size_t)n * sizeof(*f.id)) == 0);

	for (int64_t i = 0; i < f.n; i++)
		good = good && f.id[i] < (uint32_t)1 << o->bits;
	if (!good)
		printf("# %lld features of '%s', %lld of '%s'\n", (long long)f.n, text,
		    (long long)g.n, same);
	features_free(&f);
	features_free(&g);
	return good;
}

static void
check_features(void)
{
	struct features_opts one = { .words = 1, .bits = 20 }, three = { .words = 3, .bits = 20 };
	struct features_opts chars = { .words = 1, .chars_min = 2, .chars_max = 3, .bits = 20 };

	ok(features_are(&one, "", 0, " \t"), "no features");
	ok(features_are(&one, "One, two!", 4, "one ,TWO\t!"), "words and marks");
	ok(features_are(&one, "a\n\n  \r\nb", 3, "a\nb"), "line ends count as one");
	ok(features_are(&one, "\xe6\x97\xa5\xe6\x9c\xac\xe2\x80\x9cx", 4,
	    "\xe6\x97\xa5 \xe6\x9c\xac \xe2\x80\x9c x"), "wide characters are tokens");
	ok(features_are(&three, "a b c d", 4 + 3 + 2, "A B C D"), "up to three in a row");
	/* <a> : <a <a> a> ; and of "e" with an accent as one character. */
	ok(features_are(&chars, "a", 1 + 3, "A"), "characters of a word");
	ok(features_are(&chars, "\xc3\xa9", 1 + 3, "\xc3\xa9"), "which may be of several bytes");
}

/* Texts of nlabels kinds: words of their own among common ones. */
static int
make_lessons(struct lessons *l, int n, int nlabels, uint64_t seed)
{
	struct features_opts o = { .words = 1, .bits = 12 };
	struct features f = { 0 };
	struct err err;
	int ret = 0;

	spill_init(&l->spill, "/tmp", (int64_t)1 << 24);
	for (int i = 0; i < n && ret == 0; i++) {
		int label = (int)rng_below(seed, 1, (uint64_t)i, (uint64_t)nlabels);
		char text[200];
		int at = 0;

		for (int k = 0; k < 10; k++) {
			uint64_t x = rng_u64(seed, 2, (uint64_t)(i * 10 + k));

			at += snprintf(text + at, sizeof(text) - (size_t)at, "w%d ",
			    x % 10 < 3 ? label * 100 + (int)(x / 10 % 20) :
			    1000 + (int)(x / 10 % 100));
		}
		ret = features_of(&o, (str){ text, at }, &f, &err) < 0 ? -1 :
		    lessons_add(l, &f, label, &err);
	}
	features_free(&f);
	return ret;
}

/* The share of lessons that get their label, and how sure of it c was on average. */
static double
right(const struct classifier *c, const struct lessons *l, double *sure)
{
	struct classifier_state s = { 0 };
	struct err err;
	double n = 0, sum = 0;
	int label;

	for (int64_t i = 0; i < l->n; i++) {
		int best = 0;

		if (classifier_lesson(c, &s, l, i, &label, &err) < 0)
			return -1;
		for (int k = 0; k < c->nlabels; k++)
			if (s.p[k] > s.p[best])
				best = k;
		n += best == label;
		sum += (double)s.p[best];
	}
	classifier_state_free(&s);
	*sure = sum / (double)l->n;
	return n / (double)l->n;
}

static void
check_learning(int nlabels, const char *path)
{
	char a[] = "a", b[] = "b", c3[] = "c", *const label[] = { a, b, c3 };
	struct classifier_train o = {
		.features = { .words = 1, .bits = 12 }, .label = label, .nlabels = nlabels,
		.rate = 0.3, .epochs = 3,
	};
	struct lessons l = { 0 }, other = { 0 };
	struct classifier *c, *again, *read;
	struct classifier_state s = { 0 }, t = { 0 };
	struct err err;
	double sure, was;

	ok(make_lessons(&l, 3000, nlabels, 1) == 0 && make_lessons(&other, 3000, nlabels, 2) == 0,
	    "lessons");
	c = classifier_train(&o, &l, &err);
	again = classifier_train(&o, &l, &err);
	ok(c != NULL && again != NULL && memcmp(c->weight, again->weight,
	    ((size_t)sizeof(float) << 12) * (size_t)c->columns) == 0, "learnt the same twice");
	was = right(c, &other, &sure);
	ok(was > 0.9, "and right on others");
	ok(classifier_calibrate(c, &other, &err) == 0 && right(c, &other, &sure) >= was - 0.01 &&
	    fabs(sure - right(c, &other, &sure)) < 0.02, "as sure as right when calibrated");
	ok(classifier_save(c, path, "{}", &err) == 0 &&
	    (read = classifier_load(path, &err)) != NULL, "written and read");
	ok(read->nlabels == nlabels && strcmp(read->label[1], "b") == 0 &&
	    classifier_label(read, S("b")) == 1 && classifier_label(read, S("x")) == -1 &&
	    classifier_apply(c, &s, S("w103 w1005 W104"), &err) == 1 &&
	    classifier_apply(read, &t, S("w103 w1005 W104"), &err) == 1 &&
	    memcmp(s.p, t.p, (size_t)nlabels * sizeof(*s.p)) == 0 && s.p[1] > 0.9f,
	    "it says the same");
	classifier_state_free(&s);
	classifier_state_free(&t);
	classifier_free(c);
	classifier_free(again);
	classifier_free(read);
	lessons_free(&l);
	lessons_free(&other);
	unlink(path);
}

static void
check_measures(void)
{
	static const float score[] = { 0.9f, 0.8f, 0.8f, 0.4f, 0.3f, 0.3f, 0.1f };
	static const bool has[] = { true, true, false, true, false, true, false };
	struct roc r = { 0 };
	struct roc_at at;
	struct err err;

	for (int i = 0; i < 7; i++)
		roc_add(&r, score[i], has[i], &err);
	roc_end(&r);
	/* Pairs of 4 and 3: 3 + 2.5 + 2 + 1.5 of 12. */
	ok(fabs(roc_auc(&r) - 9.0 / 12) < 1e-12, "area under the curve, with ties");
	at = roc_at(&r, (double)0.8f);
	ok(fabs(at.kept - 3.0 / 7) < 1e-12 && fabs(at.precision - 2.0 / 3) < 1e-12 &&
	    at.recall == 0.5, "precision and recall");
	ok(roc_threshold(&r, 1.0 / 7) == (double)0.9f && roc_threshold(&r, 0.5) == (double)0.4f &&
	    roc_threshold(&r, 1) == (double)0.1f && roc_threshold(&r, 0) > 1, "thresholds by rate");
	roc_free(&r);
	ok(isnan(roc_auc(&r)), "nothing has no area");
}

/* Each line of expected.tsv. */
static void
check_fasttext(void)
{
	char path[256], line[1024], now[64] = "", *field, *rest;
	struct fasttext *f = NULL;
	struct fasttext_state s = { 0 };
	struct err err = { 0 };
	double worst = 0;
	int n = 0;
	FILE *in;

	snprintf(path, sizeof(path), "%s/expected.tsv", data);
	if ((in = fopen(path, "r")) == NULL) {
		ok(false, "expected.tsv");
		return;
	}
	while (fgets(line, sizeof(line), in) != NULL) {
		char text[256], *to = text;
		float p[16];

		rest = line;
		field = strsep(&rest, "\t");
		if (strcmp(field, now) != 0) {
			fasttext_close(f);
			fasttext_state_free(&s);
			snprintf(now, sizeof(now), "%s", field);
			snprintf(path, sizeof(path), "%s/good/%s", data, now);
			if ((f = fasttext_open(path, &err)) == NULL)
				break;
		}
		for (const char *at = strsep(&rest, "\t"); *at != '\0'; at++) {
			*to++ = at[0] == '\\' && at[1] == 't' ? '\t' : *at;
			at += at[0] == '\\';
		}
		if (fasttext_apply(f, &s, (str){ text, to - text }, p, &err) != 1)
			break;
		for (int i = 0; i < fasttext_labels(f); i++) {
			double d = fabs(strtod(strsep(&rest, "\t"), NULL) - (double)p[i]);

			if (d > worst)
				printf("# %s: label %d differs by %g\n", now, i, d);
			worst = d > worst ? d : worst;
		}
		n++;
	}
	fclose(in);
	/* Its exponential and logarithm are other ones, of floats. */
	ok(n == 49 && worst < 2e-6, "models of fastText say what it says");
	fasttext_close(f);
	fasttext_state_free(&s);
	ok(fasttext_open("/no/such", &err) == NULL, "no file");
}

int
main(void)
{
	char path[] = "/tmp/t_classifier.XXXXXX";
	int fd = mkstemp(path);

	close(fd);
	check_features();
	check_learning(2, path);
	check_learning(3, path);
	check_measures();
	check_fasttext();
	return tap_done();
}
