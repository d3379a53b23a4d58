#include "serve/calls_grammar.h"

#include <stdlib.h>

#include "infer/grammar.h"
#include "serve/calls_impl.h"

struct writer {
	const struct calls_form *form;
	const struct tokenizer *tok;
	struct buf *b;
};

/* ---- texts ---- */

static void
put_literal(struct buf *b, str s)
{
	if (s.n == 0)
		return;
	buf_add(b, S(" \""));
	for (ptrdiff_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if ((unsigned char)c < ' ')
			buf_fmt(b, "\\x%02x", c);
		else if (c == '"' || c == '\\')
			buf_fmt(b, "\\%c", c);
		else
			buf_byte(b, c);
	}
	buf_byte(b, '"');
}

/* The longest special token that s begins with, or -1. */
static int32_t
special_at(const struct tokenizer *tok, str s, ptrdiff_t *n)
{
	for (*n = s.n; *n > 0; --*n) {
		int32_t id = tokenizer_id(tok, (str){ s.p, *n });

		if (id >= 0 && tokenizer_is_special(tok, id))
			return id;
	}
	return -1;
}

/* A mark: special tokens by their ids, what is between as text. */
static void
put_mark(const struct writer *w, str mark)
{
	ptrdiff_t from = 0, n;

	for (ptrdiff_t i = 0; i < mark.n;) {
		int32_t id = special_at(w->tok, (str){ mark.p + i, mark.n - i }, &n);

		if (id < 0) {
			i++;
			continue;
		}
		put_literal(w->b, (str){ mark.p + from, i - from });
		buf_fmt(w->b, " <[%d]>", id);
		from = i += n;
	}
	if (from < mark.n)
		put_literal(w->b, (str){ mark.p + from, mark.n - from });
}

/* ---- calls ---- */

/* The schema of a tool's arguments: an object, of what it names alone unless it says more. */
static char *
arguments_of(const json_t *function, struct err *err)
{
	json_t *schema = json_deep_copy(json_object_get(function, "parameters"));
	bool strict = json_is_true(json_object_get(function, "strict"));
	struct grammar *g;
	struct err why;
	char *text = NULL;

	if (json_object_get(schema, "type") == NULL)
		json_object_set_new(schema, "type", json_string("object"));
	if (json_object_get(schema, "additionalProperties") == NULL &&
	    json_object_get(schema, "patternProperties") == NULL &&
	    json_object_get(schema, "unevaluatedProperties") == NULL)
		json_object_set_new(schema, "additionalProperties", json_false());
	if (schema != NULL && (text = json_dumps(schema, JSON_COMPACT)) == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	json_decref(schema);
	if (text == NULL)
		return NULL;
	if ((g = grammar_schema(str_of(text), &(struct schema_options){ 0 }, &why)) == NULL) {
		free(text);
		if (strict) {
			*err = why;
			err_wrap(err, "key 'tools': '%.60s'",
			    json_string_value(json_object_get(function, "name")));
			return NULL;
		}
		if ((text = strdup("{\"type\":\"object\"}")) == NULL)
			err_set(err, ERR_NOMEM, "out of memory");
	}
	grammar_free(g);
	return text;
}

/* A call without its marks: an object, or name and arguments. */
static int
put_call(const struct writer *w, const json_t *function, struct err *err)
{
	const json_t *name = json_object_get(function, "name");
	str text = { json_string_value(name), (ptrdiff_t)json_string_length(name) };
	char *arguments = arguments_of(function, err);
	struct buf head = { 0 };

	if (arguments == NULL)
		return -1;
	if (w->form->parameters == NULL) {
		put_literal(w->b, text);
		put_mark(w, w->form->args);
	} else {
		buf_add(&head, S("{\"name\": "));
		json_quote(&head, text);
		buf_fmt(&head, ", \"%s\": ", w->form->parameters);
		put_literal(w->b, buf_str(&head));
		buf_free(&head);
	}
	buf_fmt(w->b, " %%json %s", arguments);
	if (w->form->parameters != NULL)
		put_literal(w->b, S("}"));
	free(arguments);
	return 0;
}

static int
put_calls(const struct writer *w, const json_t *tools, struct err *err)
{
	const json_t *tool;
	size_t i;

	buf_add(w->b, S("call ::="));
	json_array_foreach (tools, i, tool) {
		if (i > 0)
			buf_add(w->b, S(" |"));
		if (put_call(w, json_object_get(tool, "function"), err) < 0)
			return -1;
	}
	buf_byte(w->b, '\n');
	return 0;
}

/*
 * What follows the first mark: head ::= it, and tail ::= the rest of all calls.  In a
 * bare form there is no mark, and an array around several calls unless lines part them.
 */
static void
put_around(const struct writer *w, bool single)
{
	const struct calls_form *f = w->form;
	bool named = f->parameters == NULL;
	str gap = f->close.n > 0 && !f->array && !named ? S("\n") : S("");
	str between = f->bare ? S("; ") : f->array ? S(", ") : f->list.n > 0 ? S("\n") : gap;

	buf_add(w->b, S("head ::= \"\""));
	if (!f->bare)
		put_mark(w, f->list.n > 0 ? f->list : f->open);
	buf_add(w->b, S("\none ::="));
	if (!f->array && !f->bare && f->list.n > 0)
		put_mark(w, f->open);
	put_literal(w->b, gap);
	buf_add(w->b, S(" call"));
	put_literal(w->b, gap);
	if (f->list.n > 0)
		put_literal(w->b, str_starts(f->close, S("```")) ? S("\n") : S(""));
	if (!f->array)
		put_mark(w, f->close);
	buf_add(w->b, S("\ntail ::="));
	put_literal(w->b, f->array ? S("[") : S(""));
	buf_add(w->b, S(" one"));
	if (!single) {
		buf_add(w->b, S(" ("));
		put_literal(w->b, between);
		if (!f->array && !f->bare && f->list.n == 0)
			put_mark(w, f->open);
		buf_add(w->b, S(" one)*"));
	}
	put_literal(w->b, f->array ? S("]") : S(""));
	if (f->array)
		put_mark(w, f->close);
	put_mark(w, f->list_end);
	buf_byte(w->b, '\n');
}

/* ---- before calls ---- */

/*
 * name0 ::= text up to the mark, which begins with a character that is not in it again,
 * then what follows: a rule for each count of its characters that were just written.
 * Such text may end without the mark, or not.
 */
static void
put_text_to(const struct writer *w, const char *name, str mark, const char *then, bool ends)
{
	for (ptrdiff_t i = 0; i < mark.n; i++) {
		char c = mark.p[i];

		buf_fmt(w->b, "%s%td ::= \"%c\"", name, i, c);
		if (i + 1 < mark.n)
			buf_fmt(w->b, " %s%td |", name, i + 1);
		else
			buf_fmt(w->b, " %s |", then);
		if (i > 0)
			buf_fmt(w->b, " \"%c\" %s1 |", mark.p[0], name);
		buf_fmt(w->b, " [^\\x%02x\\x%02x] %s0%s\n", c, mark.p[0], name,
		    ends ? " | \"\"" : "");
	}
}

/* Thoughts that the prompt began end first. */
static void
put_thoughts(const struct writer *w)
{
	str end = S("</think>");
	ptrdiff_t n;
	int32_t id = special_at(w->tok, end, &n);

	if (id >= 0 && n == end.n) {
		buf_fmt(w->b, "thoughts ::= (!<[%d]>)* <[%d]> lines\n", id, id);
	} else {
		buf_add(w->b, S("thoughts ::= thought0\n"));
		put_text_to(w, "thought", end, "lines", false);
	}
	buf_add(w->b, S("lines ::= \"\\n\"{0,2}\n"));
}

int
calls_grammar(enum calls_format f, const struct tokenizer *tok, const struct calls_asked *a,
    str schema, bool thinking, struct buf *gbnf, struct err *err)
{
	const struct calls_form *form = &calls_forms[f];
	struct writer w = { form, tok, gbnf };
	str mark = form->list.n > 0 ? form->list : form->open;
	ptrdiff_t n;
	int32_t id = special_at(tok, mark, &n);

	bool formed = schema.p != NULL && !a->required;

	if (a->tools == NULL ? !formed || !thinking :
	    !a->required && !formed && (!a->strict || form->bare))
		return 0;
	if (a->required || formed) {
		buf_fmt(gbnf, "root ::=%s (%s%s%s)\n", thinking ? " thoughts" : "",
		    a->tools != NULL ? "head tail" : "", a->tools != NULL && formed ? " | " : "",
		    formed ? "format" : "");
	} else if (id >= 0) {
		buf_fmt(gbnf, "root ::= (!<[%d]>)* (head tail)?\n", id);
	} else if (form->list.n == 0) {
		buf_add(gbnf, S("root ::= text0\n"));
		put_text_to(&w, "text", mark, "tail", true);
	} else {
		return 0;
	}
	if ((a->required || formed) && thinking)
		put_thoughts(&w);
	if (formed)
		buf_fmt(gbnf, "format ::= %%json %.*s\n", STR_ARG(schema));
	if (a->tools == NULL)
		return buf_ok(gbnf, err) < 0 ? -1 : 1;
	put_around(&w, a->single);
	return put_calls(&w, a->tools, err) < 0 || buf_ok(gbnf, err) < 0 ? -1 : 1;
}
