#include "token/chunks.h"

#include <stdlib.h>

#include "token/tokenizer_impl.h"

#define BLOCK	((ptrdiff_t)32 << 10)	/* bytes that are encoded at a time */
#define CLOSERS	8			/* quotes and brackets behind a sentence */
#define NEAR	512			/* bytes to find a seam in */

/* How good a place is to cut at. */
enum cut { CUT_NONE, CUT_CHAR, CUT_WORD, CUT_SENTENCE, CUT_PARAGRAPH, CUT_SECTION };

struct chunker {
	const struct tokenizer	*tok;
	struct chunk_opts	 o;
	struct encoder		*e;
	struct ids		 ids;
	str			 text;
	struct buf		 ends;		/* u32: where each token of the text ends */
	struct buf		 gaps;		/* u32: counts do not add up from, to, ... */
	bool			 adds_up;	/* counts do between seams */
	struct buf		 fences;	/* u32: of Markdown, where each begins or ends */
	struct buf		 chunks;
};

/*
 * Is the text cut in two at any space behind an ASCII character, whatever is around it?
 * Not where a token that is added goes over one.
 */
static bool
has_seams(const struct tokenizer *t)
{
	enum scan pattern;
	bool digits;

	if (!pretoken_bytes(t->pre) || !pretoken_parts(t->pre, &pattern, &digits) ||
	    pattern == SCAN_NONE || (t->normalizer.n > 0 &&
	    !normal_is_form(&t->normalizer, UNI_NFC)))
		return false;
	for (int32_t id = 0; id < t->n; id++) {
		str s = t->name[id];

		if ((t->kind[id] & TOKEN_ADDED) != 0 && (t->kind[id] & TOKEN_SPECIAL) == 0 &&
		    ((t->kind[id] & (TOKEN_LSTRIP | TOKEN_RSTRIP | TOKEN_WORD)) != 0 ||
		    memchr(s.p, ' ', (size_t)s.n) != NULL))
			return false;
	}
	return true;
}

struct chunker *
chunker_new(const struct tokenizer *t, const struct chunk_opts *o, struct err *err)
{
	struct chunker *c;

	if (o->tokens < CHUNK_TOKENS_MIN || o->tokens > CHUNK_TOKENS_MAX || o->overlap < 0 ||
	    o->overlap > o->tokens / 2) {
		err_set(err, ERR_ARG, "chunks of %lld tokens, of which %lld overlap: at least %d, "
		    "and half of them", (long long)o->tokens, (long long)o->overlap,
		    CHUNK_TOKENS_MIN);
		return NULL;
	}
	if ((c = calloc(1, sizeof(*c))) == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	c->tok = t;
	c->o = *o;
	c->adds_up = has_seams(t);
	c->ends.limit = c->gaps.limit = c->fences.limit = c->chunks.limit = (ptrdiff_t)1 << 36;
	if ((c->e = encoder_new(t, err)) == NULL) {
		chunker_free(c);
		return NULL;
	}
	return c;
}

void
chunker_free(struct chunker *c)
{
	if (c == NULL)
		return;
	encoder_free(c->e);
	ids_free(&c->ids);
	buf_free(&c->ends);
	buf_free(&c->gaps);
	buf_free(&c->fences);
	buf_free(&c->chunks);
	free(c);
}

/* ---- tokens ---- */

/* How many of n ascending numbers are at most x. */
static int64_t
at_most(const struct buf *b, ptrdiff_t x)
{
	const uint32_t *at = (const uint32_t *)(const void *)b->p;
	int64_t lo = 0, hi = b->n / (ptrdiff_t)sizeof(*at);

	while (lo < hi) {
		int64_t mid = lo + (hi - lo) / 2;

		if ((ptrdiff_t)at[mid] <= x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void
put_u32(struct buf *b, ptrdiff_t x)
{
	uint32_t at = (uint32_t)x;

	buf_add(b, (str){ (const char *)&at, sizeof(at) });
}

/* Is p where has_seams() has them? */
static bool
is_seam(str t, ptrdiff_t p)
{
	return p == 0 || p == t.n || (t.p[p] == ' ' && t.p[p - 1] > ' ' && t.p[p - 1] < 0x7f);
}

/*
 * Where the tokens of [from, to) end.  When they do not make up these bytes, for the
 * text is normalized or they have spaces of their own, their ends are spread evenly.
 */
static int
add_ends(struct chunker *c, ptrdiff_t from, ptrdiff_t to, struct err *err)
{
	ptrdiff_t n = to - from, total = 0;
	uint32_t *end;

	c->ids.n = 0;
	if (encode(c->e, (str){ c->text.p + from, n }, ENCODE_CHECKED, &c->ids, err) < 0)
		return -1;
	end = (uint32_t *)(void *)buf_room(&c->ends, c->ids.n * (ptrdiff_t)sizeof(*end));
	if (end == NULL)
		return buf_ok(&c->ends, err);
	for (int64_t i = 0; i < c->ids.n; i++) {
		total += c->tok->bytes[c->ids.id[i]].n;
		end[i] = (uint32_t)(from + total);
	}
	for (int64_t i = 0; total != n && i < c->ids.n; i++)
		end[i] = (uint32_t)(from + (total == 0 ? n : (ptrdiff_t)((double)(end[i] - from) /
		    (double)total * (double)n)));
	if (total != n) {
		put_u32(&c->gaps, from);
		put_u32(&c->gaps, to);
	}
	c->ends.n += c->ids.n * (ptrdiff_t)sizeof(*end);
	return 0;
}

/* Where the block from a byte on ends: at a seam, or else a line or a character. */
static ptrdiff_t
block_end(struct chunker *c, ptrdiff_t from)
{
	str t = c->text;
	ptrdiff_t to = from + BLOCK, p;
	const char *line;

	if (to >= t.n)
		return t.n;
	for (p = to; p > to - NEAR; p--)
		if (is_seam(t, p))
			return p;
	line = memrchr(t.p + from, '\n', BLOCK);
	while ((t.p[to] & 0xc0) == 0x80)
		to--;
	to = line != NULL ? line + 1 - t.p : to;
	put_u32(&c->gaps, to);
	put_u32(&c->gaps, to);
	return to;
}

/* The whole text, block by block. */
static int
find_ends(struct chunker *c, struct err *err)
{
	ptrdiff_t to;

	buf_reset(&c->ends);
	buf_reset(&c->gaps);
	for (ptrdiff_t from = 0; from < c->text.n; from = to) {
		to = block_end(c, from);
		if (add_ends(c, from, to, err) < 0)
			return -1;
	}
	return buf_ok(&c->gaps, err);
}

int64_t
chunker_count(const struct chunker *c, ptrdiff_t start, ptrdiff_t end)
{
	return at_most(&c->ends, end) - at_most(&c->ends, start);
}

/* Where the first n tokens from start on end. */
static ptrdiff_t
after_tokens(const struct chunker *c, ptrdiff_t start, int64_t n)
{
	int64_t i = at_most(&c->ends, start) + n - 1;

	if (i >= c->ends.n / (ptrdiff_t)sizeof(uint32_t))
		return c->text.n;
	return (ptrdiff_t)((const uint32_t *)(const void *)c->ends.p)[i];
}

static int64_t
encoded(struct chunker *c, ptrdiff_t start, ptrdiff_t end, struct err *err)
{
	c->ids.n = 0;
	if (encode(c->e, (str){ c->text.p + start, end - start }, ENCODE_CHECKED, &c->ids, err) < 0)
		return -1;
	return c->ids.n;
}

/* The tokens of a part by itself. */
static int64_t
count_alone(struct chunker *c, ptrdiff_t start, ptrdiff_t end, struct err *err)
{
	ptrdiff_t from = start, to = end;
	int64_t before = 0, after = 0, gaps;

	while (from < end && from < start + NEAR && !is_seam(c->text, from))
		from++;
	while (to > from && to > end - NEAR && !is_seam(c->text, to))
		to--;
	gaps = at_most(&c->gaps, from - 1);
	if (!c->adds_up || from >= to || !is_seam(c->text, from) || !is_seam(c->text, to) ||
	    gaps % 2 == 1 || at_most(&c->gaps, to) != gaps)
		return encoded(c, start, end, err);
	if ((from > start && (before = encoded(c, start, from, err)) < 0) ||
	    (to < end && (after = encoded(c, to, end, err)) < 0))
		return -1;
	return before + chunker_count(c, from, to) + after;
}

/* ---- places to cut at ---- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Does a line of Markdown that begins here open or close a fence? */
static bool
is_fence(str line)
{
	ptrdiff_t i = 0;

	while (i < 3 && i < line.n && line.p[i] == ' ')
		i++;
	line = (str){ line.p + i, line.n - i };
	return str_starts(line, S("```")) || str_starts(line, S("~~~"));
}

static void
find_fences(struct chunker *c)
{
	str rest = c->text;

	buf_reset(&c->fences);
	while (c->o.kind == CHUNK_MARKDOWN && rest.p != NULL) {
		ptrdiff_t at = rest.p - c->text.p;

		if (is_fence(str_cut(&rest, '\n')))
			put_u32(&c->fences, at);
	}
}

/* Is the line that begins at p inside a fence? */
static bool
in_fence(const struct chunker *c, ptrdiff_t p)
{
	return at_most(&c->fences, p - 1) % 2 == 1;
}

static bool
is_closer(int32_t c)
{
	return c == '"' || c == '\'' || c == ')' || c == ']' || c == '}' || c == 0x201d ||
	    c == 0x2019 || c == 0xbb || c == 0x300d || c == 0x300f || c == 0xff09;
}

/* Scripts without spaces between words: Han, Kana and what is written with them. */
static bool
is_wide(int32_t c)
{
	return (c >= 0x2e80 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff) ||
	    (c >= 0xff00 && c <= 0xffef) || (c >= 0x20000 && c <= 0x3ffff);
}

/* Does a sentence end at p?  Not where an initial or a small letter says that it goes on. */
static bool
sentence_ends(str t, ptrdiff_t p)
{
	const char *at = t.p + p, *next = at, *end = t.p + t.n;
	int32_t c = 0;

	while (at > t.p && (is_blank(at[-1]) || at[-1] == '\n'))
		at--;
	for (int i = 0; at > t.p && i < CLOSERS; i++)
		if (!is_closer(c = utf8_prev(t.p, &at)))
			break;
	if ((uni_class(c) & UNI_TERMINAL) == 0)
		return false;
	if (c == '.' && at > t.p) {
		int32_t letter = utf8_prev(t.p, &at);

		if ((uni_class(letter) & (UNI_UPPER | UNI_LOWER)) == UNI_UPPER && (at == t.p ||
		    (uni_class(utf8_prev(t.p, &at)) & UNI_LETTER) == 0))
			return false;
	}
	while (next < end && (is_blank(*next) || *next == '\n'))
		next++;
	return next == end ||
	    (uni_class(utf8_next(&next, end)) & (UNI_UPPER | UNI_LOWER)) != UNI_LOWER;
}

/* What a line of Markdown that begins with these bytes is. */
static enum cut
markdown_line(str line)
{
	ptrdiff_t i = 0;

	while (i < line.n && line.p[i] == '#')
		i++;
	if (i > 0 && i <= 6 && i < line.n && is_blank(line.p[i]))
		return CUT_SECTION;
	for (i = 0; i < line.n && line.p[i] == ' '; )
		i++;
	return i < line.n && strchr("-*+|>0123456789", line.p[i]) != NULL ? CUT_SENTENCE : CUT_WORD;
}

/* Before a line. */
static enum cut
line_cut(const struct chunker *c, ptrdiff_t p)
{
	str t = c->text, line = { t.p + p, t.n - p };
	ptrdiff_t before = p - 1, after = p;
	enum cut cut = c->o.kind == CHUNK_LINES ? CUT_SENTENCE : CUT_WORD;
	bool blank, blank_before;

	while (after < t.n && is_blank(t.p[after]))
		after++;
	while (before > 0 && is_blank(t.p[before - 1]))
		before--;
	blank = after == t.n || t.p[after] == '\n';
	blank_before = before == 0 || t.p[before - 1] == '\n';
	if (c->o.kind == CHUNK_MARKDOWN) {
		if (in_fence(c, p))
			return CUT_SENTENCE;
		if ((cut = markdown_line(line)) == CUT_SECTION)
			return cut;
	}
	/* Blank lines are best left to what they end. */
	if (blank || blank_before)
		return blank && blank_before ? CUT_WORD : CUT_PARAGRAPH;
	return cut == CUT_WORD && sentence_ends(t, p) ? CUT_SENTENCE : cut;
}

/* Before byte p of the text, 0 < p < its length. */
static enum cut
cut_at(const struct chunker *c, ptrdiff_t p)
{
	str t = c->text;
	const char *at = t.p + p, *next = at;
	int32_t a, b;

	if ((t.p[p] & 0xc0) == 0x80)
		return CUT_NONE;
	if (t.p[p - 1] == '\n')
		return line_cut(c, p);
	/* Spaces go with the word that they are before, as tokens have them. */
	if (t.p[p] != '\r' && is_blank(t.p[p]) && !is_blank(t.p[p - 1]))
		return c->o.kind != CHUNK_LINES && sentence_ends(t, p) ? CUT_SENTENCE : CUT_WORD;
	if ((t.p[p - 1] & 0x80) == 0 && (t.p[p] & 0x80) == 0)
		return CUT_CHAR;
	a = utf8_prev(t.p, &at);
	b = utf8_next(&next, t.p + t.n);
	if ((!is_wide(a) && !is_wide(b)) || is_closer(b) ||
	    (uni_class(b) & (UNI_PUNCT | UNI_TERMINAL | UNI_MARK)) != 0)
		return CUT_CHAR;
	return c->o.kind != CHUNK_LINES && is_wide(a) &&
	    (uni_class(a) & (UNI_TERMINAL | UNI_PUNCT)) != 0 && sentence_ends(t, p) ?
	    CUT_SENTENCE : CUT_WORD;
}

/*
 * The last of the best places in (start, limit], which is before the end.  What would be
 * white space alone is not cut off.
 */
static ptrdiff_t
best_cut(const struct chunker *c, ptrdiff_t start, ptrdiff_t limit)
{
	enum cut most = c->o.kind == CHUNK_MARKDOWN ? CUT_SECTION : CUT_PARAGRAPH, best = CUT_NONE;
	ptrdiff_t at = start, from = start;

	while (from < limit && (is_blank(c->text.p[from]) || c->text.p[from] == '\n'))
		from++;
	from = from == limit ? start : from;
	for (ptrdiff_t p = limit; p > from && best < most; p--) {
		enum cut cut = cut_at(c, p);

		if (cut > best) {
			best = cut;
			at = p;
		}
	}
	return at;
}

/* ---- chunks ---- */

static ptrdiff_t
next_char(str t, ptrdiff_t p)
{
	do
		p++;
	while (p < t.n && (t.p[p] & 0xc0) == 0x80);
	return p;
}

/* The chunk that begins at chunk->start. */
static int
next_chunk(struct chunker *c, struct text_chunk *chunk, struct err *err)
{
	ptrdiff_t start = chunk->start, most = c->text.n, one = next_char(c->text, start), limit;
	int64_t want = c->o.tokens;

	for (;;) {
		limit = after_tokens(c, start, want);
		limit = limit > most ? most : limit;
		chunk->end = limit == c->text.n ? limit : best_cut(c, start, limit);
		if (chunk->end <= start)
			chunk->end = one;
		if ((chunk->tokens = count_alone(c, start, chunk->end, err)) < 0)
			return -1;
		if (chunk->tokens <= c->o.tokens)
			return 0;
		if (chunk->end == one)
			return err_set(err, ERR_FORMAT, "the character at byte %td is %lld tokens",
			    start, (long long)chunk->tokens);
		/* By itself it has more than in the whole: less of it. */
		most = chunk->end - 1;
		limit = (ptrdiff_t)((double)want * (double)c->o.tokens / (double)chunk->tokens);
		want = limit < want - 1 ? limit : want - 1;
		want = want < 1 ? 1 : want;
	}
}

/* Where the overlap with what ends at end begins: with a sentence, else a word. */
static ptrdiff_t
overlap_start(const struct chunker *c, const struct text_chunk *last)
{
	int64_t tokens = at_most(&c->ends, last->end) - c->o.overlap;
	ptrdiff_t from = last->end, word = last->end;

	if (c->o.overlap == 0)
		return last->end;
	from = tokens > 0 ? (ptrdiff_t)((const uint32_t *)(const void *)c->ends.p)[tokens - 1] : 0;
	from = from <= last->start ? last->start + 1 : from;
	for (ptrdiff_t p = from; p < last->end; p++) {
		enum cut cut = cut_at(c, p);

		if (cut >= CUT_SENTENCE)
			return p;
		if (cut == CUT_WORD && word == last->end)
			word = p;
	}
	return word;
}

int64_t
chunker_cut(struct chunker *c, str text, const struct text_chunk **chunk, struct err *err)
{
	struct text_chunk next = { 0 }, last = { 0 };

	if (text.n > UINT32_MAX)
		return err_set(err, ERR_LIMIT, "a text of more than 4 GiB");
	c->text = text;
	buf_reset(&c->chunks);
	if (find_ends(c, err) < 0)
		return -1;
	find_fences(c);
	while (last.end < text.n) {
		next.start = overlap_start(c, &last);
		if (next_chunk(c, &next, err) < 0)
			return -1;
		/* What comes next does not fit behind the overlap. */
		if (next.end <= last.end) {
			next.start = last.end;
			if (next_chunk(c, &next, err) < 0)
				return -1;
		}
		last = next;
		buf_add(&c->chunks, (str){ (const char *)&last, sizeof(last) });
	}
	*chunk = (const struct text_chunk *)(const void *)c->chunks.p;
	if (buf_ok(&c->chunks, err) < 0 || buf_ok(&c->fences, err) < 0)
		return -1;
	return c->chunks.n / (ptrdiff_t)sizeof(last);
}
