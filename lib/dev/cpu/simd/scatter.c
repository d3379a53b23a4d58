/* Rows by index into a cache, in its type and order. */
#include "base/quant.h"
#include "dev/cpu/simd/simd.h"

/* y, of type, from n elements x of x_type. */
static void
store(dtype type, uint8_t *y, const void *x, dtype x_type, int64_t n)
{
	const char *from = x;
	float block[QUANT_BLOCK_MAX];

	if (dtype_block(type) == 1) {
		OF_ISA(convert)(y, type, x, x_type, n);
		return;
	}
	for (int64_t i = 0; i < n; i += dtype_block(type)) {
		OF_ISA(convert)(block, DTYPE_F32, from + i * dtype_size(x_type), x_type,
		    dtype_block(type));
		quant_encode(type, y + dtype_bytes(type, i), block, dtype_block(type), NULL);
	}
}

/* Rows may be written twice, and then the last one stays: no threads. */
void
OF_ISA(k_scatter)(struct cpu *c, const union dev_args *a)
{
	const struct k_scatter *s = &a->scatter;
	const int32_t *slot = cpu_i32(s->slot);
	dtype to = s->y_type == DTYPE_NONE ? s->type : s->y_type;
	int64_t rows = cpu_count(c, s->t), size = dtype_size(s->type);
	int64_t parts = s->parts > 0 ? s->parts : 1, each = s->c / parts;
	int64_t block = s->block_size > 0 ? s->block_size : 1;

	for (int64_t t = 0; t < rows; t++) {
		int64_t at = slot[t] / block * parts * block + slot[t] % block;

		if (slot[t] >= s->rows) {
			cpu_fail(c, ERR_ARG, "slot %d at row %lld is outside 0..%lld", slot[t],
			    (long long)t, (long long)s->rows - 1);
			return;
		}
		for (int64_t p = 0; slot[t] >= 0 && p < parts; p++)
			store(to, (uint8_t *)cpu_ptr(s->y) +
			    dtype_bytes(to, (at + p * block) * each), (char *)cpu_ptr(s->x) +
			    (t * s->ldx + p * each) * size, s->type, each);
	}
}
