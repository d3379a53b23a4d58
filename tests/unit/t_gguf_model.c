/*
 * Models in GGUF: each tiny model (tests/golden/model.py) as a file gives the
 * logits of the directory it was made of, and the directory's tensors back.
 */
#include <glob.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tap.h"
#include "fmt/gguf.h"
#include "fmt/safetensors.h"
#include "model/adapter.h"
#include "model/convert.h"

enum { TOKENS = 24 };

static struct err err;
static struct dev *dev;
static char tmp[64];

static void
must(int got, const char *what)
{
	if (got >= 0)
		return;
	printf("Bail out! %s: %s\n", what, err.msg);
	exit(1);
}

/* Of 24 tokens in one sequence; NULL: the model does not load, and err says why. */
static float *
logits_of(const char *path, const char *adapter, int64_t *n)
{
	struct model m = { .dev = NULL, .adapter = adapter == NULL ? NULL :
	    adapter_open(adapter, &err) };
	struct adapter *a = m.adapter;
	struct model_io io;
	struct tape *t = NULL;
	int32_t token[TOKENS], pos[TOKENS], row[TOKENS], cu[2] = { 0, TOKENS };
	float *y = NULL;

	if (model_load(&m, path, dev, false, &err) < 0)
		goto out;
	for (int i = 0; i < TOKENS; i++) {
		token[i] = (int32_t)((i * 7 + 3) % m.config.vocab);
		pos[i] = i + (int32_t)model_rope_base(&m.config, TOKENS);
		row[i] = i;
	}
	must((t = tape_new(dev, TOKENS, 1, 0, &err)) == NULL ? -1 : 0, "tape");
	must(model_record_logits(&m, t, TOKENS, &io, &err), "recording");
	must(tape_plan(t, &err), "plan");
	*n = TOKENS * m.config.vocab;
	y = calloc((size_t)*n, sizeof(*y));
	tape_set_counts(t, TOKENS, 1);
	tape_set_wanted(t, TOKENS);
	tape_upload(t, io.token, token, TOKENS);
	tape_upload(t, io.pos, pos, TOKENS);
	tape_upload(t, io.cu_seqlens, cu, 2);
	tape_upload(t, io.row, row, TOKENS);
	tape_forward(t, 0, -1);
	tape_download(t, io.logits, y, *n);
	must(dev_wait(dev, &err), "logits");
out:
	tape_free(t);
	model_free(&m);
	adapter_free(a);
	return y;
}

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
	bool exact = !rates && strncmp(name, "gemma", 5) != 0, near;
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
	/*
	 * Rates of a scan are a logarithm of what the file has, and products of
	 * heads that lie in pairs are sums in another order: roundings of 6e-8
	 * each, some hundred of them in a row.
	 */
	near = rates || c.arch == ARCH_LLAMA || c.arch == ARCH_MISTRAL || c.arch == ARCH_MIXTRAL;
	snprintf(what, sizeof(what), "%s: the logits of the directory%s", name,
	    near ? ", nearly" : ", bit for bit");
	ok(want != NULL && got != NULL && (near ? distance(got, want, n) < 1e-5 :
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
	rmdir(tmp);
	dev_close(dev);
	team_free(team);
	return tap_done();
}
