/*
 * Chat templates against what transformers made of them (tests/golden/template.py),
 * hostile ones, and the spans of the assistant.  With an argument: the cases of
 * that file.
 */
#include <dirent.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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
	struct template_marks marks = { 0 };
	struct buf out = { 0 };
	const json_t *want = json_object_get(c, "text");
	int ret = t != NULL ? template_render(t, &in, &out, &marks, &err) : -1;
	bool good = want == NULL ? ret < 0 : ret == 0 && str_eq(buf_str(&out), text_of(want)) &&
	    same_spans(&marks.answers, json_object_get(c, "spans"));

	ok(good, json_string_value(json_object_get(c, "name")));
	if (!good) {
		printf("# %s\n", ret < 0 ? err.msg : "rendered");
		if (want != NULL)
			printf("# want <%s>\n", json_string_value(want));
		else
			printf("# want %s\n", json_string_value(json_object_get(c, "error")));
		printf("# got  <%.*s>\n", STR_ARG(buf_str(&out)));
	}
	template_marks_free(&marks);
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

/* ---- hostile templates ---- */

/* In a process of its own: exit 0 when it ends in an error, with a line in it. */
static void
render_hostile(const char *path)
{
	struct err err = { 0 };
	struct arena a;
	json_t *none = json_array();
	struct template_input in = { .messages = none };
	struct template_marks marks = { 0 };
	struct template *t = NULL;
	struct buf out = { 0 };
	int ret = -1;

	if (path == NULL)
		_exit(0);
	if (arena_init(&a, 1 << 22, &err) == 0)
		t = template_parse(file_slurp(&a, path, 1 << 20, &err), &err);
	if (t != NULL)
		ret = template_render(t, &in, &out, &marks, &err);
	printf("# %s\n", err.msg);
	fflush(stdout);
	_exit(ret < 0 && out.n == 0 &&
	    (strstr(err.msg, "line ") != NULL || strstr(err.msg, "UTF-8") != NULL) ? 0 : 1);
}

/* Processor time in ms and memory in KB that it took; false when it did not end so. */
static bool
measure(const char *path, double *ms, long *kb)
{
	struct rusage u;
	int status;
	pid_t pid;

	fflush(stdout);
	if ((pid = fork()) == 0)
		render_hostile(path);
	if (pid < 0 || wait4(pid, &status, 0, &u) != pid)
		exit(2);
	*ms = 1e3 * (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    1e-3 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
	*kb = u.ru_maxrss;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/*
 * Every one ends in an error within 100 ms and 64 MB, but for sanitizers and where
 * instructions are emulated.
 */
static void
hostile(void)
{
	DIR *dir = opendir(DATA "bad");
	struct dirent *e;
	double ms, worst_ms = 0;
	long kb, base, worst_kb = 0;
	int n = 0;

	if (dir == NULL || !measure(NULL, &ms, &base))
		exit(2);
	while ((e = readdir(dir)) != NULL) {
		char path[300];
		bool good;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), DATA "bad/%s", e->d_name);
		good = measure(path, &ms, &kb);
		/* Once more, where something else was in the way. */
		if (ms > 100)
			good = measure(path, &ms, &kb);
		ok(good, path);
		worst_ms = ms > worst_ms ? ms : worst_ms;
		worst_kb = kb - base > worst_kb ? kb - base : worst_kb;
		n++;
	}
	printf("# at most %.0f ms and %ld MB\n", worst_ms, worst_kb >> 10);
	ok(n > 10, "samples of hostile templates");
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
	ok(worst_ms <= 100, "each within 100 ms");
	ok(worst_kb <= 64 << 10, "each within 64 MB");
#endif
	closedir(dir);
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
	struct template_marks marks = { 0 };
	const struct template_spans *s = &marks.answers;
	struct buf out = { 0 }, got = { 0 };
	int ret = t != NULL ? template_render_answers(t, &in, &out, &marks, false, &err) : -1;

	for (ptrdiff_t i = 0; i < s->n; i++) {
		buf_add(&got, (str){ out.p + s->at[i].start, s->at[i].end - s->at[i].start });
		buf_byte(&got, '|');
	}
	ok(want != NULL ? ret == 0 && str_eq(buf_str(&got), str_of(want)) :
	    ret < 0 && out.n == 0 && strstr(err.msg, "message") != NULL, what);
	if (ret < 0)
		printf("# %s\n", err.msg);
	template_marks_free(&marks);
	template_free(t);
	buf_free(&out);
	buf_free(&got);
	json_decref(m);
}

static const char think[] = "{% set ns = namespace(last=-1) %}{% for m in messages %}"
    "{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}"
    "{% if loop.index0 > ns.last %}<think>\n{{ m.reasoning }}\n</think>\n\n{% endif %}"
    "{{ m.content.split('</think>')[-1]|trim }}{% for c in m.tool_calls %}<tool_call>\n"
    "{{ c|tojson }}\n</tool_call>{% endfor %}{% else %}{{ m.content }}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/* As Mistral's: what the system says is put into the last message of the user. */
static const char late[] = "<s>{% for m in messages[1:] %}{% if m.role == 'user' %}[INST] "
    "{% if loop.last or loop.index0 == messages|length - 3 %}{{ messages[0].content }}\n\n"
    "{% endif %}{{ m.content }}[/INST]{% else %} {{ m.content }}</s>{% endif %}{% endfor %}";

static void
test_spans(void)
{
	static const char talk[] = "[{\"role\": \"user\", \"content\": \"a\"}, "
	    "{\"role\": \"assistant\", \"content\": \"b \"}, {\"role\": \"user\", \"content\": \"c\"}, "
	    "{\"role\": \"assistant\", \"content\": \"\"}]";
	static const char thought[] = "[{\"role\": \"user\", \"content\": \"a\"}, "
	    "{\"role\": \"assistant\", \"content\": \"x</think>b\", \"reasoning\": \"r\", "
	    "\"tool_calls\": [{\"n\": 1}]}, {\"role\": \"user\", \"content\": \"c\"}, "
	    "{\"role\": \"assistant\", \"content\": \"d\", \"reasoning\": \"s\"}]";
	static const char system[] = "[{\"role\": \"system\", \"content\": \"S\"}, "
	    "{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}, "
	    "{\"role\": \"user\", \"content\": \"c\"}, {\"role\": \"assistant\", \"content\": \"d\"}]";

	spans_are(chatml, talk, "b <|im_end|>|<|im_end|>|", "spans of a template that marks none");
	spans_are("{% for m in messages %}[{% if m.role == 'assistant' %}{% generation %}"
	    "{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}]{% endfor %}",
	    talk, "b ||", "spans of one that does");
	spans_are("{{ messages|length }}{% for m in messages %}{{ m.content }};{% endfor %}", talk,
	    "b ;|;|", "a template whose text changes with later messages");
	spans_are(think, thought, "b<tool_call>\n{\"n\": 1}\n</tool_call><|im_end|>|"
	    "<think>\ns\n</think>\n\nd<|im_end|>|", "one that leaves out what was thought before");
	spans_are(late, system, " b</s>| d</s>|", "one that moves what the system says");
}

/* ---- what was said, and what the template says ---- */

/* What was said stands in brackets. */
static void
said_is(const char *source, const char *want)
{
	struct err err = { 0 };
	struct template *t = template_parse(str_of(source), &err);
	json_t *m = json_loads("[{\"role\": \"user\", \"content\": \"a<b>c\", \"<k>\": \"v\"}, "
	    "{\"role\": \"x|>\", \"content\": \"\"}]", 0, NULL);
	struct template_input in = { .messages = m, .bos = S("<s>") };
	struct template_marks marks = { 0 };
	struct buf out = { 0 }, got = { 0 };
	int ret = t != NULL ? template_render(t, &in, &out, &marks, &err) : -1;
	ptrdiff_t at = 0;

	for (ptrdiff_t i = 0; i < marks.said.n; at = marks.said.at[i++].end) {
		buf_add(&got, (str){ out.p + at, marks.said.at[i].start - at });
		buf_fmt(&got, "[%.*s]", (int)(marks.said.at[i].end - marks.said.at[i].start),
		    out.p + marks.said.at[i].start);
	}
	buf_add(&got, (str){ out.p + at, out.n - at });
	ok(ret == 0 && str_eq(buf_str(&got), str_of(want)), source);
	if (ret < 0 || !str_eq(buf_str(&got), str_of(want)))
		printf("# %s%.*s\n", ret < 0 ? err.msg : "", STR_ARG(buf_str(&got)));
	template_marks_free(&marks);
	template_free(t);
	buf_free(&out);
	buf_free(&got);
	json_decref(m);
}

static void
test_said(void)
{
	said_is("{% set c = messages[0].content %}{{ bos_token }}<{{ c }}>", "<s><[a<b>c]>");
	said_is("<{{ messages[0].role }}>", "<user>");
	said_is("<{{ messages[1].role }}>", "<[x|>]>");
	said_is("{% set c = messages[0].content %}{{ ('<b>' + c ~ '!') * 2 }}",
	    "<b>[a<b>c]!<b>[a<b>c]!");
	said_is("{% set c = messages[0].content %}{{ c.split('<b>')|join('<b>') }}", "[a]<b>[c]");
	said_is("{% set c = messages[0].content %}{{ c[1:] + 'x'[0:] + c[::-1] }}", "[<b>c]x[c>b<a]");
	said_is("{{ messages[0].content.replace('b', 'd') }}", "[a<]d[>c]");
	said_is("{{ 'a-c'.replace('-', messages[0].content) }}", "a[a<b>c]c");
	said_is("{{ messages[0].content|upper }}{{ '<b>'|upper }}", "[A<B>C]<B>");
	said_is("{{ messages[0]|tojson }}", "{[\"role\"]: \"user\", [\"content\"]: [\"a<b>c\"], "
	    "[\"<k>\"]: [\"v\"]}");
	said_is("{% set x %}-{{ messages[0].content }}{% endset %}{{ x|indent(1, true) }}",
	    " -[a<b>c]");
	said_is("{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(messages[0].content)|trim }}",
	    "<[a<b>c]>");
	said_is("{% for k in messages[0] %}{{ k }}{% endfor %}", "[rolecontent<k>]");
	said_is("{{ '%s<b>'|format(messages[0].content) }}{{ '{}<b>'.format('x') }}",
	    "[a<b>c]<b>x<b>");
	said_is("{% filter title %}<b>{% endfilter %}{{ messages[0].content|e }}", "<B>[a&lt;b&gt;c]");
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
	hostile();
	cases(DATA "cases.json");
	test_spans();
	test_said();
	test_load();
	return tap_done();
}
