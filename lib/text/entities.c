#include "text/entities_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "text/normalize.h"
#include "text/unicode.h"

#define NAME_MAX_BYTES	24	/* of what is between & and ;, in plain text */
#define BARE_MAX	6	/* the longest name that needs no ; */

static bool
is_word(char c)
{
	return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

static int
by_name(const void *a, const void *b)
{
	const str *name = a;
	const struct entity *e = b;
	int cmp = strncmp(name->p, e->name, (size_t)name->n);

	return cmp != 0 ? cmp : -(e->name[name->n] != '\0');
}

static const struct entity *
find(const char *name, ptrdiff_t n)
{
	str key = { name, n };

	return n >= (ptrdiff_t)sizeof(entities[0].name) ? NULL :
	    bsearch(&key, entities, (size_t)entities_n, sizeof(entities[0]), by_name);
}

/* What the number of a reference stands for: bytes of Windows 1252 are taken for these. */
static int32_t
numbered(int32_t c)
{
	static const uint16_t windows[32] = {
		0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030,
		0x160, 0x2039, 0x152, 0x8d, 0x17d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d,
		0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0x9d, 0x17e, 0x178,
	};

	if (c >= 0x80 && c < 0xa0)
		return windows[c - 0x80];
	return c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0xfffd : c;
}

/* Digits from q on, up to and with the semicolon; 0 when there are none. */
static ptrdiff_t
number_at(const char *q, const char *end, bool hex, int32_t *c)
{
	const char *start = q;

	for (*c = 0; q < end; q++) {
		int digit = *q >= '0' && *q <= '9' ? *q - '0' :
		    hex && (*q | 32) >= 'a' && (*q | 32) <= 'f' ? (*q | 32) - 'a' + 10 : -1;

		if (digit < 0)
			break;
		if (*c <= 0x10ffff)
			*c = *c * (hex ? 16 : 10) + digit;
	}
	*c = numbered(*c);
	return q == start ? 0 : q - start + (q < end && *q == ';');
}

ptrdiff_t
entity_at(const char *p, const char *end, bool attribute, char out[ENTITY_BYTES], int *n)
{
	const char *name = p + 1, *q = name;
	const struct entity *e = NULL;
	ptrdiff_t got;
	int32_t c;

	*n = 0;
	if (name < end && *name == '#') {
		bool hex = end - name > 1 && (name[1] | 32) == 'x';

		if ((got = number_at(name + 1 + hex, end, hex, &c)) == 0)
			return 0;
		*n = utf8_put(out, c);
		return 2 + hex + got;
	}
	while (q < end && is_word(*q) && q - name < (ptrdiff_t)sizeof(e->name))
		q++;
	if (q < end && *q == ';')
		e = find(name, q - name);
	got = q + 1 - p;
	if (e == NULL) {
		got = q - name < BARE_MAX ? q - name : BARE_MAX;
		while (got > 1 && ((e = find(name, got)) == NULL || !e->bare))
			got--;
		if (got < 2 || (attribute && name + got < end &&
		    (is_word(name[got]) || name[got] == '=')))
			return 0;
		got++;
	}
	*n = utf8_put(out, e->c[0]);
	if (e->c[1] != 0)
		*n += utf8_put(out + *n, e->c[1]);
	return got;
}

/* Bytes of what may be a reference at p, with its semicolon, or 0. */
static ptrdiff_t
reference_at(const char *p, const char *end)
{
	const char *q = p + 1;

	if (q < end && *q == '#')
		q++;
	for (; q < end && q - p <= NAME_MAX_BYTES + 1; q++) {
		if (*q == ';' && q - p > 1)
			return q + 1 - p;
		if (!is_word(*q))
			return 0;
	}
	return 0;
}

int
entities_decode(struct buf *out, str text, struct err *err)
{
	const char *p = text.p, *end = p + text.n, *done = p;
	int ret = 0;

	if (text.n == 0 || memchr(p, '&', (size_t)text.n) == NULL ||
	    memchr(p, '<', (size_t)text.n) != NULL)
		return 0;
	while (p < end && (p = memchr(p, '&', (size_t)(end - p))) != NULL) {
		ptrdiff_t n = reference_at(p, end);
		char c[ENTITY_BYTES];
		int bytes;

		if (n > 0 && entity_at(p, p + n, false, c, &bytes) == n &&
		    utf8_bad((str){ c, bytes }) < 0) {
			buf_add(out, (str){ done, p - done });
			buf_add(out, (str){ c, bytes });
			done = p + n;
			ret = 1;
		}
		p += n > 0 ? n : 1;
	}
	if (ret == 1)
		buf_add(out, (str){ done, end - done });
	return buf_ok(out, err) < 0 ? -1 : ret;
}
