/* The writer of GGUF: what it writes are the bytes that the package gguf writes. */
#include <stdlib.h>
#include <unistd.h>

#include "../tap.h"
#include "base/arena.h"
#include "fmt/gguf_write.h"

#define GOOD "tests/data/gguf/good/"

static char path[64];

/* The keys of good/written.gguf in tests/golden/gguf_files.py. */
static void
put_keys(struct gguf_keys *k)
{
	static const str texts[] = { { "one", 3 }, { "", 0 }, { "three", 5 } };
	static const int32_t ints[] = { 1, -2, 3 };

	gguf_put_text(k, "general.architecture", S("test"));
	gguf_put_u32(k, "u32", 4000000000);
	gguf_put_f32(k, "f32", 1e-5);
	gguf_put_bool(k, "yes", true);
	gguf_put_texts(k, "texts", texts, 3);
	gguf_put_array(k, "ints", GGUF_I32, ints, 3);
}

/* "rows" comes from here: 0, 1 ... as fp32, whole rows of 40 at a time. */
static int
fill(void *ctx, int tensor, int64_t at, void *p, int64_t n, struct err *err)
{
	float *x = p;

	(void)err;
	*(bool *)ctx |= tensor != 1 || n % 160 != 0;
	for (int64_t i = 0; i < n / 4; i++)
		x[i] = (float)(at / 4 + i);
	return 0;
}

static bool
same_file(const char *a, const char *b)
{
	struct arena mem;
	struct err e;
	str x, y;
	bool same;

	if (arena_init(&mem, 1 << 24, &e) < 0)
		return false;
	x = file_slurp(&mem, a, 1 << 22, &e);
	y = file_slurp(&mem, b, 1 << 22, &e);
	same = x.p != NULL && x.n > 0 && y.p != NULL && str_eq(x, y);
	arena_free(&mem);
	return same;
}

static void
golden(void)
{
	struct gguf_keys k = { .n = 0 };
	struct gguf_tensor t[3] = {
		{ .name = "blocks", .type = 8, .ndim = 2, .shape = { 3, 32 } },
		{ .name = "rows", .type = 0, .ndim = 2, .shape = { 10, 40 } },
		{ .name = "vector", .type = 0, .ndim = 1, .shape = { 3 } },
	};
	static const float vector[3] = { 0.5, 1.5, 2.5 };
	uint8_t blocks[3 * 34];
	bool bad = false;
	struct gguf_write w = { .keys = &k, .tensor = t, .n = 3, .fill = fill, .ctx = &bad };
	struct err e = { 0 };

	for (int i = 0; i < (int)sizeof(blocks); i++)
		blocks[i] = (uint8_t)i;
	t[0].data = blocks;
	t[2].data = vector;
	put_keys(&k);
	ok(gguf_save(path, &w, &e) == 0 && !bad, "written, filled by whole rows");
	ok(same_file(path, GOOD "written.gguf"), "the bytes of the package gguf");
	gguf_keys_free(&k);
}

/* More than is asked for at once. */
static void
large(void)
{
	const struct gguf_tensor *r;
	struct gguf_keys none = { .n = 0 };
	struct gguf_tensor t[2] = {
		{ .name = "a", .type = 0, .ndim = 1, .shape = { 1 }, .data = "abcd" },
		{ .name = "rows", .type = 0, .ndim = 2, .shape = { 10000, 40 } },
	};
	bool bad = false;
	struct gguf_write w = { .keys = &none, .tensor = t, .n = 2, .fill = fill, .ctx = &bad };
	struct err e = { 0 };
	struct gguf *f = NULL;
	int64_t right = 0;

	ok(gguf_save(path, &w, &e) == 0 && !bad && (f = gguf_open(path, &e)) != NULL,
	    "a tensor of several pieces");
	r = f == NULL ? NULL : gguf_find(f, "rows");
	for (int64_t i = 0; r != NULL && i < r->n; i++)
		right += ((const float *)r->data)[i] == (float)i;
	ok(right == 400000, "and all of it");
	gguf_close(f);
}

/* Keys of all types, copied. */
static void
copied(void)
{
	struct err e = { 0 };
	struct gguf *f = gguf_open(GOOD "values.gguf", &e), *back;
	struct gguf_keys k = { .n = 0 };
	struct gguf_write w = { .keys = &k };
	int same = 0;

	ok(f != NULL, "a file with keys of all types");
	if (f == NULL)
		return;
	for (int i = 0; i < gguf_keys(f); i++)
		gguf_put_value(&k, gguf_key(f, i));
	ok(gguf_save(path, &w, &e) == 0 && (back = gguf_open(path, &e)) != NULL,
	    "copied, without tensors");
	for (int i = 0; i < gguf_keys(f); i++) {
		const struct gguf_value *a = gguf_key(f, i), *b = gguf_find_key(back, a->key);

		same += b != NULL && a->type == b->type && a->n == b->n && str_eq(a->raw, b->raw);
	}
	ok(same == gguf_keys(f) - 1 && gguf_keys(back) == same &&
	    gguf_find_key(back, "general.alignment") == NULL, "all values but the alignment");
	gguf_close(f);
	gguf_close(back);
	gguf_keys_free(&k);
}

/* Nothing that could not be read again is written. */
static void
refused(void)
{
	struct gguf_keys none = { .n = 0 }, k = { .n = 0 };
	char name[80];
	struct gguf_tensor t[2] = {
		{ .name = "a", .type = 0, .ndim = 1, .shape = { 1 }, .data = "abcd" },
		{ .name = "a", .type = 0, .ndim = 1, .shape = { 1 }, .data = "abcd" },
	};
	struct gguf_write w = { .keys = &none, .tensor = t, .n = 2 };
	struct err e = { 0 };

	unlink(path);
	ok(gguf_save(path, &w, &e) < 0 && strstr(e.msg, "twice") != NULL, "a name twice");
	memset(name, 'n', sizeof(name));
	name[64] = '\0';
	t[1].name = name;
	ok(gguf_save(path, &w, &e) < 0, "a name too long for llama.cpp");
	name[63] = '\0';
	ok(gguf_save(path, &w, &e) == 0, "one that just fits");
	unlink(path);
	t[1].type = 8;
	ok(gguf_save(path, &w, &e) < 0, "a row of less than a block");
	t[1].type = 4;
	ok(gguf_save(path, &w, &e) < 0, "a type that was removed");
	w.n = 0;
	w.keys = &k;
	gguf_put_u32(&k, "size", -1);
	ok(gguf_save(path, &w, &e) < 0 && access(path, F_OK) < 0, "a negative size; no file");
	gguf_keys_free(&k);
}

int
main(void)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/t_gguf_write.XXXXXX");
	if ((fd = mkstemp(path)) < 0)
		return 1;
	close(fd);
	golden();
	large();
	copied();
	refused();
	unlink(path);
	ok(gguf_type_of(DTYPE_Q6_K) == 14 && gguf_type_of(DTYPE_BF16) == 30 &&
	    gguf_type_of(DTYPE_U8) == -1 && gguf_type_of(DTYPE_NONE) == -1, "types by dtype");
	return tap_done();
}
