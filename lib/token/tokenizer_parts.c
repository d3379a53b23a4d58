/* What a tokenizer was made of, taken from what it has become. */
#include <stdlib.h>

#include "base/arena.h"
#include "token/tokenizer_impl.h"
#include "token/tokenizer_save.h"

/* The merges in order of rank. */
static int
list_merges(const struct bpe *b, struct tokenizer_parts *parts, struct arena *a,
    struct err *err)
{
	int32_t (*merge)[2] = arena_alloc(a, b->nmerges, sizeof(*merge), err);
	int64_t n = 0;

	if (merge == NULL)
		return -1;
	for (int64_t i = 0; i < b->nmerges; i++) {
		uint64_t pair = b->merge[i].pair;

		if (pair == UINT64_MAX)
			continue;
		merge[n][0] = (int32_t)(pair >> 32);
		merge[n++][1] = (int32_t)(pair & UINT32_MAX);
	}
	parts->merge = (const int32_t (*)[2])merge;
	parts->nmerges = n;
	return 0;
}

/* Only that of BERT without case has a name there. */
static int
wordpiece_parts(const struct tokenizer *t, struct tokenizer_parts *parts, struct err *err)
{
	const struct wordpiece *w = &t->wordpiece;
	const struct bert_form *f = normal_bert(&t->normalizer);

	if (f == NULL || !w->spaces || !f->clean || !f->chinese || !f->strip || !f->lower ||
	    w->longest != WORDPIECE_LONGEST ||
	    !str_eq((str){ w->prefix, w->n_prefix }, S("##")) || !t->add_bos || !t->add_eos)
		return err_set(err, ERR_ARG, "WordPiece with case or accents, or otherwise than "
		    "BERT has it, has no form in GGUF");
	parts->unk = t->name[w->unknown];
	return 0;
}

static int
unigram_parts(const struct tokenizer *t, struct tokenizer_parts *parts, struct arena *a,
    struct err *err)
{
	const struct charsmap *charsmap = t->spm.map.on ? &t->spm.map :
	    normal_charsmap(&t->normalizer);
	const struct unigram *u = &t->unigram;
	struct buf map = { 0 };
	int ret = 0;

	if (t->sentence.whole && !t->sentence.split)
		return err_set(err, ERR_ARG, "Unigram with pieces of several words has no form");
	parts->unigram = true;
	parts->logp = u->score;
	parts->fallback = u->fallback;
	parts->words = t->sentence.words;
	parts->add_eos = t->add_eos;
	parts->unk_id = u->unknown;
	if (u->unknown >= 0)
		parts->unk = t->name[u->unknown];
	if (t->names.on || (t->normalizer.n > 0 && charsmap == NULL))
		return err_set(err, ERR_ARG, "Unigram with components of its own has no form");
	if (charsmap != NULL) {
		charsmap_bytes(charsmap, &map);
		if ((ret = buf_ok(&map, err)) == 0) {
			parts->charsmap = arena_str(a, buf_str(&map), err);
			ret = parts->charsmap.p == NULL ? -1 : 0;
		}
		buf_free(&map);
	}
	return ret;
}

/* Of SentencePiece's BPE: ranks are scores (take_scores()). */
static int
score_parts(const struct tokenizer *t, struct tokenizer_parts *parts, struct arena *a,
    struct err *err)
{
	float *score = arena_new(a, float, t->n, err);
	uint32_t u;

	if (!t->sentence.on)
		return err_set(err, ERR_ARG, "ranks of tiktoken have no form but theirs");
	if (t->spm.map.on || t->spm.trim)
		return err_set(err, ERR_ARG, "BPE of SentencePiece with a normal form of text has "
		    "no form but its own");
	if (score == NULL)
		return -1;
	for (int32_t i = 0; i < t->n; i++) {
		u = t->bpe.rank[i];
		u = u & 0x80000000 ? u : 0x7fffffff - u;
		if (t->bpe.rank[i] != UINT32_MAX)
			memcpy(&score[i], &u, sizeof(u));
	}
	parts->score = score;
	return 0;
}

int
tokenizer_parts(const struct tokenizer *t, struct tokenizer_parts *parts, struct arena *a,
    struct err *err)
{
	uint8_t *added = arena_alloc(a, t->n, 1, err);

	if (added == NULL)
		return -1;
	for (int32_t i = 0; i < t->n; i++)
		if ((t->kind[i] & TOKEN_ADDED) != 0)
			added[i] = (t->kind[i] & TOKEN_SPECIAL) != 0 ? ADDED_SPECIAL : ADDED_PLAIN;
	*parts = (struct tokenizer_parts){ .n = t->n, .token = t->name, .added = added,
	    .nfc = normal_is_form(&t->normalizer, UNI_NFC), .ignore_merges = t->ignore_merges,
	    .add_bos = t->add_bos, .bos_id = t->bos, .eos_id = t->eos,
	    .sentence = t->sentence.on, .prefix = t->sentence.prefix, .unk_id = -1,
	    .wordpiece = t->wordpiece.on };
	if (t->wordpiece.on)
		return wordpiece_parts(t, parts, err);
	if (t->unigram.on)
		return unigram_parts(t, parts, a, err);
	if (t->bpe.rank != NULL)
		return score_parts(t, parts, a, err);
	if (t->names.on)
		return err_set(err, ERR_ARG, "a tokenizer whose words are neither bytes nor "
		    "SentencePiece's has no form in GGUF");
	if (t->normalizer.n > 0 && !parts->nfc)
		return err_set(err, ERR_ARG, "a normalizer that has no name");
	if (!t->sentence.on && !pretoken_parts(t->pre, &parts->pattern, &parts->digits))
		return err_set(err, ERR_ARG, "a pre-tokenizer that has no name");
	return list_merges(&t->bpe, parts, a, err);
}

int32_t
tokenizer_merged(const struct tokenizer *t, const int32_t pair[2])
{
	const struct bpe_merge *m = bpe_find(&t->bpe, pair[0], pair[1]);

	return m == NULL ? -1 : m->id;
}
