#include "base/json.h"
#include "token/tokenizer_impl.h"
#include "token/tallies.h"

#define LONGEST	1024	/* bytes of a token that is tried */

/* Do the ids of before, the token's bytes and after have the token? */
static int
occurs(struct encoder *e, const char *before, str bytes, const char *after, int32_t id,
    struct ids *ids, struct err *err)
{
	char text[LONGEST + 8];
	size_t at = strlen(before), end = at + (size_t)bytes.n;

	memcpy(text, before, at);
	memcpy(text + at, bytes.p, (size_t)bytes.n);
	memcpy(text + end, after, strlen(after));
	ids->n = 0;
	if (encode(e, (str){ text, (ptrdiff_t)(end + strlen(after)) }, 0, ids, err) < 0)
		return err->code == ERR_FORMAT ? 0 : -2;
	for (int64_t i = 0; i < ids->n; i++)
		if (ids->id[i] == id)
			return 1;
	return 0;
}

/* Is the token what its own bytes become?  1, 0, -2. */
static int
made_whole(const struct tokenizer *t, int32_t id, struct ids *ids, struct err *err)
{
	struct unigram_scratch ways = { 0 };
	struct bpe_scratch scratch = { 0 };
	str bytes = t->bytes[id];
	int64_t n;

	if (ids_room(ids, bytes.n, err) < 0)
		return -2;
	n = t->unigram.on ? unigram_text(&t->unigram, &ways, bytes, ids->id, err) :
	    bpe_word(&t->bpe, &scratch, bytes, ids->id, err);
	unigram_scratch_free(&ways);
	bpe_scratch_free(&scratch);
	if (n < 0)
		return err->code == ERR_FORMAT ? 0 : -2;
	return n == 1 && ids->id[0] == id;
}

int
token_reachable(const struct tokenizer *t, struct encoder *e, int32_t id, struct ids *ids,
    struct err *err)
{
	static const char *const around[][2] = { { "", "" }, { "\n", "" }, { "", "a" },
	    { "a", "" } };
	str bytes = t->bytes[id];
	int got;

	if ((t->kind[id] & TOKEN_BYTES) == 0 ||
	    (t->kind[id] & (TOKEN_ADDED | TOKEN_SPECIAL)) != 0 ||
	    t->wordpiece.on || t->names.on || bytes.n == 0 || bytes.n > LONGEST ||
	    (bytes.n == 1 && t->bpe.byte_id[(uint8_t)bytes.p[0]] == id))
		return -1;
	ids->n = 0;
	if (t->unigram.on)
		return made_whole(t, id, ids, err);
	if (!t->sentence.on && !t->ignore_merges && (got = made_whole(t, id, ids, err)) <= 0)
		return got;
	/* A part of a character is never a word by itself, and what it is in is not known. */
	if (utf8_bad(bytes) >= 0)
		return t->ignore_merges ? made_whole(t, id, ids, err) : 1;
	for (size_t i = 0; i < sizeof(around) / sizeof(*around); i++)
		if ((got = occurs(e, around[i][0], bytes, around[i][1], id, ids, err)) != 0)
			return got;
	return 0;
}
