#include <math.h>
#include <stdlib.h>

#include "text/script.h"
#include "text/unicode.h"
#include "token/unigram_train_impl.h"

#define MARK	"\xe2\x96\x81"
#define END	0x110000		/* code points */
#define MANY	(2 * SEEDS)		/* candidates before the worse half is dropped */

/* ---- words ---- */

static bool
is_line(char c)
{
	return c == '\n' || c == '\r' || c == '\t';
}

/* The end of the word that begins at p. */
static const char *
word_end(const char *p, const char *end)
{
	bool line = is_line(*p);

	for (p++; p < end && is_line(*p) == line; p++)
		if (*p == MARK[0] && end - p >= 3 && memcmp(p, MARK, 3) == 0)
			break;
	return p;
}

int
unigram_add_text(struct words *w, struct buf *tmp, str text, struct err *err)
{
	const char *p = text.p, *end = text.p + text.n, *q;

	buf_reset(tmp);
	if (text.n > 0 && *p != ' ' && !str_starts(text, S(MARK)))
		buf_add(tmp, S(MARK));
	for (; p < end; p = q) {
		if ((q = memchr(p, ' ', (size_t)(end - p))) == NULL)
			q = end;
		buf_add(tmp, (str){ p, q - p });
		if (q < end) {
			buf_add(tmp, S(MARK));
			q++;
		}
	}
	if (buf_ok(tmp, err) < 0)
		return -1;
	for (p = tmp->p, end = tmp->p + tmp->n; p < end; p = q) {
		q = word_end(p, end);
		if (words_add(w, (str){ p, q - p }, 1, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the corpus ---- */

struct char_count {
	int32_t	c;
	int64_t	n;
};

static int
by_count(const void *a, const void *b)
{
	const struct char_count *x = a, *y = b;

	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return (x->c > y->c) - (x->c < y->c);
}

/* Forget the rarest characters, as long as the others cover enough. */
static int
cover(struct corpus *c, double coverage, struct err *err)
{
	struct char_count *list = malloc(END * sizeof(*list));
	int64_t n = 0, total = 0, sum = 0;

	if (list == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int32_t i = 0; i < END; i++)
		if (c->chars[i] > 0) {
			list[n++] = (struct char_count){ i, c->chars[i] };
			total += c->chars[i];
		}
	qsort(list, (size_t)n, sizeof(*list), by_count);
	for (int64_t i = 0; i < n; i++) {
		if ((double)sum >= coverage * (double)total || list[i].c == 0)
			c->chars[list[i].c] = 0;
		sum += list[i].n;
	}
	free(list);
	return 0;
}

/* Cut a part where characters are that are no pieces; what is left goes to out on. */
static int64_t
cut_part(struct corpus *c, const struct part *p, struct part *out)
{
	const char *at = c->text + p->at, *end = at + p->n, *from = at;
	int64_t n = 0;

	while (at < end) {
		const char *was = at;
		int32_t ch = utf8_next(&at, end);

		if (c->chars[ch] > 0 && was - from < PART_MAX) {
			c->total += p->count;
			continue;
		}
		if (was > from)
			out[n++] = (struct part){ from - c->text, (int32_t)(was - from), p->count };
		from = at;
	}
	if (end > from)
		out[n++] = (struct part){ from - c->text, (int32_t)(end - from), p->count };
	return n;
}

int
corpus_init(struct corpus *c, struct words *words, const struct unigram_opts *o, struct err *err)
{
	int64_t nparts = words_distinct(words), bytes = words_bytes(words), count;
	struct part p;
	str w;
	int got;

	*c = (struct corpus){ 0 };
	spill_init(&c->spill, o->dir, o->memory);
	c->chars = calloc(END, sizeof(*c->chars));
	c->text = spill_bytes(&c->spill, bytes + 1, err);
	/* Each cut takes a character, so there are no more parts than this. */
	c->part = c->text == NULL ? NULL :
	    spill_bytes(&c->spill, (nparts + bytes / 2) * (int64_t)sizeof(*c->part), err);
	if (c->chars == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (c->part == NULL)
		return -1;
	while ((got = words_next(words, &w, &count, err)) > 0) {
		memcpy(c->text + c->n, w.p, (size_t)w.n);
		c->n += w.n;
		for (const char *at = w.p; at < w.p + w.n; )
			c->chars[utf8_next(&at, w.p + w.n)] += count;
	}
	if (got < 0 || cover(c, o->coverage, err) < 0)
		return -1;
	for (p.at = 0; (got = words_next(words, &w, &p.count, err)) > 0; p.at += w.n) {
		p.n = (int32_t)w.n;
		c->nparts += cut_part(c, &p, c->part + c->nparts);
		c->weight += p.count;
	}
	return got;
}

void
corpus_free(struct corpus *c)
{
	spill_free(&c->spill);
	free(c->chars);
}

/* ---- suffixes ---- */

/* A character of the corpus, and how far a piece that begins there may reach. */
struct suffix {
	const char	*p;
	int32_t		 part;
	int32_t		 n;		/* bytes */
};

struct seeding {
	struct corpus	*c;
	const uint8_t	*script;
	struct suffix	*suffix;
	int64_t		 n;
	int64_t		 bucket[257];	/* by the first byte */
	struct subwords	*out;
};

static int
order(const void *a, const void *b)
{
	const struct suffix *x = a, *y = b;
	int d = memcmp(x->p, y->p, (size_t)(x->n < y->n ? x->n : y->n));

	if (d != 0)
		return d;
	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	return (x->p > y->p) - (x->p < y->p);
}

static int
script_of(const struct seeding *s, int32_t c)
{
	int script = s->script[c];

	return c == 0x30fc || script == SCRIPT_HIRAGANA || script == SCRIPT_KATAKANA ?
	    SCRIPT_HAN : script;
}

/* Bytes of the longest piece that begins at p: no other script, and no space inside. */
static int32_t
reach(const struct seeding *s, const char *p, const char *end)
{
	const char *at = p, *was;
	int script = -1;

	for (int i = 0; i < PIECE_CHARS && at < end; i++) {
		int32_t c;

		was = at;
		c = utf8_next(&at, end);
		if (c == 0x2581 ? i > 0 : script >= 0 && script_of(s, c) != script)
			return (int32_t)(was - p);
		if (c != 0x2581)
			script = script_of(s, c);
	}
	return (int32_t)(at - p);
}

static void
find_suffixes(struct seeding *s, bool fill)
{
	int64_t at[256];

	memcpy(at, s->bucket, sizeof(at));
	for (int64_t i = 0; i < s->c->nparts; i++) {
		const struct part *part = &s->c->part[i];
		const char *p = s->c->text + part->at, *end = p + part->n;

		while (p < end) {
			if (fill)
				s->suffix[at[(uint8_t)*p]++] = (struct suffix){ p, (int32_t)i,
				    reach(s, p, end) };
			else
				s->bucket[(uint8_t)*p + 1]++;
			utf8_next(&p, end);
		}
	}
}

static void
sort_bucket(void *ctx, int64_t task, int member)
{
	struct seeding *s = ctx;

	(void)member;
	qsort(s->suffix + s->bucket[task], (size_t)(s->bucket[task + 1] - s->bucket[task]),
	    sizeof(*s->suffix), order);
}

/* ---- candidates ---- */

int
piece_order(const void *a, const void *b)
{
	const struct subword *x = a, *y = b;
	int d;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	d = memcmp(x->text.p, y->text.p, (size_t)(x->text.n < y->text.n ? x->text.n : y->text.n));
	return d != 0 ? d : (x->text.n > y->text.n) - (x->text.n < y->text.n);
}

static int
candidate(struct subwords *out, str text, int64_t freq, struct err *err)
{
	ptrdiff_t chars = utf8_count(text);

	if (freq < 2 || chars < 2)
		return 0;
	if (out->n == out->cap) {
		int64_t cap = out->cap == 0 ? 1 << 16 : 2 * out->cap;
		struct subword *p;

		if (out->n >= MANY) {
			qsort(out->piece, (size_t)out->n, sizeof(*out->piece), piece_order);
			out->n = SEEDS;
		} else if ((p = realloc(out->piece, (size_t)cap * sizeof(*p))) == NULL) {
			return err_set(err, ERR_NOMEM, "out of memory for pieces");
		} else {
			out->piece = p;
			out->cap = cap;
		}
	}
	out->piece[out->n++] = (struct subword){ .text = text,
	    .score = (double)freq * (double)chars };
	return 0;
}

/* Bytes that two suffixes have in common, whole characters only. */
static int32_t
common(const struct suffix *a, const struct suffix *b)
{
	int32_t n = a->n < b->n ? a->n : b->n, i = 0;

	while (i < n && a->p[i] == b->p[i])
		i++;
	while (i > 0 && i < a->n && ((uint8_t)a->p[i] & 0xc0) == 0x80)
		i--;
	return i;
}

/*
 * Each string that goes on in two ways, or ends, is a candidate: the inner
 * nodes of the tree of suffixes, which neighbours in their order tell.
 */
static int
find_candidates(struct seeding *s, struct err *err)
{
	struct node { int32_t n; int64_t freq; } stack[4 * PIECE_CHARS + 2];
	int depth = 0;

	stack[0] = (struct node){ 0, 0 };
	for (int64_t i = 0; i < s->n; i++) {
		const struct suffix *x = &s->suffix[i];
		int32_t next = i + 1 < s->n ? common(x, x + 1) : 0;
		int64_t freq = s->c->part[x->part].count;

		if (x->n > stack[depth].n)
			stack[++depth] = (struct node){ x->n, 0 };
		stack[depth].freq += freq;
		while (stack[depth].n > next) {
			struct node top = stack[depth--];

			if (candidate(s->out, (str){ x->p, top.n }, top.freq, err) < 0)
				return -1;
			if (stack[depth].n < next)
				stack[++depth] = (struct node){ next, 0 };
			stack[depth].freq += top.freq;
		}
	}
	return 0;
}

static int
add_singles(struct subwords *out, const struct corpus *c, struct spill *spill, struct err *err)
{
	for (int32_t i = 0; i < END; i++) {
		struct subword *p;
		char *text;

		if (c->chars[i] == 0)
			continue;
		if ((text = spill_bytes(spill, 4, err)) == NULL)
			return -1;
		if (out->n == out->cap) {
			out->cap += out->cap / 2 + 1024;
			if ((p = realloc(out->piece, (size_t)out->cap * sizeof(*p))) == NULL)
				return err_set(err, ERR_NOMEM, "out of memory for pieces");
			out->piece = p;
		}
		out->piece[out->n++] = (struct subword){ { text, utf8_put(text, i) },
		    (double)c->chars[i], true };
	}
	return 0;
}

static int
find(struct seeding *s, struct team *team, struct err *err)
{
	struct subwords *out = s->out;
	double sum = 0;

	team_run(team, 256, sort_bucket, s);
	if (find_candidates(s, err) < 0)
		return -1;
	qsort(out->piece, (size_t)out->n, sizeof(*out->piece), piece_order);
	if (out->n > SEEDS)
		out->n = SEEDS;
	if (add_singles(out, s->c, &s->c->spill, err) < 0)
		return -1;
	for (int64_t i = 0; i < out->n; i++)
		sum += out->piece[i].score;
	for (int64_t i = 0; i < out->n; i++)
		out->piece[i].score = log(out->piece[i].score / sum);
	return 0;
}

int
seed_pieces(struct subwords *p, struct corpus *c, struct team *team, struct err *err)
{
	struct seeding s = { .c = c, .out = p };
	uint8_t *script = script_new(err);
	struct piece *suffix;
	int ret = -1;

	if (script == NULL)
		return -1;
	s.script = script;
	find_suffixes(&s, false);
	for (int i = 0; i < 256; i++)
		s.bucket[i + 1] += s.bucket[i];
	s.n = s.bucket[256];
	if (c->nparts > INT32_MAX)
		err_set(err, ERR_LIMIT, "more than 2 G distinct words: train on a sample");
	else if ((suffix = spill_map(&c->spill, s.n * (int64_t)sizeof(*s.suffix), err)) != NULL) {
		s.suffix = suffix->p;
		find_suffixes(&s, true);
		ret = find(&s, team, err);
		spill_unmap(&c->spill, suffix);
	}
	free(script);
	return ret;
}
