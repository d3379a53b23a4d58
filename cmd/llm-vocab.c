/*
 * llm-vocab - train a tokenizer: byte-level BPE
 *
 * Cuts the texts of records into words by a pattern, counts the distinct words
 * on all threads, and merges the most frequent pairs of neighbours until the
 * vocabulary is full.  The files it writes are those of Hugging Face, and equal
 * for any number of threads, since the counts are added up and sorted first.
 * Memory: about 90 bytes for each distinct word and 40 for each of its bytes;
 * the input is never held.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "token/bpe_save.h"
#include "token/uclass.h"
#include "tool/filter.h"

/* What the threads have counted, each on its own. */
struct pool {
	atomic_int	 n;
	struct words	*of[TEAM_MAX];
};

struct vocab {
	struct filter_opts io;
	int64_t		 size;
	const char	*dir;
	const char	*pattern;
	str		 special[BPE_SPECIALS];
	int		 nspecial;
	enum scan	 scan;
	uint8_t		*class;
	struct pool	*pool;
	struct words	*words;
	struct bpe_model model;
};

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
	  .arg = "dir", .help = "directory to write the tokenizer to" },
	{ .name = "pattern", .type = OPT_STR, .at = offsetof(struct vocab, pattern),
	  .arg = "name", .help = "cut words as gpt2, llama3, cl100k, qwen2 or none do (gpt2)" },
	{ .name = "special", .type = OPT_CALL, .call = add_special, .arg = "token",
	  .help = "add a special token; may be given again (<|endoftext|>)" },
	FILTER_INPUT_OPTIONS(struct vocab, io),
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-vocab",
	.synopsis = "-o dir [file ...]",
	.summary = "train a tokenizer",
	.opts = opts,
};

static enum scan
pattern_named(const char *name)
{
	static const struct { const char *name; enum scan scan; } known[] = {
		{ "gpt2", SCAN_GPT2 }, { "llama3", SCAN_LLAMA3 }, { "cl100k", SCAN_LLAMA3 },
		{ "qwen2", SCAN_QWEN2 }, { "none", SCAN_NONE },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (name == NULL || strcmp(name, known[i].name) == 0)
			return known[i].scan;
	tool_usage("unknown pattern '%s': gpt2, llama3, cl100k, qwen2 or none", name);
}

/* Count the words of one text in this thread's own table. */
static int
count(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct vocab *v = ctx;
	struct words **mine = state;

	if (*mine == NULL) {
		if ((*mine = words_new(err)) == NULL)
			return RECORD_BAD;
		v->pool->of[atomic_fetch_add(&v->pool->n, 1)] = *mine;
	}
	if (words_add_text(*mine, v->scan, v->class, r->text, err) < 0)
		return RECORD_BAD;
	return RECORD_KEEP;
}

static int
no_output(void *ctx, struct record *r, struct err *err)
{
	(void)ctx, (void)r, (void)err;
	return 0;
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
	v->words = v->pool->of[0];
	for (int i = 1; i < v->pool->n; i++) {
		if (words_merge(v->words, v->pool->of[i], err) < 0)
			return -1;
		words_free(v->pool->of[i]);
	}
	if (bpe_train(v->words, (int32_t)v->size, v->special, v->nspecial, &v->model, err) < 0 ||
	    bpe_save(&v->model, v->scan, v->dir, err) < 0)
		return -1;
	if (v->model.n < v->size && !v->io.quiet)
		tool_warn("the text gives %d tokens, not %lld", (int)v->model.n,
		    (long long)v->size);
	if (v->io.verbose)
		tool_warn("%d tokens from %lld distinct words, %.2f bytes a token",
		    (int)v->model.n, (long long)words_distinct(v->words),
		    (double)words_total(v->words) / (double)v->model.encoded);
	return 0;
}

static void
more_stats(void *ctx, json_t *stats)
{
	const struct vocab *v = ctx;

	json_object_set_new(stats, "vocab", json_integer(v->model.n));
	json_object_set_new(stats, "merges", json_integer(v->model.nmerges));
	json_object_set_new(stats, "distinct_words", json_integer(words_distinct(v->words)));
	json_object_set_new(stats, "tokens", json_integer(v->model.encoded));
}

int
main(int argc, char **argv)
{
	struct pool pool = { 0 };
	struct vocab v = { .size = 32768, .pool = &pool };
	char **file = tool_start(&tool, argc, argv, &v);
	struct records_job job = {
		.ctx = &v, .map = count, .sink = no_output, .state_size = sizeof(struct words *),
	};
	struct err err = { 0 };
	int status;

	if (v.dir == NULL)
		tool_usage("where to?  -o dir");
	if (v.nspecial == 0)
		v.special[v.nspecial++] = S("<|endoftext|>");
	v.scan = pattern_named(v.pattern);
	if ((v.class = uclass_new(&err)) == NULL)
		tool_fail(NULL, &err);
	job.field = filter_field(&v.io);
	v.io.ctx = &v;
	v.io.end = train;
	v.io.more_stats = more_stats;
	status = filter_main(&tool, &v.io, file, &job);
	bpe_model_free(&v.model);
	words_free(v.words);
	free(v.class);
	return status;
}
