/*
 * collect - what the lanes of a warp do together: votes, shuffles, matrix products
 */
#include <string.h>

#include "lint.h"

static void
vote(struct warp *w, const struct insn *in, uint32_t mask)
{
	uint32_t p = 0;
	bool all, any;

	for (int i = 0; i < LANES; i++)
		if (mask >> i & 1)
			p |= (uint32_t)lane_get(w, in, 0, i) << i;
	all = p == mask;
	any = p != 0;
	for (int i = 0; i < LANES; i++)
		if (mask >> i & 1)
			lane_put(w, in, 0, i, in->sub == VOTE_BALLOT ? p : in->sub == VOTE_ALL ? all :
			    in->sub == VOTE_ANY ? any : all || !any);
}

static void
match(struct warp *w, const struct insn *in, uint32_t mask)
{
	uint64_t v[LANES];
	uint32_t same[LANES] = { 0 };

	for (int i = 0; i < LANES; i++)
		v[i] = lane_get(w, in, 0, i);
	for (int i = 0; i < LANES; i++)
		for (int j = 0; j < LANES; j++)
			if (mask >> i & mask >> j & 1 && v[i] == v[j])
				same[i] |= 1u << j;
	for (int i = 0; i < LANES; i++) {
		bool all = same[i] == mask;

		if (!(mask >> i & 1))
			continue;
		lane_put(w, in, 0, i, in->sub == VOTE_ALL ? (all ? mask : 0) : same[i]);
		if (in->n_dst > 1)
			lane_put(w, in, 1, i, all);
	}
}

static void
reduce(struct warp *w, const struct insn *in, uint32_t mask)
{
	static const uint8_t ops[] = { 0, ADD, MIN, MAX, AND, OR, XOR };
	struct insn one = *in;
	uint64_t r = 0;
	bool first = true;

	one.op = ops[in->sub];
	one.n_src = 2;
	for (int i = 0; i < LANES; i++) {
		if (!(mask >> i & 1))
			continue;
		r = first ? lane_get(w, in, 0, i) : alu_one(&one, r, lane_get(w, in, 0, i), 0, 0);
		first = false;
	}
	for (int i = 0; i < LANES; i++)
		if (mask >> i & 1)
			lane_put(w, in, 0, i, r);
}

/* d|p, a, b, c, mask: c has the segment in bits 8-12 and the bound in bits 0-4. */
static void
shuffle(struct warp *w, const struct insn *in, uint32_t mask)
{
	uint32_t v[LANES];

	for (int i = 0; i < LANES; i++)
		v[i] = (uint32_t)lane_get(w, in, 0, i);
	for (int i = 0; i < LANES; i++) {
		int b, c, segment, bound, j;
		bool inside;

		if (!(mask >> i & 1))
			continue;
		b = (int)lane_get(w, in, 1, i) & 31;
		c = (int)lane_get(w, in, 2, i);
		segment = c >> 8 & 31;
		bound = (i & segment) | (c & 31 & ~segment);
		switch (in->sub) {
		case SHFL_UP:	j = i - b; inside = j >= bound; break;
		case SHFL_DOWN:	j = i + b; inside = j <= bound; break;
		case SHFL_BFLY:	j = i ^ b; inside = j <= bound; break;
		default:	j = (i & segment) | (b & ~segment); inside = j <= bound;
		}
		if (!inside)
			j = i;
		if (!(mask >> j & 1))
			fault(w, in, i, F_DIVERGE, "takes the value of lane %d, which is not in the mask %08x",
			    j, mask);
		lane_put(w, in, 0, i, v[j]);
		if (in->n_dst > 1)
			lane_put(w, in, 1, i, inside);
	}
}

static void
transpose(struct warp *w, const struct insn *in)
{
	uint16_t m[8][8];

	for (int i = 0; i < LANES; i++) {
		uint32_t v = (uint32_t)lane_get(w, in, 0, i);

		m[i / 4][2 * (i % 4)] = (uint16_t)v;
		m[i / 4][2 * (i % 4) + 1] = (uint16_t)(v >> 16);
	}
	for (int i = 0; i < LANES; i++)
		lane_put(w, in, 0, i, m[2 * (i % 4)][i / 4] |
		    (uint32_t)m[2 * (i % 4) + 1][i / 4] << 16);
}

/* An element of the packed register r of A or B, as a number. */
static float
unpack(int type, uint32_t r, int i)
{
	switch (type) {
	case F16:	return half_to_float((uint16_t)(r >> 16 * i));
	case BF16:	return bf16_to_float((uint16_t)(r >> 16 * i));
	case E4M3:
	case E5M2:	return fp8_to_float((uint8_t)(r >> 8 * i), type == E5M2);
	case S8:	return (float)(int8_t)(r >> 8 * i);
	case U8:	return (float)(uint8_t)(r >> 8 * i);
	default:
		return f32(r & ~UINT32_C(0x1fff));	/* tf32 */
	}
}

/*
 * Fragments, by the PTX manual: a register holds `per' neighbouring elements of
 * a row of A or of a column of B; lane i has rows i/4 and i/4 + 8 of A and column i/4 of B,
 * elements per*(i%4) on, and again after 4*per.
 */
static void
load_fragments(struct warp *w, const struct insn *in, float a[16][32], float b[8][32])
{
	int per = type_size(in->from) == 4 ? 1 : type_size(in->from) == 2 ? 2 : 4;
	int k = in->shape[2], na = 2 * k / (4 * per), nb = k / (4 * per);

	for (int i = 0; i < LANES; i++) {
		for (int r = 0; r < na; r++)
			for (int e = 0; e < per; e++)
				a[i / 4 + 8 * (r & 1)][per * (i % 4) + 4 * per * (r >> 1) + e] =
				    unpack(in->from, (uint32_t)lane_get(w, in, r, i), e);
		for (int r = 0; r < nb; r++)
			for (int e = 0; e < per; e++)
				b[i / 4][per * (i % 4) + 4 * per * r + e] =
				    unpack(in->space, (uint32_t)lane_get(w, in, na + r, i), e);
	}
}

static void
accumulate(int k, float a[16][32], float b[8][32], float c[16][8])
{
	float bt[32][8];

	for (int j = 0; j < 8; j++)
		for (int x = 0; x < k; x++)
			bt[x][j] = b[j][x];
	for (int i = 0; i < 16; i++) {
		float sum[8] = { 0 };

		for (int x = 0; x < k; x++)
			for (int j = 0; j < 8; j++)
				sum[j] += a[i][x] * bt[x][j];
		for (int j = 0; j < 8; j++)
			c[i][j] += sum[j];
	}
}

/* Sums of bytes by bytes fit a float's 24 bits; the accumulator is added as an integer. */
static int32_t
add_int(const struct insn *in, int32_t c, float sum)
{
	int64_t r = (int64_t)c + (int64_t)sum;

	return (int32_t)(in->sat && r > INT32_MAX ? INT32_MAX : in->sat && r < INT32_MIN ? INT32_MIN : r);
}

/* Lane i has of D: row i/4 + 8*(r/2), column 2*(i%4) + r%2; fp16 results are packed in pairs. */
void
matrix_multiply(struct warp *w, const struct insn *in)
{
	float a[16][32], b[8][32], c[16][8] = { { 0 } };
	int k = in->shape[2], first = in->n_src - in->n_dst;

	if (w->b->k->account != NULL)
		lint_product(w, in);
	load_fragments(w, in, a, b);
	for (int i = 0; i < LANES && in->type != S32; i++)
		for (int r = 0; r < 4; r++) {
			uint32_t v = (uint32_t)lane_get(w, in, first + (in->type == F16 ? r / 2 : r), i);

			c[i / 4 + 8 * (r / 2)][2 * (i % 4) + r % 2] =
			    in->type == F16 ? half_to_float((uint16_t)(v >> 16 * (r % 2))) : f32(v);
		}
	accumulate(k, a, b, c);
	for (int i = 0; i < LANES; i++) {
		uint32_t d[4];

		for (int r = 0; r < 4; r++) {
			float f = c[i / 4 + 8 * (r / 2)][2 * (i % 4) + r % 2];

			memcpy(&d[r], &f, 4);
			if (in->type == S32)
				d[r] = (uint32_t)add_int(in, (int32_t)lane_get(w, in, first + r, i), f);
			if (in->type == F16)
				d[r] = float_to_half(f, ROUND_N);
		}
		for (int r = 0; r < in->n_dst; r++)
			lane_put(w, in, r, i, in->type == F16 ? d[2 * r] | d[2 * r + 1] << 16 : d[r]);
	}
}

void
collective(struct warp *w, const struct insn *in, uint32_t mask)
{
	switch (in->op) {
	case VOTE:	vote(w, in, mask); break;
	case MATCH:	match(w, in, mask); break;
	case REDUX:	reduce(w, in, mask); break;
	case SHFL:	shuffle(w, in, mask); break;
	case MOVMATRIX:	transpose(w, in); break;
	default:	matrix_multiply(w, in);
	}
}
