/* One thread or all: what the clock says, and how much trying it costs. */
#include "../tap.h"
#include "infer/solo.h"

/* Passes of which those of all threads and those of one take so long; the mean of n. */
static double
run(struct solo *s, double all, double alone, int n)
{
	double sum = 0;

	for (int i = 0; i < n; i++) {
		double t = solo_next(s) ? alone : all;

		/* Now and then one is long, whoever does it. */
		if (i % 50 == 3)
			t *= 20;
		else
			sum += t;
		solo_took(s, t);
	}
	return sum / n;
}

int
main(void)
{
	struct solo s = { 0 };

	ok(!solo_next(&s), "all begin");
	ok(run(&s, 1, 1.5, 2000) < 1.02, "where all are faster, trying costs little");
	ok(!solo_next(&s) || s.trying, "and they stay");
	run(&s, 3, 1.5, 1000);
	ok(solo_next(&s) != s.trying && s.alone, "beside another program one is faster");
	ok(run(&s, 3, 1.5, 2000) < 1.75, "and is nearly all that is paid");
	run(&s, 1, 1.5, 1000);
	ok(!s.alone, "when that ends, all go on");
	run(&s, 1, 0.97, 1000);
	ok(!s.alone, "a little faster may be chance");
	return tap_done();
}
