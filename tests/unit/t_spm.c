/*
 * SentencePiece's models and tiktoken's files of ranks, against the ids that
 * these packages gave (tests/golden/spm.py).
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "../draw.h"
#include "../tap.h"
#include "token/darts.h"
#include "token/tokenizer_impl.h"

#define DATA "tests/data/"

static struct tokenizer *
load(const char *path)
{
	struct err err = { 0 };
	struct tokenizer *t = tokenizer_load(path, &err);

	if (t == NULL)
		printf("# %s\n", err.msg);
	return t;
}

static str
text_of(const json_t *v)
{
	return (str){ json_string_value(v), (ptrdiff_t)json_string_length(v) };
}

static bool
same_ids(const struct ids *ids, const json_t *want)
{
	if (ids->n != (int64_t)json_array_size(want))
		return false;
	for (int64_t i = 0; i < ids->n; i++)
		if (ids->id[i] != json_integer_value(json_array_get(want, (size_t)i)))
			return false;
	return true;
}

/* Texts of one file that do not become what they should, nor are again what they were. */
static int
wrong(const char *path, const json_t *texts, const json_t *want, const json_t *decoded)
{
	struct err err = { 0 };
	struct tokenizer *t = load(path);
	struct encoder *e = t != NULL ? encoder_new(t, &err) : NULL;
	struct ids ids = { 0 };
	struct buf out = { 0 };
	int bad = 0;

	for (size_t i = 0; e != NULL && i < 2 * json_array_size(texts); i++) {
		const json_t *back = json_array_get(decoded, i / 2);
		struct decoder d = { .skip_special = false };

		ids.n = 0;
		buf_reset(&out);
		if (encode(e, text_of(json_array_get(texts, i / 2)), 0, &ids, &err) < 0 ||
		    !same_ids(&ids, json_array_get(want, i / 2))) {
			printf("# %s: text %d\n", path, (int)i / 2);
			bad++;
		} else if (back != NULL && (decode(t, &d, ids.id, ids.n, &out, &err) < 0 ||
		    decode_end(&d, &out, &err) < 0 || !str_eq(buf_str(&out), text_of(back)))) {
			printf("# %s: text %d: '%.*s'\n", path, (int)i / 2, STR_ARG(buf_str(&out)));
			bad++;
		}
	}
	bad += e == NULL || json_array_size(texts) == 0;
	ids_free(&ids);
	buf_free(&out);
	encoder_free(e);
	tokenizer_free(t);
	return bad;
}

static void
test_cases(const char *kind, const char *suffix)
{
	struct err err = { 0 };
	char path[200];
	json_t *cases, *ids;
	const char *name;

	snprintf(path, sizeof(path), DATA "%s/cases.json", kind);
	cases = json_doc_load(path, &err);
	ok(json_object_size(json_object_get(cases, "ids")) > 1, "there are cases");
	json_object_foreach(json_object_get(cases, "ids"), name, ids) {
		snprintf(path, sizeof(path), DATA "%s/good/%s.%s", kind, name, suffix);
		ok(wrong(path, json_object_get(cases, "texts"), ids,
		    json_object_get(json_object_get(cases, "decoded"), name)) == 0, path);
	}
	json_decref(cases);
}

static void
test_facts(void)
{
	struct tokenizer *u = load(DATA "spm/good/unigram.model");
	struct tokenizer *b = load(DATA "spm/good/bpe-bytes.model");
	struct tokenizer *c = load(DATA "spm/good/bpe.model");
	struct tokenizer *g = load(DATA "tiktoken/good/gpt2.tiktoken");
	struct tokenizer *k = load("cl100k=" DATA "tiktoken/good/gpt2.tiktoken");
	struct tokenizer *l = load("llama3=" DATA "tiktoken/good/gpt2.tiktoken");
	struct tokenizer *q = load("qwen=" DATA "tiktoken/good/gpt2.tiktoken");
	struct tokenizer *h = load("o200k_harmony=" DATA "tiktoken/good/gpt2.tiktoken");

	ok(tokenizer_bos(u) == 1 && tokenizer_eos(u) == 2 && tokenizer_unknown(u) == 0 &&
	    !tokenizer_adds_bos(u), "the numbers of special pieces");
	ok(tokenizer_is_special(c, tokenizer_id(c, S("<ctl>"))), "a control piece is special");
	ok(tokenizer_id(b, S("<sep>")) > 2 &&
	    !tokenizer_is_special(b, tokenizer_id(b, S("<sep>"))), "one of the user's is not");
	ok(tokenizer_eos(g) == 50256 && tokenizer_vocab(g) == 50257 && tokenizer_bos(g) == 50256,
	    "gpt2's end of text, by the file's name");
	ok(tokenizer_eos(k) == 100257 && tokenizer_vocab(k) == 100277 &&
	    tokenizer_id(k, S("<|endofprompt|>")) == 100276, "cl100k's, by what was said");
	ok(tokenizer_vocab(l) == 128256 && tokenizer_bos(l) == 128000 && tokenizer_adds_bos(l) &&
	    tokenizer_id(l, S("<|eot_id|>")) == 128009 &&
	    tokenizer_id(l, S("<|reserved_special_token_245|>")) == 128255, "Llama 3's");
	ok(tokenizer_vocab(q) == 151851 && tokenizer_id(q, S("<|im_end|>")) == 151645 &&
	    tokenizer_id(q, S("<|extra_204|>")) == 151850, "Qwen's");
	ok(tokenizer_vocab(h) == 201088 && tokenizer_id(h, S("<|channel|>")) == 200005 &&
	    tokenizer_id(h, S("<|call|>")) == 200012, "gpt-oss's");
	tokenizer_free(u);
	tokenizer_free(b);
	tokenizer_free(c);
	tokenizer_free(g);
	tokenizer_free(k);
	tokenizer_free(l);
	tokenizer_free(q);
	tokenizer_free(h);
}

/* Characters that stay as they are give what each looked up by itself gives. */
static void
test_normal(const char *path)
{
	static const char *const some[] = { " ", "a", "\n", "e", "\xcc\x81", "\xc3\xa9", "kernel",
	    "\xd0\xb8", "\xcc\x86", "\xe3\x82\xab", "\xe3\x82\x99", "\xef\xac\x81", "\xe2\x96\x81",
	    "\xe1\x84\x80", "\xe1\x85\xa1", "\xe4\xb8\xad", "\xf0\x9f\x91\x8d", "\xef\xbc\xa1", "\r",
	    "<sep>", "foo", "\xe2\x80\x8b" };
	struct tokenizer *t = load(path);
	struct spm_form slow = t->spm;
	struct buf text = { 0 }, a = { 0 }, b = { 0 };
	struct err err;
	char what[200];
	int bad = 0;

	memset(slow.same, 0, sizeof(slow.same));
	memset(slow.kind, SPM_OTHER, sizeof(slow.kind));
	slow.all = false;
	for (int i = 0; i < 20000; i++) {
		buf_reset(&text);
		buf_reset(&a);
		buf_reset(&b);
		for (int n = i % 30; n >= 0; n--)
			buf_add(&text, str_of(some[draw(sizeof(some) / sizeof(*some))]));
		bad += spm_normalize(&t->spm, buf_str(&text), &a, &err) < 0 ||
		    spm_normalize(&slow, buf_str(&text), &b, &err) < 0 ||
		    !str_eq(buf_str(&a), buf_str(&b));
	}
	snprintf(what, sizeof(what), "the normal form of %s", path);
	ok(bad == 0, what);
	buf_free(&text);
	buf_free(&a);
	buf_free(&b);
	tokenizer_free(t);
}

/* The longest key that s begins with, or -1. */
static int32_t
walk(const struct darts *d, str s)
{
	uint32_t at = darts_root(d);
	int32_t value, best = -1;

	for (ptrdiff_t i = 0; i < s.n && darts_step(d, &at, (uint8_t)s.p[i], &value); i++)
		best = value >= 0 ? value : best;
	return best;
}

/* Tries of few letters and of any, against looking at each key; text has NULs too. */
static void
test_darts(void)
{
	static struct darts_key key[2000];
	static char text[2000][8];
	uint64_t x = 7;
	int wrong = 0;

	for (int round = 0; round < 60; round++) {
		int n = round * 30, span = round % 3 == 0 ? 3 : round % 3 == 1 ? 30 : 255;
		struct darts d;
		struct err err;

		for (int i = 0; i < n; i++) {
			x = x * 6364136223846793005u + 1442695040888963407u;
			key[i] = (struct darts_key){ { text[i], 1 + (ptrdiff_t)(x >> 33) % 8 }, i };
			for (int k = 0; k < 8; k++)
				text[i][k] = (char)(1 + (x >> (8 * k) & 0xff) % (unsigned)span);
		}
		if (darts_build(&d, key, n, &err) < 0) {
			wrong++;
			continue;
		}
		for (int i = 0; i < 500; i++) {
			char s[12];
			int32_t want = -1;

			for (int k = 0; k < 12; k++) {
				x = x * 6364136223846793005u + 1442695040888963407u;
				s[k] = (char)((x >> 33) % (unsigned)(span + 1));
			}
			for (int k = 0; k < n; k++)	/* sorted: a later one is longer, or the same */
				if (str_starts((str){ s, 12 }, key[k].key))
					want = key[k].value;
			wrong += walk(&d, (str){ s, 12 }) != want;
		}
		darts_free(&d);
	}
	ok(wrong == 0, "a trie finds the longest key, and none where there is none");
}

int
main(void)
{
	test_normal(DATA "spm/good/unigram.model");
	test_normal(DATA "spm/good/unigram-across.model");
	test_normal(DATA "spm/good/unigram-bytes.model");
	test_normal(DATA "spm/good/bpe.model");
	test_darts();
	test_cases("spm", "model");
	test_cases("tiktoken", "tiktoken");
	test_facts();
	return tap_done();
}
