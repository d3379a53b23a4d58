#include "token/unigram_train.h"

#include <math.h>
#include <stdlib.h>

#include "token/unigram_train_impl.h"

#define ROUNDS	2		/* estimates after each pruning */
#define KEPT	0.75		/* of the pieces, by a pruning */
#define SPARE	1.1		/* of the vocabulary, before the likeliest are chosen */

static int
estimate(struct subwords *p, const struct corpus *c, const struct unigram_opts *o,
    double *tokens, struct err *err)
{
	for (int i = 0; i < ROUNDS; i++)
		if (em_step(p, c, o->team, tokens, err) < 0)
			return -1;
	if (o->progress != NULL)
		o->progress(o->ctx, p->n, o->vocab);
	return 0;
}

/* Down to a tenth more pieces than there will be. */
static int
shrink(struct subwords *p, const struct corpus *c, const struct unigram_opts *o, int64_t want,
    double *tokens, struct err *err)
{
	int64_t enough = (int64_t)(SPARE * (double)want);

	if (estimate(p, c, o, tokens, err) < 0)
		return -1;
	while (p->n > enough) {
		int64_t was = p->n, n = (int64_t)(KEPT * (double)p->n);

		if (prune_pieces(p, c, n < enough ? enough : n, o->team, err) < 0 ||
		    estimate(p, c, o, tokens, err) < 0)
			return -1;
		if (p->n == was)
			break;
	}
	return 0;
}

/* All single characters, and the likeliest of the others. */
static void
choose(struct subwords *p, int64_t want)
{
	int64_t n = 0, singles = 0;

	qsort(p->piece, (size_t)p->n, sizeof(*p->piece), piece_order);
	for (int64_t i = 0; i < p->n; i++)
		singles += p->piece[i].single;
	want -= singles;
	for (int64_t i = 0; i < p->n; i++)
		if (p->piece[i].single || want-- > 0)
			p->piece[n++] = p->piece[i];
	p->n = n;
}

static int
add_token(struct unigram_model *m, str text, double logp, struct err *err)
{
	str copy = arena_str(&m->arena, text, err);

	m->token[m->n] = copy;
	m->logp[m->n++] = logp;
	return copy.p == NULL ? -1 : 0;
}

/* The tokens before the pieces: the specials, <unk> and the bytes. */
static int
first_tokens(struct unigram_model *m, const struct unigram_opts *o, struct err *err)
{
	char name[8];

	for (int i = 0; i < o->nspecial; i++)
		if (add_token(m, o->special[i], (double)NAN, err) < 0)
			return -1;
	m->unknown = m->n;
	m->fallback = o->fallback;
	if (add_token(m, S("<unk>"), (double)NAN, err) < 0)
		return -1;
	for (int i = 0; o->fallback && i < 256; i++) {
		static const char hex[] = "0123456789ABCDEF";

		memcpy(name, "<0x", 3);
		name[3] = hex[i >> 4];
		name[4] = hex[i & 15];
		name[5] = '>';
		if (add_token(m, (str){ name, 6 }, 0, err) < 0)
			return -1;
	}
	return 0;
}

static int
make_model(struct unigram_model *m, const struct subwords *p, const struct unigram_opts *o,
    struct err *err)
{
	int64_t n = o->nspecial + 257 + p->n;

	if (arena_init(&m->arena, n * (2 * 64 + 64 + 16) + (1 << 20), err) < 0 ||
	    (m->token = arena_new(&m->arena, str, n, err)) == NULL ||
	    (m->logp = arena_new(&m->arena, double, n, err)) == NULL ||
	    first_tokens(m, o, err) < 0)
		return -1;
	for (int64_t i = 0; i < p->n; i++)
		if (add_token(m, p->piece[i].text, p->piece[i].score, err) < 0)
			return -1;
	return 0;
}

int
unigram_train(struct words *words, const struct unigram_opts *o, struct unigram_model *m,
    struct err *err)
{
	int64_t want = o->vocab - o->nspecial - 1 - (o->fallback ? 256 : 0);
	struct subwords p = { 0 };
	struct corpus c;
	int ret = -1;

	*m = (struct unigram_model){ 0 };
	if (corpus_init(&c, words, o, err) == 0 && seed_pieces(&p, &c, o->team, err) == 0) {
		int64_t singles = 0;

		for (int64_t i = 0; i < p.n; i++)
			singles += p.piece[i].single;
		if (singles > want)
			err_set(err, ERR_ARG, "the text has %lld characters that need a token "
			    "each: a larger vocabulary, or less coverage", (long long)singles);
		else if (shrink(&p, &c, o, want, &m->encoded, err) == 0) {
			choose(&p, want);
			ret = make_model(m, &p, o, err);
		}
	}
	free(p.piece);
	corpus_free(&c);
	return ret;
}

void
unigram_model_free(struct unigram_model *m)
{
	arena_free(&m->arena);
	*m = (struct unigram_model){ 0 };
}
