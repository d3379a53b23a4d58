/*
 * What a text of a model says, thinks and calls, in every form and however it is
 * cut; among the texts are those that people reported of llama.cpp and vLLM.
 */
#include <stdlib.h>

#include "base/rng.h"
#include "infer/grammars.h"
#include "infer/scheduler.h"
#include "serve/calls_grammar.h"
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

static const str no_format = { NULL, 0 };

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
	bool		 content, invalid;	/* arguments that are no object */
	struct buf	 arguments;
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
	t->content |= e == CALLS_CONTENT;
	if (e == CALLS_BEGIN)
		buf_reset(&t->arguments);
	else if (e == CALLS_ARGUMENTS)
		buf_add(&t->arguments, text);
	else if (e == CALLS_END)
		t->invalid |= json_scan(buf_str(&t->arguments), NULL, 0, NULL, err) < 0;
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
	    !told.torn && !told.skipped && !told.invalid;
	if (!good)
		printf("# pieces %d, cuts %d:\n# %.*s\n# and not\n# %s\n", pieces, (int)cuts,
		    STR_ARG(buf_str(&told.b)), want);
	calls_free(&c);
	buf_free(&told.b);
	buf_free(&told.arguments);
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

static void
test_thoughts(void)
{
	static const struct { const char *text; bool thinking; ptrdiff_t n; bool over; } of[] = {
		{ "", false, 0, true },
		{ "", true, 0, false },
		{ "Well.", false, 0, true },
		{ "Well. <think>x</think>", false, 0, true },
		{ " \n<think>x</think>y</think>", false, 18, true },
		{ "<think>x", false, 8, false },
		{ "x</think>y", true, 9, true },
		{ "x</thin", true, 7, false },
	};
	bool good = true, over;

	for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++) {
		str t = calls_thought(str_of(of[i].text), of[i].thinking, &over);

		good = good && t.n == of[i].n && over == of[i].over;
	}
	ok(good, "how much of a text is thoughts");
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

struct rig {
	struct tokenizer *tok;
	struct team	*team;
	struct dev	*dev;
	struct model	 m;
	struct engine	*e;
	struct scheduler *s;
	struct grammars	*g;
};

static void
rig_up(struct rig *r)
{
	struct err err;
	struct config c = { .arch = ARCH_LLAMA, .width = 8, .layers = 1, .heads = 1,
	    .kv_heads = 1, .head_dim = 8, .ffn = 8, .context = 512, .norm = NORM_RMS,
	    .pos = POS_ROPE, .act = ACT_SILU, .gated = true, .tied = true, .norm_eps = 1e-5,
	    .rope_theta = 10000, .bos = -1, .init_std = 0.3 };

	*r = (struct rig){ .tok = toytok() };
	c.vocab = tokenizer_vocab(r->tok);
	c.eos = (int32_t)c.vocab - 1;
	if ((r->team = team_new(1, &err)) == NULL ||
	    (r->dev = dev_open("cpu", r->team, 0, &err)) == NULL ||
	    model_init(&r->m, &c, r->dev, false, 1, &err) < 0 ||
	    (r->e = engine_new(&r->m, &(struct engine_options){ .seqs = 1, .kv = DTYPE_F16 },
		&err)) == NULL || (r->s = scheduler_new(r->e, r->tok, &err)) == NULL ||
	    (r->g = grammars_new(r->tok, &c, &err)) == NULL) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
}

static void
rig_down(struct rig *r)
{
	grammars_free(r->g);
	scheduler_free(r->s);
	engine_free(r->e);
	model_free(&r->m);
	dev_close(r->dev);
	team_free(r->team);
	tokenizer_free(r->tok);
}

static void
test_special(void)
{
	struct buf text = { 0 };
	struct rig r;

	rig_up(&r);
	written(r.s, tokenizer_id(r.tok, S("<think>")), false, &text);
	ok(text.n == 0, "special tokens are no text");
	written(r.s, tokenizer_id(r.tok, S("<think>")), true, &text);
	ok(str_eq(buf_str(&text), S("<think><think>")), "but when they are asked for");
	written(r.s, r.m.config.eos, true, &text);
	ok(text.n == 0, "an end of text never is");
	ok(!calls_special(CALLS_HERMES, r.tok), "marks that are plain text");
	buf_free(&text);
	rig_down(&r);
}

/* ---- forced calls ---- */

#define TOOLS	"[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{" \
    "\"properties\":{\"on\":{\"type\":\"boolean\"}},\"required\":[\"on\"]}}}," \
    "{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"parameters\":{" \
    "\"type\":\"object\",\"properties\":{\"at\":{\"enum\":[\"} \\\"x\",\"y\"]}}}}}]"

/* A text that the grammar allows, of a model that knows nothing. */
static bool
force(struct rig *rig, str gbnf, uint64_t seed, struct buf *text)
{
	const struct token_bias bias[] = { { rig->m.config.eos, 20 },
	    { tokenizer_id(rig->tok, S("</think>")), 3 } };
	const int32_t prompt = 'a';
	struct request r = { .prompt = &prompt, .n = 1, .max_tokens = 500, .special = true,
	    .sampler = { SAMPLER_DEFAULTS, .bias = bias, .n_bias = 2 }, .top = -1,
	    .write = collect, .ctx = text };
	struct err err;
	bool good;

	r.sampler.seed = seed;
	buf_reset(text);
	if ((r.constraint = grammars_hold(rig->g, GRAMMAR_GBNF, gbnf, &err)) == NULL) {
		printf("# %s\n%.*s\n", err.msg, STR_ARG(gbnf));
		return false;
	}
	good = scheduler_add(rig->s, &r, &err) == 1 && scheduler_finish(rig->s, &err) == 0;
	grammars_release(rig->g, r.constraint);
	return good;
}

static void
test_forced(void)
{
	struct buf gbnf = { 0 }, text = { 0 };
	struct rig rig;

	rig_up(&rig);
	for (int k = 0; k < 4 * CALLS_FORMATS; k++) {
		enum calls_format f = k / 4;
		bool thinking = (k & 2) != 0, good = true;
		struct calls_asked asked;
		struct err err = { 0 };
		char what[80];

		buf_reset(&gbnf);
		good = calls_ask(&asked, S(TOOLS), S("\"required\""), (k & 1) != 0 ?
		    S("false") : S("true"), &err) == 0 &&
		    calls_grammar(f, rig.tok, &asked, no_format, thinking, &gbnf, &err) == 1;
		for (uint64_t seed = 0; seed < 6 && good; seed++) {
			struct told told = { .last = -1 };
			struct calls c = { .format = f, .tools = asked.tools, .pieces = true,
			    .thoughts = true, .thinking = thinking, .tell = note, .ctx = &told };

			good = force(&rig, buf_str(&gbnf), seed, &text) &&
			    calls_feed(&c, buf_str(&text), &err) == 0 && calls_end(&c, &err) == 0 &&
			    !told.content && !told.invalid && (c.n == 1 || ((k & 1) == 0 && c.n > 1));
			if (!good)
				printf("# %s\n# %.*s\n# %.*s\n%.*s\n", err.msg, STR_ARG(buf_str(&text)),
				    STR_ARG(buf_str(&told.b)), STR_ARG(buf_str(&gbnf)));
			calls_free(&c);
			buf_free(&told.b);
			buf_free(&told.arguments);
		}
		calls_asked_free(&asked);
		snprintf(what, sizeof(what), "%s: forced%s%s", calls_format_name(f),
		    (k & 1) != 0 ? ", one" : "", thinking ? ", after thoughts" : "");
		ok(good, what);
	}
	buf_free(&gbnf);
	buf_free(&text);
	rig_down(&rig);
}

/* Is it a text of the grammar, whole? */
static bool
is_bytes(const struct grammar *g, str text)
{
	struct err err;
	struct constraint *c = constraint_new(g, NULL, &err);
	struct matcher m;
	bool good;

	if (c == NULL)
		return false;
	matcher_start(&m, c);
	good = matcher_bytes(&m, text, &err) > 0 && matcher_done(&m);
	matcher_end(&m);
	constraint_free(c);
	return good;
}

static bool
is_text(const struct grammar *g, const char *text)
{
	return is_bytes(g, str_of(text));
}

static void
test_strict(void)
{
	struct tokenizer *tok = toytok();
	struct calls_asked asked;
	struct buf b = { 0 };
	struct err err = { 0 };
	struct grammar *g = NULL;

	ok(calls_ask(&asked, S("[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":true,"
	    "\"parameters\":{\"properties\":{\"n\":{\"type\":\"integer\"}},\"required\":[\"n\"]}}}]"),
	    S("\"auto\""), S("null"), &err) == 0 &&
	    calls_grammar(CALLS_HERMES, tok, &asked, no_format, false, &b, &err) == 1 &&
	    (g = grammar_gbnf(buf_str(&b), tok, &err)) != NULL, "a strict tool is a grammar");
	ok(g != NULL && is_text(g, "") && is_text(g, "Hi, <b>: <<tool_ca <tool_call") &&
	    is_text(g, "So: <tool_call>\n{\"name\": \"f\", \"arguments\": {\"n\": 5}}\n</tool_call>"),
	    "of any text, then calls");
	ok(g != NULL && !is_text(g, "<tool_call>") &&
	    !is_text(g, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"n\": \"\"}}\n</tool_call>") &&
	    !is_text(g, "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>") &&
	    !is_text(g, "<tool_call>\n{\"name\": \"g\", \"arguments\": {\"n\": 5}}\n</tool_call>"),
	    "whose arguments are the schema's");
	ok(calls_grammar(CALLS_LLAMA, tok, &asked, no_format, false, &b, &err) == 0,
	    "where nothing marks them, any text");
	grammar_free(g);
	calls_asked_free(&asked);
	buf_reset(&b);
	ok(calls_ask(&asked, S("[{\"function\":{\"name\":\"f\",\"strict\":true,\"parameters\":"
	    "{\"properties\":{\"n\":{\"uniqueItems\":true,\"type\":\"array\"}}}}}]"), S("null"),
	    S("null"), &err) == 0 &&
	    calls_grammar(CALLS_HERMES, tok, &asked, no_format, false, &b, &err) < 0 &&
	    strstr(err.msg, "key 'tools': 'f': schema #/properties/n: 'uniqueItems'") != NULL,
	    "a strict schema that cannot be held is an error");
	calls_asked_free(&asked);
	buf_free(&b);
	tokenizer_free(tok);
}

/* As a grammar has tokens by their ids; of the toy tokenizer bytes are such. */
static void
add_token(struct buf *b, int32_t id)
{
	char mark[] = { (char)0xff, (char)(id >> 24), (char)(id >> 16), (char)(id >> 8), (char)id };

	buf_add(b, (str){ mark, 5 });
}

static void
add_tokens(struct buf *b, str text)
{
	for (ptrdiff_t i = 0; i < text.n; i++)
		add_token(b, (uint8_t)text.p[i]);
}

#define FORMAT	"{\"properties\": {\"ok\": {\"type\": \"boolean\"}},\n \"required\": [\"ok\"]," \
		" \"additionalProperties\": false}"

/* What a text is by the grammar of a format, and tools that may be called. */
static void
test_formed(void)
{
	struct tokenizer *tok = toytok();
	struct calls_asked asked = { 0 };
	struct buf b = { 0 }, text = { 0 };
	struct err err;
	struct grammar *g = NULL;

	add_tokens(&text, S("I see </a>."));
	add_token(&text, tokenizer_id(tok, S("</think>")));
	buf_add(&text, S("\n\n{\"ok\": true}"));
	ok(calls_grammar(CALLS_HERMES, tok, &asked, S(FORMAT), false, &b, &err) == 0,
	    "a format alone needs no more");
	ok(calls_grammar(CALLS_HERMES, tok, &asked, S(FORMAT), true, &b, &err) == 1 &&
	    (g = grammar_gbnf(buf_str(&b), tok, &err)) != NULL &&
	    is_bytes(g, buf_str(&text)) && !is_text(g, "{\"ok\": true}"),
	    "after thoughts it comes when they have ended");
	grammar_free(g);
	for (int f = 0; f < CALLS_FORMATS; f++) {
		char what[64];

		buf_reset(&b);
		ok(calls_ask(&asked, S("[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"),
		    S("\"auto\""), S("null"), &err) == 0 &&
		    calls_grammar(f, tok, &asked, S(FORMAT), false, &b, &err) == 1 &&
		    (g = grammar_gbnf(buf_str(&b), tok, &err)) != NULL && is_text(g, "{\"ok\": true}") &&
		    !is_text(g, "Yes.") && !is_text(g, "") && !is_text(g, "{\"ok\": 1}"),
		    (snprintf(what, sizeof(what), "%s: the format, or calls", calls_format_name(f)), what));
		grammar_free(g);
		calls_asked_free(&asked);
	}
	buf_reset(&b);
	ok(calls_ask(&asked, S("[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"), S("null"),
	    S("null"), &err) == 0 &&
	    calls_grammar(CALLS_HERMES, tok, &asked, S(FORMAT), false, &b, &err) == 1 &&
	    (g = grammar_gbnf(buf_str(&b), tok, &err)) != NULL &&
	    is_text(g, "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>") &&
	    !is_text(g, "<tool_call>\n{\"ok\": true}\n</tool_call>"), "a call is one");
	grammar_free(g);
	asked.required = true;
	buf_reset(&b);
	ok(calls_grammar(CALLS_HERMES, tok, &asked, S(FORMAT), false, &b, &err) == 1 &&
	    (g = grammar_gbnf(buf_str(&b), tok, &err)) != NULL && !is_text(g, "{\"ok\": true}"),
	    "where a call has to be, the format does not count");
	grammar_free(g);
	calls_asked_free(&asked);
	buf_free(&b);
	buf_free(&text);
	tokenizer_free(tok);
}

/* ---- what is asked ---- */

static bool
refuses(const char *tools, const char *choice, const char *parallel, const char *why)
{
	struct calls_asked a;
	struct err err = { 0 };
	bool good = calls_ask(&a, str_of(tools), str_of(choice), str_of(parallel), &err) < 0 &&
	    a.tools == NULL && strstr(err.msg, why) != NULL;

	if (!good)
		printf("# %s, not %s\n", err.msg, why);
	return good;
}

static void
test_asked(void)
{
	struct calls_asked a;
	struct err err;

	ok(calls_ask(&a, S(TOOLS), S("{\"type\":\"function\",\"function\":{\"name\":\"f\"}}"),
	    S("true"), &err) == 0 && json_array_size(a.tools) == 1 && a.required && a.single,
	    "one tool is chosen");
	calls_asked_free(&a);
	ok(calls_ask(&a, S(TOOLS), S("{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"required\","
	    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}}"), S("null"), &err) == 0 &&
	    json_array_size(a.tools) == 1 && a.required && !a.single, "some are allowed");
	calls_asked_free(&a);
	ok(calls_ask(&a, S(TOOLS), S("\"none\""), S("false"), &err) == 0 && a.tools == NULL &&
	    calls_ask(&a, S("[]"), S("\"auto\""), S("null"), &err) == 0 && a.tools == NULL,
	    "no tools");
	ok(refuses("{}", "null", "null", "key 'tools': no array") &&
	    refuses("[5]", "null", "null", "key 'tools': tool 1 is no function with a name") &&
	    refuses("[{\"function\":{\"name\":\"f\",\"parameters\":7}}]", "null", "null",
		"key 'tools': tool 1 has parameters that are no schema") &&
	    refuses(TOOLS, "\"any\"", "null", "key 'tool_choice': not none, auto, required") &&
	    refuses(TOOLS, "{\"function\":{\"name\":\"g\"}}", "null",
		"key 'tool_choice': no tool has this name") &&
	    refuses(TOOLS, "{\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[]}}", "null",
		"key 'tool_choice': no tool has this name") &&
	    refuses("null", "\"required\"", "null", "key 'tool_choice': there are no tools") &&
	    refuses(TOOLS, "null", "1", "key 'parallel_tool_calls': neither true nor false"),
	    "what is refused names its key");
}

/* The messages as a template gets them; their error. */
static bool
becomes(enum calls_format f, bool plain, const char *given, const char *want)
{
	json_t *messages = json_loads(given, 0, NULL), *tools = json_loads(plain ?
	    "[{\"function\":{\"name\":\"f\"}}]" : "[]", 0, NULL);
	struct err err = { 0 };
	char *text = NULL;
	bool good;

	if (calls_messages(messages, f, &err) == 0 &&
	    (!plain || calls_describe(messages, tools, &err) == 0))
		text = json_dumps(messages, JSON_COMPACT);
	good = strcmp(text != NULL ? text : err.msg, want) == 0;
	if (!good)
		printf("# %s\n# and not\n# %s\n", text != NULL ? text : err.msg, want);
	free(text);
	json_decref(messages);
	json_decref(tools);
	return good;
}

static void
test_messages(void)
{
	ok(becomes(CALLS_HERMES, false, "[{\"role\":\"developer\",\"content\":[{\"type\":\"text\","
	    "\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"user\",\"content\":\"\"}]",
	    "[{\"role\":\"system\",\"content\":\"a\\nb\"},{\"role\":\"user\",\"content\":\"\"}]"),
	    "parts become a text, a developer the system");
	ok(becomes(CALLS_HERMES, false, "[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{"
	    "\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
	    "\"{\\\"a\\\":1}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"call_1\",\"content\":\"5\"}]",
	    "[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"call_1\",\"type\":"
	    "\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}]},{\"role\":\"tool\","
	    "\"tool_call_id\":\"call_1\",\"content\":\"5\",\"name\":\"f\"}]"),
	    "arguments are objects, results have names");
	ok(becomes(CALLS_MISTRAL, false, "[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"123456789\","
	    "\"function\":{\"name\":\"f\",\"arguments\":\"\"}},{\"id\":\"call_1\",\"function\":{"
	    "\"name\":\"f\",\"arguments\":\"{\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"call_1\","
	    "\"content\":\"\"}]", "[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"123456789\","
	    "\"function\":{\"name\":\"f\",\"arguments\":{}}},{\"id\":\"COAmd84Y4\",\"function\":{"
	    "\"name\":\"f\",\"arguments\":\"{\"}}],\"content\":\"\"},{\"role\":\"tool\","
	    "\"tool_call_id\":\"COAmd84Y4\",\"content\":\"\",\"name\":\"f\"}]"),
	    "identifiers as Mistral's templates take them");
	ok(becomes(CALLS_JSON, true, "[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\","
	    "\"tool_calls\":[{\"id\":\"1\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},{\"role\":"
	    "\"tool\",\"tool_call_id\":\"1\",\"content\":\"5\"},{\"role\":\"user\",\"content\":\"y\"}]",
	    "[{\"role\":\"system\",\"content\":\"You can call these functions:\\n{\\\"name\\\":\\\"f\\\"}\\n"
	    "To call one, answer with JSON and nothing else: {\\\"name\\\": the function's name, "
	    "\\\"arguments\\\": an object of its parameters}. To call several, answer with an array of "
	    "these. Otherwise answer in plain text.\"},{\"role\":\"user\",\"content\":\"x\"},{\"role\":"
	    "\"assistant\",\"content\":\"{\\\"name\\\": \\\"f\\\", \\\"arguments\\\": {}}\"},{\"role\":"
	    "\"user\",\"tool_call_id\":\"1\",\"content\":\"Result of f:\\n5\\ny\",\"name\":\"f\"}]"),
	    "calls as texts, for a template without tools");
	ok(becomes(CALLS_JSON, false, "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]",
	    "key 'messages': part 1 of message 1 is no text: 'image_url' is not read") &&
	    becomes(CALLS_JSON, false, "[{\"role\":\"user\",\"content\":\"\"},{\"role\":\"user\"}]",
	    "key 'messages': message 2 has no content") &&
	    becomes(CALLS_JSON, false, "[{\"role\":\"user\",\"content\":5}]",
	    "key 'messages': message 1 has content that is neither text nor parts") &&
	    becomes(CALLS_JSON, false, "[{\"role\":\"assistant\",\"tool_calls\":[{}]}]",
	    "key 'messages': call 1 of message 1 has no function with a name") &&
	    becomes(CALLS_JSON, false, "[{}]", "key 'messages': message 1 has no role"),
	    "what is wrong is named");
}

int
main(void)
{
	test_texts();
	test_formats();
	test_thoughts();
	test_special();
	test_forced();
	test_strict();
	test_formed();
	test_asked();
	test_messages();
	return tap_done();
}
