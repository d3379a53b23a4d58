#include "infer/rowtime.h"

enum { COUNTED = 5 };		/* passes whose plain mean it is; older ones fade then */

#define ALL 0.05	/* of a difference that all classes go along: the machine is another one */
#define MOST 2.0	/* times what was expected, or a part of it: what is beyond, is chance */

static int
class_of(int64_t rows)
{
	int octave, class;

	if (rows < 8)
		return (int)rows;
	octave = 63 - __builtin_clzll((unsigned long long)rows);
	class = 8 + 4 * (octave - 3) + (int)(rows >> (octave - 2) & 3);
	return class < ROWTIME_CLASSES ? class : ROWTIME_CLASSES - 1;
}

/* As long as class i and in proportion to rows, and those beside them. */
static double
beyond(const struct rowtime *t, int i, double rows)
{
	return t->of[i].seconds * (rows + ROWTIME_BESIDE) / (t->of[i].rows + ROWTIME_BESIDE);
}

double
rowtime_of(const struct rowtime *t, int64_t n)
{
	double rows = (double)n, more, part;
	int below = -1, above = -1;

	for (int i = 0; i < ROWTIME_CLASSES && above < 0; i++) {
		if (t->of[i].n > 0 && t->of[i].rows <= rows)
			below = i;
		else if (t->of[i].n > 0)
			above = i;
	}
	if (below < 0 && above < 0)
		return 0;
	if (below < 0 || above < 0)
		return beyond(t, below < 0 ? above : below, rows);
	part = (rows - t->of[below].rows) / (t->of[above].rows - t->of[below].rows);
	more = t->of[above].seconds - t->of[below].seconds;
	return t->of[below].seconds + (more > 0 ? part * more : 0);
}

bool
rowtime_knows(const struct rowtime *t, int64_t rows)
{
	return t->of[class_of(rows)].n > 1;
}

void
rowtime_learn(struct rowtime *t, int64_t rows, double seconds)
{
	int c = class_of(rows);
	double known = rowtime_of(t, rows), all, part;

	if (known > 0) {
		if (seconds > MOST * known)
			seconds = MOST * known;
		if (seconds < known / MOST)
			seconds = known / MOST;
		all = 1 + ALL * (seconds / known - 1);
		for (int i = 0; i < ROWTIME_CLASSES; i++)
			t->of[i].seconds *= all;
	}
	if (t->of[c].n < COUNTED)
		t->of[c].n++;
	part = 1.0 / t->of[c].n;
	t->of[c].rows += part * ((double)rows - t->of[c].rows);
	t->of[c].seconds += part * (seconds - t->of[c].seconds);
}
