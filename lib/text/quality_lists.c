/*
 * Rules that look in lists of the user's: bad words in the text, and the URL
 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/stream.h"
#include "text/automaton.h"
#include "text/quality_impl.h"

#define LIST_BYTES	((ptrdiff_t)1 << 30)	/* of a file */
#define URL_WORDS	64			/* different ones of a URL that are counted */

/* Hashes of strings, 0 for an empty slot. */
struct quality_set {
	uint64_t	*slot;
	uint64_t	 mask;
};

static const struct {
	const char	*name;
	int		 rule;
} lists[QUALITY_LISTS] = {
	[LIST_BAD] = { "words.bad", WORDS_BAD },
	[LIST_DOMAINS] = { "url.domains", URL_DOMAINS },
	[LIST_PAGES] = { "url.pages", URL_PAGES },
	[LIST_HARD] = { "url.hard-words", URL_HARD },
	[LIST_SOFT] = { "url.soft-words", URL_SOFT },
	[LIST_PARTS] = { "url.parts", URL_PARTS },
};

static uint64_t
hash_of(str s)
{
	uint64_t h = hash64(s);

	return h + (h == 0);
}

static bool
set_has(const struct quality_set *s, uint64_t h)
{
	for (uint64_t k = h & s->mask; s->slot[k] != 0; k = (k + 1) & s->mask)
		if (s->slot[k] == h)
			return true;
	return false;
}

static struct quality_set *
set_new(const str *line, ptrdiff_t n, struct err *err)
{
	struct quality_set *s = calloc(1, sizeof(*s));
	uint64_t size = 16;

	while (size < 2 * (uint64_t)n)
		size *= 2;
	if (s == NULL || (s->slot = calloc(size, sizeof(*s->slot))) == NULL) {
		free(s);
		err_set(err, ERR_NOMEM, "no memory for a list");
		return NULL;
	}
	s->mask = size - 1;
	for (ptrdiff_t i = 0; i < n; i++) {
		uint64_t h = hash_of(line[i]), k = h & s->mask;

		while (s->slot[k] != 0 && s->slot[k] != h)
			k = (k + 1) & s->mask;
		s->slot[k] = h;
	}
	return s;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
}

/*
 * The lines of a file in *line, trimmed, without empty ones and comments (# at the
 * start); of URLs in lower case, of parts the letters and digits.
 */
static ptrdiff_t
split(struct arena *a, str file, enum quality_list list, str **line, struct err *err)
{
	str *to = arena_new(a, str, json_lines(file) + 1, err);
	char *at = arena_alloc(a, file.n + 1, 1, err);
	ptrdiff_t n = 0;

	if (to == NULL || at == NULL)
		return -1;
	while (file.p != NULL) {
		str s = uni_trim(str_cut(&file, '\n'));
		char *start = at;

		if (s.n == 0 || s.p[0] == '#')
			continue;
		for (ptrdiff_t i = 0; i < s.n; i++)
			if (list != LIST_PARTS || is_alnum(s.p[i]))
				*at++ = list == LIST_BAD || list == LIST_PAGES ? s.p[i] :
				    lower(s.p[i]);
		if (at > start)
			to[n++] = (str){ start, at - start };
	}
	*line = to;
	return n;
}

static int
load(struct quality *q, enum quality_list list, str file, struct arena *a, struct err *err)
{
	str *line;
	ptrdiff_t n;

	if (utf8_bad(file) >= 0)
		return err_set(err, ERR_FORMAT, "no UTF-8 at byte %td", utf8_bad(file));
	if ((n = split(a, file, list, &line, err)) < 0)
		return -1;
	if (n == 0)
		return err_set(err, ERR_FORMAT, "a list without an entry");
	if (list == LIST_BAD || list == LIST_PARTS) {
		automaton_free(q->places[list]);
		q->places[list] = automaton_new(line, n, err);
		if (q->places[list] == NULL)
			return -1;
	} else {
		quality_list_free(q, list);
		if ((q->list[list] = set_new(line, n, err)) == NULL)
			return -1;
	}
	q->list_hash[list] = hash64_seed(file, (uint64_t)list + 1);
	return 0;
}

int
quality_read_list(struct quality *q, str setting, struct err *err)
{
	str path = setting, name = str_cut(&path, '=');
	struct arena a;
	str file;
	int ret = -1, list = 0;
	char *copy;

	while (list < QUALITY_LISTS && !str_eq(name, str_of(lists[list].name)))
		list++;
	if (path.p == NULL || path.n == 0)
		return err_set(err, ERR_ARG, "'%.*s' is not rule=file", STR_ARG(setting));
	if (list == QUALITY_LISTS)
		return err_set(err, ERR_ARG, "no rule '%.*s' that has a list", STR_ARG(name));
	if (arena_init(&a, 4 * LIST_BYTES, err) < 0)
		return -1;
	copy = (char *)arena_str(&a, path, err).p;
	if (copy != NULL) {
		file = file_slurp(&a, copy, LIST_BYTES, err);
		if (file.p != NULL && (ret = load(q, list, file, &a, err)) < 0)
			err_wrap(err, "%s", copy);
	}
	arena_free(&a);
	return ret;
}

void
quality_list_free(struct quality *q, enum quality_list list)
{
	automaton_free(q->places[list]);
	q->places[list] = NULL;
	if (q->list[list] != NULL)
		free(q->list[list]->slot);
	free(q->list[list]);
	q->list[list] = NULL;
}

int
quality_list_of(int rule)
{
	for (int i = 0; i < QUALITY_LISTS; i++)
		if (lists[i].rule == rule)
			return i;
	return -1;
}

bool
quality_has_list(const struct quality *q, int list)
{
	return q->list[list] != NULL || q->places[list] != NULL;
}

int
quality_bad_words(struct quality_run *run, struct err *err)
{
	const struct automaton *a = run->q->places[LIST_BAD];
	double limit = run->q->limit[WORDS_BAD];
	int64_t most = run->value == NULL && limit < 1e15 ? (int64_t)limit + 1 : INT64_MAX;

	(void)err;
	if (a == NULL)
		return 0;
	return fails(run, WORDS_BAD, (double)automaton_count(a, run->text, true, most));
}

/* The host of a URL: behind the scheme and a user, before a port and the path. */
static str
host_of(str url)
{
	const char *p = url.n > 0 ? memmem(url.p, (size_t)url.n, "://", 3) : NULL;
	ptrdiff_t n = 0, user = 0;

	if (p != NULL)
		url = (str){ p + 3, url.p + url.n - p - 3 };
	else if (str_starts(url, S("//")))
		url = (str){ url.p + 2, url.n - 2 };
	while (n < url.n && memchr("/?#", url.p[n], 3) == NULL)
		if (url.p[n++] == '@')
			user = n;
	url = (str){ url.p + user, n - user };
	url = str_cut(&url, ':');
	while (url.n > 0 && url.p[url.n - 1] == '.')
		url.n--;
	return url;
}

/* Is the host listed, or a domain that it is in? */
static bool
is_listed(const struct quality_set *s, str host)
{
	while (host.p != NULL && host.n > 0) {
		if (set_has(s, hash_of(host)))
			return true;
		str_cut(&host, '.');
	}
	return false;
}

/* Different words of the URL that are in the list. */
static int64_t
count_words(const struct quality_set *s, str url)
{
	uint64_t seen[URL_WORDS];
	int n = 0;

	for (ptrdiff_t i = 0, from; i < url.n && n < URL_WORDS; i++) {
		uint64_t h;
		int k = 0;

		for (from = i; i < url.n && is_alnum(url.p[i]); i++)
			continue;
		if (i == from || !set_has(s, h = hash_of((str){ url.p + from, i - from })))
			continue;
		while (k < n && seen[k] != h)
			k++;
		if (k == n)
			seen[n++] = h;
	}
	return n;
}

int
quality_url(struct quality_run *run, struct err *err)
{
	const struct quality *q = run->q;
	struct buf *b = &run->s->line;
	str url = run->s->url, low;
	ptrdiff_t n = 0;

	if (url.p == NULL)
		url = S("");
	buf_reset(b);
	for (ptrdiff_t i = 0; i < url.n; i++)
		buf_byte(b, lower(url.p[i]));
	if (buf_ok(b, err) < 0)
		return -1;
	low = buf_str(b);
	if ((q->list[LIST_DOMAINS] != NULL && fails(run, URL_DOMAINS,
	    is_listed(q->list[LIST_DOMAINS], host_of(low)))) ||
	    (q->list[LIST_PAGES] != NULL && fails(run, URL_PAGES,
	    set_has(q->list[LIST_PAGES], hash_of(url)))) ||
	    (q->list[LIST_HARD] != NULL && fails(run, URL_HARD,
	    (double)count_words(q->list[LIST_HARD], low))) ||
	    (q->list[LIST_SOFT] != NULL && fails(run, URL_SOFT,
	    (double)count_words(q->list[LIST_SOFT], low))))
		return 1;
	if (q->places[LIST_PARTS] == NULL)
		return 0;
	for (ptrdiff_t i = 0; i < low.n; i++)
		if (is_alnum(low.p[i]))
			b->p[n++] = low.p[i];
	return fails(run, URL_PARTS, (double)automaton_count(q->places[LIST_PARTS],
	    (str){ b->p, n }, false, INT64_MAX));
}
