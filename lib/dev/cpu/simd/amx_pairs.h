/* Products of pairs of bf16 by AMX's tiles: a part of panel.c. */

#define WHOLE_TALL(type) finish_whole(TALL, type, t, acc)

/* Load or store tiles 0 to 3, which are TALL rows of NR sums at p, ld floats apart. */
#define EACH_SUM(op, p, ld) do {					\
	op(0, (p), (ld) * 4);						\
	op(1, (p) + VW, (ld) * 4);					\
	op(2, (p) + VW * (ld), (ld) * 4);				\
	op(3, (p) + VW * (ld) + VW, (ld) * 4);				\
} while (0)

/* Panels of TALL rows and NR columns: two tiles of each, and four of sums. */
static void
multiply_tiles(struct tile_of *t)
{
	const float *a = t->a, *b = t->b;
	vf acc[TALL][2];

	if (t->s->last && !t->s->stream)
		fetch_result(TALL, t);
	if (t->s->first) {
		tile_zero(0);
		tile_zero(1);
		tile_zero(2);
		tile_zero(3);
	} else {
		EACH_SUM(tile_load, t->sums, t->s->sums_ld);
	}
	for (int64_t l = t->s->k; l > 0; l -= VW) {
		UNROLL
		for (int i = 0; i < VW / 4; i++) {
			__builtin_prefetch(*t->line, 0, 2);
			t->line += t->line < t->last;
		}
		tile_load(6, b, 2 * TILE_LINE);
		tile_load(4, a, TILE_LINE);
		tile_pairs(0, 4, 6);
		tile_load(7, b + VW, 2 * TILE_LINE);
		tile_pairs(1, 4, 7);
		if (t->rows > VW) {
			tile_load(5, a + VW * VW, TILE_LINE);
			tile_pairs(2, 5, 6);
			tile_pairs(3, 5, 7);
		}
		a += VW * TALL;
		b += VW * NR;
	}
	if (!t->s->last) {
		EACH_SUM(tile_store, t->sums, t->s->sums_ld);
		return;
	}
	EACH_SUM(tile_store, (float *)acc, NR);
	if (t->rows == TALL && t->s->stream && t->n == NR)
		stream_whole(TALL, t, acc);
	else if (t->rows == TALL && is_whole(t))
		EACH_TYPE(t->s->to.type, WHOLE_TALL);
	else
		finish(t, acc);
}

/* ---- columns that are read as they lie ---- */

/*
 * Columns are what the rows of a tile of a are, and rows of a the columns of one of b.
 * Bytes of them are fetched so many before they are multiplied, into the second cache:
 * columns are often pages apart, and the first has no room for so many lines of one set.
 * After a column comes the one VW further.
 */
enum { TILES_AHEAD = 2048 };

/* VW columns from p on, ld bytes apart; n are left. */
struct tile_columns {
	const struct side *side;
	const char	*p;
	int64_t		 ld, bytes, n;	/* bytes: of one column */
};

static void
fetch_columns(const struct tile_columns *c, int64_t at)
{
	const char *p = c->p + at + TILES_AHEAD;

	if (at + TILES_AHEAD >= c->bytes)
		p += VW * c->ld - c->bytes;
	for (int i = 0; i < VW; i++, p += c->ld)
		__builtin_prefetch(p, 0, 2);
}

/* Tile 4 = VW words of VW columns from element k on, of which left remain. */
INLINE void
load_columns(const struct tile_columns *c, int64_t k, int64_t left)
{
	int64_t at = k * type_bytes(c->side->type);

	fetch_columns(c, at);
	if (c->side->type == DTYPE_BF16 && c->n >= VW && left >= 2 * VW) {
		tile_load(4, c->p + at, c->ld);
	} else {
		vf w[VW] = { { 0 } };

		for (int i = 0; i < min64(VW, c->n); i++)
			w[i] = words_along(true, c->side->type, c->p + i * c->ld + at, 0, left);
		tile_load(4, w, TILE_LINE);
	}
}

/* Tiles 0 and 1 += VW columns times the first VW rows and the next, over k elements from at on. */
INLINE void
add_tiles(const struct strip *s, const struct tile_columns *c, int64_t at, int64_t k)
{
	const float *a = s->a + words(c->side, at) * ((s->rows + VW - 1) / VW * VW);
	const float *more = a + words(c->side, k) * VW;
	bool two = s->rows > VW;

	for (int64_t l = 0; l < k; l += 2 * VW) {
		load_columns(c, s->k0 + at + l, k - l);
		tile_load(6, a, TILE_LINE);
		tile_pairs(0, 4, 6);
		if (two) {
			tile_load(7, more, TILE_LINE);
			tile_pairs(1, 4, 7);
		}
		a += VW * VW;
		more += VW * VW;
	}
}

/* sums (rows, VW) = those of the k before, for VW columns, plus those of the strip's */
static void
sum_columns(const struct strip *s, const struct tile_columns *c, const float *before,
    vf sums[2 * VW])
{
	memset(sums, 0, 2 * VW * sizeof(*sums));
	for (int64_t i = 0; i < s->rows && !s->first; i++)
		sums[i] = vload(before + i * s->sums_ld);
	for (int t = 0; t < 2 && !s->first; t++)
		turn(sums + t * VW);
	tile_load(0, sums, TILE_LINE);
	tile_load(1, sums + VW, TILE_LINE);
	for (int64_t at = 0; at < s->nk; at += KC)
		add_tiles(s, c, at, min64(KC, s->nk - at));
	tile_store(0, sums, TILE_LINE);
	tile_store(1, sums + VW, TILE_LINE);
	turn(sums);
	turn(sums + VW);
}

static void
multiply_columns_by_tiles(const struct strip *s)
{
	struct tile_of t = { .s = s, .bias = s->bias, .from = s->from.p, .to = s->to.p,
		.rows = s->rows, .n = s->n, .squares = s->squares };
	int64_t size = type_bytes(s->side->type), ld = s->side->ld * size;
	struct tile_columns c = { s->side, s->side->p + s->j * ld, ld, (s->k0 + s->nk) * size, 0 };
	vf x[MOST_ROWS][2], alpha = vset(s->alpha);

	if (s->last)
		start(&t, x);
	for (int64_t v = 0; v * VW < s->n; v++, c.p += VW * ld) {
		float *kept = s->sums == NULL ? NULL : s->sums + v * VW;
		vf sums[2 * VW];

		c.n = s->n - v * VW;
		sum_columns(s, &c, kept, sums);
		for (int64_t i = 0; i < s->rows; i++) {
			if (s->last)
				x[i][v] = vfma(sums[i], alpha, x[i][v]);
			else
				vstore(kept + i * s->sums_ld, sums[i]);
		}
	}
	if (s->last)
		store(&t, x);
}
