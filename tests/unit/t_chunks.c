/*
 * Chunks: every byte in one, in order, and no more tokens than asked for, which are those
 * of the chunk by itself; and where texts are cut.
 */
#include <stdlib.h>
#include <time.h>

#include "../tap.h"
#include "base/json.h"
#include "base/rng.h"
#include "text/unicode.h"
#include "token/chunks.h"

#define DATA "tests/data/tokenizer_json/good/"

static const char *const words[] = {
	"a", "The", " ", "\n", "\n\n", "  ", "\t", ". ", ".\n", "? ", "caf\u00e9",
	"e\u0301", "\u65e5\u672c\u8a9e", "\u3002", "\u300d", "\u00a0", "word", "1999", "'ll", ",", "\r\n", "# ",
	"```\n", "- ", "(x)", "\"", "\u2028", "supercalifragilistic", "<|endoftext|>", "\U0001f600" };

static struct tokenizer *
load(const char *name)
{
	struct err err;
	char path[200];
	struct tokenizer *t;

	snprintf(path, sizeof(path), DATA "%s.json", name);
	if ((t = tokenizer_load(path, &err)) == NULL) {
		printf("# %s\n", err.msg);
		exit(2);
	}
	return t;
}

static void
random_text(struct buf *b, uint64_t seed)
{
	uint64_t n = rng_below(1, 1, seed, 400), few = seed % 3;

	buf_reset(b);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t r = rng_below(2, i, seed, sizeof(words) / sizeof(*words));

		buf_add(b, str_of(words[r]));
		if (few == 1 && rng_below(3, i, seed, 3) > 0)
			buf_byte(b, ' ');
		if (few == 2 && rng_below(3, i, seed, 60) == 0)
			for (int k = 0; k < 300; k++)
				buf_byte(b, (char)('a' + r % 26));
	}
}

/* Chunk by chunk, against what the encoder says. */
static bool
right(struct encoder *e, str text, const struct chunk_opts *o, const struct text_chunk *c,
    int64_t n)
{
	struct ids ids = { 0 };
	struct err err;
	ptrdiff_t end = 0;
	bool good = n > 0 || text.n == 0;

	for (int64_t i = 0; i < n && good; i++) {
		str part = { text.p + c[i].start, c[i].end - c[i].start };

		ids.n = 0;
		good = c[i].start <= end && c[i].end > end && (o->overlap > 0 || c[i].start == end) &&
		    (i == 0 || c[i].start > c[i - 1].start) && utf8_bad(part) < 0 &&
		    encode(e, part, 0, &ids, &err) == 0 && ids.n == c[i].tokens &&
		    ids.n <= o->tokens;
		end = c[i].end;
	}
	ids_free(&ids);
	return good && end == text.n;
}

static void
check(const char *name)
{
	static const struct chunk_opts opts[] = {
		{ CHUNK_TEXT, 16, 0 }, { CHUNK_MARKDOWN, 40, 20 }, { CHUNK_LINES, 100, 7 },
		{ CHUNK_TEXT, 64, 16 },
	};
	struct tokenizer *t = load(name);
	struct err err;
	struct encoder *e = encoder_new(t, &err);
	struct buf text = { 0 };
	int bad = 0;

	for (size_t k = 0; k < sizeof(opts) / sizeof(*opts); k++) {
		struct chunker *c = chunker_new(t, &opts[k], &err);

		for (uint64_t seed = 0; seed < 150; seed++) {
			const struct text_chunk *chunk;
			int64_t n;

			random_text(&text, seed * 7 + k);
			n = chunker_cut(c, buf_str(&text), &chunk, &err);
			if (n < 0 || !right(e, buf_str(&text), &opts[k], chunk, n))
				bad++;
		}
		chunker_free(c);
	}
	ok(bad == 0, name);
	buf_free(&text);
	encoder_free(e);
	tokenizer_free(t);
}

/* Pieces with bars between. */
static void
cuts(const struct tokenizer *t, enum chunk_kind kind, int64_t tokens, int64_t overlap,
    const char *text, const char *want)
{
	struct chunk_opts o = { kind, tokens, overlap };
	struct err err;
	struct chunker *c = chunker_new(t, &o, &err);
	const struct text_chunk *chunk;
	int64_t n = chunker_cut(c, str_of(text), &chunk, &err);
	struct buf got = { 0 };

	for (int64_t i = 0; i < n; i++)
		buf_fmt(&got, "%s%.*s", i > 0 ? "|" : "", (int)(chunk[i].end - chunk[i].start),
		    text + chunk[i].start);
	ok(n >= 0 && str_eq(buf_str(&got), str_of(want)), want);
	if (!str_eq(buf_str(&got), str_of(want)))
		printf("# %.*s\n", STR_ARG(buf_str(&got)));
	buf_free(&got);
	chunker_free(c);
}

static void
test_cuts(void)
{
	struct tokenizer *t = load("gpt2");	/* few words are tokens */

	cuts(t, CHUNK_TEXT, 1000, 0, "All of it.\n\nFits.", "All of it.\n\nFits.");
	cuts(t, CHUNK_TEXT, 24, 0, "A paragraph is here.\n\nThen one more. It is of two.\n\nEnd",
	    "A paragraph is here.\n\n|Then one more. It is of two.\n\n|End");
	cuts(t, CHUNK_TEXT, 24, 0, "One is here. Two is here. Three is e.g. here. Four.",
	    "One is here. Two is here.| Three is e.g. here. Four.");
	cuts(t, CHUNK_TEXT, 14, 0, "A paragraph is here.\n\nThen", "A paragraph is here.\n|\nThen");
	cuts(t, CHUNK_TEXT, 13, 0, "It was J. Smith who said so then", "It was J. Smith| who said so then");
	cuts(t, CHUNK_TEXT, 12, 0, "abcdefghijklmnopqrstuvwxyz", "abcdefghijkl|mnopqrstuvwxy|z");
	cuts(t, CHUNK_LINES, 9, 0, "int a = 1;\nint b = 2;\n", "int a = 1;\n|int b = 2;\n");
	cuts(t, CHUNK_MARKDOWN, 22, 0, "# A\nText.\n\nMore of it.\n# B\nAlso.\n",
	    "# A\nText.\n\nMore of it.\n|# B\nAlso.\n");
	cuts(t, CHUNK_MARKDOWN, 30, 0, "See.\n\n```\n# a\n\n# b\n```\n\nAnd on it goes.\n",
	    "See.\n\n```\n# a\n\n# b\n```\n\n|And on it goes.\n");
	cuts(t, CHUNK_TEXT, 12, 4, "One is here. Two is there. Three it is.",
	    "One is here.| is here. Two is there.| is there. Three it is.");
	tokenizer_free(t);
}

/* What takes long when something is looked at again and again. */
static void
test_time(void)
{
	static const char *const what[] = { "a", " ", "\n", " \n", ". ", "\xe3\x80\x82", "\"", "```\n" };
	struct tokenizer *t = load("gpt2");
	struct chunk_opts o = { CHUNK_MARKDOWN, 512, 256 };
	struct err err;
	struct chunker *c = chunker_new(t, &o, &err);
	struct buf text = { 0 };
	double worst = 0;

	for (size_t i = 0; i < sizeof(what) / sizeof(*what); i++) {
		const struct text_chunk *chunk;
		clock_t start = clock();
		double s;

		buf_reset(&text);
		while (text.n < 1 << 20)
			buf_add(&text, str_of(what[i]));
		if (chunker_cut(c, buf_str(&text), &chunk, &err) < 1)
			exit(2);
		s = (double)(clock() - start) / CLOCKS_PER_SEC;
		worst = s > worst ? s : worst;
	}
	printf("# at most %.3f s for 1 MiB\n", worst);
	ok(worst < 20, "no text takes long");
	buf_free(&text);
	chunker_free(c);
	tokenizer_free(t);
}

int
main(void)
{
	static const char *const names[] = { "gpt2", "llama3", "qwen2", "smollm2", "llama2", "gemma",
		"mistral", "bert", "prefix" };
	struct chunk_opts o = { CHUNK_TEXT, 100, 51 };
	struct err err;
	struct tokenizer *t;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		check(names[i]);
	test_cuts();
	test_time();
	t = load("gpt2");
	ok(chunker_new(t, &o, &err) == NULL, "more than half of a chunk does not overlap");
	tokenizer_free(t);
	return tap_done();
}
