/*
 * Answers that are kept: the very same request, sizes, ages, and threads
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "serve/kept.h"

#include "../tap.h"

static struct err err;
static _Atomic int alive;

static void
gone(void *value)
{
	alive--;
	free(value);
}

static void *
made(int n)
{
	int *p = malloc(sizeof(*p));

	*p = n;
	alive++;
	return p;
}

static str
name(int n)
{
	static _Thread_local char s[32];

	return (str){ s, snprintf(s, sizeof(s), "request %d", n) };
}

static bool
has(struct kept *k, int n, double now)
{
	struct kept_item *x = kept_find(k, name(n), now);
	bool right = x != NULL && *(int *)kept_value(x) == n;

	if (x != NULL)
		kept_drop(k, x);
	return right;
}

static void
test_key(void)
{
	const int32_t ids[] = { 1, 2, 3 };
	struct buf a = { 0 };
	static const struct {
		const char *model, *parameters;
		int n;
		uint64_t salt;
	} other[] = {
		{ "base", "seed=1", 2, 7 }, { "bas", "eseed=1", 3, 7 }, { "base", "seed=1", 3, 8 },
		{ "base", "seed=2", 3, 7 }, { "base", "seed=1 ", 3, 7 }, { "", "seed=1", 3, 7 },
	};
	int bad = 0;

	kept_key(&a, S("base"), ids, 3, S("seed=1"), 7);
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		struct buf b = { 0 };

		kept_key(&b, str_of(other[i].model), ids, other[i].n, str_of(other[i].parameters),
		    other[i].salt);
		bad += str_eq(buf_str(&a), buf_str(&b));
		buf_free(&b);
	}
	ok(bad == 0, "another request has another key");
	buf_free(&a);
}

static void
test_store(void)
{
	struct kept *k = kept_new(100000, 60, &err);
	struct kept_item *x;
	struct kept_stats s;
	int n = 0, more = 0;

	ok(kept_find(k, name(1), 0) == NULL, "nothing at first");
	ok(kept_put(k, name(1), made(1), 100, gone, 0) && has(k, 1, 30) && !has(k, 2, 30),
	    "what was put is found, and nothing else");
	ok(!has(k, 1, 61) && alive == 0, "until it is too old");
	kept_put(k, name(3), made(0), 100, gone, 0);
	kept_put(k, name(3), made(3), 100, gone, 0);
	ok(has(k, 3, 0) && alive == 1 && kept_stats(k).items == 1, "the later one of the same key");
	ok(!kept_put(k, name(4), made(4), 100000, gone, 0) && alive == 1 && has(k, 3, 0),
	    "what is larger than all is not kept, and nothing is lost for it");
	x = kept_find(k, name(3), 0);
	for (int i = 1000; i < 2000; i++) {
		kept_put(k, name(i), made(i), 900, gone, 0);
		if (i >= 1001)
			has(k, 1001, 0);
	}
	s = kept_stats(k);
	ok(s.bytes <= 100000 && s.items > 50 && s.items < 112 && alive == s.items + 1, "the limit holds");
	ok(*(int *)kept_value(x) == 3 && !has(k, 3, 0), "what is in use lives longer");
	kept_drop(k, x);
	ok(alive == s.items, "and no longer than that");
	for (int i = 1000; i < 2000; i++)
		n += has(k, i, 0);
	for (int i = 1920; i < 2000; i++)
		more += has(k, i, 0);
	ok(n == s.items && more == 80 && has(k, 1001, 0), "the least recently used went");
	kept_clear(k);
	ok(alive == 0 && kept_stats(k).items == 0 && kept_stats(k).bytes == 0 && !has(k, 1999, 0),
	    "all is forgotten");
	kept_put(k, name(1), made(1), 10, gone, 0);
	s = kept_stats(k);
	ok(s.found > 0 && s.missed > 0, "it counts");
	kept_free(k);
	ok(alive == 0, "nothing is left");
}

static void
test_many(void)
{
	struct kept *k = kept_new((int64_t)1 << 40, 0, &err);
	int bad = 0;

	for (int i = 0; i < 50000; i++)
		kept_put(k, name(i), made(i), 10, gone, 0);
	for (int i = 0; i < 50000; i++)
		bad += !has(k, i, 1e9);
	ok(bad == 0 && kept_stats(k).items == 50000, "fifty thousand, of any age");
	kept_free(k);
}

static void *
worker(void *ctx)
{
	intptr_t bad = 0;

	for (int i = 0; i < 20000; i++) {
		int n = i * 7919 % 300;
		struct kept_item *x = kept_find(ctx, name(n), 0);

		if (x == NULL) {
			kept_put(ctx, name(n), made(n), 100, gone, 0);
			continue;
		}
		bad += *(int *)kept_value(x) != n;
		kept_drop(ctx, x);
	}
	return (void *)bad;
}

static void
test_threads(void)
{
	struct kept *k = kept_new(40000, 0, &err);
	pthread_t t[4];
	void *bad;
	intptr_t all = 0;

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, worker, k);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &bad);
		all += (intptr_t)bad;
	}
	ok(all == 0 && alive == kept_stats(k).items, "four threads get what is theirs");
	kept_free(k);
	ok(alive == 0, "and all of it is given back");
}

int
main(void)
{
	test_key();
	test_store();
	test_many();
	test_threads();
	return tap_done();
}
