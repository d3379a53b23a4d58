/*
 * The vocabulary, the merges and the added tokens of tokenizer.json.  They are
 * megabytes, so they are read in place, without a tree; what is read here has
 * been checked with the file.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/json.h"
#include "token/tokenizer_impl.h"
#include "token/tokenizer_save.h"

#define AHEAD	32		/* strings whose places are on their way from memory */

/* One token, before its id has a place. */
struct item {
	str	name, bytes;
	double	score;		/* of Unigram */
	int32_t	id;
	uint8_t	kind;
};

struct reader {
	struct tokenizer *t;
	struct hasher	*hash;
	struct item	*item;
	int64_t		 n, cap;
	char		*to, *end;	/* room in the pool */
	int32_t		 merged;	/* what the last merge made */
	struct buf	 text;
};

ptrdiff_t
vocab_bytes(const struct tokenizer *t, str name, char *to)
{
	const char *p = name.p, *end = name.p + name.n;
	ptrdiff_t n = 0;
	int byte;

	if (t->sentence.on)
		return sentence_bytes(to, name);
	if (t->names.on) {
		memcpy(to, name.p, (size_t)name.n);
		return name.n;
	}
	while (p < end) {
		if ((byte = bytemap_byte(utf8_next(&p, end))) < 0)
			return -1;
		to[n++] = (char)byte;
	}
	return n;
}

/* An item whose name is what was put at r->to, n bytes. */
static int
item_new(struct reader *r, ptrdiff_t n, double id, struct item **item, struct err *err)
{
	struct item *it;

	if (!(id >= 0 && id < IDS_MAX && id == (double)(int32_t)id))
		return err_set(err, ERR_LIMIT, "token id %.17g: not from 0 to %d", id,
		    (int)IDS_MAX - 1);
	if (r->n == r->cap) {
		int64_t cap = r->cap == 0 ? 4096 : 2 * r->cap;

		if (cap > 2 * (int64_t)IDS_MAX)
			return err_set(err, ERR_LIMIT, "more than %d tokens", (int)IDS_MAX);
		if ((it = realloc(r->item, (size_t)cap * sizeof(*it))) == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		r->item = it;
		r->cap = cap;
	}
	it = &r->item[r->n++];
	*it = (struct item){ .id = (int32_t)id };
	it->name = (str){ r->to, n };
	r->to += n;
	it->bytes = it->name;
	if (it->id >= r->t->n)
		r->t->n = it->id + 1;
	*item = it;
	return 0;
}

/* A token of SentencePiece: text, or <0x..> for a byte that stands for no character. */
static void
set_sentence(struct reader *r, struct item *it)
{
	const struct unigram *u = &r->t->unigram;
	int byte = u->on && !u->fallback ? -1 : sentence_byte(it->name);

	it->bytes = (str){ r->to, byte < 0 ? sentence_bytes(r->to, it->name) : 1 };
	if (byte >= 0)
		*r->to = (char)byte;
	else
		it->kind = TOKEN_BYTES;
	r->t->sentence.whole |= byte < 0 && sentence_inner(it->bytes);
	r->to += it->bytes.n;
}

static void
classify(struct reader *r, struct item *it)
{
	struct tokenizer *t = r->t;
	ptrdiff_t n;

	it->kind = TOKEN_ODD;
	if (t->names.on) {
		it->kind = TOKEN_BYTES;
		t->wordpiece.piece = it->name.n > t->wordpiece.piece ? it->name.n :
		    t->wordpiece.piece;
	} else if (t->sentence.on) {
		set_sentence(r, it);
	} else if ((n = vocab_bytes(t, it->name, r->to)) >= 0) {
		it->kind = TOKEN_BYTES;
		it->bytes = (str){ r->to, n };
		r->to += n;
	}
}

/* A name and its bytes are never longer than what stands in the file. */
static int
item_add(struct reader *r, str raw, double id, struct item **item, struct err *err)
{
	return item_new(r, json_unescape(r->to, (str){ raw.p, raw.n }), id, item, err);
}

static int
read_vocab(struct reader *r, str vocab, struct err *err)
{
	struct json_member m;
	ptrdiff_t at = 1;
	struct item *it;
	double id;

	while (json_member(vocab, &at, &m)) {
		if (json_number(m.value, &id, err) < 0 || item_add(r, m.key, id, &it, err) < 0)
			return -1;
		classify(r, it);
	}
	return 0;
}

static bool
is_true(str v)
{
	return str_eq(v, S("true"));
}

static int
read_added(struct reader *r, str list, struct err *err)
{
	enum { ID, CONTENT, SPECIAL, LSTRIP, RSTRIP, WORD, NORMALIZED, N };
	static const uint8_t bit[N] = {
		[SPECIAL] = TOKEN_SPECIAL, [LSTRIP] = TOKEN_LSTRIP, [RSTRIP] = TOKEN_RSTRIP,
		[WORD] = TOKEN_WORD, [NORMALIZED] = TOKEN_NORMALIZED,
	};
	const str key[N] = {
		[ID] = S("id"), [CONTENT] = S("content"), [SPECIAL] = S("special"),
		[LSTRIP] = S("lstrip"), [RSTRIP] = S("rstrip"), [WORD] = S("single_word"),
		[NORMALIZED] = S("normalized"),
	};
	struct json_member m[N];
	ptrdiff_t at = 1;
	struct item *it;
	double id;
	str token;

	if (!json_given(list))
		return 0;
	if (list.p[0] != '[')
		return err_set(err, ERR_FORMAT, "added_tokens is not an array");
	while (json_element(list, &at, &token)) {
		if (token.p[0] != '{')
			return err_set(err, ERR_FORMAT, "an added token is not an object");
		if (json_scan(token, key, N, m, err) < 0)
			return -1;
		if (m[ID].value.p == NULL || m[CONTENT].value.p == NULL ||
		    m[CONTENT].value.p[0] != '"')
			return err_set(err, ERR_FORMAT, "an added token without id or content");
		if (json_number(m[ID].value, &id, err) < 0 ||
		    item_add(r, (str){ m[CONTENT].value.p + 1, m[CONTENT].value.n - 2 }, id, &it,
		    err) < 0)
			return -1;
		it->kind = TOKEN_ADDED;
		if (r->t->sentence.on) {
			it->bytes = (str){ r->to, sentence_bytes(r->to, it->name) };
			r->to += it->bytes.n;
		}
		for (int i = SPECIAL; i < N; i++)
			if (m[i].value.p != NULL && is_true(m[i].value))
				it->kind |= bit[i];
	}
	return 0;
}

/* Give each token the place of its id. */
static int
place_items(struct reader *r, struct err *err)
{
	struct tokenizer *t = r->t;
	int64_t nodd = 0;

	if (r->n == 0)
		return err_set(err, ERR_FORMAT, "the vocabulary is empty");
	t->kind = calloc((size_t)t->n, sizeof(*t->kind));
	t->name = calloc((size_t)t->n, sizeof(*t->name));
	t->bytes = calloc((size_t)t->n, sizeof(*t->bytes));
	if (t->kind == NULL || t->name == NULL || t->bytes == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t i = 0; i < r->n; i++)
		nodd += r->item[i].kind != TOKEN_BYTES;
	if (strmap_init(&t->by_bytes, r->n, t->bytes, err) < 0 ||
	    strmap_init(&t->by_name, nodd, t->name, err) < 0)
		return -1;
	for (int64_t i = 0; i < r->n; i++) {
		const struct item *it = &r->item[i];
		int32_t id = it->id;

		if (i + AHEAD < r->n)
			strmap_soon(&t->by_bytes, it[AHEAD].bytes);
		if ((t->kind[id] & (TOKEN_BYTES | TOKEN_ODD)) != 0 &&
		    ((it->kind & TOKEN_ADDED) == 0 || !str_eq(t->name[id], it->name)))
			return err_set(err, ERR_FORMAT, "token id %d has two texts: '%.*s', '%.*s'",
			    (int)id, (int)(t->name[id].n < 99 ? t->name[id].n : 99), t->name[id].p,
			    (int)(it->name.n < 99 ? it->name.n : 99), it->name.p);
		/* A name twice, or added twice: the later one counts, as in the reference. */
		t->kind[id] |= it->kind;
		t->name[id] = it->name;
		if ((it->kind & TOKEN_ADDED) == 0 || t->bytes[id].p == NULL)
			t->bytes[id] = it->bytes;
		if ((it->kind == TOKEN_BYTES ? strmap_add(&t->by_bytes, id) != id :
		    strmap_add(&t->by_name, id) != id) && !t->unigram.on)
			return err_set(err, ERR_FORMAT, "token '%.*s' has two ids",
			    (int)(it->name.n < 99 ? it->name.n : 99), it->name.p);
	}
	return 0;
}

/* An added token that the vocabulary has too must have the same id there. */
static int
check_added(struct reader *r, struct err *err)
{
	const struct tokenizer *t = r->t;

	for (int64_t i = 0; i < r->n; i++) {
		const struct item *it = &r->item[i];
		ptrdiff_t n;
		int32_t id;

		if (t->unigram.on || (it->kind & TOKEN_ADDED) == 0 ||
		    it->name.n > r->end - r->to ||
		    (n = vocab_bytes(t, it->name, r->to)) < 0)
			continue;
		id = strmap_find(&t->by_bytes, (str){ r->to, n });
		if (id >= 0 && id != it->id)
			return err_set(err, ERR_FORMAT, "token '%.*s' has two ids: %d and %d",
			    (int)(it->name.n < 99 ? it->name.n : 99), it->name.p, (int)id,
			    (int)it->id);
	}
	return 0;
}

/* Make the added tokens findable in text. */
static int
index_added(struct tokenizer *t, struct err *err)
{
	struct normal_scratch scratch = { 0 };
	struct buf b = { 0 };
	int ret = 0;

	for (int32_t id = 0; id < t->n && ret == 0; id++) {
		bool user = t->spm.on && (t->kind[id] & TOKEN_SPECIAL) == 0;
		bool normal = user || (t->kind[id] & TOKEN_NORMALIZED) != 0;
		str name = t->name[id];

		if ((t->kind[id] & TOKEN_ADDED) == 0 || name.n == 0)
			continue;
		if (normal && (ret = normal_text(&t->normalizer, &scratch, &name, err)) < 0)
			break;
		if (user) {
			name = t->bytes[id];
		} else if (normal && t->sentence.on && !t->sentence.late) {
			buf_reset(&b);
			sentence_text(&t->sentence, &b, name, t->sentence.prefix);
			if ((ret = buf_ok(&b, err)) < 0)
				break;
			name = buf_str(&b);
		}
		ret = added_put(normal ? &t->normal : &t->raw, name, id, err);
		if ((t->kind[id] & TOKEN_SPECIAL) == 0)
			*(normal ? &t->plain_normal : &t->plain_raw) = true;
	}
	normal_scratch_free(&scratch);
	buf_free(&b);
	return ret;
}

/* ---- merges ---- */

/*
 * The next merge, "a b" or ["a", "b"], as two bare strings.  Return 1; 2 when they
 * are as written between quotes; 0 at the end, or -1.
 */
static int
next_merge(str merges, ptrdiff_t *at, str *element, str part[2], struct buf *text, struct err *err)
{
	str whole;

	if (json_enter(merges, at)) {
		const char *start = merges.p + *at - 1;
		bool two = json_element(merges, at, &part[0]) && part[0].p[0] == '"' &&
		    json_element(merges, at, &part[1]) && part[1].p[0] == '"';

		json_leave(merges, at);
		*element = (str){ start, merges.p + *at - start };
		for (int i = 0; two && i < 2; i++)
			part[i] = (str){ part[i].p + 1, part[i].n - 2 };
		return two ? 2 : err_set(err, ERR_FORMAT, "a merge is not two strings");
	}
	if (!json_element(merges, at, element))
		return 0;
	if (element->p[0] != '"')
		return err_set(err, ERR_FORMAT, "a merge is not two strings");
	if (json_text(*element, text, &whole, err) < 0)
		return -1;
	part[0] = str_cut(&whole, ' ');
	part[1] = whole;
	if (part[1].n == 0 || memchr(part[1].p, ' ', (size_t)part[1].n) != NULL)
		return err_set(err, ERR_FORMAT, "a merge is not two strings");
	return 1;
}

/* A merge whose tokens are to be found. */
struct merge_text {
	str		element;
	char		*start;		/* the bytes of its parts, one behind the other */
	ptrdiff_t	n[2];		/* -1: it has none */
};

/* The bytes of what a part names go to r->to; return how many, or -1. */
static ptrdiff_t
part_bytes(struct reader *r, str part, bool plain)
{
	char *name = r->to + part.n;	/* behind the bytes, which are fewer */
	ptrdiff_t n;

	if (part.n * 2 > r->end - r->to)
		return -1;
	if (!plain)
		part = (str){ name, json_unescape(name, part) };
	if ((n = vocab_bytes(r->t, part, r->to)) < 0)
		return -1;
	strmap_soon(&r->t->by_bytes, (str){ r->to, n });
	r->to += n;
	return n;
}

static int
merge_text(struct reader *r, str merges, ptrdiff_t *at, struct merge_text *m, struct err *err)
{
	str part[2];
	int got = next_merge(merges, at, &m->element, part, &r->text, err);

	if (got <= 0)
		return got;
	m->start = r->to;
	m->n[0] = part_bytes(r, part[0], got == 1);
	m->n[1] = m->n[0] >= 0 ? part_bytes(r, part[1], got == 1) : -1;
	return 1;
}

/* The token of two parts that stand at start; by name the second loses its prefix. */
static int32_t
merged_id(struct reader *r, char *start, const ptrdiff_t n[2])
{
	ptrdiff_t prefix = r->t->names.n_affix[0];
	str both = { start, n[0] + n[1] - prefix };

	if (n[1] < prefix)
		return -1;
	memmove(start + n[0], start + n[0] + prefix, (size_t)(n[1] - prefix));
	/* Mostly the tokens stand in the order in which they are made, some in several ways. */
	for (int32_t likely = r->merged; likely <= r->merged + 1; likely++)
		if (likely >= 0 && likely < r->t->n && r->t->kind[likely] == TOKEN_BYTES &&
		    str_eq(r->t->bytes[likely], both))
			return r->merged = likely;
	return r->merged = strmap_find(&r->t->by_bytes, both);
}

static int
add_merge(struct reader *r, struct merge_text *m, uint32_t rank, struct err *err)
{
	const struct strmap *tokens = &r->t->by_bytes;
	int32_t id[3] = { -1, -1, -1 };

	if (m->n[0] >= 0)
		id[0] = strmap_find(tokens, (str){ m->start, m->n[0] });
	if (m->n[1] >= 0)
		id[1] = strmap_find(tokens, (str){ m->start + m->n[0], m->n[1] });
	if (id[0] >= 0 && id[1] >= 0)
		id[2] = merged_id(r, m->start, m->n);
	if (id[2] < 0)
		return err_set(err, ERR_FORMAT, "merge %u, %.*s: not in the vocabulary",
		    (unsigned)rank + 1, (int)(m->element.n < 99 ? m->element.n : 99),
		    m->element.p);
	bpe_add(&r->t->bpe, id[0], id[1], rank, id[2]);
	hasher_add(r->hash, (str){ (const char *)id, 8 });
	return 0;
}

static void
set_byte_ids(struct tokenizer *t)
{
	for (int b = 0; b < 256; b++) {
		char c = (char)b, name[8];

		snprintf(name, sizeof(name), "<0x%02X>", (unsigned)b);
		t->bpe.byte_id[b] = t->sentence.on ? strmap_find(&t->by_name, str_of(name)) :
		    strmap_find(&t->by_bytes, t->names.on ? str_of(name) : (str){ &c, 1 });
		if (t->bpe.byte_id[b] < 0 && !t->sentence.on && !t->names.on)
			t->bpe.byte_id[b] = t->names.unknown;
	}
}

static int
read_merges(struct reader *r, str merges, struct err *err)
{
	struct merge_text text[AHEAD];
	char *start = r->to;
	ptrdiff_t at = 1;
	uint32_t rank = 0;
	int n, got = 1;

	if (merges.p[0] != '[')
		return err_set(err, ERR_FORMAT, "merges is not an array");
	/* A merge takes 5 bytes of the file at least. */
	if (bpe_init(&r->t->bpe, 2 * (int64_t)r->n + 65536 < merges.n / 5 ?
	    2 * (int64_t)r->n + 65536 : merges.n / 5, err) < 0)
		return -1;
	do {
		for (n = 0; n < AHEAD && (got = merge_text(r, merges, &at, &text[n], err)) > 0; n++)
			;
		if (got < 0)
			return -1;
		for (int i = 0; i < n; i++) {
			if (rank == 2 * r->n + 65536)
				return err_set(err, ERR_LIMIT, "more merges than tokens can need");
			if (add_merge(r, &text[i], rank++, err) < 0)
				return -1;
		}
		r->to = start;
	} while (n == AHEAD);
	return bpe_index(&r->t->bpe, err);
}

/* ---- Unigram ---- */

/*
 * A score as the reference reads it, whose last bit decides between ways of the
 * same pieces: its digits, rounded, times a power of ten, rounded again.  x: what
 * it is, for one with an exponent or beyond the powers of ten that are exact.
 */
static double
reference_score(str s, double x)
{
	uint64_t digits = 0;
	bool point = false;
	double scale = 1;
	int exponent = 0;

	for (ptrdiff_t i = s.p[0] == '-'; i < s.n; i++) {
		uint64_t digit = (uint64_t)(s.p[i] - '0');

		if (s.p[i] == 'e' || s.p[i] == 'E')
			return x;
		if (s.p[i] == '.')
			point = true;
		else if (digits > (UINT64_MAX - digit) / 10)
			exponent += !point;
		else
			digits = digits * 10 + digit, exponent -= point;
	}
	if (exponent < -22 || exponent > 22)
		return x;
	for (int i = abs(exponent); i > 0; i--)
		scale *= 10;
	x = exponent < 0 ? (double)digits / scale : (double)digits * scale;
	return s.p[0] == '-' ? -x : x;
}

/* [["<unk>", 0.0], ...]: the number of a piece is its place. */
static int
read_pieces(struct reader *r, str vocab, struct err *err)
{
	ptrdiff_t at = 1;
	struct item *it;
	str name, score;
	double x;

	for (;;) {
		bool good = json_enter(vocab, &at);

		if (!good && !json_element(vocab, &at, &name))
			return 0;
		if (!good || !json_element(vocab, &at, &name) || name.p[0] != '"' ||
		    !json_element(vocab, &at, &score) || json_number(score, &x, err) < 0)
			return err_set(err, ERR_FORMAT, "piece %" PRId64 " of Unigram is not a "
			    "text and a number", r->n);
		json_leave(vocab, &at);
		if (item_add(r, (str){ name.p + 1, name.n - 2 }, (double)r->n, &it, err) < 0)
			return -1;
		it->score = reference_score(score, x);
		classify(r, it);
	}
}

/*
 * Make the pieces findable.  Special tokens are none: in text their names are
 * text.  odd: those of bytes are, as the reference has it in tokenizer.json.
 */
static int
index_pieces(struct reader *r, bool odd, struct err *err)
{
	struct tokenizer *t = r->t;
	double *score = malloc((size_t)t->n * sizeof(*score)), least = (double)INFINITY;
	str *piece = calloc((size_t)t->n, sizeof(*piece));
	int32_t unknown = t->unigram.unknown;
	int ret;

	t->unigram.score = score;
	if (score == NULL || piece == NULL) {
		free(piece);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	for (int32_t i = 0; i < t->n; i++)
		score[i] = (double)NAN;
	for (int64_t i = 0; i < r->n; i++) {
		const struct item *it = &r->item[i];

		if ((it->kind & (TOKEN_BYTES | TOKEN_ODD)) == 0)
			continue;
		score[it->id] = it->score;
		least = it->score < least ? it->score : least;
		if ((t->kind[it->id] & TOKEN_SPECIAL) == 0 && (odd || it->kind != TOKEN_ODD))
			piece[it->id] = it->kind == TOKEN_ODD ? it->name : it->bytes;
	}
	/* As floats: to and from decimal the last bit of a score may change. */
	for (int32_t i = 0; i < t->n; i++) {
		float x = (float)score[i];

		hasher_add(r->hash, (str){ (const char *)&x, sizeof(x) });
	}
	hasher_add(r->hash, (str){ (const char *)&unknown, 4 });
	hasher_add(r->hash, t->unigram.fallback ? S("bytes") : S("Unigram"));
	t->unigram.byte_id = t->bpe.byte_id;
	if (unknown >= t->n || (unknown >= 0 && t->kind[unknown] == 0))
		ret = err_set(err, ERR_FORMAT, "unk_id %d of Unigram is no piece", (int)unknown);
	else
		ret = unigram_init(&t->unigram, t->n, piece, least, err);
	free(piece);
	return ret;
}

/* ---- the whole ---- */

static void
hash_tokens(const struct tokenizer *t, struct hasher *hash)
{
	for (int32_t id = 0; id < t->n; id++) {
		int32_t head[3] = { id, (int32_t)t->name[id].n, t->kind[id] };

		if (t->kind[id] == 0)
			continue;
		hasher_add(hash, (str){ (const char *)head, sizeof(head) });
		hasher_add(hash, t->name[id]);
	}
	hasher_add(hash, t->ignore_merges ? S("ignore_merges") : S("merges"));
}

static int
read_all(struct reader *r, const struct model *model, str added_tokens, struct err *err)
{
	str vocab = model->m[MODEL_VOCAB].value;
	str merges = model->kind == MODEL_BPE ? model->m[MODEL_MERGES].value : S("");
	/* Names and bytes, each at most what the file has; and room for a merge. */
	ptrdiff_t room = 2 * (vocab.n + added_tokens.n + merges.n) + 64;

	if ((r->t->pool = malloc((size_t)room + POOL_SLACK)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r->to = r->t->pool;
	r->end = r->to + room;
	if ((model->kind == MODEL_UNIGRAM ? read_pieces(r, vocab, err) :
	    read_vocab(r, vocab, err)) < 0 || read_added(r, added_tokens, err) < 0 ||
	    place_items(r, err) < 0 || check_added(r, err) < 0 || index_added(r->t, err) < 0)
		return -1;
	hash_tokens(r->t, r->hash);
	if (vocab_unknown(r->t, model, r->hash, err) < 0)
		return -1;
	if (model->kind == MODEL_BPE && read_merges(r, merges, err) < 0)
		return -1;
	set_byte_ids(r->t);
	return model->kind == MODEL_UNIGRAM ? index_pieces(r, true, err) : 0;
}

int
vocab_load(struct tokenizer *t, const struct model *model, str added_tokens,
    struct hasher *hash, struct err *err)
{
	struct reader r = { .t = t, .hash = hash };
	int ret = vocab_model(t, model, hash, err);

	if (ret == 0)
		ret = read_all(&r, model, added_tokens, err);
	free(r.item);
	buf_free(&r.text);
	return ret;
}

/* ---- from parts ---- */

static int
take_tokens(struct reader *r, const struct tokenizer_parts *p, struct err *err)
{
	struct item *it;

	for (int added = 0; added < 2; added++)
		for (int32_t i = 0; i < p->n; i++) {
			str s = p->token[i];

			if (s.p == NULL || (added && p->added[i] == ADDED_NOT) ||
			    (!added && p->unigram && p->added[i] != ADDED_NOT &&
			    isnan(p->logp[i])))
				continue;
			memcpy(r->to, s.p, (size_t)s.n);
			if (item_new(r, s.n, i, &it, err) < 0)
				return -1;
			if (!added && p->unigram)
				it->score = p->logp[i];
			if (!added)
				classify(r, it);
			else
				it->kind = p->added[i] == ADDED_SPECIAL ?
				    TOKEN_ADDED | TOKEN_SPECIAL : TOKEN_ADDED;
		}
	return 0;
}

static int
take_merges(struct reader *r, const struct tokenizer_parts *p, struct err *err)
{
	struct tokenizer *t = r->t;

	if (bpe_init(&t->bpe, p->nmerges, err) < 0)
		return -1;
	for (int64_t i = 0; i < p->nmerges; i++) {
		str x = t->bytes[p->merge[i][0]], y = t->bytes[p->merge[i][1]];
		int32_t id = -1;

		buf_reset(&r->text);
		buf_add(&r->text, x);
		buf_add(&r->text, y);
		if (buf_ok(&r->text, err) < 0)
			return -1;
		id = strmap_find(&t->by_bytes, buf_str(&r->text));
		if (id < 0)
			return err_set(err, ERR_FORMAT, "merge %" PRId64 ", of '%.*s' and '%.*s': "
			    "not in the vocabulary", i + 1, (int)(x.n < 99 ? x.n : 99), x.p,
			    (int)(y.n < 99 ? y.n : 99), y.p);
		bpe_add(&t->bpe, p->merge[i][0], p->merge[i][1], (uint32_t)i, id);
		hasher_add(r->hash, (str){ (const char *)p->merge[i], 8 });
	}
	return bpe_index(&t->bpe, err);
}

/* Ranks that fall as scores rise: the bits of floats in their order. */
static int
take_scores(struct reader *r, const struct tokenizer_parts *p, struct err *err)
{
	uint32_t *rank = malloc(((size_t)r->t->n + 1) * sizeof(*rank)), u;

	if (rank == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int32_t i = 0; i < r->t->n; i++) {
		memcpy(&u, &p->score[i], sizeof(u));
		u = u & 0x80000000 ? u : 0x7fffffff - u;
		rank[i] = p->added[i] != ADDED_NOT || u == UINT32_MAX ||
		    p->score[i] != p->score[i] ? UINT32_MAX : u;
	}
	hasher_add(r->hash, (str){ (const char *)p->score, p->n * 4 });
	return bpe_of_ranks(r->t, rank, err);
}

/* Tokens that are bytes in order of rank. */
static int
take_ranks(struct reader *r, const struct tokenizer_parts *p, struct err *err)
{
	uint32_t *rank = malloc(((size_t)r->t->n + 1) * sizeof(*rank));

	if (rank == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int32_t i = 0; i < r->t->n; i++)
		rank[i] = p->added[i] != ADDED_NOT ? UINT32_MAX : (uint32_t)i;
	hasher_add(r->hash, S("ranks"));
	return bpe_of_ranks(r->t, rank, err);
}

/* SentencePiece's own normal form, and its sums. */
static void
take_form(struct tokenizer *t, struct spm_form *form, struct hasher *hash)
{
	uint8_t flags[3] = { 's', form->prefix, form->trim };

	t->spm = *form;
	*form = (struct spm_form){ 0 };
	t->unigram.floats = t->unigram.on;
	t->sentence.late = false;
	hasher_add(hash, (str){ (const char *)flags, sizeof(flags) });
	hasher_add(hash, (str){ (const char *)t->spm.map.trie.unit,
	    (ptrdiff_t)t->spm.map.trie.n * 4 });
	hasher_add(hash, (str){ t->spm.map.text, t->spm.map.n });
}

int
vocab_take(struct tokenizer *t, const struct tokenizer_parts *p, struct hasher *hash,
    struct err *err)
{
	struct reader r = { .t = t, .hash = hash };
	ptrdiff_t room = 64;
	int ret = -1;

	for (int32_t i = 0; i < p->n; i++)
		room += 3 * p->token[i].n + 1;
	t->ignore_merges = p->ignore_merges;
	t->unigram.on = p->unigram;
	t->unigram.fallback = p->fallback;
	t->unigram.unknown = p->unk_id;
	if (p->spm != NULL)
		take_form(t, p->spm, hash);
	if ((t->pool = malloc((size_t)room + POOL_SLACK)) == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
	} else {
		r.to = t->pool;
		r.end = r.to + room;
		if (take_tokens(&r, p, err) == 0 && place_items(&r, err) == 0 &&
		    check_added(&r, err) == 0 && index_added(t, err) == 0) {
			hash_tokens(t, hash);
			set_byte_ids(t);
			ret = p->unigram ? 0 : p->score != NULL ? take_scores(&r, p, err) :
			    p->ranks ? take_ranks(&r, p, err) : take_merges(&r, p, err);
		}
	}
	if (ret == 0 && p->unigram)
		ret = index_pieces(&r, false, err);
	free(r.item);
	buf_free(&r.text);
	return ret;
}
