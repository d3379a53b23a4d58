/*
 * Attention of one token over a long cache: bytes of keys and values a second,
 * beside what the threads read from memory.
 *
 *	attention [-j threads]
 *
 * Each layer has a cache of its own, all together more than processors keep.
 * That results are right, t_attention tests.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"
#include "dev/kernels.h"

enum { D = 64, BLOCK = 16, ROUNDS = 5, MEMORY = 256 << 20 };

static const struct shape { const char *name; int64_t heads, kv_heads; } shapes[] = {
	{ "SmolLM2-135M", 9, 3 }, { "TinyLlama-1.1B", 32, 4 },
};
static const dtype types[] = { DTYPE_F32, DTYPE_F16, DTYPE_Q8_0, DTYPE_Q4_0 };

static dptr
make(struct dev *d, const void *from, int64_t bytes)
{
	struct err err;
	dptr p = dev_alloc(d, bytes, &err);

	if (p.at == 0) {
		fprintf(stderr, "attention: %s\n", err.msg);
		exit(2);
	}
	if (from != NULL)
		dev_upload(d, p, from, bytes);
	return p;
}

/* Seconds of one layer, the median of some rounds over all layers. */
static double
measure(struct dev *d, const struct shape *s, dtype type, int32_t keys)
{
	int64_t bytes = dtype_bytes(type, keys * s->kv_heads * D), layers = MEMORY / (2 * bytes) + 1;
	int32_t cu[2] = { 0, 1 }, *table = malloc((size_t)keys / BLOCK * sizeof(*table));
	struct k_attention a = { .type = DTYPE_F32, .kv_type = type, .t = { .cap = 1 },
		.seqs = { .cap = 1 }, .heads = s->heads, .kv_heads = s->kv_heads, .d_qk = D,
		.d_v = D, .ldq = s->heads * D, .ldo = s->heads * D, .ldk = s->kv_heads * D,
		.ldv = s->kv_heads * D, .max_blocks = keys / BLOCK, .block_size = BLOCK,
		.causal = true, .scale = 0.125 };
	float *q = calloc((size_t)(s->heads * D), sizeof(*q));
	char *zeros = calloc(1, (size_t)bytes);
	dptr k[512], v[512];
	double time[ROUNDS];
	struct err err;

	for (int32_t i = 0; i < keys / BLOCK; i++)
		table[i] = i;
	for (int64_t i = 0; i < layers; i++) {
		k[i] = make(d, zeros, bytes);
		v[i] = make(d, zeros, bytes);
	}
	a.q = make(d, q, s->heads * D * 4);
	a.o = make(d, NULL, s->heads * D * 4);
	a.lse = make(d, NULL, s->heads * 4);
	a.cu_seqlens = make(d, cu, sizeof(cu));
	a.key_len = make(d, &keys, sizeof(keys));
	a.block_table = make(d, table, keys / BLOCK * 4);
	for (int r = 0; r < ROUNDS; r++) {
		double start = progress_now();

		for (int64_t i = 0; i < layers; i++) {
			a.k = k[i];
			a.v = v[i];
			dev_launch(d, K_ATTENTION, &(union dev_args){ .attention = a });
		}
		if (dev_wait(d, &err) < 0)
			exit(2);
		time[r] = (progress_now() - start) / (double)layers;
		for (int j = r; j > 0 && time[j] < time[j - 1]; j--) {
			double t = time[j];

			time[j] = time[j - 1];
			time[j - 1] = t;
		}
	}
	for (int64_t i = 0; i < layers; i++) {
		dev_free(d, k[i]);
		dev_free(d, v[i]);
	}
	free(table);
	free(zeros);
	free(q);
	return time[ROUNDS / 2];
}

int
main(int argc, char **argv)
{
	struct err err;
	struct team *team = team_new(argc == 3 ? (int)strtol(argv[2], NULL, 10) : 0, &err);
	struct dev *d = team == NULL ? NULL : dev_open("cpu", team, 0, &err);
	struct dev_bandwidth b;

	if (d == NULL || dev_bandwidth(d, &b, &err) < 0)
		return 2;
	printf("model\ttype\tkeys\tGB/s\tof the %.1f read\n", b.read / 1e9);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (size_t j = 0; j < sizeof(types) / sizeof(types[0]); j++)
			for (int32_t keys = 4096; keys <= 16384; keys *= 4) {
				int64_t n = 2 * dtype_bytes(types[j], keys * shapes[i].kv_heads * D);
				double rate = (double)n / measure(d, &shapes[i], types[j], keys);

				printf("%s\t%s\t%d\t%.1f\t%.0f%%\n", shapes[i].name,
				    dtype_name(types[j]), keys, rate / 1e9, 100 * rate / b.read);
			}
	dev_close(d);
	team_free(team);
	return 0;
}
