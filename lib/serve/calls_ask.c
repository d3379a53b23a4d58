#include "serve/calls_ask.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"

static str
text_of(const json_t *v)
{
	return (str){ json_string_value(v), (ptrdiff_t)json_string_length(v) };
}

static int
no_memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "out of memory");
}

void
calls_id(str answer, int choice, int index, char id[CALLS_ID])
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz";
	uint64_t h = hash64_seed(answer, (uint64_t)choice << 32 | (uint64_t)index);

	for (int i = 0; i < CALLS_ID - 1; i++, h /= 62)
		id[i] = digits[h % 62];
	id[CALLS_ID - 1] = '\0';
}

/* ---- tools ---- */

static int
check_tool(json_t *tool, size_t i, struct calls_asked *a, struct err *err)
{
	json_t *f = json_object_get(tool, "function");
	const json_t *name = json_object_get(f, "name");
	const json_t *parameters = json_object_get(f, "parameters");

	if (!json_is_object(f) || !json_is_string(name) || json_string_length(name) == 0)
		return err_set(
		    err, ERR_FORMAT, "key 'tools': tool %zu is no function with a name", i + 1);
	if (json_string_length(name) > CALLS_NAME_MAX)
		return err_set(err, ERR_FORMAT,
		    "key 'tools': tool %zu has a name of more than %d "
		    "bytes",
		    i + 1, CALLS_NAME_MAX);
	if (parameters != NULL && !json_is_object(parameters) && !json_is_null(parameters))
		return err_set(err, ERR_FORMAT,
		    "key 'tools': tool %zu has parameters that are no "
		    "schema",
		    i + 1);
	if (!json_is_object(parameters) &&
	    json_object_set_new(
		f, "parameters", json_pack("{s:s, s:{}}", "type", "object", "properties")) < 0)
		return no_memory(err);
	a->strict |= json_is_true(json_object_get(f, "strict"));
	return 0;
}

static int
read_tools(struct calls_asked *a, str tools, struct err *err)
{
	json_t *tool;
	size_t i;

	if (tools.p[0] != '[')
		return err_set(err, ERR_FORMAT, "key 'tools': no array");
	if ((a->tools = json_doc(tools, err)) == NULL)
		return err_wrap(err, "key 'tools'");
	json_array_foreach (a->tools, i, tool)
		if (check_tool(tool, i, a, err) < 0)
			return -1;
	return 0;
}

static json_t *
name_of(const json_t *tool)
{
	return json_object_get(json_object_get(tool, "function"), "name");
}

/* Only those tools are left that are like the choice, or one in its array. */
static size_t
keep_tools(struct calls_asked *a, const json_t *choice)
{
	const json_t *one;
	size_t i = 0, k;

	while (i < json_array_size(a->tools)) {
		const json_t *name = name_of(json_array_get(a->tools, i));
		bool chosen = json_equal(name, name_of(choice)) != 0;

		json_array_foreach (choice, k, one)
			chosen = chosen || json_equal(name, name_of(one));
		if (chosen)
			i++;
		else
			json_array_remove(a->tools, i);
	}
	return i;
}

/*
 * {"type": "function", "function": {"name": NAME}}, or {"type": "allowed_tools",
 * "allowed_tools": {"mode": "auto" or "required", "tools": [such, ...]}}.
 */
static int
choose_tool(struct calls_asked *a, str choice, struct err *err)
{
	json_t *doc = json_doc(choice, err);
	const json_t *some = json_object_get(doc, "allowed_tools");
	const char *mode = json_string_value(json_object_get(some, "mode"));
	size_t left;

	if (doc == NULL)
		return err_wrap(err, "key 'tool_choice'");
	left = keep_tools(a, some != NULL ? json_object_get(some, "tools") : doc);
	a->single |= some == NULL;
	a->required = some == NULL || (mode != NULL && strcmp(mode, "required") == 0);
	json_decref(doc);
	return left > 0 ? 0 : err_set(err, ERR_FORMAT, "key 'tool_choice': no tool has this name");
}

static int
read_choice(struct calls_asked *a, str choice, struct err *err)
{
	bool none = str_eq(choice, S("\"none\""));

	a->required = str_eq(choice, S("\"required\""));
	if (!none && !a->required && !str_eq(choice, S("\"auto\"")) && choice.p[0] != '{')
		return err_set(err, ERR_FORMAT,
		    "key 'tool_choice': not none, auto, required or a "
		    "function");
	if (json_array_size(a->tools) == 0 && (a->required || choice.p[0] == '{'))
		return err_set(err, ERR_FORMAT, "key 'tool_choice': there are no tools");
	if (choice.p[0] == '{')
		return choose_tool(a, choice, err);
	if (none) {
		json_decref(a->tools);
		a->tools = NULL;
	}
	return 0;
}

int
calls_ask(struct calls_asked *a, str tools, str choice, str parallel, struct err *err)
{
	*a = (struct calls_asked){ 0 };
	if (json_given(tools) && read_tools(a, tools, err) < 0)
		goto fail;
	if (json_given(parallel)) {
		a->single = str_eq(parallel, S("false"));
		if (!a->single && !str_eq(parallel, S("true"))) {
			err_set(err, ERR_FORMAT,
			    "key 'parallel_tool_calls': neither true nor "
			    "false");
			goto fail;
		}
	}
	if (json_given(choice) && read_choice(a, choice, err) < 0)
		goto fail;
	if (json_array_size(a->tools) == 0)
		calls_asked_free(a);
	return 0;
fail:
	calls_asked_free(a);
	return -1;
}

void
calls_asked_free(struct calls_asked *a)
{
	json_decref(a->tools);
	a->tools = NULL;
}

/* ---- messages ---- */

/* Parts of text become one text, a line's end between them. */
static int
join_parts(json_t *m, size_t at, const json_t *parts, struct err *err)
{
	struct buf b = { 0 };
	const json_t *part;
	size_t i;
	int ret = 0;

	json_array_foreach (parts, i, part) {
		const json_t *type = json_object_get(part, "type");
		const json_t *text = json_object_get(part,
		    json_is_string(type) && strcmp(json_string_value(type), "refusal") == 0 ?
			"refusal" :
			"text");

		if (!json_is_string(text)) {
			buf_free(&b);
			return err_set(err, ERR_FORMAT,
			    "key 'messages': part %zu of message %zu "
			    "is no text: '%.40s' is not read",
			    i + 1, at, json_is_string(type) ? json_string_value(type) : "it");
		}
		if (i > 0)
			buf_byte(&b, '\n');
		buf_add(&b, text_of(text));
	}
	if (buf_ok(&b, err) < 0)
		ret = -1;
	else if (json_object_set_new(m, "content", json_stringn(b.n > 0 ? b.p : "", (size_t)b.n)) <
	    0)
		ret = no_memory(err);
	buf_free(&b);
	return ret;
}

static int
mend_content(json_t *m, size_t at, bool may_miss, struct err *err)
{
	const json_t *content = json_object_get(m, "content");

	if (json_is_string(content))
		return 0;
	if (json_is_array(content))
		return join_parts(m, at, content, err);
	if (content != NULL && !json_is_null(content))
		return err_set(err, ERR_FORMAT,
		    "key 'messages': message %zu has content that is "
		    "neither text nor parts",
		    at);
	if (!may_miss)
		return err_set(err, ERR_FORMAT, "key 'messages': message %zu has no content", at);
	return json_object_set_new(m, "content", json_string("")) < 0 ? no_memory(err) : 0;
}

/* Arguments in a string as the object that they are; what is none stays text. */
static int
mend_arguments(json_t *f, struct err *err)
{
	const json_t *arguments = json_object_get(f, "arguments");
	struct err why;
	json_t *doc;

	if (json_is_object(arguments))
		return 0;
	if (!json_is_string(arguments) || str_trim(text_of(arguments)).n == 0)
		doc = json_object();
	else
		doc = json_doc(text_of(arguments), &why);
	if (doc != NULL && json_object_set_new(f, "arguments", doc) < 0)
		return no_memory(err);
	return 0;
}

/* Mistral's templates take nothing but nine letters and digits. */
static int
mend_id(json_t *of, const char *key, enum calls_format f, struct err *err)
{
	str id = text_of(json_object_get(of, key));
	char made[CALLS_ID];
	bool good = id.n == CALLS_ID - 1;

	for (ptrdiff_t i = 0; i < id.n; i++)
		good = good &&
		    ((id.p[i] >= '0' && id.p[i] <= '9') ||
			((id.p[i] | 32) >= 'a' && (id.p[i] | 32) <= 'z'));
	if (good || id.p == NULL || (f != CALLS_MISTRAL && f != CALLS_MISTRAL_ARGS))
		return 0;
	calls_id(id, 0, 0, made);
	return json_object_set_new(of, key, json_string(made)) < 0 ? no_memory(err) : 0;
}

static int
mend_calls(json_t *m, size_t at, enum calls_format f, json_t *names, struct err *err)
{
	json_t *calls = json_object_get(m, "tool_calls"), *call;
	size_t i;

	if (calls != NULL && json_array_size(calls) == 0)
		json_object_del(m, "tool_calls");
	json_array_foreach (calls, i, call) {
		json_t *function = json_object_get(call, "function");
		const json_t *id = json_object_get(call, "id");
		json_t *name = json_object_get(function, "name");

		if (!json_is_string(name))
			return err_set(err, ERR_FORMAT,
			    "key 'messages': call %zu of message %zu "
			    "has no function with a name",
			    i + 1, at);
		if (json_is_string(id))
			json_object_set(names, json_string_value(id), name);
		if (mend_arguments(function, err) < 0 || mend_id(call, "id", f, err) < 0)
			return -1;
	}
	return 0;
}

static int
set_text(json_t *m, const char *key, const char *text, struct err *err)
{
	return json_object_set_new(m, key, json_string(text)) < 0 ? no_memory(err) : 0;
}

static int
mend_message(json_t *m, size_t at, enum calls_format f, json_t *names, struct err *err)
{
	const char *role = json_string_value(json_object_get(m, "role"));
	const json_t *id = json_object_get(m, "tool_call_id");

	if (strcmp(role, "assistant") == 0)
		return mend_content(m, at, true, err) < 0 ? -1 : mend_calls(m, at, f, names, err);
	if (strcmp(role, "tool") == 0 && json_is_string(id)) {
		json_t *name = json_object_get(names, json_string_value(id));

		if (name != NULL && json_object_get(m, "name") == NULL)
			json_object_set(m, "name", name);
		if (mend_id(m, "tool_call_id", f, err) < 0)
			return -1;
	}
	/* Here, for the role is no text any more then. */
	if (strcmp(role, "developer") == 0 && set_text(m, "role", "system", err) < 0)
		return -1;
	return mend_content(m, at, false, err);
}

int
calls_messages(json_t *messages, enum calls_format f, struct err *err)
{
	json_t *names = json_object(), *m;
	int ret = names == NULL ? no_memory(err) : 0;
	size_t i;

	json_array_foreach (messages, i, m) {
		if (ret == 0 && !json_is_string(json_object_get(m, "role")))
			ret = err_set(
			    err, ERR_FORMAT, "key 'messages': message %zu has no role", i + 1);
		if (ret == 0)
			ret = mend_message(m, i + 1, f, names, err);
	}
	json_decref(names);
	return ret;
}

/* ---- templates without tools ---- */

static void
put_json(struct buf *b, const json_t *v)
{
	char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);

	if (text == NULL)
		b->failed = true;
	else
		buf_add(b, str_of(text));
	free(text);
}

/* What an assistant called, as it would have written it. */
static void
put_calls(struct buf *b, const json_t *calls)
{
	const json_t *call;
	size_t i;

	buf_add(b, json_array_size(calls) > 1 ? S("[") : S(""));
	json_array_foreach (calls, i, call) {
		const json_t *f = json_object_get(call, "function");

		buf_add(b, i > 0 ? S(", {\"name\": ") : S("{\"name\": "));
		put_json(b, json_object_get(f, "name"));
		buf_add(b, S(", \"arguments\": "));
		put_json(b, json_object_get(f, "arguments"));
		buf_byte(b, '}');
	}
	buf_add(b, json_array_size(calls) > 1 ? S("]") : S(""));
}

static void
put_tools(struct buf *b, const json_t *tools)
{
	const json_t *tool;
	size_t i;

	buf_add(b, S("You can call these functions:"));
	json_array_foreach (tools, i, tool) {
		buf_byte(b, '\n');
		put_json(b, json_object_get(tool, "function"));
	}
	buf_add(b,
	    S("\nTo call one, answer with JSON and nothing else: {\"name\": the function's "
	      "name, \"arguments\": an object of its parameters}. To call several, answer with an "
	      "array of these. Otherwise answer in plain text."));
}

static int
put_content(json_t *m, struct buf *b, struct err *err)
{
	int ret = buf_ok(b, err);

	if (ret == 0 &&
	    json_object_set_new(m, "content", json_stringn(b->n > 0 ? b->p : "", (size_t)b->n)) < 0)
		ret = no_memory(err);
	buf_free(b);
	return ret;
}

/* A call or a result becomes text: of the assistant, or of the user. */
static int
say_plainly(json_t *m, struct err *err)
{
	json_t *calls = json_object_get(m, "tool_calls");
	const char *role = json_string_value(json_object_get(m, "role"));
	const json_t *name = json_object_get(m, "name");
	struct buf b = { 0 };

	if (calls != NULL) {
		buf_add(&b, text_of(json_object_get(m, "content")));
		if (b.n > 0)
			buf_byte(&b, '\n');
		put_calls(&b, calls);
		json_object_del(m, "tool_calls");
		return put_content(m, &b, err);
	}
	if (role == NULL || strcmp(role, "tool") != 0)
		return 0;
	buf_fmt(
	    &b, "Result of %s:\n", json_is_string(name) ? json_string_value(name) : "the function");
	buf_add(&b, text_of(json_object_get(m, "content")));
	return put_content(m, &b, err) < 0 ? -1 : set_text(m, "role", "user", err);
}

/* Users' messages that follow each other become one: templates want turns. */
static int
join_users(json_t *messages, struct err *err)
{
	for (size_t i = 1; i < json_array_size(messages);) {
		json_t *m = json_array_get(messages, i - 1), *next = json_array_get(messages, i);
		struct buf b = { 0 };

		if (strcmp(json_string_value(json_object_get(m, "role")), "user") != 0 ||
		    strcmp(json_string_value(json_object_get(next, "role")), "user") != 0) {
			i++;
			continue;
		}
		buf_add(&b, text_of(json_object_get(m, "content")));
		buf_byte(&b, '\n');
		buf_add(&b, text_of(json_object_get(next, "content")));
		if (put_content(m, &b, err) < 0)
			return -1;
		json_array_remove(messages, i);
	}
	return 0;
}

/* In the system's message, which is made where there is none. */
static int
describe(json_t *messages, const json_t *tools, struct err *err)
{
	json_t *m = json_array_get(messages, 0);
	const json_t *role = json_object_get(m, "role");
	struct buf b = { 0 };

	if (!json_is_string(role) || strcmp(json_string_value(role), "system") != 0) {
		if (json_array_insert_new(
			messages, 0, json_pack("{s:s, s:s}", "role", "system", "content", "")) < 0)
			return no_memory(err);
		m = json_array_get(messages, 0);
	}
	buf_add(&b, text_of(json_object_get(m, "content")));
	if (b.n > 0)
		buf_add(&b, S("\n\n"));
	put_tools(&b, tools);
	return put_content(m, &b, err);
}

int
calls_describe(json_t *messages, const json_t *tools, struct err *err)
{
	bool plain = true;
	json_t *m;
	size_t i;

	if (tools != NULL && describe(messages, tools, err) < 0)
		return -1;
	json_array_foreach (messages, i, m) {
		const json_t *role = json_object_get(m, "role");

		plain = plain && json_object_get(m, "tool_calls") == NULL &&
		    strcmp(json_string_value(role), "tool") != 0;
		if (say_plainly(m, err) < 0)
			return -1;
	}
	return plain ? 0 : join_users(messages, err);
}
