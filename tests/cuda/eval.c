/*
 * eval - the arithmetic of one lane, for every type
 */
#include <math.h>
#include <string.h>

#include "exec.h"

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

static int64_t
sign_extend(uint64_t v, int size)
{
	return size == 8 ? (int64_t)v : (int64_t)(v << (64 - 8 * size)) >> (64 - 8 * size);
}

static uint64_t
zero_extend(uint64_t v, int size)
{
	return size == 8 || size == 0 ? v : v & ((UINT64_C(1) << 8 * size) - 1);
}

static float
flush(float f)
{
	return fabsf(f) < 0x1p-126f ? copysignf(0, f) : f;
}

static float
saturate(float f)
{
	return isnan(f) || f <= 0 ? 0 : f > 1 ? 1 : f;
}

static uint64_t
multiply_high(const struct insn *in, uint64_t a, uint64_t b)
{
	int size = type_size(in->type);

	if (size == 8 && type_signed(in->type))
		return (uint64_t)((int128)(int64_t)a * (int64_t)b >> 64);
	if (size == 8)
		return (uint64_t)((uint128)a * b >> 64);
	if (type_signed(in->type))
		return (uint64_t)(sign_extend(a, size) * sign_extend(b, size) >> 8 * size);
	return a * b >> 8 * size;
}

static uint64_t
multiply(const struct insn *in, uint64_t a, uint64_t b)
{
	int size = type_size(in->type);

	if (in->part == PART_HI)
		return multiply_high(in, a, b);
	if (in->part == PART_WIDE && type_signed(in->type))
		return (uint64_t)(sign_extend(a, size) * sign_extend(b, size));
	return a * b;
}

static uint64_t
saturate_s32(int64_t v)
{
	return (uint64_t)(v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : v);
}

static uint64_t
bit_field(const struct insn *in, uint64_t a, uint64_t b, uint64_t c)
{
	unsigned bits = 8u * (unsigned)type_size(in->type);
	unsigned pos = b & 255, len = c & 255, last = pos + len - 1;
	uint64_t v, sign;

	if (last > bits - 1)
		last = bits - 1;
	sign = len == 0 || !type_signed(in->type) ? 0 : a >> last & 1;
	v = pos >= bits ? 0 : a >> pos;
	if (pos + len > bits)
		len = pos >= bits ? 0 : bits - pos;
	if (len < 64)
		v = (v & ((UINT64_C(1) << len) - 1)) | (sign ? ~UINT64_C(0) << len : 0);
	return v;
}

static uint64_t
insert_field(int size, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	unsigned bits = 8u * (unsigned)size, pos = c & 255, len = d & 255;
	uint64_t m;

	if (pos >= bits || len == 0)
		return b;
	m = len >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << len) - 1;
	return (b & ~(m << pos)) | (a & m) << pos;
}

static uint64_t
permute(int mode, uint64_t a, uint64_t b, uint32_t c)
{
	static const uint16_t tables[6][4] = {
		{ 0x3210, 0x4321, 0x5432, 0x6543 }, { 0x5670, 0x6701, 0x7012, 0x0123 },
		{ 0x0000, 0x1111, 0x2222, 0x3333 }, { 0x3210, 0x3211, 0x3222, 0x3333 },
		{ 0x0000, 0x1110, 0x2210, 0x3210 }, { 0x1010, 0x3232, 0x1010, 0x3232 },
	};
	uint64_t v = (uint32_t)a | b << 32, r = 0;

	if (mode != 0)
		c = tables[mode - 1][c & 3];
	for (int i = 0; i < 4; i++) {
		uint32_t s = c >> 4 * i & 15;
		uint64_t byte = v >> 8 * (s & 7) & 255;

		if (s & 8)
			byte = byte & 128 ? 255 : 0;
		r |= byte << 8 * i;
	}
	return r;
}

/* dp4a.ta.tb: bytes of a and b; dp2a: 16-bit halves of a and two bytes of b. */
static uint64_t
dot(const struct insn *in, uint64_t a, uint64_t b, uint64_t c)
{
	int n = in->op == DP4A ? 4 : 2, size = in->op == DP4A ? 1 : 2;
	int shift = in->op == DP2A && in->part == PART_HI ? 16 : 0;
	int tb = in->from == NOTYPE ? in->type : in->from;
	int64_t sum = (int32_t)c;

	for (int i = 0; i < n; i++) {
		uint64_t x = zero_extend(a >> 8 * size * i, size), y = b >> (shift + 8 * i) & 255;

		sum += (type_signed(in->type) ? sign_extend(x, size) : (int64_t)x) *
		    (type_signed(tb) ? sign_extend(y, 1) : (int64_t)y);
	}
	return (uint64_t)sum;
}

static uint64_t
reverse_bits(uint64_t a, int size)
{
	uint64_t r = 0;

	for (int i = 0; i < 8 * size; i++)
		r |= (a >> i & 1) << (8 * size - 1 - i);
	return r;
}

static uint64_t
find_bit(const struct insn *in, uint64_t a)
{
	int size = type_size(in->type), bits = 8 * size;
	uint64_t v = zero_extend(a, size);

	if (type_signed(in->type) && sign_extend(a, size) < 0)
		v = zero_extend(~v, size);
	if (v == 0)
		return ~UINT64_C(0);
	int at = 63 - __builtin_clzll(v);

	return (uint64_t)(in->sub ? bits - 1 - at : at);
}

static uint64_t
shift_left(uint64_t a, uint64_t n, int size)
{
	return (uint32_t)n >= 8u * (unsigned)size ? 0 : a << (uint32_t)n;
}

static uint64_t
shift_right(const struct insn *in, uint64_t a, uint64_t n)
{
	unsigned size = (unsigned)type_size(in->type), most = 8 * size - 1;
	uint32_t by = (uint32_t)n;

	if (type_signed(in->type))
		return (uint64_t)(sign_extend(a, (int)size) >> (by > most ? most : by));
	return by > most ? 0 : zero_extend(a, (int)size) >> by;
}

static uint64_t
funnel(const struct insn *in, uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t v = (uint32_t)a | b << 32;
	uint32_t n = (uint32_t)c;

	n = in->sub & 2 ? (n > 32 ? 32 : n) : n & 31;
	return in->sub & 1 ? v << n >> 32 : v >> n;
}

static bool
compare_ints(int cmp, bool less, bool equal)
{
	switch (cmp) {
	case CMP_EQ:	return equal;
	case CMP_NE:	return !equal;
	case CMP_LT:	return less;
	case CMP_LE:	return less || equal;
	case CMP_GT:	return !less && !equal;
	default:	return !less;
	}
}

static bool
compare_doubles(int cmp, double a, double b)
{
	bool nan = isnan(a) || isnan(b);

	if (cmp == CMP_NUM || cmp == CMP_NAN)
		return nan == (cmp == CMP_NAN);
	if (cmp >= CMP_EQU)
		return nan || compare_ints(cmp - CMP_EQU + CMP_EQ, a < b, a == b);
	return !nan && compare_ints(cmp, a < b, a == b);
}

static double
to_double(int type, uint64_t v)
{
	switch (type) {
	case F16:	return (double)half_to_float((uint16_t)v);
	case BF16:	return (double)bf16_to_float((uint16_t)v);
	case F32:
	case TF32:	return (double)f32(v);
	default:	return f64(v);
	}
}

static bool
is_float(int type)
{
	return type == F16 || type == BF16 || type == F32 || type == F64 || type == TF32;
}

static bool
compare(const struct insn *in, int type, uint64_t a, uint64_t b)
{
	int size = type_size(type);

	if (is_float(type)) {
		double x = to_double(type, a), y = to_double(type, b);

		if (in->ftz && type == F32) {
			x = (double)flush((float)x);
			y = (double)flush((float)y);
		}
		return compare_doubles(in->cmp, x, y);
	}
	if (type_signed(type))
		return compare_ints(in->cmp, sign_extend(a, size) < sign_extend(b, size),
		    sign_extend(a, size) == sign_extend(b, size));
	return compare_ints(in->cmp, zero_extend(a, size) < zero_extend(b, size),
	    zero_extend(a, size) == zero_extend(b, size));
}

static bool
set_predicate(const struct insn *in, bool r, uint64_t c)
{
	return in->sub == 1 ? r && c : in->sub == 2 ? r || c : in->sub == 3 ? r != (c & 1) : r;
}

/* Integers of any size; the result is cut to its size by the caller. */
static uint64_t
integer(const struct insn *in, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	int size = type_size(in->type);
	bool sign = type_signed(in->type);
	int64_t x = sign_extend(a, size ? size : 8), y = sign_extend(b, size ? size : 8);

	switch (in->op) {
	case ADD:	return in->sat ? saturate_s32(x + y) : a + b;
	case SUB:	return in->sat ? saturate_s32(x - y) : a - b;
	case MUL:	return multiply(in, a, b);
	case MAD:
		if (in->sat)
			return saturate_s32((int64_t)multiply(in, a, b) + (int32_t)c);
		return multiply(in, a, b) + c;
	case MUL24:
	case MAD24: {
		int64_t p = sign ? (x << 40 >> 40) * (y << 40 >> 40) :
		    (int64_t)((a & 0xffffff) * (b & 0xffffff));

		return (uint64_t)(in->part == PART_HI ? p >> 16 : p) + (in->op == MAD24 ? c : 0);
	}
	case SAD:	return c + (sign ? (uint64_t)(x < y ? y - x : x - y) : a < b ? b - a : a - b);
	/* By zero the hardware gives all ones. */
	case DIV:	return b == 0 ? ~UINT64_C(0) : !sign ? a / b : y == -1 ? -(uint64_t)x :
	    (uint64_t)(x / y);
	case REM:	return b == 0 ? a : !sign ? a % b : y == -1 ? 0 : (uint64_t)(x % y);
	case ABS:	return x < 0 ? -(uint64_t)x : (uint64_t)x;
	case NEG:	return -a;
	case MIN:	return (sign ? x < y : a < b) ? a : b;
	case MAX:	return (sign ? x < y : a < b) ? b : a;
	case POPC:	return (uint64_t)__builtin_popcountll(a);
	case CLZ:	return (uint64_t)(a == 0 ? 8 * size : __builtin_clzll(a) - (64 - 8 * size));
	case BFIND:	return find_bit(in, a);
	case BREV:	return reverse_bits(a, size);
	case BFE:	return bit_field(in, a, b, c);
	case BFI:	return insert_field(size, a, b, c, d);
	case BMSK:	return insert_field(4, ~UINT64_C(0), 0, in->sub || a < 32 ? a : a & 31,
	    in->sub ? b : b & 31);
	case SZEXT:	return bit_field(in, a, 0, in->sub ? (b > 32 ? 32 : b) : b & 31);
	case AND:	return a & b;
	case OR:	return a | b;
	case XOR:	return a ^ b;
	case NOT:	return ~a;
	case CNOT:	return a == 0;
	case SHL:	return shift_left(a, b, size);
	case SHR:	return shift_right(in, a, b);
	case SHF:	return funnel(in, a, b, c);
	case PRMT:	return permute(in->sub, a, b, (uint32_t)c);
	case DP4A:
	case DP2A:	return dot(in, a, b, c);
	default:	return 0;
	}
}

static float
max_of(const struct insn *in, float a, float b)
{
	bool max = in->op == MAX;

	if (in->trans && (isnan(a) || isnan(b)))
		return NAN;
	if (isnan(a) || isnan(b))
		return isnan(a) ? b : a;
	if (a == b)
		return signbit(a) == max ? b : a;
	return (a > b) == max ? a : b;
}

/* fp32, and fp16 and bf16 by it: one operation on those is exact in fp32 but for fma. */
static float
single(const struct insn *in, float a, float b, float c)
{
	switch (in->op) {
	case ADD:	return a + b;
	case SUB:	return a - b;
	case MUL:	return a * b;
	case MAD:
	case FMA:	return fmaf(a, b, c);
	case DIV:	return a / b;
	case ABS:	return fabsf(a);
	case NEG:	return -a;
	case MIN:
	case MAX:	a = max_of(in, a, b); return in->n_src > 2 ? max_of(in, a, c) : a;
	case RCP:	return 1 / a;
	case SQRT:	return sqrtf(a);
	case RSQRT:	return (float)(1 / sqrt((double)a));
	case EX2:	return exp2f(a);
	case LG2:	return log2f(a);
	case SIN:	return sinf(a);
	case COS:	return cosf(a);
	case TANH:	return tanhf(a);
	case COPYSIGN:	return copysignf(b, a);
	default:	return NAN;
	}
}

/* Rounding other than to nearest: the nearest result and which side of it the true one is. */
static float
directed(const struct insn *in, float a, float b, float c)
{
	double exact = in->op == ADD ? (double)a + (double)b : in->op == SUB ? (double)a - (double)b :
	    in->op == MUL ? (double)a * (double)b : in->op == FMA || in->op == MAD ?
	    fma((double)a, (double)b, (double)c) : in->op == DIV ? (double)a / (double)b :
	    in->op == RCP ? 1 / (double)a : sqrt((double)a);
	float f = (float)exact;

	if (isnan(f) || (double)f == exact)
		return f;
	if (in->round == ROUND_Z ? fabs((double)f) > fabs(exact) :
	    in->round == ROUND_M ? (double)f > exact : (double)f < exact)
		f = nextafterf(f, in->round == ROUND_Z ? 0 : in->round == ROUND_M ? -INFINITY : INFINITY);
	return f;
}

static uint64_t
floating(const struct insn *in, uint64_t a, uint64_t b, uint64_t c)
{
	float x = f32(a), y = f32(b), z = f32(c), r;

	if (in->ftz)
		x = flush(x), y = flush(y), z = flush(z);
	r = in->round > ROUND_N && in->round <= ROUND_P ? directed(in, x, y, z) : single(in, x, y, z);
	if (in->ftz)
		r = flush(r);
	return of_f32(in->sat ? saturate(r) : in->relu && !(r > 0) && !isnan(r) ? 0 : r);
}

static uint64_t
half(const struct insn *in, uint64_t a, uint64_t b, uint64_t c)
{
	bool bf = in->type == BF16 || in->type == BF16X2;
	float x, y, z, r;

	if (in->op == NEG || in->op == ABS)
		return in->op == NEG ? a ^ 0x8000 : a & 0x7fff;
	x = bf ? bf16_to_float((uint16_t)a) : half_to_float((uint16_t)a);
	y = bf ? bf16_to_float((uint16_t)b) : half_to_float((uint16_t)b);
	z = bf ? bf16_to_float((uint16_t)c) : half_to_float((uint16_t)c);
	/* The product of two is exact; the sum in double is rounded once too often, by 2^-53. */
	r = in->op == FMA ? (float)((double)x * (double)y + (double)z) : single(in, x, y, z);
	if (in->sat)
		r = saturate(r);
	if (in->relu && !(r > 0) && !isnan(r))
		r = 0;
	return bf ? float_to_bf16(r, ROUND_N) : float_to_half(r, ROUND_N);
}

static uint64_t
double_precision(const struct insn *in, uint64_t a, uint64_t b, uint64_t c)
{
	double x = f64(a), y = f64(b), z = f64(c);

	switch (in->op) {
	case ADD:	return of_f64(x + y);
	case SUB:	return of_f64(x - y);
	case MUL:	return of_f64(x * y);
	case MAD:
	case FMA:	return of_f64(fma(x, y, z));
	case DIV:	return of_f64(x / y);
	case ABS:	return a & INT64_MAX;
	case NEG:	return a ^ (UINT64_C(1) << 63);
	case MIN:	return of_f64(fmin(x, y));
	case MAX:	return of_f64(fmax(x, y));
	case RCP:	return of_f64(1 / x);
	case SQRT:	return of_f64(sqrt(x));
	case RSQRT:	return of_f64(1 / sqrt(x));
	case COPYSIGN:	return of_f64(copysign(y, x));
	default:	return of_f64((double)NAN);
	}
}

static double
round_to_int(int round, double x)
{
	switch (round) {
	case ROUND_ZI:	return trunc(x);
	case ROUND_MI:	return floor(x);
	case ROUND_PI:	return ceil(x);
	case ROUND_NI:	return nearbyint(x);
	default:	return x;
	}
}

/* To an integer, which saturates; NaN is 0, and of 64 bits the smallest. */
static uint64_t
to_integer(int type, double x)
{
	int bits = 8 * type_size(type);
	double lo, hi;

	if (isnan(x))
		return bits == 64 ? UINT64_C(1) << 63 : 0;
	lo = type_signed(type) ? -ldexp(1, bits - 1) : 0;
	hi = type_signed(type) ? ldexp(1, bits - 1) : ldexp(1, bits);
	if (x <= lo)
		return (uint64_t)(int64_t)lo;
	if (x >= hi)
		return type_signed(type) ? (UINT64_C(1) << (bits - 1)) - 1 : zero_extend(~UINT64_C(0),
		    bits / 8);
	return type_signed(type) ? (uint64_t)(int64_t)x : (uint64_t)x;
}

static uint64_t
from_double(const struct insn *in, int type, double x)
{
	float f = (float)x;
	int round = in->round;

	if (in->relu && !(x > 0) && !isnan(x))
		x = 0, f = 0;
	if (type == F32 && (round == ROUND_Z || round == ROUND_M || round == ROUND_P) &&
	    (double)f != x && !isnan(f)) {
		if (round == ROUND_Z ? fabs((double)f) > fabs(x) : round == ROUND_M ? (double)f > x :
		    (double)f < x)
			f = nextafterf(f, round == ROUND_Z ? 0 : round == ROUND_M ? -INFINITY : INFINITY);
	}
	if (in->sat && type != TF32 && is_float(type) && in->from != E4M3X2)
		f = saturate(f), x = isnan(x) || x <= 0 ? 0 : x > 1 ? 1 : x;
	switch (type) {
	case F16:	return float_to_half(f, round);
	case BF16:	return float_to_bf16(f, round);
	case TF32:	return of_f32(float_to_tf32(f));
	case F32:	return of_f32(in->ftz ? flush(f) : f);
	default:	return of_f64(x);
	}
}

/* Two values packed into one register: of d, the first is the upper one. */
static uint64_t
convert_packed(const struct insn *in, uint64_t a, uint64_t b)
{
	struct insn one = *in;
	bool e5m2 = in->type == E5M2X2 || in->from == E5M2X2;
	float hi, lo;

	one.sat = false;
	if (in->from == E4M3X2 || in->from == E5M2X2) {
		hi = fp8_to_float((uint8_t)(a >> 8), e5m2);
		lo = fp8_to_float((uint8_t)a, e5m2);
		return from_double(&one, F16, (double)lo) | from_double(&one, F16, (double)hi) << 16;
	}
	if (in->from == F16X2) {
		hi = half_to_float((uint16_t)(a >> 16));
		lo = half_to_float((uint16_t)a);
	} else {
		hi = f32(a);
		lo = f32(b);
	}
	if (in->relu) {
		hi = hi > 0 || isnan(hi) ? hi : 0;
		lo = lo > 0 || isnan(lo) ? lo : 0;
	}
	if (in->type == E4M3X2 || in->type == E5M2X2)
		return float_to_fp8(lo, e5m2) | (uint64_t)float_to_fp8(hi, e5m2) << 8;
	if (in->type == BF16X2)
		return float_to_bf16(lo, in->round) | (uint64_t)float_to_bf16(hi, in->round) << 16;
	return float_to_half(lo, in->round) | (uint64_t)float_to_half(hi, in->round) << 16;
}

static uint64_t
convert(const struct insn *in, uint64_t a, uint64_t b)
{
	int to = in->type, from = in->from, size = type_size(from);
	bool sign = type_signed(from);

	if (to == F16X2 || to == BF16X2 || to == E4M3X2 || to == E5M2X2)
		return convert_packed(in, a, b);
	if (is_float(from)) {
		double x = to_double(from, a);

		if (in->ftz && from == F32)
			x = (double)flush((float)x);
		/* fp32 to fp32 and the like with .rni round to whole numbers. */
		x = round_to_int(in->round, x);
		if (is_float(to))
			return from_double(in, to, x);
		return to_integer(to, in->round >= ROUND_NI ? x : trunc(x));
	}
	if (is_float(to)) {
		if (to == F32 && in->round == ROUND_N)	/* not by way of double: that rounds twice */
			return of_f32(sign ? (float)sign_extend(a, size) : (float)zero_extend(a, size));
		return from_double(in, to, sign ? (double)sign_extend(a, size) :
		    (double)zero_extend(a, size));
	}
	if (in->sat) {
		double x = sign ? (double)sign_extend(a, size) : (double)zero_extend(a, size);

		return to_integer(to, x);
	}
	return sign ? (uint64_t)sign_extend(a, size) : zero_extend(a, size);
}

static bool
test_property(const struct insn *in, uint64_t a)
{
	double x = to_double(in->type, a);

	return strstr(in->text, "infinite") != NULL ? isinf(x) : strstr(in->text, "notanumber") != NULL ?
	    isnan(x) : strstr(in->text, "subnormal") != NULL ?
	    x != 0 && fabs(x) < (in->type == F32 ? 0x1p-126 : 0x1p-1022) :
	    strstr(in->text, "number") != NULL ? !isnan(x) :
	    strstr(in->text, "normal") != NULL ? isnormal(x) : isfinite(x);
}

uint64_t
alu_one(const struct insn *in, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	int size = type_size(in->type);

	switch (in->op) {
	case MOV:	return a;
	case CVT:	return convert(in, a, b);
	case SELP:	return c ? a : b;
	case SLCT:	return in->from == F32 ? (f32(c) >= 0 ? a : b) : (int32_t)c >= 0 ? a : b;
	case SETP:	return set_predicate(in, compare(in, in->type, a, b), c);
	case SET:
		if (!set_predicate(in, compare(in, in->from, a, b), c))
			return 0;
		return in->type == F32 ? of_f32(1) : ~UINT64_C(0);
	case TESTP:	return test_property(in, a);
	}
	switch (in->type) {
	case F32:	return floating(in, a, b, c);
	case F64:	return double_precision(in, a, b, c);
	case F16:
	case BF16:	return half(in, a, b, c);
	case F16X2:
	case BF16X2:
		return half(in, a & 0xffff, b & 0xffff, c & 0xffff) |
		    half(in, a >> 16 & 0xffff, b >> 16 & 0xffff, c >> 16 & 0xffff) << 16;
	case PRED:	return integer(in, a, b, c, d) & 1;
	}
	/* Integers: operands narrower than a register are cut to size first. */
	return integer(in, zero_extend(a, size),
	    in->op == SHL || in->op == SHR ? b : zero_extend(b, size), c, d);
}

/* Add, subtract and multiply-add with a carry from one to the next. */
static uint64_t
with_carry(struct warp *w, const struct insn *in, int lane, uint64_t a, uint64_t b, uint64_t c)
{
	int bits = 8 * type_size(in->type);
	uint64_t carry = in->carry_in ? w->cc >> lane & 1 : 0;
	uint128 r;

	if (in->sub == MAD) {
		struct insn mul = *in;

		a = zero_extend(multiply(&mul, a, b), bits / 8);
		b = c;
	}
	if (in->sub == SUB)
		r = (uint128)a - b - carry;
	else
		r = (uint128)a + b + carry;
	if (in->carry_out)
		w->cc = (w->cc & ~(1u << lane)) | (uint32_t)(r >> bits & 1) << lane;
	return zero_extend((uint64_t)r, bits / 8);
}

static void
pair(struct warp *w, const struct insn *in, int lane)
{
	int bits = 8 * in->part;
	uint64_t v = 0;

	if (in->op == SPLIT) {
		v = lane_get(w, in, 0, lane);
		for (int i = 0; i < in->n_dst; i++)
			lane_put(w, in, i, lane, zero_extend(v >> bits * i, in->part));
		return;
	}
	for (int i = 0; i < in->n_src; i++)
		v |= zero_extend(lane_get(w, in, i, lane), in->part) << bits * i;
	lane_put(w, in, 0, lane, v);
}

void
alu_eval(struct warp *w, const struct insn *in, uint32_t mask)
{
	for (int i = 0; i < LANES; i++) {
		uint64_t s[4], v;

		if (!(mask >> i & 1))
			continue;
		if (in->op == PAIR || in->op == SPLIT) {
			pair(w, in, i);
			continue;
		}
		for (int j = 0; j < 4; j++)
			s[j] = j < in->n_src ? lane_get(w, in, j, i) : 0;
		if (in->op == CARRY) {
			lane_put(w, in, 0, i, with_carry(w, in, i, s[0], s[1], s[2]));
			continue;
		}
		v = alu_one(in, s[0], s[1], s[2], s[3]);
		/* A narrow result in a wide register keeps its sign. */
		if (in->op == CVT && type_signed(in->type) && type_size(in->type) < in->dst_width[0])
			v = (uint64_t)sign_extend(v, type_size(in->type));
		else if (in->dst_width[0] == 4 && type_size(in->type) < 4 && in->op != POPC)
			v = zero_extend(v, type_size(in->type));
		lane_put(w, in, 0, i, v);
		if (in->n_dst > 1)
			lane_put(w, in, 1, i, set_predicate(in, !compare(in, in->type, s[0], s[1]), s[2]));
	}
}
