#include "text/pii_impl.h"

#include <assert.h>

const struct pii_kind_info pii_kinds[PII_KINDS] = {
	[PII_EMAIL] = { "email", "e-mail addresses, \"name [at] host [dot] org\" too" },
	[PII_PHONE] = { "phone", "phone numbers, international and national" },
	[PII_IPV4] = { "ipv4", "IPv4 addresses" },
	[PII_IPV6] = { "ipv6", "IPv6 addresses" },
	[PII_CARD] = { "card", "credit card numbers" },
	[PII_IBAN] = { "iban", "international bank account numbers" },
	[PII_SSN] = { "ssn", "American social security numbers" },
	[PII_KEY] = { "key", "keys and tokens of known form, private keys" },
	[PII_PASSWORD] = { "password", "what is assigned to password, api_key, ..." },
	[PII_LOGIN] = { "login", "user and password in a URL" },
};

#define ALL ((1u << PII_KINDS) - 1)

static unsigned
kinds_named(str name)
{
	for (int i = 0; i < PII_KINDS; i++)
		if (str_eq(name, str_of(pii_kinds[i].name)))
			return 1u << i;
	if (str_eq(name, S("ip")))
		return 1u << PII_IPV4 | 1u << PII_IPV6;
	if (str_eq(name, S("secret")))
		return 1u << PII_KEY | 1u << PII_PASSWORD | 1u << PII_LOGIN;
	return str_eq(name, S("all")) ? ALL : 0;
}

int
pii_select(struct pii_rules *r, str names, struct err *err)
{
	bool first = true;

	while (names.p != NULL) {
		str name = str_cut(&names, ',');
		bool minus = str_starts(name, S("-"));
		unsigned kinds;

		if (minus) {
			name.p++;
			name.n--;
			/* "-phone" alone: all but phone. */
			if (first)
				r->kinds = ALL;
		}
		kinds = kinds_named(name);
		if (kinds == 0)
			return err_set(err, ERR_ARG, "no kind '%.*s'", STR_ARG(name));
		r->kinds = minus ? r->kinds & ~kinds : r->kinds | kinds;
		first = false;
	}
	if (r->kinds == 0)
		return err_set(err, ERR_ARG, "no kinds are left");
	return 0;
}

/* The rules whose mark this byte is. */
static bool
verify(struct look *l, ptrdiff_t at, struct pii_span *span)
{
	unsigned char c = (unsigned char)l->s[at];

	if (is_digit(c))
		return pii_iban(l, at, span) || pii_ipv4(l, at, span) || pii_number(l, at, span) ||
		    (at > 0 && l->s[at - 1] == '.' && pii_token(l, at, span));
	switch (c) {
	case '@':
		return pii_email(l, at, span);
	case ':':
		return pii_login(l, at, span) || pii_ipv6(l, at, span) || pii_assigned(l, at, span);
	case '=':
	case '>':
		return pii_assigned(l, at, span);
	case '(':
	case '[':
	case '{':
	case '<':
		return pii_hidden_email(l, at, span);
	case '-':
		return pii_pem(l, at, span) || pii_token(l, at, span);
	default:
		return pii_token(l, at, span);
	}
}

static void
forget_marks(struct pii_scan *scan)
{
	scan->nblocks = scan->block = 0;
	scan->base = scan->next;
}

/* The next mark from scan->next on and before limit, or -1. */
static ptrdiff_t
next_mark(struct pii_scan *scan, str text, ptrdiff_t limit)
{
	for (;;) {
		ptrdiff_t end;

		while (scan->block < scan->nblocks) {
			ptrdiff_t base = scan->base + 64 * scan->block, at;
			uint64_t *m = &scan->mark[scan->block];

			if (base + 64 <= scan->next)
				*m = 0;
			else if (base < scan->next)
				*m &= ~(uint64_t)0 << (scan->next - base);
			if (*m == 0) {
				scan->block++;
				continue;
			}
			at = base + __builtin_ctzll(*m);
			return at < limit ? at : -1;
		}
		end = scan->base + 64 * scan->nblocks;
		if (end > limit)
			end = limit;
		if (end > scan->next)
			scan->next = end;
		if (scan->next >= limit)
			return -1;
		scan->base = scan->next;
		scan->block = 0;
		scan->nblocks = pii_simd()->marks(text.p, text.n, scan->base, scan->mark,
		    PII_MARKS);
	}
}

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* No span begins before the last two words before at. */
static ptrdiff_t
safe_before(const struct pii_scan *scan, str text, ptrdiff_t at)
{
	ptrdiff_t low = at > PII_BEHIND / 2 ? at - PII_BEHIND / 2 : 0;

	for (int words = 0; words < 2; words++) {
		while (at > low && !is_blank(text.p[at - 1]))
			at--;
		while (words == 0 && at > low && is_blank(text.p[at - 1]))
			at--;
	}
	return at > scan->end ? at : scan->end;
}

int
pii_next(struct pii_scan *scan, str text, bool more, struct pii_span *span)
{
	struct look l = { .s = text.p, .n = text.n, .low = scan->end, .rules = scan->rules };
	/* Whether a word is a long one is not known at the end of a piece. */
	ptrdiff_t limit = more ? text.n - PII_LONG : text.n, at;

	if (text.n != scan->seen)
		forget_marks(scan);
	scan->seen = text.n;
	while ((at = next_mark(scan, text, limit)) >= 0) {
		bool found;

		l.over = false;
		found = verify(&l, at, span);
		if (l.over && more) {
			scan->next = at;
			scan->safe = safe_before(scan, text, at);
			return 0;
		}
		scan->next = at + 1;
		if (found) {
			assert(span->start >= scan->end && span->end > at && span->end <= text.n);
			scan->next = scan->end = span->end;
			scan->safe = span->end;
			return 1;
		}
	}
	if (scan->next < limit)
		scan->next = limit;
	scan->safe = more ? safe_before(scan, text, scan->next) : text.n;
	return 0;
}

void
pii_forget(struct pii_scan *scan, ptrdiff_t n)
{
	assert(n <= scan->safe);
	scan->safe -= n;
	scan->next -= n;
	scan->seen = -1;
	scan->end = scan->end > n ? scan->end - n : 0;
}

void
pii_tag(struct buf *out, const char *name)
{
	buf_byte(out, '<');
	for (; *name != '\0'; name++)
		buf_byte(out, (char)(*name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name));
	buf_byte(out, '>');
}

void
pii_hide(const struct pii_rules *rules, str text, struct buf *out)
{
	struct pii_scan scan = { .rules = rules };
	struct pii_span span;
	ptrdiff_t at = 0;

	while (pii_next(&scan, text, false, &span) > 0) {
		buf_add(out, (str){ text.p + at, span.start - at });
		pii_tag(out, pii_kinds[span.kind].name);
		at = span.end;
	}
	buf_add(out, (str){ text.p + at, text.n - at });
}
