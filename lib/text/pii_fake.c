/* Pseudonyms: digits and letters drawn from a keyed hash of the value. */
#include "text/pii_impl.h"

#include "base/blake2.h"

#define KEY_LEAST 16

int
pii_key_init(struct pii_key *key, str bytes, struct err *err)
{
	if (bytes.n < KEY_LEAST)
		return err_set(err, ERR_ARG, "a key has at least %d bytes", KEY_LEAST);
	blake2b(key->k, sizeof(key->k), (str){ NULL, 0 }, bytes);
	return 0;
}

/* Numbers that follow from key, kind and value: 64 bytes of hash, then 64 more, ... */
struct draws {
	const struct pii_key *key;
	unsigned char hash[BLAKE2_MAX];
	int used;
};

static str
key_str(const struct pii_key *key)
{
	return (str){ (const char *)key->k, sizeof(key->k) };
}

static void
draws_start(struct draws *d, const struct pii_key *key, enum pii_kind kind, str value)
{
	unsigned char seed[BLAKE2_MAX + 1];

	d->key = key;
	d->used = 0;
	/* The kind goes with the value's hash, so that no two kinds share a value. */
	blake2b(seed, BLAKE2_MAX, key_str(key), value);
	seed[BLAKE2_MAX] = (unsigned char)kind;
	blake2b(d->hash, BLAKE2_MAX, key_str(key), (str){ (char *)seed, sizeof(seed) });
}

/* From 0 to n - 1. */
static unsigned
draw(struct draws *d, unsigned n)
{
	unsigned x = 0;

	if (d->used == BLAKE2_MAX) {
		unsigned char old[BLAKE2_MAX];

		memcpy(old, d->hash, sizeof(old));
		blake2b(d->hash, BLAKE2_MAX, key_str(d->key), (str){ (char *)old, sizeof(old) });
		d->used = 0;
	}
	for (int i = 0; i < 4; i++)
		x = x << 8 | d->hash[d->used++];
	return x % n;
}

static char
draw_of(struct draws *d, const char *set)
{
	return set[draw(d, (unsigned)strlen(set))];
}

/* The digits of s, at most most. */
static int
digits_of(str s, char *digit, int most)
{
	int n = 0;

	for (ptrdiff_t i = 0; i < s.n && n < most; i++)
		if (is_digit((unsigned char)s.p[i]))
			digit[n++] = s.p[i];
	return n;
}

/* s with these digits for its own. */
static void
put_digits(struct buf *out, str s, const char *digit)
{
	for (ptrdiff_t i = 0; i < s.n; i++)
		buf_byte(out, is_digit((unsigned char)s.p[i]) ? *digit++ : s.p[i]);
}

/* A word of syllables. */
static void
put_name(struct draws *d, struct buf *out, int syllables, bool capitals)
{
	while (syllables-- > 0) {
		char c = draw_of(d, "bdfghjklmnprstvwz"), v = draw_of(d, "aeiou");

		buf_byte(out, capitals ? (char)(c & ~0x20) : c);
		buf_byte(out, capitals ? (char)(v & ~0x20) : v);
	}
}

static void
put_like(struct draws *d, struct buf *out, str s)
{
	bool hex = true;

	for (ptrdiff_t i = 0; i < s.n; i++)
		hex &= is_hex((unsigned char)s.p[i]) || s.p[i] == '-';
	for (ptrdiff_t i = 0; i < s.n; i++) {
		unsigned c = (unsigned char)s.p[i];

		if (is_digit(c))
			buf_byte(out, draw_of(d, "0123456789"));
		else if (is_upper(c))
			buf_byte(out, draw_of(d, hex ? "ABCDEF" : "ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
		else if (is_letter(c))
			buf_byte(out, draw_of(d, hex ? "abcdef" : "abcdefghijklmnopqrstuvwxyz"));
		else
			buf_byte(out, (char)c);
	}
}

/* ---- by kind ---- */

static bool
no_small(str s)
{
	for (ptrdiff_t i = 0; i < s.n; i++)
		if (s.p[i] >= 'a' && s.p[i] <= 'z')
			return false;
	return true;
}

static void
fake_email(struct draws *d, str value, struct buf *out)
{
	static const char *const top[] = { "com", "net", "org" };
	bool capitals = no_small(value);
	const char *host = top[draw(d, 3)];

	put_name(d, out, 3, capitals);
	buf_byte(out, '.');
	put_name(d, out, 3, capitals);
	buf_fmt(out, capitals ? "@EXAMPLE.%c%c%c" : "@example.%c%c%c",
	    capitals ? host[0] & ~0x20 : host[0], capitals ? host[1] & ~0x20 : host[1],
	    capitals ? host[2] & ~0x20 : host[2]);
}

#define PHONE_MAX 20

/*
 * American ones are 555-01XX, which are kept for fiction.  Others keep the country's code, or the
 * trunk's zero.
 */
static void
fake_phone(const struct pii_key *key, str value, struct buf *out)
{
	struct draws d;
	char digit[PHONE_MAX], fake[PHONE_MAX];
	int n = digits_of(value, digit, PHONE_MAX), keep, skip = 0;
	bool plus = value.p[0] == '+';

	if (n > 3 && !plus && digit[0] == '0' && digit[1] == '0')
		skip = 2;
	if (n == 11 && digit[0] == '1')
		skip = 1;
	draws_start(&d, key, PII_PHONE, (str){ digit + skip, n - skip });
	memcpy(fake, digit, sizeof(fake));
	if (n - skip == 10 && digit[skip] >= '2' && (skip == 1 || (!plus && skip == 0))) {
		fake[n - 10] = draw_of(&d, "23456789");
		fake[n - 9] = draw_of(&d, "02345678");
		fake[n - 8] = draw_of(&d, "023456789");
		memcpy(fake + n - 7, "55501", 5);
		fake[n - 2] = draw_of(&d, "0123456789");
		fake[n - 1] = draw_of(&d, "0123456789");
	} else {
		keep = plus || skip == 2 ? skip + phone_country(digit + skip, n - skip)
					 : digit[0] == '0';
		for (int i = n - 1; i >= keep; i--)
			fake[i] = draw_of(&d, i == keep ? "23456789" : "0123456789");
		/* +44 (0)20 */
		if (plus && memchr(value.p, '(', (size_t)value.n) != NULL && digit[keep] == '0')
			fake[keep] = '0';
	}
	put_digits(out, value, fake);
}

static void
fake_card(const struct pii_key *key, str value, struct buf *out)
{
	struct draws d;
	char digit[PHONE_MAX];
	int n = digits_of(value, digit, PHONE_MAX);
	const char *prefix = n == 14 ? "36" : n == 15 ? "37" : n == 17 || n == 18 ? "62" : "4";

	draws_start(&d, key, PII_CARD, (str){ digit, n });
	for (int i = 0; i < n; i++)
		digit[i] = draw_of(&d, "0123456789");
	memcpy(digit, prefix, strlen(prefix));
	digit[n - 1] = '0';
	digit[n - 1] = (char)('0' + (10 - luhn_sum(digit, n)) % 10);
	put_digits(out, value, digit);
}

static void
fake_iban(const struct pii_key *key, str value, struct buf *out)
{
	struct draws d;
	char s[40];
	int n = 0, k = 0, check;

	for (ptrdiff_t i = 0; i < value.n && n < (int)sizeof(s); i++)
		if (value.p[i] != ' ')
			s[n++] = (char)lower((unsigned char)value.p[i]);
	draws_start(&d, key, PII_IBAN, (str){ s, n });
	for (int i = 4; i < n; i++)
		s[i] = is_digit((unsigned char)s[i]) ? draw_of(&d, "0123456789")
						     : draw_of(&d, "abcdefghijklmnopqrstuvwxyz");
	s[2] = s[3] = '0';
	check = 98 - iban_mod97(s, n);
	s[2] = (char)('0' + check / 10);
	s[3] = (char)('0' + check % 10);
	for (ptrdiff_t i = 0; i < value.n; i++) {
		char c = value.p[i] == ' ' ? ' ' : s[k++];

		buf_byte(out,
		    is_upper((unsigned char)value.p[0]) && is_letter((unsigned char)c)
			? (char)(c & ~0x20)
			: c);
	}
}

/* Numbers from 900 on are not given. */
static void
fake_ssn(const struct pii_key *key, str value, struct buf *out)
{
	struct draws d;
	char digit[PHONE_MAX];
	int n = digits_of(value, digit, PHONE_MAX);

	draws_start(&d, key, PII_SSN, (str){ digit, n });
	for (int i = 0; i < n; i++)
		digit[i] = i == 0 ? '9' : draw_of(&d, i == 3 ? "01234" : "123456789");
	put_digits(out, value, digit);
}

static void
fake_ipv6(const struct pii_key *key, str value, struct buf *out)
{
	struct draws d;
	unsigned g[8] = { 0 };
	bool capitals = no_small(value);

	ipv6_parse(value, g);
	draws_start(&d, key, PII_IPV6, (str){ (const char *)g, sizeof(g) });
	buf_fmt(out, capitals ? "2001:DB8" : "2001:db8");
	for (int i = 0; i < 6; i++)
		buf_fmt(out, capitals ? ":%X" : ":%x", 1 + draw(&d, 0xffff));
}

/* The prefix stays, and so do the first and last line of a private key. */
static void
fake_key(struct draws *d, str value, struct buf *out)
{
	ptrdiff_t n = key_prefix(value);

	if (str_starts(value, S("-----"))) {
		str head = str_cut(&value, '\n'), line;

		buf_add(out, head);
		while (value.p != NULL) {
			line = str_cut(&value, '\n');
			buf_byte(out, '\n');
			if (str_starts(line, S("-")))
				buf_add(out, line);
			else
				put_like(d, out, line);
		}
		return;
	}
	buf_add(out, (str){ value.p, n });
	put_like(d, out, (str){ value.p + n, value.n - n });
}

void
pii_fake(const struct pii_key *key, enum pii_kind kind, str value, struct buf *out)
{
	struct draws d;
	str rest = value, user;

	if (kind == PII_EMAIL) {
		struct buf small = { 0 };

		for (ptrdiff_t i = 0; i < value.n; i++)
			buf_byte(&small, (char)lower((unsigned char)value.p[i]));
		draws_start(&d, key, kind, buf_str(&small));
		out->failed |= small.failed;
		buf_free(&small);
	} else {
		draws_start(&d, key, kind, value);
	}
	switch (kind) {
	case PII_EMAIL:
		fake_email(&d, value, out);
		break;
	case PII_PHONE:
		fake_phone(key, value, out);
		break;
	case PII_IPV4: /* the class that was never used */
		buf_fmt(out, "%u.%u.%u.%u", 240 + draw(&d, 15), draw(&d, 256), draw(&d, 256),
		    1 + draw(&d, 254));
		break;
	case PII_IPV6:
		fake_ipv6(key, value, out);
		break;
	case PII_CARD:
		fake_card(key, value, out);
		break;
	case PII_IBAN:
		fake_iban(key, value, out);
		break;
	case PII_SSN:
		fake_ssn(key, value, out);
		break;
	case PII_KEY:
		fake_key(&d, value, out);
		break;
	case PII_LOGIN:
		user = str_cut(&rest, ':');
		put_name(&d, out, user.n > 0 ? 3 : 0, false);
		buf_byte(out, ':');
		put_like(&d, out, rest);
		break;
	default:
		put_like(&d, out, value);
	}
}
