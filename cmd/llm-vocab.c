/*
 * llm-vocab - train a tokenizer, or tell how tokenizers fare: BPE, Unigram
 *
 * Cuts the texts of records into words by a pattern, counts the distinct words
 * on all threads, and merges the most frequent pairs of neighbours until the
 * vocabulary is full; or begins with too many pieces of words and drops those
 * that help the least.  The files it writes are those of Hugging Face, and equal
 * for any number of threads, since the counts are added up and sorted first.
 * --report encodes the texts with each of several tokenizers on all threads and
 * adds up what they need.
 *
 * Memory: --memory, half of it for counting; what is beyond it is in files.  The
 * input is never held.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/progress.h"
#include "token/patterns.h"
#include "token/vocab_save.h"
#include "tool/fares.h"

/* What each thread has: its words go to the pool, for they outlive it. */
struct counter {
	struct words	*words;
	struct pretoken_walk *walk;
	struct buf	 text;
};

struct pool {
	atomic_int	 n;
	struct words	*of[TEAM_MAX];
};

struct vocab {
	struct filter_opts io;
	bool		 unigram, fallback;
	double		 coverage;
	int64_t		 size, memory;
	const char	*dir, *work;
	const char	*pattern, *regex;	/* as given */
	str		 special[BPE_SPECIALS];
	int		 nspecial;
	struct pattern	 cuts;
	struct pretoken	*cut;
	struct runs	*runs;
	int64_t		 share;		/* bytes of a thread's table */
	struct pool	*pool;
	struct words	*words;
	struct bpe_model bpe;
	struct unigram_model uni;
	int32_t		 n;		/* tokens */
	double		 encoded;	/* that the words become */
	struct progress	 progress;
	struct fares_opts report;
};

static int
parse_type(void *into, const char *arg, struct err *err)
{
	struct vocab *v = into;

	v->unigram = strcmp(arg, "unigram") == 0;
	if (!v->unigram && strcmp(arg, "bpe") != 0)
		return err_set(err, ERR_ARG, "'%s' is neither bpe nor unigram", arg);
	return 0;
}

static int
add_special(void *into, const char *arg, struct err *err)
{
	struct vocab *v = into;

	if (v->nspecial == BPE_SPECIALS)
		return err_set(err, ERR_ARG, "more than %d special tokens", BPE_SPECIALS);
	v->special[v->nspecial++] = str_of(arg);
	return 0;
}

static const struct opt opts[] = {
	{ .letter = 'n', .name = "size", .type = OPT_I64, .at = offsetof(struct vocab, size),
	  .arg = "tokens", .help = "size of the vocabulary, bytes and specials included (32768)",
	  .min = 256, .max = 1 << 22 },
	{ .letter = 'o', .name = "output", .type = OPT_STR, .at = offsetof(struct vocab, dir),
	  .arg = "dir", .help = "directory to write the tokenizer to; the file of a report" },
	{ .letter = 't', .name = "type", .type = OPT_CALL, .call = parse_type,
	  .arg = "bpe|unigram", .help = "how to train (bpe)" },
	{ .name = "byte-fallback", .type = OPT_FLAG, .at = offsetof(struct vocab, fallback),
	  .help = "unigram: bytes are tokens, for unknown characters" },
	{ .name = "coverage", .type = OPT_F64, .at = offsetof(struct vocab, coverage),
	  .arg = "part", .help = "unigram: of the characters, so many are tokens (0.9995)",
	  .min = 0.5, .max = 1 },
	{ .name = "pattern", .type = OPT_STR, .at = offsetof(struct vocab, pattern),
	  .arg = "name", .help = "cut words as this model does, or none (gpt2)" },
	{ .name = "regex", .type = OPT_STR, .at = offsetof(struct vocab, regex), .arg = "pattern",
	  .help = "cut words by a regular expression" },
	{ .name = "special", .type = OPT_CALL, .call = add_special, .arg = "token",
	  .help = "add a special token; may be given again (<|endoftext|>)" },
	{ .name = "memory", .type = OPT_BYTES, .at = offsetof(struct vocab, memory),
	  .arg = "size", .help = "count this much in memory, the rest in files (4G)",
	  .min = 0, .max = 1e18 },
	{ .name = "work", .type = OPT_STR, .at = offsetof(struct vocab, work), .arg = "dir",
	  .help = "directory of these files ($TMPDIR or /tmp)" },
	FARES_OPTIONS(struct vocab, report),
	FILTER_INPUT_OPTIONS(struct vocab, io),
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-vocab",
	.synopsis = "-o dir | --report -m tokenizer [file ...]",
	.summary = "train a tokenizer, or tell how tokenizers fare",
	.opts = opts,
};

/* Count the words of one text in this thread's own table. */
static int
count(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct vocab *v = ctx;
	struct counter *mine = state;

	if (mine->words == NULL) {
		if ((mine->walk = pretoken_walk_new(v->cut, err)) == NULL ||
		    (mine->words = words_new(v->share, v->runs, err)) == NULL)
			return RECORD_BAD;
		v->pool->of[atomic_fetch_add(&v->pool->n, 1)] = mine->words;
	}
	if ((v->unigram ? unigram_add_text(mine->words, &mine->text, r->text, err) :
	    words_add_text(mine->words, mine->walk, r->text, err)) < 0)
		return RECORD_BAD;
	return RECORD_KEEP;
}

static void
counter_free(void *state)
{
	struct counter *c = state;

	pretoken_walk_free(c->walk);
	buf_free(&c->text);
}

static int
no_output(void *ctx, struct record *r, struct err *err)
{
	(void)ctx, (void)r, (void)err;
	return 0;
}

static void
training(void *ctx, int64_t tokens, int64_t of)
{
	struct vocab *v = ctx;
	char line[80];

	if ((tokens % 64 != 0 && !v->unigram) || !progress_due(&v->progress))
		return;
	snprintf(line, sizeof(line), v->unigram ? "%lld pieces, to be %lld" :
	    "%lld of %lld tokens", (long long)tokens, (long long)of);
	tool_progress(line, v->io.quiet, v->io.verbose);
}

/* What all threads have counted, in one table of their memory. */
static int
add_up(struct vocab *v, struct err *err)
{
	if ((v->words = words_new(v->memory / 2, v->runs, err)) == NULL)
		return -1;
	for (int i = 0; i < v->pool->n; i++) {
		if (words_merge(v->words, v->pool->of[i], err) < 0)
			return -1;
		words_free(v->pool->of[i]);
		v->pool->of[i] = NULL;
	}
	return words_settle(v->words, err);
}

static int
train_bpe(struct vocab *v, struct err *err)
{
	const struct bpe_opts o = {
		.vocab = (int32_t)v->size, .special = v->special, .nspecial = v->nspecial,
		.dir = tool_work(v->work), .memory = v->memory, .progress = training, .ctx = v,
	};

	if (bpe_train(v->words, &o, &v->bpe, err) < 0)
		return -1;
	v->n = v->bpe.n;
	v->encoded = (double)v->bpe.encoded;
	return bpe_save(&v->bpe, &v->cuts, v->dir, err);
}

static int
train_unigram(struct vocab *v, struct err *err)
{
	struct unigram_opts o = {
		.vocab = (int32_t)v->size, .special = v->special, .nspecial = v->nspecial,
		.fallback = v->fallback, .coverage = v->coverage, .dir = tool_work(v->work),
		.memory = v->memory, .progress = training, .ctx = v,
		.team = team_new(tool_threads(v->io.threads, 1), err),
	};
	int ret;

	if (o.team == NULL)
		return -1;
	ret = unigram_train(v->words, &o, &v->uni, err);
	team_free(o.team);
	v->n = v->uni.n;
	v->encoded = v->uni.encoded;
	return ret < 0 ? -1 : unigram_save(&v->uni, v->dir, err);
}

/* All is counted: add up, train, write. */
static int
train(void *ctx, bool failed, struct err *err)
{
	struct vocab *v = ctx;

	if (failed)
		return 0;
	if (v->pool->n == 0)
		return err_set(err, ERR_FORMAT, "no text to train on");
	if (add_up(v, err) < 0 || (v->unigram ? train_unigram(v, err) : train_bpe(v, err)) < 0)
		return -1;
	tool_progress(NULL, v->io.quiet, v->io.verbose);
	if (v->n < v->size && !v->io.quiet)
		tool_warn("the text gives %d tokens, not %lld", (int)v->n, (long long)v->size);
	if (v->io.verbose)
		tool_warn("%d tokens from %lld distinct words, %.2f bytes a token", (int)v->n,
		    (long long)words_distinct(v->words),
		    (double)words_total(v->words) / v->encoded);
	return 0;
}

static void
more_stats(void *ctx, json_t *stats)
{
	const struct vocab *v = ctx;

	json_object_set_new(stats, "vocab", json_integer(v->n));
	if (!v->unigram)
		json_object_set_new(stats, "merges", json_integer(v->bpe.nmerges));
	json_object_set_new(stats, "distinct_words", json_integer(words_distinct(v->words)));
	json_object_set_new(stats, "spilled", json_integer(runs_bytes(v->runs)));
	json_object_set_new(stats, "tokens", json_integer((json_int_t)v->encoded));
}

int
main(int argc, char **argv)
{
	struct pool pool = { 0 };
	struct vocab v = { .size = 32768, .memory = (int64_t)4 << 30, .pattern = "gpt2",
	    .coverage = 0.9995, .pool = &pool };
	char **file = tool_start(&tool, argc, argv, &v);
	struct records_job job = {
		.ctx = &v, .map = count, .sink = no_output, .state_size = sizeof(struct counter),
		.state_free = counter_free,
	};
	struct err err = { 0 };
	int status;

	if (v.report.on)
		return fares_main(&tool, &v.report, &v.io, v.dir, file);
	if (v.report.n > 0 || tool_given("format") || tool_given("language"))
		tool_usage("-m, -F and --language are for --report");
	if (v.dir == NULL)
		tool_usage("where to?  -o dir");
	if (v.regex != NULL && tool_given("pattern"))
		tool_usage("--pattern or --regex, not both");
	if (v.unigram && (tool_given("pattern") || tool_given("regex")))
		tool_usage("unigram cuts words at spaces: no --pattern, no --regex");
	if (!v.unigram && (v.fallback || tool_given("coverage")))
		tool_usage("--byte-fallback and --coverage are for -t unigram");
	if (v.nspecial == 0)
		v.special[v.nspecial++] = S("<|endoftext|>");
	v.cuts.regex = v.regex;
	if ((v.regex == NULL && pattern_named(&v.cuts, v.pattern, &err) < 0) ||
	    (v.cut = pattern_compile(&v.cuts, &err)) == NULL)
		tool_usage("%s", err.msg);
	if ((v.runs = runs_new(tool_work(v.work), &err)) == NULL)
		tool_fail(NULL, &err);
	v.share = v.memory / 2 / tool_threads(v.io.threads, 1);
	progress_start(&v.progress, v.io.verbose ? 1 : 0.25);
	job.field = filter_field(&v.io);
	v.io.ctx = &v;
	v.io.end = train;
	v.io.more_stats = more_stats;
	status = filter_main(&tool, &v.io, file, &job);
	bpe_model_free(&v.bpe);
	unigram_model_free(&v.uni);
	words_free(v.words);
	runs_free(v.runs);
	pretoken_free(v.cut);
	return status;
}
