/* Shards: what is written is read, by stream and by mapping; damage is seen. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/rng.h"
#include "fmt/chunk.h"
#include "fmt/ids.h"
#include "fmt/shard.h"
#include "../tap.h"

static char dir[64], path[80], path2[80];

static str
slurp(const char *name, struct buf *b)
{
	struct err e = { 0 };
	struct in *in = in_open(name, &e);
	ptrdiff_t got;

	buf_reset(b);
	while (in != NULL && (got = in_read(in, buf_room(b, 65536), 65536, &e)) > 0)
		b->n += got;
	in_close(in);
	return buf_str(b);
}

/* Not synced, and so fast. */
static void
spill(const char *name, str bytes)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);

	if (fd == -1 || write(fd, bytes.p, (size_t)bytes.n) != bytes.n)
		printf("# cannot write %s\n", name);
	close(fd);
}

/* Document i: its length, source bytes and tokens, all from i. */
static int32_t
make_doc(int64_t i, int32_t vocab, int32_t most, uint32_t *token)
{
	int32_t n = (int32_t)rng_below(1, 2, (uint64_t)i, (uint64_t)most);

	for (int32_t k = 0; k < n; k++)
		token[k] = (uint32_t)rng_below(1, 3, (uint64_t)(i * 1000 + k), (uint64_t)vocab);
	return n;
}

static int
write_docs(const char *name, int64_t ndocs, int32_t vocab, int32_t most, struct err *e)
{
	struct shard_info info = { .vocab = vocab, .eos = 0, .tokenizer = { 7, 9 } };
	struct out *out = out_open(name, (struct codec_spec){ 0 }, e);
	struct shard_writer *w = shard_create(out, &info, S("{\"tool\":\"t\"}"), e);
	uint32_t *token = malloc((size_t)most * 4);

	if (w == NULL)
		return -1;
	for (int64_t i = 0; i < ndocs; i++) {
		struct shard_item item = { .token = token, .source_bytes = i * 3 };

		item.n = make_doc(i, vocab, most, token);
		if (shard_put(w, &item, e) != 0)
			return -1;
	}
	free(token);
	return shard_finish(w, e);
}

static bool
same_docs(struct shard_reader *r, int64_t ndocs, int32_t vocab, int32_t most, int times)
{
	struct err e = { 0 };
	struct shard_item item;
	uint32_t *token = malloc((size_t)most * 4);
	bool same = true;

	for (int k = 0; k < times; k++)
		for (int64_t i = 0; i < ndocs; i++) {
			int32_t n = make_doc(i, vocab, most, token);

			if (shard_next(r, &item, &e) != 1) {
				printf("# %s\n", e.msg);
				free(token);
				return false;
			}
			same &= item.n == n && item.source_bytes == i * 3 && item.nseg == 1 &&
			    item.start[0] == 0 && item.start[1] == n &&
			    item.seg_flags[0] == SEG_WHOLE &&
			    memcmp(item.token, token, (size_t)n * 4) == 0;
		}
	free(token);
	return same && shard_next(r, &item, &e) == 0 && shard_next(r, &item, &e) == 0;
}

static void
documents(int64_t ndocs, int32_t vocab, int32_t most, const char *what)
{
	struct err e = { 0 };
	struct shard_reader *r;
	struct shard_map *m;
	struct shard_info info;

	ok(write_docs(path, ndocs, vocab, most, &e) == 0, what);
	r = shard_open(path, &e);
	ok(r != NULL && shard_reader_info(r)->docs == -1 &&
	    same_docs(r, ndocs, vocab, most, 1), "documents come back");
	ok(r != NULL && shard_reader_info(r)->docs == ndocs, "totals at the end");
	m = shard_map_open(path, &e);
	ok(m != NULL && shard_map_info(m)->docs == ndocs &&
	    shard_map_info(m)->tokens == shard_reader_info(r)->tokens &&
	    shard_map_hash(m) == shard_reader_hash(r), "the map has the same totals and hash");
	ok(m != NULL && str_eq(shard_map_provenance(m), S("{\"tool\":\"t\"}")), "provenance");
	ok(shard_verify(path, &info, &e) == 0 && info.docs == ndocs, "verifies");
	shard_map_close(m);
	shard_close(r);
}

/* Row i of a packed shard: some segments of lengths from i. */
static void
make_row(int64_t i, int32_t row_len, uint32_t *token, int32_t *start, int64_t *bytes,
    uint8_t *flags, struct shard_item *item)
{
	int32_t n = 0;

	*item = (struct shard_item){ .token = token, .start = start, .seg_bytes = bytes,
	    .seg_flags = flags };
	start[0] = 0;
	while (item->nseg < 5) {
		int32_t len = (int32_t)rng_below(5, 6, (uint64_t)(i * 8 + item->nseg), 9);

		if (n + len > row_len)
			break;
		for (int32_t k = 0; k < len; k++)
			token[n + k] = (uint32_t)(i + k) % 70000;
		n += len;
		bytes[item->nseg] = i + item->nseg;
		item->source_bytes += i + item->nseg;
		flags[item->nseg] = (uint8_t)(1 + (i + item->nseg) % 3);
		start[++item->nseg] = n;
	}
	item->n = n;
}

static int
write_rows(const char *name, int64_t rows, int32_t row_len, struct err *e)
{
	struct shard_info info = { .packed = true, .row_len = row_len, .vocab = 70000,
	    .eos = -1 };
	struct shard_writer *w = shard_create(out_open(name, (struct codec_spec){ 0 }, e), &info,
	    (str){ NULL, 0 }, e);
	uint32_t token[64];
	int32_t start[8];
	int64_t bytes[8];
	uint8_t flags[8];

	for (int64_t i = 0; i < rows; i++) {
		struct shard_item item;

		make_row(i, row_len, token, start, bytes, flags, &item);
		if (shard_put(w, &item, e) != 0)
			return -1;
	}
	return shard_finish(w, e);
}

static bool
same_row(const struct shard_item *a, int64_t i, int32_t row_len)
{
	uint32_t token[64] = { 0 };
	int32_t start[8];
	int64_t bytes[8];
	uint8_t flags[8];
	struct shard_item b;

	make_row(i, row_len, token, start, bytes, flags, &b);
	memset(token + b.n, 0, (size_t)(row_len - b.n) * 4);
	return a->n == b.n && a->nseg == b.nseg && a->source_bytes == b.source_bytes &&
	    memcmp(a->start, start, (size_t)(b.nseg + 1) * 4) == 0 &&
	    memcmp(a->seg_bytes, bytes, (size_t)b.nseg * 8) == 0 &&
	    memcmp(a->seg_flags, flags, (size_t)b.nseg) == 0 &&
	    memcmp(a->token, token, (size_t)row_len * 4) == 0;
}

static void
packed(int64_t rows, int32_t row_len)
{
	struct err e = { 0 };
	struct shard_reader *r;
	struct shard_map *m;
	struct shard_item item;
	uint32_t token[64];
	bool same = true;

	ok(write_rows(path, rows, row_len, &e) == 0, "rows are written");
	r = shard_open(path, &e);
	for (int64_t i = 0; i < rows; i++)
		same &= shard_next(r, &item, &e) == 1 && same_row(&item, i, row_len);
	ok(same && shard_next(r, &item, &e) == 0, "rows come back in order");
	m = shard_map_open(path, &e);
	ok(m != NULL && shard_map_info(m)->rows == rows, "and are mapped");
	same = true;
	for (int64_t k = 0; m != NULL && k < 2000; k++) {
		int64_t i = (int64_t)rng_below(1, 1, (uint64_t)k, (uint64_t)rows);

		same &= shard_map_row(m, i, token, &item, &e) == 0 &&
		    same_row(&item, i, row_len) && ((uintptr_t)item.seg_bytes & 7) == 0;
	}
	ok(same, "any row, anywhere");
	ok(shard_map_row(m, rows, token, &item, &e) == -1 &&
	    shard_map_row(m, -1, token, &item, &e) == -1, "no row outside");
	ok(shard_reader_info(r)->docs == shard_map_info(m)->docs &&
	    shard_reader_info(r)->segments == shard_map_info(m)->segments, "equal totals");
	shard_map_close(m);
	shard_close(r);
}

/* Document or row i of n tokens: whether it has weights, and its token k's. */
static bool
weighted(int64_t i)
{
	return i % 5 == 3;
}

static uint8_t
weight_of(int64_t i, int32_t k)
{
	return !weighted(i) || (i + k) % 3 != 0;
}

static int64_t
write_weights(const char *name, bool rows, int64_t n, struct err *e)
{
	struct shard_info info = { .packed = rows, .row_len = 40, .vocab = 300, .eos = -1 };
	struct shard_writer *w = shard_create(out_open(name, (struct codec_spec){ 0 }, e), &info,
	    (str){ NULL, 0 }, e);
	uint32_t token[40] = { 0 };
	uint8_t weight[40];
	int64_t masked = 0;

	for (int64_t i = 0; i < n; i++) {
		int32_t len = (int32_t)(i % 41), start[2] = { 0, len };
		struct shard_item item = { .token = token, .n = len, .start = start, .nseg = 1,
		    .seg_bytes = &(int64_t){ 3 }, .weight = weighted(i) ? weight : NULL };

		for (int32_t k = 0; k < len; k++) {
			weight[k] = weight_of(i, k);
			masked += weight[k] == 0;
		}
		if (shard_put(w, &item, e) != 0)
			return -1;
	}
	return shard_finish(w, e) == 0 ? masked : -1;
}

static bool
same_weights(const struct shard_item *item, int64_t i)
{
	for (int32_t k = 0; k < item->n; k++)
		if ((item->weight != NULL ? item->weight[k] : 1) != weight_of(i, k))
			return false;
	return item->n == i % 41;
}

/* Weights are there as they were put, in some blocks and not in others. */
static void
weights(bool rows)
{
	const int64_t n = 120000;
	struct err e = { 0 };
	int64_t masked = write_weights(path, rows, n, &e);
	struct shard_reader *r = shard_open(path, &e);
	struct shard_map *m = shard_map_open(path, &e);
	struct shard_item item;
	uint32_t token[40];
	bool same = true;

	for (int64_t i = 0; i < n; i++) {
		same &= shard_next(r, &item, &e) == 1 && same_weights(&item, i);
		if (rows && i % 7 == 0)
			same &= shard_map_row(m, i, token, &item, &e) == 0 && same_weights(&item, i);
	}
	ok(same && shard_next(r, &item, &e) == 0, rows ? "weights of rows" : "weights of documents");
	ok(masked > 0 && shard_reader_info(r)->masked == masked &&
	    shard_map_info(m)->masked == masked, "and how many are 0");
	shard_close(r);
	shard_map_close(m);
	ok(write_weights(path, rows, 3, &e) == 0 && shard_verify(path, NULL, &e) == 0 &&
	    (r = shard_open(path, &e)) != NULL && shard_next(r, &item, &e) == 1 &&
	    item.weight == NULL, "none are written where all are 1");
	shard_close(r);
}

/* cat a b: one stream, aligned in a mapping. */
static void
concatenated(void)
{
	struct err e = { 0 };
	struct buf a = { 0 }, all = { 0 };
	struct shard_reader *r;
	struct shard_map *m;
	struct shard_item item;
	uint32_t token[64];

	write_docs(path, 100, 50000, 30, &e);
	slurp(path, &a);
	for (int i = 0; i < 3; i++)
		buf_add(&all, buf_str(&a));
	spill(path2, buf_str(&all));
	r = shard_open(path2, &e);
	ok(r != NULL && same_docs(r, 100, 50000, 30, 3), "three in one are one stream");
	ok(shard_reader_info(r)->docs == 300, "with the totals of all");
	shard_close(r);
	buf_byte(&all, 'x');
	spill(path2, buf_str(&all));
	ok(shard_verify(path2, NULL, &e) == -1 && strstr(e.msg, "after the END") != NULL,
	    "data after END is refused");
	all.n = 0;
	write_rows(path, 10, 24, &e);
	buf_add(&all, slurp(path, &a));
	buf_add(&all, buf_str(&a));
	spill(path2, buf_str(&all));
	m = shard_map_open(path2, &e);
	ok(m != NULL && shard_map_info(m)->rows == 20 &&
	    shard_map_row(m, 17, token, &item, &e) == 0 && same_row(&item, 7, 24) &&
	    ((uintptr_t)item.start & 3) == 0, "mapped after concatenation");
	shard_map_close(m);
	all.n = 0;
	buf_add(&all, buf_str(&a));
	write_rows(path, 10, 25, &e);
	buf_add(&all, slurp(path, &a));
	spill(path2, buf_str(&all));
	ok(shard_verify(path2, NULL, &e) == -1 && strstr(e.msg, "24 tokens and rows of 25"),
	    "shards that differ do not mix");
	buf_free(&a);
	buf_free(&all);
}

static int
verify_mem(str bytes, struct err *e)
{
	struct in *in = in_mem(bytes, e);
	struct shard_reader *r = shard_open_in(in, e);
	struct shard_item item;
	int rc;

	if (r == NULL)
		return -1;
	while ((rc = shard_next(r, &item, e)) == 1)
		continue;
	shard_close(r);
	return rc;
}

/* Every cut and every changed byte of a small shard is noticed. */
static void
damage(bool rows)
{
	struct err e = { 0 };
	struct buf b = { 0 };
	int64_t cuts = 0, flips = 0, mapped = 0;

	if (rows)
		write_rows(path, 3, 24, &e);
	else
		write_docs(path, 5, 300, 8, &e);
	slurp(path, &b);
	ok(verify_mem(buf_str(&b), &e) == 0, "the whole file is well");
	for (ptrdiff_t n = 0; n < b.n; n++) {
		struct shard_map *m;

		cuts += verify_mem((str){ b.p, n }, &e) == -1;
		spill(path2, (str){ b.p, n });
		m = shard_map_open(path2, &e);
		mapped += m == NULL;
		shard_map_close(m);
	}
	ok(cuts == b.n, "a cut at every byte is noticed");
	ok(mapped == b.n, "by the map too");
	for (ptrdiff_t i = 0; i < b.n; i++)
		for (int bit = 0; bit < 8; bit++) {
			b.p[i] = (char)(b.p[i] ^ 1 << bit);
			flips += verify_mem(buf_str(&b), &e) == -1;
			b.p[i] = (char)(b.p[i] ^ 1 << bit);
		}
	ok(flips == b.n * 8, "a flip of every bit is noticed");
	buf_free(&b);
}

/* A container made by hand: info, one chunk, END. */
static str
by_hand(const char *id, const int64_t *arg, str payload, struct buf *b)
{
	struct err e = { 0 };
	uint32_t info[8] = { 2, 0, 300, 0, 0, 0, 0, 0 };
	int64_t sums[5] = { 0 };
	struct out *out = out_open(path2, (struct codec_spec){ 0 }, &e);
	struct chunk_writer w;

	chunk_begin(&w, out, 'S', 1, 1, &e);
	chunk_put(&w, "info", NULL, (str){ (char *)info, sizeof(info) }, &e);
	chunk_put(&w, id, arg, payload, &e);
	chunk_put(&w, "sums", NULL, (str){ (char *)sums, sizeof(sums) }, &e);
	chunk_finish(&w, &e);
	out_commit(out, &e);
	return slurp(path2, b);
}

static void
strangers(void)
{
	static const int64_t huge[][4] = {
		{ INT64_MAX, INT64_MAX, 1, 1 }, { 1, 1, INT64_MAX, 1 },
		{ -1, -1, 0, 0 }, { 1, 2, 0, 0 }, { 1, 1, (int64_t)1 << 40, 0 },
		{ (int64_t)1 << 31, (int64_t)1 << 31, 4, 4 },
	};
	struct err e = { 0 };
	struct buf b = { 0 };

	ok(verify_mem(by_hand("XTRA", NULL, S("later"), &b), &e) == 0,
	    "an unknown upper-case chunk is skipped");
	ok(verify_mem(by_hand("xtra", NULL, S("later"), &b), &e) == -1 &&
	    strstr(e.msg, "'xtra'") != NULL, "one in lower case is refused by name");
	ok(verify_mem(by_hand("logp", NULL, S("later"), &b), &e) == -1 &&
	    strstr(e.msg, "log-probabilities") != NULL, "a reserved one says what it is");
	for (size_t i = 0; i < sizeof(huge) / sizeof(*huge); i++)
		ok(verify_mem(by_hand("lens", huge[i], S("\1\0\0\0"), &b), &e) == -1,
		    "impossible counts");
	ok(verify_mem(S(""), &e) == -1 && strstr(e.msg, "empty") != NULL, "empty");
	ok(verify_mem(S("{\"text\":\"a\"}\n"), &e) == -1 && strstr(e.msg, "JSON") != NULL,
	    "JSON lines are recognised");
	buf_free(&b);
}

static void
bad_items(void)
{
	struct err e = { 0 };
	struct shard_info info = { .vocab = 10, .eos = -1 };
	struct shard_item item = { .token = (const uint32_t[]){ 10 }, .n = 1 };
	struct shard_writer *w = shard_create(out_open(path, (struct codec_spec){ 0 }, &e), &info,
	    (str){ NULL, 0 }, &e);

	ok(shard_put(w, &item, &e) == -1 && strstr(e.msg, "10") != NULL,
	    "an id outside the vocabulary is not written");
	shard_abort(w);
	info.vocab = 0;
	ok(shard_create(out_open(path, (struct codec_spec){ 0 }, &e), &info, (str){ NULL, 0 },
	    &e) == NULL, "nor is a shard without a vocabulary");
}

/* Copies of every length, by every instruction set. */
static bool
copies(const struct ids_simd *simd)
{
	uint32_t id[300], back[300];
	uint16_t small[300];

	for (int64_t n = 0; n < 300; n++) {
		uint32_t most = 0, wide = 0;

		for (int64_t i = 0; i < n; i++) {
			id[i] = (uint32_t)(i * 7919 + n) % 65536;
			most = id[i] > most ? id[i] : most;
		}
		if (simd->narrow(small, id, n) != most || simd->widen(back, small, n) != most ||
		    memcmp(id, back, (size_t)n * sizeof(*id)) != 0)
			return false;
		for (int64_t i = 0; i < n; i++) {
			id[i] = (uint32_t)(i * 2654435761u + n);
			wide = id[i] > wide ? id[i] : wide;
		}
		if (simd->copy(back, id, n) != wide || simd->narrow(small, id, n) != wide ||
		    memcmp(id, back, (size_t)n * sizeof(*id)) != 0)
			return false;
	}
	return true;
}

static void
instruction_sets(void)
{
	ok(copies(&ids_simd_base), "ids are narrowed and widened, base");
#ifdef __x86_64__
	if (isa_best() >= ISA_LEVEL_AVX2)
		ok(copies(&ids_simd_avx2), "avx2");
	if (isa_best() >= ISA_LEVEL_AVX512)
		ok(copies(&ids_simd_avx512), "avx512");
#endif
}

int
main(void)
{
	snprintf(dir, sizeof(dir), "/tmp/t_shard.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return 2;
	snprintf(path, sizeof(path), "%s/a", dir);
	snprintf(path2, sizeof(path2), "%s/b", dir);
	documents(0, 300, 8, "a shard of nothing is written");
	documents(50000, 65536, 100, "u16 documents are written, in several blocks");
	documents(30000, 65537, 200, "u32 documents are written, in several blocks");
	packed(1, 24);
	packed(100000, 24);
	weights(false);
	weights(true);
	concatenated();
	damage(false);
	damage(true);
	strangers();
	bad_items();
	instruction_sets();
	unlink(path);
	unlink(path2);
	rmdir(dir);
	return tap_done();
}
