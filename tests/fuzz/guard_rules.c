/*
 * Any bytes as a file of rules, and as a text for them: in pieces it becomes what it becomes
 * whole.  What takes too many steps does so at other places when it is cut otherwise.
 */
#include <stdint.h>
#include <stdlib.h>

#include "serve/guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static int
pieces(struct guards *g, str text, ptrdiff_t step, struct buf *out, struct buf *verdict,
    struct err *err)
{
	struct guard_stream *s = guard_stream_new(g, GUARD_RESPONSE, err);
	int ret = 0;

	for (ptrdiff_t at = 0; at < text.n && ret == 0; at += step)
		ret = guard_stream_write(s, (str){ text.p + at, step < text.n - at ? step :
		    text.n - at }, out, err);
	if (ret == 0)
		ret = guard_stream_end(s, out, err);
	guard_stream_verdict(s, verdict);
	guard_stream_free(s);
	return ret;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	str file = { (const char *)p, (ptrdiff_t)n };
	struct err err = { 0 };
	struct guards *g = guards_parse(file, "rules", &err);

	if (g == NULL && (err.code == ERR_NONE || err.msg[0] == '\0'))
		abort();
	if (g != NULL && n < 4096 && !guards_hold(g, GUARD_RESPONSE)) {
		struct buf a = { 0 }, b = { 0 }, va = { 0 }, vb = { 0 };
		int whole = pieces(g, file, file.n, &a, &va, &err);
		int cut = pieces(g, file, 1 + file.n / 7, &b, &vb, &err);

		if (memmem(va.p, (size_t)va.n, "\"error\"", 7) == NULL &&
		    memmem(vb.p, (size_t)vb.n, "\"error\"", 7) == NULL && (whole != cut ||
		    !str_eq(buf_str(&a), buf_str(&b)) || !str_eq(buf_str(&va), buf_str(&vb))))
			abort();
		buf_free(&a);
		buf_free(&b);
		buf_free(&va);
		buf_free(&vb);
	}
	guards_free(g);
	return 0;
}
