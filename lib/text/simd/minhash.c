/*
 * Words, shingle minima and white space, a vector at a time.  All instruction
 * sets give the same numbers.
 */
#include "text/minhash_impl.h"

#include <stdbool.h>
#include <string.h>

#include "base/simd/bytes.h"

/* ---- bytes: one bit for each of 64 ---- */

MASK64(word64, between(v, 'a', 'z') | between(v, '0', '9') | high(v))
MASK64(space64, between(v, ' ', ' ') | between(v, '\t', '\r'))

static int
lower(char *to, const char *s, ptrdiff_t n)
{
	uint64_t any = 0;
	ptrdiff_t i = 0;

	for (; n - i >= VEC; i += VEC) {
		vec v = load(s + i);

		any |= high(v);
		store(to + i, add_between(v, 'A', 'Z', 0x20));
	}
	for (; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		any |= c >> 7;
		to[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
	}
	return any == 0;
}

#define K1 0x9e3779b97f4a7c15u
#define K2 0xc2b2ae3d27d4eb4fu

/* The hash of one word; bytes behind it are read but do not count. */
static inline uint64_t
word_hash(const char *p, ptrdiff_t n)
{
	uint64_t h = (uint64_t)n * K1, x;

	for (; n > 8; p += 8, n -= 8) {
		memcpy(&x, p, 8);
		h = (h ^ x) * K2;
		h ^= h >> 32;
	}
	memcpy(&x, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	x = __builtin_bswap64(x);
#endif
	x &= ~(uint64_t)0 >> (64 - 8 * n);
	h = (h ^ x) * K2;
	return h ^ h >> 32;
}

static ptrdiff_t
words(const char *s, ptrdiff_t n, uint64_t *hash)
{
	ptrdiff_t count = 0, start = -1;

	for (ptrdiff_t i = 0; i < n; i += BLOCK) {
		uint64_t m = word64(s + i), edge;

		if (n - i < BLOCK)
			m &= ~(uint64_t)0 >> (BLOCK - (n - i));
		/* Where words begin and end, by turns. */
		edge = m ^ (m << 1 | (start >= 0));
		for (; edge != 0; edge &= edge - 1) {
			ptrdiff_t at = i + __builtin_ctzll(edge);

			if (start < 0) {
				start = at;
				continue;
			}
			hash[count++] = word_hash(s + start, at - start);
			start = -1;
		}
	}
	if (start >= 0)
		hash[count++] = word_hash(s + start, n - start);
	return count;
}

/* ---- 32-bit lanes ---- */

#if defined(__AVX512BW__)
#define LANES 16
typedef __m512i lanes;
#define lload(p)	_mm512_loadu_si512(p)
#define lstore(p, v)	_mm512_storeu_si512(p, v)
#define lset1(x)	_mm512_set1_epi32((int)(x))
#define lstep(x, a, b)	_mm512_add_epi32(_mm512_mullo_epi32(x, a), b)
#define lmin(a, b)	_mm512_min_epu32(a, b)
#elif defined(__AVX2__)
#define LANES 8
typedef __m256i lanes;
#define lload(p)	_mm256_loadu_si256((const __m256i *)(const void *)(p))
#define lstore(p, v)	_mm256_storeu_si256((__m256i *)(void *)(p), v)
#define lset1(x)	_mm256_set1_epi32((int)(x))
#define lstep(x, a, b)	_mm256_add_epi32(_mm256_mullo_epi32(x, a), b)
#define lmin(a, b)	_mm256_min_epu32(a, b)
#elif defined(__SSE4_1__)
#define LANES 4
typedef __m128i lanes;
#define lload(p)	_mm_loadu_si128((const __m128i *)(const void *)(p))
#define lstore(p, v)	_mm_storeu_si128((__m128i *)(void *)(p), v)
#define lset1(x)	_mm_set1_epi32((int)(x))
#define lstep(x, a, b)	_mm_add_epi32(_mm_mullo_epi32(x, a), b)
#define lmin(a, b)	_mm_min_epu32(a, b)
#else
#define LANES 1
typedef uint32_t lanes;
#define lload(p)	(*(p))
#define lstore(p, v)	(*(p) = (v))
#define lset1(x)	((uint32_t)(x))
#define lstep(x, a, b)	((x) * (a) + (b))
#define lmin(a, b)	((a) < (b) ? (a) : (b))
#endif

#define ROWS 6		/* vectors at a time: their sums stay in registers */

/* The minima of rows * LANES functions over the set. */
static inline __attribute__((always_inline)) void
minima_of(uint32_t *low, const uint32_t *a, const uint32_t *b, const uint64_t *set,
    ptrdiff_t n, int rows)
{
	lanes m[ROWS], ma[ROWS], mb[ROWS];

	for (int r = 0; r < rows; r++) {
		m[r] = lset1(-1);
		ma[r] = lload(a + r * LANES);
		mb[r] = lload(b + r * LANES);
	}
	for (ptrdiff_t i = 0; i < n; i++) {
		lanes x = lset1(set[i] ^ set[i] >> 32);

		for (int r = 0; r < rows; r++)
			m[r] = lmin(m[r], lstep(x, ma[r], mb[r]));
	}
	for (int r = 0; r < rows; r++)
		lstore(low + r * LANES, m[r]);
}

static void
minima(uint32_t *low, const uint32_t *a, const uint32_t *b, int k, const uint64_t *set,
    ptrdiff_t n)
{
	int j = 0;

	for (; k - j >= ROWS * LANES; j += ROWS * LANES)
		minima_of(low + j, a + j, b + j, set, n, ROWS);
	for (; k - j >= LANES; j += LANES)
		minima_of(low + j, a + j, b + j, set, n, 1);
}

/* ---- white space ---- */

static inline bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * Between words text has mostly one space or one newline: most blocks are
 * copied whole, with their newlines made spaces.
 */
static ptrdiff_t
fold(char *to, const char *s, ptrdiff_t n)
{
	char block[2 * BLOCK];
	ptrdiff_t i = 0, at = 0;
	bool was = true;	/* the byte before is a space, or there is none */

	for (; n - i >= BLOCK; i += BLOCK) {
		uint64_t m = space64(s + i), keep = ~(m & (m << 1 | was));

		for (int k = 0; k < BLOCK; k += VEC)
			store(block + k, set_between(load(s + i + k), '\t', '\r', ' '));
		was = m >> 63;
		while (keep != 0) {
			int k = __builtin_ctzll(keep);
			uint64_t run = keep >> k;
			int len = ~run == 0 ? BLOCK : __builtin_ctzll(~run);

			/* More than is kept: what is too much is overwritten. */
			memcpy(to + at, block + k, BLOCK);
			at += len;
			keep = k + len == BLOCK ? 0 : keep & ~(uint64_t)0 << (k + len);
		}
	}
	for (; i < n; i++) {
		bool sp = is_space(s[i]);

		if (!sp || !was)
			to[at++] = sp ? ' ' : s[i];
		was = sp;
	}
	return at > 0 && to[at - 1] == ' ' ? at - 1 : at;
}

const struct minhash_simd OF_ISA(minhash_simd) = { lower, words, minima, fold };
