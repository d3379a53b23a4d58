#include "infer/emit.h"

/* The longest end of text that could be the beginning of the stop text. */
static ptrdiff_t
held_back(str text, str stop)
{
	ptrdiff_t n = text.n < stop.n - 1 ? text.n : stop.n - 1;

	for (; n > 0; n--)
		if (memcmp(text.p + text.n - n, stop.p, (size_t)n) == 0)
			return n;
	return 0;
}

/* Hand on what is decoded, up to a stop text or what may become one. */
static int
flush(struct emit *t, bool last, struct err *err)
{
	str text = buf_str(&t->text);
	ptrdiff_t keep = 0, end = text.n;
	bool met;

	if (buf_ok(&t->text, err) < 0)
		return -1;
	for (int64_t i = 0; i < t->n_stop && text.n > 0; i++) {
		str stop = t->stop[i];
		const char *at = memmem(text.p, (size_t)text.n, stop.p, (size_t)stop.n);
		ptrdiff_t held = last ? 0 : held_back(text, stop);

		if (at != NULL && at - text.p < end)
			end = at - text.p;
		keep = held > keep ? held : keep;
	}
	met = end < text.n;
	text.n = met ? end : end - keep;
	if (text.n > 0 && t->write(t->ctx, text, err) < 0)
		return -1;
	t->written += text.n;
	if (met)
		return 1;
	if (keep > 0)
		memmove(t->text.p, text.p + text.n, (size_t)keep);
	t->text.n = keep;
	return 0;
}

int
emit_token(struct emit *t, int32_t id, struct err *err)
{
	if (decode(t->tok, &t->decoder, &id, 1, &t->text, err) < 0)
		return -1;
	return flush(t, false, err);
}

int
emit_end(struct emit *t, struct err *err)
{
	if (decode_end(&t->decoder, &t->text, err) < 0)
		return -1;
	return flush(t, true, err);
}

void
emit_free(struct emit *t)
{
	buf_free(&t->text);
}
