/*
 * Models in GGUF: each tiny model (tests/golden/model.py) as a file gives the
 * logits of the directory it was made of, and the directory's tensors back.
 */
#include <glob.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/logits.h"
#include "base/quant.h"
#include "fmt/gguf.h"
#include "fmt/safetensors.h"
#include "model/convert.h"
#include "model/export.h"

static char tmp[64];

/* Largest difference, in parts of the largest logit. */
static double
distance(const float *a, const float *b, int64_t n)
{
	double most = 0, d = 0;

	for (int64_t i = 0; i < n; i++) {
		double e = fabs((double)a[i] - (double)b[i]);

		d = e <= d ? d : e;
		most = fmax(most, fabs((double)b[i]));
	}
	return most > 0 ? d / most : (double)INFINITY;
}

/*
 * What is stored as 1 + w or -exp(w) comes back rounded: by half a unit of a
 * number below 4.
 */
static bool
is_close(const struct st_tensor *a, const struct st_tensor *b)
{
	const float *x = a->data, *y = b->data;
	bool rounds = strstr(a->name, "norm") != NULL || strstr(a->name, "A_log") != NULL;

	for (int64_t i = 0; i < a->bytes / 4; i++)
		if (!(fabsf(x[i] - y[i]) <= (rounds ? 0x1p-22f : 0)))
			return false;
	return true;
}

/* Every tensor of the directory is in the other, of its type, byte for byte where it may be. */
static bool
same_tensors(const char *dir, const char *back, bool exact)
{
	struct st_file *a = st_open(dir, &err), *b = st_open(back, &err);
	bool same = a != NULL && b != NULL && st_count(a) == st_count(b);

	for (int i = 0; same && i < st_count(a); i++) {
		const struct st_tensor *x = st_at(a, i), *y = st_find(b, x->name);

		same = y != NULL && x->type == y->type && x->bytes == y->bytes &&
		    (memcmp(x->data, y->data, (size_t)x->bytes) == 0 ||
		    (!exact && x->type == DTYPE_F32 && is_close(x, y)));
		if (!same)
			printf("# %s differs\n", x->name);
	}
	st_close(a);
	st_close(b);
	return same;
}

static void
check_model(const char *dir)
{
	const char *name = strrchr(dir, '/') + 1;
	bool rates = strcmp(name, "mamba") == 0 || strcmp(name, "jamba") == 0;
	bool exact = !rates && strncmp(name, "gemma", 5) != 0;
	char file[256], back[256], what[160];
	struct config c;
	float *want, *got;
	int64_t n = 0;

	snprintf(file, sizeof(file), "%s/%s.gguf", tmp, name);
	snprintf(back, sizeof(back), "%s/%s", tmp, name);
	must(config_load(&c, dir, &err), dir);
	must(convert_to_gguf(dir, DTYPE_NONE, file, &err), file);
	want = logits_of(dir, NULL, &n);
	got = logits_of(file, NULL, &n);
	if (got == NULL)
		printf("# %s\n", err.msg);
	/* Rates of a scan are a logarithm of what the file has: the sums of 20 steps are off. */
	snprintf(what, sizeof(what), "%s: the logits of the directory%s", name,
	    rates ? ", nearly" : ", bit for bit");
	ok(want != NULL && got != NULL && (rates ? distance(got, want, n) < 1e-5 :
	    memcmp(got, want, (size_t)n * 4) == 0), what);
	free(want);
	free(got);
	must(mkdir(back, 0777), back);
	must(convert_to_directory(file, c.dtype, back, &err), back);
	snprintf(what, sizeof(what), "%s: and its tensors back", name);
	ok(same_tensors(dir, back, exact), what);
	must(model_remove(back, &err), back);
	unlink(file);
}

struct quantizing {
	struct export	*x;
	struct gguf_tensor *as;
	float		*y;
};

static int
fill_quantized(void *ctx, int tensor, int64_t at, void *p, int64_t n, struct err *e)
{
	struct quantizing *q = ctx;
	dtype type = gguf_block(q->as[tensor].type)->type;
	int64_t first = at / dtype_bytes(type, dtype_block(type)) * dtype_block(type);
	int64_t some = n / dtype_bytes(type, dtype_block(type)) * dtype_block(type);

	if (export_read(q->x, tensor, q->y, e) < 0)
		return -1;
	if (dtype_block(type) > 1)
		quant_encode(type, p, q->y + first, some, NULL);
	else
		dtype_convert(p, type, q->y + first, DTYPE_F32, some);
	return 0;
}

/*
 * A file whose matrices are of a type, where their rows are whole blocks, and
 * that ends where a page does: kernels that read on would fault.
 */
static void
quantize(const char *dir, dtype type, const char *path)
{
	static char text[4096];
	struct export x = { .n = 0 };
	struct gguf_write w = { .fill = fill_quantized };
	struct quantizing q = { .x = &x };
	struct stat st = { .st_size = 1 };

	must(export_open(&x, dir, &err), dir);
	q.as = calloc((size_t)x.n, sizeof(*q.as));
	q.y = calloc((size_t)x.most, sizeof(*q.y));
	memcpy(q.as, x.tensor, (size_t)x.n * sizeof(*q.as));
	for (int i = 0; i < x.n; i++)
		if (export_free(&x, i) && q.as[i].shape[q.as[i].ndim - 1] % dtype_block(type) == 0)
			q.as[i].type = (uint32_t)gguf_type_of(type);
	w.tensor = q.as;
	w.n = x.n;
	w.ctx = &q;
	memset(text, 'x', sizeof(text));
	for (int n = 0; n < 4096 && st.st_size % 4096 != 0; n += 32) {
		struct gguf_keys k = { .n = x.keys.n };

		buf_add(&k.buf, buf_str(&x.keys.buf));
		gguf_put_text(&k, "general.description", (str){ text, n });
		w.keys = &k;
		must(gguf_save(path, &w, &err), path);
		must(stat(path, &st), path);
		gguf_keys_free(&k);
	}
	ok(st.st_size % 4096 == 0, "a file that ends with a page");
	free(q.as);
	free(q.y);
	export_close(&x);
}

/*
 * Quantized matrices are used as they are: products with activations of 8 bits
 * against products in fp32 with what the weights are.  Rounding moves each by
 * some thousandths, random weights make that some hundredths of the logits; a
 * matrix in another order would move them by more than they are.
 */
static void
check_quantized(dtype type)
{
	const char *dir = "tests/data/model/phi3";
	char file[256], back[256], what[100];
	struct model m = { .dev = NULL };
	float *want, *got;
	double d;
	int64_t n = 0, mapped = 0;

	snprintf(file, sizeof(file), "%s/quantized.gguf", tmp);
	snprintf(back, sizeof(back), "%s/back", tmp);
	quantize(dir, type, file);
	must(mkdir(back, 0777), back);
	must(convert_to_directory(file, DTYPE_F32, back, &err), back);
	must(model_load(&m, file, dev, false, &err), file);
	for (int i = 0; i < m.params.n; i++)
		mapped += m.params.p[i].mapped && m.params.p[i].type == type;
	model_free(&m);
	snprintf(what, sizeof(what), "%s: matrices of it stay in the file", dtype_name(type));
	ok(mapped > 5, what);
	want = logits_of(back, NULL, &n);
	got = logits_of(file, NULL, &n);
	d = relative(got, want, n);
	printf("# %s: %g\n", dtype_name(type), d);
	snprintf(what, sizeof(what), "%s: logits near those in fp32", dtype_name(type));
	ok(d < 0.1, what);
	free(want);
	free(got);
	must(model_remove(back, &err), back);
	unlink(file);
}

/* Adapters are of the model, whatever file it is in: loaded, saved. */
static void
check_adapter(const char *name, const char *base)
{
	char dir[64], file[256], adapter[256], back[256], path[2][300], what[100];
	struct model m = { .dev = NULL };
	float *want, *got;
	int64_t n = 0;

	snprintf(dir, sizeof(dir), "tests/data/model/%s", base);
	snprintf(file, sizeof(file), "%s/base.gguf", tmp);
	snprintf(back, sizeof(back), "%s/back", tmp);
	snprintf(adapter, sizeof(adapter), "tests/data/adapter/%s", name);
	must(convert_to_gguf(dir, DTYPE_NONE, file, &err), file);
	want = logits_of(dir, adapter, &n);
	got = logits_of(file, adapter, &n);
	snprintf(what, sizeof(what), "%s: the same with the model's file", name);
	ok(want != NULL && got != NULL && distance(got, want, n) < 1e-5, what);
	free(want);
	free(got);
	must((m.adapter = adapter_open(adapter, &err)) == NULL ? -1 : 0, adapter);
	must(model_load(&m, file, dev, true, &err), file);
	must(mkdir(back, 0777), back);
	must(model_save(&m, back, DTYPE_NONE, 0, &err), back);
	for (int i = 0; i < 2; i++)
		snprintf(path[i], sizeof(path[i]), "%s/adapter_model.safetensors",
		    i == 0 ? adapter : back);
	snprintf(what, sizeof(what), "%s: saved as it was", name);
	ok(same_tensors(path[0], path[1], true), what);
	adapter_free(m.adapter);
	model_free(&m);
	unlink(path[1]);
	snprintf(path[0], sizeof(path[0]), "%s/adapter_config.json", back);
	unlink(path[0]);
	rmdir(back);
	unlink(file);
}

int
main(void)
{
	struct team *team = team_new(1, &err);
	glob_t g;

	must(team == NULL ? -1 : 0, "team");
	must((dev = dev_open("cpu", team, 0, &err)) == NULL ? -1 : 0, "device");
	snprintf(tmp, sizeof(tmp), "/tmp/t_gguf_model.XXXXXX");
	if (mkdtemp(tmp) == NULL || glob("tests/data/model/*", 0, NULL, &g) != 0)
		return 1;
	ok(g.gl_pathc > 15, "there are tiny models");
	for (size_t i = 0; i < g.gl_pathc; i++)
		check_model(g.gl_pathv[i]);
	globfree(&g);
	check_adapter("lora", "llama");
	check_adapter("dora", "llama-tied");
	check_adapter("ia3", "llama-tied");
	check_quantized(DTYPE_Q8_0);
	check_quantized(DTYPE_Q4_0);
	check_quantized(DTYPE_Q5_1);
	rmdir(tmp);
	dev_close(dev);
	team_free(team);
	return tap_done();
}
