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

/* The sequence of token t, which is before the end of the last. */
DEVICE int64_t
seq_of(const int32_t *cu, int64_t seqs, int64_t t)
{
	int64_t low = 0, high = seqs;

	while (high - low > 1) {
		int64_t middle = (low + high) / 2;

		if (cu[middle] <= t)
			low = middle;
		else
			high = middle;
	}
	return low;
}

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
		w[j] = j < a.width ? at<float>(a.w)[c * a.width + j] : 0;
	bias = a.bias.at != 0 ? at<float>(a.bias)[c] : 0;
	s = seq_of(cu, rows_of(a.seqs, r), t);
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
		at<int32_t>(a.end)[t] = cu[seq_of(cu, seqs, t) + 1];
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

/* Tokens [from, to) of a sequence whose states are h. */
template <int N, typename T> DEVICE void
scan_tokens(float (&h)[N], const float (&rate)[N], const struct k_scan &a, const struct share &s,
    int64_t from, int64_t to)
{
	__shared__ struct inputs v;
	__shared__ float part[WARPS][TILE][32];
	float skip = s.there ? at<float>(a.d)[s.c] : 0;

	for (int64_t t0 = from; t0 < to; t0 += TILE) {
		int64_t n = min((int64_t)TILE, to - t0);

		load_inputs<T>(v, a, s, t0, n);
		__syncthreads();
		for (int64_t i = 0; i < n; i++) {
			float y = 0;

			if (a.saved.at != 0 && (t0 + i) % SCAN_PIECE == 0)
				store_states(h, a, s, a.saved, (t0 + i) / SCAN_PIECE);
			go_on<T>(h, rate, a, s, t0 + i, v.d[i][lane()], v.in[i][lane()]);
#pragma unroll
			for (int k = 0; k < N; k++)
				if (k < s.n)
					y = fmaf(h[k], get(at<T>(a.c_in) + (t0 + i) * a.n + s.k0 + k),
					    y);
			part[threadIdx.x / 32][i][lane()] = y;
		}
		__syncthreads();
		for (int64_t i = threadIdx.x / 32; s.there && i < n; i += WARPS) {
			float x = get(at<T>(a.x) + (t0 + i) * a.ldx + s.c);
			float z = get(at<T>(a.z) + (t0 + i) * a.ldz + s.c);

			put(at<T>(a.y) + (t0 + i) * a.c + s.c,
			    (x * skip + add_parts(part, i)) * z * sigmoid(z));
		}
		__syncthreads();
	}
}

template <int N, typename T> DEVICE void
scan_seqs(const struct k_scan &a, const struct cuda_run &r)
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
		scan_tokens<N, T>(h, rate, a, s, from, to);
		if (a.state.at != 0)
			store_states(h, a, s, a.state, slot);
	}
}

/* Blocks are (32 channels, a sequence). */
template <typename T> DEVICE void
scan(const struct k_scan &a, const struct cuda_run &r)
{
	switch ((a.n + WARPS - 1) / WARPS) {
	case 1:		scan_seqs<1, T>(a, r); break;
	case 2:		scan_seqs<2, T>(a, r); break;
	case 3: case 4:	scan_seqs<4, T>(a, r); break;
	case 5: case 6: case 7:
	case 8:		scan_seqs<8, T>(a, r); break;
	default:	scan_seqs<16, T>(a, r);
	}
}
TYPED(scan, k_scan)
