/*
 * UTF-8 read as one byte a character and encoded again
 *
 * Two readings compete for a line or a run such as "Ã©": the characters as they
 * are, and the UTF-8 that their bytes spell.  The second is taken only where the
 * first is not something that people write.  A line whose bytes in one of ten
 * encodings are UTF-8 from end to end is such, if it has several sequences: see
 * repair_line().  Of other lines, runs in Latin-1 or CP1252 are: see certain().
 */
#include <stdbool.h>

#include "base/json.h"
#include "text/codepages_impl.h"
#include "text/normalize.h"

enum { LATIN1, CP1252, MACROMAN = 8, CP437 };

static const struct codepage_row *
find_row(int32_t c)
{
	int lo = 0, hi = codepage_rows;

	while (lo < hi) {
		int mid = (lo + hi) / 2;

		if (codepages[mid].c < c)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < codepage_rows && codepages[lo].c == c ? &codepages[lo] : NULL;
}

/* The byte above ASCII that c was read from, or -1. */
static int
byte_of(int32_t c)
{
	const struct codepage_row *row;

	if (c >= 0x80 && c <= 0xff)
		return c;
	if (c < 0x152 || c > 0x2122 || (row = find_row(c)) == NULL || row->byte[CP1252] == 0)
		return -1;
	return row->byte[CP1252];
}

struct run {
	bool	c1;		/* has U+0080..U+009F, which nobody types */
	int	n;		/* sequences in its bytes */
	int	lead;		/* first byte of the first */
	bool	sure;		/* one of them settles it by itself */
};

static int
sequence_length(unsigned char lead)
{
	return lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

static void
study(struct run *r, str bytes)
{
	const unsigned char *p = (const unsigned char *)bytes.p;

	r->n = 0;
	r->lead = p[0];
	for (ptrdiff_t i = 0; i < bytes.n; i += sequence_length(p[i])) {
		r->n++;
		/* General punctuation (â€™), currency (â‚¬), letter-like (â„¢). */
		if (p[i] == 0xe2 && (p[i + 1] == 0x80 || p[i + 1] == 0x82 || p[i + 1] == 0x84))
			r->sure = true;
		/* Emoji, the byte order mark, the replacement character. */
		if (p[i] == 0xf0 && p[i + 1] == 0x9f)
			r->sure = true;
		if (p[i] == 0xef && (p[i + 1] == 0xbb || p[i + 1] == 0xbf))
			r->sure = true;
	}
}

/*
 * before and after are the characters beside the run, 0 at the text's ends.
 * A capital at the end of a word and a sign after it can be meant ("CAFÉ’S"),
 * and so can a small letter, an ellipsis and a quote ("entité…”"): one such
 * sequence alone proves nothing.  A capital with an accent behind a small letter,
 * or that of "MÃ–NSTER" inside a word, is none that people write.
 */
static bool
certain(const struct run *r, str bytes, int32_t before, int32_t after)
{
	const unsigned char *p = (const unsigned char *)bytes.p;

	if (r->c1 || r->sure || r->n >= 2)
		return true;
	if (r->lead == 0xc2)
		return p[1] >= 0xa0 && (uni_class(before) & UNI_UPPER) == 0;
	if (r->lead == 0xc3)
		return (uni_class(before) & UNI_UPPER) == 0 ||
		    ((uni_class(after) & UNI_LETTER) != 0 && p[1] != 0x97);
	return r->lead < 0xdf && r->lead != 0xd7 && (uni_class(before) & UNI_LOWER) != 0;
}

/*
 * Find the next run that may be mojibake: its first character is the lead of
 * a sequence and its second no ASCII.  Without one *run is not set.
 */
static bool
next_suspect(const char **at, const char *end)
{
	const char *p = *at;

	while ((p = memchr(p, 0xc3, (size_t)(end - p))) != NULL) {
		if (end - p >= 4 && (unsigned char)p[1] >= 0x82 && (unsigned char)p[1] <= 0xb4 &&
		    (signed char)p[2] < 0) {
			*at = p;
			return true;
		}
		p++;
	}
	return false;
}

/* The whole run around *at: bytes that it was read from into b. */
static int
read_run(struct buf *b, const char *start, const char *end, const char *at, str *span,
    struct run *r)
{
	const char *p = at, *q;

	while (p > start) {
		q = p;
		if (byte_of(utf8_prev(start, &q)) < 0)
			break;
		p = q;
	}
	span->p = p;
	buf_reset(b);
	while (p < end) {
		int32_t c;
		int byte;

		q = p;
		c = utf8_next(&q, end);
		byte = byte_of(c);
		if (byte < 0)
			break;
		r->c1 |= c < 0xa0;
		buf_byte(b, (char)byte);
		p = q;
	}
	span->n = p - span->p;
	return b->failed ? -1 : 0;
}

/* What is repaired of a line. */
struct line {
	str		 text;
	struct buf	*bytes;		/* scratch */
	bool		 proved;	/* a run of it was certain, and not by one sequence */
};

/* Repair runs of a line.  Return 1, 0, or -1 when memory fails. */
static int
repair_runs(struct buf *out, struct line *l)
{
	str text = l->text;
	const char *at = text.p, *done = text.p, *end = text.p + text.n;
	int ret = 0;

	while (next_suspect(&at, end)) {
		struct run r = { 0 };
		str span;
		int32_t before = 0, after = 0;
		const char *p;

		if (read_run(l->bytes, done, end, at, &span, &r) < 0)
			return -1;
		at = p = span.p + span.n;
		if (utf8_bad(buf_str(l->bytes)) >= 0)
			continue;
		if (p < end)
			after = utf8_next(&p, end);
		p = span.p;
		if (p > text.p)
			before = utf8_prev(text.p, &p);
		study(&r, buf_str(l->bytes));
		if (certain(&r, buf_str(l->bytes), before, after))
			l->proved |= r.n >= 2;
		else if (!l->proved)
			continue;
		if (out != NULL) {
			buf_add(out, (str){ done, span.p - done });
			buf_add(out, buf_str(l->bytes));
		}
		done = at;
		ret = 1;
	}
	if (ret == 1 && out != NULL)
		buf_add(out, (str){ done, end - done });
	return ret;
}

/* The line's bytes in an encoding; a character that was lost is SUB. */
static void
encode(struct buf *b, str line, int page)
{
	const char *p = line.p, *end = p + line.n;

	buf_reset(b);
	while (p < end) {
		const char *start = p;
		int32_t c;

		if ((signed char)*p >= 0) {
			while (p < end && (signed char)*p >= 0)
				p++;
			buf_add(b, (str){ start, p - start });
			continue;
		}
		c = utf8_next(&p, end);
		buf_byte(b, c == 0xfffd ? '\x1a' : (char)find_row(c)->byte[page]);
	}
}

static bool
is_continuation(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/*
 * Is it a sequence of n bytes in which a space stands for the byte a0 (a
 * no-break space in many encodings)?  Only of leads that make letters so.
 */
static bool
lost_space(const unsigned char *p, int n)
{
	int spaces = 0;

	if (n == 2)
		return p[1] == ' ' && memchr("\xc2\xc3\xc5\xce\xd0\xd9", p[0], 6) != NULL;
	if (n == 3 ? p[0] > 0xe3 || (p[1] == ' ' && p[0] < 0xe2) : p[0] != 0xf0)
		return false;
	for (int i = 1; i < n; i++) {
		if (p[i] != ' ' && !is_continuation(p[i]))
			return false;
		spaces += p[i] == ' ';
	}
	return spaces == 1;
}

/* Is it a sequence of which bytes are lost, SUB or one question mark for each? */
static bool
lost_bytes(const unsigned char *p, int n)
{
	int lost = 0, marks = 0;

	for (int i = 1; i < n; i++) {
		if (p[i] != '\x1a' && p[i] != '?' && !is_continuation(p[i]))
			return false;
		lost += !is_continuation(p[i]);
		marks += p[i] == '?';
	}
	return lost > 0 && marks <= 1 && (marks == 0 || n > 2 || p[0] <= 0xc3);
}

/* Append b with sequences made whole where bytes of them were lost. */
static void
mend(struct buf *out, const struct buf *b)
{
	const unsigned char *p = (const unsigned char *)b->p, *end = p + b->n;

	buf_reset(out);
	while (p < end) {
		int n = *p < 0xc2 || *p > 0xf4 ? 1 : sequence_length(*p);

		if (n > 1 && end - p >= n && lost_space(p, n)) {
			for (int i = 0; i < n; i++)
				buf_byte(out, p[i] == ' ' ? '\xa0' : (char)p[i]);
			if (p[0] == 0xc3 && end - p > 2 && p[2] != ' ')
				buf_byte(out, ' ');	/* it was the word a with grave */
			p += n;
		} else if (n > 1 && end - p >= n && lost_bytes(p, n)) {
			buf_add(out, S("\xef\xbf\xbd"));
			p += n;
		} else if (*p == '\x1a') {
			buf_add(out, S("\xef\xbf\xbd"));
			p++;
		} else {
			buf_byte(out, (char)*p++);
		}
	}
}

/*
 * Sequences of more than a byte, and whether one of them is sure.  Those do not count
 * that may be meant: a capital behind a capital and a sign, and a small letter at the
 * end of a word with two signs, which would be a letter of East Asia.
 */
static void
study_line(struct run *r, str bytes)
{
	const unsigned char *p = (const unsigned char *)bytes.p;

	*r = (struct run){ 0 };
	for (ptrdiff_t i = 0; i < bytes.n; i++) {
		unsigned char before = i > 0 ? p[i - 1] : ' ';

		if (p[i] < 0xc2)
			continue;
		r->n += !(before >= 'A' && before <= 'Z') &&
		    !(p[i] >= 0xe3 && p[i] < 0xf0 && (before | 0x20) >= 'a' &&
		    (before | 0x20) <= 'z');
		r->sure |= p[i] == 0xe2 && (p[i + 1] == 0x80 || p[i + 1] == 0x82 ||
		    p[i + 1] == 0x84);
		r->sure |= p[i] == 0xf0 && p[i + 1] == 0x9f;
	}
}

/* The encodings that have all characters of the line, a bit for each. */
static unsigned
possible(str line)
{
	const char *p = line.p, *end = p + line.n;
	unsigned pages = (1u << CODEPAGES) - 1;
	bool high = false;

	while (p < end && pages != 0) {
		const struct codepage_row *row;
		int32_t c;

		if ((signed char)*p >= 0) {
			if (*p == '\x1a')
				return 0;
			p++;
			continue;
		}
		c = utf8_next(&p, end);
		high = true;
		if (c == 0xfffd) {
			pages &= ~(1u << LATIN1);
			continue;
		}
		if ((row = find_row(c)) == NULL)
			return 0;
		for (int i = 0; i < CODEPAGES; i++)
			if (row->byte[i] == 0)
				pages &= ~(1u << i);
	}
	return high ? pages : 0;
}

/*
 * Is the line's one sequence two characters inside a word, of which one has no place
 * there: a sign between small letters, or a line of a box behind a letter?
 */
static bool
is_odd_word(str line, int page)
{
	const char *p = line.p + ascii_span(line), *end = line.p + line.n;
	int32_t first, second;

	if (p == line.p || p == end || (p[-1] | 0x20) < 'a' || (p[-1] | 0x20) > 'z')
		return false;
	first = utf8_next(&p, end);
	if (p == end || (signed char)*p >= 0)
		return false;
	second = utf8_next(&p, end);
	if (page == CP437)
		return first >= 0x2500 && first < 0x2580 && (uni_class(second) & UNI_ICON) == 0;
	return line.p[ascii_span(line) - 1] >= 'a' && p < end && *p >= 'a' && *p <= 'z' &&
	    (uni_class(second) & UNI_LETTER) == 0;
}

/*
 * Repair the whole line.  Three sequences are asked for where all is in Latin-1 or
 * CP1252 too, in which most that people mean is, and where bytes were lost; two
 * elsewhere; one where it is sure.
 */
static int
repair_line(struct buf *out, struct line *l, struct buf *mended)
{
	unsigned pages = possible(l->text);
	bool usual = (pages & (1u << LATIN1 | 1u << CP1252)) != 0;

	for (int page = 0; page < CODEPAGES; page++) {
		const struct buf *b = l->bytes;
		struct run r;
		bool whole;

		if ((pages >> page & 1) == 0)
			continue;
		encode(l->bytes, l->text, page);
		whole = utf8_bad(buf_str(b)) < 0 && memchr(b->p, '\x1a', (size_t)b->n) == NULL;
		if (!whole && page != MACROMAN) {
			mend(mended, b);
			b = mended;
		}
		if (l->bytes->failed || mended->failed)
			return -1;
		if (utf8_bad(buf_str(b)) >= 0)
			continue;
		study_line(&r, buf_str(b));
		if (r.n < (!whole || usual ? 3 : 2) &&
		    !(whole && (r.sure || (!usual && r.n == 1 && is_odd_word(l->text, page)))))
			continue;
		buf_add(out, buf_str(b));
		return 1;
	}
	return 0;
}

int
mojibake_repair(struct buf *out, str text, struct err *err)
{
	struct buf bytes = { 0 }, mended = { 0 };
	str rest = text;
	int ret = 0;

	if (ascii_span(text) == text.n)
		return 0;
	while (rest.p != NULL && ret >= 0) {
		struct line l = { str_cut(&rest, '\n'), &bytes, false };
		int got = 0;

		if (l.text.n > 0 && ascii_span(l.text) < l.text.n) {
			got = repair_line(out, &l, &mended);
			if (got == 0 && repair_runs(NULL, &l) == 1)
				got = repair_runs(out, &l);
		}
		if (got == 0)
			buf_add(out, l.text);
		if (rest.p != NULL)
			buf_byte(out, '\n');
		ret = got < 0 ? -1 : ret | got;
	}
	if (ret < 0)
		err_set(err, ERR_NOMEM, "no memory to repair a text");
	if (buf_ok(out, err) < 0)
		ret = -1;
	if (ret == 0)
		buf_reset(out);
	buf_free(&bytes);
	buf_free(&mended);
	return ret;
}
