/* What is answered at once: which models there are, tokens of texts and back. */
#include <math.h>
#include <stdlib.h>

#include "serve/api_impl.h"

/* ---- models ---- */

static void
put_model(struct buf *b, const struct served *s, str id, bool adapter)
{
	buf_add(b, b->p[b->n - 1] == '[' ? S("{\"id\":") : S(",{\"id\":"));
	json_quote(b, id);
	buf_fmt(b, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"llm\","
	    "\"max_model_len\":%lld,\"parent\":", (long long)s->created, (long long)s->context);
	if (adapter)
		json_quote(b, str_of(s->name));
	else
		buf_add(b, S("null"));
	buf_byte(b, '}');
}

void
api_models(struct api *a, struct http_call *c)
{
	struct buf b = { 0 };

	buf_add(&b, S("{\"object\":\"list\",\"data\":["));
	for (int i = 0; i < a->o.n_models; i++) {
		const struct served *s = a->o.model[i];

		put_model(&b, s, str_of(s->name), false);
		for (int k = 1; k <= (s->adapters != NULL ? adapters_count(s->adapters) : 0); k++)
			put_model(&b, s, adapters_name(s->adapters, k), true);
	}
	buf_add(&b, S("]}"));
	api_ok(c, &b);
}

/* ---- tokens ---- */

static void
put_ids(struct buf *b, const struct ids *ids)
{
	buf_byte(b, '[');
	for (int64_t i = 0; i < ids->n; i++)
		buf_fmt(b, i > 0 ? ",%d" : "%d", ids->id[i]);
	buf_byte(b, ']');
}

/* {"content" or "prompt": TEXT, "add_special": false, "parse_special": true} */
void
api_tokenize(struct api *a, struct http_call *c)
{
	const str key[] = { S("model"), S("content"), S("prompt"), S("add_special"),
	    S("parse_special") };
	struct json_member m[5];
	struct buf text = { 0 }, b = { 0 };
	struct encoder *e = NULL;
	struct ids ids = { 0 };
	struct served *s;
	struct err err;
	int adapter;
	str t;

	if (json_scan(http_body(c), key, 5, m, &err) < 0) {
		api_refuse(c, &err);
		return;
	}
	if ((s = api_model(a, c, m[0].value, &adapter)) == NULL)
		return;
	if (m[1].value.p == NULL)
		m[1] = m[2];
	if (m[1].value.p == NULL || json_text(m[1].value, &text, &t, &err) < 0) {
		api_fail(c, 400, "invalid_request_error", NULL, "content", "no text in 'content'");
		return;
	}
	if (str_eq(m[3].value, S("true")) && tokenizer_bos(s->tok) >= 0 &&
	    ids_room(&ids, 1, &err) == 0)
		ids.id[ids.n++] = tokenizer_bos(s->tok);
	if ((e = encoder_new(s->tok, &err)) == NULL || encode(e, t,
	    str_eq(m[4].value, S("false")) ? 0 : ENCODE_SPECIAL, &ids, &err) < 0) {
		api_refuse(c, &err);
	} else {
		buf_add(&b, S("{\"tokens\":"));
		put_ids(&b, &ids);
		buf_fmt(&b, ",\"count\":%lld,\"max_model_len\":%lld}", (long long)ids.n,
		    (long long)s->context);
		api_ok(c, &b);
	}
	encoder_free(e);
	ids_free(&ids);
	buf_free(&text);
}

int
api_read_ids(const json_t *list, const struct tokenizer *tok, struct ids *ids, struct err *err)
{
	const json_t *x;
	size_t i;

	if (ids_room(ids, (int64_t)json_array_size(list), err) < 0)
		return -1;
	json_array_foreach(list, i, x) {
		if (!json_is_integer(x) || json_integer_value(x) < 0 ||
		    json_integer_value(x) >= tokenizer_vocab(tok))
			return err_set(err, ERR_FORMAT, "tokens are numbers below %d",
			    tokenizer_vocab(tok));
		ids->id[ids->n++] = (int32_t)json_integer_value(x);
	}
	return 0;
}

void
api_detokenize(struct api *a, struct http_call *c)
{
	const str key[] = { S("model"), S("tokens") };
	struct json_member m[2];
	struct buf text = { 0 }, b = { 0 };
	struct decoder d = { 0 };
	struct ids ids = { 0 };
	json_t *list = NULL;
	struct served *s;
	struct err err;
	int adapter;

	if (json_scan(http_body(c), key, 2, m, &err) < 0) {
		api_refuse(c, &err);
		return;
	}
	if ((s = api_model(a, c, m[0].value, &adapter)) == NULL)
		return;
	if (m[1].value.p == NULL || m[1].value.p[0] != '[' ||
	    (list = json_doc(m[1].value, &err)) == NULL) {
		api_fail(c, 400, "invalid_request_error", NULL, "tokens",
		    "'tokens' is no array of numbers");
		return;
	}
	if (api_read_ids(list, s->tok, &ids, &err) < 0 ||
	    decode(s->tok, &d, ids.id, ids.n, &text, &err) < 0 ||
	    decode_end(&d, &text, &err) < 0) {
		api_refuse(c, &err);
	} else {
		buf_add(&b, S("{\"content\":"));
		json_quote(&b, buf_str(&text));
		buf_byte(&b, '}');
		api_ok(c, &b);
	}
	json_decref(list);
	ids_free(&ids);
	buf_free(&text);
}
