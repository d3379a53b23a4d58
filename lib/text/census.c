#include "text/census.h"

#include "text/unicode.h"

/* A byte adds to counters that are bytes of one word: those below, from the lowest. */
#define CHAR	0x01u
#define UPPER	0x0100u
#define DIGIT	0x010000u
#define ALNUM	0x01000000u
#define WHITE	0x0100000000u
#define PLAIN	0x010000000000u
#define BRACKET	0x01000000000000u
#define HIGH	0x0100000000000000u	/* first bytes of characters beyond ASCII */
#define ROUNDS	255			/* until a counter may be full */

#define C	CHAR
#define C4(x)	(x), (x), (x), (x)
#define C13(x)	C4(x), C4(x), C4(x), (x)
#define U	(CHAR | UPPER | ALNUM | PLAIN)
#define L	(CHAR | ALNUM | PLAIN)
#define D	(CHAR | DIGIT | ALNUM | PLAIN)
#define W	(CHAR | WHITE)
#define P	(CHAR | PLAIN)
#define B	(CHAR | BRACKET)
#define H16	C4(HIGH), C4(HIGH), C4(HIGH), C4(HIGH)

static const uint64_t adds[256] = {
	/* 00 */ C4(C), C4(C), C, W, W | PLAIN, W, W, W, C, C,
	/* 10 */ C4(C), C4(C), C4(C), C4(C),
	/* 20 */ W, P, C, C, C4(C), B, B, C, C, P, C, P, C,
	/* 30 */ C4(D), C4(D), D, D, C, C, C, C, C, P,
	/* 40 */ C, C13(U), C13(U), B, C, B, C, C,
	/* 60 */ C, C13(L), C13(L), B, C, B, C, C,
	/* 80 */ C4(0), C4(0), C4(0), C4(0), C4(0), C4(0), C4(0), C4(0),
	/* a0 */ C4(0), C4(0), C4(0), C4(0), C4(0), C4(0), C4(0), C4(0),
	/* c0 */ H16, H16, H16, H16,
};

static void
add_high(struct census *c, str text)
{
	const char *p = text.p, *end = text.p + text.n;

	while (p < end) {
		int32_t x;
		unsigned class;

		if ((signed char)*p >= 0) {
			p++;
			continue;
		}
		x = utf8_next(&p, end);
		class = uni_class(x);
		c->upper += (class & (UNI_UPPER | UNI_LOWER)) == UNI_UPPER;
		c->digits += (class & UNI_DIGIT) != 0;
		c->alnum += (class & (UNI_LETTER | UNI_DIGIT)) != 0;
		c->brackets += x == 0x27e8 || x == 0x27e9;
	}
}

struct census
census_of(str text)
{
	const unsigned char *p = (const unsigned char *)text.p, *end = p + text.n;
	int64_t sum[8] = { 0 };
	struct census c;

	while (p < end) {
		ptrdiff_t n = end - p < 2 * ROUNDS ? end - p : 2 * ROUNDS;
		uint64_t a = 0, b = 0;

		for (ptrdiff_t i = 0; i + 1 < n; i += 2) {
			a += adds[p[i]];
			b += adds[p[i + 1]];
		}
		if (n % 2 != 0)
			a += adds[p[n - 1]];
		for (int i = 0; i < 8; i++)
			sum[i] += (int64_t)((a >> 8 * i & 0xff) + (b >> 8 * i & 0xff));
		p += n;
	}
	c = (struct census){ .chars = sum[0] + sum[7], .upper = sum[1], .digits = sum[2],
	    .ascii_digits = sum[2], .alnum = sum[3], .white = sum[4], .plain = sum[5],
	    .brackets = sum[6] };
	if (sum[7] > 0)
		add_high(&c, text);
	return c;
}
