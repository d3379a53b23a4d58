/* Rows with zeros: which weights go. */
#include <string.h>

#include "../tap.h"
#include "model/prune.h"

enum { N = 8 };

static bool
becomes(const float *y, const float *w, struct prune_options o, const float *want)
{
	float x[N], scratch[N];

	memcpy(x, y, sizeof(x));
	prune_row(x, w, N, &o, scratch);
	return memcmp(x, want, sizeof(x)) == 0;
}

int
main(void)
{
	const float y[N] = { 1, -4, 2, 3, -8, 7, 6, -5 };
	const float w[N] = { 100, 1, 1, 1, 0.01f, 1, 1, 1 };
	const float same[N] = { 2, 2, -2, 2, 2, 2, 2, 2 };
	struct prune_options half = { .share = 0.5 }, some = { .share = 0.3 };
	struct prune_options none = { .share = 0 }, pairs = { .two_of_four = true };

	ok(becomes(y, NULL, half, (float[N]){ 0, 0, 0, 0, -8, 7, 6, -5 }), "the smallest half");
	ok(becomes(y, w, half, (float[N]){ 1, 0, 0, 0, 0, 7, 6, -5 }), "by what they do");
	ok(becomes(y, NULL, some, (float[N]){ 0, -4, 0, 3, -8, 7, 6, -5 }), "no more than a share");
	ok(becomes(y, NULL, none, y), "none");
	ok(becomes(same, NULL, half, (float[N]){ 0, 0, 0, 0, 2, 2, 2, 2 }),
	    "of equals as many as were asked for");
	ok(becomes(y, NULL, pairs, (float[N]){ 0, -4, 0, 3, -8, 7, 0, 0 }), "two of four");
	ok(becomes(y, w, pairs, (float[N]){ 1, -4, 0, 0, 0, 7, 6, 0 }), "by what they do");
	ok(becomes(same, NULL, pairs, (float[N]){ 2, 2, 0, 0, 2, 2, 0, 0 }), "of equals two");
	return tap_done();
}
