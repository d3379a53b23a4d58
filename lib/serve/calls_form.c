#include "serve/calls_impl.h"
#include "token/tokenizer.h"

/* DeepSeek's marks have wide bars and U+2581. */
#define BAR "\xef\xbd\x9c"
#define GAP "\xe2\x96\x81"
#define MARK(words) \
	{ \
		"<" BAR words BAR ">", sizeof("<" BAR words BAR ">") - 1 \
	}
#define DEEPSEEK_LIST MARK("tool" GAP "calls" GAP "begin")
#define DEEPSEEK_END MARK("tool" GAP "calls" GAP "end")
#define DEEPSEEK_CALL "<" BAR "tool" GAP "call" GAP "begin" BAR ">"
#define DEEPSEEK_SEP "<" BAR "tool" GAP "sep" BAR ">"
#define DEEPSEEK_CALL_END "<" BAR "tool" GAP "call" GAP "end" BAR ">"
#define TEXT(lit) \
	{ \
		lit, sizeof(lit) - 1 \
	}

const struct calls_form calls_forms[CALLS_FORMATS] = {
	[CALLS_JSON] = { .name = "json", .parameters = "arguments", .bare = true },
	[CALLS_HERMES] = { .name = "hermes",
	    .open = TEXT("<tool_call>"),
	    .close = TEXT("</tool_call>"),
	    .parameters = "arguments" },
	[CALLS_LLAMA] = { .name = "llama",
	    .open = TEXT("<|python_tag|>"),
	    .parameters = "parameters",
	    .bare = true },
	[CALLS_MISTRAL] = { .name = "mistral",
	    .open = TEXT("[TOOL_CALLS]"),
	    .args = TEXT("[ARGS]"),
	    .parameters = "arguments",
	    .array = true },
	[CALLS_MISTRAL_ARGS] = { .name = "mistral-args",
	    .open = TEXT("[TOOL_CALLS]"),
	    .args = TEXT("[ARGS]") },
	[CALLS_FUNCTION] = { .name = "function",
	    .open = TEXT("<function="),
	    .args = TEXT(">"),
	    .close = TEXT("</function>") },
	[CALLS_PHI] = { .name = "phi",
	    .open = TEXT("<|tool_call|>"),
	    .close = TEXT("<|/tool_call|>"),
	    .parameters = "arguments",
	    .array = true },
	[CALLS_DEEPSEEK] = { .name = "deepseek",
	    .list = DEEPSEEK_LIST,
	    .list_end = DEEPSEEK_END,
	    .open = TEXT(DEEPSEEK_CALL "function" DEEPSEEK_SEP),
	    .args = TEXT("\n```json\n"),
	    .close = TEXT("```" DEEPSEEK_CALL_END) },
	[CALLS_DEEPSEEK_31] = { .name = "deepseek-3.1",
	    .list = DEEPSEEK_LIST,
	    .list_end = DEEPSEEK_END,
	    .open = TEXT(DEEPSEEK_CALL),
	    .args = TEXT(DEEPSEEK_SEP),
	    .close = TEXT(DEEPSEEK_CALL_END) },
};

const char *
calls_format_name(enum calls_format f)
{
	return calls_forms[f].name;
}

static bool
has(str s, str word)
{
	return s.n > 0 && memmem(s.p, (size_t)s.n, word.p, (size_t)word.n) != NULL;
}

enum calls_format
calls_format(str source)
{
	static const str deepseek_list = DEEPSEEK_LIST;

	if (has(source, deepseek_list))
		return has(source, S("```json")) ? CALLS_DEEPSEEK : CALLS_DEEPSEEK_31;
	if (has(source, S("[TOOL_CALLS]")))
		return has(source, S("[ARGS]")) ? CALLS_MISTRAL_ARGS : CALLS_MISTRAL;
	if (has(source, S("<|tool_call|>")))
		return CALLS_PHI;
	if (has(source, S("<tool_call>")))
		return CALLS_HERMES;
	if (has(source, S("<function=")))
		return CALLS_FUNCTION;
	if (has(source, S("<|python_tag|>")) ||
	    (has(source, S("tool")) && has(source, S("\"parameters\": "))))
		return CALLS_LLAMA;
	return CALLS_JSON;
}

bool
calls_begins_thinking(str prompt)
{
	return str_ends(str_trim(prompt), S("<think>"));
}

str
calls_thought(str text, bool thinking, bool *over)
{
	str begins = str_trim(text), end = S("</think>");
	const char *at;

	*over = true;
	if (!thinking && !str_starts(begins, S("<think>")))
		return (str){ text.p, 0 };
	at = text.n > 0 ? memmem(text.p, (size_t)text.n, end.p, (size_t)end.n) : NULL;
	*over = at != NULL;
	return at == NULL ? text : (str){ text.p, at + end.n - text.p };
}

bool
calls_special(enum calls_format f, const struct tokenizer *tok)
{
	const struct calls_form *form = &calls_forms[f];
	const str mark[] = { form->open, form->args, form->close, form->list };
	/* DeepSeek's are several tokens. */
	static const str call = TEXT(DEEPSEEK_CALL);
	int32_t id = tokenizer_id(tok, call);

	if (form->list.n > 0 && id >= 0 && tokenizer_is_special(tok, id))
		return true;
	for (int i = 0; i < 4; i++) {
		id = mark[i].n > 0 ? tokenizer_id(tok, mark[i]) : -1;
		if (id >= 0 && tokenizer_is_special(tok, id))
			return true;
	}
	return false;
}
