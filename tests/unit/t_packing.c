/*
 * What quantizers leave in safetensors (tests/golden/packed.py): every weight, as
 * it was computed; and as blocks of the same numbers.
 */
#include <glob.h>
#include <math.h>
#include <stdlib.h>

#include "../tap.h"
#include "base/quant.h"
#include "base/rng.h"
#include "fmt/safetensors.h"
#include "model/packing_impl.h"

/* Products of an integer and a scale, in fp32 on both sides: to the last bit, or the one before. */
static bool
same(const float *x, const float *y, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		if (!(fabsf(x[i] - y[i]) <= 1.2e-7f * fabsf(y[i])))
			return false;
	return true;
}

static void
check(const char *dir)
{
	struct err err = { 0 };
	struct model m = { .dev = NULL };
	char path[256];
	struct st_file *want;
	int right = 0, n = 0;

	snprintf(path, sizeof(path), "%s/expected.safetensors", dir);
	want = st_open(path, &err);
	if (want == NULL || model_open(&m, dir, &err) < 0) {
		printf("# %s\n", err.msg);
		ok(false, dir);
		st_close(want);
		model_free(&m);
		return;
	}
	for (int i = 0; i < m.n_weights; i++) {
		const struct st_tensor *t = st_find(want, m.weight[i].name);
		float *x = calloc((size_t)m.weight[i].n, sizeof(*x));

		if (t != NULL && x != NULL) {
			n++;
			right += model_read(&m, i, x, &err) == 0 && t->bytes == 4 * m.weight[i].n &&
			    same(x, t->data, m.weight[i].n);
		}
		free(x);
	}
	ok(n == 14 && right == n, dir);
	st_close(want);
	model_free(&m);
}

/* ---- as blocks ---- */

enum { N = 40, K = 192, GROUP = 64, GROUPS = K / GROUP };

/* A weight of random words, of a kind and so many bits; even: all zeros in the middle. */
struct made {
	struct packed	 w;
	struct st_tensor q, scale, zero, order;
	uint32_t	 words[N * K], zeros[N * GROUPS];
	int32_t		 of[K];
	float		 scales[N * GROUPS];
};

static void
make(struct made *m, int kind, int64_t bits, bool even)
{
	const int64_t each = 32 / bits;

	*m = (struct made){ .w = { .kind = kind, .n = N, .k = K, .bits = bits, .groups = GROUPS,
	    .block = { 1, GROUP }, .q = &m->q, .scale = &m->scale, .zero = &m->zero } };
	for (int i = 0; i < N * K; i++)
		m->words[i] = (uint32_t)rng_u64(1, 1, (uint64_t)i);
	for (int i = 0; i < N * GROUPS; i++) {
		m->zeros[i] = even ? bits == 4 ? 0x88888888 : 0x80808080 :
		    (uint32_t)rng_u64(1, 2, (uint64_t)i);
		m->scales[i] = f16_to_f32(f32_to_f16(0.01f + 1e-3f *
		    (float)rng_below(1, 3, (uint64_t)i, 100)));
	}
	for (int i = 0; i < K; i++)
		m->of[i] = i / GROUP;
	m->q = (struct st_tensor){ .name = "q", .type = DTYPE_I32, .ndim = 2,
	    .shape = { N, K / each }, .data = m->words, .bytes = sizeof(m->words) };
	if (kind == PACKED_PLAIN)
		m->q.type = DTYPE_I8;
	m->scale = (struct st_tensor){ .name = "scale", .type = DTYPE_F32, .data = m->scales,
	    .bytes = sizeof(m->scales) };
	m->zero = (struct st_tensor){ .name = "zero", .type = DTYPE_I32, .data = m->zeros };
	m->order = (struct st_tensor){ .name = "order", .type = DTYPE_I32, .data = m->of };
}

/* The blocks of this type have the numbers that decoding gives, bit for bit; or there are none. */
static void
check_blocks(const struct made *m, dtype want, const char *what)
{
	static float x[N * K], y[N * K];
	struct err err = { 0 };
	dtype type = DTYPE_NONE;
	void *blocks = NULL;
	int got = packing_blocks(&m->w, &type, &blocks, &err);

	if (want == DTYPE_NONE) {
		ok(got == 0 && blocks == NULL, what);
		return;
	}
	if (got > 0)
		quant_decode(type, x, blocks, N * K);
	ok(got == 1 && type == want && packing_decode(&m->w, y, &err) == 0 &&
	    memcmp(x, y, sizeof(x)) == 0, what);
	free(blocks);
}

static void
test_blocks(void)
{
	static struct made m;

	make(&m, PACKED_ROWS, 4, false);
	check_blocks(&m, DTYPE_Q5_0, "four bits in rows, with zeros: five");
	m.w.zero = NULL;
	check_blocks(&m, DTYPE_Q4_0, "without: four");
	m.w.block[1] = K;
	m.w.groups = 1;
	check_blocks(&m, DTYPE_Q4_0, "a scale a row");
	m.scales[7] = 0.1f;
	check_blocks(&m, DTYPE_NONE, "a scale that fp16 has not");
	m.scales[7] = INFINITY;
	check_blocks(&m, DTYPE_NONE, "or that is infinite");
	make(&m, PACKED_GPTQ, 4, false);
	m.w.order = &m.order;
	check_blocks(&m, DTYPE_Q5_0, "GPTQ");
	m.w.less_one = true;
	check_blocks(&m, DTYPE_Q5_0, "its first format");
	m.of[GROUP] = 0;
	check_blocks(&m, DTYPE_NONE, "columns out of order");
	make(&m, PACKED_GPTQ, 4, true);
	check_blocks(&m, DTYPE_Q4_0, "GPTQ, symmetric");
	make(&m, PACKED_GPTQ, 8, true);
	check_blocks(&m, DTYPE_Q8_0, "of eight bits");
	make(&m, PACKED_GPTQ, 8, false);
	check_blocks(&m, DTYPE_NONE, "with zeros");
	make(&m, PACKED_GPTQ, 2, true);
	check_blocks(&m, DTYPE_NONE, "of two");
	make(&m, PACKED_AWQ, 4, false);
	check_blocks(&m, DTYPE_Q5_0, "AWQ");
	m.w.block[1] = 16;
	m.w.groups = K / 16;
	check_blocks(&m, DTYPE_NONE, "groups smaller than blocks");
	make(&m, PACKED_PLAIN, 8, false);
	m.w.zero = NULL;
	check_blocks(&m, DTYPE_Q8_0, "bytes");
	m.q.type = DTYPE_F8_E4M3;
	check_blocks(&m, DTYPE_NONE, "FP8");
}

/* A model with one thing of its quantization_config changed is refused. */
static void
refused(const char *dir, const char *why)
{
	struct err err = { 0 };
	struct model m = { .dev = NULL };

	ok(model_open(&m, dir, &err) < 0 && strstr(err.msg, why) != NULL, dir);
	model_free(&m);
}

int
main(void)
{
	glob_t g;

	if (glob("tests/data/packed/*", 0, NULL, &g) != 0)
		return 1;
	for (size_t i = 0; i < g.gl_pathc; i++)
		if (strstr(g.gl_pathv[i], "/bad-") == NULL)
			check(g.gl_pathv[i]);
	ok(g.gl_pathc >= 10, "there are layouts");
	globfree(&g);
	test_blocks();
	refused("tests/data/packed/bad-order", "g_idx");
	refused("tests/data/packed/bad-scale", "scales");
	refused("tests/data/packed/bad-method", "quant_method");
	return tap_done();
}
