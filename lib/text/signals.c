#include "text/signals.h"

#include <inttypes.h>
#include <math.h>

#include "base/hash.h"
#include "base/json.h"

__extension__ typedef unsigned __int128 wide_int;

enum made { MADE_HASH, MADE_EDITS, MADE_WORDS, MADE_TOKENS, MADES };
static const char *const made_key[MADES] = { "hash", "edits", "words", "tokens" };

/* Numbers that rules take besides limits. */
static uint64_t
hash_parameters(const struct quality *q)
{
	double number[QUALITY_RULES];
	int n = 0;

	for (int i = 0; i < QUALITY_RULES; i++)
		if (quality_rules[i].bound == BOUND_PARAMETER)
			number[n++] = q->limit[i];
	return hash64((str){ (const char *)number, n * (ptrdiff_t)sizeof(*number) });
}

/* Which rules edit, in which order, by what limits; 0 when none does. */
static uint64_t
hash_edits(const struct quality *q)
{
	uint64_t h = 0;

	for (int i = 0; i < q->nfamilies; i++) {
		if (!quality_edits(q->family[i]) || !quality_selected(q, q->family[i]))
			continue;
		h = hash64_seed(S("family"), h);
		for (int k = 0; k < QUALITY_RULES; k++) {
			enum quality_bound bound = quality_rules[k].bound;
			double limit = q->limit[k];

			if (!q->on[k] || quality_family_of(k) != q->family[i] ||
			    (bound != BOUND_LINE && bound != BOUND_EDIT))
				continue;
			h = hash64_seed(str_of(quality_rules[k].name), h);
			h = hash64_seed((str){ (const char *)&limit, (ptrdiff_t)sizeof(limit) }, h);
		}
	}
	return h;
}

static void
made_by(const struct quality *q, str text, uint64_t made[MADES])
{
	made[MADE_HASH] = hash64_seed(text, hash_parameters(q));
	made[MADE_EDITS] = hash_edits(q);
	made[MADE_WORDS] = q->list_hash[LIST_BAD];
	made[MADE_TOKENS] = q->counter_hash;
}

/*
 * Append x in digits that read back as x: 15 where these do, else 17.  Of what lies
 * between 1e-5 and 1e5, as shares do, 17 digits are x * 10^k as an integer, in 128 bits.
 */
static void
write_number(struct buf *b, double x)
{
	static const double ten[] = { 1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
		1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
	wide_int wide;
	uint64_t digits;
	int exponent, k = 16;
	char text[40];
	int at = (int)sizeof(text);

	if (x >= 0 && x < 10 && x == floor(x)) {
		buf_byte(b, (char)('0' + (int)x));
		return;
	}
	if (x == floor(x) && fabs(x) < 1e15) {
		buf_fmt(b, "%" PRId64, (int64_t)x);
		return;
	}
	if (!(x >= 1e-5 && x < 1e5)) {
		buf_fmt(b, "%.17g", x);
		return;
	}
	for (double y = x; y >= 10; y /= 10)
		k--;
	for (double y = x; y < 1; y *= 10)
		k++;
	wide = (uint64_t)ldexp(frexp(x, &exponent), 53);
	for (int i = 0; i < k; i++)
		wide *= 10;
	exponent = 53 - exponent;
	digits = (uint64_t)((wide + ((wide_int)1 << (exponent - 1))) >> exponent);
	if ((double)((digits + 50) / 100) / ten[k - 2] == x) {
		digits = (digits + 50) / 100;
		k -= 2;
	}
	while (digits % 10 == 0) {
		digits /= 10;
		k--;
	}
	for (int i = 0; i < k || digits > 0 || i == k; i++) {
		if (i == k)
			text[--at] = '.';
		text[--at] = (char)('0' + digits % 10);
		digits /= 10;
	}
	buf_add(b, (str){ text + at, (int)sizeof(text) - at });
}

void
signals_write(struct buf *b, const struct quality *q, str text,
    const double value[QUALITY_RULES])
{
	uint64_t made[MADES];

	made_by(q, text, made);
	buf_byte(b, '{');
	for (int i = 0; i < MADES; i++)
		if (made[i] != 0 || i == MADE_HASH)
			buf_fmt(b, "%s\"%s\":\"%016" PRIx64 "\"", i > 0 ? "," : "", made_key[i],
			    made[i]);
	for (int i = 0; i < QUALITY_RULES; i++) {
		const struct quality_name *name = &q->name[i];

		if (name->n == 0 || isnan(value[i]) || quality_family_of(i) == FAMILY_URL)
			continue;
		buf_add(b, S(",\""));
		buf_add(b, (str){ name->p, name->n });
		buf_add(b, S("\":"));
		write_number(b, value[i]);
	}
	buf_byte(b, '}');
}

/* A value of hexadecimal digits in quotes; 0 when it is none. */
static uint64_t
read_hash(str json)
{
	uint64_t h = 0;

	if (json.n != 18)
		return 0;
	for (int i = 1; i < 17; i++) {
		const char *hex = "0123456789abcdef", *at = memchr(hex, json.p[i], 16);

		if (at == NULL)
			return 0;
		h = h << 4 | (uint64_t)(at - hex);
	}
	return h;
}

/* Which hash the key is, or MADES. */
static enum made
find_made(str key)
{
	int i = 0;

	while (i < MADES && !str_eq(key, str_of(made_key[i])))
		i++;
	return i;
}

/* The rule that the key is the value of, most often the next one, or -1. */
static int
find_value(const struct quality *q, str key, int next)
{
	while (next < QUALITY_RULES && q->name[next].n == 0)
		next++;
	if (next < QUALITY_RULES && str_eq(key, (str){ q->name[next].p, q->name[next].n }))
		return next;
	return quality_value_find(q, key);
}

/* Are all values there that the families have? */
static bool
is_whole(const struct quality *q, unsigned families, const double value[QUALITY_RULES])
{
	for (int i = 0; i < QUALITY_RULES; i++) {
		enum quality_bound bound = quality_rules[i].bound;

		if ((bound != BOUND_UPPER && bound != BOUND_LOWER) || !isnan(value[i]) ||
		    (families >> quality_family_of(i) & 1) == 0)
			continue;
		if (quality_list_of(i) < 0 && (i != CODE_TOKEN_CHARS || q->count != NULL))
			return false;
	}
	return true;
}

/* Do the rules that edit come first? */
static bool
edits_first(const struct quality *q)
{
	bool other = false;

	for (int i = 0; i < q->nfamilies; i++) {
		if (!quality_edits(q->family[i]))
			other |= quality_selected(q, q->family[i]);
		else if (other && quality_selected(q, q->family[i]))
			return false;
	}
	return true;
}

int
signals_read(const struct quality *q, str json, str text, unsigned families,
    double value[QUALITY_RULES])
{
	uint64_t made[MADES], stored[MADES] = { 0 };
	struct json_member m;
	ptrdiff_t at = 0;
	struct err err;
	int next = 0;

	for (int i = 0; i < QUALITY_RULES; i++)
		value[i] = (double)NAN;
	if (json.n == 0 || json.p[0] != '{' || !edits_first(q))
		return 0;
	while (json_next(json, &at, &m, &err) == 1) {
		int i = find_made(m.key);
		double x;

		if (i < MADES) {
			stored[i] = read_hash(m.value);
			continue;
		}
		if ((i = find_value(q, m.key, next)) < 0 || json_number(m.value, &x, &err) < 0)
			continue;
		value[i] = x;
		for (next = i + 1; next < QUALITY_RULES && q->name[next].n == 0 &&
		    quality_rules[next].bound != BOUND_PARAMETER; next++)
			value[next] = x;
	}
	made_by(q, text, made);
	return stored[MADE_HASH] == made[MADE_HASH] &&
	    (made[MADE_EDITS] == 0 || stored[MADE_EDITS] == made[MADE_EDITS]) &&
	    ((families >> FAMILY_WORDS & 1) == 0 || stored[MADE_WORDS] == made[MADE_WORDS]) &&
	    ((families & (1u << FAMILY_TOKENS | 1u << FAMILY_CODE)) == 0 ||
	    stored[MADE_TOKENS] == made[MADE_TOKENS]) && is_whole(q, families, value);
}
