/* The texts of a request, wherever they are in its body. */
#include <stdlib.h>

#include "base/json.h"
#include "serve/check.h"

/* What a template or a prompt may show the model. */
static const char *const shown[] = { "messages", "conversations", "tools", "documents",
    "chat_template_kwargs", "prompt" };

enum { SHOWN = sizeof(shown) / sizeof(*shown) };

struct walk {
	struct guards	*g;
	const struct tokenizer *tok;
	struct buf	*verdict;
	bool		 changed;
};

/* One text: what it becomes, in out, and how often rules found something in all. */
static int
look(struct walk *w, str text, struct buf *out, struct err *err)
{
	struct buf found = { 0 };
	int ret = guard_text(w->g, GUARD_REQUEST, text, out, &found, err);

	/* "[...]": of lists that are not empty one is made. */
	if (found.n > 2) {
		buf_add(w->verdict, w->verdict->n > 0 ? S(",") : S("["));
		buf_add(w->verdict, (str){ found.p + 1, found.n - 2 });
	}
	buf_free(&found);
	return ret;
}

/* Words of the protocol, as long as they are no more than that. */
static bool
is_word(const char *key, str value)
{
	static const char *const words[] = { "role", "from", "type", "id", "tool_call_id" };
	bool known = false;

	for (size_t i = 0; i < sizeof(words) / sizeof(*words) && key != NULL; i++)
		known = known || strcmp(key, words[i]) == 0;
	for (ptrdiff_t i = 0; known && i < value.n; i++) {
		char c = value.p[i];

		known = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
		    c == '_' || c == '-';
	}
	return known && value.n <= 64;
}

static int
walk_text(struct walk *w, const char *key, json_t *x, struct err *err)
{
	str text = { json_string_value(x), (ptrdiff_t)json_string_length(x) };
	struct buf out = { 0 };
	int ret = is_word(key, text) ? 0 : look(w, text, &out, err);

	if (ret == 0 && !is_word(key, text) && !str_eq(text, buf_str(&out))) {
		w->changed = true;
		if (json_string_setn(x, out.n > 0 ? out.p : "", (size_t)out.n) < 0)
			ret = err_set(err, ERR_NOMEM, "out of memory");
	}
	buf_free(&out);
	return ret;
}

/* Ids say a text too; it takes their place when something of it is redacted. */
static int
walk_ids(struct walk *w, const json_t *list, json_t **other, struct err *err)
{
	struct buf text = { 0 }, out = { 0 };
	struct decoder d = { 0 };
	const json_t *x;
	int ret = 0;
	size_t i;

	*other = NULL;
	json_array_foreach(list, i, x) {
		int32_t id = (int32_t)json_integer_value(x);

		/* One that is none is refused later. */
		if (json_is_integer(x) && json_integer_value(x) >= 0 &&
		    json_integer_value(x) < tokenizer_vocab(w->tok) && ret == 0)
			ret = decode(w->tok, &d, &id, 1, &text, err);
	}
	if (ret == 0)
		ret = decode_end(&d, &text, err);
	if (ret == 0)
		ret = look(w, buf_str(&text), &out, err);
	if (ret == 0 && !str_eq(buf_str(&text), buf_str(&out))) {
		w->changed = true;
		if ((*other = json_stringn(out.n > 0 ? out.p : "", (size_t)out.n)) == NULL)
			ret = err_set(err, ERR_NOMEM, "out of memory");
	}
	buf_free(&text);
	buf_free(&out);
	return ret;
}

static int
walk_value(struct walk *w, const char *key, json_t *x, struct err *err)
{
	const char *name;
	json_t *member;
	int ret = 0;
	size_t i;

	if (json_is_string(x))
		return walk_text(w, key, x, err);
	json_array_foreach(x, i, member)
		if (ret == 0)
			ret = walk_value(w, NULL, member, err);
	json_object_foreach(x, name, member)
		if (ret == 0)
			ret = walk_value(w, name, member, err);
	return ret;
}

/* A prompt: as walk_value(), and arrays of ids. */
static int
walk_prompt(struct walk *w, json_t *all, struct err *err)
{
	json_t *x, *other;
	int ret = 0;
	size_t i;

	json_array_foreach(all, i, x) {
		if (ret != 0)
			break;
		if (!json_is_array(x)) {
			ret = walk_value(w, NULL, x, err);
		} else if (!json_is_integer(json_array_get(x, 0))) {
			ret = walk_prompt(w, x, err);
		} else if ((ret = walk_ids(w, x, &other, err)) == 0 && other != NULL) {
			json_array_set_new(all, i, other);
		}
	}
	return ret;
}

/* The value of a key; what it becomes is appended to out, nothing when it stays. */
static int
walk_key(struct walk *w, const char *key, str value, struct buf *out, struct err *err)
{
	struct buf one = { 0 };
	json_t *all = NULL;
	char *text = NULL;
	int ret = -1;

	w->changed = false;
	buf_fmt(&one, "[%.*s]", STR_ARG(value));
	if (buf_ok(&one, err) == 0 && (all = json_doc(buf_str(&one), err)) != NULL)
		ret = strcmp(key, "prompt") == 0 ? walk_prompt(w, all, err) :
		    walk_value(w, NULL, all, err);
	if (ret == 0 && w->changed) {
		if ((text = json_dumps(json_array_get(all, 0),
		    JSON_COMPACT | JSON_ENCODE_ANY)) == NULL)
			ret = err_set(err, ERR_NOMEM, "out of memory");
		else
			buf_add(out, str_of(text));
	}
	free(text);
	json_decref(all);
	buf_free(&one);
	return ret < 0 ? err_wrap(err, "key '%s'", key) : ret;
}

int
check_body(struct guards *g, const struct tokenizer *tok, str body, struct buf *out,
    struct buf *verdict, struct err *err)
{
	struct walk w = { .g = g, .tok = tok, .verdict = verdict };
	struct json_member m[SHOWN];
	struct json_set set[SHOWN];
	struct buf value[SHOWN] = { { 0 } };
	str key[SHOWN];
	int ret, n = 0;

	for (int i = 0; i < SHOWN; i++)
		key[i] = str_of(shown[i]);
	ret = json_scan(body, key, SHOWN, m, err);
	for (int i = 0; i < SHOWN && ret == 0; i++) {
		if (m[i].value.p == NULL)
			continue;
		ret = walk_key(&w, shown[i], m[i].value, &value[i], err);
		if (ret == 0)
			ret = buf_ok(&value[i], err);
		if (value[i].n > 0)
			set[n++] = (struct json_set){ key[i], buf_str(&value[i]) };
	}
	if (verdict->n > 0)
		buf_byte(verdict, ']');
	if (ret == 0)
		ret = n > 0 ? json_splice(out, body, set, n, err) : (buf_add(out, body), 0);
	if (ret == 0 && (buf_ok(out, err) < 0 || buf_ok(verdict, err) < 0))
		ret = -1;
	for (int i = 0; i < SHOWN; i++)
		buf_free(&value[i]);
	return ret;
}
