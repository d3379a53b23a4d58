/*
 * What a text of a model says, thinks and calls, in every form and however it is
 * cut; among the texts are those that people reported of llama.cpp and vLLM.
 */
#include <stdlib.h>

#include "base/rng.h"
#include "infer/scheduler.h"
#include "serve/calls.h"
#include "../lib/toytok.h"
#include "../tap.h"

#define BAR	"\xef\xbd\x9c"
#define GAP	"\xe2\x96\x81"
#define LIST	"<" BAR "tool" GAP "calls" GAP "begin" BAR ">"
#define LISTED	"<" BAR "tool" GAP "calls" GAP "end" BAR ">"
#define CALL	"<" BAR "tool" GAP "call" GAP "begin" BAR ">"
#define SEP	"<" BAR "tool" GAP "sep" BAR ">"
#define CALLED	"<" BAR "tool" GAP "call" GAP "end" BAR ">"

static const char tools_source[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"parameters\":{}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"\xc3\xa9t\xc3\xa9\"}}]";

enum { SINGLE = 1, THOUGHTS = 2, THINKING = 4, NO_TOOLS = 8 };

/*
 * want: c content, t thoughts, b begins, a arguments, e ends, x broken, each behind
 * a line's end but the first; cut: what is told instead with arguments in pieces.
 */
static const struct text_case {
	enum calls_format f;
	int		 how;
	const char	*what, *text, *want, *cut;
} cases[] = {
	{ CALLS_HERMES, 0, "text", " Hello,\n w\xc3\xb6rld! \n", "c Hello,\n w\xc3\xb6rld! \n", NULL },
	{ CALLS_HERMES, 0, "no text", "", "", NULL },
	{ CALLS_HERMES, 0, "a call",
	    "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, {\"b\": null}]}}\n</tool_call>",
	    "b0f\na{\"a\": [1, {\"b\": null}]}\ne0", NULL },
	{ CALLS_HERMES, 0, "content, two calls, content",
	    "Let me see.\n\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n<tool_call>\n"
	    "{\"arguments\":{\"x\":1},\"name\":\"get_weather\"}</tool_call>\nDone. ",
	    "cLet me see.\nb0f\na{}\ne0\nb1get_weather\na{\"x\":1}\ne1\nc\nDone.", NULL },
	{ CALLS_HERMES, SINGLE, "one call at most",
	    "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>"
	    "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call> and so on",
	    "b0f\na{}\ne0", NULL },
	{ CALLS_HERMES, 0, "braces, quotes and marks in strings",
	    "<tool_call>{\"name\":\"f\",\"arguments\":{\"s\":\"}{]\\\"\\\\\",\"t\":\"</tool_call><tool_call>\"}}"
	    "</tool_call>",
	    "b0f\na{\"s\":\"}{]\\\"\\\\\",\"t\":\"</tool_call><tool_call>\"}\ne0", NULL },
	{ CALLS_HERMES, 0, "no arguments", "<tool_call>{\"name\": \"f\"}</tool_call>", "b0f\na{}\ne0", NULL },
	{ CALLS_HERMES, 0, "empty arguments",
	    "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>", "b0f\na{}\ne0", NULL },
	{ CALLS_HERMES, 0, "arguments of null",
	    "<tool_call>{\"name\": \"f\", \"arguments\": null}</tool_call>", "b0f\na{}\ne0", NULL },
	{ CALLS_HERMES, 0, "arguments of an empty text",
	    "<tool_call>{\"name\": \"f\", \"arguments\": \"\"}</tool_call>", "b0f\na{}\ne0", NULL },
	{ CALLS_HERMES, 0, "arguments in a string",
	    "<tool_call>{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": \\\"\\u00e9\\\"}\"}</tool_call>",
	    "b0f\na{\"a\": \"\xc3\xa9\"}\ne0", NULL },
	{ CALLS_HERMES, 0, "arguments before the name",
	    "<tool_call>{\"id\": 12.5e-1, \"parameters\": {\"q\": \"\xe6\x9d\xb1\xe4\xba\xac\"}, "
	    "\"name\": \"\xc3\xa9t\xc3\xa9\", \"x\": [{}]}</tool_call>",
	    "b0\xc3\xa9t\xc3\xa9\na{\"q\": \"\xe6\x9d\xb1\xe4\xba\xac\"}\ne0", NULL },
	{ CALLS_HERMES, 0, "a line's end in a string",
	    "<tool_call>{\"name\":\"f\",\"arguments\":{\"s\":\"a\n\tb\r\x01\"}\n}</tool_call>",
	    "b0f\na{\"s\":\"a\\n\\tb\\r\\u0001\"}\ne0", NULL },
	{ CALLS_HERMES, 0, "a name with an escape",
	    "<tool_call>{\"name\":\"\\u0066\",\"arguments\":{}}</tool_call>", "b0f\na{}\ne0", NULL },
	{ CALLS_HERMES, 0, "a brace that is missing",
	    "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":1}</tool_call> x", "b0f\na{\"a\":1}\ne0\nc x", NULL },
	{ CALLS_HERMES, 0, "a brace too many",
	    "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":1}}}</tool_call>",
	    "b0f\na{\"a\":1}\ne0\nc}</tool_call>", NULL },
	{ CALLS_HERMES, 0, "an end that is missing",
	    "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":1}}", "b0f\na{\"a\":1}\ne0", NULL },
	{ CALLS_HERMES, 0, "an array of calls",
	    "<tool_call>[{\"name\":\"f\",\"arguments\":{}}, {\"name\":\"f\"}]</tool_call>",
	    "b0f\na{}\ne0\nb1f\na{}\ne1", NULL },
	{ CALLS_HERMES, 0, "no JSON", "<tool_call> print(1) </tool_call>",
	    "c<tool_call> print(1) </tool_call>", NULL },
	{ CALLS_HERMES, 0, "no JSON, then a call",
	    "<tool_call>{name: f} <tool_call>{\"name\":\"f\",\"arguments\":{\"a\":2}}</tool_call>",
	    "c<tool_call>{name: f}\nb0f\na{\"a\":2}\ne0", NULL },
	{ CALLS_HERMES, 0, "a tool that is not there",
	    "<tool_call>{\"name\": \"g\", \"arguments\": {\"a\":1}}</tool_call>",
	    "c<tool_call>{\"name\": \"g\", \"arguments\": {\"a\":1}}</tool_call>", NULL },
	{ CALLS_HERMES, 0, "no name", "<tool_call>{\"arguments\": {\"a\":1}}</tool_call>",
	    "c<tool_call>{\"arguments\": {\"a\":1}}</tool_call>", NULL },
	{ CALLS_HERMES, 0, "arguments that are no object",
	    "<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>",
	    "c<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>", NULL },
	{ CALLS_HERMES, 0, "arguments that break",
	    "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 01, \"b\":2}}</tool_call>",
	    "c<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 01, \"b\":2}}</tool_call>",
	    "b0f\na{\"a\": 0\nx0\nc1, \"b\":2}}</tool_call>" },
	{ CALLS_HERMES, 0, "arguments that are cut short",
	    "So: <tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"b \xc3\xa9",
	    "cSo: <tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"b \xc3\xa9",
	    "cSo:\nb0f\na{\"a\": \"b \xc3\xa9\nx0" },
	{ CALLS_HERMES, 0, "a mark that is cut short", "So: <tool_ca", "cSo: <tool_ca", NULL },
	{ CALLS_HERMES, 0, "what looks like a mark", "a < b, <tool_calm> <tool_call",
	    "ca < b, <tool_calm> <tool_call", NULL },
	{ CALLS_HERMES, 0, "a name that is cut short", "<tool_call>{\"name\": \"f\"",
	    "c<tool_call>{\"name\": \"f\"", NULL },
	{ CALLS_HERMES, NO_TOOLS, "without tools all is content",
	    "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>",
	    "c<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>", NULL },
	{ CALLS_HERMES, THOUGHTS, "thoughts",
	    "<think>\nHm, \xe2\x82\xac <b> <tool_call>{}\n</think>\n\nYes. </think>",
	    "tHm, \xe2\x82\xac <b> <tool_call>{}\ncYes. </think>", NULL },
	{ CALLS_HERMES, THOUGHTS, "thoughts, then a call",
	    "\n<think>Hm</think>\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n",
	    "tHm\nb0f\na{}\ne0", NULL },
	{ CALLS_HERMES, THOUGHTS, "no thoughts", "<think>\n\n</think>\n\nYes <think>", "cYes <think>", NULL },
	{ CALLS_HERMES, THOUGHTS | THINKING, "thoughts that the prompt began",
	    "\nHm\n</think>\nYes", "tHm\ncYes", NULL },
	{ CALLS_HERMES, THOUGHTS | THINKING | NO_TOOLS, "thoughts that do not end", "Hm </thin", "tHm </thin", NULL },
	{ CALLS_HERMES, 0, "thoughts that are content", "<think>Hm</think>Yes", "c<think>Hm</think>Yes", NULL },

	{ CALLS_LLAMA, 0, "a call", "{\"name\": \"f\", \"parameters\": {\"a\": \"b\"}}",
	    "b0f\na{\"a\": \"b\"}\ne0", NULL },
	{ CALLS_LLAMA, 0, "behind a mark",
	    "<|python_tag|>{\"type\": \"function\", \"name\": \"f\", \"parameters\": {}}", "b0f\na{}\ne0", NULL },
	{ CALLS_LLAMA, 0, "two calls",
	    "{\"name\": \"f\", \"parameters\": {}}; {\"name\": \"get_weather\", \"parameters\": {\"a\":1}}",
	    "b0f\na{}\ne0\nb1get_weather\na{\"a\":1}\ne1", NULL },
	{ CALLS_LLAMA, 0, "calls in lines",
	    "{\"name\": \"f\", \"parameters\": {}}\n{\"name\": \"f\", \"parameters\": {}}\nOK",
	    "b0f\na{}\ne0\nb1f\na{}\ne1\nc\nOK", NULL },
	{ CALLS_LLAMA, 0, "code", "<|python_tag|>f.call(x=1)", "c<|python_tag|>f.call(x=1)", NULL },
	{ CALLS_LLAMA, 0, "JSON that is content",
	    "{\"name\": \"Ada\", \"age\": 36}", "c{\"name\": \"Ada\", \"age\": 36}", NULL },
	{ CALLS_LLAMA, 0, "JSON with a tool's name", "{\"name\": \"f\"}", "c{\"name\": \"f\"}", NULL },
	{ CALLS_LLAMA, 0, "JSON in content", "So {\"name\": \"f\", \"parameters\": {}}",
	    "cSo {\"name\": \"f\", \"parameters\": {}}", NULL },
	{ CALLS_LLAMA, 0, "braces", "{}", "c{}", NULL },
	{ CALLS_JSON, 0, "a call", " {\"name\": \"f\", \"arguments\": {\"a\": 1}} ", "b0f\na{\"a\": 1}\ne0", NULL },
	{ CALLS_JSON, 0, "an array of calls",
	    "[{\"name\": \"f\", \"arguments\": {}},\n {\"function\": \"f\", \"arguments\": {\"a\": 1}}]",
	    "b0f\na{}\ne0\nb1f\na{\"a\": 1}\ne1", NULL },
	{ CALLS_JSON, 0, "an empty array", "[]", "c[]", NULL },
	{ CALLS_JSON, 0, "a link", "[1] says so", "c[1] says so", NULL },
	{ CALLS_JSON, 0, "an array that breaks", "[{\"name\": \"f\", \"arguments\": {}}, 5]",
	    "b0f\na{}\ne0\nc5]", NULL },

	{ CALLS_MISTRAL, 0, "two calls",
	    "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": 1}, \"id\": \"123456789\"}, "
	    "{\"name\": \"f\", \"arguments\": {}}]", "b0f\na{\"a\": 1}\ne0\nb1f\na{}\ne1", NULL },
	{ CALLS_MISTRAL, 0, "content, then a call",
	    "Well [x]:\n[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\": 1}}]",
	    "cWell [x]:\nb0f\na{\"a\": 1}\ne0", NULL },
	{ CALLS_MISTRAL_ARGS, 0, "calls",
	    "[TOOL_CALLS]f[ARGS]{\"a\": \"[ARGS]\"}[TOOL_CALLS]get_weather[CALL_ID]abcdefghi[ARGS] {}",
	    "b0f\na{\"a\": \"[ARGS]\"}\ne0\nb1get_weather\na{}\ne1", NULL },
	{ CALLS_MISTRAL_ARGS, 0, "no name", "[TOOL_CALLS]the tools[ARGS]{}", "c[TOOL_CALLS]the tools[ARGS]{}", NULL },
	{ CALLS_MISTRAL_ARGS, 0, "no arguments", "[TOOL_CALLS]f[ARGS]5", "c[TOOL_CALLS]f[ARGS]5", NULL },
	{ CALLS_FUNCTION, 0, "calls",
	    "<function=f>{\"a\": 1}</function><function=get_weather>{}</function>",
	    "b0f\na{\"a\": 1}\ne0\nb1get_weather\na{}\ne1", NULL },
	{ CALLS_PHI, 0, "a call", "<|tool_call|>[{\"name\": \"f\", \"arguments\": {}}]<|/tool_call|>",
	    "b0f\na{}\ne0", NULL },
	{ CALLS_DEEPSEEK, 0, "two calls",
	    "Hm." LIST CALL "function" SEP "f\n```json\n{\"a\": 1}\n```" CALLED "\n"
	    CALL "function" SEP "get_weather\n```json\n{}\n```" CALLED LISTED,
	    "cHm.\nb0f\na{\"a\": 1}\ne0\nb1get_weather\na{}\ne1", NULL },
	{ CALLS_DEEPSEEK_31, THOUGHTS, "two calls",
	    "<think>x</think>" LIST CALL "f" SEP "{\"a\": 1}" CALLED CALL "f" SEP "{}" CALLED LISTED,
	    "tx\nb0f\na{\"a\": 1}\ne0\nb1f\na{}\ne1", NULL },
	{ CALLS_DEEPSEEK_31, 0, "a bar", "a " BAR " b <" BAR, "ca " BAR " b <" BAR, NULL },
};

struct told {
	struct buf	 b;
	int		 last;
	bool		 torn, skipped;	/* characters, indices of calls */
	int		 n;
};

static int
note(void *ctx, enum calls_event e, int index, str text, struct err *err)
{
	struct told *t = ctx;
	bool more = e == CALLS_CONTENT || e == CALLS_THOUGHT || e == CALLS_ARGUMENTS;

	t->torn |= utf8_bad(text) >= 0 || (more && text.n == 0);
	t->skipped |= e > CALLS_THOUGHT && index != t->n;
	t->n += e == CALLS_END || e == CALLS_BROKEN;
	if (!more || t->last != (int)e) {
		if (t->b.n > 0)
			buf_byte(&t->b, '\n');
		buf_byte(&t->b, "ctbaex"[e]);
		if (!more)
			buf_fmt(&t->b, "%d", index);
	}
	t->last = (int)e;
	buf_add(&t->b, text);
	return buf_ok(&t->b, err);
}

/* cuts: 0 whole, 1 bytes, else pieces at random */
static bool
reads(const struct text_case *k, const json_t *tools, bool pieces, uint64_t cuts)
{
	const char *want = pieces && k->cut != NULL ? k->cut : k->want;
	struct told told = { .last = -1 };
	struct calls c = { .format = k->f, .tools = (k->how & NO_TOOLS) != 0 ? NULL : tools,
	    .single = (k->how & SINGLE) != 0, .thoughts = (k->how & THOUGHTS) != 0,
	    .thinking = (k->how & THINKING) != 0, .pieces = pieces, .tell = note, .ctx = &told };
	str text = str_of(k->text);
	struct err err;
	bool good = true;

	for (uint64_t i = 0; text.n > 0 && good; i++) {
		ptrdiff_t n = cuts == 0 ? text.n : cuts == 1 ? 1 :
		    1 + (ptrdiff_t)rng_below(cuts, 0, i, 12);

		n = n < text.n ? n : text.n;
		/* What is passed is no string, and is gone afterwards. */
		char *piece = malloc((size_t)n);

		memcpy(piece, text.p, (size_t)n);
		good = calls_feed(&c, (str){ piece, n }, &err) == 0;
		free(piece);
		text.p += n;
		text.n -= n;
	}
	good = good && calls_end(&c, &err) == 0 && str_eq(buf_str(&told.b), str_of(want)) &&
	    !told.torn && !told.skipped;
	if (!good)
		printf("# pieces %d, cuts %d:\n# %.*s\n# and not\n# %s\n", pieces, (int)cuts,
		    STR_ARG(buf_str(&told.b)), want);
	calls_free(&c);
	buf_free(&told.b);
	return good;
}

static void
test_texts(void)
{
	json_t *tools = json_loads(tools_source, 0, NULL);

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct text_case *k = &cases[i];
		char what[120];
		bool good = true;

		for (uint64_t cuts = 0; cuts < 12 && good; cuts++)
			good = reads(k, tools, false, cuts) && reads(k, tools, true, cuts);
		snprintf(what, sizeof(what), "%s: %s", calls_format_name(k->f), k->what);
		ok(good, what);
	}
	json_decref(tools);
}

static void
test_formats(void)
{
	static const struct { const char *source; enum calls_format f; } of[] = {
		{ "{%- for tool_call in message.tool_calls %}{{- '<tool_call>\\n{\"name\": \"' }}",
		    CALLS_HERMES },
		{ "{%- if builtin_tools %}{{- \"<|python_tag|>\" + tool_call.name + \".call(\" }}",
		    CALLS_LLAMA },
		{ "{{- '{\"name\": \"' + tool_call.name + '\", ' }}{{- '\"parameters\": ' }}", CALLS_LLAMA },
		{ "{{- \"[TOOL_CALLS] [\" }}", CALLS_MISTRAL },
		{ "{{- '[TOOL_CALLS]' + name + '[ARGS]' + arguments }}", CALLS_MISTRAL_ARGS },
		{ "{{ '<function=' + tool_call['function']['name'] + '>' }}", CALLS_FUNCTION },
		{ "{{'" LIST CALL "' + tool['type'] + '" SEP "' + name + '\\n' + '```json'}}", CALLS_DEEPSEEK },
		{ "{{'" LIST CALL "' + name + '" SEP "'}}", CALLS_DEEPSEEK_31 },
		{ "{{'<|im_start|>' + message['role'] + '\n' + message['content']}}", CALLS_JSON },
		{ "", CALLS_JSON },
	};
	bool good = true;

	for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++)
		good = good && calls_format(str_of(of[i].source)) == of[i].f;
	ok(good, "forms are told by templates");
	ok(calls_begins_thinking(S("<|im_start|>assistant\n<think>\n")) &&
	    !calls_begins_thinking(S("<think>\n\n</think>\n\n")) && !calls_begins_thinking(S("")),
	    "prompts that begin thoughts");
}

/* ---- special tokens are text when they are asked for ---- */

static int
collect(void *ctx, str text, struct err *err)
{
	buf_add(ctx, text);
	return buf_ok(ctx, err);
}

static void
written(struct scheduler *s, int32_t id, bool special, struct buf *text)
{
	const struct token_bias bias = { id, 1000 };
	const int32_t prompt = 'a';
	struct request r = { .prompt = &prompt, .n = 1, .max_tokens = 2, .special = special,
	    .sampler = { SAMPLER_DEFAULTS, .bias = &bias, .n_bias = 1 }, .top = -1,
	    .write = collect, .ctx = text };
	struct err err;

	buf_reset(text);
	if (scheduler_add(s, &r, &err) < 1 || scheduler_finish(s, &err) < 0)
		printf("Bail out! %s\n", err.msg);
}

static void
test_special(void)
{
	struct tokenizer *tok = toytok();
	struct err err;
	struct config c = { .arch = ARCH_LLAMA, .vocab = tokenizer_vocab(tok), .width = 8,
	    .layers = 1, .heads = 1, .kv_heads = 1, .head_dim = 8, .ffn = 8, .context = 16,
	    .norm = NORM_RMS, .pos = POS_ROPE, .act = ACT_SILU, .gated = true, .tied = true,
	    .norm_eps = 1e-5, .rope_theta = 10000, .bos = -1, .eos = tokenizer_vocab(tok) - 1,
	    .init_std = 0.3 };
	struct team *team = team_new(1, &err);
	struct dev *dev = team == NULL ? NULL : dev_open("cpu", team, 0, &err);
	struct engine *e = NULL;
	struct scheduler *s = NULL;
	struct buf text = { 0 };
	struct model m = { 0 };

	if (dev == NULL || model_init(&m, &c, dev, false, 1, &err) < 0 ||
	    (e = engine_new(&m, &(struct engine_options){ .seqs = 1, .kv = DTYPE_F16 },
		&err)) == NULL || (s = scheduler_new(e, tok, &err)) == NULL) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	written(s, tokenizer_id(tok, S("<think>")), false, &text);
	ok(text.n == 0, "special tokens are no text");
	written(s, tokenizer_id(tok, S("<think>")), true, &text);
	ok(str_eq(buf_str(&text), S("<think><think>")), "but when they are asked for");
	written(s, c.eos, true, &text);
	ok(text.n == 0, "an end of text never is");
	ok(!calls_special(CALLS_HERMES, tok), "marks that are plain text");
	buf_free(&text);
	scheduler_free(s);
	engine_free(e);
	model_free(&m);
	dev_close(dev);
	team_free(team);
	tokenizer_free(tok);
}

int
main(void)
{
	test_texts();
	test_formats();
	test_special();
	return tap_done();
}
