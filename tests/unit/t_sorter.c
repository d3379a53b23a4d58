/*
 * The sorter: order by key and by adding, groups apart, the same for every
 * memory, with runs that are merged twice, and full disks told.
 */
#include <stdlib.h>

#include "base/rng.h"
#include "base/sorter.h"
#include "../tap.h"

#define N	20000
#define GROUPS	3

struct item {
	struct sorter_key key;
	int	group, i;
};

static int
by_key(const void *x, const void *y)
{
	const struct item *a = x, *b = y;

	if (a->group != b->group)
		return a->group < b->group ? -1 : 1;
	if (a->key.a != b->key.a)
		return a->key.a < b->key.a ? -1 : 1;
	if (a->key.b != b->key.b)
		return a->key.b < b->key.b ? -1 : 1;
	return a->i < b->i ? -1 : 1;
}

/* The bytes of item i: its number, and as many others as i says. */
static str
bytes_of(int i, char *to, int longest)
{
	int n = (int)(rng_u64(1, 2, (uint64_t)i) % (uint64_t)longest);

	memset(to, i, (size_t)n + sizeof(i));
	memcpy(to, &i, sizeof(i));
	return (str){ to, n + (int)sizeof(i) };
}

/* Sort n items in so much memory.  Return whether they come as they should. */
static bool
sorts(int n, int64_t memory, int longest, bool *spilled)
{
	static struct item item[N];
	static char room[200000];
	struct err err;
	struct sorter *s = sorter_new("/tmp", memory, GROUPS, &err);
	bool good = s != NULL;
	int at = 0;
	str got;

	for (int i = 0; i < n && good; i++) {
		uint64_t x = rng_u64(3, 4, (uint64_t)i);

		/* Few keys, so that many are equal. */
		item[i] = (struct item){ { x % 50, x / 50 % 7 }, (int)(x / 1000 % 2) * 2, i };
		good = sorter_add(s, item[i].group, item[i].key, bytes_of(i, room, longest),
		    &err) == 0;
	}
	good = good && sorter_end(s, &err) == 0;
	qsort(item, (size_t)n, sizeof(*item), by_key);
	for (int g = 0; g < GROUPS && good; g++) {
		int more;

		while ((more = sorter_next(s, g, &got, &err)) > 0 && good) {
			good = at < n && item[at].group == g &&
			    str_eq(got, bytes_of(item[at].i, room, longest));
			at++;
		}
		good = good && more == 0 && sorter_next(s, g, &got, &err) == 0;
	}
	*spilled = s != NULL && sorter_spilled(s) > 0;
	sorter_free(s);
	return good && at == n;
}

int
main(void)
{
	struct err err = { 0 };
	struct sorter *s;
	static char big[SORTER_MIN];
	bool spilled;
	str got;

	ok(sorts(N, (int64_t)64 << 20, 100, &spilled) && !spilled, "in memory");
	ok(sorts(N, SORTER_MIN, 100, &spilled) && spilled, "by a few runs");
	ok(sorts(N, SORTER_MIN, 3000, &spilled) && spilled, "by more runs than have buffers");
	ok(sorts(300, SORTER_MIN, 130000, &spilled) && spilled, "pieces larger than a buffer");
	ok(sorts(0, SORTER_MIN, 100, &spilled) && !spilled, "nothing");
	ok(sorts(1, SORTER_MIN, 100, &spilled) && !spilled, "one");

	s = sorter_new("/no/such/dir", SORTER_MIN, 1, &err);
	ok(s != NULL && sorter_add(s, 0, (struct sorter_key){ 0, 0 }, (str){ big, sizeof(big) },
	    &err) == -1 && err.code == ERR_LIMIT, "a piece that memory is too small for");
	for (int i = 0; i < 20 && err.code != ERR_IO; i++)
		sorter_add(s, 0, (struct sorter_key){ 0, 0 }, (str){ big, 100000 }, &err);
	ok(err.code == ERR_IO, "nowhere to spill");
	sorter_free(s);
	s = sorter_new("/tmp", 0, 1, &err);
	ok(s != NULL && sorter_add(s, 0, (struct sorter_key){ 1, 0 }, S(""), &err) == 0 &&
	    sorter_add(s, 0, (struct sorter_key){ 0, 0 }, S("a"), &err) == 0 &&
	    sorter_end(s, &err) == 0 && sorter_next(s, 0, &got, &err) == 1 && str_eq(got, S("a")) &&
	    sorter_next(s, 0, &got, &err) == 1 && got.n == 0, "an empty piece");
	sorter_free(s);
	return tap_done();
}
