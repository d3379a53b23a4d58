#include "fmt/pack.h"

#include <stdlib.h>

#include "base/buf.h"

#define LEVELS	4	/* of 64 ways: 2^24 */

/* A part of a document, in the window. */
struct piece {
	int64_t	at;		/* of its first token, in the window's tokens */
	int64_t	bytes;
	int32_t	n, index;	/* its length and place in the window's order */
	int32_t	next;		/* in its row; -1: the last */
	uint8_t	flags;
};

/* A row that is being filled. */
struct row {
	int32_t	first, last;	/* pieces */
	int32_t	used, nseg;
	int32_t	next;		/* with the same room; -1: the last */
};

struct packer {
	struct pack_opts o;
	struct shard_writer *to;
	struct pack_count count;
	struct buf	 pieces, tokens, weights, rows;	/* weights: none, or of all tokens */
	int64_t		 waiting;	/* documents in the window */
	/* rows by room: the first of each, and which rooms have any */
	int32_t		*by_room;	/* row_len */
	uint64_t	*bits[LEVELS];
	/* one row, as it is written */
	uint32_t	*token;
	uint8_t		*weight;
	struct buf	 start, bytes, flags;
	int32_t		 used;		/* of it, in a plain concatenation */
};

struct packer *
packer_new(const struct pack_opts *o, struct shard_writer *to, struct err *err)
{
	struct packer *p;
	size_t n;
	bool ok;

	if (o->row_len < 1 || o->row_len > PACK_ROW_MAX || o->window < 1 ||
	    o->window > PACK_WINDOW_MAX) {
		err_set(err, ERR_ARG, "rows of %d tokens and windows of %lld documents: at "
		    "most %d and %lld", o->row_len, (long long)o->window, PACK_ROW_MAX,
		    (long long)PACK_WINDOW_MAX);
		return NULL;
	}
	p = calloc(1, sizeof(*p));
	if (p == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	p->o = *o;
	p->to = to;
	p->pieces.limit = p->rows.limit = (ptrdiff_t)1 << 40;
	p->tokens.limit = p->weights.limit = (ptrdiff_t)1 << 40;
	p->token = malloc((size_t)o->row_len * sizeof(*p->token));
	p->weight = malloc((size_t)o->row_len);
	p->by_room = malloc((size_t)o->row_len * sizeof(*p->by_room));
	ok = p->token != NULL && p->weight != NULL && p->by_room != NULL;
	n = (size_t)o->row_len;
	for (int l = 0; l < LEVELS; l++) {
		n = n / 64 + 1;
		p->bits[l] = calloc(n, sizeof(**p->bits));
		ok &= p->bits[l] != NULL;
	}
	if (!ok) {
		packer_free(p);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	return p;
}

/* The least room of at least n that some row has, or -1. */
static int32_t
find_room(const struct packer *p, int32_t n)
{
	int32_t at = n;

	for (int l = 0; l < LEVELS; l++) {
		uint64_t word = p->bits[l][at / 64] >> (at % 64);

		if (word != 0) {
			at += __builtin_ctzll(word);
			while (l-- > 0)
				at = at * 64 + __builtin_ctzll(p->bits[l][at]);
			return at < p->o.row_len ? at : -1;
		}
		/* Nothing at n or above in this word: go on after it, a level up. */
		at = at / 64 + 1;
		if (at > (p->o.row_len >> 6 * (l + 1)))
			return -1;
	}
	return -1;
}

static void
push_row(struct packer *p, int32_t index, int32_t room)
{
	struct row *r = (struct row *)(void *)p->rows.p + index;
	bool had = p->bits[0][room / 64] >> (room % 64) & 1;

	r->next = had ? p->by_room[room] : -1;
	p->by_room[room] = index;
	for (int l = 0, at = room; l < LEVELS; l++, at /= 64)
		p->bits[l][at / 64] |= (uint64_t)1 << (at % 64);
}

static int32_t
pop_row(struct packer *p, int32_t room)
{
	int32_t index = p->by_room[room];
	const struct row *r = (const struct row *)(void *)p->rows.p + index;

	p->by_room[room] = r->next;
	if (r->next != -1)
		return index;
	for (int l = 0, at = room; l < LEVELS; l++, at /= 64) {
		p->bits[l][at / 64] &= ~((uint64_t)1 << (at % 64));
		if (p->bits[l][at / 64] != 0)
			break;
	}
	return index;
}

/* Put a piece at the end of the row being written.  weight: NULL, all are 1. */
static void
append(struct packer *p, const uint32_t *token, const uint8_t *weight, int32_t n, int64_t bytes,
    uint8_t flags)
{
	memcpy(p->token + p->used, token, (size_t)n * sizeof(*token));
	if (weight != NULL)
		memcpy(p->weight + p->used, weight, (size_t)n);
	else
		memset(p->weight + p->used, 1, (size_t)n);
	buf_add(&p->start, (str){ (const char *)&p->used, sizeof(p->used) });
	buf_add(&p->bytes, (str){ (const char *)&bytes, sizeof(bytes) });
	buf_byte(&p->flags, (char)flags);
	p->used += n;
}

static int
write_row(struct packer *p, struct err *err)
{
	struct shard_item item = { .token = p->token, .n = p->used, .weight = p->weight };

	buf_add(&p->start, (str){ (const char *)&p->used, sizeof(p->used) });
	if (buf_ok(&p->start, err) != 0 || buf_ok(&p->bytes, err) != 0 ||
	    buf_ok(&p->flags, err) != 0)
		return -1;
	item.nseg = (int32_t)p->flags.n;
	if (item.nseg == 0) {
		buf_reset(&p->start);
		return 0;
	}
	item.start = (const int32_t *)(const void *)p->start.p;
	item.seg_bytes = (const int64_t *)(const void *)p->bytes.p;
	item.seg_flags = (const uint8_t *)p->flags.p;
	if (shard_put(p->to, &item, err) != 0)
		return -1;
	p->count.rows++;
	p->count.segments += item.nseg;
	p->count.tokens += item.n;
	for (int32_t i = 0; i < item.nseg; i++)
		p->count.source_bytes += item.seg_bytes[i];
	p->used = 0;
	buf_reset(&p->start);
	buf_reset(&p->bytes);
	buf_reset(&p->flags);
	return 0;
}

static int
longest_first(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* Give each piece of the window, longest first, its row. */
static int
place(struct packer *p, struct piece *piece, int32_t n, struct err *err)
{
	struct row *rows;
	int32_t nrows = 0;

	for (int32_t i = 0; i < n; i++) {
		int32_t room = find_room(p, piece[i].n), index;

		piece[i].next = -1;
		if (room < 0) {
			index = nrows++;
			buf_add(&p->rows, (str){ (const char *)&(struct row){ .first = i },
			    sizeof(struct row) });
			if (buf_ok(&p->rows, err) != 0)
				return -1;
			rows = (struct row *)(void *)p->rows.p;
		} else {
			index = pop_row(p, room);
			rows = (struct row *)(void *)p->rows.p;
			piece[rows[index].last].next = i;
		}
		rows[index].last = i;
		rows[index].used += piece[i].n;
		if (rows[index].used < p->o.row_len)
			push_row(p, index, p->o.row_len - rows[index].used);
	}
	return 0;
}

/* Pack and write what waits. */
static int
end_window(struct packer *p, struct err *err)
{
	struct piece *piece = (struct piece *)(void *)p->pieces.p;
	int32_t n = (int32_t)(p->pieces.n / (ptrdiff_t)sizeof(*piece));
	const uint32_t *token = (const uint32_t *)(const void *)p->tokens.p;
	const uint8_t *weight = (const uint8_t *)p->weights.p;
	const struct row *rows;
	int64_t nrows;

	if (n == 0)
		return 0;
	qsort(piece, (size_t)n, sizeof(*piece), longest_first);
	if (place(p, piece, n, err) != 0)
		return -1;
	rows = (const struct row *)(const void *)p->rows.p;
	nrows = p->rows.n / (ptrdiff_t)sizeof(*rows);
	for (int64_t r = 0; r < nrows; r++) {
		int32_t room = p->o.row_len - rows[r].used;

		/* Every row leaves its bucket, for the next window. */
		while (room > 0 && (p->bits[0][room / 64] >> (room % 64) & 1))
			pop_row(p, room);
		for (int32_t i = rows[r].first; i >= 0; i = piece[i].next)
			append(p, token + piece[i].at, p->weights.n > 0 ? weight + piece[i].at :
			    NULL, piece[i].n, piece[i].bytes, piece[i].flags);
		if (write_row(p, err) != 0)
			return -1;
	}
	buf_reset(&p->pieces);
	buf_reset(&p->tokens);
	buf_reset(&p->weights);
	buf_reset(&p->rows);
	p->waiting = 0;
	return 0;
}

/* The source bytes of the first k of n tokens: floor(bytes k / n), and no overflow. */
static int64_t
bytes_until(int64_t bytes, int64_t k, int64_t n)
{
	return bytes / n * k + bytes % n * k / n;
}

static uint8_t
piece_flags(const struct shard_item *doc, int32_t from, int32_t to)
{
	return (uint8_t)((from == 0 ? SEG_BEGIN : 0) | (to == doc->n ? SEG_END : 0));
}

static const uint8_t *
weights_from(const struct shard_item *doc, int32_t from)
{
	return doc->weight != NULL ? doc->weight + from : NULL;
}

/* Weights of n tokens that are to wait, from when some are 0. */
static void
keep_weights(struct packer *p, const uint8_t *weight, int32_t n)
{
	ptrdiff_t missing = p->tokens.n / 4 - n - p->weights.n;
	char *to;

	if (weight == NULL && p->weights.n == 0)
		return;
	if ((to = buf_room(&p->weights, missing + n)) == NULL)
		return;
	memset(to, 1, (size_t)(missing + n));
	if (weight != NULL)
		memcpy(to + missing, weight, (size_t)n);
	p->weights.n += missing + n;
}

static int
add_stream(struct packer *p, const struct shard_item *doc, struct err *err)
{
	int32_t from = 0;

	while (from < doc->n) {
		int32_t room = p->o.row_len - p->used;
		int32_t to = doc->n - from > room ? from + room : doc->n;

		append(p, doc->token + from, weights_from(doc, from), to - from,
		    bytes_until(doc->source_bytes, to, doc->n) -
		    bytes_until(doc->source_bytes, from, doc->n), piece_flags(doc, from, to));
		p->count.cut += from == 0 && to < doc->n;
		if (p->used == p->o.row_len && write_row(p, err) != 0)
			return -1;
		from = to;
	}
	return 0;
}

static int
add_best_fit(struct packer *p, const struct shard_item *doc, struct err *err)
{
	struct piece last = { .at = p->tokens.n / 4, .index = (int32_t)p->waiting, .next = -1 };
	int32_t from = 0, len = p->o.row_len;

	p->count.cut += doc->n > len;
	for (; doc->n - from >= len; from += len) {
		append(p, doc->token + from, weights_from(doc, from), len,
		    bytes_until(doc->source_bytes, from + len, doc->n) -
		    bytes_until(doc->source_bytes, from, doc->n),
		    piece_flags(doc, from, from + len));
		if (write_row(p, err) != 0)
			return -1;
	}
	if (from == doc->n)
		return 0;
	last.n = doc->n - from;
	last.bytes = doc->source_bytes - bytes_until(doc->source_bytes, from, doc->n);
	last.flags = piece_flags(doc, from, doc->n);
	buf_add(&p->tokens, (str){ (const char *)(doc->token + from), (ptrdiff_t)last.n * 4 });
	buf_add(&p->pieces, (str){ (const char *)&last, sizeof(last) });
	if (buf_ok(&p->tokens, err) != 0 || buf_ok(&p->pieces, err) != 0)
		return -1;
	keep_weights(p, weights_from(doc, from), last.n);
	if (buf_ok(&p->weights, err) != 0)
		return -1;
	p->waiting++;
	if (p->waiting < p->o.window && p->tokens.n / 4 < PACK_HELD)
		return 0;
	return end_window(p, err);
}

int
packer_add(struct packer *p, const struct shard_item *doc, struct err *err)
{
	p->count.docs++;
	if (doc->n == 0) {
		p->count.empty++;
		return 0;
	}
	return p->o.method == PACK_STREAM ? add_stream(p, doc, err) : add_best_fit(p, doc, err);
}

int
packer_finish(struct packer *p, struct err *err)
{
	return p->o.method == PACK_STREAM ? write_row(p, err) : end_window(p, err);
}

const struct pack_count *
packer_count(const struct packer *p)
{
	return &p->count;
}

void
packer_free(struct packer *p)
{
	if (p == NULL)
		return;
	for (int l = 0; l < LEVELS; l++)
		free(p->bits[l]);
	free(p->token);
	free(p->by_room);
	buf_free(&p->pieces);
	buf_free(&p->tokens);
	buf_free(&p->weights);
	free(p->weight);
	buf_free(&p->rows);
	buf_free(&p->start);
	buf_free(&p->bytes);
	buf_free(&p->flags);
	free(p);
}
