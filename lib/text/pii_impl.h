/*
 * pii_impl - what the rules of pii.c share
 *
 * A rule is called at its mark, says whether there is a span, and fills it. What it reads of the
 * text goes through look_at(), which notes that it wanted more than there is.
 */
#ifndef TEXT_PII_IMPL_H
#define TEXT_PII_IMPL_H

#include "base/isa.h"
#include "text/pii.h"

struct look {
	const char *s;
	ptrdiff_t n;
	ptrdiff_t low; /* no span begins before it */
	const struct pii_rules *rules;
	bool over; /* something behind the end was asked for */
};

/* The byte at i; 0 outside of the text. */
static inline unsigned char
look_at(struct look *l, ptrdiff_t i)
{
	if (i >= l->n)
		l->over = true;
	return i >= 0 && i < l->n ? (unsigned char)l->s[i] : 0;
}

static inline bool
is_digit(unsigned c)
{
	return c - '0' < 10;
}

static inline bool
is_letter(unsigned c)
{
	return (c | 0x20) - 'a' < 26;
}

static inline bool
is_upper(unsigned c)
{
	return c - 'A' < 26;
}

static inline bool
is_alnum(unsigned c)
{
	return is_digit(c) || is_letter(c);
}

static inline bool
is_hex(unsigned c)
{
	return is_digit(c) || (c | 0x20) - 'a' < 6;
}

static inline unsigned
lower(unsigned c)
{
	return is_upper(c) ? c | 0x20 : c;
}

static inline bool
wanted(const struct look *l, enum pii_kind kind)
{
	return l->rules->kinds >> kind & 1;
}

/* What a word before a number says of it. */
enum {
	SAYS_PHONE = 1, /* phone, tel */
	SAYS_CALL = 2, /* call, dial: a phone number when it is near */
	SAYS_CARD = 4,
	SAYS_SSN = 8,
	SAYS_IP = 16,
	SAYS_VERSION = 32, /* and no address */
	SAYS_OTHER = 64, /* order, ISBN: a number of some other kind */
};

/*
 * What the nearest word of those asked for, among the most words before start in its sentence,
 * says; 0 when there is none.  Whole words only; those of the line before count when start is at
 * the beginning of its own.
 */
unsigned words_say(struct look *l, ptrdiff_t start, unsigned which, int most);

/* s in lower case and with no other characters is one of the space-separated list. */
bool word_in(str s, const char *list);

/* The bytes at i are this text. */
bool look_is(struct look *l, ptrdiff_t i, const char *text);

/* Rules; at is the mark. */
bool pii_email(struct look *l, ptrdiff_t at, struct pii_span *span);
bool pii_hidden_email(struct look *l, ptrdiff_t at, struct pii_span *span);
bool pii_login(struct look *l, ptrdiff_t at, struct pii_span *span);
bool pii_ipv4(struct look *l, ptrdiff_t at, struct pii_span *span);
bool pii_ipv6(struct look *l, ptrdiff_t at, struct pii_span *span);
bool pii_iban(struct look *l, ptrdiff_t at, struct pii_span *span);
bool pii_number(struct look *l, ptrdiff_t at, struct pii_span *span);
bool pii_token(struct look *l, ptrdiff_t at, struct pii_span *span);
bool pii_pem(struct look *l, ptrdiff_t at, struct pii_span *span);
bool pii_assigned(struct look *l, ptrdiff_t at, struct pii_span *span);

/* A password that nobody has: "your_password", "****". */
bool is_placeholder(str value);

/* Digits and letters as of an IBAN; mod 97 of them with the first four at the end. */
int iban_mod97(const char *s, int n);
int luhn_sum(const char *digits, int n);

/* Digits of the country's code that an international number begins with, 0 when it is none. */
int phone_country(const char *digits, int n);

/* The eight groups of an address.  Return whether s is one. */
bool ipv6_parse(str s, unsigned g[8]);

/* What of a key says only what it is the key for: its length. */
ptrdiff_t key_prefix(str key);

/*
 * Of 64 bytes each: where a rule may begin.  Fills mark for the blocks of text from base on, at
 * most most; returns how many there are.
 */
struct pii_simd {
	int (*marks)(const char *s, ptrdiff_t n, ptrdiff_t base, uint64_t *mark, int most);
};

#define PII_LONG 16 /* letters of a long word */

ISA_TABLE(pii_simd)

#endif
