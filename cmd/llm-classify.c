/*
 * llm-classify - label texts by a classifier, and train one
 *
 * Training reads records with labels, holds some out, learns a linear classifier
 * of hashed words from the rest, calibrates it on those held out and reports how well
 * it does there.  Applying writes a label and its probability into each record, or
 * keeps the records that have enough of one.  Classifiers of fastText are
 * applied too.  With -t perplexity the label is a third of the input, by how likely the
 * text is for a model of n-grams of some reference.
 *
 * Time is linear in the text.  Memory: 4 bytes a weight when it is applied, 12 when
 * it is trained, and then 4 bytes for each feature of each text, in a file beyond --memory.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "eval/ranker.h"
#include "eval/roc.h"
#include "model/model.h"
#include "token/tokenizer.h"
#include "tool/filter.h"
#include "tool/reread.h"
#include "tool/teach.h"

enum mode { APPLY, TRAIN, TEST, PERPLEXITY };

struct classify {
	struct filter_opts io;
	struct teach	 teach;
	const char	*type, *score_key, *reference;
	int64_t		 words, bits, epochs, order;
	str		 keep;			/* the label; p NULL: all are kept */
	double		 threshold, rate;	/* one of them; NAN for the other */
	struct ranker	 ranker;
	struct tokenizer *tokenizer;
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

	c->rate = (double)NAN;
	return parse_keep(c, arg, 1, &c->threshold, err);
}

static int
set_rate(void *into, const char *arg, struct err *err)
{
	struct classify *c = into;

	c->threshold = (double)NAN;
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
	  .arg = "apply|train|test|perplexity",
	  .help = "label records, learn from them, be tried on them, or label by perplexity" },
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
	{ .name = "reference", .type = OPT_STR, .at = AT(reference), .arg = "file",
	  .help = "perplexity: records or a shard of texts that are likely" },
	{ .name = "order", .type = OPT_I64, .at = AT(order), .arg = "n",
	  .help = "perplexity: count n tokens in a row, 2 or 3 (3)", .min = 2, .max = 3 },
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
	ranker_state_free(state);
}

static int
label_record(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct classify *c = ctx;
	str key = str_of(c->teach.label_key);
	struct ranked v;
	char number[32];
	int ret;

	if (ranker_judge(&c->ranker, state, r->text, &v, err) < 0)
		return RECORD_BAD;
	snprintf(number, sizeof(number), "%.6g", v.score);
	if (v.label != NULL)
		ret = record_set_text(r, key, str_of(v.label), err);
	else
		ret = record_set_raw(r, key, S("null"), err);
	if (ret < 0 || record_set_raw(r, str_of(c->score_key), str_of(number), err) < 0)
		return RECORD_BAD;
	return isnan(c->threshold) || v.rank >= c->threshold ? RECORD_KEEP : RECORD_DROP;
}

/* For --keep-rate and for thirds: the rank alone. */
static int
rank_record(const void *ctx, void *state, struct record *r, struct err *err)
{
	struct ranked v;
	float rank;

	if (ranker_judge(&((const struct classify *)ctx)->ranker, state, r->text, &v, err) < 0)
		return RECORD_BAD;
	rank = (float)v.rank;
	memcpy(&r->tag[0], &rank, sizeof(rank));
	return RECORD_KEEP;
}

static int
take_rank(void *ctx, struct record *r, struct err *err)
{
	struct classify *c = ctx;
	float rank;

	memcpy(&rank, &r->tag[0], sizeof(rank));
	return roc_add(&c->scores, rank, false, err);
}

/* The thresholds of the rate and of the thirds: read all records for their ranks. */
static void
find_thresholds(struct classify *c, struct records_job *job, char **files, int n)
{
	off_t start = reread_prepare(files, n, c->teach.work);
	struct records_job first = *job;
	struct records_io io = {
		.keep_going = c->io.keep_going || c->io.bad != NULL || tool_given("max-bad"),
	};
	struct records_count count;
	struct err err;
	struct team *team = team_new(tool_threads(c->io.threads, 1), &err);

	first.map = rank_record;
	first.sink = take_rank;
	if (team == NULL || records_run(team, &first, &io, files, n, NULL, &count, &err) < 0)
		tool_fail(NULL, &err);
	team_free(team);
	roc_end(&c->scores);
	if (!isnan(c->rate))
		c->threshold = roc_threshold(&c->scores, c->rate);
	for (int i = 0; i < 2; i++)
		c->ranker.cut[i] = roc_threshold(&c->scores, (2 - i) / 3.0);
	roc_free(&c->scores);
	reread_stdin(start);
}

static void
more_stats(void *ctx, json_t *stats)
{
	const struct classify *c = ctx;
	double sign = c->ranker.surprise != NULL ? -1 : 1;

	if (isfinite(c->threshold))
		json_object_set_new(stats, "threshold", json_real(sign * c->threshold));
	if (c->ranker.surprise != NULL && isfinite(c->ranker.cut[0]) && isfinite(c->ranker.cut[1]))
		json_object_set_new(stats, "thirds", json_pack("[f,f]",
		    -c->ranker.cut[1], -c->ranker.cut[0]));
}

static int
apply(struct classify *c, char **files)
{
	struct records_job job = {
		.ctx = c, .field = filter_field(&c->io), .map = label_record,
		.state_size = sizeof(struct ranker_state), .state_free = state_free,
	};
	int n = 0;

	c->ranker.kept = -1;
	if (c->keep.p != NULL && c->ranker.surprise == NULL &&
	    (c->ranker.kept = classifier_label(c->ranker.classifier, c->keep)) < 0)
		tool_usage("--keep: %s has no label '%.*s'", c->teach.model, STR_ARG(c->keep));
	while (files[n] != NULL)
		n++;
	if (!isnan(c->rate) || c->ranker.surprise != NULL) {
		find_thresholds(c, &job, files, n);
		c->io.across = true;
	}
	c->io.more_stats = more_stats;
	c->io.ctx = c;
	return filter_main(&tool, &c->io, files, &job);
}

static void
learn_reference(struct classify *c)
{
	struct err err;

	if (c->reference == NULL)
		tool_usage("-t perplexity needs texts that are likely: --reference file");
	if (c->keep.p != NULL && (!isnan(c->threshold) || !str_eq(c->keep, S("head"))))
		tool_usage("-t perplexity keeps a rate of the head: --keep-rate head:30%%");
	if ((c->tokenizer = model_tokenizer(c->teach.model, &err)) == NULL ||
	    (c->ranker.surprise = surprise_learn(c->tokenizer, c->reference, (int)c->order,
	    filter_field(&c->io), &err)) == NULL)
		tool_fail(NULL, &err);
}

int
main(int argc, char **argv)
{
	static const char *const types[] = { "apply", "train", "test", "perplexity" };
	struct classify c = {
		.threshold = (double)NAN, .rate = (double)NAN, .words = 2, .bits = 21,
		.epochs = 3, .order = 3,
		.teach = {
			.train.rate = 0.3, .held_out = 0.1, .memory = (int64_t)4 << 30,
			.label_key = "label", .io = &c.io,
		},
		.score_key = "score",
	};
	char **words = tool_start(&tool, argc, argv, &c);
	int type = tool_choice(c.type, types, 4), status;
	struct err err;

	if (type < 0)
		tool_usage("-t %s: neither apply, train, test nor perplexity", c.type);
	if (c.teach.model == NULL)
		tool_usage("-m is missing: which classifier?");
	c.teach.train.features.words = (int)c.words;
	c.teach.train.features.bits = (int)c.bits;
	c.teach.train.epochs = (int)c.epochs;
	if (type == TRAIN)
		return teach_train(&c.teach, &tool, words);
	if (c.reference != NULL && type != PERPLEXITY)
		tool_usage("--reference is for -t perplexity");
	if (type == PERPLEXITY)
		learn_reference(&c);
	else if ((c.ranker.classifier = classifier_load(c.teach.model, &err)) == NULL)
		tool_fail(NULL, &err);
	status = type != TEST ? apply(&c, words) :
	    teach_test(&c.teach, &tool, c.ranker.classifier, words);
	classifier_free(c.ranker.classifier);
	surprise_free(c.ranker.surprise);
	tokenizer_free(c.tokenizer);
	return status;
}
