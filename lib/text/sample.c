#include "text/sample.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/json.h"

int
sample_id(str value, struct buf *b, str *id, struct err *err)
{
	if (!json_given(value) || str_eq(value, S("\"\"")))
		return 0;
	if (value.p[0] == '"')
		return json_text(value, b, id, err) < 0 ? -1 : 1;
	*id = value;
	return 1;
}

bool
sample_limit(double rate, uint64_t *highest)
{
	assert(rate >= 0 && rate <= 1);
	if (rate <= 0)
		return false;
	*highest = rate >= 1 ? UINT64_MAX : (uint64_t)ldexp(rate, 64);
	return true;
}

static void
sink(struct sample_key *key, int64_t i, int64_t n)
{
	struct sample_key x = key[i];

	for (;;) {
		int64_t child = 2 * i + 1;

		if (child >= n)
			break;
		if (child + 1 < n && sample_less(key[child], key[child + 1]))
			child++;
		if (!sample_less(x, key[child]))
			break;
		key[i] = key[child];
		i = child;
	}
	key[i] = x;
}

int
smallest_add(struct smallest *s, struct sample_key k, struct err *err)
{
	if (s->held == s->n) {
		if (sample_less(k, s->key[0])) {
			s->key[0] = k;
			sink(s->key, 0, s->held);
		}
		return 0;
	}
	if (s->held == s->cap) {
		int64_t cap = s->cap > 0 ? s->cap * 2 : 1024;
		struct sample_key *p;

		if (cap > s->n)
			cap = s->n;
		p = cap > PTRDIFF_MAX / (int64_t)sizeof(*p) ? NULL :
		    realloc(s->key, (size_t)cap * sizeof(*p));
		if (p == NULL)
			return err_set(err, ERR_NOMEM, "no memory for %lld keys", (long long)cap);
		s->key = p;
		s->cap = cap;
	}
	s->key[s->held++] = k;
	if (s->held == s->n)	/* full for the first time: make it a heap */
		for (int64_t i = s->n / 2; i-- > 0;)
			sink(s->key, i, s->n);
	return 0;
}

struct sample_key
smallest_last(const struct smallest *s, int64_t *equal)
{
	struct sample_key last = { 0 };

	*equal = 0;
	for (int64_t i = 0; i < s->held; i++) {
		if (i == 0 || sample_less(last, s->key[i])) {
			last = s->key[i];
			*equal = 0;
		}
		*equal += !sample_less(s->key[i], last) && !sample_less(last, s->key[i]);
	}
	return last;
}

void
smallest_free(struct smallest *s)
{
	free(s->key);
	*s = (struct smallest){ 0 };
}
