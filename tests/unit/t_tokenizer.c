/*
 * Tokenizers against the ids that Hugging Face's tokenizers gave
 * (tests/golden/tokenizer.py), and what the reference has no say in: special
 * tokens in text, streams cut anywhere, words of any length, broken files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/json.h"
#include "../tap.h"
#include "token/vocab_save.h"
#include "token/tokenizer.h"
#include "token/tokenizer_save.h"
#include "token/uclass.h"

#define DATA "tests/data/tokenizer_json/"

static const char *const names[] = { "gpt2", "llama3", "qwen2", "smollm2", "marks", "prefix",
    "bert", "bert-cased", "llama2", "gemma", "mistral", "t5", "xglm", "unigram" };

static struct tokenizer *
load(const char *name)
{
	char path[200];
	struct err err = { 0 };
	struct tokenizer *t;

	snprintf(path, sizeof(path), DATA "good/%s.json", name);
	t = tokenizer_load(path, &err);
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

/* How many texts of a tokenizer do not become what they should. */
static int
wrong(const char *name, const json_t *texts, const json_t *want, int flags)
{
	struct err err = { 0 };
	struct tokenizer *t = load(name);
	struct encoder *e = t != NULL ? encoder_new(t, &err) : NULL;
	struct ids ids = { 0 };
	int bad = 0;

	if (e == NULL)
		return -1;
	/* Twice: the second time words come out of the cache. */
	for (size_t i = 0; i < 2 * json_array_size(texts); i++) {
		const json_t *text = json_array_get(texts, i / 2);

		ids.n = 0;
		if (encode(e, text_of(text), flags, &ids, &err) < 0 ||
		    !same_ids(&ids, json_array_get(want, i / 2))) {
			printf("# %s: text %d\n", name, (int)i / 2);
			bad++;
		}
	}
	ids_free(&ids);
	encoder_free(e);
	tokenizer_free(t);
	return bad;
}

static void
test_golden(const json_t *cases)
{
	const json_t *texts = json_object_get(cases, "texts");

	ok(json_array_size(texts) > 50, "there are texts");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const json_t *ids = json_object_get(json_object_get(cases, "ids"), names[i]);
		const json_t *special = json_object_get(json_object_get(cases, "special"), names[i]);

		ok(wrong(names[i], texts, ids, 0) == 0, names[i]);
		ok(wrong(names[i], texts, special, ENCODE_SPECIAL) == 0, "with special tokens");
	}
}

/* Decoding gives the text back, whatever the pieces that the ids come in. */
static void
test_decode(const json_t *cases)
{
	const json_t *texts = json_object_get(cases, "texts");
	struct err err = { 0 };
	struct tokenizer *t = load("gpt2");
	struct encoder *e = encoder_new(t, &err);
	struct ids ids = { 0 };
	struct buf out = { 0 };
	int whole = 0, pieces = 0, valid = 0;

	for (size_t i = 0; i < json_array_size(texts); i++) {
		str text = text_of(json_array_get(texts, i));
		struct decoder d = { .skip_special = true };

		ids.n = 0;
		encode(e, text, 0, &ids, &err);
		buf_reset(&out);
		decode(t, &d, ids.id, ids.n, &out, &err);
		decode_end(&d, &out, &err);
		whole += str_eq(buf_str(&out), text);
		buf_reset(&out);
		for (int64_t k = 0; k < ids.n; k++) {
			ptrdiff_t from = out.n;

			decode(t, &d, ids.id + k, 1, &out, &err);
			valid += utf8_bad((str){ out.p + from, out.n - from }) < 0;
			valid--;
		}
		decode_end(&d, &out, &err);
		pieces += str_eq(buf_str(&out), text);
	}
	ok(whole == (int)json_array_size(texts), "every text is decoded again");
	ok(pieces == (int)json_array_size(texts), "token by token too");
	ok(valid == 0, "and no character is ever split");
	ids_free(&ids);
	buf_free(&out);
	encoder_free(e);
	tokenizer_free(t);
}

static void
test_ends(const char *name, int32_t bos, int32_t eos, bool adds_bos, bool adds_eos)
{
	struct tokenizer *t = load(name);

	ok(t != NULL && tokenizer_bos(t) == bos && tokenizer_eos(t) == eos &&
	    tokenizer_adds_bos(t) == adds_bos && tokenizer_adds_eos(t) == adds_eos,
	    "the tokens around a text");
	tokenizer_free(t);
}

/* WordPiece has lost spaces and case: its text is what the reference makes of the ids. */
static void
test_pieces(const json_t *cases, const char *name)
{
	const json_t *want = json_object_get(json_object_get(cases, "decoded"), name);
	const json_t *all = json_object_get(json_object_get(cases, "ids"), name), *list, *v;
	struct err err = { 0 };
	struct tokenizer *t = load(name);
	int same = 0, n = (int)json_array_size(want);
	struct buf out = { 0 };
	size_t k;

	for (int i = 0; t != NULL && i < n; i++) {
		struct decoder d = { .skip_special = true };

		list = json_array_get(all, (size_t)i);
		buf_reset(&out);
		json_array_foreach(list, k, v) {
			int32_t id = (int32_t)json_integer_value(v);

			decode(t, &d, &id, 1, &out, &err);
		}
		decode_end(&d, &out, &err);
		same += str_eq(buf_str(&out), text_of(json_array_get(want, (size_t)i)));
		if (!str_eq(buf_str(&out), text_of(json_array_get(want, (size_t)i))))
			printf("# %d: <%.*s> not <%s>\n", i, STR_ARG(buf_str(&out)),
			    json_string_value(json_array_get(want, (size_t)i)));
	}
	ok(n > 50 && same == n, "pieces are joined as the reference does");
	buf_free(&out);
	tokenizer_free(t);
}

/* Tokens of single bytes make any sequence; broken ones become U+FFFD as in Rust. */
static void
test_broken(void)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "a\xff" "b", "a\xef\xbf\xbd" "b" },
		{ "\xe6\xbc", "\xef\xbf\xbd" },
		{ "\xe6\xbc" "x", "\xef\xbf\xbd" "x" },
		{ "\xf0\x9f\x91", "\xef\xbf\xbd" },
		{ "\xf0\x9f\xf0\x9f\x91\x8d", "\xef\xbf\xbd\xf0\x9f\x91\x8d" },
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xc3\xc3\xa9", "\xef\xbf\xbd\xc3\xa9" },
		{ "\xf4\x90\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	};
	struct err err = { 0 };
	struct tokenizer *t = load("gpt2");
	struct buf out = { 0 };
	int good = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct decoder d = { 0 };

		buf_reset(&out);
		for (const char *p = cases[i].in; *p != '\0'; p++)
			for (int32_t id = 1; id < 257; id++)
				if (str_eq(tokenizer_bytes(t, id), (str){ p, 1 }))
					decode(t, &d, &id, 1, &out, &err);
		decode_end(&d, &out, &err);
		if (str_eq(buf_str(&out), str_of(cases[i].out)))
			good++;
		else
			printf("# case %d\n", (int)i);
	}
	ok(good == (int)(sizeof(cases) / sizeof(*cases)), "broken UTF-8 becomes U+FFFD");
	buf_free(&out);
	tokenizer_free(t);
}

/* Ids that make any bytes, decoded in pieces of at most step. */
static void
decode_steps(const struct tokenizer *t, const int32_t *id, int n, unsigned step, struct buf *out)
{
	struct decoder d = { 0 };
	struct err err;
	unsigned x = step;

	buf_reset(out);
	for (int at = 0; at < n; ) {
		int some = 1 + (int)((x = x * 1103515245 + 12345) >> 16) % (int)step;

		if (some > n - at)
			some = n - at;
		if (decode(t, &d, id + at, some, out, &err) < 0)
			buf_add(out, S("failed"));
		at += some;
	}
	decode_end(&d, out, &err);
}

static void
test_steps(void)
{
	static const char *const part[] = { "\xf0", "\x9f", "\x91", "\x8d", "\xc3", "\xa9", "a",
		"\xe2\x82\xac", "word", "\xed\xa0" };
	struct tokenizer *t = load("gpt2");
	struct buf one = { 0 }, out = { 0 };
	int32_t of[256] = { 0 }, id[1000];
	unsigned x = 1;
	bool same = true;

	for (int32_t i = 1; i < tokenizer_vocab(t); i++)
		if (tokenizer_bytes(t, i).n == 1)
			of[(uint8_t)tokenizer_bytes(t, i).p[0]] = i;
	for (int round = 0; round < 200; round++) {
		int n = 0;

		while (n < 990) {
			const char *p = part[(x = x * 1103515245 + 12345) / 65536 % 10];

			/* Long stretches are whole characters. */
			if (round % 2 == 0 && n % 400 > 20)
				p = part[7];
			for (; *p != '\0'; p++)
				id[n++] = of[(uint8_t)*p];
		}
		decode_steps(t, id, n, 1, &one);
		for (unsigned step = 2; step < 3000; step *= 5) {
			decode_steps(t, id, n, step, &out);
			same = same && str_eq(buf_str(&one), buf_str(&out));
		}
	}
	ok(same && one.n > 500, "the same text in pieces of any number of tokens");
	buf_free(&one);
	buf_free(&out);
	tokenizer_free(t);
}

static void
test_facts(void)
{
	struct err err = { 0 };
	struct tokenizer *t = load("llama3"), *g = load("gpt2"), *q = load("qwen2");
	struct encoder *e = encoder_new(g, &err);
	struct ids ids = { 0 };
	struct decoder d = { 0 };
	struct buf out = { 0 };
	int32_t id = 1 << 20;
	hash128 a = tokenizer_fingerprint(t), b = tokenizer_fingerprint(g);

	ok(tokenizer_bos(t) == 400 && tokenizer_adds_bos(t) && !tokenizer_adds_eos(t),
	    "a template says what begins a text");
	ok(tokenizer_vocab(t) == 401, "the vocabulary has the added tokens");
	ok(tokenizer_eos(g) == 0 && tokenizer_eos(t) == 0, "a well-known name ends it");
	ok(tokenizer_is_special(g, 0) && !tokenizer_is_special(g, 1), "special or not");
	ok(tokenizer_id(g, S("<|endoftext|>")) == 0 && tokenizer_id(g, S("\xc4\xa0")) > 0 &&
	    tokenizer_id(g, S("no such token")) == -1, "ids by name");
	ok(str_eq(tokenizer_bytes(g, tokenizer_id(g, S("\xc4\xa0"))), S(" ")), "bytes by id");
	ok(tokenizer_id(q, S("<think>")) == 400 && !tokenizer_is_special(q, 400), "added tokens");
	ok(a.lo != b.lo && a.hi != b.hi, "fingerprints differ");
	ok(encode(e, S("a\xff"), 0, &ids, &err) == -1 && err.code == ERR_FORMAT &&
	    ids.n == 0, "text that is not UTF-8");
	ok(decode(g, &d, &id, 1, &out, &err) == -1 && err.code == ERR_FORMAT, "an id out of range");
	ids_free(&ids);
	buf_free(&out);
	encoder_free(e);
	tokenizer_free(t);
	tokenizer_free(g);
	tokenizer_free(q);
}

/* A copy whose keys stand otherwise, with space between, is the same tokenizer. */
static void
test_fingerprint(void)
{
	struct err err = { 0 };
	json_t *doc = json_doc_load(DATA "good/llama3.json", &err);
	struct tokenizer *a = load("llama3"), *b;
	json_t *model = json_object_get(doc, "model"), *merges = json_object_get(model, "merges");
	json_t *legacy = json_array();
	hash128 x, y;
	char *s;

	for (size_t i = 0; i < json_array_size(merges); i++) {
		const json_t *pair = json_array_get(merges, i);

		json_array_append_new(legacy, json_sprintf("%s %s",
		    json_string_value(json_array_get(pair, 0)),
		    json_string_value(json_array_get(pair, 1))));
	}
	json_object_set_new(model, "merges", legacy);
	s = json_dumps(doc, JSON_SORT_KEYS | JSON_INDENT(3) | JSON_ENSURE_ASCII);
	b = tokenizer_parse(str_of(s), &err);
	ok(b != NULL, "sorted keys, merges of the old form, escapes");
	x = tokenizer_fingerprint(a);
	y = tokenizer_fingerprint(b);
	ok(x.lo == y.lo && x.hi == y.hi, "have the same fingerprint");
	tokenizer_free(b);
	json_array_remove(legacy, json_array_size(legacy) - 1);
	free(s);
	s = json_dumps(doc, JSON_COMPACT);
	b = tokenizer_parse(str_of(s), &err);
	y = tokenizer_fingerprint(b);
	ok(x.lo != y.lo, "a merge less, and it differs");
	free(s);
	tokenizer_free(a);
	tokenizer_free(b);
	json_decref(doc);
}

/* Seconds to encode n bytes that are one word, and whether they come back. */
static double
long_word(const struct tokenizer *t, ptrdiff_t n, bool random, bool *back)
{
	struct err err = { 0 };
	struct encoder *e = encoder_new(t, &err);
	struct ids ids = { 0 };
	struct buf out = { 0 };
	struct decoder d = { 0 };
	char *p = malloc((size_t)n);
	uint64_t x = 1;
	clock_t start;
	double seconds;

	for (ptrdiff_t i = 0; i < n; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		p[i] = random ? (char)('a' + (x >> 33) % 26) : 'a';
	}
	start = clock();
	*back = encode(e, (str){ p, n }, 0, &ids, &err) == 0;
	seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
	*back = *back && decode(t, &d, ids.id, ids.n, &out, &err) == 0 &&
	    str_eq(buf_str(&out), (str){ p, n });
	free(p);
	buf_free(&out);
	ids_free(&ids);
	encoder_free(e);
	return seconds;
}

static void
test_long_words(void)
{
	struct tokenizer *t = load("gpt2");
	bool back;
	/* n log n takes a fraction of a second; n^2 would take hours. */
	ok(long_word(t, 1 << 20, false, &back) < 20 && back, "a mebibyte of one letter");
	ok(long_word(t, 1 << 20, true, &back) < 20 && back, "a mebibyte of letters");
	tokenizer_free(t);
}

/* What a tokenizer was made of makes it again, as a file and without one. */
static void
test_parts(const char *name)
{
	struct tokenizer *t = load(name), *file = NULL, *made = NULL;
	struct tokenizer_parts parts;
	struct arena a = { 0 };
	struct buf text = { 0 };
	struct err err = { 0 };
	hash128 x, y;

	if (t != NULL && arena_init(&a, 1 << 24, &err) == 0 &&
	    tokenizer_parts(t, &parts, &a, &err) == 0) {
		if (tokenizer_text(&parts, &text, &err) == 0)
			file = tokenizer_parse(buf_str(&text), &err);
		made = tokenizer_make(&parts, &err);
	}
	if (file == NULL || made == NULL)
		printf("# %s: %s\n", name, err.msg);
	x = t != NULL ? tokenizer_fingerprint(t) : (hash128){ 0 };
	y = file != NULL ? tokenizer_fingerprint(file) : (hash128){ 1 };
	ok(x.lo == y.lo && x.hi == y.hi, "a file of its parts is the same tokenizer");
	y = made != NULL ? tokenizer_fingerprint(made) : (hash128){ 1 };
	ok(x.lo == y.lo && x.hi == y.hi, "so is what is made of them");
	ok(made != NULL && tokenizer_eos(made) == tokenizer_eos(t) &&
	    tokenizer_adds_eos(made) == tokenizer_adds_eos(t), "with what ends a text");
	buf_free(&text);
	tokenizer_free(t);
	tokenizer_free(file);
	tokenizer_free(made);
	arena_free(&a);
}

/*
 * Of ways of the same pieces the last bit of their sums decides, and the reference
 * rounds scores twice.  Ids of tokenizers 0.23.3.
 */
static void
test_ties(void)
{
	static const struct { const char *one, *three; int32_t id[3]; } c[] = {
		{ "-2.5427155218741458", "-1.8516289944975692", { 1, 2, 2 } },
		{ "-8.0594676768142122", "-2.9045388022615393", { 2, 2, 1 } },
	};

	for (int i = 0; i < 2; i++) {
		struct err err = { 0 };
		struct ids ids = { 0 };
		struct encoder *e = NULL;
		struct tokenizer *t;
		char json[256];

		snprintf(json, sizeof(json), "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,"
		    "\"vocab\":[[\"<unk>\",0],[\"-\",%s],[\"---\",%s]]}}", c[i].one, c[i].three);
		t = tokenizer_parse(str_of(json), &err);
		ok(t != NULL && (e = encoder_new(t, &err)) != NULL &&
		    encode(e, S("-------"), 0, &ids, &err) == 0 && ids.n == 3 &&
		    memcmp(ids.id, c[i].id, sizeof(c[i].id)) == 0,
		    "of ways of the same pieces the reference's");
		ids_free(&ids);
		encoder_free(e);
		tokenizer_free(t);
	}
}

/* A word without an end: each letter alone, all of it crossed by pieces, all unknown. */
static void
test_long_unigram(void)
{
	static const char *const piece[] = { "\xe6\xbc\xa2", "a", "e\xcc\x81", " " };
	struct tokenizer *t = load("unigram"), *x = load("xglm");
	struct err err = { 0 };
	clock_t start = clock();
	int good = 0;

	for (int i = 0; i < 8; i++) {
		struct encoder *e = encoder_new(i % 2 ? t : x, &err);
		struct ids ids = { 0 };
		struct buf b = { 0 };

		while (b.n < 1 << 20)
			buf_add(&b, str_of(piece[i / 2]));
		good += encode(e, buf_str(&b), 0, &ids, &err) == 0 && ids.n > 0;
		ids_free(&ids);
		buf_free(&b);
		encoder_free(e);
	}
	ok(good == 8 && (double)(clock() - start) / CLOCKS_PER_SEC < 20, "Unigram is linear");
	tokenizer_free(t);
	tokenizer_free(x);
}

/* A vocabulary of bytes alone has nothing to merge or match. */
static void
test_bytes_alone(void)
{
	struct err err = { 0 };
	struct tokenizer *t = tokenizer_parse(S("{\"pre_tokenizer\":{\"type\":\"ByteLevel\","
	    "\"add_prefix_space\":false},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},"
	    "\"merges\":[]}}"), &err);
	struct encoder *e = encoder_new(t, &err);
	struct ids ids = { 0 };

	ok(encode(e, S("abba"), 0, &ids, &err) == 0 && ids.n == 4 && ids.id[1] == 1,
	    "tokens of one byte");
	ids_free(&ids);
	encoder_free(e);
	tokenizer_free(t);
}

/* Each component that is not supported is named. */
static void
test_refusals(void)
{
	static const struct { const char *from, *to, *says; } cases[] = {
		{ "\"normalizer\":null", "\"normalizer\":{\"type\":\"Uppercase\"}", "Uppercase" },
		{ "\"type\":\"BPE\"", "\"type\":\"Morphemes\"", "Morphemes" },
		{ "\"dropout\":null", "\"dropout\":0.1", "dropout" },
		{ "\"pre_tokenizer\":{\"type\":\"ByteLevel\"",
		  "\"pre_tokenizer\":{\"type\":\"Syllables\"", "Syllables" },
		{ "\"decoder\":{\"type\":\"ByteLevel\"", "\"decoder\":{\"type\":\"Reverse\"", "Reverse" },
		{ "\"post_processor\":null", "\"post_processor\":{\"type\":\"Bert\"}", "Bert" },
		{ "\"!\":1,", "\"!\":2,", "two texts" },
		{ "\"!\":1,", "\"!\":-1,", "token id" },
		{ "\"!\":1,", "\"!\":99999999,", "token id" },
		{ "\"merges\":[[", "\"merges\":[[\"a\",\"zz\"],[", "merge 1" },
		{ "\"merges\":[[", "\"merges\":[3,[", "two strings" },
		{ "\"merges\":[[", "\"merges\":[[", NULL },
	};
	struct err err = { 0 };
	struct buf b = { 0 };
	json_t *doc = json_doc_load(DATA "good/gpt2.json", &err);
	char *whole = json_dumps(doc, JSON_COMPACT);

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *at = strstr(whole, cases[i].from);
		struct tokenizer *t;

		buf_reset(&b);
		if (at == NULL) {
			ok(false, cases[i].from);
			continue;
		}
		buf_add(&b, (str){ whole, at - whole });
		buf_add(&b, str_of(cases[i].to));
		buf_add(&b, str_of(at + strlen(cases[i].from)));
		t = tokenizer_parse(buf_str(&b), &err);
		if (cases[i].says == NULL)
			ok(t != NULL, "the file itself is read");
		else
			ok(t == NULL && strstr(err.msg, cases[i].says) != NULL, cases[i].says);
		tokenizer_free(t);
	}
	free(whole);
	buf_free(&b);
	json_decref(doc);
}

int
main(void)
{
	struct err err = { 0 };
	json_t *cases = json_doc_load(DATA "cases.json", &err);

	if (cases == NULL) {
		printf("# %s\n", err.msg);
		return 1;
	}
	test_golden(cases);
	test_pieces(cases, "bert");
	test_pieces(cases, "bert-cased");
	test_ends("bert", 2, 3, true, true);
	test_ends("bert-cased", 2, 3, true, true);
	test_ends("llama2", 1, 2, true, false);
	test_ends("gemma", 1, 2, false, false);
	test_pieces(cases, "llama2");
	test_pieces(cases, "gemma");
	test_pieces(cases, "t5");
	test_pieces(cases, "unigram");
	test_ends("t5", 3, 2, false, true);
	test_decode(cases);
	test_broken();
	test_steps();
	test_facts();
	test_fingerprint();
	test_long_words();
	test_ties();
	test_long_unigram();
	test_parts("t5");
	test_parts("gpt2");
	test_bytes_alone();
	test_refusals();
	json_decref(cases);
	return tap_done();
}
