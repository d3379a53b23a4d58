/*
 * Each component of tokenizer.json against Hugging Face's (tests/golden/components.py):
 * normalizers, pre-tokenizers, decoders, models by name, added tokens.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "../tap.h"
#include "token/tokenizer.h"

#define DATA "tests/data/components.json"

/* The tokenizer of a case; words: its model. */
static struct tokenizer *
make(const json_t *item, json_t *words, struct err *err)
{
	static const char *const part[] = { "normalizer", "pre_tokenizer", "decoder",
	    "added_tokens" };
	json_t *file = json_object();
	struct tokenizer *t;
	char *s;

	for (size_t i = 0; i < sizeof(part) / sizeof(*part); i++) {
		json_t *v = json_object_get(item, part[i]);

		if (v != NULL)
			json_object_set(file, part[i], v);
	}
	json_object_set(file, "model", words);
	s = json_dumps(file, JSON_COMPACT);
	t = tokenizer_parse(str_of(s), err);
	free(s);
	json_decref(file);
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

static void
say(const json_t *item, const char *what, const json_t *text, const char *why)
{
	char *s = json_dumps(item, JSON_COMPACT), *x = json_dumps(text, JSON_ENCODE_ANY);

	printf("# %s of %s: %.300s: %s\n", what, x, s, why);
	free(s);
	free(x);
}

/* Texts that do not become the ids that they should. */
static int
wrong_ids(const struct tokenizer *t, const json_t *item, const char *key, const json_t *texts)
{
	const json_t *want = json_object_get(item, key), *text;
	int flags = strcmp(key, "special") == 0 ? ENCODE_SPECIAL : 0, bad = 0;
	struct err err = { 0 };
	struct encoder *e = encoder_new(t, &err);
	struct ids ids = { 0 };
	size_t i;

	json_array_foreach(texts, i, text) {
		ids.n = 0;
		if (want != NULL && (encode(e, text_of(text), flags, &ids, &err) < 0 ||
		    !same_ids(&ids, json_array_get(want, i)))) {
			say(item, key, text, err.msg);
			bad++;
		}
	}
	ids_free(&ids);
	encoder_free(e);
	return bad;
}

/* Streams of ids that do not become the text that they should, in one go or singly. */
static int
wrong_text(const struct tokenizer *t, const json_t *item, const json_t *streams)
{
	const json_t *want = json_object_get(item, "decoded"), *stream;
	struct err err = { 0 };
	struct buf out = { 0 };
	int32_t id[64];
	int bad = 0;
	size_t i;

	json_array_foreach(streams, i, stream) {
		size_t n = json_array_size(stream);

		for (size_t k = 0; k < n; k++)
			id[k] = (int32_t)json_integer_value(json_array_get(stream, k));
		for (int single = 0; want != NULL && single < 2; single++) {
			struct decoder d = { 0 };

			buf_reset(&out);
			for (size_t k = 0; k < (single ? n : 1); k++)
				decode(t, &d, id + k, single ? 1 : (int64_t)n, &out, &err);
			if (decode_end(&d, &out, &err) == 0 &&
			    str_eq(buf_str(&out), text_of(json_array_get(want, i))))
				continue;
			buf_byte(&out, '\0');
			say(item, "decoded", stream, out.p);
			bad++;
		}
	}
	buf_free(&out);
	return bad;
}

/* The vocabulary of the decoders: each name a token. */
static json_t *
words_of(const json_t *names)
{
	json_t *vocab = json_object(), *name;
	size_t i;

	json_array_foreach(names, i, name)
		json_object_set_new(vocab, json_string_value(name), json_integer((json_int_t)i));
	return json_pack("{s:s, s:s, s:o}", "type", "WordLevel", "unk_token", "a", "vocab", vocab);
}

static void
test_cases(const json_t *all)
{
	json_t *words = words_of(json_object_get(all, "names"));
	const json_t *cases = json_object_get(all, "cases"), *item;
	size_t i;

	json_array_foreach(cases, i, item) {
		const json_t *n = json_object_get(item, "model");
		json_t *model = json_object_get(item, "decoded") != NULL ? words :
		    n != NULL ? json_array_get(json_object_get(all, "models"),
		    (size_t)json_integer_value(n)) : json_object_get(all, "pieces");
		struct err err = { 0 };
		struct tokenizer *t = make(item, model, &err);
		char what[60];
		int bad = 1;

		if (t != NULL)
			bad = wrong_ids(t, item, "ids", json_object_get(all, "texts")) +
			    wrong_ids(t, item, "special", json_object_get(all, "texts")) +
			    wrong_text(t, item, json_object_get(all, "streams"));
		else
			say(item, "parts", item, err.msg);
		snprintf(what, sizeof(what), "case %d", (int)i);
		ok(bad == 0, what);
		tokenizer_free(t);
	}
	json_decref(words);
}

int
main(int argc, char **argv)
{
	struct err err = { 0 };
	json_t *all = json_doc_load(argc > 1 ? argv[1] : DATA, &err);

	if (all == NULL) {
		printf("# %s\n", err.msg);
		return 1;
	}
	test_cases(all);
	json_decref(all);
	return tap_done();
}
