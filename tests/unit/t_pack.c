/* Packing: every token once, bytes exact, as full as a naive best fit. */
#include <stdlib.h>
#include <unistd.h>

#include "../tap.h"
#include "base/rng.h"
#include "fmt/pack.h"

#define DOCS 3000

static char path[80];
static int32_t length[DOCS];
static int64_t bytes[DOCS], first[DOCS + 1];

/* Tokens are numbered through the corpus, so that each tells where it is from. */
static void
make_corpus(int32_t most)
{
	for (int i = 0; i < DOCS; i++) {
		length[i] = (int32_t)rng_below(9, 1, (uint64_t)i, (uint64_t)most);
		if (i % 100 == 7)
			length[i] *= 20;
		bytes[i] = length[i] == 0 ? 0 : (int64_t)rng_below(9, 2, (uint64_t)i, 1000);
		if (i == 5 && length[i] > 0)
			bytes[i] = (int64_t)1 << 61;
		first[i + 1] = first[i] + length[i];
	}
}

/* Some tokens of every third document are not trained on. */
static uint8_t
weight_of(int doc, int64_t token)
{
	return doc % 3 != 1 || token % 4 != 0;
}

static int
pack(const struct pack_opts *o, struct pack_count *count, struct err *e)
{
	struct shard_info info = { .packed = true, .row_len = o->row_len, .vocab = 1 << 24,
	    .eos = -1 };
	struct shard_writer *w = shard_create(out_open(path, (struct codec_spec){ 0 }, e), &info,
	    (str){ NULL, 0 }, e);
	struct packer *p = packer_new(o, w, e);
	uint32_t *token = malloc(1 << 20);
	uint8_t *weight = malloc(1 << 18);
	int rc = 0;

	for (int i = 0; i < DOCS && rc == 0; i++) {
		struct shard_item doc = { .token = token, .n = length[i],
		    .source_bytes = bytes[i], .weight = i % 3 == 1 ? weight : NULL };

		for (int32_t k = 0; k < length[i]; k++) {
			token[k] = (uint32_t)(first[i] + k);
			weight[k] = weight_of(i, first[i] + k);
		}
		rc = packer_add(p, &doc, e);
	}
	rc = rc != 0 ? rc : packer_finish(p, e);
	*count = *packer_count(p);
	packer_free(p);
	free(token);
	free(weight);
	if (rc == 0)
		return shard_finish(w, e);
	shard_abort(w);
	return rc;
}

/* The document of a token, by bisection. */
static int
doc_of(int64_t token)
{
	int lo = 0, hi = DOCS;

	while (hi - lo > 1) {
		int mid = (lo + hi) / 2;

		if (first[mid] <= token)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* Read the rows back; credit[] collects each document's bytes. */
static bool
check_rows(int64_t *rows)
{
	struct err e = { 0 };
	struct shard_reader *r = shard_open(path, &e);
	struct shard_item row;
	char *seen = calloc(1, (size_t)first[DOCS] + 1);
	int64_t *credit = calloc(DOCS, sizeof(*credit)), n = 0;
	bool good = r != NULL;

	*rows = 0;
	while (good && shard_next(r, &row, &e) == 1) {
		(*rows)++;
		for (int32_t s = 0; s < row.nseg; s++) {
			int32_t from = row.start[s], to = row.start[s + 1];
			int d = doc_of(row.token[from]);

			credit[d] += row.seg_bytes[s];
			good &= from < to && row.token[to - 1] < (uint64_t)first[d + 1];
			good &= (row.seg_flags[s] & SEG_BEGIN) == (row.token[from] == first[d]);
			good &= !(row.seg_flags[s] & SEG_END) ==
			    (row.token[to - 1] + 1 != (uint64_t)first[d + 1]);
			for (int32_t k = from; k < to; k++, n++) {
				good &= row.token[k] == row.token[from] + (uint32_t)(k - from);
				good &= seen[row.token[k]]++ == 0;
				good &= (row.weight == NULL || row.weight[k]) ==
				    weight_of(d, row.token[k]);
			}
		}
	}
	for (int i = 0; i < DOCS; i++)
		good &= credit[i] == bytes[i];
	good &= n == first[DOCS];
	shard_close(r);
	free(seen);
	free(credit);
	return good;
}

static int
descending(const void *a, const void *b)
{
	return *(const int32_t *)b - *(const int32_t *)a;
}

/* Best-fit-decreasing as one would write it first: rows of one window. */
static int64_t
naive(int32_t row_len)
{
	int32_t *left = malloc(DOCS * 4), *piece = malloc(DOCS * 4);
	int64_t rows = 0, full = 0;
	int n = 0;

	for (int i = 0; i < DOCS; i++) {
		full += length[i] / row_len;
		if (length[i] % row_len != 0)
			piece[n++] = length[i] % row_len;
	}
	qsort(piece, (size_t)n, sizeof(*piece), descending);
	for (int i = 0; i < n; i++) {
		int64_t best = -1;

		for (int64_t k = 0; k < rows; k++)
			if (left[k] >= piece[i] && (best < 0 || left[k] < left[best]))
				best = k;
		if (best < 0)
			left[best = rows++] = row_len;
		left[best] -= piece[i];
	}
	free(left);
	free(piece);
	return rows + full;
}

static void
best_fit(int32_t row_len, int32_t most)
{
	struct pack_opts o = { PACK_BEST_FIT, row_len, DOCS };
	struct pack_count c;
	struct err e = { 0 };
	int64_t rows;

	make_corpus(most);
	ok(pack(&o, &c, &e) == 0, "documents are packed");
	ok(check_rows(&rows) && rows == c.rows && c.tokens == first[DOCS],
	    "every token is there once, every byte is credited");
	ok(rows == naive(row_len), "in as many rows as a naive best fit");
	printf("# rows of %d: %.3f%% full\n", row_len,
	    100 * (double)c.tokens / ((double)rows * row_len));
	o.window = 64;
	ok(pack(&o, &c, &e) == 0 && check_rows(&rows), "in small windows too");
	o.method = PACK_STREAM;
	ok(pack(&o, &c, &e) == 0 && check_rows(&rows), "and as a stream");
	ok(rows == (first[DOCS] + row_len - 1) / row_len, "which is full");
}

int
main(void)
{
	struct pack_opts o = { PACK_BEST_FIT, 0, 1 };
	struct err e = { 0 };

	snprintf(path, sizeof(path), "/tmp/t_pack.XXXXXX");
	close(mkstemp(path));
	best_fit(1, 5);
	best_fit(2, 5);
	best_fit(63, 70);
	best_fit(64, 70);
	best_fit(65, 300);
	best_fit(512, 400);
	best_fit(4097, 3000);
	ok(packer_new(&o, NULL, &e) == NULL, "rows of no tokens are refused");
	unlink(path);
	return tap_done();
}
