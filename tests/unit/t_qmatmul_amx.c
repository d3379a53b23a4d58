/*
 * Strips times panels by AMX's tiles, spelt out so that they run everywhere: the
 * bits are those of the base instruction set.
 */
#include <stdlib.h>
#include <string.h>

#define ISA spelt
#define AMX 1
#include "dev/cpu/simd/qpanel.c"
#include "dev/cpu/simd/qtile.c"

#include "../lib/blocks.h"
#include "../tap.h"

struct qform qform_base(dtype t);
void qunpack_base(dtype t, const uint8_t *p, int64_t ld, int64_t n, int64_t k,
    const struct qpanel *to, uint8_t *pad, struct qsoon *soon);
void qround_base(const struct qform *f, dtype type, const void *a, int64_t ld, int64_t i,
    int64_t n, int64_t k, uint32_t *strip);
void qmultiply_base(const struct qform *f, const struct qtile *t, int64_t n);

enum { K = 2 * QS, WORDS = 1 << 14 };

/* Room for a panel and a strip of K, behind which tiles may read. */
struct desk {
	uint32_t q[WORDS], pair[WORDS], strip[WORDS];
	float	d[WORDS], m[WORDS], sums[QT * QW];
	uint8_t	pad[WORDS];
};

static struct qtile
tile_of(struct desk *s)
{
	return (struct qtile){ .b = { s->q, s->d, s->m, s->pair }, .a = s->strip,
		.sums = s->sums, .k = K, .first = true };
}

/* QS at a time, as products do. */
#define UNPACK(isa, f, s) do {						\
	struct qsoon soon = { .at = b, .end = b + 1 };			\
	struct qpanel to = { s->q, s->d, s->m, s->pair };		\
									\
	for (int64_t at = 0; at < K; at += QS) {			\
		qunpack_##isa(type, b + dtype_bytes(type, at), ld, QW, QS, &to, s->pad, &soon);	\
		to.q += QS / 4 * QW;					\
		to.d += qfloats(f) * QW;				\
		to.m += QS / (f)->part * QW;				\
		to.pair += QS / QB * QW;				\
	}								\
} while (0)

static bool
agrees(int t, struct desk *one, struct desk *other)
{
	static uint64_t drawn;
	dtype type = types[t].type;
	int64_t ld = dtype_bytes(type, K);
	float *mean = must(malloc(QW * K * sizeof(*mean)));
	uint8_t *b = random_blocks(&drawn, t, QW * K, mean);
	void *a = random_floats(&drawn, DTYPE_F32, QT * K, mean);
	struct qform f = qform_spelt(type), g = qform_base(type);
	bool good = true;

	UNPACK(spelt, &f, one);
	UNPACK(base, &g, other);
	tiles_begin(f.part / 4);
	for (int64_t n = 1; n <= QT && good; n++) {
		struct qtile x = tile_of(one), y = tile_of(other);

		qround_spelt(&f, DTYPE_F32, a, K, 0, n, K, one->strip);
		qround_base(&g, DTYPE_F32, a, K, 0, n, K, other->strip);
		qmultiply_spelt(&f, &x, n);
		qmultiply_base(&g, &y, n);
		good = memcmp(one->sums, other->sums, (size_t)(n * QW * 4)) == 0;
	}
	tiles_end();
	free(mean);
	free(b);
	free(a);
	return good;
}

int
main(void)
{
	struct desk *one = must(calloc(1, sizeof(*one))), *other = must(calloc(1, sizeof(*other)));

	for (int t = 0; t < TYPES; t++) {
		char what[64];

		snprintf(what, sizeof(what), "%s by tiles: the same bits", dtype_name(types[t].type));
		ok(agrees(t, one, other), what);
	}
	free(one);
	free(other);
	return tap_done();
}
