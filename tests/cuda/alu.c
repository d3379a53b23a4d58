/*
 * alu - arithmetic, a warp at a time where the operation is common
 *
 * The loops over lanes are written so that the compiler makes vector code of
 * them.  What is rarer goes lane by lane through eval() in eval.c.
 */
#include <math.h>
#include <string.h>

#include "exec.h"

#define D(T)	((T *)(w->reg + in->dst[0]))
#define S(T, i)	((const T *)(w->reg + in->src[i]))

/* d[i] = e for the lanes of the mask; a register may be source and result. */
#define EACH(T, e) do {							\
	T *d = D(T);							\
	if (mask == ~0u) {						\
		_Pragma("GCC ivdep")					\
		for (int i = 0; i < LANES; i++)				\
			d[i] = (T)(e);					\
	} else {							\
		_Pragma("GCC ivdep")					\
		for (int i = 0; i < LANES; i++)				\
			d[i] = mask >> i & 1 ? (T)(e) : d[i];		\
	}								\
} while (0)

#define TWO(T, U, op) do {						\
	const U *a = S(U, 0), *b = S(U, 1);				\
	EACH(T, (T)a[i] op (T)b[i]);					\
} while (0)

#define COMPARE(T) do {							\
	const T *a = S(T, 0), *b = S(T, 1);				\
	uint32_t r = 0;							\
	switch (in->cmp) {						\
	case CMP_EQ: BITS(a[i] == b[i]); break;				\
	case CMP_NE: BITS(a[i] != b[i]); break;				\
	case CMP_LT: BITS(a[i] < b[i]); break;				\
	case CMP_LE: BITS(a[i] <= b[i]); break;				\
	case CMP_GT: BITS(a[i] > b[i]); break;				\
	default: BITS(a[i] >= b[i]); break;				\
	}								\
	put_bits(w, in, mask, r);					\
} while (0)

#define BITS(e) do {							\
	for (int i = 0; i < LANES; i++)					\
		r |= (uint32_t)(e) << i;				\
} while (0)

static void
put_bits(struct warp *w, const struct insn *in, uint32_t mask, uint32_t r)
{
	uint32_t *p = &w->pred[in->dst[0]];

	*p = (*p & ~mask) | (r & mask);
	if (in->n_dst > 1) {
		p = &w->pred[in->dst[1]];
		*p = (*p & ~mask) | (~r & mask);
	}
}

static void
compare_float(struct warp *w, const struct insn *in, uint32_t mask)
{
	const float *a = S(float, 0), *b = S(float, 1);
	uint32_t r = 0;

	switch (in->cmp) {
	case CMP_EQ: BITS(a[i] == b[i]); break;
	case CMP_NE: BITS(a[i] < b[i] || a[i] > b[i]); break;
	case CMP_LT: BITS(a[i] < b[i]); break;
	case CMP_LE: BITS(a[i] <= b[i]); break;
	case CMP_GT: BITS(a[i] > b[i]); break;
	case CMP_GE: BITS(a[i] >= b[i]); break;
	case CMP_EQU: BITS(!(a[i] < b[i] || a[i] > b[i])); break;
	case CMP_NEU: BITS(a[i] != b[i]); break;
	case CMP_LTU: BITS(!(a[i] >= b[i])); break;
	case CMP_LEU: BITS(!(a[i] > b[i])); break;
	case CMP_GTU: BITS(!(a[i] <= b[i])); break;
	case CMP_GEU: BITS(!(a[i] < b[i])); break;
	case CMP_NUM: BITS(a[i] == a[i] && b[i] == b[i]); break;
	default: BITS(a[i] != a[i] || b[i] != b[i]); break;
	}
	put_bits(w, in, mask, r);
}

static uint32_t
lop3(uint32_t a, uint32_t b, uint32_t c, uint32_t lut)
{
	uint32_t r = 0;

	for (uint32_t i = 0; i < 8; i++)
		r |= lut >> i & 1 ? (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c) : 0;
	return r;
}

static void
integer(struct warp *w, const struct insn *in, uint32_t mask)
{
	const uint32_t *a = S(uint32_t, 0), *b = S(uint32_t, 1);

	switch (in->op) {
	case MOV32: EACH(uint32_t, a[i]); break;
	case MOV64: {
		const uint64_t *s = S(uint64_t, 0);

		EACH(uint64_t, s[i]);
		break;
	}
	case ADD32: EACH(uint32_t, a[i] + b[i]); break;
	case SUB32: EACH(uint32_t, a[i] - b[i]); break;
	case MUL32: EACH(uint32_t, a[i] * b[i]); break;
	case MAD32: {
		const uint32_t *c = S(uint32_t, 2);

		EACH(uint32_t, a[i] * b[i] + c[i]);
		break;
	}
	case AND32: EACH(uint32_t, a[i] & b[i]); break;
	case OR32: EACH(uint32_t, a[i] | b[i]); break;
	case XOR32: EACH(uint32_t, a[i] ^ b[i]); break;
	case SHL32: EACH(uint32_t, b[i] > 31 ? 0 : a[i] << (b[i] & 31)); break;
	case SHR32: EACH(uint32_t, b[i] > 31 ? 0 : a[i] >> (b[i] & 31)); break;
	case SAR32: EACH(int32_t, (int32_t)a[i] >> (b[i] > 31 ? 31 : b[i])); break;
	case LOP32: {
		const uint32_t *c = S(uint32_t, 2), *lut = S(uint32_t, 3);

		EACH(uint32_t, lop3(a[i], b[i], c[i], lut[0]));
		break;
	}
	default: {
		uint32_t p = w->pred[in->src[2]] ^ (in->src_not & 4 ? ~0u : 0);

		EACH(uint32_t, p >> i & 1 ? a[i] : b[i]);	/* SELP32 */
	}
	}
}

static void
wide(struct warp *w, const struct insn *in, uint32_t mask)
{
	switch (in->op) {
	case ADD64: TWO(uint64_t, uint64_t, +); break;
	case SUB64: TWO(uint64_t, uint64_t, -); break;
	case AND64: TWO(uint64_t, uint64_t, &); break;
	case OR64: TWO(uint64_t, uint64_t, |); break;
	case MUL64: TWO(uint64_t, uint64_t, *); break;
	case NARROW: {
		const uint64_t *a = S(uint64_t, 0);

		EACH(uint32_t, a[i]);
		break;
	}
	case SHR64: {
		const uint64_t *a = S(uint64_t, 0);
		const uint32_t *b = S(uint32_t, 1);

		EACH(uint64_t, b[i] > 63 ? 0 : a[i] >> (b[i] & 63));
		break;
	}
	case WIDES: TWO(int64_t, int32_t, *); break;
	case WIDEU: TWO(uint64_t, uint32_t, *); break;
	case MADWIDES: {
		const int32_t *a = S(int32_t, 0), *b = S(int32_t, 1);
		const int64_t *c = S(int64_t, 2);

		EACH(int64_t, (int64_t)a[i] * b[i] + c[i]);
		break;
	}
	case MADWIDEU: {
		const uint32_t *a = S(uint32_t, 0), *b = S(uint32_t, 1);
		const uint64_t *c = S(uint64_t, 2);

		EACH(uint64_t, (uint64_t)a[i] * b[i] + c[i]);
		break;
	}
	case SHL64: {
		const uint64_t *a = S(uint64_t, 0);
		const uint32_t *b = S(uint32_t, 1);

		EACH(uint64_t, b[i] > 63 ? 0 : a[i] << (b[i] & 63));
		break;
	}
	case EXTS: {
		const int32_t *a = S(int32_t, 0);

		EACH(int64_t, a[i]);
		break;
	}
	case EXTU: {
		const uint32_t *a = S(uint32_t, 0);

		EACH(uint64_t, a[i]);
		break;
	}
	default: {
		const uint64_t *a = S(uint64_t, 0), *b = S(uint64_t, 1);
		uint32_t p = w->pred[in->src[2]] ^ (in->src_not & 4 ? ~0u : 0);

		EACH(uint64_t, p >> i & 1 ? a[i] : b[i]);	/* SELP64 */
	}
	}
}

/* min and max give the other operand when one is NaN. */
static inline float
float_max(float a, float b)
{
	return a > b || b != b ? a : a < b || a != a ? b : signbit(a) ? b : a;
}

static inline float
float_min(float a, float b)
{
	return a < b || b != b ? a : a > b || a != a ? b : signbit(a) ? a : b;
}

static void
floating(struct warp *w, const struct insn *in, uint32_t mask)
{
	const float *a = S(float, 0), *b = S(float, 1);

	switch (in->op) {
	case ADDF: EACH(float, a[i] + b[i]); break;
	case SUBF: EACH(float, a[i] - b[i]); break;
	case MULF: EACH(float, a[i] * b[i]); break;
	case FMAF: {
		const float *c = S(float, 2);

		EACH(float, __builtin_fmaf(a[i], b[i], c[i]));
		break;
	}
	case MAXF: EACH(float, float_max(a[i], b[i])); break;
	case MINF: EACH(float, float_min(a[i], b[i])); break;
	default: {
		const uint32_t *s = S(uint32_t, 0);

		EACH(uint32_t, s[i] << 16);	/* WIDENBF */
	}
	}
}

void
alu(struct warp *w, const struct insn *in, uint32_t mask)
{
	switch (in->op) {
	case MOV32: case MOV64: case ADD32: case SUB32: case MUL32: case MAD32: case AND32: case OR32:
	case XOR32: case SHL32: case SHR32: case SAR32: case LOP32: case SELP32:
		integer(w, in, mask);
		break;
	case ADD64: case SUB64: case AND64: case WIDES: case WIDEU: case MADWIDES: case MADWIDEU:
	case SHL64: case SHR64: case OR64: case MUL64: case NARROW: case EXTS: case EXTU: case SELP64:
		wide(w, in, mask);
		break;
	case ADDF: case SUBF: case MULF: case FMAF: case MAXF: case MINF: case WIDENBF:
		floating(w, in, mask);
		break;
	case SETPS32: COMPARE(int32_t); break;
	case SETPU32: COMPARE(uint32_t); break;
	case SETPS64: COMPARE(int64_t); break;
	case SETPU64: COMPARE(uint64_t); break;
	case SETPF: compare_float(w, in, mask); break;
	default: alu_eval(w, in, mask);
	}
}
