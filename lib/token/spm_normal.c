#include "token/spm.h"

#include <string.h>

#include "text/unicode.h"
#include "token/sentence.h"

/*
 * Most characters stay as they are.  In two sets of those of up to three bytes is
 * which no entry replaces, and which none begins with; what goes on in some
 * entry begins with a byte that is SPM_NEXT.
 */

void
spm_free(struct spm_form *f)
{
	charsmap_free(&f->map);
	darts_free(&f->user);
	*f = (struct spm_form){ 0 };
}

/* The first bytes of s, and what stands for them. */
static ptrdiff_t
prefix_of(const struct spm_form *f, str s, str *to)
{
	uint32_t at = darts_root(&f->user);
	const char *p = s.p;
	int32_t value;
	ptrdiff_t n = 0;

	for (ptrdiff_t i = 0; i < s.n && darts_step(&f->user, &at, (uint8_t)s.p[i], &value); i++)
		if (value >= 0)
			n = i + 1;
	if (n == 0 && f->map.on && (n = charsmap_longest(&f->map, s, to)) > 0)
		return n;
	if (n == 0) {
		utf8_next(&p, s.p + s.n);
		n = p - s.p;
	}
	*to = (str){ s.p, n };
	return n;
}

static bool
has(const uint64_t *set, uint32_t c)
{
	return (set[c / 64] >> c % 64 & 1) != 0;
}

static void
drop(uint64_t *set, uint32_t c)
{
	set[c / 64] &= ~((uint64_t)1 << c % 64);
}

static void
put(struct buf *out, str s)
{
	char *to = buf_room(out, s.n);

	if (to != NULL)
		out->n += sentence_bytes(to, s);
}

/* The character of up to three bytes that s begins with, and their number; 0: it is another. */
static inline int
short_char(str s, uint32_t *c)
{
	const uint8_t *p = (const uint8_t *)s.p;

	*c = p[0];
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc0 || p[0] >= 0xf0 || s.n < 3)
		return 0;
	if (p[0] < 0xe0) {
		*c = (p[0] & 31u) << 6 | (p[1] & 63u);
		return 2;
	}
	*c = (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u);
	return 3;
}

/* ASCII that stays as it is whatever comes behind: how many bytes s begins with. */
static inline ptrdiff_t
plain_run(const struct spm_form *f, str s)
{
	const uint8_t *p = (const uint8_t *)s.p;
	ptrdiff_t n = 0;

	for (uint8_t kind = f->kind[p[0]], next; n + 1 < s.n; n++, kind = next) {
		next = f->kind[p[n + 1]];
		if (((kind & SPM_OTHER) | (next & SPM_NEXT) | (kind & next & SPM_SPACE)) != 0)
			break;
	}
	return n;
}

/* Past what stays as it is, or is a space too many: behind one, or the beginning. */
static str
put_plain(const struct spm_form *f, str s, bool *after, struct buf *out)
{
	char *start = buf_room(out, s.n), *to = start;
	bool behind = *after;
	uint32_t c;
	int n;

	if (start == NULL)
		return s;
	while (s.n > 0) {
		ptrdiff_t run = behind ? 0 : plain_run(f, s);

		if (run > 0) {
			memcpy(to, s.p, (size_t)run);
			to += run;
			behind = f->trim && to[-1] == ' ';
			s = (str){ s.p + run, s.n - run };
		}
		if ((n = short_char(s, &c)) == 0 || !has(f->same, c) ||
		    (!has(f->lone, c) && n < s.n && (f->kind[(uint8_t)s.p[n]] & SPM_NEXT) != 0))
			break;
		for (int i = 0; i < n; i++)
			to[i] = s.p[i];
		to += f->trim && c == ' ' && behind ? 0 : n;
		behind = f->trim && c == ' ';
		s = (str){ s.p + n, s.n - n };
	}
	*after = behind;
	out->n += to - start;
	return s;
}

int
spm_normalize(const struct spm_form *f, str text, struct buf *out, struct err *err)
{
	ptrdiff_t start = out->n, n;
	bool after = f->trim;		/* a space, or the beginning */
	str to;

	while (f->trim && text.n > 0 && (n = prefix_of(f, text, &to), str_eq(to, S(" "))))
		text = (str){ text.p + n, text.n - n };
	if (text.n == 0)
		return 0;
	if (f->prefix)
		buf_byte(out, ' ');
	if (f->all) {
		put(out, text);
		text.n = 0;
	}
	while (text = put_plain(f, text, &after, out), text.n > 0 && !out->failed) {
		n = prefix_of(f, text, &to);
		while (after && to.n > 0 && to.p[0] == ' ')
			to = (str){ to.p + 1, to.n - 1 };
		put(out, to);
		if (to.n > 0)
			after = f->trim && to.p[to.n - 1] == ' ';
		text = (str){ text.p + n, text.n - n };
	}
	while (f->trim && out->n > start && out->p[out->n - 1] == ' ')
		out->n--;
	return buf_ok(out, err);
}

/* The node that c leads to in d; false: there is none.  Does a key end on the way there? */
static bool
node_of(const struct darts *d, uint32_t c, uint32_t *at, bool *ends)
{
	char p[4];
	int n = utf8_put(p, (int32_t)c);
	int32_t value;

	*at = darts_root(d);
	*ends = false;
	for (int i = 0; i < n; i++) {
		if (!darts_step(d, at, (uint8_t)p[i], &value))
			return false;
		*ends |= value >= 0;
	}
	return true;
}

/* Characters that begin an entry of d. */
static void
note(struct spm_form *f, const struct darts *d)
{
	for (uint32_t c = 0; c < SPM_CHARS; c++) {
		uint32_t at, to;
		int32_t value;
		bool ends, on = node_of(d, c, &at, &ends);

		if (ends)
			drop(f->same, c);
		for (int b = 0; on && b < 256; b++) {
			to = at;
			if (!darts_step(d, &to, (uint8_t)b, &value))
				continue;
			drop(f->lone, c);
			f->kind[b] |= SPM_NEXT;
		}
	}
}

int
spm_form(struct spm_form *f, str map, struct darts_key *user, int64_t n, struct err *err)
{
	int64_t some = 0;

	f->on = true;
	for (int64_t i = 0; i < n; i++)
		if (user[i].key.n > 0 &&
		    memchr(user[i].key.p, '\0', (size_t)user[i].key.n) == NULL)
			user[some++] = user[i];
	if (darts_build(&f->user, user, some, err) < 0 ||
	    (map.n > 0 && charsmap_load(&f->map, map, err) < 0))
		return -1;
	f->all = some == 0 && !f->map.on && !f->trim;
	memset(f->same, 0xff, sizeof(f->same));
	memset(f->lone, 0xff, sizeof(f->lone));
	note(f, &f->user);
	note(f, &f->map.trie);
	drop(f->same, 0x2581);		/* as which tokens have a space */
	for (uint32_t c = 0; c < 256; c++)
		f->kind[c] |= (c < 128 && has(f->same, c) ? 0 : SPM_OTHER) |
		    (c == ' ' && f->trim ? SPM_SPACE : 0);
	return 0;
}
