#include <stdlib.h>

#include "bad.h"
#include "run.h"
#include "server.h"

/* Bytes by which the pages of an allocator come and go. */
#define NOISE (4 << 20)

/* Numbers whose median is asked for. */
struct sample {
	double	*p;
	int64_t	 n, cap;
};

struct mixed {
	struct load	*l;
	struct client	*client;
	struct answer	 got;
	int64_t		 asked, over;
	int64_t		 counts[KINDS][OUTCOMES];
	int64_t		 tokens, halves;
	struct sample	 first, between;
	struct sample	 memory[4];	/* in each quarter of the requests */
	double		 looked;
};

static void
sample_add(struct sample *s, double x)
{
	if (s->n == s->cap) {
		int64_t cap = s->cap * 2 + 1024;
		double *p = realloc(s->p, (size_t)cap * sizeof(*p));

		if (p == NULL)
			return;
		s->p = p;
		s->cap = cap;
	}
	s->p[s->n++] = x;
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
quantile(struct sample *s, double q)
{
	if (s->n == 0)
		return 0;
	qsort(s->p, (size_t)s->n, sizeof(*s->p), by_size);
	return s->p[(int64_t)(q * (double)(s->n - 1))];
}

/* ---- one after the other ---- */

struct alone {
	struct load	*l;
	struct answer	 got;
	bool		 again, failed;
	struct task	 task;
	struct ask	*ask;
	struct err	 err;
};

static void
alone_done(void *ctx, struct exchange *e)
{
	struct alone *a = ctx;
	struct task *t = e->ctx;

	if (!a->again) {
		a->failed = mix_learn(a->ask, t, &a->got, &a->err) < 0;
	} else if (mix_check(t, &a->got, &a->err) != RIGHT) {
		load_wrong(a->l, "alone, afterwards", &a->err);
	}
}

int
run_alone(struct load *l, bool again, struct err *err)
{
	struct alone a = { .l = l, .again = again };
	struct client *c = client_new(&l->to, alone_done, &a, err);
	int64_t different = 0;

	if (c == NULL)
		return -1;
	for (int64_t i = 0; i < l->mix.n && !a.failed; i++) {
		a.ask = &l->mix.ask[i];
		mix_plain(&l->mix, a.ask, &a.task);
		a.task.e.ctx = &a.task;
		client_begin(c, &a.task.e);
		while (client_open(c) > 0)
			client_step(c, 1);
		exchange_reset(&a.task.e);
	}
	client_free(c);
	answer_free(&a.got);
	if (a.failed) {
		*err = a.err;
		return -1;
	}
	for (int64_t i = 0, j; i < l->mix.n && !again; i++) {
		for (j = 0; j < i && !str_eq(buf_str(&l->mix.ask[i].text), buf_str(&l->mix.ask[j].text)); j++)
			;
		different += j == i;
	}
	if (!again)
		printf("# %lld distinct requests, %lld distinct answers\n", (long long)l->mix.n,
		    (long long)different);
	return 0;
}

static void
bad_done(void *ctx, struct exchange *e)
{
	struct alone *a = ctx;
	struct task *t = e->ctx;
	char what[96];

	snprintf(what, sizeof(what), "bad, alone: %s", bad_name(t->which));
	if (mix_check(t, &a->got, &a->err) == WRONG)
		load_wrong(a->l, what, &a->err);
}

int
run_bad(struct load *l, struct err *err)
{
	struct alone a = { .l = l };
	struct client *c = client_new(&l->to, bad_done, &a, err);
	struct task *t = calloc((size_t)bad_count(), sizeof(*t));

	if (c == NULL || t == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	/* Those that have to wait for a timeout do so beside the others. */
	for (int i = 0; i < bad_count(); i++) {
		mix_bad(&l->mix, i, &t[i]);
		t[i].e.ctx = &t[i];
		client_begin(c, &t[i].e);
		for (int j = 0; t[i].e.end == END_OPEN && j < 100; j++)
			client_step(c, 0.01);
	}
	while (client_open(c) > 0)
		client_step(c, 1);
	for (int i = 0; i < bad_count(); i++)
		exchange_reset(&t[i].e);
	printf("# %d bad requests, one after the other\n", bad_count());
	free(t);
	client_free(c);
	answer_free(&a.got);
	return 0;
}

/* ---- many at once ---- */

static void
count(struct mixed *m, const struct task *t, enum outcome how, const struct err *err)
{
	char what[96];

	m->counts[t->kind][how]++;
	if (how == WRONG) {
		snprintf(what, sizeof(what), "%s%s%s", kind_name[t->kind],
		    t->kind == KIND_BAD ? ": " : "", t->kind == KIND_BAD ? bad_name(t->which) : "");
		load_wrong(m->l, what, err);
	}
}

static void
mixed_done(void *ctx, struct exchange *e)
{
	struct mixed *m = ctx;
	struct task *t = e->ctx;
	struct err err;
	enum outcome how = mix_check(t, &m->got, &err);

	count(m, t, how, &err);
	if (how == RIGHT && t->kind != KIND_BAD && t->kind != KIND_HALF) {
		m->tokens += t->ask->completion;
		if (t->stream && t->kind != KIND_SLOW && m->got.first >= 0) {
			sample_add(&m->first, m->got.first);
			for (int64_t i = 0; i < m->got.n_gap; i++)
				sample_add(&m->between, m->got.gap[i]);
		}
	}
	m->halves -= t->e.half;
	m->over++;
	exchange_reset(e);
	free(t);
}

static void
look(struct mixed *m)
{
	double now = client_now();
	struct sample *at = &m->memory[m->over * 4 / (m->l->requests + 1)];

	if (m->l->pid <= 0 || (now - m->looked < 0.05 && at->n > 0))
		return;
	m->looked = now;
	sample_add(at, (double)server_memory(m->l->pid));
}

static int
ask_next(struct mixed *m, struct err *err)
{
	struct task *t = malloc(sizeof(*t));

	if (t == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	mix_task(&m->l->mix, m->asked++, t);
	t->e.ctx = t;
	m->halves += t->e.half;
	client_begin(m->client, &t->e);
	return 0;
}

static void
print_table(struct mixed *m, double seconds, int64_t before, int64_t after)
{
	static const char *const head[OUTCOMES] = { "right", "refused", "closed", "cancelled", "wrong" };
	int64_t sum[OUTCOMES] = { 0 };

	printf("%-18s", "kind");
	for (int o = 0; o < OUTCOMES; o++)
		printf("\t%s", head[o]);
	printf("\n");
	for (int k = 0; k < KINDS; k++) {
		printf("%-18s", kind_name[k]);
		for (int o = 0; o < OUTCOMES; o++) {
			printf("\t%lld", (long long)m->counts[k][o]);
			sum[o] += m->counts[k][o];
		}
		printf("\n");
	}
	printf("%-18s", "all");
	for (int o = 0; o < OUTCOMES; o++)
		printf("\t%lld", (long long)sum[o]);
	printf("\n\nseconds\t%.2f\nrequests/s\t%.1f\ntokens/s\t%.1f\n", seconds,
	    (double)m->over / seconds, (double)m->tokens / seconds);
	printf("first token\tmedian %.2f ms\t99th %.2f ms\n", quantile(&m->first, 0.5) * 1e3,
	    quantile(&m->first, 0.99) * 1e3);
	printf("between tokens\tmedian %.2f ms\t99th %.2f ms\n", quantile(&m->between, 0.5) * 1e3,
	    quantile(&m->between, 0.99) * 1e3);
	if (m->l->pid > 0)
		printf("memory\tbefore %.1f MB\tsecond quarter %.1f MB\tlast quarter %.1f MB, "
		    "at most %.1f MB\tafter %.1f MB\n", (double)before / 1e6,
		    quantile(&m->memory[1], 0.5) / 1e6, quantile(&m->memory[3], 0.5) / 1e6,
		    quantile(&m->memory[3], 1) / 1e6, (double)after / 1e6);
}

static void
check_memory(struct mixed *m, int64_t before)
{
	/* Medians: a large request takes what is given back at once. */
	double early = quantile(&m->memory[1], 0.5), late = quantile(&m->memory[3], 0.5);
	struct err err;

	if (m->l->pid <= 0)
		return;
	if (before == 0) {
		err_set(&err, ERR_FORMAT, "of process %lld nothing tells it", (long long)m->l->pid);
		load_wrong(m->l, "memory", &err);
	} else if (late - early > m->l->growth * early && late - early > NOISE) {
		err_set(&err, ERR_FORMAT, "it grew by %.1f %% from the second quarter to the last",
		    (late / early - 1) * 100);
		load_wrong(m->l, "memory", &err);
	}
}

int
run_mixed(struct load *l, struct err *err)
{
	struct mixed m = { .l = l };
	int64_t before = server_memory(l->pid);
	double start = client_now();
	int ret = 0;

	if ((m.client = client_new(&l->to, mixed_done, &m, err)) == NULL)
		return -1;
	while (m.over < l->requests && ret == 0) {
		/* Those that sent half and stay are beside the others. */
		while (ret == 0 && m.asked < l->requests &&
		    client_open(m.client) - m.halves < l->connections)
			ret = ask_next(&m, err);
		client_step(m.client, 0.05);
		look(&m);
	}
	if (ret == 0) {
		print_table(&m, client_now() - start, before, server_memory(l->pid));
		check_memory(&m, before);
	}
	client_free(m.client);
	answer_free(&m.got);
	for (int i = 0; i < 4; i++)
		free(m.memory[i].p);
	free(m.first.p);
	free(m.between.p);
	return ret;
}
