/*
 * Any bytes as a text, in which UTF-8 is broken too.  Spans are in order and inside; pieces have
 * those of the whole, also from memory that ends there.
 */
#include <stdlib.h>
#include <string.h>

#include "text/pii.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* The spans of the first part of a text, with a copy that ends where it ends. */
static void
pieces(const struct pii_rules *rules, const char *s, ptrdiff_t n, ptrdiff_t step)
{
	struct pii_scan whole = { .rules = rules }, scan = { .rules = rules };
	struct pii_span a, b;

	for (ptrdiff_t at = 0; at < n;) {
		char *copy;

		at = at + step < n ? at + step : n;
		copy = malloc((size_t)at);
		memcpy(copy, s, (size_t)at);
		while (pii_next(&scan, (str){ copy, at }, at < n, &a) > 0)
			if (pii_next(&whole, (str){ s, n }, false, &b) == 0 || a.start != b.start ||
			    a.end != b.end || a.kind != b.kind)
				abort();
		free(copy);
	}
	if (pii_next(&whole, (str){ s, n }, false, &b) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	str text = { (const char *)p, (ptrdiff_t)n };
	struct pii_rules rules = { .kinds = ~0u };
	struct pii_key key = { { 1 } };
	struct buf out = { 0 };

	for (int local = 0; local < 2; local++) {
		struct pii_scan scan = { .rules = &rules };
		ptrdiff_t end = 0;
		struct pii_span s;

		rules.local = local;
		while (pii_next(&scan, text, false, &s) > 0) {
			if (s.start < end || s.end <= s.start || s.end > text.n)
				abort();
			end = s.end;
			pii_fake(&key, s.kind, (str){ text.p + s.start, s.end - s.start }, &out);
		}
	}
	if (n > 0 && n < 4096)
		pieces(&rules, text.p, text.n, 1 + text.n / 7);
	buf_free(&out);
	return 0;
}
