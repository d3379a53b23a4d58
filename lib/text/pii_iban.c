/* International bank account numbers (ISO 13616). */
#include "text/pii_impl.h"

/* Country and length. */
static const char lengths[] = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28"
			      "CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24"
			      "FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21"
			      "HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32"
			      "LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31"
			      "MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24"
			      "RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28"
			      "TL23TN24TR26UA29VA22VG24XK20YE30";

static int
length_of(unsigned a, unsigned b)
{
	for (const char *p = lengths; *p != '\0'; p += 4)
		if ((unsigned char)p[0] == a && (unsigned char)p[1] == b)
			return 10 * (p[2] - '0') + (p[3] - '0');
	return 0;
}

int
iban_mod97(const char *s, int n)
{
	int r = 0;

	for (int i = 0; i < n; i++) {
		unsigned c = (unsigned char)s[(i + 4) % n];

		r = is_digit(c) ? (10 * r + (int)(c - '0')) % 97
				: (100 * r + (int)(lower(c) - 'a') + 10) % 97;
	}
	return r;
}

/* at is the first digit, behind two letters. */
bool
pii_iban(struct look *l, ptrdiff_t at, struct pii_span *span)
{
	unsigned a = look_at(l, at - 2), b = look_at(l, at - 1), before = look_at(l, at - 3);
	bool small = !is_upper(b);
	ptrdiff_t i = at - 2;
	char s[40];
	int n, len;

	if (!is_letter(b) || !wanted(l, PII_IBAN) || i < l->low || !is_letter(a) ||
	    is_alnum(before) || before == '_' || before == '-' || small == is_upper(a) ||
	    !is_digit(look_at(l, at + 1)))
		return false;
	len = length_of(a & ~0x20u, b & ~0x20u);
	for (n = 0; n < len; i++) {
		unsigned c = look_at(l, i);

		/* In groups of four, if at all; in small letters in one piece. */
		if (c == ' ' && n > 0 && n % 4 == 0 && !small)
			c = look_at(l, ++i);
		if (!is_digit(c) && !(is_letter(c) && is_upper(c) == !small))
			return false;
		s[n++] = (char)c;
	}
	before = look_at(l, i);
	if (n == 0 || is_alnum(before) || before == '_' || iban_mod97(s, n) != 1)
		return false;
	*span = (struct pii_span){ at - 2, i, PII_IBAN };
	return true;
}
