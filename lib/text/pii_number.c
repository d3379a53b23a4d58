/*
 * Numbers of people: phone, credit card, social security.
 *
 * The digits at a mark are read as groups with what separates them, once, and each kind is a
 * question about the groups.
 */
#include "text/pii_impl.h"

#define GROUPS 8
#define DIGITS 20

/* What is between two groups of digits. */
enum { SEP_NONE, SEP_BLANK, SEP_DASH, SEP_DOT, SEP_SLASH, SEP_OPEN, SEP_CLOSE };

struct number {
	int ngroups, ndigits;
	int len[GROUPS];
	ptrdiff_t end_of[GROUPS]; /* where each group ends */
	unsigned char sep[GROUPS]; /* before group i; of the first: none or open */
	char digit[DIGITS + 1];
	ptrdiff_t start; /* with + or ( before the first digit */
	bool plus;
	bool bracket; /* before the + */
};

/* What separates groups at i: its kind, and its bytes in *n. */
static int
separator(struct look *l, ptrdiff_t i, int *n)
{
	unsigned c = look_at(l, i);

	*n = 1;
	switch (c) {
	case ' ':
		if (look_at(l, i + 1) != '(')
			return SEP_BLANK;
		*n = 2;
		return SEP_OPEN;
	case '-':
		return SEP_DASH;
	case '.':
		return SEP_DOT;
	case '/':
		return SEP_SLASH;
	case '(':
		return SEP_OPEN;
	case ')':
		*n += look_at(l, i + 1) == ' ' || look_at(l, i + 1) == '-';
		return SEP_CLOSE;
	case 0xc2:
		*n = 2;
		return look_at(l, i + 1) == 0xa0 ? SEP_BLANK : SEP_NONE;
	case 0xe2:
		*n = 3;
		if (look_at(l, i + 1) != 0x80)
			return SEP_NONE;
		c = look_at(l, i + 2);
		if (c == 0x89 || c == 0xaf) /* thin space, narrow no-break space */
			return SEP_BLANK;
		return c >= 0x90 && c <= 0x93 ? SEP_DASH : SEP_NONE; /* hyphens, dashes */
	default:
		return SEP_NONE;
	}
}

/* Read the groups from the digit at i on. */
static void
read_number(struct look *l, ptrdiff_t i, struct number *x)
{
	memset(x, 0, sizeof(*x));
	x->start = i;
	if (look_at(l, i - 1) == '(' && i > l->low) {
		x->sep[0] = SEP_OPEN;
		x->start--;
	}
	if (look_at(l, x->start - 1) == '+' && x->start > l->low) {
		x->plus = true;
		x->start--;
		if (look_at(l, x->start - 1) == '(' && x->start > l->low)
			x->bracket = true;
	}
	while (x->ngroups < GROUPS) {
		int g = x->ngroups, n, sep;
		ptrdiff_t from = i;

		while (is_digit(look_at(l, i)) && x->ndigits < DIGITS)
			x->digit[x->ndigits++] = (char)look_at(l, i++);
		x->len[g] = (int)(i - from);
		x->end_of[g] = i;
		x->ngroups++;
		if (x->ndigits == DIGITS || x->ngroups == GROUPS)
			break;
		sep = separator(l, i, &n);
		if (sep == SEP_NONE || !is_digit(look_at(l, i + n)))
			break;
		x->sep[g + 1] = (unsigned char)sep;
		i += n;
	}
}

/* The first n groups have these lengths. */
static bool
grouped(const struct number *x, int n, const char *lengths)
{
	if (x->ngroups < n)
		return false;
	for (int i = 0; i < n; i++)
		if (x->len[i] != lengths[i] - '0')
			return false;
	return true;
}

/* Groups from the second to the n-th are separated by sep. */
static bool
separated(const struct number *x, int n, int sep)
{
	for (int i = 1; i < n; i++)
		if (x->sep[i] != sep)
			return false;
	return true;
}

/* What stands before a number that is none of ours: "v555", "-555", "1,555", "12:555", "#555". */
static bool
is_glued_before(struct look *l, ptrdiff_t start)
{
	unsigned c = look_at(l, start - 1);

	if (is_alnum(c) || (c != 0 && strchr("_-.#$%@/\\~^*&", c) != NULL))
		return c != '&' && !(c == '/' && look_at(l, start - 2) == '/');
	/* Pound, yen, section; euro. */
	if ((c == 0xa3 || c == 0xa5 || c == 0xa7) && look_at(l, start - 2) == 0xc2)
		return true;
	if (c == 0xac && look_at(l, start - 2) == 0x82 && look_at(l, start - 3) == 0xe2)
		return true;
	return (c == ',' || c == ':' || c == '+') && is_alnum(look_at(l, start - 2)) &&
	    (c == '+' || is_digit(look_at(l, start - 2)));
}

static bool
is_glued_behind(struct look *l, ptrdiff_t end)
{
	unsigned c = look_at(l, end), d;

	/* An extension: 555-1234x99 */
	if (c == 'x' && is_digit(look_at(l, end + 1)))
		return false;
	if (is_alnum(c) || c == '_' || c == '@' || c == '%')
		return true;
	d = look_at(l, end + 1);
	if (c == '-' && is_alnum(d))
		return true;
	return is_digit(d) && (c == '.' || c == '/' || c == ':' || c == ',');
}

/* Pairs of hexadecimal digits before or behind pairs of decimal ones: a dump of bytes. */
static bool
is_dump(struct look *l, ptrdiff_t start, ptrdiff_t end)
{
	return (look_at(l, start - 1) == ' ' && is_hex(look_at(l, start - 2)) &&
		   is_hex(look_at(l, start - 3)) && !is_alnum(look_at(l, start - 4))) ||
	    (look_at(l, end) == ' ' && is_hex(look_at(l, end + 1)) && is_hex(look_at(l, end + 2)) &&
		!is_alnum(look_at(l, end + 3)));
}

/* The chain goes on behind group n in the same way. */
static bool
goes_on(const struct number *x, int n)
{
	return x->ngroups > n &&
	    (x->sep[n] == SEP_BLANK ? n > 1 && x->sep[n - 1] == SEP_BLANK : x->sep[n] != SEP_OPEN);
}

/* ---- credit cards ---- */

int
luhn_sum(const char *digits, int n)
{
	int sum = 0;

	for (int i = 0; i < n; i++) {
		int d = digits[n - 1 - i] - '0';

		if (i % 2 == 1)
			d = d > 4 ? 2 * d - 9 : 2 * d;
		sum += d;
	}
	return sum % 10;
}

/* Whose cards begin so, and how long they are: bits of 2^(length - 12). */
static bool
is_issued(const char *digit, int n)
{
	static const struct {
		int from, to; /* of the first four digits */
		unsigned lengths;
	} issuer[] = {
#define LEN(n) (1u << ((n)-12))
		{ 2200, 2204, LEN(16) },
		{ 2221, 2720, LEN(16) }, /* Mir, Mastercard */
		{ 3000, 3059, LEN(14) },
		{ 3400, 3499, LEN(15) }, /* Diners, Amex */
		{ 3528, 3589, LEN(16) | LEN(19) }, /* JCB */
		{ 3600, 3699, LEN(14) },
		{ 3700, 3799, LEN(15) },
		{ 3800, 3999, LEN(14) },
		{ 4000, 4999, LEN(16) | LEN(19) }, /* Visa */
		{ 5100, 5599, LEN(16) },
		{ 6011, 6011, LEN(16) | LEN(19) }, /* Discover */
		{ 6200, 6299, LEN(16) | LEN(17) | LEN(18) | LEN(19) }, /* UnionPay */
		{ 6440, 6599, LEN(16) | LEN(19) },
	};
	int head = 0;

	if (n < 14 || n > 19)
		return false;
	for (int i = 0; i < 4; i++)
		head = 10 * head + (digit[i] - '0');
	for (size_t i = 0; i < sizeof(issuer) / sizeof(issuer[0]); i++)
		if (head >= issuer[i].from && head <= issuer[i].to)
			return issuer[i].lengths >> (n - 12) & 1;
	return false;
}

/* Groups and digits of a card at the start of x; 0 when it has not the form. */
static int
card_groups(const struct number *x, int *n)
{
	static const struct {
		const char *lengths;
		int groups, digits;
	} forms[] = { { "44443", 5, 19 }, { "4444", 4, 16 }, { "465", 3, 15 }, { "464", 3, 14 } };

	if (x->len[0] >= 14) {
		*n = x->len[0];
		return 1;
	}
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		*n = forms[i].digits;
		if (grouped(x, forms[i].groups, forms[i].lengths) &&
		    (separated(x, forms[i].groups, SEP_BLANK) ||
			separated(x, forms[i].groups, SEP_DASH)))
			return forms[i].groups;
	}
	return 0;
}

/* Of the digits of n groups, and no others: a card's number. */
static bool
is_card(const struct number *x, int *groups)
{
	int n, g = card_groups(x, &n);

	*groups = g;
	return g > 0 && !x->plus && is_issued(x->digit, n) && luhn_sum(x->digit, n) == 0;
}

static bool
is_white(unsigned c)
{
	return c == ' ' || c == '\n' || c == '\t';
}

/* Four hexadecimal digits alone at i. */
static bool
is_four(struct look *l, ptrdiff_t i)
{
	for (int k = 0; k < 4; k++)
		if (!is_hex(look_at(l, i + k)))
			return false;
	return !is_alnum(look_at(l, i + 4)) && !is_alnum(look_at(l, i - 1));
}

/* Four groups in a table of such groups; but one card may stand behind another. */
static bool
is_in_table(struct look *l, const struct number *x, ptrdiff_t start, int groups)
{
	ptrdiff_t end = x->end_of[groups - 1];
	struct number next;
	int g;

	if (groups != 4 || x->sep[1] != SEP_BLANK)
		return false;
	if (is_white(look_at(l, start - 1)) && is_four(l, start - 5) && l->low != start - 1)
		return true;
	if (!is_white(look_at(l, end)) || !is_four(l, end + 1))
		return false;
	read_number(l, end + 1, &next);
	return !is_card(&next, &g);
}

static bool
find_card(struct look *l, const struct number *x, struct pii_span *span)
{
	ptrdiff_t start = x->start + (x->sep[0] == SEP_OPEN);
	unsigned says;
	int g;

	if (!is_card(x, &g) || is_glued_before(l, start) || is_glued_behind(l, x->end_of[g - 1]) ||
	    is_in_table(l, x, start, g))
		return false;
	says = words_say(l, start, SAYS_CARD | SAYS_OTHER, 5);
	/* Long ones are rarer than other numbers of 64 bits. */
	if (says == SAYS_OTHER || (says == 0 && x->len[0] > 16))
		return false;
	*span = (struct pii_span){ start, x->end_of[g - 1], PII_CARD };
	return true;
}

/* ---- social security ---- */

static bool
find_ssn(struct look *l, const struct number *x, struct pii_span *span)
{
	ptrdiff_t start = x->start + (x->sep[0] == SEP_OPEN);
	const char *d = x->digit;
	bool dashes = grouped(x, 3, "324") && separated(x, 3, SEP_DASH);
	bool blanks = grouped(x, 3, "324") && separated(x, 3, SEP_BLANK);
	int g = dashes || blanks ? 3 : 1;
	unsigned says;

	if ((g == 1 && x->len[0] != 9) || x->plus)
		return false;
	if (memcmp(d, "000", 3) == 0 || memcmp(d, "666", 3) == 0 || d[0] == '9' ||
	    memcmp(d + 3, "00", 2) == 0 || memcmp(d + 5, "0000", 4) == 0)
		return false;
	if (is_glued_before(l, start) || is_glued_behind(l, x->end_of[g - 1]))
		return false;
	says = words_say(l, start, SAYS_SSN | SAYS_OTHER | SAYS_VERSION, 5);
	if (says != SAYS_SSN && (!dashes || says != 0))
		return false;
	*span = (struct pii_span){ start, x->end_of[g - 1], PII_SSN };
	return true;
}

/* ---- phones ---- */

/* Country codes, and the digits that follow: 1 and 7, two digits, three digits. */
static int
country_code(const char *d, int n, int *least, int *most)
{
	static const char two[] = "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 "
				  "48 49 51 52 53 54 55 56 57 58 60 61 62 "
				  "63 64 65 66 81 82 84 86 90 91 92 93 94 95 98";
	static const char three[] =
	    "21 22 23 24 25 26 29 35 37 38 42 50 59 67 68 69 80 85 87 88 96 97 99";

	*least = 7;
	*most = 12;
	if (n < 8)
		return 0;
	if (d[0] == '1' || d[0] == '7') {
		*least = *most = 10;
		return d[0] == '7' || (d[1] >= '2' && d[4] >= '2') ? 1 : 0;
	}
	if (word_in((str){ d, 2 }, two)) {
		if (memcmp(d, "33", 2) == 0 || memcmp(d, "34", 2) == 0)
			*most = 9;
		else if (memcmp(d, "91", 2) == 0)
			*least = *most = 10;
		else if (memcmp(d, "44", 2) == 0 || memcmp(d, "61", 2) == 0)
			*least = 9, *most = 10;
		return 2;
	}
	*least = 6;
	return word_in((str){ d, 2 }, three) ? 3 : 0;
}

int
phone_country(const char *digits, int n)
{
	int least, most;

	return country_code(digits, n, &least, &most);
}

/*
 * How many groups make an international number, whose digits begin at digit skip: as many as the
 * plan of the country takes.
 */
static int
international(const struct number *x, int skip)
{
	int least, most, cc = country_code(x->digit + skip, x->ndigits - skip, &least, &most);
	int digits = 0, best = 0, trunk = 0;

	if (cc == 0)
		return 0;
	for (int g = 0; g < x->ngroups; g++) {
		int national;

		/* +44 (0)20 ... */
		if (g > 0 && x->len[g] == 1 && x->sep[g] == SEP_OPEN && x->digit[digits] == '0')
			trunk = 1;
		if (x->sep[g] == SEP_SLASH && g > 0)
			break;
		digits += x->len[g];
		national = digits - skip - cc - trunk;
		if (national > most)
			break;
		if (national >= least)
			best = g + 1;
	}
	/* +40.7128, +12.345.678: a number with a point, or thousands. */
	if (best > 1 && separated(x, best, SEP_DOT) && (best == 2 || grouped(x, 1, "3")))
		return 0;
	return best;
}

/* Areas and exchanges of the American plan begin with 2 to 9; an area is not N11. */
static bool
is_american(const char *d)
{
	return d[0] >= '2' && d[3] >= '2' && !(d[1] == '1' && d[2] == '1') && d[1] != '9';
}

enum evidence { NO_PHONE, IF_PHONE, IF_CALL, IS_PHONE };

/* (415) 555-2671, 415-555-2671, 1-415-555-2671: how sure that is, and its groups. */
static enum evidence
american(const struct number *x, int *n)
{
	int one = x->len[0] == 1 && x->digit[0] == '1' && x->sep[0] == SEP_NONE;
	const int *len = x->len + one;
	const unsigned char *sep = x->sep + one;

	if (x->ngroups < 3 + one || len[0] != 3 || len[1] != 3 || len[2] != 4 ||
	    !is_american(x->digit + one))
		return NO_PHONE;
	*n = 3 + one;
	if (sep[1] == SEP_CLOSE)
		return (sep[0] == SEP_OPEN) && sep[2] != SEP_SLASH ? IS_PHONE : NO_PHONE;
	if (sep[0] == SEP_OPEN)
		return NO_PHONE;
	if (sep[1] == SEP_BLANK)
		return sep[2] == SEP_DASH ? IS_PHONE : sep[2] == SEP_BLANK ? IF_CALL : NO_PHONE;
	if (sep[1] == SEP_SLASH)
		return sep[2] == SEP_DASH ? IF_CALL : NO_PHONE;
	return sep[1] == sep[2] && (!one || x->sep[1] == sep[2] || x->sep[1] == SEP_BLANK)
	    ? IS_PHONE
	    : NO_PHONE;
}

/* A national number that begins with the trunk's 0, or has its area in brackets. */
static enum evidence
trunk(const struct number *x, int *n)
{
	bool bracket = x->sep[0] == SEP_OPEN && x->sep[1] == SEP_CLOSE;
	int g = x->ngroups < 5 ? x->ngroups : 5, digits = 0;

	for (int i = 0; i < g; i++)
		digits += x->len[i];
	*n = g;
	if (grouped(x, 5, "22222") && x->digit[0] == '0' && x->digit[1] != '0' &&
	    (separated(x, 5, SEP_BLANK) || separated(x, 5, SEP_DOT)))
		return IS_PHONE;
	if (g < 2 || g > 4 || digits < 9 || digits > 12 || x->len[g - 1] < 3 || x->len[0] > 5)
		return NO_PHONE;
	if (bracket && x->digit[0] != '0')
		return (grouped(x, 3, "254") || grouped(x, 3, "244")) && x->sep[2] == SEP_DASH
		    ? IS_PHONE
		    : IF_PHONE;
	if (x->digit[0] != '0' || x->digit[1] == '0' || x->len[0] < 2)
		return NO_PHONE;
	for (int i = 1 + bracket; i < g; i++)
		if (x->sep[i] != SEP_BLANK && x->sep[i] != SEP_DASH)
			return x->sep[i] == SEP_SLASH && i == 1 && g == 2 ? IF_PHONE : NO_PHONE;
	/* Part numbers have such dashes too. */
	if (grouped(x, 3, "334") && x->sep[1] == SEP_DASH)
		return IF_PHONE;
	return digits == 10 || digits == 11 || bracket ? IS_PHONE : IF_PHONE;
}

static bool
is_year(const char *d)
{
	return memcmp(d, "19", 2) == 0 || memcmp(d, "20", 2) == 0;
}

/* 20240131 */
static bool
is_date(const char *d)
{
	return is_year(d) && memcmp(d + 4, "12", 2) <= 0 && memcmp(d + 6, "31", 2) <= 0;
}

/* Anything that could be dialled: 7 to 15 digits in groups of at least two. */
static enum evidence
dialled(const struct number *x, int *n)
{
	int g, digits = 0, dots = 0;

	for (g = 0; g < x->ngroups && g < 6 && digits + x->len[g] <= 15; g++) {
		if (g > 0 && (x->len[g] < 2 || x->sep[g] == SEP_SLASH))
			break;
		dots += x->sep[g] == SEP_DOT;
		digits += x->len[g];
	}
	*n = g;
	/* 2017-2022 */
	if (grouped(x, 2, "44") && g == 2 && is_year(x->digit) && is_year(x->digit + 4))
		return NO_PHONE;
	if (digits < 7 || x->ngroups > g || (dots > 0 && (dots < g - 1 || g < 3)))
		return NO_PHONE;
	/* A date, an hour. */
	if (digits == 8 &&
	    (grouped(x, 3, "422") || grouped(x, 3, "224") || (g == 1 && is_date(x->digit))))
		return NO_PHONE;
	if (digits == 14 && g == 1 && x->digit[0] == '2')
		return NO_PHONE;
	if (g == 1 && digits == 10 && is_american(x->digit))
		return IF_CALL;
	return grouped(x, 2, "34") && g == 2 && x->sep[1] == SEP_DASH && x->digit[0] >= '2'
	    ? IF_CALL
	    : IF_PHONE;
}

static enum evidence
phone_form(const struct number *x, int *n)
{
	enum evidence e;

	if (x->plus) {
		*n = international(x, 0);
		return *n > 0 ? IS_PHONE : NO_PHONE;
	}
	e = american(x, n);
	if (e != NO_PHONE)
		return e;
	if (x->digit[0] == '0' && x->digit[1] == '0' && x->digit[2] != '0') {
		*n = international(x, 2);
		/* Not 0041 0323 0302, code points. */
		if (*n > 2 && (x->sep[1] == SEP_BLANK || x->sep[1] == SEP_DASH) && x->len[0] <= 5 &&
		    !(x->len[0] == 4 && x->len[1] == 4))
			return IS_PHONE;
		if (*n > 0)
			return IF_PHONE;
	}
	e = trunk(x, n);
	return e != NO_PHONE ? e : dialled(x, n);
}

/* A number in the middle of others, as in 2024-05-06 or "12 34 56", begins at their start. */
static bool
is_inside(struct look *l, const struct number *x)
{
	ptrdiff_t i = x->start;

	if (x->plus)
		return false;
	if (look_at(l, i - 1) == ' ' && is_digit(look_at(l, i - 2)))
		return x->sep[0] == SEP_NONE && (x->ngroups < 2 || x->sep[1] == SEP_BLANK);
	return look_at(l, i - 1) == ')' && is_digit(look_at(l, i - 2));
}

static bool
find_phone(struct look *l, const struct number *x, struct pii_span *span)
{
	static const unsigned which = SAYS_PHONE | SAYS_CALL | SAYS_OTHER | SAYS_VERSION;
	enum evidence e;
	ptrdiff_t start = x->start, end;
	unsigned says;
	int n;

	if (x->ndigits < 7 || (e = phone_form(x, &n)) == NO_PHONE)
		return false;
	end = x->end_of[n - 1];
	/* Only numbers with a bracket of their own begin with one. */
	if (x->sep[0] == SEP_OPEN && !(n > 1 && x->sep[1] == SEP_CLOSE))
		start++;
	if (x->bracket && n > 1 && x->sep[1] == SEP_CLOSE)
		start--;
	if (is_glued_before(l, start) || is_glued_behind(l, end) || is_inside(l, x) ||
	    (e != IS_PHONE && goes_on(x, n)))
		return false;
	if (x->len[n - 1] == 2 && is_dump(l, start, end))
		return false;
	says = words_say(l, start, which, 6);
	if (says == SAYS_OTHER || says == SAYS_VERSION)
		return false;
	/* Farther words are not enough for digits alone, nor is "call". */
	if (says == SAYS_CALL || (n == 1 && !x->plus))
		says = words_say(l, start, which, says == SAYS_CALL && n == 1 ? 2 : 3);
	if ((e == IF_PHONE && says != SAYS_PHONE) || (e == IF_CALL && says == 0))
		return false;
	*span = (struct pii_span){ start, end, PII_PHONE };
	return true;
}

bool
pii_number(struct look *l, ptrdiff_t at, struct pii_span *span)
{
	struct number x;

	/* Most numbers of a text are a few digits. */
	if (!is_digit(look_at(l, at + 1)) || !is_digit(look_at(l, at + 2))) {
		int n;
		ptrdiff_t end = at + 1 + is_digit(look_at(l, at + 1));

		if (separator(l, end, &n) == SEP_NONE || !is_digit(look_at(l, end + n)))
			return false;
	}
	read_number(l, at, &x);
	if (x.ndigits < 7)
		return false;
	return (wanted(l, PII_CARD) && find_card(l, &x, span)) ||
	    (wanted(l, PII_SSN) && find_ssn(l, &x, span)) ||
	    (wanted(l, PII_PHONE) && find_phone(l, &x, span));
}
