/* More than 2^32 tokens: a sparse file of 8 GiB, mapped and read at its end. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "../tap.h"
#include "base/buf.h"
#include "base/hash.h"
#include "fmt/chunk.h"
#include "fmt/shard.h"

#define ROWS	((int64_t)1 << 21)
#define ROW_LEN	2049

static struct buf file;		/* the bytes before the tokens */
static uint64_t chain;

static void
seal(char head[64])
{
	uint64_t h = hash64((str){ head, 56 });

	memcpy(head + 56, &h, 8);
}

/* A chunk's header as llm-shard(5) has it; the payload follows elsewhere. */
static void
header(char head[64], const char *id, const int64_t arg[4], int64_t length, uint64_t hash)
{
	memset(head, 0, 64);
	memcpy(head, id, 4);
	memcpy(head + 8, &length, 8);
	memcpy(head + 16, &hash, 8);
	memcpy(head + 24, arg, 32);
	seal(head);
	chain = hash64_seed((str){ head, 64 }, chain);
}

static void
put(const char *id, const int64_t arg[4], str payload)
{
	static const char zeros[64];
	char head[64];

	header(head, id, arg, payload.n, hash64(payload));
	buf_add(&file, (str){ head, 64 });
	buf_add(&file, payload);
	buf_add(&file, (str){ zeros, -payload.n & 63 });
}

static void
start(void)
{
	char head[64] = "\x8cllmS\r\n\x1a\1\0\1";
	int32_t info[8] = { 2, ROW_LEN, 65536, -1 };

	seal(head);
	chain = hash64((str){ head, 64 });
	buf_add(&file, (str){ head, 64 });
	put("info", (int64_t[4]){ 0 }, (str){ (const char *)info, 32 });
}

/* One segment of the whole row in each; the last row has two. */
static void
boundaries(void)
{
	int32_t *rows = malloc((size_t)(ROWS + 1) * 4), *cuse = malloc((size_t)(2 * ROWS + 1) * 4);
	int64_t *srcb = malloc((size_t)(ROWS + 1) * 8);
	char *segf = malloc((size_t)ROWS + 1);

	for (int64_t i = 0; i < ROWS; i++) {
		rows[i] = (int32_t)(2 * i);
		cuse[2 * i] = 0;
		cuse[2 * i + 1] = ROW_LEN;
	}
	for (int64_t i = 0; i <= ROWS; i++)
		srcb[i] = (int64_t)1 << 40;
	rows[ROWS] = 2 * ROWS + 1;
	cuse[2 * ROWS - 1] = 7;
	cuse[2 * ROWS] = ROW_LEN;
	memset(segf, SEG_WHOLE, (size_t)ROWS + 1);
	put("rows", (int64_t[4]){ ROWS, ROWS + 1, ROWS * ROW_LEN, (ROWS + 1) << 40 },
	    (str){ (const char *)rows, (ROWS + 1) * 4 });
	put("cuse", (int64_t[4]){ 0 }, (str){ (const char *)cuse, (2 * ROWS + 1) * 4 });
	put("srcb", (int64_t[4]){ 0 }, (str){ (const char *)srcb, (ROWS + 1) * 8 });
	put("segf", (int64_t[4]){ ROWS + 1 }, (str){ segf, ROWS + 1 });
	free(rows);
	free(cuse);
	free(srcb);
	free(segf);
}

/* Return the size of the file, or -1. */
static int64_t
write_sparse(int fd)
{
	int64_t bytes = ROWS * ROW_LEN * 2, sums[5], at, n;
	uint16_t last[2] = { 111, 222 };
	char head[64];
	int64_t end[4] = { 0 };

	start();
	boundaries();
	header(head, "toks", (int64_t[4]){ 0 }, bytes, 0);
	buf_add(&file, (str){ head, 64 });
	at = file.n + bytes;
	if (write(fd, file.p, (size_t)file.n) != file.n || pwrite(fd, last, 4, at - 4) != 4)
		return -1;
	file.n = 0;
	sums[0] = sums[2] = ROWS + 1;
	sums[1] = ROWS;
	sums[3] = ROWS * ROW_LEN;
	sums[4] = (ROWS + 1) << 40;
	put("sums", (int64_t[4]){ 0 }, (str){ (const char *)sums, 40 });
	end[0] = at + file.n;
	memcpy(&end[1], &chain, 8);
	put("end ", end, (str){ "", 0 });
	n = pwrite(fd, file.p, (size_t)file.n, at);
	return n == file.n ? at + n : -1;
}

int
main(void)
{
	char path[] = "/tmp/t_shard_big.XXXXXX";
	uint32_t token[ROW_LEN];
	struct shard_item item;
	struct err e = { 0 };
	struct shard_map *m;
	int fd = mkstemp(path);
	int64_t size;

	file.limit = (ptrdiff_t)1 << 30;
	size = write_sparse(fd);
	if (size < 0) {
		printf("1..0 # SKIP no room for a sparse file of 8 GiB\n");
		unlink(path);
		return 0;
	}
	m = shard_map_open(path, &e);
	ok(m != NULL && shard_map_info(m)->tokens == ROWS * ROW_LEN &&
	    shard_map_info(m)->tokens > (int64_t)1 << 32, "more than 2^32 tokens are mapped");
	ok(m != NULL && shard_map_info(m)->source_bytes == (ROWS + 1) << 40, "and 2^61 bytes");
	ok(m != NULL && shard_map_row(m, ROWS - 1, token, &item, &e) == 0 && item.nseg == 2 &&
	    item.start[1] == 7 && token[ROW_LEN - 2] == 111 && token[ROW_LEN - 1] == 222,
	    "the last row is read");
	ok(m != NULL && shard_map_row(m, ROWS / 2, token, &item, &e) == 0 && item.nseg == 1 &&
	    item.n == ROW_LEN && token[0] == 0, "and one in the middle");
	shard_map_close(m);
	if (m == NULL)
		printf("# %s\n", e.msg);
	close(fd);
	unlink(path);
	buf_free(&file);
	return tap_done();
}
