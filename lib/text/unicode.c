#include "text/unicode.h"

#include <stdbool.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "text/terminal_impl.h"

#define HANGUL_S	0xac00		/* syllables */
#define HANGUL_S_END	0xd7a3
#define HANGUL_V	0x1161		/* vowels and finals compose with what is before */
#define HANGUL_T_END	0x11c2
#define EXPAND_MAX	18		/* longest decomposition: U+FDFA under NFKC */

static const uint16_t category_class[30] = {
	[UTF8PROC_CATEGORY_LU] = UNI_LETTER | UNI_UPPER,
	[UTF8PROC_CATEGORY_LL] = UNI_LETTER | UNI_LOWER,
	[UTF8PROC_CATEGORY_LT] = UNI_LETTER | UNI_UPPER,
	[UTF8PROC_CATEGORY_LM] = UNI_LETTER | UNI_UPPER | UNI_LOWER,
	[UTF8PROC_CATEGORY_LO] = UNI_LETTER | UNI_UPPER | UNI_LOWER,
	[UTF8PROC_CATEGORY_MN] = UNI_MARK,
	[UTF8PROC_CATEGORY_MC] = UNI_MARK,
	[UTF8PROC_CATEGORY_ME] = UNI_MARK,
	[UTF8PROC_CATEGORY_ND] = UNI_DIGIT,
	[UTF8PROC_CATEGORY_PC] = UNI_PUNCT,
	[UTF8PROC_CATEGORY_PD] = UNI_PUNCT,
	[UTF8PROC_CATEGORY_PS] = UNI_PUNCT,
	[UTF8PROC_CATEGORY_PE] = UNI_PUNCT,
	[UTF8PROC_CATEGORY_PI] = UNI_PUNCT,
	[UTF8PROC_CATEGORY_PF] = UNI_PUNCT,
	[UTF8PROC_CATEGORY_PO] = UNI_PUNCT,
	[UTF8PROC_CATEGORY_SC] = UNI_CURRENCY,
	[UTF8PROC_CATEGORY_SO] = UNI_ICON,
	[UTF8PROC_CATEGORY_ZS] = UNI_SPACE,
	[UTF8PROC_CATEGORY_ZL] = UNI_SPACE | UNI_LINE,
	[UTF8PROC_CATEGORY_ZP] = UNI_SPACE | UNI_LINE,
	[UTF8PROC_CATEGORY_CC] = UNI_CONTROL,
};

static bool
is_terminal(int32_t c)
{
	int lo = 0, hi = (int)(sizeof(terminal) / sizeof(terminal[0]));

	while (lo < hi) {
		int mid = (lo + hi) / 2;

		if (c > terminal[mid].last)
			lo = mid + 1;
		else if (c < terminal[mid].first)
			hi = mid;
		else
			return true;
	}
	return false;
}

#define C UNI_CONTROL
#define K (UNI_CONTROL | UNI_SPACE)
#define N (UNI_CONTROL | UNI_SPACE | UNI_LINE)
#define B UNI_SPACE
#define P UNI_PUNCT
#define T (UNI_PUNCT | UNI_TERMINAL)
#define M UNI_CURRENCY
#define D UNI_DIGIT
#define U (UNI_LETTER | UNI_UPPER)
#define L (UNI_LETTER | UNI_LOWER)
const uint16_t uni_ascii[128] = {
	C, C, C, C, C, C, C, C, C, K, N, N, N, N, C, C,
	C, C, C, C, C, C, C, C, C, C, C, C, N, N, N, K,
	B, T, P, P, M, P, P, P, P, P, P, 0, P, P, T, P,
	D, D, D, D, D, D, D, D, D, D, P, P, 0, 0, 0, T,
	P, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U,
	U, U, U, U, U, U, U, U, U, U, U, P, P, P, 0, P,
	0, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,
	L, L, L, L, L, L, L, L, L, L, L, P, 0, P, 0, C,
};
#undef C
#undef K
#undef N
#undef B
#undef P
#undef T
#undef M
#undef D
#undef U
#undef L

unsigned
uni_class_of(int32_t c)
{
	unsigned class;

	if (c < 0 || c > 0x10ffff)
		return 0;
	if (c >= 0x2010 && c <= 0x2027)		/* dashes and quotes, most of what is met */
		return UNI_PUNCT;
	class = category_class[utf8proc_get_property(c)->category];
	if (c < 0xa0) {
		if (c >= '\t' && c <= '\r')
			class |= UNI_SPACE;
		if ((c >= '\n' && c <= '\r') || (c >= 0x1c && c <= 0x1e) || c == 0x85)
			class |= UNI_SPACE | UNI_LINE;
		if (c == 0x1f)
			class |= UNI_SPACE;
		if (c == '.' || c == '?' || c == '!')
			class |= UNI_TERMINAL;
	} else if ((class & UNI_PUNCT) != 0 || c > 0xffff) {
		if (is_terminal(c))
			class |= UNI_TERMINAL;
	}
	return class;
}

bool
uni_is_white(int32_t c)
{
	return (uni_class(c) & UNI_SPACE) != 0 && (c < 0x1c || c > 0x1f);
}

bool
uni_is_word(int32_t c)
{
	utf8proc_category_t category = utf8proc_get_property(c)->category;

	if ((uni_class(c) & (UNI_LETTER | UNI_MARK | UNI_DIGIT)) != 0)
		return true;
	return category == UTF8PROC_CATEGORY_PC || category == UTF8PROC_CATEGORY_NL ||
	    c == 0x200c || c == 0x200d ||
	    (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
	    (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189);
}

bool
uni_stands_alone(int32_t c)
{
	return (c >= 0x0e00 && c <= 0x0eff) ||	/* Thai, Lao */
	    (c >= 0x1000 && c <= 0x109f) ||	/* Myanmar */
	    (c >= 0x1780 && c <= 0x17ff) ||	/* Khmer */
	    (c >= 0x3040 && c <= 0x30ff) ||	/* kana */
	    (c >= 0x3400 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff) ||
	    (c >= 0x20000 && c <= 0x3ffff);	/* Han */
}

int32_t
utf8_decode(const char **at, const char *end)
{
	const unsigned char *p = (const unsigned char *)*at;
	ptrdiff_t left = end - *at;
	int32_t c = 0xfffd;
	int n = 1;

	if (p[0] >= 0xc2 && p[0] < 0xe0) {
		if (left >= 2 && (p[1] & 0xc0) == 0x80)
			c = (p[0] & 0x1f) << 6 | (p[1] & 0x3f), n = 2;
	} else if (p[0] >= 0xe0 && p[0] < 0xf0) {
		if (left >= 3 && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80) {
			c = (p[0] & 0xf) << 12 | (p[1] & 0x3f) << 6 | (p[2] & 0x3f);
			n = 3;
			if (c < 0x800 || (c >= 0xd800 && c < 0xe000))
				c = 0xfffd, n = 1;
		}
	} else if (p[0] >= 0xf0 && p[0] < 0xf5) {
		if (left >= 4 && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80 &&
		    (p[3] & 0xc0) == 0x80) {
			c = (p[0] & 7) << 18 | (p[1] & 0x3f) << 12 |
			    (p[2] & 0x3f) << 6 | (p[3] & 0x3f);
			n = 4;
			if (c < 0x10000 || c > 0x10ffff)
				c = 0xfffd, n = 1;
		}
	}
	*at += n;
	return c;
}

int32_t
utf8_prev(const char *start, const char **at)
{
	const char *p = *at - 1, *q;
	int32_t c;

	while (p > start && *at - p < 4 && ((unsigned char)*p & 0xc0) == 0x80)
		p--;
	q = p;
	c = utf8_next(&q, *at);
	if (q != *at) {		/* broken: take one byte */
		c = 0xfffd;
		p = *at - 1;
	}
	*at = p;
	return c;
}

int
utf8_put(char p[4], int32_t c)
{
	if (c < 0x80) {
		p[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		p[0] = (char)(0xc0 | c >> 6);
		p[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		p[0] = (char)(0xe0 | c >> 12);
		p[1] = (char)(0x80 | (c >> 6 & 0x3f));
		p[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	p[0] = (char)(0xf0 | c >> 18);
	p[1] = (char)(0x80 | (c >> 12 & 0x3f));
	p[2] = (char)(0x80 | (c >> 6 & 0x3f));
	p[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

ptrdiff_t
utf8_count(str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	ptrdiff_t n = 0, i = 0;

	/* Continuation bytes, 32 at a time, in a form the compiler vectorizes. */
	for (; i + 32 <= s.n; i += 32) {
		unsigned char k = 0;

		for (int j = 0; j < 32; j++)
			k = (unsigned char)(k + ((p[i + j] & 0xc0) != 0x80));
		n += k;
	}
	for (; i < s.n; i++)
		n += (p[i] & 0xc0) != 0x80;
	return n;
}

str
uni_trim(str s)
{
	const char *p = s.p, *end = s.p + s.n;

	while (p < end && (signed char)*p <= ' ') {
		const char *q = p;

		if ((uni_class(utf8_next(&q, end)) & UNI_SPACE) == 0)
			break;
		p = q;
	}
	while (end > p && (signed char)end[-1] <= ' ') {
		const char *q = end;

		if ((uni_class(utf8_prev(p, &q)) & UNI_SPACE) == 0)
			break;
		end = q;
	}
	return (str){ p, end - p };
}

ptrdiff_t
ascii_span(str s)
{
	ptrdiff_t i = 0;
	uint64_t a, b;

	for (; i + 16 <= s.n; i += 16) {
		memcpy(&a, s.p + i, 8);
		memcpy(&b, s.p + i + 8, 8);
		if (((a | b) & 0x8080808080808080u) != 0)
			break;
	}
	while (i < s.n && (signed char)s.p[i] >= 0)
		i++;
	return i;
}

/*
 * True when c is in the form by itself, starts a new context (class 0), and
 * never joins the character before it: a text may be cut before such a c and
 * its parts normalized alone.
 */
static bool
is_stable(int32_t c, enum uni_form form)
{
	const utf8proc_property_t *p;
	utf8proc_int32_t parts[EXPAND_MAX];
	utf8proc_ssize_t n;

	if (c < 0xa0 || (c < 0x300 && form == UNI_NFC))
		return true;
	if ((c >= 0x3400 && c < 0xa000) || (c >= 0x2010 && c <= 0x2027 && form == UNI_NFC))
		return true;		/* ideographs; dashes and quotes */
	p = utf8proc_get_property(c);
	if (p->combining_class != 0)
		return false;
	if (form == UNI_NFD || form == UNI_NFKD)
		return !(c >= HANGUL_S && c <= HANGUL_S_END) &&
		    (p->decomp_seqindex == UINT16_MAX ||
		    (p->decomp_type != 0 && form == UNI_NFD));
	if (p->comb_index != UINT16_MAX && p->comb_index >= 0x8000)
		return false;
	if (c >= HANGUL_V && c <= HANGUL_T_END)
		return false;
	if (p->decomp_seqindex == UINT16_MAX)
		return true;		/* Hangul syllables, too */
	if (p->decomp_type != 0)
		return form == UNI_NFC;
	if (p->comp_exclusion || form == UNI_NFKC)
		return false;
	/* Some decompose and never come back as what they were. */
	n = utf8proc_decompose_char(c, parts, EXPAND_MAX, UTF8PROC_DECOMPOSE | UTF8PROC_STABLE,
	    NULL);
	if (n < 2 || utf8proc_get_property(parts[0])->combining_class != 0)
		return false;
	return utf8proc_normalize_utf32(parts, n, UTF8PROC_COMPOSE | UTF8PROC_STABLE) == 1 &&
	    parts[0] == c;
}

/* Canonical order of n marks by counting, since a text may have a million. */
static int
order_marks(int32_t *c, ptrdiff_t n, struct err *err)
{
	int32_t *copy;
	ptrdiff_t at[257] = { 0 };

	for (ptrdiff_t i = 1; i < n; i++) {
		int class = utf8proc_get_property(c[i])->combining_class;
		ptrdiff_t k = i;
		int32_t x = c[i];

		if (n > 32)
			break;
		while (k > 0 && utf8proc_get_property(c[k - 1])->combining_class > class) {
			c[k] = c[k - 1];
			k--;
		}
		c[k] = x;
	}
	if (n <= 32)
		return 0;
	copy = malloc((size_t)n * sizeof(*copy));
	if (copy == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for %td marks", n);
	memcpy(copy, c, (size_t)n * sizeof(*copy));
	for (ptrdiff_t i = 0; i < n; i++)
		at[utf8proc_get_property(copy[i])->combining_class + 1]++;
	for (int k = 1; k < 257; k++)
		at[k] += at[k - 1];
	for (ptrdiff_t i = 0; i < n; i++)
		c[at[utf8proc_get_property(copy[i])->combining_class]++] = copy[i];
	free(copy);
	return 0;
}

static int
order_all(int32_t *c, ptrdiff_t n, struct err *err)
{
	for (ptrdiff_t i = 0; i < n;) {
		ptrdiff_t k = i;

		while (k < n && utf8proc_get_property(c[k])->combining_class != 0)
			k++;
		if (k - i > 1 && order_marks(c + i, k - i, err) < 0)
			return -1;
		i = k + 1;
	}
	return 0;
}

/* Normalize a part that is not stable; cp is the caller's scratch. */
static int
normalize_part(struct buf *out, str part, enum uni_form form, struct buf *cp, struct err *err)
{
	const char *p = part.p, *end = part.p + part.n;
	int options = UTF8PROC_DECOMPOSE | UTF8PROC_STABLE |
	    (form == UNI_NFKC || form == UNI_NFKD ? UTF8PROC_COMPAT : 0);
	ptrdiff_t n;
	int32_t *c;

	buf_reset(cp);
	while (p < end) {
		int32_t ch = utf8_next(&p, end);
		int32_t *dst = (void *)buf_room(cp, EXPAND_MAX * (ptrdiff_t)sizeof(*dst));
		utf8proc_ssize_t k;

		if (dst == NULL)
			return buf_ok(cp, err);
		k = utf8proc_decompose_char(ch, dst, EXPAND_MAX, options, NULL);
		if (k < 1 || k > EXPAND_MAX) {
			dst[0] = ch;
			k = 1;
		}
		cp->n += k * (ptrdiff_t)sizeof(*dst);
	}
	c = (void *)cp->p;
	n = cp->n / (ptrdiff_t)sizeof(*c);
	if (order_all(c, n, err) < 0)
		return -1;
	if (form == UNI_NFC || form == UNI_NFKC)
		n = utf8proc_normalize_utf32(c, n, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
	for (ptrdiff_t i = 0; i < n; i++) {
		char *dst = buf_room(out, 4);

		if (dst == NULL)
			return buf_ok(out, err);
		out->n += utf8_put(dst, c[i]);
	}
	return 0;
}

/*
 * Find the next part that is not stable: it starts at the stable character
 * before the first that is not, and ends before the next that is.  False when
 * the rest is stable.
 */
static bool
unstable_part(const char *p, const char *end, enum uni_form form, str *part)
{
	const char *base = p;

	while (p < end) {
		const char *q = p;
		int32_t c;

		if ((signed char)*p >= 0) {
			p += ascii_span((str){ p, end - p });
			base = p - 1;
			continue;
		}
		c = utf8_next(&q, end);
		if (is_stable(c, form)) {
			base = p;
			p = q;
			continue;
		}
		for (p = q; p < end; p = q) {
			q = p;
			if (is_stable(utf8_next(&q, end), form))
				break;
		}
		*part = (str){ base, p - base };
		return true;
	}
	return false;
}

int
uni_normalize(struct buf *out, str text, enum uni_form form, struct err *err)
{
	const char *p = text.p, *end = text.p + text.n;
	ptrdiff_t start = out->n;
	struct buf cp = { 0 };
	bool changed = false;
	str part;
	int ret = -1;

	if (form == UNI_NONE)
		return 0;
	while (unstable_part(p, end, form, &part)) {
		ptrdiff_t at;

		buf_add(out, (str){ p, part.p - p });
		at = out->n;
		if (normalize_part(out, part, form, &cp, err) < 0)
			goto out;
		if (!changed && !str_eq((str){ out->p + at, out->n - at }, part))
			changed = true;
		p = part.p + part.n;
	}
	if (!changed) {
		out->n = start;
		ret = 0;
		goto out;
	}
	buf_add(out, (str){ p, end - p });
	ret = buf_ok(out, err) < 0 ? -1 : 1;
out:
	buf_free(&cp);
	return ret;
}
