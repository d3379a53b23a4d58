#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "infer/schema_impl.h"

/*
 * Numbers as decimal texts.  A text of at most DIGITS digits is a double that
 * no other text of so few is, so that what is compared as text here compares
 * alike as numbers anywhere.
 */
enum { DIGITS = 15, FRACTION = 6, MULTIPLE_MAX = 500 };

/* A bound's absolute value: digits before the point and after it. */
struct bound {
	bool	there, negative, strict;
	char	whole[DIGITS + 2], part[DIGITS + 2];
};

/* What texts may have: digits before the point, and after. */
struct shape {
	int32_t	whole, part;
};

static const struct expr *
digits(struct schema *s, int lo, int hi, int32_t min, int32_t max)
{
	struct chars *c = chars_new(s->b);

	if (lo > hi)
		return expr_none(s->b);
	chars_add(s->b, c, '0' + lo, '0' + hi);
	return expr_repeat(s->b, expr_chars(s->b, c), min, max);
}

static const struct expr *
seq(struct schema *s, const struct expr *a, const struct expr *b)
{
	return expr_seq(s->b, a, b);
}

/* A point and digits, or nothing. */
static const struct expr *
any_part(struct schema *s, struct shape f)
{
	if (f.part == 0)
		return expr_empty(s->b);
	return expr_repeat(s->b, seq(s, expr_text(s->b, "."), digits(s, 0, 9, 1, f.part)), 0, 1);
}

/* Whole numbers of min to max digits, without needless zeros. */
static const struct expr *
wholes(struct schema *s, int32_t min, int32_t max)
{
	const struct expr *zero = min <= 1 ? expr_text(s->b, "0") : expr_none(s->b);

	if (max < min)
		return expr_none(s->b);
	if (min < 1)
		min = 1;
	return expr_alt(s->b, zero, seq(s, digits(s, 1, 9, 1, 1),
	    digits(s, 0, 9, min - 1, max - 1)));
}

/* A fraction above zero, its point before it. */
static const struct expr *
positive_part(struct schema *s, int32_t n)
{
	const struct expr *all = expr_none(s->b);

	for (int32_t i = 0; i < n; i++)
		all = expr_alt(s->b, all, seq(s, digits(s, 0, 0, i, i), seq(s,
		    digits(s, 1, 9, 1, 1), digits(s, 0, 9, 0, n - 1 - i))));
	return all;
}

/* What may follow a whole part that equals the bound's. */
static const struct expr *
part_beyond(struct schema *s, const struct bound *b, struct shape f, bool above)
{
	int32_t n = (int32_t)strlen(b->part), left = f.part - n;
	const struct expr *all = expr_none(s->b), *same = expr_text(s->b, "."), *end;

	if (above && n == 0 && !b->strict)
		return any_part(s, f);
	if (!above && (n > 0 || !b->strict))
		all = expr_empty(s->b);
	for (int32_t i = 0; i < n && f.part > 0; i++) {
		int d = b->part[i] - '0';
		const struct expr *other = above ? digits(s, d + 1, 9, 1, 1) :
		    digits(s, 0, d - 1, 1, 1);

		all = expr_alt(s->b, all, seq(s, same, seq(s, other,
		    digits(s, 0, 9, 0, f.part - 1 - i))));
		same = seq(s, same, digits(s, d, d, 1, 1));
		/* A fraction cut short is one with zeros. */
		if (!above && i + 1 < n)
			all = expr_alt(s->b, all, same);
	}
	if (f.part == 0)
		return all;
	if (above)
		end = b->strict ? positive_part(s, left) : digits(s, 0, 9, 0, left);
	else if (b->strict)
		return all;
	else
		end = digits(s, 0, 0, n == 0 ? 1 : 0, left);
	return expr_alt(s->b, all, seq(s, same, end));
}

/* Numbers without a sign that are above the bound, or below. */
static const struct expr *
beyond(struct schema *s, const struct bound *b, struct shape f, bool above)
{
	int32_t n = (int32_t)strlen(b->whole);
	const struct expr *all = seq(s, above ? wholes(s, n + 1, f.whole) : wholes(s, 1, n - 1),
	    any_part(s, f)), *same = expr_empty(s->b);

	for (int32_t i = 0; i < n; i++) {
		int d = b->whole[i] - '0', least = i == 0 && n > 1;
		const struct expr *other = above ? digits(s, d + 1, 9, 1, 1) :
		    digits(s, least, d - 1, 1, 1);

		other = seq(s, other, digits(s, 0, 9, n - 1 - i, n - 1 - i));
		other = seq(s, other, any_part(s, f));
		all = expr_alt(s->b, all, seq(s, same, other));
		same = seq(s, same, digits(s, d, d, 1, 1));
	}
	return expr_alt(s->b, all, seq(s, same, part_beyond(s, b, f, above)));
}

/* ---- bounds ---- */

/* Digits of a number that is given, and where its point is: x = 0.DIGITS * 10^point. */
static int
decimal(double x, char digit[20], int *point)
{
	char text[40];
	int n = 0;

	snprintf(text, sizeof(text), "%.*e", DIGITS - 1, fabs(x));
	if (strtod(text, NULL) != fabs(x))
		return -1;
	for (const char *p = text; *p != 'e'; p++)
		if (*p != '.')
			digit[n++] = *p;
	while (n > 0 && digit[n - 1] == '0')
		n--;
	digit[n] = '\0';
	*point = (int)strtol(strchr(text, 'e') + 1, NULL, 10) + 1;
	return n;
}

static int
set_bound(struct schema *s, struct bound *b, double x, const char *key)
{
	char digit[20];
	int point, n = decimal(x, digit, &point);

	if (n < 0 || (n > 0 && (point > DIGITS || n - point > DIGITS)))
		return schema_fail(s, ERR_ARG, "'%s' has more than %d digits", key, DIGITS), -1;
	b->negative = x < 0;
	if (n == 0)
		point = 1;
	if (point <= 0)
		b->whole[0] = '0';
	for (int i = 0; i < point; i++)
		b->whole[i] = i < n ? digit[i] : '0';
	for (int i = point, k = 0; i < n; i++)
		b->part[k++] = i < 0 ? '0' : digit[i];
	b->there = true;
	return 0;
}

/* The stricter of an inclusive and an exclusive bound; sign 1: lower ones. */
static int
read_bound(struct schema *s, json_t *flat, const char *key, const char *exclusive, int sign,
    struct bound *b)
{
	json_t *in = json_object_get(flat, key), *ex = json_object_get(flat, exclusive), *v = in;
	double x;

	if (in != NULL && ex != NULL)
		v = sign * (json_number_value(in) - json_number_value(ex)) > 0 ? in : ex;
	else if (in == NULL)
		v = ex;
	if (v == NULL)
		return 0;
	x = json_number_value(v);
	/* What all numbers that are written here are within is no bound. */
	if (-sign * x >= 1e15)
		return 0;
	b->strict = v == ex;
	return set_bound(s, b, x, v == ex ? exclusive : key);
}

static int32_t
larger(size_t a, size_t b)
{
	return (int32_t)(a > b ? a : b);
}

/* Both of them, where both are: by one automaton. */
static const struct expr *
within(struct schema *s, const struct bound *least, const struct bound *most, struct shape f)
{
	const struct expr *a, *b;

	if (least == NULL && most == NULL)
		return seq(s, wholes(s, 1, f.whole), any_part(s, f));
	a = least == NULL ? NULL : beyond(s, least, f, true);
	b = most == NULL ? NULL : beyond(s, most, f, false);
	return a == NULL ? b : b == NULL ? a : expr_and(s->b, a, b);
}

/* Bounds of what stands behind a minus sign, and of what has none. */
static const struct expr *
bounded(struct schema *s, const struct bound *lo, const struct bound *hi, struct shape f)
{
	const struct bound zero = { .there = true, .strict = true, .whole = "0" };
	const struct expr *plus = expr_none(s->b), *minus = expr_none(s->b);

	if (!hi->there || !hi->negative)
		plus = within(s, lo->there && !lo->negative ? lo : NULL, hi->there ? hi : NULL, f);
	if (!lo->there || lo->negative)
		minus = within(s, hi->there && hi->negative ? hi : &zero,
		    lo->there ? lo : NULL, f);
	return expr_alt(s->b, plus, seq(s, expr_text(s->b, "-"), minus));
}

static const struct expr *
multiples(struct schema *s, json_t *v, const struct expr *e)
{
	double of = json_number_value(v);
	const struct expr *any;

	if (of != floor(of) || of < 1 || of > MULTIPLE_MAX)
		return schema_fail(s, ERR_ARG, "'multipleOf' is supported from 1 to %d, whole",
		    MULTIPLE_MAX);
	if (of == 1 || e == NULL)
		return e;
	any = expr_multiple(s->b, (int32_t)of);
	return expr_and(s->b, e, seq(s, expr_repeat(s->b, expr_text(s->b, "-"), 0, 1), any));
}

const struct expr *
schema_number(struct schema *s, json_t *flat, bool integer)
{
	struct bound lo = { 0 }, hi = { 0 };
	struct shape f = { DIGITS, 0 };
	json_t *multiple = json_object_get(flat, "multipleOf");
	const struct expr *e, *exponent;
	struct chars *sign = chars_new(s->b);

	if (read_bound(s, flat, "minimum", "exclusiveMinimum", 1, &lo) < 0 ||
	    read_bound(s, flat, "maximum", "exclusiveMaximum", -1, &hi) < 0)
		return NULL;
	if (!integer && multiple == NULL) {
		int32_t whole = larger(strlen(lo.whole), strlen(hi.whole));

		f.part = larger(strlen(lo.part), strlen(hi.part));
		if (f.part < FRACTION)
			f.part = FRACTION < DIGITS - whole ? FRACTION : DIGITS - whole;
		f.whole = DIGITS - f.part;
		if (f.whole < whole || f.part < larger(strlen(lo.part), strlen(hi.part)))
			return schema_fail(s, ERR_ARG, "bounds of more than %d digits together",
			    DIGITS);
	}
	if (!integer && multiple == NULL && !lo.there && !hi.there) {
		f = (struct shape){ DIGITS, DIGITS };
		e = seq(s, expr_repeat(s->b, expr_text(s->b, "-"), 0, 1),
		    within(s, NULL, NULL, f));
	} else {
		e = bounded(s, &lo, &hi, f);
	}
	if (multiple != NULL)
		return multiples(s, multiple, e);
	if (integer || lo.there || hi.there)
		return e;
	chars_add(s->b, sign, '+', '+');
	chars_add(s->b, sign, '-', '-');
	exponent = seq(s, expr_alt(s->b, expr_text(s->b, "e"), expr_text(s->b, "E")),
	    seq(s, expr_repeat(s->b, expr_chars(s->b, sign), 0, 1), digits(s, 0, 9, 1, 2)));
	return seq(s, e, expr_repeat(s->b, exponent, 0, 1));
}
