#include <stdlib.h>

#include "base/json.h"
#include "token/cache.h"
#include "token/template.h"
#include "token/tokenizer_impl.h"
#include "token/uclass.h"

struct encoder {
	const struct tokenizer *t;
	struct pretoken_walk *walk;
	struct bpe_scratch scratch;
	struct unigram_scratch ways;
	struct normal_scratch normal;
	struct buf	 spaced;	/* text of SentencePiece, with its spaces */
	struct buf	 prefixed;	/* text with a space before it */
	struct cache	*cache;
	struct ids	 made;		/* of words that it has not */
	struct ids	 pieces;	/* of Unigram's words, before they are settled */
	const char	*begin;		/* of the text, where it still begins so */
	struct encode_parts *parts;	/* of encode_parts(), or NULL */
	str		 piece;		/* of it, between tokens that stand in it */
};

void
ids_free(struct ids *ids)
{
	free(ids->id);
	*ids = (struct ids){ 0 };
}

int
ids_room(struct ids *ids, int64_t n, struct err *err)
{
	int64_t cap = ids->cap + ids->cap / 2 + 1024;
	int32_t *id;

	if (ids->n + n <= ids->cap)
		return 0;
	if (cap < ids->n + n)
		cap = ids->n + n;
	if ((id = realloc(ids->id, (size_t)cap * sizeof(*id))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for %lld tokens", (long long)cap);
	ids->id = id;
	ids->cap = cap;
	return 0;
}

struct encoder *
encoder_new(const struct tokenizer *t, struct err *err)
{
	struct encoder *e = calloc(1, sizeof(*e));

	if (e == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	e->t = t;
	if ((e->walk = pretoken_walk_new(t->pre, err)) == NULL ||
	    (e->cache = cache_new(err)) == NULL) {
		encoder_free(e);
		return NULL;
	}
	return e;
}

void
encoder_free(struct encoder *e)
{
	if (e == NULL)
		return;
	pretoken_walk_free(e->walk);
	bpe_scratch_free(&e->scratch);
	unigram_scratch_free(&e->ways);
	normal_scratch_free(&e->normal);
	buf_free(&e->spaced);
	buf_free(&e->prefixed);
	cache_free(e->cache);
	ids_free(&e->made);
	ids_free(&e->pieces);
	free(e);
}

/* Characters, or the bytes of those that have no token, then merges. */
static int64_t
encode_sentence(struct encoder *e, str word, int32_t *id, struct err *err)
{
	const struct tokenizer *t = e->t;
	const char *p = word.p, *end = word.p + word.n;
	int64_t n = 0;

	while (p < end) {
		const char *from = p;

		utf8_next(&p, end);
		if ((id[n] = strmap_find(&t->by_bytes, (str){ from, p - from })) >= 0) {
			n++;
			continue;
		}
		if (t->spm.on && t->bpe.byte_id[(uint8_t)*from] < 0) {
			if (n == 0 || id[n - 1] != t->spm.unknown)
				id[n++] = t->spm.unknown;
			continue;
		}
		for (; from < p; from++)
			if ((id[n++] = t->bpe.byte_id[(uint8_t)*from]) < 0)
				return err_set(err, ERR_FORMAT, "the tokenizer has no token for "
				    "byte 0x%02x", (unsigned)(uint8_t)*from);
	}
	return bpe_merge_ids(&t->bpe, &e->scratch, id, n, err);
}

/* Unknown bytes in a row are one token, where the model has it so. */
static int64_t
one_unknown(const struct tokenizer *t, int32_t *id, int64_t n)
{
	int64_t k = 0;

	if (!t->names.fuse || t->names.unknown < 0)
		return n;
	for (int64_t i = 0; i < n; i++)
		if (id[i] != t->names.unknown || k == 0 || id[k - 1] != id[i])
			id[k++] = id[i];
	return n < 0 ? n : k;
}

/* The ids of one word, without the cache.  There is room for n. */
static int64_t
encode_word(struct encoder *e, str word, int32_t *id, struct err *err)
{
	const struct tokenizer *t = e->t;
	const struct match *m = &t->match;
	int64_t got;
	int32_t whole;

	if (t->unigram.on)
		return t->unigram.floats ? unigram_word(&t->unigram, word, id) :
		    unigram_text(&t->unigram, &e->ways, word, id, err);
	if (t->wordpiece.on)
		return wordpiece_word(&t->wordpiece, &t->by_bytes, word, id);
	if (t->ignore_merges && (whole = m->made != NULL ? match_whole(m, word) :
	    strmap_find(&t->by_bytes, word)) >= 0) {
		id[0] = whole;
		return 1;
	}
	if (m->made != NULL &&
	    (got = match_word(m, &e->scratch, word, t->bpe.byte_id, id, err)) != 0)
		return one_unknown(t, id, got);
	if (t->sentence.on)
		return encode_sentence(e, word, id, err);
	if (t->names.on)
		return names_word(&t->names, &t->by_bytes, &t->bpe, &e->scratch, word, id, err);
	return one_unknown(t, id, bpe_word(&t->bpe, &e->scratch, word, id, err));
}

/* The ids of n words that the cache has not, into e->made. */
static int
make_words(struct encoder *e, const char *base, const int32_t *cut, struct cache_word **word,
    int n, struct err *err)
{
	int64_t room = CACHE_ROOM, got;

	for (int i = 0; i < n; i++)
		room += word_at(base, cut, word[i]->word).n;
	e->made.n = 0;
	if (ids_room(&e->made, room, err) < 0)
		return -1;
	for (int i = 0; i < n; i++) {
		int32_t *id = e->made.id + e->made.n;

		if ((got = encode_word(e, word_at(base, cut, word[i]->word), id, err)) < 0)
			return -1;
		word[i]->id = id;
		word[i]->n = (int32_t)got;
		e->made.n += got;
	}
	return 0;
}

/* Words of text that ends at end: word i ends at base + cut[i]. */
static int
put_words(struct encoder *e, const char *base, const int32_t *cut, int n, const char *end,
    struct ids *ids, struct err *err)
{
	struct cache_word rest[CACHE_WORDS], *new[CACHE_WORDS];
	int nrest = cache_look(e->cache, base, end, cut, n, rest), nnew = 0;

	for (int i = 0; i < nrest; i++)
		if (rest[i].n < 0 && rest[i].first == NULL)
			new[nnew++] = &rest[i];
	if (ids_room(ids, cut[n - 1] + CACHE_ROOM, err) < 0 ||
	    make_words(e, base, cut, new, nnew, err) < 0)
		return -1;
	for (int i = 0; i < nrest; i++)
		if (rest[i].n < 0) {
			rest[i].n = rest[i].first->n;
			rest[i].id = rest[i].first->id;
		}
	ids->n += cache_write(e->cache, n, rest, nrest, ids->id + ids->n);
	for (int i = 0; i < nnew; i++)
		cache_put(e->cache, new[i]->word, word_at(base, cut, new[i]->word), new[i]->id,
		    new[i]->n);
	return 0;
}

/* Text of SentencePiece. */
static int
put_sentence(struct encoder *e, str text, struct ids *ids, struct err *err)
{
	const struct unigram *u = &e->t->unigram;
	const char *base = text.p, *end = text.p + text.n;
	struct unigram_sum sum = { 0 };
	int32_t cut[CACHE_WORDS];
	int64_t got;
	int n;

	for (; base < end; base += cut[n - 1]) {
		n = sentence_words(e->t->cuts, base, end, cut, CACHE_WORDS);
		e->pieces.n = 0;
		if (put_words(e, base, cut, n, end, u->floats ? &e->pieces : ids, err) < 0)
			return -1;
		if (!u->floats)
			continue;
		if (ids_room(ids, cut[n - 1] + sum.unknown.n, err) < 0 ||
		    (got = unigram_settle(u, &e->ways, &sum, base, cut, e->pieces.id,
		    e->pieces.n, ids->id + ids->n, err)) < 0)
			return -1;
		ids->n += got;
	}
	if (ids_room(ids, sum.unknown.n, err) < 0 ||
	    (got = unigram_end(u, &sum, ids->id + ids->n, err)) < 0)
		return -1;
	ids->n += got;
	return 0;
}

/* Text that holds no added token and is normalized. */
static int
encode_plain(struct encoder *e, str text, struct ids *ids, struct err *err)
{
	bool first = text.p == e->begin;
	const char *base, *end;
	int32_t cut[CACHE_WORDS];
	int n;

	if (text.n > 0 && pretoken_prefix(e->t->pre) && text.p[0] != ' ') {
		buf_reset(&e->prefixed);
		buf_byte(&e->prefixed, ' ');
		buf_add(&e->prefixed, text);
		if (buf_ok(&e->prefixed, err) < 0)
			return -1;
		text = buf_str(&e->prefixed);
	}
	if (e->t->sentence.on)
		return put_sentence(e, text, ids, err);
	if (pretoken_start(e->walk, text, first, err) < 0)
		return -1;
	while ((n = pretoken_next(e->walk, &base, &end, cut, CACHE_WORDS, err)) > 0)
		if (put_words(e, base, cut, n, end, ids, err) < 0)
			return -1;
	return n;
}

static bool
is_word(const char *p, const char *end)
{
	return p < end && uni_is_word(utf8_next(&p, end));
}

static bool
is_space(const struct encoder *e, const char *p, const char *end, int *len)
{
	return (uclass_at(pretoken_class(e->t->pre), p, end, len) & UC_SPACE) != 0;
}

/* The character that ends at p. */
static const char *
before(const char *start, const char *p)
{
	do
		p--;
	while (p > start && ((uint8_t)*p & 0xc0) == 0x80);
	return p;
}

/*
 * Does token id stand at [*start, *stop)?  If so take in the space around it
 * that it swallows.  from: what is before is spoken for.
 */
static bool
accept(const struct encoder *e, int32_t id, str text, const char *from, const char **start,
    const char **stop)
{
	const char *end = text.p + text.n;
	uint8_t kind = e->t->kind[id];
	int len;

	if ((kind & TOKEN_WORD) != 0 && (is_word(*stop, end) ||
	    (*start > text.p && is_word(before(text.p, *start), end))))
		return false;
	if ((kind & TOKEN_LSTRIP) != 0)
		while (*start > from && is_space(e, before(from, *start), end, &len))
			*start = before(from, *start);
	if ((kind & TOKEN_RSTRIP) != 0)
		while (*stop < end && is_space(e, *stop, end, &len))
			*stop += len;
	return true;
}

/* Has [start, start + n) of the text a byte that was said? */
static bool
was_said(const struct encode_parts *p, ptrdiff_t start, ptrdiff_t n)
{
	ptrdiff_t lo = 0, hi = p->nsaid;

	while (lo < hi) {
		ptrdiff_t mid = lo + (hi - lo) / 2;

		if (p->said[mid].end <= start)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < p->nsaid && p->said[lo].start < start + n;
}

/* Is p in the text, not in a normalized copy of a piece? */
static bool
in_text(const struct encode_parts *parts, const char *p)
{
	return (uintptr_t)p - (uintptr_t)parts->text.p < (uintptr_t)parts->text.n;
}

/* A special token at [start, stop): is it one, or text? */
static bool
is_special(const struct encoder *e, const char *start, const char *stop, int flags)
{
	const struct encode_parts *p = e->parts;

	if ((flags & ENCODE_SPECIAL) == 0 || p == NULL)
		return (flags & ENCODE_SPECIAL) != 0;
	if (in_text(p, start))
		return !was_said(p, start - p->text.p, stop - start);
	/* Which bytes of the piece it was made of is not known: of none that was said. */
	return !was_said(p, e->piece.p - p->text.p, e->piece.n);
}

/* Text is cut at p, before the id that comes next. */
static void
add_cut(struct encoder *e, const char *p, const struct ids *ids)
{
	struct encode_cut cut = { .id = ids->n };

	if (e->parts == NULL || !in_text(e->parts, p))
		return;
	cut.at = p - e->parts->text.p;
	buf_add(&e->parts->cuts, (str){ (const char *)&cut, sizeof(cut) });
}

/* Cut text at the tokens of one set and encode what is between by rest(). */
static int
encode_around(struct encoder *e, const struct added *set, str text, int flags, struct ids *ids,
    int (*rest)(struct encoder *, str, int, struct ids *, struct err *), struct err *err)
{
	const char *end = text.p + text.n, *from = text.p, *at = text.p, *start, *stop;
	int32_t id;

	while ((id = added_find(set, at, end, &start, &stop)) >= 0) {
		at = stop;
		if ((e->t->kind[id] & TOKEN_SPECIAL) != 0 && !is_special(e, start, stop, flags))
			continue;
		if (!accept(e, id, text, from, &start, &stop))
			continue;
		if (start > from && rest(e, (str){ from, start - from }, flags, ids, err) < 0)
			return -1;
		if (ids_room(ids, 1, err) < 0)
			return -1;
		add_cut(e, start, ids);
		ids->id[ids->n++] = id;
		add_cut(e, stop, ids);
		/* Tokens in space that this one swallowed count too, as in the reference. */
		from = stop;
	}
	return from < end ? rest(e, (str){ from, end - from }, flags, ids, err) : 0;
}

/* Text of SentencePiece, with its spaces. */
static int
put_spaces(struct encoder *e, str *text, struct err *err)
{
	const struct sentence *s = &e->t->sentence;
	bool has = str_starts(*text, S(" ")) || str_starts(*text, S("\xe2\x96\x81"));

	buf_reset(&e->spaced);
	sentence_text(s, &e->spaced, *text, s->prefix && text->n > 0 &&
	    (!s->first || text->p == e->begin) && !(s->lacking && has));
	*text = buf_str(&e->spaced);
	return buf_ok(&e->spaced, err);
}

static int
rest_plain(struct encoder *e, str text, int flags, struct ids *ids, struct err *err)
{
	(void)flags;
	if (e->t->sentence.late && put_spaces(e, &text, err) < 0)
		return -1;
	return encode_plain(e, text, ids, err);
}

/* Text without the tokens that are found before normalization. */
static int
rest_raw(struct encoder *e, str text, int flags, struct ids *ids, struct err *err)
{
	const struct tokenizer *t = e->t;
	bool first = text.p == e->begin;

	e->piece = text;
	if (t->spm.on) {
		buf_reset(&e->spaced);
		if (spm_normalize(&t->spm, text, &e->spaced, err) < 0)
			return -1;
		text = buf_str(&e->spaced);
	} else if (normal_text(&t->normalizer, &e->normal, &text, err) < 0) {
		return -1;
	}
	e->begin = first && !e->normal.cut ? text.p : NULL;
	if (t->sentence.on && !t->sentence.late && !t->spm.on && put_spaces(e, &text, err) < 0)
		return -1;
	if (t->normal.nodes > 0 && (t->plain_normal || (flags & ENCODE_SPECIAL) != 0))
		return encode_around(e, &t->normal, text, flags, ids, rest_plain, err);
	return rest_plain(e, text, flags, ids, err);
}

int
encode(struct encoder *e, str text, int flags, struct ids *ids, struct err *err)
{
	const struct tokenizer *t = e->t;
	ptrdiff_t bad = (flags & ENCODE_CHECKED) != 0 ? -1 : utf8_bad(text);

	if (bad >= 0)
		return err_set(err, ERR_FORMAT, "byte %td of the text is not UTF-8", bad);
	e->begin = text.p;
	if (t->raw.nodes > 0 && (t->plain_raw || (flags & ENCODE_SPECIAL) != 0))
		return encode_around(e, &t->raw, text, flags, ids, rest_raw, err);
	return rest_raw(e, text, flags, ids, err);
}

int
encode_parts(struct encoder *e, struct encode_parts *parts, struct ids *ids, struct err *err)
{
	int ret;

	e->parts = parts;
	buf_reset(&parts->cuts);
	add_cut(e, parts->text.p, ids);
	ret = encode(e, parts->text, ENCODE_SPECIAL, ids, err);
	e->parts = NULL;
	return ret < 0 ? -1 : buf_ok(&parts->cuts, err);
}

int
encode_piece(struct encoder *e, const struct encode_parts *parts, ptrdiff_t start, ptrdiff_t end,
    struct ids *ids, struct err *err)
{
	e->begin = parts->text.p;
	return rest_raw(e, (str){ parts->text.p + start, end - start }, 0, ids, err);
}

int64_t
encode_text(struct encoded *e, const struct tokenizer *t, str text, struct err *err)
{
	if (e->encoder == NULL && (e->encoder = encoder_new(t, err)) == NULL)
		return -1;
	e->ids.n = 0;
	return encode(e->encoder, text, ENCODE_CHECKED, &e->ids, err) < 0 ? -1 : e->ids.n;
}

void
encoded_free(struct encoded *e)
{
	encoder_free(e->encoder);
	ids_free(&e->ids);
}
