/*
 * Attention of heads that flash.cu has no room for, over flat tokens or a paged cache.
 *
 * A warp takes a query of a head (or, for dk and dv, a key of a key head) and
 * goes through what it sees in pieces of 32 from position 0 on: a lane makes
 * one score, and then all lanes add rows together, an element each.  So a
 * row's bits depend on nothing but its own sequence.
 */
#include "dev/cuda/attend.cuh"
#include "dev/cuda/cached.cuh"

enum { FEW = 128 / 32, MOST = 1024 / 32 };	/* elements of a head in a lane */

/* A query of a head, and what it sees: of keys [0, end) those that sees() tells. */
struct query {
	int64_t	t, h, kh, seq, row, pos, end;	/* row: of the sequence's first token */
};

/* Return whether there is one: rows beyond the sequences are none's. */
DEVICE bool
query_of(struct query *q, const struct k_attention &a, int64_t seqs, int64_t k)
{
	const int32_t *cu = at<int32_t>(a.cu_seqlens);
	int64_t nq, nk;

	q->t = k / a.heads;
	q->h = k % a.heads;
	q->kh = q->h * a.kv_heads / a.heads;
	q->seq = sequence_of(cu, seqs, q->t);
	if (q->seq < 0)
		return false;
	q->row = cu[q->seq];
	nq = cu[q->seq + 1] - q->row;
	nk = a.key_len.at != 0 ? at<int32_t>(a.key_len)[q->seq] : nq;
	q->pos = nk - nq + q->t - q->row;
	q->end = a.causal ? min(nk, q->pos + 1) : nk;
	return true;
}

DEVICE bool
sees(const struct k_attention &a, int64_t pos, int64_t j)
{
	return (!a.causal || j <= pos) && (a.window == 0 || pos - j < a.window || j < a.sinks);
}

/* Does nothing of the 32 keys from j0 on stay in the window? */
DEVICE bool
passed(const struct k_attention &a, int64_t pos, int64_t j0)
{
	return a.window > 0 && j0 >= a.sinks && pos - (j0 + 31) >= a.window;
}

/* Where key j of q's sequence is in rows of ld, of which a head has d; -1: nowhere. */
DEVICE int64_t
key_at(const struct k_attention &a, const struct query &q, int64_t j, int64_t ld, int64_t d)
{
	int64_t block;

	if (a.block_table.at == 0)
		return (q.row + j) * ld + q.kh * d;
	block = at<int32_t>(a.block_table)[q.seq * a.max_blocks + j / a.block_size];
	return block < 0 ? -1 : ((block * a.kv_heads + q.kh) * a.block_size +
	    j % a.block_size) * (ld / a.kv_heads);
}

/* Sum of x[i] y[i], where y is of a type that an argument tells. */
template <typename T> DEVICE float
dot_row(const T *x, dtype type, dptr y, int64_t from, int64_t n)
{
	float s = 0;

	for (int64_t i = 0; i < n; i++)
		s += get(x + i) * get_cached(type, y, from + i);
	return s;
}

DEVICE float
scaled(const struct k_attention &a, float x)
{
	float cap = (float)a.softcap;

	x *= (float)a.scale;
	return cap > 0 ? cap * tanhf(x / cap) : x;
}

/* acc[i] += sum over the lanes' rows, in order, of w x[lane + 32 i]; rows of weight 0 are not read */
template <int N> DEVICE void
add_rows(float (&acc)[N], float w, dtype type, dptr x, int64_t from, int64_t d)
{
	for (int j = 0; j < 32; j++) {
		float wj = __shfl_sync(~0u, w, j);
		int64_t row = __shfl_sync(~0u, from, j);

		if (wj == 0)
			continue;
#pragma unroll
		for (int i = 0; i < N; i++)
			if (lane() + 32 * i < d)
				acc[i] += wj * get_cached(type, x, row + lane() + 32 * i);
	}
}

template <int N> DEVICE void
put_row(const float (&acc)[N], float scale, dtype type, dptr y, int64_t to, int64_t d)
{
#pragma unroll
	for (int i = 0; i < N; i++)
		if (lane() + 32 * i < d)
			put_as(type, y, to + lane() + 32 * i, acc[i] * scale);
}

/* ---- forward ---- */

template <typename T, int N> DEVICE void
attend(const struct k_attention &a, const struct query &q)
{
	const T *x = at<T>(a.q) + q.t * a.ldq + q.h * a.d_qk;
	float o[N] = { 0 }, top = -INFINITY, sum = 0;

	for (int64_t j0 = 0; j0 < q.end; j0 += 32) {
		int64_t j = j0 + lane(), k = -1, v = -1;
		float s = -INFINITY, p, high;

		if (passed(a, q.pos, j0))
			continue;
		if (j < q.end && sees(a, q.pos, j))
			k = key_at(a, q, j, a.ldk, a.d_qk);
		if (k >= 0) {
			v = key_at(a, q, j, a.ldv, a.d_v);
			s = scaled(a, dot_row(x, a.kv_type, a.k, k, a.d_qk));
			if (a.bias.at != 0)
				s += at<float>(a.bias)[key_at(a, q, j, a.kv_heads, 1)];
		}
		high = fmaxf(top, warp_max(s));
		if (high == -INFINITY)
			continue;
		p = k >= 0 ? expf(s - high) : 0;
#pragma unroll
		for (int i = 0; i < N; i++)
			o[i] *= expf(top - high);
		sum = sum * expf(top - high) + warp_sum(p);
		top = high;
		add_rows(o, p, a.kv_type, a.v, v, a.d_v);
	}
	put_row(o, sum > 0 ? 1 / sum : 0, a.type, a.o, q.t * a.ldo + q.h * a.d_v, a.d_v);
	if (a.lse.at != 0 && lane() == 0)
		at<float>(a.lse)[q.t * a.heads + q.h] = top + logf(sum);
}

template <typename T> DEVICE void
attention(const struct k_attention &a, const struct cuda_run &r)
{
	int64_t n = rows_of(a.t, r) * a.heads, seqs = rows_of(a.seqs, r);

	for (int64_t k = first_warp(); k < n; k += step_warp()) {
		struct query q;

		if (!query_of(&q, a, seqs, k))
			continue;
		if (a.d_v <= 32 * FEW)
			attend<T, FEW>(a, q);
		else
			attend<T, MOST>(a, q);
	}
}
TYPED(attention, k_attention)

/* ---- backward ---- */

template <typename T> DEVICE void
attention_delta(const struct k_attention_bwd &b, const struct cuda_run &r)
{
	const struct k_attention &a = b.f;
	int64_t n = rows_of(a.t, r) * a.heads;

	for (int64_t k = first_warp(); k < n; k += step_warp()) {
		int64_t from = k / a.heads * a.ldo + k % a.heads * a.d_v;
		float s = 0;

		for (int64_t i = lane(); i < a.d_v; i += 32)
			s += get(at<T>(a.o) + from + i) * get(at<T>(b.d_o) + from + i);
		s = warp_sum(s);
		if (lane() == 0)
			at<float>(b.delta)[k] = s;
	}
}
TYPED(attention_delta, k_attention_bwd)

/*
 * The weight of key (of elements k and v on) for query t of head h, and the
 * gradient of the product of the two.
 */
template <typename T> DEVICE float
weigh(const struct k_attention_bwd &b, int64_t t, int64_t h, int64_t k, int64_t v, float *grad)
{
	const struct k_attention &a = b.f;
	const T *q = at<T>(a.q) + t * a.ldq + h * a.d_qk;
	const T *d_o = at<T>(b.d_o) + t * a.ldo + h * a.d_v;
	float s = scaled(a, dot_row(q, a.kv_type, a.k, k, a.d_qk)), cap = (float)a.softcap;
	float p = expf(s - at<float>(a.lse)[t * a.heads + h]);
	float dp = dot_row(d_o, a.kv_type, a.v, v, a.d_v);
	float ds = p * (dp - at<float>(b.delta)[t * a.heads + h]) * (float)a.scale;

	*grad = cap > 0 ? ds * (1 - s / cap * (s / cap)) : ds;
	return p;
}

template <typename T, int N> DEVICE void
query_grad(const struct k_attention_bwd &b, const struct query &q)
{
	const struct k_attention &a = b.f;
	float dq[N] = { 0 };

	for (int64_t j0 = 0; j0 < q.end; j0 += 32) {
		int64_t j = j0 + lane(), k = key_at(a, q, j, a.ldk, a.d_qk);
		float grad = 0;

		if (passed(a, q.pos, j0))
			continue;
		if (j < q.end && sees(a, q.pos, j))
			weigh<T>(b, q.t, q.h, k, key_at(a, q, j, a.ldv, a.d_v), &grad);
		add_rows(dq, grad, a.kv_type, a.k, k, a.d_qk);
	}
	put_row(dq, 1, a.type, b.dq, q.t * a.ldq + q.h * a.d_qk, a.d_qk);
}

template <typename T> DEVICE void
attention_dq(const struct k_attention_bwd &b, const struct cuda_run &r)
{
	const struct k_attention &a = b.f;
	int64_t n = rows_of(a.t, r) * a.heads, seqs = rows_of(a.seqs, r);

	for (int64_t k = first_warp(); k < n; k += step_warp()) {
		struct query q;

		if (!query_of(&q, a, seqs, k))
			q.end = 0;
		if (a.d_qk <= 32 * FEW)
			query_grad<T, FEW>(b, q);
		else
			query_grad<T, MOST>(b, q);
	}
}
TYPED(attention_dq, k_attention_bwd)

/* Row t of key head kh: queries from first on, by those of the heads that read it. */
template <typename T, int NK, int NV> DEVICE void
key_grad(const struct k_attention_bwd &b, int64_t seqs, int64_t t, int64_t kh)
{
	const struct k_attention &a = b.f;
	const int32_t *cu = at<int32_t>(a.cu_seqlens);
	int64_t group = a.heads / a.kv_heads, s = sequence_of(cu, seqs, t);
	int64_t k = t * a.ldk + kh * a.d_qk, v = t * a.ldv + kh * a.d_v;
	int64_t row = s < 0 ? 0 : cu[s], j = t - row, n = s < 0 ? 0 : (cu[s + 1] - row) * group;
	float dk[NK] = { 0 }, dv[NV] = { 0 };

	/* Only a key's own sequence sees it, from its position on where that is causal. */
	for (int64_t u0 = a.causal ? j * group / 32 * 32 : 0; u0 < n; u0 += 32) {
		int64_t u = u0 + lane(), i = u / group, h = kh * group + u % group;
		float p = 0, grad = 0;

		if (a.window > 0 && j >= a.sinks && u0 / group - j >= a.window)
			break;
		if (u < n && sees(a, i, j))
			p = weigh<T>(b, row + i, h, k, v, &grad);
		add_rows(dv, p, a.type, b.d_o, (row + i) * a.ldo + h * a.d_v, a.d_v);
		add_rows(dk, grad, a.type, a.q, (row + i) * a.ldq + h * a.d_qk, a.d_qk);
	}
	put_row(dk, 1, a.kv_type, b.dk, k, a.d_qk);
	put_row(dv, 1, a.kv_type, b.dv, v, a.d_v);
}

template <typename T> DEVICE void
attention_dkv(const struct k_attention_bwd &b, const struct cuda_run &r)
{
	const struct k_attention &a = b.f;
	int64_t n = rows_of(a.t, r) * a.kv_heads, seqs = rows_of(a.seqs, r);

	for (int64_t k = first_warp(); k < n; k += step_warp()) {
		if (a.d_qk <= 32 * FEW && a.d_v <= 32 * FEW)
			key_grad<T, FEW, FEW>(b, seqs, k / a.kv_heads, k % a.kv_heads);
		else
			key_grad<T, MOST, MOST>(b, seqs, k / a.kv_heads, k % a.kv_heads);
	}
}
TYPED(attention_dkv, k_attention_bwd)
