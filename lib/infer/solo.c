#include "infer/solo.h"

bool
solo_next(const struct solo *s)
{
	return s->alone != s->trying;
}

/* The mean without the longest, which may have had another reason. */
static double
mean(const struct solo *s, bool alone)
{
	int n = s->took[alone].n;

	return n > 1 ? (s->took[alone].sum - s->took[alone].most) / (n - 1) : s->took[alone].sum;
}

void
solo_took(struct solo *s, double seconds)
{
	bool alone = solo_next(s);

	if (s->left == 0)
		s->left = SOLO_FIRST;
	/* The last ones before it is tried otherwise are compared. */
	if (s->left <= SOLO_FIRST) {
		s->took[alone].sum += seconds;
		s->took[alone].n++;
		if (seconds > s->took[alone].most)
			s->took[alone].most = seconds;
	}
	if (--s->left > 0)
		return;
	if (s->trying) {
		/* Not for what may be chance. */
		if (mean(s, !s->alone) < 0.9 * mean(s, s->alone))
			s->alone = !s->alone;
		s->left = s->alone ? SOLO_ALONE : SOLO_ALL;
		for (int i = 0; i < 2; i++) {
			s->took[i].sum = s->took[i].most = 0;
			s->took[i].n = 0;
		}
	} else {
		s->left = SOLO_TRY;
	}
	s->trying = !s->trying;
}
