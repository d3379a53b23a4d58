/*
 * Embeddings against PyTorch's (tests/golden/encoder.py): an encoder's states, its
 * texts' vectors and a table's; the same bits alone and together; and a decoder's
 * states against its logits.
 */
#include <math.h>
#include <stdlib.h>

#include "fmt/safetensors.h"
#include "infer/embed.h"
#include "../tap.h"

#define DATA "tests/data/encoder/"

/* Both sides are sums of some hundred terms about 1, ours in fp32. */
#define TOLERANCE 1e-4

static struct err err;
static struct dev *dev;

static void
must(bool good, const char *what)
{
	if (good)
		return;
	printf("Bail out! %s: %s\n", what, err.msg);
	exit(1);
}

static struct embedder *
open_with(const char *dir, struct embed_options o)
{
	struct embedder *e = embed_open(dir, dev, &o, &err);

	must(e != NULL, dir);
	return e;
}

/* Each token's states are transformers'. */
static void
test_states(void)
{
	struct embedder *e = open_with(DATA "bert", (struct embed_options){
	    .pooling = POOL_NONE });
	struct st_file *f = st_open(DATA "bert/expected.safetensors", &err);
	const float *want;
	float got[32 * 16];
	double worst = 0;

	must(f != NULL, "expected.safetensors");
	must(st_find(f, "hidden")->bytes == sizeof(got), "its size");
	want = st_find(f, "hidden")->data;
	must(embed_run(e, st_find(f, "token")->data, st_find(f, "cu_seqlens")->data, 4, got,
	    &err) == 0, "run");
	for (int i = 0; i < 32 * 16; i++)
		worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
	printf("# largest difference %g\n", worst);
	ok(embed_width(e) == 16 && worst <= TOLERANCE, "an encoder's states");
	st_close(f);
	embed_close(e);
}

/* Ids of all texts, and where each begins. */
static void
encode_texts(const struct embedder *e, const json_t *texts, struct ids *ids, int32_t *cu)
{
	struct encoder *enc = encoder_new(embed_tokenizer(e), &err);
	const json_t *v;
	size_t i;

	cu[0] = 0;
	json_array_foreach(texts, i, v) {
		must(embed_ids(e, enc, str_of(json_string_value(v)), ids, &err) == 0, "ids");
		cu[i + 1] = (int32_t)ids->n;
	}
	encoder_free(enc);
}

static void
test_texts(const json_t *doc, const char *name)
{
	char dir[100];
	const json_t *texts = json_object_get(doc, "texts"), *want = json_object_get(doc, name);
	struct embedder *e;
	struct ids ids = { 0 };
	int32_t cu[16];
	float all[16 * 16], one[16];
	int64_t n = (int64_t)json_array_size(texts), width;
	double worst = 0;
	bool same = true;

	snprintf(dir, sizeof(dir), DATA "%s", name);
	e = open_with(dir, (struct embed_options){ .normalize = 1 });
	width = embed_width(e);
	encode_texts(e, texts, &ids, cu);
	must(embed_run(e, ids.id, cu, n, all, &err) == 0, "run");
	for (int64_t i = 0; i < n; i++) {
		must(embed_run(e, ids.id, cu + i, 1, one, &err) == 0, "one");
		same &= memcmp(one, all + i * width, (size_t)width * 4) == 0;
		for (int64_t k = 0; k < width; k++)
			worst = fmax(worst, fabs((double)one[k] - json_real_value(json_array_get(
			    json_array_get(want, (size_t)i), (size_t)k))));
	}
	printf("# %s: largest difference %g\n", name, worst);
	ok(n == 5 && worst <= TOLERANCE, "vectors of texts");
	ok(same, "alone and together: the same bits");
	ids_free(&ids);
	embed_close(e);
}

/* How tokens are pooled: by the vectors of each. */
static void
test_pooling(void)
{
	const int32_t id[] = { 2, 9, 30, 31, 3 }, cu[] = { 0, 5 };
	const enum pooling kind[] = { POOL_MEAN, POOL_CLS, POOL_LAST };
	struct embedder *e = open_with(DATA "bert", (struct embed_options){
	    .pooling = POOL_NONE });
	float each[5 * 16], v[16];
	double off, length = 0;

	must(embed_run(e, id, cu, 1, each, &err) == 0, "run");
	embed_close(e);
	for (int k = 0; k < 3; k++) {
		e = open_with(DATA "bert", (struct embed_options){ .pooling = kind[k] });
		must(embed_run(e, id, cu, 1, v, &err) == 0, "run");
		off = 0;
		for (int i = 0; i < 16; i++) {
			double want = 0;

			/* All of them, the first, the last. */
			for (int t = k == 2 ? 4 : 0; t < (k == 1 ? 1 : 5); t++)
				want += (double)each[16 * t + i] / (k == 0 ? 5 : 1);
			off = fmax(off, fabs((double)v[i] - want));
		}
		ok(off <= 1e-6, k == 0 ? "mean" : k == 1 ? "the first" : "the last");
		embed_close(e);
	}
	e = open_with(DATA "bert", (struct embed_options){ .normalize = 1 });
	must(embed_run(e, id, cu, 1, v, &err) == 0, "run");
	for (int i = 0; i < 16; i++)
		length += (double)v[i] * (double)v[i];
	ok(fabs(length - 1) <= 1e-6, "length 1");
	embed_close(e);
}

/* The vector of a decoder's token times the head is its logits. */
static void
test_decoder(void)
{
	const char *dir = "tests/data/model/llama";
	struct st_file *f = st_open("tests/data/model/llama/expected.safetensors", &err);
	struct st_file *w = st_open(dir, &err);
	struct model m = { 0 };
	struct model_io io;
	struct tape *t;
	const int32_t *cu = st_find(f, "cu_seqlens")->data;
	const float *want = st_find(f, "logits")->data, *head = st_find(w, "lm_head.weight")->data;
	int32_t pos[40], n = cu[1];
	float h[40 * 16];
	double worst = 0;

	must(model_load(&m, dir, dev, false, &err) == 0, dir);
	t = tape_new(dev, 40, 1, params_tape(&m.params), &err);
	must(model_record_hidden(&m, t, &io, &err) == 0 && tape_plan(t, &err) == 0, "record");
	for (int i = 0; i < n; i++)
		pos[i] = i;
	tape_set_counts(t, n, 1);
	tape_upload(t, io.token, st_find(f, "token")->data, n);
	tape_upload(t, io.pos, pos, n);
	tape_upload(t, io.cu_seqlens, cu, 2);
	tape_forward(t, 0, -1);
	tape_download(t, io.hidden, h, n * m.config.width);
	must(dev_wait(dev, &err) == 0, "run");
	for (int i = 0; i < n; i++)
		for (int64_t v = 0; v < m.config.vocab; v++) {
			double sum = 0;

			for (int64_t k = 0; k < m.config.width; k++)
				sum += (double)h[i * m.config.width + k] *
				    (double)head[v * m.config.width + k];
			worst = fmax(worst, fabs(sum - (double)want[i * m.config.vocab + v]));
		}
	ok(m.config.width == 16 && n == 7 && worst <= TOLERANCE, "a decoder's states give its logits");
	tape_free(t);
	model_free(&m);
	st_close(f);
	st_close(w);
}

static void
refused(const char *dir, struct embed_options o, const char *words)
{
	struct embedder *e = embed_open(dir, dev, &o, &err);

	ok(e == NULL && strstr(err.msg, words) != NULL, words);
	printf("# %s\n", err.msg);
	embed_close(e);
}

int
main(void)
{
	struct team *team = team_new(2, &err);
	json_t *doc = json_doc_load(DATA "texts.json", &err);
	struct model m = { 0 };
	struct model_io io;
	struct tape *t;

	must(doc != NULL && team != NULL, "texts.json");
	dev = dev_open("cpu", team, 0, &err);
	must(dev != NULL, "cpu");
	test_states();
	test_texts(doc, "bert");
	test_texts(doc, "table");
	test_pooling();
	test_decoder();
	refused(DATA "bert", (struct embed_options){ .most = 41 }, "in a context of 40");
	refused(DATA "bert", (struct embed_options){ .most = 2 }, "no room");
	refused(DATA "table", (struct embed_options){ .pooling = POOL_LAST }, "mean or none");
	must(model_load(&m, DATA "bert", dev, false, &err) == 0, "bert");
	t = tape_new(dev, 40, 1, 0, &err);
	ok(model_record_score(&m, t, &io, 0, &err) < 0 && strstr(err.msg, "encoder") != NULL,
	    "an encoder has no next token");
	tape_free(t);
	model_free(&m);
	json_decref(doc);
	dev_close(dev);
	team_free(team);
	return tap_done();
}
