#include "infer/request.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "infer/grammars.h"

/* ---- tokens ---- */

int
prompt_encode(struct encoder *e, const struct tokenizer *tok, str prompt, struct ids *ids,
    struct err *err)
{
	int32_t first = tokenizer_bos(tok);

	if (!tokenizer_adds_bos(tok) && prompt.n > 0)
		first = -1;
	else if (first < 0 && prompt.n == 0)
		first = tokenizer_eos(tok);
	if (first < 0 && prompt.n == 0)
		return err_set(err, ERR_ARG, "an empty prompt, and the model has no BOS or EOS");
	if (ids_room(ids, 1, err) < 0)
		return -1;
	if (first >= 0)
		ids->id[ids->n++] = first;
	return encode(e, prompt, 0, ids, err);
}

int
prompt_tokens(const struct tokenizer *tok, str prompt, struct ids *ids, struct err *err)
{
	struct encoder *e = encoder_new(tok, err);
	int ret = e != NULL ? prompt_encode(e, tok, prompt, ids, err) : -1;

	encoder_free(e);
	return ret;
}

static bool
all_digits(str s)
{
	for (ptrdiff_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

int
token_named(const struct tokenizer *tok, str name, int32_t *id, struct err *err)
{
	struct encoder *enc;
	struct ids ids = { 0 };
	int ret = -1;

	if (all_digits(name)) {
		int64_t n = 0;

		for (ptrdiff_t i = 0; i < name.n && n < tokenizer_vocab(tok); i++)
			n = n * 10 + (name.p[i] - '0');
		if (n >= tokenizer_vocab(tok))
			return err_set(err, ERR_FORMAT, "token %.*s of a vocabulary of %d",
			    STR_ARG(name), tokenizer_vocab(tok));
		*id = (int32_t)n;
		return 0;
	}
	if ((enc = encoder_new(tok, err)) == NULL)
		return -1;
	if (encode(enc, name, ENCODE_SPECIAL, &ids, err) == 0) {
		if (ids.n == 1) {
			*id = ids.id[0];
			ret = 0;
		} else {
			err_set(err, ERR_FORMAT, "'%.*s' is %lld tokens, not one", STR_ARG(name),
			    (long long)ids.n);
		}
	}
	ids_free(&ids);
	encoder_free(enc);
	return ret;
}

/* ---- keys ---- */

enum kind { NUMBER, WHOLE, FLAG, STOP, BIAS, LOGPROBS, ADAPTER, FORMAT, STRUCTURE };

#define AT(field) offsetof(struct request, field)

#define KEYS(X) \
	X("max_tokens", WHOLE, AT(max_tokens), 1, 1e9) \
	X("temperature", NUMBER, AT(sampler.temperature), 0, 100) \
	X("top_k", WHOLE, AT(sampler.top_k), -1, 1e9) \
	X("typical_p", NUMBER, AT(sampler.typical), 0, 1) \
	X("top_p", NUMBER, AT(sampler.top_p), 0, 1) \
	X("min_p", NUMBER, AT(sampler.min_p), 0, 1) \
	X("repetition_penalty", NUMBER, AT(sampler.repeat), 0.01, 100) \
	X("presence_penalty", NUMBER, AT(sampler.presence), -100, 100) \
	X("frequency_penalty", NUMBER, AT(sampler.frequency), -100, 100) \
	X("penalty_window", WHOLE, AT(sampler.window), 0, 1e9) \
	X("seed", WHOLE, AT(sampler.seed), 0, 9e15) \
	X("ignore_eos", FLAG, AT(ignore_eos), 0, 1) \
	X("logprobs", LOGPROBS, AT(top), 0, TEXT_TOP) \
	X("top_logprobs", WHOLE, AT(top), 0, TEXT_TOP) \
	X("stop", STOP, 0, 0, 0) \
	X("logit_bias", BIAS, 0, 0, 0) \
	X("adapter", ADAPTER, 0, 0, 0) \
	X("response_format", FORMAT, 0, 0, 0) \
	X("structured_outputs", STRUCTURE, 0, 0, 0)

static const struct key {
	enum kind	 kind;
	size_t		 at;
	double		 min, max;
} keys[REQUEST_KEYS] = {
#define X(name, kind, at, min, max) { kind, at, min, max },
	KEYS(X)
#undef X
};

const str request_keys[REQUEST_KEYS] = {
#define X(name, kind, at, min, max) { name, sizeof(name) - 1 },
	KEYS(X)
#undef X
};

static int
read_number(const struct key *k, str value, void *at, struct err *err)
{
	double x;

	if (json_number(value, &x, err) < 0)
		return -1;
	if (!(x >= k->min && x <= k->max))
		return err_set(err, ERR_FORMAT, "%g is not between %g and %g", x, k->min, k->max);
	if (k->kind == NUMBER) {
		*(double *)at = x;
		return 0;
	}
	if (x != floor(x))
		return err_set(err, ERR_FORMAT, "%g is not a whole number", x);
	*(int64_t *)at = (int64_t)x;
	return 0;
}

static int
read_flag(str value, bool *flag, struct err *err)
{
	*flag = str_eq(value, S("true"));
	if (!*flag && !str_eq(value, S("false")))
		return err_set(err, ERR_FORMAT, "neither true nor false");
	return 0;
}

/* true: those of the tokens that are drawn; a number: alternatives too. */
static int
read_logprobs(const struct key *k, str value, int64_t *top, struct err *err)
{
	bool flag;

	if (value.p[0] != 't' && value.p[0] != 'f')
		return read_number(k, value, top, err);
	if (read_flag(value, &flag, err) < 0)
		return -1;
	if (!flag || *top < 0)
		*top = flag ? 0 : -1;
	return 0;
}

/* A text, or an array of some. */
static int
read_stop(struct request *r, str value, struct arena *a, struct err *err)
{
	struct buf one = { 0 };
	json_t *doc;
	size_t n;
	str *stop = NULL;
	int ret = 0;

	buf_fmt(&one, value.p[0] == '[' ? "%.*s" : "[%.*s]", STR_ARG(value));
	if (buf_ok(&one, err) < 0 || (doc = json_doc(buf_str(&one), err)) == NULL) {
		buf_free(&one);
		return -1;
	}
	n = json_array_size(doc);
	if (n > REQUEST_STOPS)
		ret = err_set(err, ERR_FORMAT, "more than %d texts", REQUEST_STOPS);
	else if ((stop = arena_new(a, str, (ptrdiff_t)n, err)) == NULL)
		ret = -1;
	for (size_t i = 0; i < n && ret == 0; i++) {
		const json_t *s = json_array_get(doc, i);

		if (json_string_length(s) == 0)
			ret = err_set(err, ERR_FORMAT, "neither a text nor an array of texts");
		else if ((stop[i] = arena_str(a, (str){ json_string_value(s),
		    (ptrdiff_t)json_string_length(s) }, err)).p == NULL)
			ret = -1;
	}
	if (ret == 0) {
		r->stop = stop;
		r->n_stop = (int64_t)n;
	}
	json_decref(doc);
	buf_free(&one);
	return ret;
}

/* {"198": -1.5, " the": false}: what is added, false for never. */
static int
read_bias(struct request *r, str value, const struct tokenizer *tok, struct arena *a,
    struct err *err)
{
	json_t *doc = value.p[0] == '{' ? json_doc(value, err) : NULL, *x;
	struct token_bias *bias = NULL;
	const char *name;
	size_t n, len;
	int64_t i = 0;
	int ret = 0;

	if (doc == NULL)
		return value.p[0] == '{' ? -1 : err_set(err, ERR_FORMAT, "not an object");
	n = json_object_size(doc);
	if (n > REQUEST_BIASES)
		ret = err_set(err, ERR_FORMAT, "more than %d tokens", REQUEST_BIASES);
	else if ((bias = arena_new(a, struct token_bias, (ptrdiff_t)n, err)) == NULL)
		ret = -1;
	json_object_keylen_foreach(doc, name, len, x) {
		if (ret < 0)
			break;
		if (!json_is_number(x) && !json_is_false(x))
			ret = err_set(err, ERR_FORMAT, "neither a number nor false");
		else
			ret = token_named(tok, (str){ name, (ptrdiff_t)len }, &bias[i].id, err);
		if (ret == 0)
			bias[i++].bias = json_is_false(x) ? -INFINITY :
			    (float)json_number_value(x);
	}
	if (ret == 0) {
		r->sampler.bias = bias;
		r->sampler.n_bias = i;
	}
	json_decref(doc);
	return ret;
}

static int
read_adapter(struct request *r, str value, struct err *err)
{
	struct buf b = { 0 };
	str name;
	int ret = json_text(value, &b, &name, err);

	if (ret == 0 && (r->adapters == NULL ||
	    (r->adapter = adapters_find(r->adapters, name)) == 0))
		ret = err_set(err, ERR_FORMAT, "no adapter is named '%.*s'", STR_ARG(name));
	buf_free(&b);
	return ret;
}

/* ---- what a text may be ---- */

static int
hold(struct request *r, enum grammar_kind kind, str source, struct err *err)
{
	struct constraint *c;

	if (r->grammars == NULL)
		return err_set(err, ERR_FORMAT, "no grammars are taken here");
	if ((c = grammars_hold(r->grammars, kind, source, err)) == NULL)
		return -1;
	grammars_release(r->grammars, r->held);
	r->constraint = r->held = c;
	return 0;
}

/* A source that is a JSON string, or where that is allowed, a value as it stands. */
static int
hold_value(struct request *r, enum grammar_kind kind, str value, struct err *err)
{
	struct buf b = { 0 };
	str source = value;
	int ret = 0;

	if (kind != GRAMMAR_SCHEMA || value.p[0] == '"')
		ret = json_text(value, &b, &source, err);
	if (ret == 0)
		ret = hold(r, kind, source, err);
	buf_free(&b);
	return ret;
}

int
request_format(str value, str *schema, struct err *err)
{
	const str of[] = { S("type"), S("json_schema"), S("schema") };
	const str in_it[] = { S("schema") };
	struct json_member m[3], in = { { 0 }, { 0 } };

	*schema = (str){ NULL, 0 };
	if (json_scan(value, of, 3, m, err) < 0)
		return -1;
	if (str_eq(m[0].value, S("\"text\"")))
		return 0;
	if (m[1].value.p != NULL && json_scan(m[1].value, in_it, 1, &in, err) < 0)
		return -1;
	*schema = in.value.p != NULL ? in.value : m[2].value;
	if (str_eq(m[0].value, S("\"json_object\""))) {
		if (schema->p == NULL)
			*schema = S("{\"type\":\"object\"}");
	} else if (!str_eq(m[0].value, S("\"json_schema\""))) {
		return err_set(err, ERR_FORMAT, "'type' is not text, json_object or json_schema");
	}
	return schema->p != NULL ? 0 : err_set(err, ERR_FORMAT, "no 'schema'");
}

static int
read_format(struct request *r, str value, struct err *err)
{
	str schema;

	if (request_format(value, &schema, err) < 0)
		return -1;
	if (schema.p != NULL)
		return hold_value(r, GRAMMAR_SCHEMA, schema, err);
	r->constraint = NULL;
	return 0;
}

/* One of these texts, as a regular expression. */
static int
hold_choice(struct request *r, str value, struct err *err)
{
	json_t *doc = json_doc(value, err), *x;
	struct buf b = { 0 };
	bool texts = json_array_size(doc) > 0;
	size_t i;
	int ret = -1;

	if (doc == NULL)
		return -1;
	json_array_foreach(doc, i, x) {
		const char *s = json_string_value(x);

		texts = texts && s != NULL;
		if (i > 0)
			buf_byte(&b, '|');
		for (size_t k = 0; k < json_string_length(x); k++) {
			if (strchr("\\^$.|?*+()[]{}/", s[k]) != NULL && s[k] != '\0')
				buf_byte(&b, '\\');
			buf_byte(&b, s[k]);
		}
	}
	if (!texts)
		err_set(err, ERR_FORMAT, "'choice' is no array of texts");
	else if (buf_ok(&b, err) == 0)
		ret = hold(r, GRAMMAR_REGEX, buf_str(&b), err);
	json_decref(doc);
	buf_free(&b);
	return ret;
}

/* vLLM's: one of json (a schema), regex, grammar and choice. */
static int
read_structure(struct request *r, str value, struct err *err)
{
	const str of[] = { S("json"), S("regex"), S("grammar"), S("choice") };
	static const enum grammar_kind kind[] = { GRAMMAR_SCHEMA, GRAMMAR_REGEX, GRAMMAR_GBNF };
	struct json_member m[4];
	int at = -1, n = 0;

	if (json_scan(value, of, 4, m, err) < 0)
		return -1;
	for (int i = 0; i < 4; i++)
		if (json_given(m[i].value)) {
			at = i;
			n++;
		}
	if (n != 1)
		return err_set(err, ERR_FORMAT, "not one of json, regex, grammar and choice");
	return at == 3 ? hold_choice(r, m[at].value, err) :
	    hold_value(r, kind[at], m[at].value, err);
}

static int
read_key(struct request *r, const struct key *k, str value, const struct tokenizer *tok,
    struct arena *a, struct err *err)
{
	void *at = (char *)r + k->at;

	switch (k->kind) {
	case FLAG:
		return read_flag(value, at, err);
	case LOGPROBS:
		return read_logprobs(k, value, at, err);
	case STOP:
		return read_stop(r, value, a, err);
	case BIAS:
		return read_bias(r, value, tok, a, err);
	case ADAPTER:
		return read_adapter(r, value, err);
	case FORMAT:
		return read_format(r, value, err);
	case STRUCTURE:
		return read_structure(r, value, err);
	default:
		return read_number(k, value, at, err);
	}
}

int
request_read(struct request *r, const struct json_member member[REQUEST_KEYS],
    const struct tokenizer *tok, struct arena *a, struct err *err)
{
	for (int i = 0; i < REQUEST_KEYS; i++) {
		str value = member[i].value;

		if (!json_given(value))
			continue;
		if (read_key(r, &keys[i], value, tok, a, err) < 0) {
			grammars_release(r->grammars, r->held);
			r->held = NULL;
			return err_wrap(err, "key '%.*s'", STR_ARG(request_keys[i]));
		}
	}
	return 0;
}
