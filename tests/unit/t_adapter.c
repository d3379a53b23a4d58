/*
 * Adapters that PEFT made (tests/golden/adapter.py): logits, loss, gradients and
 * merged matrices in double on the reference device, against PyTorch's in
 * double; what is written is what was read; new adapters.
 */
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/refdev.h"
#include "../tap.h"
#include "base/stream.h"
#include "fmt/safetensors.h"
#include "model/adapter.h"
#include "model/merge.h"

#define DATA "tests/data/"
/*
 * Their sines of positions are float, and what is kept of all: 6e-8, over two
 * layers, and gradients of queries are small differences.
 */
#define TOLERANCE 3e-5
#define CAPACITY 40
#define SEQS 6

static struct err err;
static struct dev *ref;

static void
must(int got, const char *what)
{
	if (got >= 0)
		return;
	printf("Bail out! %s: %s\n", what, err.msg);
	exit(1);
}

/* max |a - b| / max |b|; a double, b float */
static double
distance(const double *a, const void *b, int64_t n)
{
	double d = 0, most = 0;
	float f;

	for (int64_t i = 0; i < n; i++) {
		memcpy(&f, (const char *)b + 4 * i, 4);
		d = fmax(d, fabs(a[i] - (double)f));
		most = fmax(most, fabs((double)f));
	}
	return most > 0 ? d / most : d;
}

static struct st_file *
expected(const char *name)
{
	char path[256];
	struct st_file *f;

	snprintf(path, sizeof(path), DATA "adapter/%s/expected.safetensors", name);
	f = st_open(path, &err);
	must(f == NULL ? -1 : 0, path);
	return f;
}

static const struct st_tensor *
tensor(const struct st_file *f, const char *name)
{
	const struct st_tensor *t = st_find(f, name);

	must(t == NULL ? -1 : 0, name);
	return t;
}

static void
upload(struct tape *t, const struct model_io *io, const struct st_file *f)
{
	const int32_t *token = tensor(f, "token")->data, *cu = tensor(f, "cu_seqlens")->data;
	int32_t n = (int32_t)tensor(f, "token")->shape[0], pos[CAPACITY], target[CAPACITY];
	int32_t seqs = (int32_t)tensor(f, "cu_seqlens")->shape[0] - 1;
	double dlogp[CAPACITY];

	for (int s = 0; s < seqs; s++)
		for (int i = cu[s]; i < cu[s + 1]; i++) {
			pos[i] = i - cu[s];
			target[i] = i + 1 == cu[s + 1] ? -1 : token[i + 1];
			dlogp[i] = target[i] < 0 ? 0 : -1.0 / (n - seqs);
		}
	tape_set_counts(t, n, seqs);
	tape_upload(t, io->token, token, n);
	tape_upload(t, io->pos, pos, n);
	tape_upload(t, io->cu_seqlens, cu, seqs + 1);
	if (io->target != NULL)
		tape_upload(t, io->target, target, n);
	if (io->dlogp != NULL)
		tape_upload(t, io->dlogp, dlogp, n);
}

static void
check_logits(struct model *m, const struct st_file *f)
{
	const struct st_tensor *want = tensor(f, "logits");
	struct tape *t = tape_new(ref, CAPACITY, SEQS, TAPE_F64, &err);
	struct model_io io;
	int32_t row[CAPACITY], n = (int32_t)want->shape[0];
	double *got = calloc((size_t)(CAPACITY * want->shape[1]), sizeof(*got));

	must(model_record_logits(m, t, CAPACITY, &io, &err), "record");
	must(tape_plan(t, &err), "plan");
	for (int i = 0; i < n; i++)
		row[i] = i;
	upload(t, &io, f);
	tape_set_wanted(t, n);
	tape_upload(t, io.row, row, n);
	tape_forward(t, 0, -1);
	tape_download(t, io.logits, got, n * want->shape[1]);
	must(dev_wait(ref, &err), "logits");
	ok(distance(got, want->data, n * want->shape[1]) <= TOLERANCE, "logits as PyTorch's");
	free(got);
	tape_free(t);
}

static void
check_gradients(struct model *m, const struct st_file *f)
{
	struct tape *t = tape_new(ref, CAPACITY, SEQS, TAPE_F64 | TAPE_GRAD, &err);
	struct model_io io;
	double loss, want, worst = 0, got[8192];
	int trained = 0;

	must(model_record_score(m, t, &io, 0, &err), "record");
	must(tape_plan(t, &err), "plan");
	upload(t, &io, f);
	tape_forward(t, 0, -1);
	tape_backward(t, 0, -1);
	tape_download(t, io.loss, &loss, 1);
	must(dev_wait(ref, &err), "step");
	want = *(const double *)tensor(f, "loss")->data;
	loss /= (double)(tensor(f, "token")->shape[0] - tensor(f, "cu_seqlens")->shape[0] + 1);
	ok(fabs(loss - want) <= TOLERANCE * want, "loss as PyTorch's");
	for (int i = 0; i < m->params.n; i++) {
		const struct param *p = &m->params.p[i];
		char name[256];

		if (!p->trainable)
			continue;
		trained++;
		snprintf(name, sizeof(name), "grad.base_model.model.%s", p->name);
		dev_download(ref, got, p->grad, p->n * 8);
		must(dev_wait(ref, &err), "gradient");
		worst = fmax(worst, distance(got, tensor(f, name)->data, p->n));
	}
	printf("# %d gradients, largest distance %g\n", trained, worst);
	ok(trained > 0 && worst <= TOLERANCE, "every gradient as PyTorch's");
	tape_free(t);
}

static bool
same_file(const char *a, const char *b)
{
	str x = { NULL, 0 }, y = { NULL, 0 };
	bool same = file_map(a, &x, &err) == 0 && file_map(b, &y, &err) == 0 && str_eq(x, y);

	file_unmap(x);
	file_unmap(y);
	return same;
}

static void
check_saved(struct model *m, const char *dir)
{
	char path[512], made[] = "/tmp/t_adapter.XXXXXX", out[64];
	json_t *a, *b;

	must(mkdtemp(made) == NULL ? -1 : 0, "mkdtemp");
	must(model_save(m, made, DTYPE_NONE, 0, &err), "save");
	snprintf(path, sizeof(path), "%s/adapter_model.safetensors", dir);
	snprintf(out, sizeof(out), "%s/adapter_model.safetensors", made);
	ok(same_file(path, out), "the tensors are written as they were, byte for byte");
	unlink(out);
	snprintf(path, sizeof(path), "%s/adapter_config.json", dir);
	snprintf(out, sizeof(out), "%s/adapter_config.json", made);
	a = json_doc_load(path, &err);
	b = json_doc_load(out, &err);
	ok(a != NULL && json_equal(a, b), "and so is what the adapter is");
	json_decref(a);
	json_decref(b);
	unlink(out);
	rmdir(made);
}

static void
check_merged(const char *base, const char *dir, const struct st_file *f)
{
	struct model m = { .params.compute = DTYPE_F64 };
	double worst = 0, got[8192], turned[8192];
	int n = 0;

	must(model_load(&m, base, ref, false, &err), base);
	must(adapter_merge(&m, dir, 1, &err), dir);
	for (int i = 0; i < m.n_weights; i++) {
		const struct weight *w = &m.weight[i];
		const struct st_tensor *want;
		char name[256];

		snprintf(name, sizeof(name), "merged.%s", w->name);
		if ((want = st_find(f, name)) == NULL)
			continue;
		n++;
		must(param_download(&m.params, &m.params.p[w->param], 0, w->n, got, DTYPE_F64,
		    &err), "download");
		for (int64_t k = 0; k < w->n && w->turned; k++)
			turned[k] = got[k % w->shape[1] * w->shape[0] + k / w->shape[1]];
		worst = fmax(worst, distance(w->turned ? turned : got, want->data, w->n));
	}
	printf("# %d merged, largest distance %g\n", n, worst);
	ok(n > 0 && worst <= TOLERANCE, "merged matrices as PEFT's");
	model_free(&m);
}

static void
golden(const char *name, const char *base)
{
	struct model m = { .params.compute = DTYPE_F64 };
	struct st_file *f = expected(name);
	char dir[256], path[256];

	printf("# %s\n", name);
	snprintf(dir, sizeof(dir), DATA "adapter/%s", name);
	snprintf(path, sizeof(path), DATA "model/%s", base);
	m.adapter = adapter_open(dir, &err);
	must(m.adapter == NULL ? -1 : 0, dir);
	must(model_load(&m, path, ref, true, &err), path);
	check_logits(&m, f);
	check_gradients(&m, f);
	check_saved(&m, dir);
	adapter_free(m.adapter);
	model_free(&m);
	check_merged(path, dir, f);
	st_close(f);
}

/* ---- new ones ---- */

/* A new adapter changes nothing: the logits are the model's own. */
static void
fresh(const struct adapter_options *o, const char *what)
{
	struct st_file *f = st_open(DATA "model/llama/expected.safetensors", &err);
	struct model m = { .params.compute = DTYPE_F64, .adapter = adapter_new(o, &err) };

	printf("# %s\n", what);
	must(f == NULL || m.adapter == NULL ? -1 : 0, what);
	must(model_load(&m, DATA "model/llama", ref, true, &err), what);
	check_logits(&m, f);
	adapter_free(m.adapter);
	model_free(&m);
	st_close(f);
}

/* All linear layers of an architecture: recorded, trained, and few enough. */
static void
everywhere(const char *base, enum adapter_type type)
{
	struct adapter_options o = { .type = type, .rank = 2, .alpha = 2 };
	struct model m = { .params.compute = DTYPE_F64, .adapter = adapter_new(&o, &err) };
	struct tape *t = tape_new(ref, CAPACITY, SEQS, TAPE_F64 | TAPE_GRAD, &err);
	struct model_io io;
	char dir[256];
	int got, trained = 0;

	snprintf(dir, sizeof(dir), DATA "model/%s", base);
	got = model_load(&m, dir, ref, true, &err);
	if (got == 0)
		got = model_record_score(&m, t, &io, 0, &err);
	if (got == 0)
		got = tape_plan(t, &err);
	for (int i = 0; i < m.params.n; i++)
		trained += m.params.p[i].grad.at != 0;
	ok(got == 0 && trained >= 6, base);
	if (got < 0)
		printf("# %s\n", err.msg);
	tape_free(t);
	adapter_free(m.adapter);
	model_free(&m);
}

static void
refused(const struct adapter_options *o, const char *word)
{
	struct model m = { .params.compute = DTYPE_F64, .adapter = adapter_new(o, &err) };
	int got = m.adapter == NULL ? -1 :
	    model_load(&m, DATA "model/llama", ref, true, &err);

	ok(got < 0 && strstr(err.msg, word) != NULL, word);
	if (got == 0 || strstr(err.msg, word) == NULL)
		printf("# %s\n", got < 0 ? err.msg : "accepted");
	adapter_free(m.adapter);
	model_free(&m);
}

/* Configurations of adapters that say what is not supported. */
static void
configs(void)
{
	static const char *const bad[][2] = {
		{ "{\"peft_type\":\"VERA\"}", "VERA" },
		{ "{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":4}", "target_modules" },
		{ "{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\"],\"lora_alpha\":4}",
		    "'r'" },
		{ "{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\"],\"r\":4}", "alpha" },
		{ "{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\"],\"r\":4,"
		    "\"lora_alpha\":4,\"bias\":\"all\"}", "bias" },
		{ "{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\"],\"r\":4,"
		    "\"lora_alpha\":4,\"modules_to_save\":[\"lm_head\"]}", "modules_to_save" },
		{ "{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\"],\"r\":4,"
		    "\"lora_alpha\":4,\"init_lora_weights\":\"pissa\"}", "pissa" },
		{ "[]", "peft_type" },
	};
	char dir[] = "/tmp/t_adapter.XXXXXX", path[64];

	must(mkdtemp(dir) == NULL ? -1 : 0, "mkdtemp");
	snprintf(path, sizeof(path), "%s/adapter_config.json", dir);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct adapter *a;

		must(file_write(path, str_of(bad[i][0]), &err), path);
		err.msg[0] = '\0';
		a = adapter_open(dir, &err);
		ok(a == NULL && strstr(err.msg, bad[i][1]) != NULL, bad[i][1]);
		adapter_free(a);
	}
	unlink(path);
	rmdir(dir);
}

static const char *const others[] = {
	"gpt2", "mixtral", "qwen3-moe", "deepseek-v2", "deepseek-v3", "mamba", "jamba", "ahead",
	"gemma3", "mistral", "olmo2", "phi3", "qwen2"
};

int
main(void)
{
	ref = refdev_open(NULL, &err);
	must(ref == NULL ? -1 : 0, "device");
	golden("lora", "llama");
	golden("rslora-regex", "llama-tied");
	golden("dora", "llama-tied");
	golden("dora-gpt2", "gpt2");
	golden("ia3", "llama-tied");
	golden("ia3-gpt2", "gpt2");
	fresh(&(struct adapter_options){ .rank = 4, .alpha = 8 }, "new LoRA");
	fresh(&(struct adapter_options){ .type = ADAPTER_DORA, .rank = 4, .alpha = 8 },
	    "new DoRA");
	fresh(&(struct adapter_options){ .type = ADAPTER_IA3 }, "new IA3");
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		everywhere(others[i], i % 2 ? ADAPTER_DORA : ADAPTER_LORA);
	refused(&(struct adapter_options){ .rank = 0 }, "rank");
	refused(&(struct adapter_options){ .rank = 4, .targets = "lm_head" }, "lm_head");
	refused(&(struct adapter_options){ .rank = 4, .targets = "embed_tokens" }, "embed_tokens");
	refused(&(struct adapter_options){ .rank = 4, .targets = "nothing" }, "no linear layer");
	refused(&(struct adapter_options){ .rank = 4, .targets = "/(/" }, "regular expression");
	refused(&(struct adapter_options){ .rank = 4, .rank_pattern = "q_proj" }, "NAME=NUMBER");
	refused(&(struct adapter_options){ .rank = 4, .rank_pattern = "q_proj=0.5" }, "rank");
	configs();
	dev_close(ref);
	return tap_done();
}
