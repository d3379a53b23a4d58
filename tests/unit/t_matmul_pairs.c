/*
 * Matrix products of packed pairs of bf16, as AVX-512 BF16 has them: the same
 * source, with the instruction spelt out, so that it runs everywhere.
 */
#include <math.h>
#include <stdlib.h>

#ifndef ISA
#define ISA pairs
#endif
#define PAIRS 1
#include "dev/cpu/simd/panel.c"
#include "dev/cpu/simd/matmul.c"

#include "../tap.h"
#include "base/rng.h"

enum { SEED = 5, ROOM = 300 * 1000 };

/* Quantized weights are not what this is about. */
void
OF_ISA(qmatmul)(struct cpu *c, const struct k_matmul *p)
{
	(void)c;
	(void)p;
	abort();
}

void
OF_ISA(qgrouped)(struct cpu *c, const struct k_grouped *g)
{
	(void)c;
	(void)g;
	abort();
}

struct pair_case {
	int64_t	m, n, k, lda, ldb, ldc;
	bool	ta, tb, add;
	dtype	a_type, b_type, c_type;
	char	*a, *b, *c;		/* ROOM elements each */
};

static int64_t
draw(int64_t from, int64_t to)
{
	static uint64_t drawn;

	return from + (int64_t)rng_below(SEED, 1, drawn++, (uint64_t)(to - from + 1));
}

/* Random numbers, NaN beyond n of them. */
static void
numbers(void *p, dtype type, int64_t n)
{
	for (int64_t i = 0; i < ROOM; i++) {
		float x = i < n ? (float)rng_normal(SEED, 2, (uint64_t)(i * 7 + n)) : NAN;

		dtype_convert((char *)p + i * dtype_size(type), type, &x, DTYPE_F32, 1);
	}
}

/* What a product of pairs makes of an element. */
static double
as_bf16(const void *p, dtype type, int64_t i)
{
	float x;

	dtype_convert(&x, DTYPE_F32, (const char *)p + i * dtype_size(type), type, 1);
	return (double)bf16_to_f32(f32_to_bf16(x));
}

static bool
near(const struct pair_case *s, const float *base)
{
	double worst = 0, allowed = s->c_type == DTYPE_F32 ? 3e-6 : 0x1p-8;

	for (int64_t i = 0; i < s->m; i++)
		for (int64_t j = 0; j < s->n; j++) {
			double sum = s->add ? (double)base[i * s->ldc + j] : 0, size = 1 + fabs(sum);
			float got;

			for (int64_t l = 0; l < s->k; l++) {
				int64_t x = s->ta ? l * s->lda + i : i * s->lda + l;
				double t = as_bf16(s->a, s->a_type, x) * as_bf16(s->b, s->b_type,
				    s->tb ? j * s->ldb + l : l * s->ldb + j);

				sum += t;
				size += fabs(t);
			}
			dtype_convert(&got, DTYPE_F32, s->c + (i * s->ldc + j) *
			    dtype_size(s->c_type), s->c_type, 1);
			worst = fmax(worst, fabs((double)got - sum) / size);
			if (!isfinite(got))
				return false;
		}
	return worst <= allowed;
}

/* Rows [at, at + m) of the product. */
static void
run(struct dev *d, const struct pair_case *s, int64_t at, int64_t m)
{
	char *a = s->a + at * (s->ta ? 1 : s->lda) * dtype_size(s->a_type);
	char *c = s->c + at * s->ldc * dtype_size(s->c_type);

	OF_ISA(k_matmul)((struct cpu *)d, &(union dev_args){ .matmul = {
		.c = { (uintptr_t)c }, .a = { (uintptr_t)a }, .b = { (uintptr_t)s->b },
		.c_type = s->c_type, .a_type = s->a_type, .b_type = s->b_type,
		.m = { .cap = m }, .k = { .cap = s->k }, .n = s->n, .lda = s->lda,
		.ldb = s->ldb, .ldc = s->ldc, .ta = s->ta, .tb = s->tb, .add = s->add,
		.alpha = 1 } });
}

/* Few rows at a time have the bits that they have among all. */
static bool
same_in_parts(struct dev *d, const struct pair_case *s, const float *base)
{
	size_t bytes = (size_t)(ROOM * dtype_size(s->c_type));
	char *whole = malloc(bytes);
	bool same;

	memcpy(whole, s->c, bytes);
	dtype_convert(s->c, s->c_type, base, DTYPE_F32, ROOM);
	for (int64_t at = 0, m; at < s->m; at += m) {
		m = min64(draw(1, 9), s->m - at);
		run(d, s, at, m);
	}
	same = memcmp(whole, s->c, (size_t)(s->m * s->ldc * dtype_size(s->c_type))) == 0;
	free(whole);
	return same;
}

static bool
pair_agrees(struct dev *d, struct pair_case *s)
{
	static const dtype types[] = { DTYPE_BF16, DTYPE_F32, DTYPE_F16 };
	float *base = malloc(ROOM * sizeof(*base));
	bool good;

	s->m = draw(1, 70);
	s->n = draw(1, 70);
	s->k = draw(0, 1) == 0 ? draw(0, 40) : draw(380, 800);
	s->ta = draw(0, 1) == 0;
	s->tb = draw(0, 1) == 0;
	s->add = draw(0, 1) == 0;
	s->lda = (s->ta ? s->m : s->k) + draw(0, 3);
	s->ldb = (s->tb ? s->k : s->n) + draw(0, 3);
	s->ldc = s->n + draw(0, 3);
	s->a_type = types[draw(0, 2)];
	s->b_type = s->a_type == DTYPE_BF16 ? types[draw(0, 2)] : DTYPE_BF16;
	s->c_type = types[draw(0, 2)];
	numbers(s->a, s->a_type, (s->ta ? s->k : s->m) * s->lda);
	numbers(s->b, s->b_type, (s->tb ? s->n : s->k) * s->ldb);
	numbers(s->c, s->c_type, s->m * s->ldc);
	dtype_convert(base, DTYPE_F32, s->c, s->c_type, ROOM);
	run(d, s, 0, s->m);
	good = near(s, base) && same_in_parts(d, s, base);
	free(base);
	if (!good)
		printf("# %lldx%lldx%lld ta %d tb %d add %d, %s = %s %s\n", (long long)s->m,
		    (long long)s->n, (long long)s->k, s->ta, s->tb, s->add,
		    dtype_name(s->c_type), dtype_name(s->a_type), dtype_name(s->b_type));
	return good;
}

int
main(void)
{
	struct err err = { 0 };
	struct team *team = team_new(2, &err);
	struct dev *d = team == NULL ? NULL : dev_open("cpu:base", team, 0, &err);
	struct pair_case s = { .a = malloc(ROOM * 4), .b = malloc(ROOM * 4),
		.c = malloc(ROOM * 4) };
	bool good = true;

	if (d == NULL)
		return 2;
	for (int i = 0; i < 100 && good; i++)
		good = pair_agrees(d, &s);
	ok(good, "products of packed pairs, of 100 random shapes and types, whole and in parts");
	free(s.a);
	free(s.b);
	free(s.c);
	dev_close(d);
	team_free(team);
	return tap_done();
}
