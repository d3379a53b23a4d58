/*
 * Chat templates against what transformers made of them (tests/golden/template.py),
 * hostile ones, and the spans of the assistant.  With an argument: the cases of
 * that file.
 */
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "../tap.h"
#include "base/json.h"
#include "base/stream.h"
#include "model/chat.h"

#define DATA "tests/data/template/"

/* The time that the cases were made at. */
static const struct tm now = { .tm_year = 126, .tm_mon = 10, .tm_mday = 28, .tm_hour = 9,
    .tm_min = 5, .tm_sec = 7, .tm_wday = 6, .tm_yday = 331 };

static str
text_of(const json_t *j)
{
	return (str){ json_string_value(j), (ptrdiff_t)json_string_length(j) };
}

static bool
same_spans(const struct template_spans *s, const json_t *want)
{
	if (s->n != (ptrdiff_t)json_array_size(want))
		return false;
	for (ptrdiff_t i = 0; i < s->n; i++) {
		const json_t *w = json_array_get(want, (size_t)i);

		if (s->at[i].start != json_integer_value(json_array_get(w, 0)) ||
		    s->at[i].end != json_integer_value(json_array_get(w, 1)))
			return false;
	}
	return true;
}

static struct template_input
input_of(json_t *given)
{
	return (struct template_input){ .messages = json_object_get(given, "messages"),
	    .tools = json_object_get(given, "tools"), .more = given, .bos = S("<s>"),
	    .eos = S("</s>"), .now = &now,
	    .prompt = json_is_true(json_object_get(given, "add_generation_prompt")) };
}

static void
one_case(json_t *c)
{
	struct err err = { 0 };
	struct template *t = template_parse(text_of(json_object_get(c, "source")), &err);
	struct template_input in = input_of(json_object_get(c, "input"));
	struct template_spans spans = { 0 };
	struct buf out = { 0 };
	const json_t *want = json_object_get(c, "text");
	int ret = t != NULL ? template_render(t, &in, &out, &spans, &err) : -1;
	bool good = want == NULL ? ret < 0 : ret == 0 && str_eq(buf_str(&out), text_of(want)) &&
	    same_spans(&spans, json_object_get(c, "spans"));

	ok(good, json_string_value(json_object_get(c, "name")));
	if (!good) {
		printf("# %s\n", ret < 0 ? err.msg : "rendered");
		if (want != NULL)
			printf("# want <%s>\n", json_string_value(want));
		else
			printf("# want %s\n", json_string_value(json_object_get(c, "error")));
		printf("# got  <%.*s>\n", STR_ARG(buf_str(&out)));
	}
	template_spans_free(&spans);
	buf_free(&out);
	template_free(t);
}

static void
cases(const char *path)
{
	struct err err;
	json_t *doc = json_doc_load(path, &err), *c;
	size_t i;

	ok(json_array_size(doc) > 0, path);
	json_array_foreach(doc, i, c)
		one_case(c);
	json_decref(doc);
}

/* Every hostile template ends in an error, with a line in it, and soon. */
static void
hostile(void)
{
	DIR *dir = opendir(DATA "bad");
	struct dirent *e;
	struct arena a;
	struct err err;
	json_t *none = json_array();
	int n = 0;

	if (dir == NULL || arena_init(&a, 1 << 22, &err) < 0)
		exit(2);
	while ((e = readdir(dir)) != NULL) {
		struct template_input in = { .messages = none };
		struct template *t;
		struct buf out = { 0 };
		char path[300];

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), DATA "bad/%s", e->d_name);
		err = (struct err){ 0 };
		t = template_parse(file_slurp(&a, path, 1 << 20, &err), &err);
		ok((t == NULL || template_render(t, &in, &out, NULL, &err) < 0) && out.n == 0 &&
		    (strstr(err.msg, "line ") != NULL || strstr(err.msg, "UTF-8") != NULL), path);
		printf("# %s\n", err.msg);
		template_free(t);
		buf_free(&out);
		n++;
	}
	ok(n > 10, "samples of hostile templates");
	closedir(dir);
	json_decref(none);
	arena_free(&a);
}

/* ---- spans by rendering prefixes ---- */

static const char chatml[] = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/* What is in the spans, with bars between. */
static void
spans_are(const char *source, const char *messages, const char *want, const char *what)
{
	struct err err = { 0 };
	struct template *t = template_parse(str_of(source), &err);
	json_t *m = json_loads(messages, 0, NULL);
	struct template_input in = { .messages = m };
	struct template_spans s = { 0 };
	struct buf out = { 0 }, got = { 0 };
	int ret = t != NULL ? template_render_spans(t, &in, &out, &s, &err) : -1;

	for (ptrdiff_t i = 0; i < s.n; i++) {
		buf_add(&got, (str){ out.p + s.at[i].start, s.at[i].end - s.at[i].start });
		buf_byte(&got, '|');
	}
	ok(want != NULL ? ret == 0 && str_eq(buf_str(&got), str_of(want)) :
	    ret < 0 && out.n == 0 && strstr(err.msg, "message") != NULL, what);
	if (ret < 0)
		printf("# %s\n", err.msg);
	template_spans_free(&s);
	template_free(t);
	buf_free(&out);
	buf_free(&got);
	json_decref(m);
}

static void
test_spans(void)
{
	static const char talk[] = "[{\"role\": \"user\", \"content\": \"a\"}, "
	    "{\"role\": \"assistant\", \"content\": \"b \"}, {\"role\": \"user\", \"content\": \"c\"}, "
	    "{\"role\": \"assistant\", \"content\": \"\"}]";

	spans_are(chatml, talk, "b <|im_end|>|<|im_end|>|", "spans of a template that marks none");
	spans_are("{% for m in messages %}[{% if m.role == 'assistant' %}{% generation %}"
	    "{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}]{% endfor %}",
	    talk, "b ||", "spans of one that does");
	spans_are("{{ messages|length }}{% for m in messages %}{{ m.content }};{% endfor %}", talk,
	    NULL, "a template whose text changes with later messages");
}

/* ---- where a model keeps it ---- */

static char dir[] = "/tmp/t_template-XXXXXX";

static void
put(const char *name, const char *text)
{
	struct err err;
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (file_write(path, str_of(text), &err) < 0)
		exit(2);
}

/* What the template found there says, or words of the message when none is. */
static void
loads(const char *path, const char *name, const char *want, const char *what)
{
	struct err err = { 0 };
	struct template *t = template_load(path, name, &err);
	struct template_input in = { 0 };
	struct buf out = { 0 };

	if (t == NULL || template_render(t, &in, &out, NULL, &err) < 0)
		ok(strstr(err.msg, want) != NULL, what);
	else
		ok(str_eq(buf_str(&out), str_of(want)), what);
	template_free(t);
	buf_free(&out);
}

static void
test_load(void)
{
	char path[300];

	if (mkdtemp(dir) == NULL)
		exit(2);
	loads(dir, NULL, "no chat template", "a directory without one");
	put("tokenizer_config.json", "{\"chat_template\": \"one {{ 1 }}\"}");
	loads(dir, NULL, "one 1", "a text in tokenizer_config.json");
	loads(dir, "tool_use", "no chat template 'tool_use'", "it has one only");
	put("tokenizer_config.json", "{\"chat_template\": [{\"name\": \"default\", "
	    "\"template\": \"d\"}, {\"name\": \"tool_use\", \"template\": \"t\"}]}");
	loads(dir, NULL, "d", "a list: the default");
	loads(dir, "tool_use", "t", "a list: by name");
	put("tokenizer_config.json", "{}");
	loads(dir, NULL, "no chat template", "a configuration without one");
	put("chat_template.jinja", "two {% nosuch %}");
	loads(dir, NULL, "chat_template.jinja: chat template: line 1: ", "the file is named");
	put("chat_template.jinja", "file");
	loads(dir, NULL, "file", "a file of its own");
	snprintf(path, sizeof(path), "%s/additional_chat_templates", dir);
	mkdir(path, 0700);
	put("additional_chat_templates/rag.jinja", "rag");
	loads(dir, "rag", "rag", "a file by name");
	loads("tests/data/gguf/good/types.gguf", NULL, "no chat template", "GGUF without one");
	loads("tests/data/gguf/good/llama.gguf", NULL, "line 1: None cannot be walked", "GGUF with one");
	snprintf(path, sizeof(path), "rm -r '%s'", dir);
	ok(system(path) == 0, "and they are gone");
}

int
main(int argc, char **argv)
{
	if (argc > 1) {
		cases(argv[1]);
		return tap_done();
	}
	cases(DATA "cases.json");
	hostile();
	test_spans();
	test_load();
	return tap_done();
}
