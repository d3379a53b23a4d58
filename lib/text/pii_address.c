/* IP addresses. */
#include "text/pii_impl.h"

/* The end of four numbers below 256 at i, or -1. */
static ptrdiff_t
quad(struct look *l, ptrdiff_t i, unsigned char octet[4])
{
	for (int k = 0; k < 4; k++) {
		int n = 0, x = 0;

		while (n < 4 && is_digit(look_at(l, i + n)))
			x = 10 * x + (look_at(l, i + n++) - '0');
		if (n == 0 || n > 3 || x > 255 || (n > 1 && look_at(l, i) == '0'))
			return -1;
		octet[k] = (unsigned char)x;
		i += n;
		if (k < 3 && look_at(l, i++) != '.')
			return -1;
	}
	return i;
}

static bool
is_global4(const unsigned char a[4])
{
	static const struct {
		unsigned net;
		int bits;
	} reserved[] = {
		/* IANA's special-purpose registry */
		{ 0x00000000, 8 },
		{ 0x0a000000, 8 },
		{ 0x64400000, 10 },
		{ 0x7f000000, 8 },
		{ 0xa9fe0000, 16 },
		{ 0xac100000, 12 },
		{ 0xc0000000, 24 },
		{ 0xc0000200, 24 },
		{ 0xc0586300, 24 },
		{ 0xc0a80000, 16 },
		{ 0xc6120000, 15 },
		{ 0xc6336400, 24 },
		{ 0xcb007100, 24 },
		{ 0xe0000000, 3 },
	};
	unsigned all = (unsigned)a[0] << 24 | (unsigned)a[1] << 16 | (unsigned)a[2] << 8 | a[3];

	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if ((all ^ reserved[i].net) >> (32 - reserved[i].bits) == 0)
			return false;
	return true;
}

bool
pii_ipv4(struct look *l, ptrdiff_t at, struct pii_span *span)
{
	unsigned char octet[4], other[4];
	unsigned before = look_at(l, at - 1), after, says;
	ptrdiff_t end;
	bool global, in_url;
	int large = 0;

	/* The first octet is up to three digits and a full stop. */
	if (!wanted(l, PII_IPV4) || at < l->low)
		return false;
	end = quad(l, at, octet);
	if (end < 0 || is_alnum(before) || before == '.' || before == '_' ||
	    (before == '-' && at - 1 != l->low) || before == '+' || before == '~' || before == '$')
		return false;
	if (before == '/' && look_at(l, at - 2) != '/')
		return false; /* Agent/1.2.3.4 */
	after = look_at(l, end);
	if (is_alnum(after) || after == '_' || after == '~' || after == '+' ||
	    (after == '.' && is_alnum(look_at(l, end + 1))))
		return false;
	/* 1.2.3.4-1 is a version, 1.2.3.4-1.2.3.8 a range. */
	if (after == '-' && is_alnum(look_at(l, end + 1)) && quad(l, end + 1, other) < 0)
		return false;
	global = is_global4(octet);
	if (!l->rules->local && !global)
		return false;
	if (before == 0xa7 || (before == ' ' && look_at(l, at - 2) == 0xa7))
		return false; /* a section sign */
	in_url = before == '@' || (before == '/' && look_at(l, at - 3) == ':');
	says = in_url ? SAYS_IP : words_say(l, at, SAYS_IP | SAYS_VERSION, 5);
	if (says == SAYS_VERSION)
		return false;
	/* Numbers of sections, versions and object identifiers are small. */
	for (int i = 0; i < 4; i++)
		large += octet[i] >= 32;
	if (says == 0 && global && large < 2 && !(after == ':' && is_digit(look_at(l, end + 1))))
		return false;
	*span = (struct pii_span){ at, end, PII_IPV4 };
	return true;
}

/* Eight groups at i: the end, or -1; *written is how many stand there. */
static ptrdiff_t
groups(struct look *l, ptrdiff_t i, unsigned g[8], int *written)
{
	int n = 0, gap = -1;

	if (look_at(l, i) == ':' && look_at(l, i + 1) == ':') {
		gap = 0;
		i += 2;
	}
	while (n < 8) {
		int digits = 0;
		unsigned x = 0;

		for (; digits < 5 && is_hex(look_at(l, i + digits)); digits++) {
			unsigned c = look_at(l, i + digits);

			x = 16 * x + (is_digit(c) ? c - '0' : lower(c) - 'a' + 10);
		}
		if (digits == 0)
			break;
		if (digits > 4)
			return -1;
		g[n++] = x;
		i += digits;
		if (look_at(l, i) != ':')
			break;
		if (look_at(l, i + 1) == ':') {
			if (gap >= 0 || n == 8)
				return -1;
			gap = n;
			i += 2;
		} else if (is_hex(look_at(l, i + 1)) && n < 8) {
			i++;
		} else {
			break;
		}
	}
	*written = n;
	if (gap < 0)
		return n == 8 ? i : -1;
	if (n == 8)
		return -1;
	for (int k = n; k-- > gap;)
		g[k + 8 - n] = g[k];
	for (int k = gap; k < gap + 8 - n; k++)
		g[k] = 0;
	return i;
}

bool
ipv6_parse(str s, unsigned g[8])
{
	struct look l = { .s = s.p, .n = s.n };
	int written;

	return groups(&l, 0, g, &written) == s.n;
}

static bool
is_global6(const unsigned g[8])
{
	if (g[0] >> 13 != 1)
		return false;
	if (g[0] == 0x2001) /* protocols; documentation */
		return g[1] >= 0x200 && g[1] != 0xdb8;
	return g[0] != 0x2002 && !(g[0] == 0x3fff && g[1] < 0x1000);
}

/* Private, link-local and multicast networks, loopback, and what is_global6() leaves out. */
static bool
is_local6(const unsigned g[8])
{
	unsigned any = 0;

	for (int i = 0; i < 7; i++)
		any |= g[i];
	return g[0] >> 9 == 0x7e || g[0] >> 6 == 0x3fa || g[0] >> 8 == 0xff || g[0] >> 13 == 1 ||
	    (any == 0 && g[7] == 1);
}

bool
pii_ipv6(struct look *l, ptrdiff_t at, struct pii_span *span)
{
	ptrdiff_t start = at, end;
	unsigned g[8], before, after;
	int written;

	/* This is the first colon of an address, and at most four digits are before it. */
	after = look_at(l, at + 1);
	if (!wanted(l, PII_IPV6) || (after != ':' && !is_hex(after)))
		return false;
	while (start > l->low && at - start < 4 && is_hex(look_at(l, start - 1)))
		start--;
	before = look_at(l, start - 1);
	if (is_alnum(before) || before == ':' || before == '.' || before == '_' || before == '-' ||
	    before == '@' || (start == at && after != ':'))
		return false;
	end = groups(l, start, g, &written);
	if (end < 0 || written == 0 || (!is_global6(g) && !(l->rules->local && is_local6(g))))
		return false;
	after = look_at(l, end);
	if (is_alnum(after) || after == '_' || (after == ':' && look_at(l, end + 1) == ':') ||
	    (after == '.' && is_alnum(look_at(l, end + 1))))
		return false;
	*span = (struct pii_span){ start, end, PII_IPV6 };
	return true;
}
