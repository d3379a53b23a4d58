/* Vectors of texts. */
#include <stdlib.h>

#include "base/base64.h"
#include "serve/api_impl.h"

enum { TEXTS = 2048 };

struct vectors {
	struct api	*api;
	struct http_call *call;
	const struct served *model;
	struct generation *g;
	struct generation_watch watch;
	int64_t		 texts, tokens;
	bool		 base64;
};

/* ---- the answer ---- */

static void
put_vector(struct buf *b, const struct vectors *v, const float *x)
{
	int64_t width = embed_width(v->model->embedder);

	if (v->base64) {
		buf_byte(b, '"');
		base64_encode(b, (str){ (const char *)x, width * (ptrdiff_t)sizeof(*x) });
		buf_byte(b, '"');
		return;
	}
	buf_byte(b, '[');
	for (int64_t i = 0; i < width; i++)
		buf_fmt(b, i > 0 ? ",%.9g" : "%.9g", (double)x[i]);
	buf_byte(b, ']');
}

static void
answer(const struct vectors *v)
{
	int64_t width = embed_width(v->model->embedder);
	struct buf b = { 0 };

	buf_add(&b, S("{\"object\":\"list\",\"data\":["));
	pthread_mutex_lock(&v->g->lock);
	for (int64_t i = 0; i < v->texts; i++) {
		buf_fmt(&b, "%s{\"object\":\"embedding\",\"index\":%lld,\"embedding\":",
		    i > 0 ? "," : "", (long long)i);
		put_vector(&b, v, (const float *)(const void *)v->g->text.p + i * width);
		buf_byte(&b, '}');
	}
	pthread_mutex_unlock(&v->g->lock);
	buf_add(&b, S("],\"model\":"));
	json_quote(&b, str_of(v->model->name));
	buf_fmt(&b, ",\"usage\":{\"prompt_tokens\":%lld,\"total_tokens\":%lld}}",
	    (long long)v->tokens, (long long)v->tokens);
	api_ok(v->call, &b);
}

static void
on_ready(void *ctx, struct http_call *c)
{
	const struct vectors *v = ctx;
	enum generation_state state;
	struct err why;
	int64_t bytes;

	pthread_mutex_lock(&v->g->lock);
	state = v->g->state;
	why = v->g->failure;
	bytes = v->g->text.n;
	pthread_mutex_unlock(&v->g->lock);
	if (state == GENERATION_REFUSED)
		api_refuse(c, &why);
	if (state != GENERATION_OVER)
		return;
	if (bytes < v->texts * embed_width(v->model->embedder) * (int64_t)sizeof(float))
		api_fail(c, 503, "unavailable_error", NULL, NULL, "the server ends");
	else
		answer(v);
}

static void
on_end(void *ctx, bool whole)
{
	struct vectors *v = ctx;

	(void)whole;
	generation_unwatch(v->g, &v->watch);
	generation_release(v->g);
	free(v);
}

/* ---- the request ---- */

/* One more text, as text or tokens. */
static int
add_text(struct job *j, const json_t *x, struct err *err)
{
	const struct embedder *m = j->model->embedder;
	int64_t before = j->ids.n;
	int ret;

	if (json_is_string(x))
		ret = embed_ids(m, j->model->encoder, (str){ json_string_value(x),
		    (ptrdiff_t)json_string_length(x) }, &j->ids, err);
	else if (json_is_array(x))
		ret = api_read_ids(x, embed_tokenizer(m), &j->ids, err);
	else
		ret = err_set(err, ERR_FORMAT, "neither a text nor tokens");
	if (ret == 0 && j->ids.n - before > j->model->context)
		ret = err_set(err, ERR_LIMIT, "text %lld has more than the model's %lld tokens",
		    (long long)j->texts, (long long)j->model->context);
	j->cu[++j->texts] = (int32_t)j->ids.n;
	return ret;
}

static int
add_texts(struct job *j, const json_t *all, struct err *err)
{
	const json_t *x;
	int ret = 0;
	size_t i;

	if (json_array_size(all) == 0 || json_array_size(all) > TEXTS)
		ret = err_set(err, ERR_FORMAT, "1 to %d texts", TEXTS);
	if (ret == 0 && (j->cu = calloc(json_array_size(all) + 1, sizeof(*j->cu))) == NULL)
		ret = err_set(err, ERR_NOMEM, "out of memory");
	json_array_foreach(all, i, x)
		if (ret == 0)
			ret = add_text(j, x, err);
	return ret;
}

/* A text, or tokens, or an array of either. */
static int
read_input(struct job *j, str value, struct err *err)
{
	struct buf one = { 0 };
	json_t *all = NULL;
	const json_t *texts;
	int ret = -1;

	if (!json_given(value))
		return err_set(err, ERR_FORMAT, "key 'input': there is none");
	buf_fmt(&one, "[%.*s]", STR_ARG(value));
	if (buf_ok(&one, err) == 0 && (all = json_doc(buf_str(&one), err)) != NULL) {
		texts = json_array_get(all, 0);
		if (!json_is_array(texts) || json_is_integer(json_array_get(texts, 0)))
			texts = all;
		ret = add_texts(j, texts, err);
	}
	json_decref(all);
	buf_free(&one);
	return ret < 0 ? err_wrap(err, "key 'input'") : 0;
}

static int
read_format(const struct served *model, str format, str dimensions, bool *base64,
    struct err *err)
{
	double n = 0;

	*base64 = json_given(format) && str_eq(format, S("\"base64\""));
	if (json_given(format) && !*base64 && !str_eq(format, S("\"float\"")))
		return err_set(err, ERR_FORMAT, "key 'encoding_format': neither float nor base64");
	if (json_given(dimensions) && (json_number(dimensions, &n, err) < 0 ||
	    n != (double)embed_width(model->embedder)))
		return err_set(err, ERR_FORMAT, "key 'dimensions': the model has %lld",
		    (long long)embed_width(model->embedder));
	return 0;
}

void
api_embeddings(struct api *a, struct http_call *c)
{
	static const struct http_waiter waiter = { on_ready, NULL, on_end };
	const str key[] = { S("model"), S("input"), S("encoding_format"), S("dimensions") };
	struct json_member m[4];
	struct vectors *v = calloc(1, sizeof(*v));
	struct job *j = NULL;
	struct served *model;
	struct err err;
	int adapter;

	if (v == NULL)
		err_set(&err, ERR_NOMEM, "out of memory");
	if (v == NULL || json_scan(http_body(c), key, 4, m, &err) < 0) {
		api_refuse(c, &err);
	} else if (api_room(a, c) &&
	    (model = api_model(a, c, m[0].value, true, &adapter)) != NULL) {
		if (read_format(model, m[2].value, m[3].value, &v->base64, &err) < 0 ||
		    (j = job_new(model, &err)) == NULL || read_input(j, m[1].value, &err) < 0) {
			api_refuse(c, &err);
		} else {
			v->api = a;
			v->call = c;
			v->model = model;
			v->texts = j->texts;
			v->tokens = j->ids.n;
			v->g = generation_hold(j->g);
			http_wait(c, &waiter, v);
			generation_watch(v->g, &v->watch, c);
			worker_give(a->o.worker, j);
			return;
		}
	}
	if (j != NULL)
		job_free(j);
	free(v);
}
