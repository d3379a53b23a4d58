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
	case MINU32: EACH(uint32_t, a[i] < b[i] ? a[i] : b[i]); break;
	case MAXU32: EACH(uint32_t, a[i] < b[i] ? b[i] : a[i]); break;
	case MINS32: EACH(uint32_t, (int32_t)a[i] < (int32_t)b[i] ? a[i] : b[i]); break;
	case MAXS32: EACH(uint32_t, (int32_t)a[i] < (int32_t)b[i] ? b[i] : a[i]); break;
	case NOT32: EACH(uint32_t, ~a[i]); break;
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

/* Operands of 64 bits; false: it is none of these. */
static bool
wide_same(struct warp *w, const struct insn *in, uint32_t mask)
{
	const uint64_t *a = S(uint64_t, 0), *b = S(uint64_t, 1);
	const uint32_t *by = S(uint32_t, 1);

	switch (in->op) {
	case ADD64: EACH(uint64_t, a[i] + b[i]); break;
	case SUB64: EACH(uint64_t, a[i] - b[i]); break;
	case AND64: EACH(uint64_t, a[i] & b[i]); break;
	case OR64: EACH(uint64_t, a[i] | b[i]); break;
	case MUL64: EACH(uint64_t, a[i] * b[i]); break;
	case MINU64: EACH(uint64_t, a[i] < b[i] ? a[i] : b[i]); break;
	case MAXU64: EACH(uint64_t, a[i] < b[i] ? b[i] : a[i]); break;
	case MINS64: EACH(uint64_t, (int64_t)a[i] < (int64_t)b[i] ? a[i] : b[i]); break;
	case MAXS64: EACH(uint64_t, (int64_t)a[i] < (int64_t)b[i] ? b[i] : a[i]); break;
	case NOT64: EACH(uint64_t, ~a[i]); break;
	case NARROW: EACH(uint32_t, a[i]); break;
	case SHL64: EACH(uint64_t, by[i] > 63 ? 0 : a[i] << (by[i] & 63)); break;
	case SHR64: EACH(uint64_t, by[i] > 63 ? 0 : a[i] >> (by[i] & 63)); break;
	case SAR64: EACH(int64_t, (int64_t)a[i] >> (by[i] > 63 ? 63 : by[i])); break;
	default: return false;
	}
	return true;
}

static void
wide(struct warp *w, const struct insn *in, uint32_t mask)
{
	if (wide_same(w, in, mask))
		return;
	switch (in->op) {
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
	case NEGF: EACH(float, -a[i]); break;
	case NARROWF: {
		const double *s = S(double, 0);

		EACH(float, s[i]);
		break;
	}
	case WIDENF: EACH(double, a[i]); break;
	default: {
		const uint32_t *s = S(uint32_t, 0);

		EACH(uint32_t, s[i] << 16);	/* WIDENBF */
	}
	}
}

static void
predicate(struct warp *w, const struct insn *in, uint32_t mask)
{
	uint32_t a = w->pred[in->src[0]] ^ (in->src_not & 1 ? ~0u : 0), b = 0;

	if (in->n_src > 1)
		b = w->pred[in->src[1]] ^ (in->src_not & 2 ? ~0u : 0);
	put_bits(w, in, mask, in->op == ANDP ? a & b : in->op == ORP ? a | b :
	    in->op == XORP ? a ^ b : in->op == NOTP ? ~a : a);
}

void
alu(struct warp *w, const struct insn *in, uint32_t mask)
{
	switch (in->op) {
	case MOV32: case MOV64: case ADD32: case SUB32: case MUL32: case MAD32: case AND32: case OR32:
	case XOR32: case SHL32: case SHR32: case SAR32: case LOP32: case SELP32: case MINU32:
	case MAXU32: case MINS32: case MAXS32: case NOT32:
		integer(w, in, mask);
		break;
	case ADD64: case SUB64: case AND64: case WIDES: case WIDEU: case MADWIDES: case MADWIDEU:
	case SHL64: case SHR64: case OR64: case MUL64: case NARROW: case EXTS: case EXTU: case SELP64:
	case MINU64: case MAXU64: case MINS64: case MAXS64: case NOT64: case SAR64:
		wide(w, in, mask);
		break;
	case ADDF: case SUBF: case MULF: case FMAF: case MAXF: case MINF: case NEGF:
	case NARROWF: case WIDENF: case WIDENBF:
		floating(w, in, mask);
		break;
	case SETPS32: COMPARE(int32_t); break;
	case SETPU32: COMPARE(uint32_t); break;
	case SETPS64: COMPARE(int64_t); break;
	case SETPU64: COMPARE(uint64_t); break;
	case SETPF: compare_float(w, in, mask); break;
	case MOVP: case ANDP: case ORP: case XORP: case NOTP: predicate(w, in, mask); break;
	default: alu_eval(w, in, mask);
	}
}
