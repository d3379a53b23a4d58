#include "text/normalize.h"

#include <stdbool.h>

#define BLOCK 64

/* C1 controls are CP1252 text that was read as Latin-1; 0 is removed. */
static const uint16_t c1_means[32] = {
	0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
	0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017d, 0,
	0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
	0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178,
};

/* What tidying does with a character above ASCII. */
enum fate { FATE_STAYS, FATE_GOES, FATE_BLANK, FATE_LINE, FATE_PARAGRAPH, FATE_C1 };

static enum fate
fate_of(int32_t c)
{
	if (c < 0xa0)
		return FATE_C1;
	if (c == 0xa0)
		return FATE_BLANK;
	if (c == 0xad)
		return FATE_GOES;
	if (c < 0x1680)
		return FATE_STAYS;
	if (c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f ||
	    c == 0x3000)
		return FATE_BLANK;
	if (c == 0x2028)
		return FATE_LINE;
	if (c == 0x2029)
		return FATE_PARAGRAPH;
	if (c == 0x200b || c == 0x2060 || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
	    (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef))
		return FATE_GOES;
	return FATE_STAYS;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* What a block has, by a loop without branches that the compiler vectorizes. */
#define HAS_FAULT	1	/* surely not tidy */
#define HAS_BLANKS	2	/* a blank before a blank or a line end */
#define HAS_HIGH	4	/* starts of characters above ASCII that may not stay */

static unsigned
look(const unsigned char *x)	/* (BLOCK + 2) */
{
	unsigned char fault = 0, blanks = 0, high = 0;

	for (int k = 0; k < BLOCK; k++) {
		unsigned char a = x[k], b = x[k + 1];
		unsigned char blank = (unsigned char)((a == ' ') | (a == '\t'));
		unsigned char next = (unsigned char)((b == ' ') | (b == '\t') | (b == '\n'));

		fault |= (unsigned char)((a < ' ') & (a != '\n') & (a != '\t'));
		fault |= a == 0x7f;
		fault |= (unsigned char)((a == '\n') & (b == '\n') & (x[k + 2] == '\n'));
		blanks |= blank & next;
	}
	for (int k = 0; k < BLOCK; k++) {
		unsigned char a = x[k], b = x[k + 1], c = x[k + 2];

		/* C1, U+00A0, U+00AD; U+1680; U+2000..200B, U+2028.., U+205F.. */
		high |= (unsigned char)((a == 0xc2) & ((b <= 0xa0) | (b == 0xad)));
		high |= (unsigned char)((a == 0xe1) & (b == 0x9a));
		high |= (unsigned char)((a == 0xe2) & (b == 0x80) & ((c < 0x90) | (c >= 0xa8)));
		high |= (unsigned char)((a == 0xe2) & (b == 0x81));
		/* U+3000; U+FDD0.., U+FEFF, U+FFF9..; noncharacters elsewhere */
		high |= (unsigned char)((a == 0xe3) & (b == 0x80) & (c == 0x80));
		high |= (unsigned char)((a == 0xef) & ((b == 0xb7) | (b == 0xbb) | (b == 0xbf)));
		high |= (unsigned char)((a == 0xbf) & ((b == 0xbe) | (b == 0xbf)));
	}
	return (fault ? HAS_FAULT : 0) | (blanks ? HAS_BLANKS : 0) | (high ? HAS_HIGH : 0);
}

/* Only indentation has runs of blanks in text[from, to)?  *seen: checked so far. */
static bool
blanks_indent(str text, ptrdiff_t from, ptrdiff_t to, ptrdiff_t *seen)
{
	const char *p = text.p;

	for (ptrdiff_t i = from > *seen ? from : *seen; i < to;) {
		ptrdiff_t e = i;

		if (!is_blank(p[i])) {
			i++;
			continue;
		}
		while (e < text.n && is_blank(p[e]))
			e++;
		if (e == text.n || p[e] == '\n')
			return false;
		if (e - i > 1 && i > 0 && p[i - 1] != '\n')
			return false;
		i = e;
		*seen = e;
	}
	return true;
}

static bool
high_stays(str text, ptrdiff_t from, ptrdiff_t to)
{
	const char *p = text.p + from, *end = text.p + text.n, *stop = text.p + to;

	/* The character that the block starts in may have begun before it. */
	while (p > text.p && ((unsigned char)*p & 0xc0) == 0x80)
		p--;
	while (p < stop) {
		int32_t c = utf8_next(&p, end);

		if (c >= 0x80 && fate_of(c) != FATE_STAYS)
			return false;
	}
	return true;
}

static bool
is_tidy(str text)
{
	const unsigned char *p = (const unsigned char *)text.p;
	unsigned char tail[BLOCK + 2];
	ptrdiff_t seen = 0;

	if (text.n == 0)
		return true;
	if (p[0] == '\n' || is_blank(text.p[text.n - 1]) || str_ends(text, S("\n\n")))
		return false;
	for (ptrdiff_t i = 0; i < text.n; i += BLOCK) {
		ptrdiff_t to = i + BLOCK < text.n ? i + BLOCK : text.n;
		unsigned has;

		if (i + BLOCK + 2 <= text.n) {
			has = look(p + i);
		} else {
			memset(tail, 'x', sizeof(tail));
			memcpy(tail, p + i,
			    (size_t)(text.n - i > BLOCK + 2 ? BLOCK + 2 : text.n - i));
			has = look(tail);
		}
		if (has == 0)
			continue;
		if ((has & HAS_FAULT) != 0)
			return false;
		if ((has & HAS_BLANKS) != 0 && !blanks_indent(text, i, to, &seen))
			return false;
		if ((has & HAS_HIGH) != 0 && !high_stays(text, i, to))
			return false;
	}
	return true;
}

/* The text as it is rewritten, a line at a time. */
struct tidy {
	struct buf *out;
	ptrdiff_t line;		/* where the current line starts in out */
	bool	  text;		/* the line has more than blanks */
	bool	  blank;	/* a blank waits inside the line */
	bool	  tab;		/* it is a single tab */
	int	  gap;		/* blank lines before the current one */
	bool	  any;		/* there was a line with text */
};

static void
put(struct tidy *t, const char *p, ptrdiff_t n)
{
	if (!t->text) {
		/* The gap goes before the indentation, which is in out already. */
		if (t->any && t->gap > 0) {
			char *room = buf_room(t->out, 1);

			if (room == NULL)
				return;
			memmove(t->out->p + t->line + 1, t->out->p + t->line,
			    (size_t)(t->out->n - t->line));
			t->out->p[t->line] = '\n';
			t->out->n++;
		}
		t->gap = 0;
		t->text = t->any = true;
	} else if (t->blank) {
		buf_byte(t->out, t->tab ? '\t' : ' ');
	}
	t->blank = false;
	buf_add(t->out, (str){ p, n });
}

static void
put_blank(struct tidy *t, char c)
{
	if (!t->text) {
		buf_byte(t->out, c);		/* indentation, so far */
		return;
	}
	t->tab = !t->blank && c == '\t';
	t->blank = true;
}

static void
end_line(struct tidy *t)
{
	if (t->text) {
		buf_byte(t->out, '\n');
	} else {
		t->out->n = t->line;
		t->gap++;
	}
	t->line = t->out->n;
	t->text = t->blank = false;
}

/* Behind the terminal escape sequence at p, or p + 1 when it is none. */
static const char *
skip_escape(const char *p, const char *end)
{
	const char *q = p + 1;

	if (q == end || *q != '[')
		return p + 1;
	for (q++; q < end && *q >= 0x20 && *q < 0x40; q++)
		continue;
	return q < end && *q >= 0x40 && *q < 0x7f ? q + 1 : p + 1;
}

static const char *
tidy_high(struct tidy *t, const char *p, const char *end)
{
	const char *q = p;
	int32_t c = utf8_next(&q, end);
	char utf8[4];

	switch (fate_of(c)) {
	case FATE_STAYS:
		put(t, p, q - p);
		break;
	case FATE_GOES:
		break;
	case FATE_BLANK:
		put_blank(t, ' ');
		break;
	case FATE_PARAGRAPH:
		end_line(t);
		/* FALLTHROUGH */
	case FATE_LINE:
		end_line(t);
		break;
	case FATE_C1:
		if (c1_means[c - 0x80] != 0)
			put(t, utf8, utf8_put(utf8, c1_means[c - 0x80]));
		break;
	}
	return q;
}

int
text_tidy(struct buf *out, str text, struct err *err)
{
	const char *p = text.p, *end = text.p + text.n;
	struct tidy t = { .out = out };

	if (is_tidy(text))
		return 0;
	while (p < end) {
		const char *q = p;

		while (q < end && *q > ' ' && *q < 0x7f)
			q++;
		if (q > p) {
			put(&t, p, q - p);
			p = q;
			continue;
		}
		if ((signed char)*p < 0) {
			p = tidy_high(&t, p, end);
		} else if (is_blank(*p)) {
			put_blank(&t, *p++);
		} else if (*p == '\r') {
			p += p + 1 < end && p[1] == '\n' ? 2 : 1;
			end_line(&t);
		} else if (*p == '\n' || *p == '\v' || *p == '\f') {
			p++;
			end_line(&t);
		} else {
			p = *p == 0x1b ? skip_escape(p, end) : p + 1;
		}
	}
	if (!t.text)
		out->n = t.line;		/* blanks at the end */
	return buf_ok(out, err) < 0 ? -1 : 1;
}

/* A step, its output in the other buffer. */
static int
take_step(struct normalizer *z, int step, str *text, struct err *err)
{
	struct buf *b = &z->buf[z->use];
	int got;

	buf_reset(b);
	got = step == 0 ? entities_decode(b, *text, err) : step == 1 ?
	    mojibake_repair(b, *text, err) : step == 2 ? text_tidy(b, *text, err) :
	    uni_normalize(b, *text, z->form, err);
	if (got <= 0 || str_eq(*text, buf_str(b)))
		return got < 0 ? -1 : 0;
	*text = buf_str(b);
	z->use = !z->use;
	return 1;
}

int
text_normalize(struct normalizer *z, str text, str *out, struct err *err)
{
	bool changed = false, again;

	do {
		again = false;
		for (int step = z->keep_entities; step < 4; step++) {
			int got = take_step(z, step, &text, err);

			if (got < 0)
				return -1;
			again |= got > 0;
			/* What was damaged twice has controls in between that tidying drops. */
			if (got > 0 && step < 2)
				step--;
		}
		changed |= again;
	} while (again);
	*out = text;
	return changed;
}

void
normalizer_free(struct normalizer *z)
{
	buf_free(&z->buf[0]);
	buf_free(&z->buf[1]);
}
