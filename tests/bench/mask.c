/*
 * mask TOKENIZER FILE... - what masks of tokens cost
 *
 * Each file is a JSON schema, or a grammar where its name ends in .gbnf.  Texts
 * are drawn along the masks, twice from one constraint: first it knows nothing,
 * then most of it.  A line is the file, and of either pass the masks, and the
 * median, the 99th percentile and the worst of their times in microseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/progress.h"
#include "base/rng.h"
#include "base/stream.h"
#include "infer/matcher.h"

enum { TEXTS = 20, STEPS = 200 };

struct bench {
	struct token_trie *trie;
	uint64_t	*mask;
	int32_t		*allowed;
	double		 time[TEXTS * STEPS];
	int		 n;
};

static void
die(const char *what, const struct err *err)
{
	fprintf(stderr, "mask: %s: %s\n", what, err->msg);
	exit(2);
}

/* As a model would: mostly a token of some length, now and then what ends a string. */
static int32_t
draw(struct bench *b, uint64_t stream, uint64_t i)
{
	const struct token_trie *t = b->trie;
	bool end = rng_below(1, stream, 3 * i, 6) == 0;
	int32_t n = 0;

	for (int round = 0; round < 2 && n == 0; round++, end = false)
		for (int32_t id = 0; id < t->vocab; id++)
			if ((b->mask[id >> 6] >> (id & 63) & 1) != 0) {
				str s = token_trie_text(t, id);

				if (!end || s.n == 0 || memchr(s.p, '"', (size_t)s.n) != NULL)
					b->allowed[n++] = id;
			}
	return n == 0 ? -1 : b->allowed[rng_below(1, stream, 3 * i + 1, (uint64_t)n)];
}

static void
text(struct bench *b, struct constraint *c, uint64_t stream)
{
	struct matcher m;
	struct err err;

	matcher_start(&m, c);
	for (int i = 0; i < STEPS; i++) {
		double start = progress_now();
		int any = matcher_mask(&m, b->mask, b->trie->vocab, &err), went;
		int32_t id;

		b->time[b->n++] = (progress_now() - start) * 1e6;
		if (any < 0)
			die("mask", &err);
		if ((id = draw(b, stream, (uint64_t)i)) < 0 || id == b->trie->eos[0])
			break;
		if ((went = matcher_token(&m, id, &err)) < 0)
			die("token", &err);
		if (went == 0)
			abort();
	}
	matcher_end(&m);
}

static int
by_time(const void *x, const void *y)
{
	const double *a = x, *b = y;

	return (*a > *b) - (*a < *b);
}

static void
measure(struct bench *b, const char *path, const struct grammar *g)
{
	struct err err;
	struct constraint *c = constraint_new(g, b->trie, &err);

	if (c == NULL)
		die(path, &err);
	printf("%s", path);
	for (int pass = 0; pass < 2; pass++) {
		b->n = 0;
		for (uint64_t k = 0; k < TEXTS; k++)
			text(b, c, k);
		qsort(b->time, (size_t)b->n, sizeof(*b->time), by_time);
		printf("\t%d\t%.1f\t%.1f\t%.1f", b->n, b->time[b->n / 2], b->time[b->n * 99 / 100],
		    b->time[b->n - 1]);
	}
	printf("\n");
	constraint_free(c);
}

int
main(int argc, char **argv)
{
	static struct bench b;
	struct tokenizer *tok;
	struct arena a;
	struct err err;
	double start;
	int32_t eos;

	if (argc < 3 || arena_init(&a, (ptrdiff_t)1 << 26, &err) < 0 ||
	    (tok = tokenizer_load(argv[1], &err)) == NULL) {
		fprintf(stderr, "usage: mask TOKENIZER FILE...\n");
		return 2;
	}
	eos = tokenizer_eos(tok);
	start = progress_now();
	if ((b.trie = token_trie_new(tok, &eos, eos >= 0, &err)) == NULL)
		die(argv[1], &err);
	printf("# %d tokens, a tree of %d nodes in %.1f ms\n", b.trie->vocab, b.trie->n,
	    (progress_now() - start) * 1e3);
	b.mask = calloc((size_t)b.trie->vocab / 64 + 1, sizeof(*b.mask));
	b.allowed = calloc((size_t)b.trie->vocab, sizeof(*b.allowed));
	for (int i = 2; i < argc; i++) {
		str source = file_slurp(&a, argv[i], GRAMMAR_TEXT_MAX, &err);
		struct grammar *g = NULL;

		if (source.p != NULL)
			g = str_ends(str_of(argv[i]), S(".gbnf")) ? grammar_gbnf(source, tok, &err) :
			    grammar_schema(source, &(struct schema_options){ 0 }, &err);
		if (g == NULL)
			die(argv[i], &err);
		measure(&b, argv[i], g);
		grammar_free(g);
	}
	token_trie_free(b.trie);
	tokenizer_free(tok);
	free(b.mask);
	free(b.allowed);
	arena_free(&a);
	return 0;
}
