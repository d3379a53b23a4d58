/* What is answered at once: models, tokens of texts and back, counts, what runs, pages. */
#include <stdlib.h>

#include "base/progress.h"
#include "serve/api_impl.h"
#include "serve/page.h"

/* ---- models ---- */

static void
put_model(struct api *a, struct buf *b, const struct served *s, int adapter)
{
	buf_add(b, b->n == 0 || b->p[b->n - 1] == '[' ? S("{\"id\":") : S(",{\"id\":"));
	json_quote(b, adapter > 0 ? served_adapter_name(s, adapter) : str_of(s->name));
	buf_fmt(b, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"llm\","
	    "\"max_model_len\":%lld,\"loaded\":%s,\"parent\":", (long long)s->created,
	    (long long)s->context, house_has(a->o.house, s) ? "true" : "false");
	if (adapter > 0)
		json_quote(b, str_of(s->name));
	else
		buf_add(b, S("null"));
	buf_byte(b, '}');
}

void
api_model_told(struct api *a, struct http_call *c, const struct served *s, int adapter)
{
	struct buf b = { 0 };

	put_model(a, &b, s, adapter);
	api_ok(c, &b);
}

void
api_models(struct api *a, struct http_call *c)
{
	struct buf b = { 0 };

	buf_add(&b, S("{\"object\":\"list\",\"data\":["));
	for (int i = 0; i < a->o.n_models; i++) {
		const struct served *s = a->o.model[i];

		if (api_key(c) == NULL || key_may_use(api_key(c), str_of(s->name)))
			put_model(a, &b, s, 0);
		for (int k = 1; k <= s->o.n_adapters; k++)
			if (api_key(c) == NULL ||
			    key_may_use(api_key(c), served_adapter_name(s, k)))
				put_model(a, &b, s, k);
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
	struct ids ids = { 0 };
	const struct tokenizer *tok;
	struct served *of;
	struct err err;
	str t;

	if (json_scan(http_body(c), key, 5, m, &err) < 0) {
		api_refuse(c, &err);
		return;
	}
	if ((tok = api_tokens(a, c, m[0].value, &of)) == NULL)
		return;
	if (m[1].value.p == NULL)
		m[1] = m[2];
	if (m[1].value.p == NULL || json_text(m[1].value, &text, &t, &err) < 0) {
		api_fail(c, 400, "invalid_request_error", NULL, "content", "no text in 'content'");
		return;
	}
	if (str_eq(m[3].value, S("true")) && tokenizer_bos(tok) >= 0 &&
	    ids_room(&ids, 1, &err) == 0)
		ids.id[ids.n++] = tokenizer_bos(tok);
	if (encode(of->encoder, t, str_eq(m[4].value, S("false")) ? 0 : ENCODE_SPECIAL, &ids,
	    &err) < 0) {
		api_refuse(c, &err);
	} else {
		buf_add(&b, S("{\"tokens\":"));
		put_ids(&b, &ids);
		buf_fmt(&b, ",\"count\":%lld,\"max_model_len\":%lld}", (long long)ids.n,
		    (long long)of->context);
		api_ok(c, &b);
	}
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
	const struct tokenizer *tok;
	struct served *of;
	struct err err;

	if (json_scan(http_body(c), key, 2, m, &err) < 0) {
		api_refuse(c, &err);
		return;
	}
	if ((tok = api_tokens(a, c, m[0].value, &of)) == NULL)
		return;
	if (m[1].value.p == NULL || m[1].value.p[0] != '[' ||
	    (list = json_doc(m[1].value, &err)) == NULL) {
		api_fail(c, 400, "invalid_request_error", NULL, "tokens",
		    "'tokens' is no array of numbers");
		return;
	}
	if (api_read_ids(list, tok, &ids, &err) < 0 ||
	    decode(tok, &d, ids.id, ids.n, &text, &err) < 0 ||
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

/* ---- what is going on ---- */

void
api_metrics(struct api *a, struct http_call *c)
{
	struct buf b = { 0 };
	struct err err;

	if (metrics_write(a->o.metrics, &b, &err) < 0)
		api_refuse(c, &err);
	else
		http_answer(c, 200, METRICS_CONTENT_TYPE, buf_str(&b));
	buf_free(&b);
}

static void
put_slot(void *ctx, const struct job *j)
{
	struct buf *b = ctx;
	struct generation *g = j->g;

	buf_add(b, b->n == 1 ? S("{\"id\":") : S(",{\"id\":"));
	buf_fmt(b, "%llu,\"model\":", (unsigned long long)j->number);
	json_quote(b, str_of(j->model->name));
	pthread_mutex_lock(&g->lock);
	buf_fmt(b, ",\"prompt_tokens\":%lld,\"generated_tokens\":%lld,\"seconds\":%.3f,"
	    "\"waiting\":%s}", (long long)j->ids.n, (long long)g->report.tokens,
	    progress_now() - g->asked, g->first > 0 ? "false" : "true");
	pthread_mutex_unlock(&g->lock);
}

/* Not whose they are, nor what they say. */
void
api_slots(struct api *a, struct http_call *c)
{
	struct buf b = { 0 };

	buf_byte(&b, '[');
	worker_each(a->o.worker, put_slot, &b);
	buf_byte(&b, ']');
	api_ok(c, &b);
}

/* ---- pages ---- */

bool
api_page(struct http_call *c)
{
	struct page page;
	str known = http_header(c, "If-None-Match");

	if (!page_find(http_path(c), &page) || !(str_eq(http_method(c), S("GET")) ||
	    str_eq(http_method(c), S("HEAD"))))
		return false;
	http_set(c, "ETag", page.etag);
	http_set(c, "Cache-Control", "no-cache");
	http_set(c, "Content-Security-Policy", page_policy);
	http_set(c, "X-Content-Type-Options", "nosniff");
	http_set(c, "Referrer-Policy", "no-referrer");
	if (known.p != NULL && str_eq(known, str_of(page.etag)))
		http_answer(c, 304, NULL, S(""));
	else
		http_answer(c, 200, page.type, page.body);
	return true;
}
