/*
 * Any bytes as what a model wrote, behind a byte that says how it is read: the same is
 * told however they are cut, and arguments of whole calls are JSON objects.
 */
#include <stdlib.h>

#include "serve/calls.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char tools_source[] = "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]";

struct told {
	struct buf	 all, arguments;
	int		 last;
	bool		 checked;
};

static int
note(void *ctx, enum calls_event e, int index, str text, struct err *err)
{
	struct told *t = ctx;

	if (t->last != (int)e || e == CALLS_BEGIN)
		buf_fmt(&t->all, "\n%d %d ", (int)e, index);
	t->last = (int)e;
	buf_add(&t->all, text);
	if (e == CALLS_BEGIN)
		buf_reset(&t->arguments);
	if (e == CALLS_ARGUMENTS)
		buf_add(&t->arguments, text);
	if (t->checked && (utf8_bad(text) >= 0 || (e == CALLS_END &&
	    json_scan(buf_str(&t->arguments), NULL, 0, NULL, err) < 0)))
		abort();
	return buf_ok(&t->all, err);
}

static void
told(struct told *t, int how, const json_t *tools, str text, ptrdiff_t most)
{
	struct calls c = { .format = how % CALLS_FORMATS, .tools = tools, .pieces = (how & 64) != 0,
	    .thoughts = (how & 128) != 0, .tell = note, .ctx = t };
	struct err err;

	*t = (struct told){ .last = -1, .checked = utf8_bad(text) < 0 };
	while (text.n > 0) {
		str piece = { text.p, text.n < most ? text.n : most };

		if (calls_feed(&c, piece, &err) < 0)
			abort();
		text.p += piece.n;
		text.n -= piece.n;
	}
	if (calls_end(&c, &err) < 0)
		abort();
	calls_free(&c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	json_t *tools = json_loads(tools_source, 0, NULL);
	str text = { (const char *)p + 1, (ptrdiff_t)n - 1 };
	struct told whole, cut;

	if (n > 0) {
		told(&whole, p[0], tools, text, text.n);
		told(&cut, p[0], tools, text, 1 + (p[0] & 7) * 2);
		if (!str_eq(buf_str(&whole.all), buf_str(&cut.all)))
			abort();
		buf_free(&whole.all);
		buf_free(&whole.arguments);
		buf_free(&cut.all);
		buf_free(&cut.arguments);
	}
	json_decref(tools);
	return 0;
}
