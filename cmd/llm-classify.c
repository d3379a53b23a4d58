/*
 * llm-classify - label texts by a classifier, and train one
 *
 * Training reads records with labels, holds some out, learns a linear classifier
 * of hashed words from the rest, calibrates it on those held out and reports how well
 * it does there.  Applying writes a label and its probability into each record, or
 * keeps the records that have enough of one.  Classifiers of fastText are applied too.
 *
 * Time is linear in the text.  Memory: 4 bytes a weight when it is applied, 12 when
 * it is trained, and then 4 bytes for each feature of each text, in a file beyond --memory.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "eval/roc.h"
#include "tool/filter.h"
#include "tool/reread.h"
#include "tool/teach.h"

enum mode { APPLY, TRAIN, TEST };

struct classify {
	struct filter_opts io;
	struct teach	 teach;
	const char	*type, *score_key;
	int64_t		 words, bits, epochs;
	str		 keep;			/* the label; p NULL: all are kept */
	double		 threshold, rate;	/* one of them; NAN for the other */
	int		 kept;			/* number of the label; -1: the best one */
	struct classifier *c;
	struct roc	 scores;
};

#define AT(field) offsetof(struct classify, field)

/* "label:number" */
static int
parse_keep(struct classify *c, const char *arg, double most, double *number, struct err *err)
{
	const char *at = strrchr(arg, ':');
	char *end;

	if (at == NULL || at == arg)
		return err_set(err, ERR_ARG, "'%s' is not a label, a colon and a number", arg);
	*number = strtod(at + 1, &end);
	if (strcmp(end, "%") == 0)
		*number /= 100;
	if (end == at + 1 || (*end != '\0' && strcmp(end, "%") != 0) ||
	    !(*number >= 0 && *number <= most))
		return err_set(err, ERR_ARG, "'%s' is not between 0 and %g", at + 1, most);
	c->keep = (str){ arg, at - arg };
	return 0;
}

static int
set_keep(void *into, const char *arg, struct err *err)
{
	struct classify *c = into;

	c->rate = NAN;
	return parse_keep(c, arg, 1, &c->threshold, err);
}

static int
set_rate(void *into, const char *arg, struct err *err)
{
	struct classify *c = into;

	c->threshold = NAN;
	return parse_keep(c, arg, 1, &c->rate, err);
}

static int
set_chars(void *into, const char *arg, struct err *err)
{
	struct features_opts *o = &((struct classify *)into)->teach.train.features;
	int n = 0;

	if (sscanf(arg, "%d-%d%n", &o->chars_min, &o->chars_max, &n) != 2 || arg[n] != '\0' ||
	    o->chars_min < 1 || o->chars_max < o->chars_min || o->chars_max > FEATURES_CHARS)
		return err_set(err, ERR_ARG, "'%s' is not two numbers up to %d, as 3-5", arg,
		    FEATURES_CHARS);
	return 0;
}

static const struct opt opts[] = {
	{ .letter = 't', .name = "type", .type = OPT_STR, .at = AT(type),
	  .arg = "apply|train|test", .help = "label records, learn from them or be tried on them "
	  "(apply)" },
	{ .letter = 'm', .name = "model", .type = OPT_STR, .at = AT(teach.model), .arg = "file",
	  .help = "the classifier: one of ours, or .bin or .ftz of fastText" },
	{ .name = "keep", .type = OPT_CALL, .arg = "label:probability", .call = set_keep,
	  .help = "keep records with at least this probability of a label" },
	{ .name = "keep-rate", .type = OPT_CALL, .arg = "label:rate", .call = set_rate,
	  .help = "keep this rate of records, those with the highest probability" },
	{ .name = "label-key", .type = OPT_STR, .at = AT(teach.label_key), .arg = "key",
	  .help = "key of the label in a record (label)" },
	{ .name = "score-key", .type = OPT_STR, .at = AT(score_key), .arg = "key",
	  .help = "key of its probability (score)" },
	{ .name = "words", .type = OPT_I64, .at = AT(words), .arg = "n",
	  .help = "train: use up to n words in a row (2)", .min = 1, .max = FEATURES_WORDS },
	{ .name = "chars", .type = OPT_CALL, .arg = "min-max", .call = set_chars,
	  .help = "train: use so many characters of a word, too (none)" },
	{ .name = "bits", .type = OPT_I64, .at = AT(bits), .arg = "n",
	  .help = "train: hash them to 2^n weights (21)", .min = 8, .max = 30 },
	{ .name = "epochs", .type = OPT_I64, .at = AT(epochs), .arg = "n",
	  .help = "train: go over the texts n times (3)", .min = 1, .max = 10000 },
	{ .name = "rate", .type = OPT_F64, .at = AT(teach.train.rate), .arg = "rate",
	  .help = "train: the learning rate (0.3)", .min = 1e-9, .max = 1e9 },
	{ .name = "held-out", .type = OPT_F64, .at = AT(teach.held_out), .arg = "rate",
	  .help = "train: learn without this rate of records, and calibrate on them (10%)",
	  .min = 0, .max = 0.9 },
	{ .letter = 's', .name = "seed", .type = OPT_I64, .at = AT(teach.train.seed), .arg = "seed",
	  .help = "train: hold out others, in another order, with another seed (0)" },
	{ .name = "memory", .type = OPT_BYTES, .at = AT(teach.memory), .arg = "size",
	  .help = "train: hold this much of texts in memory, the rest in a file (4G)", .min = 0,
	  .max = 1e18 },
	{ .name = "work", .type = OPT_STR, .at = AT(teach.work), .arg = "dir",
	  .help = "directory of that file ($TMPDIR or /tmp)" },
	FILTER_OPTIONS(struct classify, io),
	{ 0 }
};

static const struct tool tool = {
	.name     = "llm-classify",
	.synopsis = "[-t train|test] -m model [[label=] file ...]",
	.summary  = "label texts by a classifier, and train one",
	.opts     = opts,
};

/* ---- applying ---- */

static void
state_free(void *state)
{
	classifier_state_free(state);
}

/* The label that counts, -1 for none, and its probability. */
static int
judge(const struct classify *c, struct classifier_state *s, str text, double *score,
    struct err *err)
{
	int got = classifier_apply(c->c, s, text, err), best = c->kept >= 0 ? c->kept : 0;

	*score = 0;
	if (got <= 0)
		return got < 0 ? -2 : -1;
	for (int i = 0; i < c->c->nlabels && c->kept < 0; i++)
		if (s->p[i] >= s->p[best])	/* of equals the last, as fastText does */
			best = i;
	*score = (double)s->p[best];
	return best;
}

static int
label_record(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct classify *c = ctx;
	str key = str_of(c->teach.label_key);
	char number[32];
	double score;
	int label = judge(c, state, r->text, &score, err), ret;

	if (label < -1)
		return RECORD_BAD;
	snprintf(number, sizeof(number), "%.6g", score);
	if (label >= 0)
		ret = record_set_text(r, key, str_of(c->c->label[label]), err);
	else
		ret = record_set_raw(r, key, S("null"), err);
	if (ret < 0 || record_set_raw(r, str_of(c->score_key), str_of(number), err) < 0)
		return RECORD_BAD;
	return c->kept < 0 || score >= c->threshold ? RECORD_KEEP : RECORD_DROP;
}

/* For --keep-rate: the probability alone. */
static int
score_record(const void *ctx, void *state, struct record *r, struct err *err)
{
	float score;
	double x;

	if (judge(ctx, state, r->text, &x, err) < -1)
		return RECORD_BAD;
	score = (float)x;
	memcpy(&r->tag[0], &score, sizeof(score));
	return RECORD_KEEP;
}

static int
take_score(void *ctx, struct record *r, struct err *err)
{
	struct classify *c = ctx;
	float score;

	memcpy(&score, &r->tag[0], sizeof(score));
	return roc_add(&c->scores, score, false, err);
}

/* The threshold that keeps the rate: read all records for their probabilities. */
static void
find_threshold(struct classify *c, struct records_job *job, char **files, int n)
{
	off_t start = reread_prepare(files, n, c->teach.work);
	struct records_job first = *job;
	struct records_io io = {
		.keep_going = c->io.keep_going || c->io.bad != NULL || tool_given("max-bad"),
	};
	struct records_count count;
	struct err err;
	struct team *team = team_new(tool_threads(c->io.threads, 1), &err);

	first.map = score_record;
	first.sink = take_score;
	if (team == NULL || records_run(team, &first, &io, files, n, NULL, &count, &err) < 0)
		tool_fail(NULL, &err);
	team_free(team);
	roc_end(&c->scores);
	c->threshold = roc_threshold(&c->scores, c->rate);
	roc_free(&c->scores);
	reread_stdin(start);
	if (c->io.verbose)
		tool_warn("threshold %.6g", c->threshold);
}

static void
more_stats(void *ctx, json_t *stats)
{
	const struct classify *c = ctx;

	if (c->kept >= 0 && isfinite(c->threshold))
		json_object_set_new(stats, "threshold", json_real(c->threshold));
}

static int
apply(struct classify *c, char **files)
{
	struct records_job job = {
		.ctx = c, .field = filter_field(&c->io), .map = label_record,
		.state_size = sizeof(struct classifier_state), .state_free = state_free,
	};
	int n = 0;

	c->kept = -1;
	if (c->keep.p != NULL && (c->kept = classifier_label(c->c, c->keep)) < 0)
		tool_usage("--keep: %s has no label '%.*s'", c->teach.model, STR_ARG(c->keep));
	while (files[n] != NULL)
		n++;
	if (c->kept >= 0 && isnan(c->threshold)) {
		find_threshold(c, &job, files, n);
		c->io.across = true;
	}
	c->io.more_stats = more_stats;
	c->io.ctx = c;
	return filter_main(&tool, &c->io, files, &job);
}

int
main(int argc, char **argv)
{
	static const char *const types[] = { "apply", "train", "test" };
	struct classify c = {
		.threshold = NAN, .rate = NAN, .words = 2, .bits = 21, .epochs = 3,
		.teach = {
			.train.rate = 0.3, .held_out = 0.1, .memory = (int64_t)4 << 30,
			.label_key = "label", .io = &c.io,
		},
		.score_key = "score",
	};
	char **words = tool_start(&tool, argc, argv, &c);
	int type = tool_choice(c.type, types, 3), status;
	struct err err;

	if (type < 0)
		tool_usage("-t %s: neither apply, train nor test", c.type);
	if (c.teach.model == NULL)
		tool_usage("-m is missing: which classifier?");
	c.teach.train.features.words = (int)c.words;
	c.teach.train.features.bits = (int)c.bits;
	c.teach.train.epochs = (int)c.epochs;
	if (type == TRAIN)
		return teach_train(&c.teach, &tool, words);
	if ((c.c = classifier_load(c.teach.model, &err)) == NULL)
		tool_fail(NULL, &err);
	status = type == TEST ? teach_test(&c.teach, &tool, c.c, words) : apply(&c, words);
	classifier_free(c.c);
	return status;
}
