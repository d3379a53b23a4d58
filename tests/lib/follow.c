#include "follow.h"

#include <stdlib.h>

#include "base/rng.h"
#include "toytok.h"

enum { VOCAB_MOST = 1024 };

/* One for all walks, until the program ends. */
static const struct token_trie *
toy_trie(void)
{
	static struct token_trie *trie;
	struct err err;

	if (trie == NULL) {
		struct tokenizer *tok = toytok();
		int32_t eos = tokenizer_vocab(tok) - 1;

		if ((trie = token_trie_new(tok, &eos, 1, &err)) == NULL)
			abort();
	}
	return trie;
}

/* A token that the mask allows, -1 when there is none; the end of text when it is time. */
static int32_t
draw(const struct token_trie *t, const uint64_t *mask, uint64_t seed, uint64_t i)
{
	int32_t all[VOCAB_MOST], n = 0, eos = t->eos[0];

	if ((mask[eos >> 6] >> (eos & 63) & 1) != 0 && rng_below(seed, 2, i, 8) == 0)
		return eos;
	for (int32_t id = 0; id < t->vocab; id++)
		if ((mask[id >> 6] >> (id & 63) & 1) != 0)
			all[n++] = id;
	return n == 0 ? -1 : all[rng_below(seed, 1, i, (uint64_t)n)];
}

int
follow(const struct grammar *g, uint64_t seed, int steps, struct buf *text)
{
	const struct token_trie *t = toy_trie();
	uint64_t mask[VOCAB_MOST / 64];
	struct constraint *c;
	struct matcher m;
	struct err err;
	int whole = 0;

	if (g == NULL || (c = constraint_new(g, t, &err)) == NULL)
		return 0;
	matcher_start(&m, c);
	for (int i = 0; i < steps; i++) {
		int any = matcher_mask(&m, mask, VOCAB_MOST, &err), went;
		int32_t id;

		if (any < 0)
			break;
		if ((id = draw(t, mask, seed, (uint64_t)i)) < 0)
			abort();
		if (id == t->eos[0]) {
			if (!matcher_done(&m))
				abort();
			whole = 1;
			break;
		}
		if ((went = matcher_token(&m, id, &err)) == 0)
			abort();
		if (went < 0)
			break;
		if (text != NULL)
			buf_add(text, token_trie_text(t, id));
	}
	matcher_end(&m);
	constraint_free(c);
	return whole;
}
