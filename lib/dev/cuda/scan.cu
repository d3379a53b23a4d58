/*
 * Recurrences over a sequence: causal convolution and the selective scan.
 *
 * A convolution's outputs are independent: a thread takes a channel of a few
 * tokens.  The scan goes through a sequence in order, for its bits may not
 * depend on how the sequence is cut into passes, which sums of chunks would:
 * what is parallel is sequences, channels and states.  A block takes 32 channels,
 * one a lane, of a sequence, and its warps share the states; tokens go by tiles,
 * whose parts the warps leave in shared memory, to be added in order.
 */
#include "dev/cuda/columns.cuh"

/* Tokens that are of sequences. */
DEVICE int64_t
tokens_of(const struct dim &t, const struct dim &seqs, dptr cu, const struct cuda_run &r)
{
	int64_t n = rows_of(seqs, r);

	return n > 0 ? min(rows_of(t, r), (int64_t)at<int32_t>(cu)[n]) : 0;
}

/* ---- convolution ---- */

/* Sequence s goes on from its row of state. */
DEVICE bool
goes_on(dptr state, dptr pos, int64_t from)
{
	return state.at != 0 && at<int32_t>(pos)[from] > 0;
}

/* The input at u, which may lie before the sequence, that begins at from. */
template <typename T> DEVICE float
input_at(const struct k_conv &a, int64_t s, int64_t from, int64_t u, int64_t c)
{
	int64_t row;

	if (u >= from)
		return get(at<T>(a.x) + u * a.ldx + c);
	if (!goes_on(a.state, a.pos, from))
		return 0;
	row = at<int32_t>(a.slot)[s] * (a.width - 1) + a.width - 1 + u - from;
	return at<float>(a.state)[row * a.c + c];
}

/* Blocks are (CONV_TOKENS tokens, THREADS channels). */
template <typename T> DEVICE void
conv(const struct k_conv &a, const struct cuda_run &r)
{
	const int32_t *cu = at<int32_t>(a.cu_seqlens);
	int64_t t = (int64_t)blockIdx.x * CONV_TOKENS, c = blockIdx.y * THREADS + threadIdx.x, s;
	int64_t to = min(tokens_of(a.t, a.seqs, a.cu_seqlens, r), t + CONV_TOKENS);
	float w[CONV_WIDTH], bias;

	if (t >= to || c >= a.c)
		return;
#pragma unroll
	for (int j = 0; j < CONV_WIDTH; j++)
		/* sectors: one has a channel's weights, which come one after the other */
		w[j] = j < a.width ? at<float>(a.w)[c * a.width + j] : 0;
	bias = a.bias.at != 0 ? at<float>(a.bias)[c] : 0;
	s = sequence_of(cu, rows_of(a.seqs, r), t);
	for (; t < to; t++) {
		float sum = bias;

		while (cu[s + 1] <= t)
			s++;
#pragma unroll
		for (int j = 0; j < CONV_WIDTH; j++)
			if (j < a.width)
				sum = fmaf(w[j], input_at<T>(a, s, cu[s], t - a.width + 1 + j, c),
				    sum);
		put(at<T>(a.y) + t * a.c + c, sum);
	}
}
TYPED(conv, k_conv)

/* What sequences leave: blocks are (THREADS channels, a sequence). */
template <typename T> DEVICE void
conv_state(const struct k_conv &a, const struct cuda_run &r)
{
	const int32_t *cu = at<int32_t>(a.cu_seqlens);
	int64_t c = (int64_t)blockIdx.x * THREADS + threadIdx.x, seqs = rows_of(a.seqs, r);

	for (int64_t s = blockIdx.y; s < seqs && c < a.c; s += gridDim.y) {
		int64_t from = cu[s], to = cu[s + 1];
		float *state = at<float>(a.state) +
		    (int64_t)at<int32_t>(a.slot)[s] * (a.width - 1) * a.c;

		/* What is read lies behind what is written, or is of the tokens. */
		for (int64_t j = 0; from < to && j < a.width - 1; j++)
			state[j * a.c + c] = input_at<T>(a, s, from, to - a.width + 1 + j, c);
	}
}
TYPED(conv_state, k_conv)

/* Where the sequence of each token ends. */
ONE(seq_ends, cuda_conv_bwd)
{
	const int32_t *cu = at<int32_t>(a.b.f.cu_seqlens);
	int64_t n = tokens_of(a.b.f.t, a.b.f.seqs, a.b.f.cu_seqlens, r);
	int64_t seqs = rows_of(a.b.f.seqs, r);

	for (int64_t t = first_of_all(); t < n; t += step_of_all())
		at<int32_t>(a.end)[t] = cu[sequence_of(cu, seqs, t) + 1];
}

/* The gradient at u, 0 beyond the sequence. */
template <typename T> DEVICE float
gradient_at(const struct cuda_conv_bwd &a, int64_t end, int64_t u, int64_t c)
{
	return u < end ? get(at<T>(a.b.dy) + u * a.b.f.c + c) : 0;
}

/* dx gathers what the next width - 1 outputs took of x: blocks as of conv. */
template <typename T> DEVICE void
conv_dx(const struct cuda_conv_bwd &a, const struct cuda_run &r)
{
	const struct k_conv &f = a.b.f;
	int64_t t = (int64_t)blockIdx.x * CONV_TOKENS, c = blockIdx.y * THREADS + threadIdx.x;
	int64_t to = min(tokens_of(f.t, f.seqs, f.cu_seqlens, r), t + CONV_TOKENS);
	float w[CONV_WIDTH];

	if (t >= to || c >= f.c)
		return;
#pragma unroll
	for (int j = 0; j < CONV_WIDTH; j++)
		/* sectors: as in conv() */
		w[j] = j < f.width ? at<float>(f.w)[c * f.width + j] : 0;
	for (; t < to; t++) {
		int64_t end = at<int32_t>(a.end)[t];
		float sum = 0;

#pragma unroll
		for (int j = 0; j < CONV_WIDTH; j++)
			if (j < f.width)
				sum = fmaf(w[j], gradient_at<T>(a, end, t + f.width - 1 - j, c),
				    sum);
		put(at<T>(a.b.dx) + t * f.ldx + c, sum);
	}
}
TYPED(conv_dx, cuda_conv_bwd)

/* Columns are (channel, weight). */
template <typename T> DEVICE void
conv_dw(const struct cuda_conv_bwd &a, const struct cuda_run &r)
{
	const struct k_conv &f = a.b.f;

	columns(tokens_of(f.t, f.seqs, f.cu_seqlens, r), f.c * f.width, r,
	    [&](int64_t t, int64_t i) {
		int64_t c = i / f.width, u = t + f.width - 1 - i % f.width;

		return get(at<T>(f.x) + t * f.ldx + c) *
		    /* sectors: of 16 bits, half of one; the next warp has the other */
		    gradient_at<T>(a, at<int32_t>(a.end)[t], u, c);
	    });
}
TYPED(conv_dw, cuda_conv_bwd)

/* ---- the scan ---- */

enum { TILE = 16 };

#define LOG2E 1.44269504f
#define LN2 0.693147181f

/* ln(1 + e^x): for large x, x; near and below zero the series keeps its digits. */
DEVICE float
softplus(float x)
{
	return fmaxf(x, 0) + log1pf(expf(-fabsf(x)));
}

DEVICE float
sigmoid(float x)
{
	return 1 / (1 + expf(-x));
}

/* What a block has of channels and a thread of states: n of them at most, from k0 on. */
struct share {
	int64_t	c, k0;
	int	n;
	bool	there;		/* is there such a channel? */
};

template <int N> DEVICE struct share
share_of(const struct k_scan &a)
{
	struct share s = { (int64_t)blockIdx.x * 32 + lane(), threadIdx.x / 32 * N };

	s.there = s.c < a.c;
	s.n = (int)max((int64_t)0, min((int64_t)N, a.n - s.k0));
	return s;
}

/* What a state decays by is 2 to d times this. */
template <int N> DEVICE void
decay_rates(float (&rate)[N], const struct k_scan &a, const struct share &s)
{
#pragma unroll
	for (int k = 0; k < N; k++)
		rate[k] = s.there && k < s.n ?
		    /* sectors: one has a channel's states, which come one after the other */
		    -LOG2E * expf(at<float>(a.a_log)[s.c * a.n + s.k0 + k]) : 0;
}

/* Rows of states (.., N, C) from row on; 0 where there is none. */
template <int N> DEVICE void
load_states(float (&h)[N], const struct k_scan &a, const struct share &s, dptr from, int64_t row)
{
#pragma unroll
	for (int k = 0; k < N; k++)
		h[k] = from.at != 0 && s.there && k < s.n ?
		    at<float>(from)[(row * a.n + s.k0 + k) * a.c + s.c] : 0;
}

template <int N> DEVICE void
store_states(const float (&h)[N], const struct k_scan &a, const struct share &s, dptr to,
    int64_t row)
{
#pragma unroll
	for (int k = 0; k < N; k++)
		if (s.there && k < s.n)
			at<float>(to)[(row * a.n + s.k0 + k) * a.c + s.c] = h[k];
}

/* d and d x of a tile's tokens. */
struct inputs {
	float	d[SCAN_PIECE][32], in[SCAN_PIECE][32];
};

/* Of tokens [t0, t0 + n). */
template <typename T> DEVICE void
load_inputs(struct inputs &v, const struct k_scan &a, const struct share &s, int64_t t0, int64_t n)
{
	for (int64_t i = threadIdx.x / 32; i < n; i += WARPS) {
		float d = s.there ? softplus(get(at<T>(a.dt) + (t0 + i) * a.c + s.c)) : 0;

		v.d[i][lane()] = d;
		v.in[i][lane()] = s.there ? d * get(at<T>(a.x) + (t0 + i) * a.ldx + s.c) : 0;
	}
}

/* h after token t. */
template <typename T, int N> DEVICE void
go_on(float (&h)[N], const float (&rate)[N], const struct k_scan &a, const struct share &s,
    int64_t t, float d, float in)
{
#pragma unroll
	for (int k = 0; k < N; k++)
		if (k < s.n)
			h[k] = fmaf(h[k], exp2f(d * rate[k]),
			    in * get(at<T>(a.b) + t * a.n + s.k0 + k));
}

/* Of one token, the warps' parts of sums over the states, in order. */
DEVICE float
add_parts(const float (*part)[TILE][32], int64_t i)
{
	float s = 0;

	for (int w = 0; w < WARPS; w++)
		s += part[w][i][lane()];
	return s;
}

/* A tile in shared memory. */
struct tile {
	struct inputs v;
	float	part[WARPS][TILE][32];
};

/* Tokens [from, to) of a sequence whose states are h. */
template <int N, typename T> DEVICE void
scan_tokens(struct tile &m, float (&h)[N], const float (&rate)[N], const struct k_scan &a,
    const struct share &s, int64_t from, int64_t to)
{
	float skip = s.there ? at<float>(a.d)[s.c] : 0;

	for (int64_t t0 = from; t0 < to; t0 += TILE) {
		int64_t n = min((int64_t)TILE, to - t0);

		load_inputs<T>(m.v, a, s, t0, n);
		__syncthreads();
		for (int64_t i = 0; i < n; i++) {
			float y = 0;

			if (a.saved.at != 0 && (t0 + i) % SCAN_PIECE == 0)
				store_states(h, a, s, a.saved, (t0 + i) / SCAN_PIECE);
			go_on<T>(h, rate, a, s, t0 + i, m.v.d[i][lane()], m.v.in[i][lane()]);
#pragma unroll
			for (int k = 0; k < N; k++)
				if (k < s.n)
					y = fmaf(h[k], get(at<T>(a.c_in) + (t0 + i) * a.n + s.k0 + k),
					    y);
			m.part[threadIdx.x / 32][i][lane()] = y;
		}
		__syncthreads();
		for (int64_t i = threadIdx.x / 32; s.there && i < n; i += WARPS) {
			float x = get(at<T>(a.x) + (t0 + i) * a.ldx + s.c);
			float z = get(at<T>(a.z) + (t0 + i) * a.ldz + s.c);

			put(at<T>(a.y) + (t0 + i) * a.c + s.c,
			    (x * skip + add_parts(m.part, i)) * z * sigmoid(z));
		}
		__syncthreads();
	}
}

template <int N, typename T> DEVICE void
scan_seqs(struct tile &m, const struct k_scan &a, const struct cuda_run &r)
{
	const int32_t *cu = at<int32_t>(a.cu_seqlens);
	struct share s = share_of<N>(a);
	int64_t seqs = tokens_of(a.t, a.seqs, a.cu_seqlens, r) > 0 ? rows_of(a.seqs, r) : 0;
	float h[N], rate[N];

	decay_rates(rate, a, s);
	for (int64_t q = blockIdx.y; q < seqs; q += gridDim.y) {
		int64_t from = cu[q], to = cu[q + 1];
		int64_t slot = a.state.at != 0 ? at<int32_t>(a.slot)[q] : 0;

		if (from == to)
			continue;
		load_states(h, a, s, goes_on(a.state, a.pos, from) ? a.state : dptr { 0 }, slot);
		scan_tokens<N, T>(m, h, rate, a, s, from, to);
		if (a.state.at != 0)
			store_states(h, a, s, a.state, slot);
	}
}

/* Blocks are (32 channels, a sequence). */
template <typename T> DEVICE void
scan(const struct k_scan &a, const struct cuda_run &r)
{
	__shared__ struct tile m;

	switch ((a.n + WARPS - 1) / WARPS) {
	case 1:		scan_seqs<1, T>(m, a, r); break;
	case 2:		scan_seqs<2, T>(m, a, r); break;
	case 3: case 4:	scan_seqs<4, T>(m, a, r); break;
	case 5: case 6: case 7:
	case 8:		scan_seqs<8, T>(m, a, r); break;
	default:	scan_seqs<16, T>(m, a, r);
	}
}
TYPED(scan, k_scan)

/* ---- the scan's gradient ---- */

/*
 * From the end, piece by piece, for a piece's first states were saved; and in
 * these SUB tokens at a time, fewer where a thread has many states, whose states are
 * computed again into registers.
 */
enum { SUB = 8 };

template <int N> constexpr int SUB_OF = N > SUB ? 2 : SUB;

enum sum { SUM_Y, SUM_DIN, SUM_DDT, SUMS };	/* over states, for each token and channel */

struct back {
	struct inputs v;
	float	g[SUB][32];			/* gradients of y before its gate */
	float	part[SUMS][WARPS][SUB][32];
	float	bc[SUB][2 * SCAN_STATES];	/* a token's db, then its dc: sums over lanes */
};

/* What a thread carries from token to token. */
template <int N> struct carried {
	float	rate[N], dh[N], drate[N];
};

/* bc[k], bc[n + k] = the sums over the lanes of db, dc: half of the lanes add up each. */
DEVICE void
sum_lanes(float *bc, int64_t k, int64_t n, float db, float dc)
{
	bool low = lane() < 16;
	float x = low ? db : dc;

	x += __shfl_xor_sync(~0u, low ? dc : db, 16);
	for (int o = 8; o > 0; o /= 2)
		x += __shfl_xor_sync(~0u, x, o);
	if (lane() % 16 == 0)
		bc[low ? k : n + k] = x;
}

/* The gradients of token t, i of SUB, with states h before it; its inputs are v's of row. */
template <typename T, int N> DEVICE void
token_back(struct back &m, struct carried<N> &p, const float (&h)[N], const struct k_scan &a,
    const struct share &s, int64_t t, int i, int64_t row)
{
	float d = m.v.d[row][lane()], in = m.v.in[row][lane()], g = m.g[i][lane()];
	float y = 0, din = 0, ddt = 0;

#pragma unroll
	for (int k = 0; k < N; k++) {
		float b, c, e, now, dh, da;

		if (k >= s.n)
			continue;
		b = get(at<T>(a.b) + t * a.n + s.k0 + k);
		c = get(at<T>(a.c_in) + t * a.n + s.k0 + k);
		e = exp2f(d * p.rate[k]);
		now = fmaf(h[k], e, in * b);
		dh = fmaf(g, c, p.dh[k]);
		da = dh * h[k] * e;
		y = fmaf(now, c, y);
		din = fmaf(dh, b, din);
		ddt = fmaf(da, p.rate[k], ddt);
		p.drate[k] = fmaf(da, d, p.drate[k]);
		p.dh[k] = dh * e;
		sum_lanes(m.bc[i], s.k0 + k, a.n, dh * in, g * now);
	}
	m.part[SUM_Y][threadIdx.x / 32][i][lane()] = y;
	m.part[SUM_DIN][threadIdx.x / 32][i][lane()] = din;
	m.part[SUM_DDT][threadIdx.x / 32][i][lane()] = ddt;
}

/* Of SUB tokens, a warp's sums over states in order. */
DEVICE float
add_states(const struct back &m, enum sum which, int64_t i)
{
	float s = 0;

	for (int w = 0; w < WARPS; w++)
		s += m.part[which][w][i][lane()];
	return s;
}

/* The outputs of token t, i of SUB; what it gives dd is returned. */
template <typename T> DEVICE float
finish_token(const struct back &m, const struct k_scan_bwd &b, const struct share &s, int64_t t,
    int64_t i, int64_t row)
{
	const struct k_scan &a = b.f;
	float x = get(at<T>(a.x) + t * a.ldx + s.c), z = get(at<T>(a.z) + t * a.ldz + s.c);
	float dy = get(at<T>(b.dy) + t * a.c + s.c), raw = get(at<T>(a.dt) + t * a.c + s.c);
	float skip = at<float>(a.d)[s.c], gate = sigmoid(z), g = m.g[i][lane()];
	float din = add_states(m, SUM_DIN, i), y = add_states(m, SUM_Y, i) + x * skip;

	put(at<T>(b.dz) + t * a.ldz + s.c, dy * y * gate * (1 + z * (1 - gate)));
	put(at<T>(b.dx) + t * a.ldx + s.c, fmaf(din, m.v.d[row][lane()], g * skip));
	put(at<T>(b.ddt) + t * a.c + s.c,
	    fmaf(din, x, add_states(m, SUM_DDT, i) * LN2) * sigmoid(raw));
	return g * x;
}

/* Tokens [t0, t0 + n) of SUB; inputs are v's from row0 on, and states h those before row 0. */
template <typename T, int N> DEVICE float
sub_back(struct back &m, struct carried<N> &p, float (&h)[SUB_OF<N>][N], const struct cuda_scan_bwd &a,
    const struct share &s, int64_t lo, int64_t row0, int64_t n)
{
	const struct k_scan &f = a.b.f;
	int64_t t0 = lo + row0, i = threadIdx.x / 32;
	float dd = 0;

	if (i < n) {
		float z = s.there ? get(at<T>(f.z) + (t0 + i) * f.ldz + s.c) : 0;

		m.g[i][lane()] = s.there ?
		    get(at<T>(a.b.dy) + (t0 + i) * f.c + s.c) * z * sigmoid(z) : 0;
	}
	__syncthreads();
	for (int64_t row = 0; row < row0; row++)
		go_on<T>(h[0], p.rate, f, s, lo + row, m.v.d[row][lane()], m.v.in[row][lane()]);
#pragma unroll
	for (int j = 1; j < SUB_OF<N>; j++) {
#pragma unroll
		for (int k = 0; k < N; k++)
			h[j][k] = h[j - 1][k];
		if (j < n)
			go_on<T>(h[j], p.rate, f, s, t0 + j - 1, m.v.d[row0 + j - 1][lane()],
			    m.v.in[row0 + j - 1][lane()]);
	}
#pragma unroll
	for (int j = SUB_OF<N> - 1; j >= 0; j--)
		if (j < n)
			token_back<T>(m, p, h[j], f, s, t0 + j, j, row0 + j);
	__syncthreads();
	if (i < n && s.there)
		dd = finish_token<T>(m, a.b, s, t0 + i, i, row0 + i);
	for (int64_t e = threadIdx.x; e < n * 2 * f.n; e += THREADS)
		at<float>(a.of_tokens)[(blockIdx.x * f.t.cap + t0) * 2 * f.n + e] =
		    m.bc[e / (2 * f.n)][e % (2 * f.n)];
	__syncthreads();
	return dd;
}

/* A sequence's tokens; what they give dd is returned. */
template <typename T, int N> DEVICE float
seq_back(struct back &m, struct carried<N> &p, const struct cuda_scan_bwd &a,
    const struct share &s, int64_t from, int64_t to)
{
	float dd = 0;

#pragma unroll
	for (int k = 0; k < N; k++)
		p.dh[k] = 0;
	for (int64_t piece = (to - 1) / SCAN_PIECE; piece >= from / SCAN_PIECE; piece--) {
		int64_t lo = max(from, piece * SCAN_PIECE), n = min(to, (piece + 1) * SCAN_PIECE) - lo;

		load_inputs<T>(m.v, a.b.f, s, lo, n);
		for (int64_t row0 = (n - 1) / SUB_OF<N> * SUB_OF<N>; row0 >= 0;
		    row0 -= SUB_OF<N>) {
			float h[SUB_OF<N>][N];

			/* A sequence that starts here takes nothing from the one before. */
			load_states(h[0], a.b.f, s, lo == from ? dptr { 0 } : a.b.f.saved, piece);
			dd += sub_back<T>(m, p, h, a, s, lo, row0,
			    min((int64_t)SUB_OF<N>, n - row0));
		}
	}
	return dd;
}

/* What the tokens of this block's sequences gave to the parameters. */
template <int N> DEVICE void
store_params(struct back &m, const struct carried<N> &p, const struct cuda_scan_bwd &a,
    const struct share &s, float dd)
{
	const struct k_scan &f = a.b.f;

	/* the rate is -e^a_log, its own derivative */
#pragma unroll
	for (int k = 0; k < N; k++)
		if (s.there && k < s.n)
			/* sectors: as in decay_rates(), once a block */
			at<float>(a.of_rates)[(blockIdx.y * f.c + s.c) * f.n + s.k0 + k] =
			    p.drate[k] * p.rate[k] * LN2;
	m.part[SUM_Y][threadIdx.x / 32][0][lane()] = dd;
	__syncthreads();
	if (threadIdx.x < 32 && s.there)
		at<float>(a.of_skips)[blockIdx.y * f.c + s.c] = add_states(m, SUM_Y, 0);
}

template <int N, typename T> DEVICE void
scan_back_seqs(struct back &m, const struct cuda_scan_bwd &a, const struct cuda_run &r)
{
	const struct k_scan &f = a.b.f;
	const int32_t *cu = at<int32_t>(f.cu_seqlens);
	struct share s = share_of<N>(f);
	int64_t seqs = tokens_of(f.t, f.seqs, f.cu_seqlens, r) > 0 ? rows_of(f.seqs, r) : 0;
	struct carried<N> p;
	float dd = 0;

	decay_rates(p.rate, f, s);
#pragma unroll
	for (int k = 0; k < N; k++)
		p.drate[k] = 0;
	for (int64_t q = blockIdx.y; q < seqs; q += gridDim.y)
		if (cu[q] < cu[q + 1])
			dd += seq_back<T>(m, p, a, s, cu[q], cu[q + 1]);
	store_params(m, p, a, s, dd);
}

/* Blocks are (32 channels, sequences): more states a thread, in another kernel, take more registers. */
template <typename T> DEVICE void
scan_back(const struct cuda_scan_bwd &a, const struct cuda_run &r)
{
	__shared__ struct back m;

	if (a.b.f.n <= WARPS)
		scan_back_seqs<1, T>(m, a, r);
	else if (a.b.f.n <= 2 * WARPS)
		scan_back_seqs<2, T>(m, a, r);
	else
		scan_back_seqs<4, T>(m, a, r);
}
TYPED(scan_back, cuda_scan_bwd)

template <typename T> DEVICE void
scan_back_many(const struct cuda_scan_bwd &a, const struct cuda_run &r)
{
	__shared__ struct back m;

	if (a.b.f.n <= 8 * WARPS)
		scan_back_seqs<8, T>(m, a, r);
	else
		scan_back_seqs<16, T>(m, a, r);
}
TYPED(scan_back_many, cuda_scan_bwd)

/* db and dc of tokens: the parts of the blocks of channels in order. */
template <typename T> DEVICE void
scan_bc(const struct cuda_scan_bwd &a, const struct cuda_run &r)
{
	const struct k_scan &f = a.b.f;
	int64_t n = 2 * f.n, all = tokens_of(f.t, f.seqs, f.cu_seqlens, r) * n;
	int64_t blocks = (f.c + 31) / 32;

	for (int64_t i = first_of_all(); i < all; i += step_of_all()) {
		int64_t to = i / n * f.n + i % f.n;
		float s = 0;

		for (int64_t k = 0; k < blocks; k++)
			s += at<float>(a.of_tokens)[k * f.t.cap * n + i];
		put(at<T>(i % n < f.n ? a.b.db : a.b.dc) + to, s);
	}
}
TYPED(scan_bc, cuda_scan_bwd)
