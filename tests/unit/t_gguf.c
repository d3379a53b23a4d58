/* GGUF: what the package gguf wrote is read, and its numbers are ours. */
#include <dirent.h>
#include <math.h>
#include <stdlib.h>

#include "../tap.h"
#include "base/buf.h"
#include "fmt/gguf.h"

#define DATA "tests/data/gguf/"

/*
 * Equal numbers up to the rounding of one product and sum, which a compiler may
 * fuse: 2 units in the last place of the largest term.
 */
static bool
near(const float *a, const float *b, int64_t n)
{
	float most = 0;

	for (int64_t i = 0; i < n; i++)
		most = fmaxf(most, fabsf(b[i]));
	for (int64_t i = 0; i < n; i++)
		if (!(fabsf(a[i] - b[i]) <= 2.4e-7f * most))
			return false;
	return most > 0;
}

static void
decoding(void)
{
	static const char *const name[] = { "F32", "F64", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0",
	    "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS" };
	struct err e = { 0 };
	struct gguf *f = gguf_open(DATA "good/types.gguf", &e);
	float *y;

	ok(f != NULL && gguf_count(f) == 33, "a file with tensors of all types");
	if (f == NULL)
		return;
	for (size_t i = 0; i < sizeof(name) / sizeof(*name); i++) {
		char key[32];
		const struct gguf_tensor *t = gguf_find(f, name[i]), *want;
		float *exact;

		snprintf(key, sizeof(key), "%s.f32", name[i]);
		want = gguf_find(f, key);
		if (t == NULL || want == NULL) {
			ok(false, name[i]);
			continue;
		}
		y = malloc((size_t)t->n * sizeof(*y));
		exact = malloc((size_t)want->n * sizeof(*exact));
		ok(strcmp(gguf_block(t->type)->name, name[i]) == 0 && want->n == t->n &&
		    gguf_decode(t, y, &e) == 0 && gguf_decode(want, exact, &e) == 0 &&
		    near(y, exact, t->n), name[i]);
		free(y);
		free(exact);
	}
	ok(gguf_decode(gguf_find(f, "I32"), NULL, &e) < 0 && strstr(e.msg, "I32") != NULL,
	    "integers are no weights");
	gguf_close(f);
}

static void
values(void)
{
	struct err e = { 0 };
	struct gguf *f = gguf_open(DATA "good/values.gguf", &e);
	const struct gguf_tensor *t;
	ptrdiff_t at = 0;
	int64_t i = 0;
	double x = 0;
	bool b = false;
	str s;

	ok(f != NULL, "a file with keys of all types");
	if (f == NULL)
		return;
	ok(gguf_int(gguf_find_key(f, "u8"), &i) && i == 200, "u8");
	ok(gguf_int(gguf_find_key(f, "i8"), &i) && i == -100, "i8");
	ok(gguf_int(gguf_find_key(f, "u16"), &i) && i == 60000, "u16");
	ok(gguf_int(gguf_find_key(f, "i16"), &i) && i == -30000, "i16");
	ok(gguf_int(gguf_find_key(f, "u32"), &i) && i == 4000000000, "u32");
	ok(gguf_int(gguf_find_key(f, "i32"), &i) && i == -2000000000, "i32");
	ok(gguf_int(gguf_find_key(f, "i64"), &i) && i == -((int64_t)1 << 62), "i64");
	ok(!gguf_int(gguf_find_key(f, "u64"), &i), "a u64 that does not fit");
	ok(gguf_real(gguf_find_key(f, "f32"), &x) && x == 1e-5, "f32, as it was meant");
	ok(gguf_real(gguf_find_key(f, "f64"), &x) && x == 0.1, "f64");
	ok(gguf_real(gguf_find_key(f, "i8"), &x) && x == -100, "an integer as a number");
	ok(gguf_bool(gguf_find_key(f, "yes"), &b) && b, "true");
	ok(gguf_bool(gguf_find_key(f, "no"), &b) && !b, "false");
	ok(!gguf_bool(gguf_find_key(f, "u8"), &b), "an integer is no boolean");
	ok(gguf_text(gguf_find_key(f, "text"), &s) && str_eq(s, S("gr\xc3\xbc\xc3\x9f" "e\n")),
	    "text");
	ok(!gguf_text(gguf_find_key(f, "f32"), &s), "a number is no text");
	ok(gguf_find_key(f, "none") == NULL && !gguf_int(NULL, &i), "a key that is not there");
	ok(gguf_next_text(gguf_find_key(f, "texts"), &at, &s) && str_eq(s, S("one")) &&
	    gguf_next_text(gguf_find_key(f, "texts"), &at, &s) && s.n == 0 &&
	    gguf_next_text(gguf_find_key(f, "texts"), &at, &s) && str_eq(s, S("three")) &&
	    !gguf_next_text(gguf_find_key(f, "texts"), &at, &s), "a list of texts");
	at = 0;
	ok(gguf_next_int(gguf_find_key(f, "ints"), &at, &i) && i == 1 &&
	    gguf_next_int(gguf_find_key(f, "ints"), &at, &i) && i == -2 &&
	    gguf_next_int(gguf_find_key(f, "ints"), &at, &i) && i == 3 &&
	    !gguf_next_int(gguf_find_key(f, "ints"), &at, &i), "a list of integers");
	t = gguf_find(f, "cube");
	ok(t != NULL && t->ndim == 3 && t->shape[0] == 2 && t->shape[1] == 3 &&
	    t->shape[2] == 4 && t->n == 24 && ((uintptr_t)t->data & 63) == 0,
	    "a tensor of three dimensions, aligned as the file says");
	gguf_close(f);
}

/* A model in several files is one, opened by its first. */
static void
parts(void)
{
	struct err e = { 0 };
	struct gguf *f = gguf_open(DATA "good/split-00001-of-00003.gguf", &e);
	int right = 0;
	int64_t x = 0;

	ok(f != NULL && gguf_count(f) == 5 && gguf_int(gguf_find_key(f, "u32"), &x) && x == 7,
	    "three files of one model");
	for (int i = 0; f != NULL && i < 5; i++) {
		char name[8];
		const struct gguf_tensor *t;

		snprintf(name, sizeof(name), "t%d", i);
		t = gguf_find(f, name);
		right += t != NULL && t->shape[0] == i + 1 &&
		    ((const float *)t->data)[t->n - 1] == (float)i;
	}
	ok(right == 5, "the tensors of all");
	gguf_close(f);
	f = gguf_open(DATA "good/split-00002-of-00003.gguf", &e);
	ok(f == NULL && strstr(e.msg, "the first is to be opened") != NULL, "another is refused");
	gguf_close(f);
}

static void
broken(void)
{
	DIR *d = opendir(DATA "bad");
	char path[512];
	int n = 0, opened = 0;

	/* Of the model in three files the second is missing. */
	for (struct dirent *x; d != NULL && (x = readdir(d)) != NULL; ) {
		struct err e = { 0 };
		struct gguf *f;

		if (x->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), DATA "bad/%s", x->d_name);
		if ((f = gguf_open(path, &e)) != NULL)
			printf("# %s opens\n", path);
		opened += f != NULL || e.msg[0] == '\0';
		gguf_close(f);
		n++;
	}
	if (d != NULL)
		closedir(d);
	ok(n > 30 && opened == 0, "no broken file opens");
}

/* Cut anywhere, a file is refused: every byte of it is needed. */
static void
cut(void)
{
	struct err e = { 0 };
	struct gguf *f = gguf_open(DATA "good/values.gguf", &e);
	const struct gguf_tensor *t = f == NULL ? NULL : gguf_find(f, "cube");
	int opened = 0;
	str all = { NULL, 0 };
	FILE *in = fopen(DATA "good/values.gguf", "rb");
	static char bytes[4096];

	all = (str){ bytes, in == NULL ? 0 : (ptrdiff_t)fread(bytes, 1, sizeof(bytes), in) };
	if (in != NULL)
		fclose(in);
	for (ptrdiff_t n = 0; n < all.n - 64; n++) {
		struct gguf *g = gguf_open_mem((str){ bytes, n }, &e);

		opened += g != NULL;
		gguf_close(g);
	}
	ok(t != NULL && all.n > 500 && opened == 0, "a file that is cut short is refused");
	gguf_close(f);
}

int
main(void)
{
	decoding();
	values();
	parts();
	broken();
	cut();
	return tap_done();
}
