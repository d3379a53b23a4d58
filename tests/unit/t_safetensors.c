/* safetensors: the reference's files are read, and written byte for byte. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tap.h"
#include "base/buf.h"
#include "fmt/safetensors.h"

#define DATA "tests/data/safetensors/"

/* As in tests/golden/tensors.py. */
static const struct st_tensor kinds[] = {
	{ "w.f32", DTYPE_F32, 2, { 3, 5 }, 0, NULL }, { "b.f32", DTYPE_F32, 1, { 5 }, 0, NULL },
	{ "h.bf16", DTYPE_BF16, 2, { 2, 3 }, 0, NULL }, { "h.f16", DTYPE_F16, 1, { 7 }, 0, NULL },
	{ "d.f64", DTYPE_F64, 1, { 2 }, 0, NULL }, { "i.i64", DTYPE_I64, 0, { 0 }, 0, NULL },
	{ "i.u8", DTYPE_U8, 1, { 9 }, 0, NULL }, { "i.i8", DTYPE_I8, 3, { 1, 1, 3 }, 0, NULL },
	{ "i.i32", DTYPE_I32, 2, { 2, 2 }, 0, NULL }, { "i.i16", DTYPE_I16, 1, { 3 }, 0, NULL },
	{ "m.bool", DTYPE_BOOL, 1, { 5 }, 0, NULL }, { "none", DTYPE_F32, 2, { 0, 4 }, 0, NULL },
	{ "e.f8", DTYPE_F8_E4M3, 1, { 5 }, 0, NULL }, { "e.f8b", DTYPE_F8_E5M2, 1, { 3 }, 0, NULL },
	{ "i.u16", DTYPE_U16, 1, { 3 }, 0, NULL }, { "i.u32", DTYPE_U32, 1, { 1 }, 0, NULL },
	{ "i.u64", DTYPE_U64, 1, { 1 }, 0, NULL }, { "na\"me\\ \xc3\xa9\t", DTYPE_F32, 1, { 1 }, 0, NULL },
};

#define NKINDS (int)(sizeof(kinds) / sizeof(*kinds))

static unsigned char
byte_of(const struct st_tensor *t, int64_t i)
{
	return (unsigned char)(t->type == DTYPE_BOOL ? i % 2 :
	    (7 * i + (int64_t)strlen(t->name)) % 251);
}

static int
fill(void *ctx, int tensor, int64_t at, void *p, int64_t n, struct err *err)
{
	(void)ctx;
	(void)err;
	for (int64_t i = 0; i < n; i++)
		((unsigned char *)p)[i] = byte_of(&kinds[tensor], at + i);
	return 0;
}

/* Every tensor of kinds is there, and its bytes are right. */
static bool
right(const struct st_file *f)
{
	for (int k = 0; k < NKINDS; k++) {
		const struct st_tensor *t = st_find(f, kinds[k].name);

		if (t == NULL || t->type != kinds[k].type || t->ndim != kinds[k].ndim ||
		    memcmp(t->shape, kinds[k].shape, sizeof(t->shape)) != 0 ||
		    t->bytes != st_bytes(t->type, t->ndim, t->shape))
			return false;
		for (int64_t i = 0; i < t->bytes; i++)
			if (((const unsigned char *)t->data)[i] != byte_of(&kinds[k], i))
				return false;
	}
	return st_count(f) == NKINDS;
}

static bool
same_files(const char *a, const char *b)
{
	struct err e = { 0 };
	str x = { NULL, 0 }, y = { NULL, 0 };
	bool same = file_map(a, &x, &e) == 0 && file_map(b, &y, &e) == 0 && str_eq(x, y);

	file_unmap(x);
	file_unmap(y);
	return same;
}

static void
reading(void)
{
	struct err e = { 0 };
	struct st_file *f = st_open(DATA "good/kinds.safetensors", &e);
	bool sorted = true;

	ok(f != NULL && right(f), "the reference's file is read");
	ok(f != NULL && strcmp(st_meta(f, "format"), "pt") == 0 && st_meta(f, "x") == NULL,
	    "and its metadata");
	for (int i = 1; f != NULL && i < st_count(f); i++)
		sorted &= strcmp(st_at(f, i - 1)->name, st_at(f, i)->name) < 0;
	ok(f != NULL && sorted && st_find(f, "nothing") == NULL, "by name");
	st_close(f);
	f = st_open(DATA "good/sharded", &e);
	ok(f != NULL && right(f), "a model in two files is one");
	st_close(f);
	f = st_open(DATA "good/empty.safetensors", &e);
	ok(f != NULL && st_count(f) == 0 && st_meta(f, "format") == NULL, "no tensors are well");
	st_close(f);
	f = st_open(DATA "good/no-meta.safetensors", &e);
	ok(f != NULL && st_count(f) == 1 && st_meta(f, "format") == NULL, "so is no metadata");
	st_close(f);
}

static void
writing(const char *dir)
{
	struct err e = { 0 };
	struct st_write w = { .tensor = kinds, .n = NKINDS, .fill = fill };
	struct st_tensor twice[2] = { kinds[0], kinds[0] };
	char path[100];

	snprintf(path, sizeof(path), "%s/a", dir);
	ok(st_save(path, &w, &e) == 0 && same_files(path, DATA "good/kinds.safetensors"),
	    "what is written is the reference's file, byte for byte");
	w = (struct st_write){ .tensor = twice, .n = 2, .fill = fill };
	unlink(path);
	ok(st_save(path, &w, &e) == -1 && access(path, F_OK) != 0 && rmdir(dir) == 0 &&
	    mkdir(dir, 0777) == 0, "a name twice is refused, and no file left");
	twice[0].shape[0] = -1;
	w.n = 1;
	ok(st_save(path, &w, &e) == -1, "so is a negative shape");
}

static void
refusing(void)
{
	DIR *dir = opendir(DATA "bad");
	struct dirent *d;
	int n = 0;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		char path[300];
		struct err e = { 0 };
		struct st_file *f;

		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), DATA "bad/%s", d->d_name);
		f = st_open(path, &e);
		ok(f == NULL && strncmp(e.msg, path, strlen(path)) == 0, e.msg);
		st_close(f);
		n++;
	}
	if (dir != NULL)
		closedir(dir);
	ok(n >= 30, "bad files were there");
}

/* Every cut and every byte of the header's length. */
static void
cutting(void)
{
	struct err e = { 0 };
	str all = { NULL, 0 };
	int64_t refused = 0;
	char *copy;

	if (file_map(DATA "good/kinds.safetensors", &all, &e) != 0)
		return;
	for (ptrdiff_t n = 0; n < all.n; n++) {
		struct st_file *f = st_open_mem((str){ all.p, n }, &e);

		refused += f == NULL;
		st_close(f);
	}
	ok(refused == all.n, "a cut at every byte is noticed");
	copy = malloc((size_t)all.n);
	memcpy(copy, all.p, (size_t)all.n);
	refused = 0;
	for (int i = 0; i < 64; i++) {
		struct st_file *f;

		copy[i / 8] = (char)(copy[i / 8] ^ 1 << i % 8);
		f = st_open_mem((str){ copy, all.n }, &e);
		refused += f == NULL;
		st_close(f);
		copy[i / 8] = (char)(copy[i / 8] ^ 1 << i % 8);
	}
	/* A shorter header cuts its JSON, but for the padding at its end. */
	ok(refused >= 61, "so is a wrong length");
	free(copy);
	file_unmap(all);
}

static void
spill(const char *dir, const char *name, const char *text)
{
	char path[200];
	struct err e = { 0 };

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	ok(file_write(path, str_of(text), &e) == 0, name);
}

/* An index may name files beside it only, and must agree with them. */
static void
index_files(const char *dir)
{
	static const char *const bad[] = {
		"{\"weight_map\":{\"a\":\"../x.safetensors\"}}",
		"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "{\"weight_map\":{\"a\":1}}",
		"{\"weight_map\":{\"a\":\".hidden\"}}", "{\"weight_map\":[]}", "{}", "[",
		"{\"weight_map\":{\"a\":\"none.safetensors\"}}",
		"{\"weight_map\":{\"b\":\"m.safetensors\"}}",
		"{\"weight_map\":{\"a\":\"m.safetensors\",\"b\":\"m.safetensors\"}}",
		"{\"weight_map\":{\"a\":\"m.safetensors\",\"b\":\"n.safetensors\"}}",
	};
	struct st_tensor t = { "a", DTYPE_U8, 1, { 3 }, 0, "abc" };
	struct st_write w = { .tensor = &t, .n = 1 };
	struct err e = { 0 };
	struct st_file *f;
	char path[200], command[200];

	snprintf(path, sizeof(path), "%s/m.safetensors", dir);
	ok(st_save(path, &w, &e) == 0, "a small file");
	snprintf(path, sizeof(path), "%s/n.safetensors", dir);
	ok(st_save(path, &w, &e) == 0, "and its twin");
	f = st_open(dir, &e);
	ok(f == NULL && strstr(e.msg, "model.safetensors") != NULL, "no index, no model");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		spill(dir, "model.safetensors.index.json", bad[i]);
		f = st_open(dir, &e);
		ok(f == NULL, e.msg);
		st_close(f);
	}
	spill(dir, "model.safetensors.index.json", "{\"weight_map\":{\"a\":\"m.safetensors\"}}");
	f = st_open(dir, &e);
	ok(f != NULL && memcmp(st_find(f, "a")->data, "abc", 3) == 0, "a right index is read");
	st_close(f);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ok(system(command) == 0, "cleaned up");
}

int
main(void)
{
	char dir[] = "/tmp/t_safetensors.XXXXXX";

	if (mkdtemp(dir) == NULL)
		return 2;
	reading();
	writing(dir);
	refusing();
	cutting();
	index_files(dir);
	return tap_done();
}
