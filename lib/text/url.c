#include "text/url.h"

#include <stdlib.h>

#include "text/unicode.h"

#define PARAMS 256		/* more are left in their order */

/* Parameters that tell where a reader came from; an end in _ is a prefix. */
static const char *const tracking[] = {
	"utm_", "fbclid", "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "msclkid", "yclid",
	"ysclid", "twclid", "ttclid", "li_fat_id", "igshid", "igsh", "mc_cid", "mc_eid", "_ga",
	"_gl", "_hsenc", "_hsmi", "hsa_", "mkt_tok", "oly_anon_id", "oly_enc_id", "vero_id",
	"pk_", "mtm_", "matomo_", "ref_src", "ref_url", "wt_mc", "s_kwcid", "srsltid", "spm",
};

static const char *const sessions[] = { "jsessionid", "phpsessid", "aspsessionid" };

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool
is_alnum(char c)
{
	return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9');
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Append a part with its %XX as they are best written (RFC 3986, 6.2.2). */
static void
add_part(struct buf *to, str s)
{
	static const char digit[] = "0123456789ABCDEF";

	for (ptrdiff_t i = 0; i < s.n; i++) {
		int high = s.n - i > 2 ? hex(s.p[i + 1]) : -1;
		int low = high >= 0 ? hex(s.p[i + 2]) : -1;
		char c = (char)(low >= 0 ? high << 4 | low : 0);

		if (s.p[i] != '%' || low < 0) {
			buf_byte(to, s.p[i]);
			continue;
		}
		i += 2;
		if (is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~') {
			buf_byte(to, c);
			continue;
		}
		buf_byte(to, '%');
		buf_byte(to, digit[high]);
		buf_byte(to, digit[low]);
	}
}

/* The scheme before the colon, or one with p NULL. */
static str
scheme_of(str s)
{
	ptrdiff_t i = 0;

	while (i < s.n && (is_alnum(s.p[i]) || s.p[i] == '+' || s.p[i] == '-' || s.p[i] == '.'))
		i++;
	if (i == 0 || i == s.n || s.p[i] != ':' || (s.p[0] >= '0' && s.p[0] <= '9'))
		return (str){ NULL, 0 };
	/* host:80 has no scheme, nor has host.org:80 */
	if (i + 1 < s.n && s.p[i + 1] >= '0' && s.p[i + 1] <= '9')
		return (str){ NULL, 0 };
	return (str){ s.p, i };
}

static void
add_host(struct buf *to, str host, bool secure)
{
	const char *at = memrchr(host.p, '@', (size_t)host.n), *colon;

	if (at != NULL)
		host = (str){ at + 1, host.p + host.n - at - 1 };
	colon = host.n > 0 ? memrchr(host.p, ':', (size_t)host.n) : NULL;
	if (colon != NULL) {
		str port = { colon + 1, host.p + host.n - colon - 1 };

		if (port.n == 0 || str_eq(port, secure ? S("443") : S("80")))
			host.n = colon - host.p;
	}
	if (host.n > 0 && host.p[host.n - 1] == '.')
		host.n--;
	if (str_starts_like(host, "www.") && host.n > 4)
		host = (str){ host.p + 4, host.n - 4 };
	for (ptrdiff_t i = 0; i < host.n; i++)
		buf_byte(to, lower(host.p[i]));
}

/* Segments one by one, so that .. takes the last one away; from: where the path begins. */
static void
add_path(struct buf *to, str path)
{
	ptrdiff_t from = to->n;

	while (path.n > 0) {
		const char *slash = memchr(path.p + 1, '/', (size_t)path.n - 1), *semi;
		str segment = { path.p, slash != NULL ? slash - path.p : path.n };
		ptrdiff_t start = to->n;

		path = (str){ path.p + segment.n, path.n - segment.n };
		semi = memchr(segment.p, ';', (size_t)segment.n);
		for (size_t i = 0; semi != NULL && i < sizeof(sessions) / sizeof(*sessions); i++)
			if (str_starts_like((str){ semi + 1, segment.p + segment.n - semi - 1 },
			    sessions[i]))
				segment.n = semi - segment.p;
		add_part(to, segment);
		segment = (str){ to->p + start, to->n - start };
		if (str_eq(segment, S("/.")) || str_eq(segment, S("/.."))) {
			to->n = start;
			if (segment.n == 3)
				while (to->n > from && to->p[--to->n] != '/')
					;
		}
	}
	while (to->n > from && to->p[to->n - 1] == '/')
		to->n--;
	if (to->n == from)
		buf_byte(to, '/');
}

static bool
is_idle(str param)
{
	const char *equals = memchr(param.p, '=', (size_t)param.n);
	str name = { param.p, equals != NULL ? equals - param.p : param.n };

	for (size_t i = 0; i < sizeof(tracking) / sizeof(*tracking); i++) {
		const char *word = tracking[i];

		if (word[strlen(word) - 1] == '_' ? str_starts_like(name, word) :
		    str_like(name, word))
			return true;
	}
	for (size_t i = 0; i < sizeof(sessions) / sizeof(*sessions); i++)
		if (str_starts_like(name, sessions[i]))
			return true;
	return name.n == 0;
}

static int
by_bytes(const void *p, const void *q)
{
	const str *a = p, *b = q;
	int c = memcmp(a->p, b->p, (size_t)(a->n < b->n ? a->n : b->n));

	return c != 0 ? c : (a->n > b->n) - (a->n < b->n);
}

static void
add_query(struct buf *to, str query)
{
	str param[PARAMS];
	size_t n = 0;

	while (query.p != NULL && n < PARAMS) {
		str one = n + 1 == PARAMS ? query : str_cut(&query, '&');

		if (n + 1 == PARAMS)
			query.p = NULL;
		if (one.n > 0 && !is_idle(one))
			param[n++] = one;
	}
	if (n < PARAMS)
		qsort(param, n, sizeof(*param), by_bytes);
	for (size_t i = 0; i < n; i++) {
		buf_byte(to, i == 0 ? '?' : '&');
		add_part(to, param[i]);
	}
}

int
url_name(struct buf *to, str url, struct err *err)
{
	str s = uni_trim(url), scheme = scheme_of(s), fragment = s, query, host;
	bool secure = str_like(scheme, "https");
	ptrdiff_t i = 0;

	buf_reset(to);
	s = str_cut(&fragment, '#');
	if (scheme.p != NULL && !secure && !str_like(scheme, "http")) {
		for (; i < scheme.n; i++)
			buf_byte(to, lower(s.p[i]));
		add_part(to, (str){ s.p + i, s.n - i });
		return buf_ok(to, err);
	}
	if (scheme.p != NULL)
		s = (str){ s.p + scheme.n + 1, s.n - scheme.n - 1 };
	while (s.n > 0 && *s.p == '/')
		s.p++, s.n--;
	query = s;
	s = str_cut(&query, '?');
	while (i < s.n && s.p[i] != '/')
		i++;
	host = (str){ s.p, i };
	if (host.n > 0)
		add_host(to, host, secure);
	add_path(to, (str){ s.p + i, s.n - i });
	add_query(to, query);
	if (fragment.n > 1 && *fragment.p == '!') {
		buf_byte(to, '#');
		add_part(to, fragment);
	}
	return buf_ok(to, err);
}
