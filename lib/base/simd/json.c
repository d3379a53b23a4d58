/*
 * The loops that see every byte of a record.  Sixty-four bytes at a time are
 * turned into bit masks (one bit a byte), and code branches on the bits that
 * are set: in text those are few.
 */
#include "base/json.h"
#include "base/json_simd.h"

#include <stdint.h>

#if defined(__SSE4_1__)
#include <immintrin.h>
#endif

#define BLOCK 64

#if defined(__AVX512BW__)

typedef __m512i vec;
#define VEC 64

static inline vec
load(const char *p)
{
	return _mm512_loadu_si512(p);
}

static inline void
store(char *p, vec v)
{
	_mm512_storeu_si512(p, v);
}

static inline uint64_t
equal(vec v, char c)
{
	return _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(c));
}

static inline uint64_t
control(vec v)
{
	return _mm512_cmplt_epu8_mask(v, _mm512_set1_epi8(0x20));
}

static inline uint64_t
special(vec v)
{
	return equal(v, '"') | equal(v, '\\') | control(v);
}

static inline uint64_t
high(vec v)
{
	return (uint64_t)_mm512_movepi8_mask(v);
}

#define LOOKUP(table, i) _mm512_shuffle_epi8(_mm512_broadcast_i32x4( \
    _mm_loadu_si128((const __m128i *)(const void *)(table))), (i))
#define set1(c)		_mm512_set1_epi8((char)(c))
#define and8(a, b)	_mm512_and_si512((a), (b))
#define or8(a, b)	_mm512_or_si512((a), (b))
#define xor8(a, b)	_mm512_xor_si512((a), (b))
#define minus(a, b)	_mm512_subs_epu8((a), (b))
#define low4(v)		and8((v), set1(15))
#define high4(v)	and8(_mm512_srli_epi16((v), 4), set1(15))
#define all_zero(v)	(_mm512_test_epi8_mask((v), (v)) == 0)
#define zeros(v)	_mm512_testn_epi8_mask((v), (v))

#elif defined(__AVX2__)

typedef __m256i vec;
#define VEC 32

static inline vec
load(const char *p)
{
	return _mm256_loadu_si256((const __m256i *)p);
}

static inline void
store(char *p, vec v)
{
	_mm256_storeu_si256((__m256i *)p, v);
}

static inline uint64_t
bits(vec v)
{
	return (uint32_t)_mm256_movemask_epi8(v);
}

static inline uint64_t
equal(vec v, char c)
{
	return bits(_mm256_cmpeq_epi8(v, _mm256_set1_epi8(c)));
}

static inline uint64_t
control(vec v)
{
	return bits(_mm256_cmpeq_epi8(v, _mm256_min_epu8(v, _mm256_set1_epi8(0x1f))));
}

static inline uint64_t
special(vec v)
{
	vec quote = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('"'));
	vec slash = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\\'));
	vec ctl = _mm256_cmpeq_epi8(v, _mm256_min_epu8(v, _mm256_set1_epi8(0x1f)));

	return bits(_mm256_or_si256(_mm256_or_si256(quote, slash), ctl));
}

static inline uint64_t
high(vec v)
{
	return bits(v);
}

#define LOOKUP(table, i) _mm256_shuffle_epi8(_mm256_broadcastsi128_si256( \
    _mm_loadu_si128((const __m128i *)(const void *)(table))), (i))
#define set1(c)		_mm256_set1_epi8((char)(c))
#define and8(a, b)	_mm256_and_si256((a), (b))
#define or8(a, b)	_mm256_or_si256((a), (b))
#define xor8(a, b)	_mm256_xor_si256((a), (b))
#define minus(a, b)	_mm256_subs_epu8((a), (b))
#define low4(v)		and8((v), set1(15))
#define high4(v)	and8(_mm256_srli_epi16((v), 4), set1(15))
#define all_zero(v)	(_mm256_testz_si256((v), (v)) != 0)
#define zeros(v)	equal((v), 0)

#elif defined(__SSE4_1__)

typedef __m128i vec;
#define VEC 16

static inline vec
load(const char *p)
{
	return _mm_loadu_si128((const __m128i *)p);
}

static inline void
store(char *p, vec v)
{
	_mm_storeu_si128((__m128i *)p, v);
}

static inline uint64_t
bits(vec v)
{
	return (uint32_t)_mm_movemask_epi8(v);
}

static inline uint64_t
equal(vec v, char c)
{
	return bits(_mm_cmpeq_epi8(v, _mm_set1_epi8(c)));
}

static inline uint64_t
control(vec v)
{
	return bits(_mm_cmpeq_epi8(v, _mm_min_epu8(v, _mm_set1_epi8(0x1f))));
}

static inline uint64_t
special(vec v)
{
	vec quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
	vec slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
	vec ctl = _mm_cmpeq_epi8(v, _mm_min_epu8(v, _mm_set1_epi8(0x1f)));

	return bits(_mm_or_si128(_mm_or_si128(quote, slash), ctl));
}

static inline uint64_t
high(vec v)
{
	return bits(v);
}

#define LOOKUP(table, i) _mm_shuffle_epi8( \
    _mm_loadu_si128((const __m128i *)(const void *)(table)), (i))
#define set1(c)		_mm_set1_epi8((char)(c))
#define and8(a, b)	_mm_and_si128((a), (b))
#define or8(a, b)	_mm_or_si128((a), (b))
#define xor8(a, b)	_mm_xor_si128((a), (b))
#define minus(a, b)	_mm_subs_epu8((a), (b))
#define low4(v)		and8((v), set1(15))
#define high4(v)	and8(_mm_srli_epi16((v), 4), set1(15))
#define all_zero(v)	(_mm_testz_si128((v), (v)) != 0)
#define zeros(v)	equal((v), 0)

#else

/* Eight bytes in a word; the masks are exact, byte by byte. */
typedef uint64_t vec;
#define VEC 8
#define ONES 0x0101010101010101u

static inline vec
load(const char *p)
{
	vec v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void
store(char *p, vec v)
{
	memcpy(p, &v, sizeof(v));
}

/* Gather the top bit of each byte. */
static inline uint64_t
high(vec v)
{
	return ((v >> 7 & ONES) * 0x0102040810204080u) >> 56;
}

static inline vec
zero(vec v)
{
	return ~(((v & ~(ONES << 7)) + (~(ONES << 7))) | v | ~(ONES << 7));
}

static inline uint64_t
equal(vec v, char c)
{
	return high(zero(v ^ ONES * (uint8_t)c));
}

static inline uint64_t
control(vec v)
{
	return high(zero(v & ONES * 0xe0));
}

static inline uint64_t
special(vec v)
{
	vec quote = zero(v ^ ONES * '"'), slash = zero(v ^ ONES * '\\');

	return high(quote | slash | zero(v & ONES * 0xe0));
}

#endif

/* One bit a byte for the 64 bytes at p; the loop is unrolled away. */
#define MASK64(name, test)						\
static inline uint64_t							\
name(const char *p)							\
{									\
	uint64_t m = 0;							\
									\
	for (int i = 0; i < BLOCK; i += VEC) {				\
		vec v = load(p + i);					\
		m |= (test) << i;					\
	}								\
	return m;							\
}

MASK64(special64, special(v))
MASK64(quote64, equal(v, '"'))
MASK64(control64, control(v))
MASK64(high64, high(v))
MASK64(newline64, equal(v, '\n'))
MASK64(backslash64, equal(v, '\\'))

/* The same for the last n < 64 bytes; past them are zeros, which are special. */
static uint64_t
special_tail(const char *p, ptrdiff_t n)
{
	char last[BLOCK] = { 0 };

	if (n > 0)
		memcpy(last, p, (size_t)n);
	return special64(last);
}

static ptrdiff_t
fault(struct json_fault *f, ptrdiff_t at, const char *why)
{
	f->at = at;
	f->why = why;
	return -1;
}

static inline bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

/* What an escape of one letter stands for, or 0. */
static const char letter[256] = {
	['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n',
	['r'] = '\r', ['t'] = '\t',
};

/* Bytes of the escape at s[i], or 0 when it is none. */
static inline int
escape(const char *s, ptrdiff_t i, ptrdiff_t n)
{
	if (n - i < 2)
		return 0;
	if (letter[(unsigned char)s[i + 1]] != 0)
		return 2;
	return s[i + 1] == 'u' && n - i >= 6 && is_hex(s[i + 2]) && is_hex(s[i + 3]) &&
	    is_hex(s[i + 4]) && is_hex(s[i + 5]) ? 6 : 0;
}

/*
 * Which of the bytes in a mask are no letter of an escape, but perhaps its u?
 * A byte is one when a bit of its high half's class is among its low half's.
 */
static inline uint64_t
no_letters64(const char *p, uint64_t mask)
{
#ifdef LOOKUP
	static const uint8_t of_high[16] = { [2] = 1, [5] = 2, [6] = 4, [7] = 8 };
	static const uint8_t of_low[16] = {
		[2] = 1 | 4 | 8, [4] = 8, [6] = 4, [0xc] = 2, [0xe] = 4, [0xf] = 1,
	};
	uint64_t no = 0;

	for (int i = 0; i < BLOCK; i += VEC) {
		vec v = load(p + i);

		no |= zeros(and8(LOOKUP(of_high, high4(v)), LOOKUP(of_low, low4(v)))) << i;
	}
	return mask & no;
#else
	uint64_t no = 0;

	for (uint64_t m = mask; m != 0; m &= m - 1)
		if (letter[(unsigned char)p[__builtin_ctzll(m)]] == 0)
			no |= m & -m;
	return no;
#endif
}

/*
 * The bytes that backslashes escape.  A run of these escapes every second byte,
 * and what follows it when it is odd: subtracting the starts of runs carries
 * through them.  before: is the first byte escaped?  It becomes so for the next.
 */
static inline uint64_t
escaped64(uint64_t backslash, uint64_t *before)
{
	const uint64_t odd = 0xaaaaaaaaaaaaaaaau;
	uint64_t start = backslash & ~*before;
	uint64_t code = (((start << 1 | odd) - start) ^ odd);
	uint64_t escaped = code ^ (backslash | *before);

	*before = (code & backslash) >> 63;
	return escaped;
}

/* Go past the blocks of a string in which all is well and no end; return where. */
static inline ptrdiff_t
long_string(const char *s, ptrdiff_t i, ptrdiff_t n)
{
	uint64_t before = 0;

	for (; n - i >= BLOCK + 4; i += BLOCK) {
		uint64_t was = before, escaped = escaped64(backslash64(s + i), &before);
		uint64_t m = (quote64(s + i) & ~escaped) | control64(s + i);

		if (m == 0) {
			m = no_letters64(s + i, escaped);
			while (m != 0) {
				const char *u = s + i + __builtin_ctzll(m);

				if (u[0] != 'u' || !is_hex(u[1]) || !is_hex(u[2]) ||
				    !is_hex(u[3]) || !is_hex(u[4]))
					break;
				m &= m - 1;
			}
		}
		if (m != 0) {
			before = was;
			break;
		}
	}
	return i - (ptrdiff_t)before;
}

/* Check a string from after its first quote; return what follows its last. */
static inline ptrdiff_t
string(const char *s, ptrdiff_t i, ptrdiff_t n, struct json_fault *f)
{
	if (n - i >= BLOCK) {
		uint64_t m = special64(s + i);

		if (m != 0 && s[i + __builtin_ctzll(m)] == '"')
			return i + __builtin_ctzll(m) + 1;
		i = long_string(s, i, n);
	}
	for (;;) {
		uint64_t m = n - i >= BLOCK ? special64(s + i) : special_tail(s + i, n - i);
		ptrdiff_t next = i + BLOCK;

		while (m != 0) {
			int k = __builtin_ctzll(m), len;
			ptrdiff_t at = i + k;

			if (at >= n)
				return fault(f, n, "unfinished string");
			if (s[at] == '"')
				return at + 1;
			if (s[at] != '\\')
				return fault(f, at, "control character in a string");
			if ((len = escape(s, at, n)) == 0)
				return fault(f, at, "unknown escape");
			if (k + len >= BLOCK) {
				next = at + len;
				break;
			}
			m &= ~(uint64_t)0 << (k + len);
		}
		i = next;
	}
}

static inline ptrdiff_t
space(const char *s, ptrdiff_t i, ptrdiff_t n)
{
	while (i < n && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t'))
		i++;
	return i;
}

static inline ptrdiff_t
digits(const char *s, ptrdiff_t i, ptrdiff_t n)
{
	while (i < n && s[i] >= '0' && s[i] <= '9')
		i++;
	return i;
}

static ptrdiff_t
number(const char *s, ptrdiff_t i, ptrdiff_t n, struct json_fault *f)
{
	ptrdiff_t at = i += s[i] == '-';

	i = i < n && s[i] == '0' ? i + 1 : digits(s, i, n);
	if (i == at)
		return fault(f, i, "expected a digit");
	if (i < n && s[i] == '.') {
		at = ++i;
		if ((i = digits(s, i, n)) == at)
			return fault(f, i, "expected a digit");
	}
	if (i < n && (s[i] | 32) == 'e') {
		i++;
		if (i < n && (s[i] == '+' || s[i] == '-'))
			i++;
		at = i;
		if ((i = digits(s, i, n)) == at)
			return fault(f, i, "expected a digit");
	}
	return i;
}

static ptrdiff_t
word(const char *s, ptrdiff_t i, ptrdiff_t n, struct json_fault *f)
{
	str rest = { s + i, n - i };

	if (str_starts(rest, S("true")) || str_starts(rest, S("null")))
		return i + 4;
	if (str_starts(rest, S("false")))
		return i + 5;
	return fault(f, i, i < n ? "expected a value" : "unexpected end");
}

/* A string, number or word: what holds no other value. */
static inline ptrdiff_t
scalar(const char *s, ptrdiff_t i, ptrdiff_t n, struct json_fault *f)
{
	if (i < n && s[i] == '"')
		return string(s, i + 1, n, f);
	if (i < n && (s[i] == '-' || (s[i] >= '0' && s[i] <= '9')))
		return number(s, i, n, f);
	return word(s, i, n, f);
}

/* A key and its colon; return where its value starts. */
static inline ptrdiff_t
key(const char *s, ptrdiff_t i, ptrdiff_t n, struct json_fault *f)
{
	if (i >= n || s[i] != '"')
		return fault(f, i, "expected a key");
	if ((i = string(s, i + 1, n, f)) < 0)
		return -1;
	i = space(s, i, n);
	if (i >= n || s[i] != ':')
		return fault(f, i, "expected ':'");
	return space(s, i + 1, n);
}

/*
 * Arrays and objects without recursion: one bit for each level that is open
 * says which of the two it is.
 */
static ptrdiff_t
value(const char *s, ptrdiff_t i, ptrdiff_t n, struct json_fault *f)
{
	uint64_t object[JSON_DEPTH / 64];
	int depth = 0;

	for (;;) {
		bool open = i < n && (s[i] == '{' || s[i] == '[');

		if (open) {
			bool is_object = s[i] == '{';
			uint64_t bit = (uint64_t)1 << depth % 64, *w;

			if (depth == JSON_DEPTH)
				return fault(f, i, "nested too deep");
			w = &object[depth++ / 64];
			*w = is_object ? *w | bit : *w & ~bit;
			i = space(s, i + 1, n);
			if (i < n && s[i] == (is_object ? '}' : ']'))
				i++, depth--;
			else if (!is_object)
				continue;
			else if ((i = key(s, i, n, f)) < 0)
				return -1;
			else
				continue;
		} else if ((i = scalar(s, i, n, f)) < 0) {
			return -1;
		}
		for (;;) {
			bool in_object;

			if (depth == 0)
				return i;
			in_object = object[(depth - 1) / 64] >> (depth - 1) % 64 & 1;
			i = space(s, i, n);
			if (i < n && s[i] == (in_object ? '}' : ']')) {
				i++, depth--;
				continue;
			}
			if (i >= n || s[i] != ',')
				return fault(f, i, in_object ? "expected ',' or '}'" :
				    "expected ',' or ']'");
			i = space(s, i + 1, n);
			if (in_object && (i = key(s, i, n, f)) < 0)
				return -1;
			break;
		}
	}
}

/* Bytes of the well-formed character at s[i], which is not ASCII, or 0. */
static inline int
character(const unsigned char *s, ptrdiff_t i, ptrdiff_t n)
{
	unsigned c = s[i], d;

	if (c < 0xc2 || c > 0xf4 || n - i < 2 || ((d = s[i + 1]) & 0xc0) != 0x80)
		return 0;
	if (c < 0xe0)
		return 2;
	if (n - i < 3 || (s[i + 2] & 0xc0) != 0x80)
		return 0;
	if (c < 0xf0)
		return (c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) ? 0 : 3;
	if (n - i < 4 || (s[i + 3] & 0xc0) != 0x80)
		return 0;
	return (c == 0xf0 && d < 0x90) || (c == 0xf4 && d > 0x8f) ? 0 : 4;
}

/* From a place where a character starts: the first bad byte before n, or n. */
static ptrdiff_t
utf8_slow(const char *s, ptrdiff_t i, ptrdiff_t n)
{
	const unsigned char *u = (const unsigned char *)s;
	int len;

	while (i < n) {
		if (u[i] < 0x80) {
			i++;
			continue;
		}
		if ((len = character(u, i, n)) == 0)
			return i;
		i += len;
	}
	return n;
}

#ifdef LOOKUP

enum {
	SHORT = 1,		/* a lead byte, then no continuation */
	LONG = 2,		/* ASCII, then a continuation */
	OVER3 = 4,		/* e0 80..9f */
	LARGE = 8,		/* f4 90..bf, and f5 and up */
	SURROGATE = 16,		/* ed a0..bf */
	OVER2 = 32,		/* c0, c1 */
	LARGE8 = 64, OVER4 = 64,	/* f5 and up 80..8f; f0 80..8f */
	TWO = 128,		/* two continuations: the second or third of a character? */
	ANY = SHORT | LONG | TWO,
};

/*
 * Keiser and Lemire, Validating UTF-8 in less than one instruction per byte
 * (2021): what may be wrong with a pair of bytes by the high half of the
 * first, its low half, and the high half of the second.
 */
static const uint8_t first_high[16] = {
	LONG, LONG, LONG, LONG, LONG, LONG, LONG, LONG, TWO, TWO, TWO, TWO,
	SHORT | OVER2, SHORT, SHORT | OVER3 | SURROGATE, SHORT | LARGE | LARGE8 | OVER4,
};
static const uint8_t first_low[16] = {
	ANY | OVER3 | OVER2 | OVER4, ANY | OVER2, ANY, ANY, ANY | LARGE,
	ANY | LARGE | LARGE8, ANY | LARGE | LARGE8, ANY | LARGE | LARGE8,
	ANY | LARGE | LARGE8, ANY | LARGE | LARGE8, ANY | LARGE | LARGE8,
	ANY | LARGE | LARGE8, ANY | LARGE | LARGE8, ANY | LARGE | LARGE8 | SURROGATE,
	ANY | LARGE | LARGE8, ANY | LARGE | LARGE8,
};
static const uint8_t second_high[16] = {
	SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT,
	LONG | OVER2 | TWO | OVER3 | LARGE8 | OVER4, LONG | OVER2 | TWO | OVER3 | LARGE,
	LONG | OVER2 | TWO | SURROGATE | LARGE, LONG | OVER2 | TWO | SURROGATE | LARGE,
	SHORT, SHORT, SHORT, SHORT,
};

/* Is anything wrong in the VEC bytes at p, which has three bytes before it? */
static inline bool
wrong(const char *p)
{
	vec v = load(p), one = load(p - 1), two = load(p - 2), three = load(p - 3);
	vec pair = and8(and8(LOOKUP(first_high, high4(one)), LOOKUP(first_low, low4(one))),
	    LOOKUP(second_high, high4(v)));
	/* The third byte of three and the fourth of four follow a continuation. */
	vec must = or8(minus(two, set1(0xe0 - 0x80)), minus(three, set1(0xf0 - 0x80)));

	return !all_zero(xor8(and8(must, set1(0x80)), pair));
}

/* From i on, which is 3 or more: where vectors end, or find something wrong. */
static inline ptrdiff_t
utf8_fast(const char *s, ptrdiff_t i, ptrdiff_t n)
{
	while (n - i >= VEC && !wrong(s + i)) {
		i += VEC;
		if (high(load(s + i - VEC)) == 0)
			break;
	}
	return i;
}

#endif

static ptrdiff_t
utf8(const char *s, ptrdiff_t i, ptrdiff_t n)
{
	const unsigned char *u = (const unsigned char *)s;
	ptrdiff_t first = i;

	for (;;) {
		while (n - i >= BLOCK && high64(s + i) == 0)
			i += BLOCK;
#ifdef LOOKUP
		if (i - first >= 3) {
			ptrdiff_t end = utf8_fast(s, i, n);

			if (end > i && n - end >= VEC && high(load(s + end - VEC)) == 0) {
				i = end;
				continue;
			}
			/* What begins in the last three bytes may not end in them. */
			for (i = end - 3; i < end && (s[i] & 0xc0) == 0x80; i++)
				;
		}
#endif
		if (n - i < 2 * BLOCK)
			return utf8_slow(s, i, n);
		(void)first;
		/* To a character's start, past the next block. */
		for (ptrdiff_t end = i + BLOCK; i < end; ) {
			int len = u[i] < 0x80 ? 1 : character(u, i, n);

			if (len == 0)
				return i;
			i += len;
		}
	}
}

/* Copy until the test finds a byte; what is stored behind it is overwritten. */
#define COPY(name, test, one)						\
static ptrdiff_t							\
name(char *to, const char *s, ptrdiff_t n)				\
{									\
	ptrdiff_t i = 0;						\
									\
	for (; n - i >= VEC; i += VEC) {				\
		vec v = load(s + i);					\
		uint64_t m = (test);					\
									\
		store(to + i, v);					\
		if (m != 0)						\
			return i + __builtin_ctzll(m);			\
	}								\
	for (; i < n; i++) {						\
		char c = s[i];						\
									\
		if (one)						\
			break;						\
		to[i] = c;						\
	}								\
	return i;							\
}

COPY(plain, special(v), c == '"' || c == '\\' || (unsigned char)c < 0x20)

static inline void
copy64(char *to, const char *s)
{
	for (int i = 0; i < BLOCK; i += VEC)
		store(to + i, load(s + i));
}

/* Copies go a block on from where they are to end, and are overwritten there. */
static ptrdiff_t
unescape(char **to, const char *s, ptrdiff_t n)
{
	ptrdiff_t i = 0;
	char *p = *to;

	while (n - i >= 2 * BLOCK) {
		uint64_t m = backslash64(s + i);
		ptrdiff_t from = i, end = i + BLOCK;

		while (m != 0) {
			int k = __builtin_ctzll(m);

			copy64(p, s + from);
			p += i + k - from;
			from = i + k + 2;
			if ((*p++ = letter[(unsigned char)s[from - 1]]) == 0) {
				*to = p - 1;
				return from - 2;
			}
			/* The backslash, and what it escapes. */
			m &= ~((uint64_t)3 << k);
		}
		if (from < end) {
			copy64(p, s + from);
			p += end - from;
		}
		i = from < end ? end : from;
	}
	for (; i < n; i++) {
		if (s[i] != '\\')
			*p++ = s[i];
		else if ((*p = letter[(unsigned char)s[i + 1]]) != 0)
			p++, i++;
		else
			break;
	}
	*to = p;
	return i;
}

static int64_t
lines(const char *s, ptrdiff_t n)
{
	int64_t count = 0;
	ptrdiff_t i = 0;

	for (; n - i >= BLOCK; i += BLOCK)
		count += __builtin_popcountll(newline64(s + i));
	for (; i < n; i++)
		count += s[i] == '\n';
	return count;
}

const struct json_simd OF_ISA(json_simd) = { value, utf8, unescape, plain, lines };
