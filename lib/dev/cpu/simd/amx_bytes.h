/*
 * Products of strips with panels by AMX's tiles: a part of qtile.c.
 *
 * Words of a panel are tiles of b as they lie, and the bytes of a strip's rows in a
 * part of k, side by side, tiles of a.  Between the parts that tiles are multiplied for
 * the sums of such as were before become floats: they lie in the first cache.
 */
enum { AHEAD = 4 };

/* The integers of VW rows and columns of some parts. */
struct tile_sums {
	vi	part[AHEAD][VW];
};

/* The next part, and how to come to that after it: a strip's are step or other words apart. */
struct tile_parts {
	const uint32_t *q, *a;
	int64_t	 words, step, other;
};

#define MULTIPLY_PART(p, s, c, a4, b6)					\
	tile_zero(c);							\
	tile_load(b6, (p)->q, 4 * QW);					\
	tile_load(a4, (p)->a, 4 * (p)->words);				\
	tile_bytes(c, a4, b6);						\
	tile_store(c, (s)->part[c], TILE_LINE)

/* s[i] = the sums of the next part, which may be one after the last, that nobody reads. */
INLINE void
multiply_part(int i, struct tile_parts *p, struct tile_sums *s)
{
	if (i == 0) {
		MULTIPLY_PART(p, s, 0, 4, 6);
	} else if (i == 1) {
		MULTIPLY_PART(p, s, 1, 5, 7);
	} else if (i == 2) {
		MULTIPLY_PART(p, s, 2, 4, 6);
	} else {
		MULTIPLY_PART(p, s, 3, 5, 7);
	}
	p->q += p->words * QW;
	p->a += i % 2 == 0 ? p->step : p->other;
}

INLINE void
multiply_first(struct tile_parts *p, struct tile_sums *s)
{
	UNROLL
	for (int i = 0; i < AHEAD; i++)
		multiply_part(i, p, s);
}

/* A strip of so many rows, at most `most', times VW rows of a panel. */
INLINE void
whole_tile(int most, bool least, const struct qtile *t, int64_t rows, int64_t v)
{
	int64_t step = rows * (QB / 4 + 2), parts = t->k / QB;
	struct tile_parts next = { t->b.q + v, t->a + rows, QB / 4, step, step };
	const float *d = t->b.d + v, *m = t->b.m + v;
	const uint32_t *start = t->a, *scale = t->a + step - rows;
	struct tile_sums sums;
	float *to = t->sums + v;
	vf f[VW];

	UNROLL
	for (int i = 0; i < most; i++)
		f[i] = t->first ? (vf){ 0 } : vload(to + i * QW);
	multiply_first(&next, &sums);
	for (int64_t k = 0; k < parts; k += AHEAD) {
		UNROLL
		for (int j = 0; j < AHEAD; j++) {
			if (k + j >= parts)
				break;
			UNROLL
			for (int i = 0; i < most; i++)
				f[i] = vfma(__builtin_convertvector(sums.part[j][i], vf),
				    vload(d) * load_scale(scale + i), f[i]);
			UNROLL
			for (int i = 0; i < most && least; i++)
				f[i] = vfma(vload(m), load_scale(start + i), f[i]);
			if (k + j + AHEAD < parts)
				multiply_part(j, &next, &sums);
			d += QW;
			m += least ? QW : 0;
			start += step;
			scale += step;
		}
	}
	UNROLL
	for (int i = 0; i < most; i++)
		vstore(to + i * QW, f[i]);
}

/* f += m times what each part of QS begins with. */
INLINE void
halves_least(int most, const float *m, const uint32_t *start, int64_t rows, vf f[VW])
{
	for (int b = 0; b < QS / QB; b++, start += rows * (QB / 4 + 3)) {
		const uint32_t *second = start + rows * (QB / 8 + 1);

		UNROLL
		for (int i = 0; i < most; i++) {
			f[i] = vfma(vload(m), load_scale(start + i), f[i]);
			f[i] = vfma(vload(m + QW), load_scale(second + i), f[i]);
		}
		m += 2 * QW;
	}
}

/* The same where parts are of 16, two of them one after the other. */
INLINE void
halves_tile(int most, int drop, bool least, const struct qtile *t, int64_t rows, int64_t v)
{
	int64_t half = rows * (QB / 8 + 1), step = 2 * half + rows;
	struct tile_parts next = { t->b.q + v, t->a + rows, QB / 8, half, half + rows };
	const float *d = t->b.d + v, *m = t->b.m + v;
	const uint32_t *pair = t->b.pair + v, *start = t->a, *scale = t->a + 2 * half;
	struct tile_sums sums;
	float *to = t->sums + v;

	multiply_first(&next, &sums);
	for (int64_t at = 0; at < t->k; at += QS) {
		vf g[VW], f[VW];

		UNROLL
		for (int i = 0; i < most; i++)
			g[i] = (vf){ 0 };
		for (int64_t k = at; k < at + QS; k += AHEAD / 2 * QB) {
			UNROLL
			for (int j = 0; j < AHEAD; j += 2) {
				UNROLL
				for (int i = 0; i < most; i++)
					g[i] = pair_fma(sums.part[j][i], sums.part[j + 1][i] + drop,
					    drop, (vi)load_bytes(pair), load_scale(scale + i),
					    g[i]);
				multiply_part(j, &next, &sums);
				multiply_part(j + 1, &next, &sums);
				pair += QW;
				scale += step;
			}
		}
		UNROLL
		for (int i = 0; i < most; i++)
			f[i] = t->first && at == 0 ? (vf){ 0 } : vload(to + i * QW);
		if (least)
			halves_least(most, m, start, rows, f);
		UNROLL
		for (int i = 0; i < most; i++)
			vstore(to + i * QW, vfma(g[i], vload(d), f[i]));
		d += QW;
		m += least ? QS / 16 * QW : 0;
		start += QS / QB * step;
	}
}

#define EACH_HALF(how) do {						\
	for (int64_t v = 0; v < QW; v += VW)				\
		how;							\
} while (0)
#define HEIGHT(most)							\
static void								\
tall_##most(const struct qform *f, const struct qtile *t, int64_t n)	\
{									\
	if (f->part == QB && f->least)					\
		EACH_HALF(whole_tile(most, true, t, n, v));		\
	else if (f->part == QB)						\
		EACH_HALF(whole_tile(most, false, t, n, v));		\
	else if (f->least)						\
		EACH_HALF(halves_tile(most, 0, true, t, n, v));		\
	else if (f->drop == 0)						\
		EACH_HALF(halves_tile(most, 0, false, t, n, v));	\
	else								\
		EACH_HALF(halves_tile(most, 1, false, t, n, v));	\
}
#define HEIGHT_NAME(most) tall_##most,
#if VW == 16
enum { EACH_HEIGHT = 4 };
#define HEIGHTS(f) f(4) f(8) f(12) f(16)
#else
enum { EACH_HEIGHT = VW };
#define HEIGHTS(f) f(VW)
#endif
HEIGHTS(HEIGHT)

void
OF_ISA(qmultiply)(const struct qform *f, const struct qtile *t, int64_t n)
{
	static void (*const tile[])(const struct qform *, const struct qtile *, int64_t) = {
	    HEIGHTS(HEIGHT_NAME) };

	tile[(n - 1) / EACH_HEIGHT](f, t, n);
}
