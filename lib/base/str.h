/*
 * str - a borrowed slice of bytes
 *
 * A str never owns its bytes and is not NUL terminated.  It is passed and
 * returned by value.  Sizes are signed, so that a difference is a length.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

typedef struct {
	const char	*p;
	ptrdiff_t	 n;
} str;

#define S(lit) ((str){ (lit), (ptrdiff_t)sizeof(lit) - 1 })

/* For printf("%.*s", STR_ARG(s)). */
#define STR_ARG(s) (int)(s).n, (s).p

static inline str
str_of(const char *cstr)
{
	return (str){ cstr, (ptrdiff_t)strlen(cstr) };
}

static inline bool
str_eq(str a, str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, (size_t)a.n) == 0);
}

static inline bool
str_starts(str s, str prefix)
{
	return s.n >= prefix.n && str_eq((str){ s.p, prefix.n }, prefix);
}

static inline bool
str_ends(str s, str suffix)
{
	return s.n >= suffix.n && str_eq((str){ s.p + s.n - suffix.n, suffix.n }, suffix);
}

/* Is s the word, or does it start with it?  The case of ASCII letters does not count. */
static inline bool
str_starts_like(str s, const char *word)
{
	ptrdiff_t n = (ptrdiff_t)strlen(word);

	return s.n >= n && strncasecmp(s.p, word, (size_t)n) == 0;
}

static inline bool
str_like(str s, const char *word)
{
	return s.n == (ptrdiff_t)strlen(word) && str_starts_like(s, word);
}

/* s without the blanks and control characters of ASCII at its ends. */
static inline str
str_trim(str s)
{
	while (s.n > 0 && (unsigned char)*s.p <= ' ') {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && (unsigned char)s.p[s.n - 1] <= ' ')
		s.n--;
	return s;
}

/*
 * Cut the part before the first sep off *rest and return it; without a sep
 * the whole of *rest.  When nothing is left to cut, *rest has p == NULL.
 */
static inline str
str_cut(str *rest, char sep)
{
	const char *at = rest->n > 0 ? (const char *)memchr(rest->p, sep, (size_t)rest->n) : NULL;
	str head = *rest;

	if (at == NULL) {
		*rest = (str){ NULL, 0 };
		return head;
	}
	head.n = at - rest->p;
	*rest = (str){ at + 1, rest->n - head.n - 1 };
	return head;
}

/* Cut the next word off *rest, up to a blank or control character of ASCII; n is 0 at the end. */
static inline str
str_word(str *rest)
{
	str s = str_trim(*rest);
	ptrdiff_t n = 0;

	while (n < s.n && (unsigned char)s.p[n] > ' ')
		n++;
	*rest = (str){ s.p + n, s.n - n };
	return (str){ s.p, n };
}

#endif
