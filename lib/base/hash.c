#define XXH_INLINE_ALL
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/hash_simd.h"

#define LONG 1024		/* bytes from which vectors pay for the call */
#define FEW 4096

uint64_t
hash64(str s)
{
	return hash64_seed(s, 0);
}

uint64_t
hash64_seed(str s, uint64_t seed)
{
	if (s.n >= LONG)
		return hash_simd()->hash64(s.p, s.n, seed);
	return XXH3_64bits_withSeed(s.p, (size_t)s.n, seed);
}

hash128
hash128_of(str s)
{
	XXH128_hash_t h = XXH3_128bits(s.p, (size_t)s.n);

	return (hash128){ h.low64, h.high64 };
}

void
hash128_hex(hash128 h, char hex[33])
{
	snprintf(hex, 33, "%016llx%016llx", (unsigned long long)h.hi, (unsigned long long)h.lo);
}

/* Both lengths are kept: XXH3's 64-bit hash is not a half of the 128-bit one. */
struct hasher {
	XXH3_state_t	h64, h128;
	char		few[FEW];	/* small pieces, until they are many */
	ptrdiff_t	nfew;
};

struct hasher *
hasher_new(struct err *err)
{
	struct hasher *h = aligned_alloc(64, (sizeof(*h) + 63) & ~(size_t)63);

	if (h == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	XXH3_64bits_reset(&h->h64);
	XXH3_128bits_reset(&h->h128);
	h->nfew = 0;
	return h;
}

static void
update(struct hasher *h, const char *p, ptrdiff_t n)
{
	XXH3_64bits_update(&h->h64, p, (size_t)n);
	XXH3_128bits_update(&h->h128, p, (size_t)n);
}

static void
flush(struct hasher *h)
{
	update(h, h->few, h->nfew);
	h->nfew = 0;
}

void
hasher_add(struct hasher *h, str s)
{
	if (h->nfew + s.n > FEW)
		flush(h);
	if (s.n > FEW) {
		update(h, s.p, s.n);
	} else if (s.n > 0) {
		/* What memcpy() becomes here is slow for a few bytes. */
		memmove(h->few + h->nfew, s.p, (size_t)s.n);
		h->nfew += s.n;
	}
}

hash128
hasher_end(struct hasher *h)
{
	XXH128_hash_t x;

	flush(h);
	x = XXH3_128bits_digest(&h->h128);

	return (hash128){ x.low64, x.high64 };
}

uint64_t
hasher_end64(struct hasher *h)
{
	flush(h);
	return XXH3_64bits_digest(&h->h64);
}

void
hasher_free(struct hasher *h)
{
	free(h);
}
