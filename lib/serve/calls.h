/*
 * calls - from the text of a model to what it says, thinks and calls
 *
 * Models write calls of tools as text, each family in a form of its own, which is
 * told by the source of its chat template.  A reader takes the text in pieces and
 * tells what it is: content, thoughts, and calls with their arguments, as soon as
 * that is sure.  How the text is cut never changes what is told, but for where
 * content, thoughts and arguments are cut; these are in whole characters.
 *
 * What is no call is content, with the marks around it: broken JSON, a tool that
 * is not there, arguments that are no object.  White space beside a mark is the
 * form's and is not told.  A control character in a string of the arguments, which
 * models write and JSON forbids, is told as its escape.
 */
#ifndef SERVE_CALLS_H
#define SERVE_CALLS_H

#include "base/json.h"

enum calls_format {
	CALLS_JSON, /* {"name": ..., "arguments": {...}} and nothing else */
	CALLS_HERMES, /* <tool_call>{...}</tool_call>: Hermes, Qwen, SmolLM3 */
	CALLS_LLAMA, /* {"name": ..., "parameters": {...}}: Llama 3 */
	CALLS_MISTRAL, /* [TOOL_CALLS][{...}] */
	CALLS_MISTRAL_ARGS, /* [TOOL_CALLS]name[ARGS]{...}: since 2025 */
	CALLS_FUNCTION, /* <function=name>{...}</function>: Functionary */
	CALLS_PHI, /* <|tool_call|>[{...}]<|/tool_call|> */
	CALLS_DEEPSEEK, /* V3 and R1, with their code fences */
	CALLS_DEEPSEEK_31, /* V3.1, without */
	CALLS_FORMATS
};

/* "json", "hermes" and so on. */
const char *calls_format_name(enum calls_format f);

/* That of a model whose chat template has this source. */
enum calls_format calls_format(str source);

/* Ends the prompt in the middle of thoughts, so that the text begins with them? */
bool calls_begins_thinking(str prompt);

/* What a text begins with of thoughts, with their marks; *over: they have ended. */
str calls_thought(str text, bool thinking, bool *over);

/* Has the form a mark that this tokenizer has as a special token?  request.special then. */
struct tokenizer;
bool calls_special(enum calls_format f, const struct tokenizer *tok);

enum { CALLS_NAME_MAX = 256, CALLS_TEXT_MAX = 4 << 20 }; /* bytes of a name, of a call */

enum calls_event {
	CALLS_CONTENT,
	CALLS_THOUGHT,
	CALLS_BEGIN, /* a call; the text is its tool's name */
	CALLS_ARGUMENTS, /* a piece of them: all pieces together are a JSON object */
	CALLS_END,
	CALLS_BROKEN /* it ends, and its arguments are cut short */
};

/* The struct is the caller's; calls_free() gives memory back. */
struct calls {
	enum calls_format format;
	const json_t *tools; /* array, as a client gave it; NULL: all is content */
	bool single; /* what follows the first call is dropped */
	/*
	 * Tell arguments as they come.  Without it a call is told when it is whole,
	 * and one that is not is content; with it, one that has begun is BROKEN.
	 */
	bool pieces;
	bool thoughts; /* <think>...</think> at the start is no content */
	bool thinking; /* and the text begins within */
	/* index: of the call, from 0.  0 or -1. */
	int (*tell)(void *ctx, enum calls_event e, int index, str text, struct err *err);
	void *ctx;
	/* zeros at first */
	struct buf held;
	ptrdiff_t start, at; /* of it: not told from here on, and read up to here */
	int state;
	int n; /* calls that have begun */
	bool thought; /* thoughts have ended */
	bool started; /* content has begun */
	bool trim; /* white space that follows is not told */
	bool over; /* no more is told */
	struct calls_json { /* where in a value a byte is */
		uint64_t arrays[JSON_DEPTH / 64]; /* a bit a level */
		int depth, at;
		const char *rest; /* of a word, or of its hexadecimal digits */
		bool key;
	} json;
	struct calls_one { /* a call that is being read */
		int depth; /* of its members */
		int member; /* which it is at */
		ptrdiff_t from; /* of held: its key or value */
		bool bare; /* without a mark */
		bool inside; /* the arguments */
		bool named, given, begun, told;
	} one;
	struct buf name, arguments;
};

int calls_feed(struct calls *c, str text, struct err *err);
int calls_end(struct calls *c, struct err *err); /* no more follows */
void calls_free(struct calls *c);

#endif
