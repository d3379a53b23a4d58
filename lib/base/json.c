#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_simd.h"
#include "base/stream.h"

#define QUOTE_PIECE	((ptrdiff_t)4096)
#define DOC_MAX ((ptrdiff_t)1 << 30)	/* bytes of a whole document */
#define DIGITS_EXACT	15	/* of a number that a double has as it is */

static ptrdiff_t
space(str s, ptrdiff_t i)
{
	while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == '\t'))
		i++;
	return i;
}

static int
bad_at(struct err *err, ptrdiff_t at, const char *why)
{
	return err_set(err, ERR_FORMAT, "not JSON at offset %td: %s", at, why);
}

/* Behind the bracket that an object begins with. */
static inline int
open_object(str object, ptrdiff_t *at, struct err *err)
{
	ptrdiff_t i = space(object, *at);

	if (i >= object.n || object.p[i] != '{')
		return err_set(err, ERR_FORMAT, "not a JSON object");
	*at = i + 1;
	return 0;
}

static int
nothing_after(str object, ptrdiff_t *at, struct err *err)
{
	ptrdiff_t i = space(object, *at);

	*at = object.n;
	return i < object.n ? bad_at(err, i, "expected nothing after the object") : 0;
}

/*
 * Go to the value of the next member of an object whose UTF-8 is known to be good;
 * *at is behind its first bracket or a value.  Return 0 behind its last bracket.
 */
static inline int
next_key(const struct json_simd *simd, str object, ptrdiff_t *at, str *key, struct err *err)
{
	const char *s = object.p;
	ptrdiff_t n = object.n, i = space(object, *at), end;
	struct json_fault f;

	if (i < n && s[i] == '}') {
		*at = i + 1;
		return 0;
	}
	if (s[*at - 1] != '{') {
		if (i >= n || s[i] != ',')
			return bad_at(err, i, "expected ',' or '}'");
		i = space(object, i + 1);
	}
	if (i >= n || s[i] != '"')
		return bad_at(err, i, "expected a key");
	if ((end = simd->value(s, i, n, &f)) < 0)
		return bad_at(err, f.at, f.why);
	*key = (str){ s + i + 1, end - i - 2 };
	i = space(object, end);
	if (i >= n || s[i] != ':')
		return bad_at(err, i, "expected ':'");
	*at = space(object, i + 1);
	return 1;
}

static inline int
next_value(const struct json_simd *simd, str object, ptrdiff_t *at, str *value, struct err *err)
{
	struct json_fault f;
	ptrdiff_t start = *at, end = simd->value(object.p, start, object.n, &f);

	if (end < 0)
		return bad_at(err, f.at, f.why);
	*value = (str){ object.p + start, end - start };
	*at = end;
	return 1;
}

/* json_next() on an object whose UTF-8 is known to be good. */
static inline int
next(const struct json_simd *simd, str object, ptrdiff_t *at, struct json_member *m,
    struct err *err)
{
	int got;

	if (*at == 0 && open_object(object, at, err) < 0)
		return -1;
	if ((got = next_key(simd, object, at, &m->key, err)) > 0)
		return next_value(simd, object, at, &m->value, err);
	return got < 0 ? -1 : nothing_after(object, at, err);
}

static int
check_utf8(const struct json_simd *simd, str s, struct err *err)
{
	ptrdiff_t at = simd->utf8(s.p, 0, s.n);

	return at == s.n ? 0 : err_set(err, ERR_FORMAT, "not UTF-8 at offset %td", at);
}

int
json_next(str object, ptrdiff_t *at, struct json_member *m, struct err *err)
{
	const struct json_simd *simd = json_simd();

	if (*at == 0 && check_utf8(simd, object, err) < 0)
		return -1;
	return next(simd, object, at, m, err);
}

static bool
is_between(char c)
{
	return c == ',' || c == ':' || c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* To what comes next; the end is a bracket. */
static const char *
next_element(str array, ptrdiff_t at)
{
	const char *p = array.p + at;

	while (is_between(*p))
		p++;
	return p;
}

static const char *
behind_string(const char *p)
{
	for (p++; *p != '"'; p++)
		p += *p == '\\';
	return p + 1;
}

static const char *
behind_value(const char *p)
{
	int depth = 0;

	do {
		if (*p == '"') {
			p = behind_string(p);
			continue;
		}
		depth += (*p == '[' || *p == '{') - (*p == ']' || *p == '}');
		p++;
	} while (depth > 0 || (!is_between(*p) && *p != ']' && *p != '}'));
	return p;
}

bool
json_element(str array, ptrdiff_t *at, str *element)
{
	const char *p = next_element(array, *at), *end;

	*at = p - array.p;
	if (*p == ']')
		return false;
	end = behind_value(p);
	*element = (str){ p, end - p };
	*at = end - array.p;
	return true;
}

bool
json_member(str object, ptrdiff_t *at, struct json_member *m)
{
	const char *p = next_element(object, *at), *end;

	*at = p - object.p;
	if (*p == '}')
		return false;
	end = behind_string(p);
	m->key = (str){ p + 1, end - p - 2 };
	p = next_element(object, end - object.p);
	end = behind_value(p);
	m->value = (str){ p, end - p };
	*at = end - object.p;
	return true;
}

bool
json_enter(str array, ptrdiff_t *at)
{
	const char *p = next_element(array, *at);

	if (*p != '[')
		return false;
	*at = p - array.p + 1;
	return true;
}

void
json_leave(str array, ptrdiff_t *at)
{
	str rest;

	while (json_element(array, at, &rest))
		;
	++*at;
}

/* Is the key as written the plain one? */
static inline bool
key_is(str written, str plain)
{
	char small[256];

	if (written.n == plain.n)
		return str_eq(written, plain) && memchr(plain.p, '\\', (size_t)plain.n) == NULL;
	/* An escape is longer than what it stands for, but at most six times. */
	if (written.n < plain.n || written.n > (ptrdiff_t)sizeof(small) ||
	    memchr(written.p, '\\', (size_t)written.n) == NULL)
		return false;
	return str_eq((str){ small, json_unescape(small, written) }, plain);
}

static void
forget(const struct json_find *find)
{
	for (int i = 0; i < find->n; i++)
		find->member[i] = (struct json_member){ { NULL, 0 }, { NULL, 0 } };
}

/* The members of an object that *at is in; that of the key in has in_it. */
static inline int
scan(const struct json_simd *simd, str object, ptrdiff_t *at, const struct json_find *find,
    const str *in, const struct json_find *in_it, struct err *err)
{
	struct json_member m;
	int got;

	while ((got = next_key(simd, object, at, &m.key, err)) > 0) {
		const char *start = object.p + *at;
		bool inner = in != NULL && key_is(m.key, *in);

		if (inner)
			forget(in_it);
		if (inner && *at < object.n && *start == '{') {
			++*at;
			if (scan(simd, object, at, in_it, NULL, NULL, err) < 0)
				return -1;
			m.value = (str){ start, object.p + *at - start };
		} else if (next_value(simd, object, at, &m.value, err) < 0) {
			return -1;
		}
		for (int i = 0; i < find->n; i++)
			if (key_is(m.key, find->key[i]))
				find->member[i] = m;
	}
	return got;
}

int
json_scan_in(str object, const struct json_find *find, const str *in,
    const struct json_find *in_it, struct err *err)
{
	const struct json_simd *simd = json_simd();
	ptrdiff_t at = 0;

	forget(find);
	if (in != NULL)
		forget(in_it);
	if (check_utf8(simd, object, err) < 0 || open_object(object, &at, err) < 0 ||
	    scan(simd, object, &at, find, in, in_it, err) < 0)
		return -1;
	return nothing_after(object, &at, err);
}

int
json_scan(str object, const str *key, int n, struct json_member *member, struct err *err)
{
	const struct json_find find = { key, n, member };

	return json_scan_in(object, &find, NULL, NULL, err);
}

static uint32_t
hex4(const char *p)
{
	uint32_t x = 0;

	for (int i = 0; i < 4; i++) {
		unsigned c = (unsigned char)p[i];

		x = x << 4 | (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
	}
	return x;
}

static int
put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* The character of \uXXXX at s[i], and of the pair it may begin. */
static uint32_t
unicode_escape(str s, ptrdiff_t i, int *len)
{
	uint32_t c = hex4(s.p + i + 2), d;

	*len = 6;
	if (c < 0xd800 || c > 0xdfff)
		return c;
	if (c > 0xdbff || s.n - i < 12 || s.p[i + 6] != '\\' || s.p[i + 7] != 'u')
		return 0xfffd;
	d = hex4(s.p + i + 8);
	if (d < 0xdc00 || d > 0xdfff)
		return 0xfffd;
	*len = 12;
	return 0x10000 + ((c - 0xd800) << 10) + (d - 0xdc00);
}

ptrdiff_t
json_unescape(char *to, str s)
{
	const struct json_simd *simd = json_simd();
	char *p = to;

	for (ptrdiff_t i = 0;;) {
		int len;

		i += simd->unescape(&p, s.p + i, s.n - i);
		if (i >= s.n)
			return p - to;
		p += put_utf8(p, unicode_escape(s, i, &len));
		i += len;
	}
}

int
json_text(str value, struct buf *b, str *text, struct err *err)
{
	str s;

	if (value.n < 2 || value.p[0] != '"')
		return err_set(err, ERR_FORMAT, "not a string");
	s = (str){ value.p + 1, value.n - 2 };
	buf_reset(b);
	if (s.n == 0 || memchr(s.p, '\\', (size_t)s.n) == NULL) {
		*text = s;
		return 0;
	}
	if (buf_room(b, s.n) == NULL)
		return buf_ok(b, err);
	b->n = json_unescape(b->p, s);
	*text = buf_str(b);
	return 0;
}

/* Write the escape of a byte that needs one; return what follows it. */
static char *
put_escape(char *to, unsigned char c)
{
	static const char hex[] = "0123456789abcdef", name[] = "btn?fr";

	*to++ = '\\';
	if (c == '"' || c == '\\') {
		*to++ = (char)c;
	} else if (c >= '\b' && c <= '\r' && c != '\v') {
		*to++ = name[c - '\b'];
	} else {
		memcpy(to, "u00", 3);
		to[3] = hex[c >> 4];
		to[4] = hex[c & 15];
		to += 5;
	}
	return to;
}

/* Quote well-formed UTF-8, a piece at a time: it may grow to six times its size. */
static void
quote_good(const struct json_simd *simd, struct buf *b, str s)
{
	while (s.n > 0) {
		ptrdiff_t n = s.n < QUOTE_PIECE ? s.n : QUOTE_PIECE, i = 0;
		char *to = buf_room(b, 6 * n);

		if (to == NULL)
			return;
		for (;;) {
			ptrdiff_t run = simd->plain(to, s.p + i, n - i);

			i += run;
			to += run;
			if (i == n)
				break;
			to = put_escape(to, (unsigned char)s.p[i++]);
		}
		b->n = to - b->p;
		s = (str){ s.p + n, s.n - n };
	}
}

void
json_quote(struct buf *b, str text)
{
	const struct json_simd *simd = json_simd();
	ptrdiff_t i = 0;

	buf_byte(b, '"');
	while (i < text.n) {
		ptrdiff_t bad = simd->utf8(text.p, i, text.n);

		quote_good(simd, b, (str){ text.p + i, bad - i });
		if (bad < text.n)
			buf_add(b, S("\xef\xbf\xbd"));
		i = bad + 1;
	}
	buf_byte(b, '"');
}

static bool
is_digits(str s)
{
	for (ptrdiff_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

int
json_number(str value, double *x, struct err *err)
{
	char s[512], *end;

	if (value.n == 0 || (value.p[0] != '-' && (value.p[0] < '0' || value.p[0] > '9')))
		return err_set(err, ERR_FORMAT, "not a number");
	if (value.n <= DIGITS_EXACT && is_digits(value)) {
		*x = 0;
		for (ptrdiff_t i = 0; i < value.n; i++)
			*x = 10 * *x + (value.p[i] - '0');
		return 0;
	}
	if (value.n >= (ptrdiff_t)sizeof(s))
		return err_set(err, ERR_FORMAT, "a number of more than %zu digits",
		    sizeof(s) - 1);
	memcpy(s, value.p, (size_t)value.n);
	s[value.n] = '\0';
	*x = strtod(s, &end);
	if (*end != '\0')
		return err_set(err, ERR_FORMAT, "not a number");
	return 0;
}

static int
find_set(const struct json_set *set, int n, str key)
{
	for (int i = 0; i < n; i++)
		if (key_is(key, set[i].key))
			return i;
	return -1;
}

int
json_splice(struct buf *b, str object, const struct json_set *set, int n, struct err *err)
{
	const struct json_simd *simd = json_simd();
	struct json_member m;
	/* Bytes up to from are written; start is after the opening brace. */
	ptrdiff_t at = 0, start = 0, from = 0, end = 0;
	uint64_t seen = 0;
	int got, kept = 0;

	if (n > 64)
		return err_set(err, ERR_ARG, "more than 64 values set in a record");
	while ((got = next(simd, object, &at, &m, err)) > 0) {
		int i = find_set(set, n, m.key);
		ptrdiff_t here = m.key.p - 1 - object.p;

		if (end == 0) {
			const char *brace = memchr(object.p, '{', (size_t)here);

			start = brace + 1 - object.p;
			buf_add(b, (str){ object.p, start });
			from = start;
		}
		end = at;
		if (i >= 0)
			seen |= (uint64_t)1 << i;
		if (i >= 0 && set[i].value.p == NULL) {
			from = at;
			continue;
		}
		/* The first that stays needs no comma before it. */
		if (kept++ == 0)
			from = from == start ? start : here;
		if (i < 0) {
			buf_add(b, (str){ object.p + from, at - from });
		} else {
			buf_add(b, (str){ object.p + from, m.value.p - object.p - from });
			buf_add(b, set[i].value);
		}
		from = at;
	}
	if (got < 0)
		return -1;
	if (end == 0) {
		end = space(object, 0) + 1;
		buf_add(b, (str){ object.p, end });
	}
	for (int i = 0; i < n; i++) {
		if ((seen >> i & 1) != 0 || set[i].value.p == NULL)
			continue;
		if (kept++ > 0)
			buf_byte(b, ',');
		json_quote(b, set[i].key);
		buf_byte(b, ':');
		buf_add(b, set[i].value);
	}
	buf_add(b, (str){ object.p + end, object.n - end });
	return buf_ok(b, err);
}

int64_t
json_lines(str s)
{
	return json_simd()->lines(s.p, s.n);
}

ptrdiff_t
utf8_bad(str s)
{
	ptrdiff_t at = json_simd()->utf8(s.p, 0, s.n);

	return at == s.n ? -1 : at;
}

/*
 * jansson refuses integers past 64 bits, and real configs have them
 * (model_max_length of 1e30): write those as reals.
 */
static char *
big_integers_as_reals(str s, ptrdiff_t *n)
{
	struct buf b = { 0 };
	bool in_string = false;

	for (ptrdiff_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		ptrdiff_t k = i;

		if (!in_string)
			while (k < s.n && s.p[k] >= '0' && s.p[k] <= '9')
				k++;
		if (k > i) {
			buf_add(&b, (str){ s.p + i, k - i });
			if (k - i > 18 && (i == 0 || s.p[i - 1] != '.') &&
			    (k == s.n || memchr(".eE", s.p[k], 3) == NULL))
				buf_add(&b, S(".0"));
			i = k - 1;
			continue;
		}
		buf_byte(&b, c);
		if (in_string && c == '\\' && i + 1 < s.n)
			buf_byte(&b, s.p[++i]);
		else if (c == '"')
			in_string = !in_string;
	}
	*n = b.n;
	if (b.failed)
		buf_free(&b);
	return b.p;
}

json_t *
json_doc(str bytes, struct err *err)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
	json_error_t why;
	json_t *doc = json_loadb(bytes.p, (size_t)bytes.n, flags, &why);

	if (doc == NULL && json_error_code(&why) == json_error_numeric_overflow) {
		ptrdiff_t n;
		char *again = big_integers_as_reals(bytes, &n);

		if (again != NULL)
			doc = json_loadb(again, (size_t)n, flags, &why);
		free(again);
	}
	if (doc == NULL)
		err_set(err, json_error_code(&why) == json_error_out_of_memory ? ERR_NOMEM :
		    ERR_FORMAT, "line %d, column %d: %s", why.line, why.column, why.text);
	return doc;
}

json_t *
json_doc_load(const char *path, struct err *err)
{
	struct arena a;
	json_t *doc = NULL;
	str s;

	if (arena_init(&a, DOC_MAX + 4096, err) < 0)
		return NULL;
	s = file_slurp(&a, path, DOC_MAX, err);
	if (s.p != NULL && (doc = json_doc(s, err)) == NULL)
		err_wrap(err, "%s", path);
	arena_free(&a);
	return doc;
}

/* The shortest decimal that reads back as x, always with a point or exponent. */
static void
put_real(struct buf *b, double x)
{
	char s[40];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(s, sizeof(s), "%.*g", digits, x);
		if (strtod(s, NULL) == x)	/* exact by intent */
			break;
	}
	buf_add(b, str_of(s));
	if (strpbrk(s, ".e") == NULL)
		buf_add(b, S(".0"));
}

static void
new_line(struct buf *b, int depth)
{
	buf_byte(b, '\n');
	for (int i = 0; i < depth; i++)
		buf_add(b, S("  "));
}

static void put_doc(struct buf *b, const json_t *doc, int depth);

static void
put_object(struct buf *b, const json_t *doc, int depth)
{
	const char *sep = "";
	json_t *o = json_incref((json_t *)(uintptr_t)doc);

	buf_byte(b, '{');
	for (void *it = json_object_iter(o); it != NULL; it = json_object_iter_next(o, it)) {
		buf_add(b, str_of(sep));
		new_line(b, depth + 1);
		json_quote(b, str_of(json_object_iter_key(it)));
		buf_add(b, S(": "));
		put_doc(b, json_object_iter_value(it), depth + 1);
		sep = ",";
	}
	if (*sep != '\0')
		new_line(b, depth);
	buf_byte(b, '}');
	json_decref(o);
}

static void
put_doc(struct buf *b, const json_t *doc, int depth)
{
	switch (json_typeof(doc)) {
	case JSON_OBJECT:
		put_object(b, doc, depth);
		break;
	case JSON_ARRAY:
		buf_byte(b, '[');
		for (size_t i = 0; i < json_array_size(doc); i++) {
			if (i > 0)
				buf_byte(b, ',');
			new_line(b, depth + 1);
			put_doc(b, json_array_get(doc, i), depth + 1);
		}
		if (json_array_size(doc) > 0)
			new_line(b, depth);
		buf_byte(b, ']');
		break;
	case JSON_STRING:
		json_quote(b, (str){ json_string_value(doc),
		    (ptrdiff_t)json_string_length(doc) });
		break;
	case JSON_INTEGER:
		buf_fmt(b, "%" JSON_INTEGER_FORMAT, json_integer_value(doc));
		break;
	case JSON_REAL:
		put_real(b, json_real_value(doc));
		break;
	case JSON_TRUE:
		buf_add(b, S("true"));
		break;
	case JSON_FALSE:
		buf_add(b, S("false"));
		break;
	case JSON_NULL:
		buf_add(b, S("null"));
		break;
	}
}

int
json_doc_save(const char *path, const json_t *doc, struct err *err)
{
	struct buf b = { 0 };
	int ret;

	put_doc(&b, doc, 0);
	buf_byte(&b, '\n');
	ret = buf_ok(&b, err);
	if (ret == 0)
		ret = file_write(path, buf_str(&b), err);
	buf_free(&b);
	return ret;
}
