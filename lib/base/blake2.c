#include "base/blake2.h"

#include <assert.h>

#define BLOCK 128

static const uint64_t iv[8] = {
	0x6a09e667f3bcc908,
	0xbb67ae8584caa73b,
	0x3c6ef372fe94f82b,
	0xa54ff53a5f1d36f1,
	0x510e527fade682d1,
	0x9b05688c2b3e6c1f,
	0x1f83d9abfb41bd6b,
	0x5be0cd19137e2179,
};

/* Order of the message's words, by round. */
static const unsigned char sigma[10][16] = {
	{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
	{ 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 },
	{ 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4 },
	{ 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8 },
	{ 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13 },
	{ 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9 },
	{ 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11 },
	{ 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10 },
	{ 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5 },
	{ 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0 },
};

static uint64_t
rotate(uint64_t x, int n)
{
	return x >> n | x << (64 - n);
}

static void
mix(uint64_t *a, uint64_t *b, uint64_t *c, uint64_t *d, uint64_t x, uint64_t y)
{
	*a += *b + x;
	*d = rotate(*d ^ *a, 32);
	*c += *d;
	*b = rotate(*b ^ *c, 24);
	*a += *b + y;
	*d = rotate(*d ^ *a, 16);
	*c += *d;
	*b = rotate(*b ^ *c, 63);
}

static void
compress(uint64_t h[8], const unsigned char *block, uint64_t count, bool last)
{
	uint64_t v[16], m[16];

	for (int i = 0; i < 16; i++) {
		m[i] = 0;
		for (int k = 7; k >= 0; k--)
			m[i] = m[i] << 8 | block[8 * i + k];
	}
	memcpy(v, h, 64);
	memcpy(v + 8, iv, 64);
	v[12] ^= count;
	if (last)
		v[14] = ~v[14];
	for (int r = 0; r < 12; r++) {
		const unsigned char *s = sigma[r % 10];

		for (int i = 0; i < 4; i++)
			mix(&v[i], &v[4 + i], &v[8 + i], &v[12 + i], m[s[2 * i]], m[s[2 * i + 1]]);
		for (int i = 0; i < 4; i++)
			mix(&v[i], &v[4 + (i + 1) % 4], &v[8 + (i + 2) % 4], &v[12 + (i + 3) % 4],
			    m[s[8 + 2 * i]], m[s[9 + 2 * i]]);
	}
	for (int i = 0; i < 8; i++)
		h[i] ^= v[i] ^ v[8 + i];
}

void
blake2b(unsigned char *hash, int nhash, str key, str bytes)
{
	unsigned char block[BLOCK] = { 0 };
	uint64_t h[8], count = 0;

	assert(nhash > 0 && nhash <= BLAKE2_MAX && key.n <= BLAKE2_MAX);
	memcpy(h, iv, sizeof(h));
	h[0] ^= 0x01010000u ^ (uint64_t)key.n << 8 ^ (uint64_t)nhash;
	/* The key is a block of its own. */
	if (key.n > 0) {
		memcpy(block, key.p, (size_t)key.n);
		count = BLOCK;
		if (bytes.n > 0)
			compress(h, block, count, false);
	}
	for (; bytes.n > BLOCK; bytes.p += BLOCK, bytes.n -= BLOCK) {
		memcpy(block, bytes.p, BLOCK);
		compress(h, block, count += BLOCK, false);
	}
	if (bytes.n > 0 || key.n == 0) {
		memset(block, 0, sizeof(block));
		if (bytes.n > 0)
			memcpy(block, bytes.p, (size_t)bytes.n);
		count += (uint64_t)bytes.n;
	}
	compress(h, block, count, true);
	for (int i = 0; i < nhash; i++)
		hash[i] = (unsigned char)(h[i / 8] >> 8 * (i % 8));
}
