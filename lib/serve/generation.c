#include "serve/generation.h"

#include <stdlib.h>
#include <string.h>

#include "base/progress.h"

struct generation *
generation_new(struct err *err)
{
	struct generation *g = calloc(1, sizeof(*g));

	if (g == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&g->lock, NULL);
	g->refs = 1;
	g->asked = progress_now();
	return g;
}

struct generation *
generation_hold(struct generation *g)
{
	pthread_mutex_lock(&g->lock);
	g->refs++;
	pthread_mutex_unlock(&g->lock);
	return g;
}

void
generation_release(struct generation *g)
{
	int left;

	if (g == NULL)
		return;
	pthread_mutex_lock(&g->lock);
	left = --g->refs;
	pthread_mutex_unlock(&g->lock);
	if (left > 0)
		return;
	pthread_mutex_destroy(&g->lock);
	buf_free(&g->text);
	free(g->token);
	free(g->top);
	free(g->begins);
	free(g);
}

/* ---- readers ---- */

void
generation_watch(struct generation *g, struct generation_watch *w, struct http_call *call)
{
	pthread_mutex_lock(&g->lock);
	*w = (struct generation_watch){ .call = call, .next = g->watch };
	g->watch = w;
	pthread_mutex_unlock(&g->lock);
}

void
generation_unwatch(struct generation *g, struct generation_watch *w)
{
	pthread_mutex_lock(&g->lock);
	for (struct generation_watch **at = &g->watch; *at != NULL; at = &(*at)->next)
		if (*at == w) {
			*at = w->next;
			break;
		}
	if (g->watch == NULL)
		atomic_store(&g->dropped, true);
	pthread_mutex_unlock(&g->lock);
}

/* Under the lock, so that no call ends meanwhile. */
static void
wake_all(const struct generation *g)
{
	for (const struct generation_watch *w = g->watch; w != NULL; w = w->next)
		http_wake(w->call);
}

/* ---- the engine's thread ---- */

void
generation_accept(struct generation *g)
{
	pthread_mutex_lock(&g->lock);
	g->state = GENERATION_ACCEPTED;
	wake_all(g);
	pthread_mutex_unlock(&g->lock);
}

void
generation_refuse(struct generation *g, const struct err *why)
{
	pthread_mutex_lock(&g->lock);
	g->failure = *why;
	g->state = GENERATION_REFUSED;
	wake_all(g);
	pthread_mutex_unlock(&g->lock);
}

/* Room for n more of size bytes in *p. */
static int
grow(void *p, int64_t have, int64_t n, int64_t *cap, size_t size, struct err *err)
{
	void **at = p;
	int64_t want = *cap < 64 ? 64 : *cap;
	void *more;

	while (want < have + n)
		want *= 2;
	if (want == *cap)
		return 0;
	if ((more = realloc(*at, (size_t)want * size)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*at = more;
	*cap = want;
	return 0;
}

static int
keep_token(struct generation *g, const struct text_token *t, struct err *err)
{
	if (grow(&g->token, g->n_token, 1, &g->cap_token, sizeof(*g->token), err) < 0 ||
	    grow(&g->top, g->n_top, t->n_top, &g->cap_top, sizeof(*g->top), err) < 0)
		return -1;
	g->token[g->n_token++] = (struct generation_token){ .id = t->id, .logp = t->logp,
	    .text = t->text, .top = g->n_top, .n_top = t->n_top };
	if (t->n_top > 0)
		memcpy(g->top + g->n_top, t->top, (size_t)t->n_top * sizeof(*g->top));
	g->n_top += t->n_top;
	return 0;
}

int
generation_token(struct generation *g, const struct text_token *t, struct err *err)
{
	int ret = 0;

	pthread_mutex_lock(&g->lock);
	g->last = progress_now();
	if (g->first == 0)
		g->first = g->last;
	g->report.tokens++;
	if ((ret = grow(&g->begins, g->n_begins, 1, &g->cap_begins, sizeof(*g->begins),
	    err)) == 0)
		g->begins[g->n_begins++] = (int32_t)t->text;
	if (ret == 0 && t->top != NULL)
		ret = keep_token(g, t, err);
	pthread_mutex_unlock(&g->lock);
	return ret;
}

int64_t
generation_tokens(const struct generation *g, int64_t bytes)
{
	int64_t n = 0, end = g->n_begins;

	while (n < end) {
		int64_t middle = n + (end - n) / 2;

		if (g->begins[middle] < bytes)
			n = middle + 1;
		else
			end = middle;
	}
	return n;
}

int
generation_text(struct generation *g, str text, struct err *err)
{
	int ret;

	pthread_mutex_lock(&g->lock);
	buf_add(&g->text, text);
	ret = buf_ok(&g->text, err);
	wake_all(g);
	pthread_mutex_unlock(&g->lock);
	return ret;
}

void
generation_end(struct generation *g, const struct text_report *r)
{
	pthread_mutex_lock(&g->lock);
	g->report = *r;
	g->report.failed = NULL;
	if (r->failed != NULL)
		g->failure = *r->failed;
	else if (r->end == TEXT_BROKEN_OFF)
		err_set(&g->failure, ERR_STOP, "the server ends");
	g->last = progress_now();
	g->state = GENERATION_OVER;
	wake_all(g);
	pthread_mutex_unlock(&g->lock);
}
