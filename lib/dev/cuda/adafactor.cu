/*
 * Adafactor of one matrix: means of squares by rows and by columns, the size of
 * the update, the update.  A block takes FACTOR_ROWS rows, a warp one of them at
 * a time, and the blocks' sums are added in order.  Of a skipped step the sums
 * are 0, and nothing is changed.
 */
#include "dev/cuda/columns.cuh"

DEVICE const struct dev_step &
step_of(const struct cuda_adafactor &a)
{
	return *at<struct dev_step>(a.f.step);
}

/* How much of a mean stays. */
DEVICE float
stays(const struct cuda_adafactor &a)
{
	return (float)(1 - exp(a.f.power * log((double)step_of(a).step)));
}

DEVICE float
square_of(const struct cuda_adafactor &a, int64_t i)
{
	float d = at<float>(a.f.g)[i] * (float)step_of(a).scale;

	return d * d + (float)a.f.eps;
}

/* sizes[block] = sum of x, each lane 0's of a warp */
DEVICE void
add_warps(const struct cuda_adafactor &a, double x)
{
	__shared__ double shared[WARPS];

	x = block_sum(lane() == 0 ? x : 0, shared);
	if (threadIdx.x == 0)
		at<double>(a.sizes)[blockIdx.x] = x;
}

/* row = means over rows, and the sum of those of each block */
ONE(adafactor_rows, cuda_adafactor)
{
	int64_t from = (int64_t)blockIdx.x * FACTOR_ROWS, c = a.f.cols;
	int64_t to = step_of(a).skip != 0 ? 0 : min(a.f.rows, from + FACTOR_ROWS);
	float b = stays(a);
	double all = 0;

	for (int64_t i = from + threadIdx.x / 32; i < to; i += WARPS) {
		float sum = 0;

		for (int64_t j = lane(); j < c; j += 32)
			sum += square_of(a, i * c + j);
		sum = b * at<float>(a.f.row)[i] + (1 - b) * (warp_sum(sum) / (float)c);
		__syncwarp();
		if (lane() == 0)
			at<float>(a.f.row)[i] = sum;
		all += (double)sum;
	}
	add_warps(a, all);
}

ONE(adafactor_part, cuda_adafactor)
{
	columns(a.f.rows, a.f.cols, r,
	    [&](int64_t i, int64_t j) { return square_of(a, i * a.f.cols + j); });
}

/* col = means over columns, and of_col what they divide by */
ONE(adafactor_cols, cuda_adafactor)
{
	int64_t chunks = (a.f.rows + COLUMN_ROWS - 1) / COLUMN_ROWS, c = a.f.cols;
	float b = stays(a);

	if (step_of(a).skip != 0)
		return;
	for (int64_t i = first_of_all(); i < c; i += step_of_all()) {
		float sum = 0;

		for (int64_t k = 0; k < chunks; k++)
			sum += at<float>(r.scratch)[k * c + i];
		sum = b * at<float>(a.f.col)[i] + (1 - b) * (sum / (float)a.f.rows);
		at<float>(a.f.col)[i] = sum;
		at<float>(a.of_col)[i] = 1 / sqrtf(sum);
	}
}

/* What element i of row r is multiplied by to be the update, but of_col. */
DEVICE float
of_row(const struct cuda_adafactor &a, int64_t i)
{
	double mean = at<double>(a.sums)[0] / (double)a.f.rows;

	return (float)sqrt(mean / (double)at<float>(a.f.row)[i]) * (float)step_of(a).scale;
}

ONE(adafactor_size, cuda_adafactor)
{
	int64_t from = (int64_t)blockIdx.x * FACTOR_ROWS, c = a.f.cols;
	int64_t to = step_of(a).skip != 0 ? 0 : min(a.f.rows, from + FACTOR_ROWS);
	double size = 0;

	for (int64_t i = from + threadIdx.x / 32; i < to; i += WARPS) {
		float of = of_row(a, i), sum = 0;

		for (int64_t j = lane(); j < c; j += 32) {
			float u = at<float>(a.f.g)[i * c + j] * of * at<float>(a.of_col)[j];

			sum += u * u;
		}
		size += (double)warp_sum(sum);
	}
	add_warps(a, size);
}

/* The rate, less when the update is larger than clip in root mean square. */
DEVICE float
rate_of(const struct cuda_adafactor &a)
{
	double size = sqrt(at<double>(a.sums)[1] / (double)(a.f.rows * a.f.cols));

	return (float)(step_of(a).lr * a.f.lr_scale / fmax(1.0, size / a.f.clip));
}

DEVICE float
keep_of(const struct cuda_adafactor &a)
{
	return (float)(1 - step_of(a).lr * a.f.lr_scale * a.f.decay);
}

DEVICE void
put_out(const struct cuda_adafactor &a, int64_t i, float x)
{
	at<float>(a.f.p)[i] = x;
	if (a.f.p_out.at != 0)
		put_as(a.f.p_type, a.f.p_out, i, x);
}

ONE(adafactor_matrix, cuda_adafactor)
{
	float rate = rate_of(a), keep = keep_of(a);
	int64_t c = a.f.cols;

	if (step_of(a).skip != 0)
		return;
	for (int64_t i = first_warp(); i < a.f.rows; i += step_warp()) {
		float of = of_row(a, i) * rate;

		for (int64_t j = lane(); j < c; j += 32)
			put_out(a, i * c + j, keep * at<float>(a.f.p)[i * c + j] -
			    at<float>(a.f.g)[i * c + j] * of * at<float>(a.of_col)[j]);
	}
}

/* ---- vectors: a mean for each element ---- */

DEVICE float
update_of(const struct cuda_adafactor &a, int64_t i)
{
	return at<float>(a.f.g)[i] * (float)step_of(a).scale / sqrtf(at<float>(a.f.row)[i]);
}

ONE(adafactor_vector, cuda_adafactor)
{
	int64_t from = (int64_t)blockIdx.x * SUM_PART;
	int64_t to = step_of(a).skip != 0 ? 0 : min(a.f.rows, from + SUM_PART);
	float b = stays(a);
	double size = 0;

	for (int64_t i = from + threadIdx.x; i < to; i += THREADS) {
		float u;

		at<float>(a.f.row)[i] = b * at<float>(a.f.row)[i] + (1 - b) * square_of(a, i);
		u = update_of(a, i);
		size += (double)u * (double)u;
	}
	add_warps(a, warp_sum(size));
}

ONE(adafactor_end, cuda_adafactor)
{
	float rate = rate_of(a), keep = keep_of(a);

	if (step_of(a).skip != 0)
		return;
	for (int64_t i = first_of_all(); i < a.f.rows; i += step_of_all())
		put_out(a, i, keep * at<float>(a.f.p)[i] - rate * update_of(a, i));
}
