/*
 * Convolution and selective scan against double: random sequences, widths and
 * states; and that a sequence cut into passes gives the bits of a whole one.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/kit.h"
#include "../tap.h"

enum { MAX_SEQS = 5 };

struct scan_case {
	int64_t	seqs, tokens, cap, c, n, width, ldx, ldz;
	bool	state, params;
	int32_t	cu[MAX_SEQS + 1], slot[MAX_SEQS], pos[400];
};

static void
draw(struct kit *k, struct scan_case *s, bool backward)
{
	static const int64_t cs[] = { 1, 3, 8, 16, 31, 64, 100 };

	memset(s, 0, sizeof(*s));
	s->seqs = kit_draw(k, 1, MAX_SEQS);
	for (int64_t i = 0; i < s->seqs; i++) {
		int64_t len = kit_draw(k, 0, 1) == 0 ? kit_draw(k, 0, 4) : kit_draw(k, 1, 75);

		for (int64_t t = 0; t < len; t++)
			s->pos[s->cu[i] + t] = (int32_t)t;
		s->cu[i + 1] = s->cu[i] + (int32_t)len;
		s->slot[i] = (int32_t)((i * 2 + 1) % MAX_SEQS);
		if (len > 0 && kit_draw(k, 0, 1) == 0)
			s->pos[s->cu[i]] = 7;
	}
	s->tokens = s->cu[s->seqs];
	for (int64_t i = s->seqs; i < MAX_SEQS; i++)
		s->cu[i + 1] = (int32_t)s->tokens;
	s->cap = s->tokens + kit_draw(k, 0, 2);
	s->c = cs[kit_draw(k, 0, 6)];
	s->n = kit_draw(k, 0, 1) == 0 ? 16 : kit_draw(k, 1, kit_draw(k, 0, 3) == 0 ? SCAN_STATES : 20);
	s->width = kit_draw(k, 1, CONV_WIDTH);
	s->ldx = s->c + kit_draw(k, 0, 1) * 5;
	s->ldz = s->c + kit_draw(k, 0, 1) * 3;
	s->state = !backward && kit_draw(k, 0, 1) == 0;
	s->params = kit_draw(k, 0, 2) != 0;
}

/* ---- counts and places, the last buffers of each case ---- */

static void
places(struct kit *k, const struct scan_case *s)
{
	int32_t n[2] = { (int32_t)s->tokens, (int32_t)s->seqs };

	kit_ints(k, MAX_SEQS + 1, s->cu);
	kit_ints(k, MAX_SEQS, s->slot);
	kit_ints(k, 400, s->pos);
	kit_ints(k, 1, &n[0]);
	kit_ints(k, 1, &n[1]);
}

#define PLACES(f, s)							\
	(f).cu_seqlens = kit_at(k, k->n - 5);				\
	if ((s)->state) {						\
		(f).slot = kit_at(k, k->n - 4);				\
		(f).pos = kit_at(k, k->n - 3);				\
	}								\
	(f).t = (struct dim){ .cap = (s)->cap, .n = kit_at(k, k->n - 2) }; \
	(f).seqs = (struct dim){ .cap = MAX_SEQS, .n = kit_at(k, k->n - 1) }

/* ---- convolution ---- */

enum { V_Y, V_X, V_W, V_BIAS, V_STATE, V_DX, V_DW, V_DBIAS, V_DY };

static struct k_conv
conv_of(struct kit *k)
{
	const struct scan_case *s = k->shape;
	struct k_conv f = { .y = kit_at(k, V_Y), .x = kit_at(k, V_X), .w = kit_at(k, V_W),
		.type = k->type, .c = s->c, .width = s->width, .ldx = s->ldx };

	if (s->params)
		f.bias = kit_at(k, V_BIAS);
	if (s->state)
		f.state = kit_at(k, V_STATE);
	PLACES(f, s);
	return f;
}

static void
conv_args(struct kit *k, union dev_args *a)
{
	a->conv = conv_of(k);
}

static void
conv_bwd_args(struct kit *k, union dev_args *a)
{
	const struct scan_case *s = k->shape;

	a->conv_bwd = (struct k_conv_bwd){ .f = conv_of(k), .dx = kit_at(k, V_DX),
		.dy = kit_at(k, V_DY) };
	if (s->params) {
		a->conv_bwd.dw = kit_at(k, V_DW);
		a->conv_bwd.dbias = kit_at(k, V_DBIAS);
	}
}

static void
conv_bufs(struct kit *k, const struct scan_case *s, bool backward)
{
	if (backward)
		kit_in(k, 1, 1, 1);
	else
		kit_out(k, s->cap * s->c);
	kit_in(k, s->cap * s->ldx, s->tokens * s->ldx, 1);
	kit_wide_in(k, s->c * s->width, s->c * s->width, 1);
	kit_wide_in(k, s->c, s->c, 1);
	if (backward) {
		kit_in(k, 1, 1, 1);
		kit_out(k, s->cap * s->ldx);
		kit_wide_out(k, s->c * s->width);
		kit_wide_out(k, s->c);
		kit_in(k, s->cap * s->c, s->tokens * s->c, 1);
	} else {
		kit_wide_out(k, MAX_SEQS * s->width * s->c);
	}
	places(k, s);
}

/* ---- the scan ---- */

enum { S_Y, S_X, S_DT, S_Z, S_A, S_B, S_C, S_D, S_SAVED, S_STATE, S_DX = S_STATE, S_DDT, S_DZ,
	S_DB, S_DC, S_DA, S_DD, S_DY };

static struct k_scan
scan_of(struct kit *k)
{
	const struct scan_case *s = k->shape;
	struct k_scan f = { .y = kit_at(k, S_Y), .x = kit_at(k, S_X), .dt = kit_at(k, S_DT),
		.z = kit_at(k, S_Z), .a_log = kit_at(k, S_A), .b = kit_at(k, S_B),
		.c_in = kit_at(k, S_C), .d = kit_at(k, S_D), .saved = kit_at(k, S_SAVED),
		.type = k->type, .c = s->c, .n = s->n, .ldx = s->ldx, .ldz = s->ldz };

	if (s->state)
		f.state = kit_at(k, S_STATE);
	PLACES(f, s);
	return f;
}

static void
scan_args(struct kit *k, union dev_args *a)
{
	a->scan = scan_of(k);
}

static void
scan_bwd_args(struct kit *k, union dev_args *a)
{
	const struct scan_case *s = k->shape;

	a->scan_bwd = (struct k_scan_bwd){ .f = scan_of(k), .dx = kit_at(k, S_DX),
		.ddt = kit_at(k, S_DDT), .dz = kit_at(k, S_DZ), .db = kit_at(k, S_DB),
		.dc = kit_at(k, S_DC), .dy = kit_at(k, S_DY) };
	if (s->params) {
		a->scan_bwd.da_log = kit_at(k, S_DA);
		a->scan_bwd.dd = kit_at(k, S_DD);
	}
}

/* Rows (cap, ld) that are numbers where there are tokens. */
static void
in_rows(struct kit *k, const struct scan_case *s, int64_t ld)
{
	kit_in(k, s->cap * ld, s->tokens * ld, 1);
}

/* Element i of an input, as all devices see it. */
static double
value(const struct kit *k, int buf, int64_t i)
{
	return ((const double *)k->buf[buf].from)[i];
}

/* What a forward pass would have saved: the states before every piece's first token. */
static void
find_saved(struct kit *k, const struct scan_case *s, double *saved)
{
	for (int64_t c = 0; c < s->c; c++) {
		double h[SCAN_STATES];

		for (int64_t t = 0, seq = -1; t < s->tokens; t++) {
			double x = value(k, S_X, t * s->ldx + c), raw = value(k, S_DT, t * s->c + c);
			double dt = log1p(exp(raw));

			while (s->cu[seq + 1] <= t && seq + 1 < s->seqs) {
				seq++;
				memset(h, 0, sizeof(h));
			}
			for (int64_t n = 0; n < s->n; n++) {
				if (t % SCAN_PIECE == 0)
					saved[(t / SCAN_PIECE * s->n + n) * s->c + c] = h[n];
				h[n] = h[n] * exp(-exp(value(k, S_A, c * s->n + n)) * dt) +
				    dt * x * value(k, S_B, t * s->n + n);
			}
		}
	}
}

static void
saved_bufs(struct kit *k, const struct scan_case *s, bool backward)
{
	int64_t n = (s->cap + SCAN_PIECE - 1) / SCAN_PIECE * s->n * s->c + 1;

	if (!backward) {
		kit_wide_out(k, n);
		return;
	}
	kit_wide_in(k, n, n, 1);
	find_saved(k, s, k->buf[S_SAVED].from);
	for (int64_t i = 0; i < n; i++)
		((double *)k->buf[S_SAVED].from)[i] = (double)(float)value(k, S_SAVED, i);
}

static void
scan_bufs(struct kit *k, const struct scan_case *s, bool backward)
{
	if (backward)
		kit_in(k, 1, 1, 1);
	else
		kit_out(k, s->cap * s->c);
	in_rows(k, s, s->ldx);
	in_rows(k, s, s->c);
	in_rows(k, s, s->ldz);
	kit_wide_in(k, s->c * s->n, s->c * s->n, 0.5);
	in_rows(k, s, s->n);
	in_rows(k, s, s->n);
	kit_wide_in(k, s->c, s->c, 1);
	saved_bufs(k, s, backward);
	if (!backward) {
		kit_wide_out(k, MAX_SEQS * s->n * s->c);
	} else {
		kit_out(k, s->cap * s->ldx);
		kit_out(k, s->cap * s->c);
		kit_out(k, s->cap * s->ldz);
		kit_out(k, s->cap * s->n);
		kit_out(k, s->cap * s->n);
		kit_wide_out(k, s->c * s->n);
		kit_wide_out(k, s->c);
		in_rows(k, s, s->c);
	}
	places(k, s);
}

/* ---- random cases ---- */

static const struct test {
	int	kernel;
	bool	backward;
	void	(*bufs)(struct kit *k, const struct scan_case *s, bool backward);
	void	(*args)(struct kit *k, union dev_args *a);
	double	tol;
} tests[] = {
	{ K_CONV, false, conv_bufs, conv_args, 5e-7 },
	{ K_CONV_BWD, true, conv_bufs, conv_bwd_args, 2e-6 },
	{ K_SCAN, false, scan_bufs, scan_args, 3e-6 },
	{ K_SCAN_BWD, true, scan_bufs, scan_bwd_args, 5e-6 },
};

static void
run(struct kit *k, const struct test *t, dtype type)
{
	char what[96];
	bool good = true;

	k->act = type;
	for (int i = 0; i < 12 && good; i++) {
		struct scan_case s;

		draw(k, &s, t->backward);
		k->shape = &s;
		t->bufs(k, &s, t->backward);
		good = kit_agrees(k, t->kernel, t->args, t->tol);
		kit_reset(k);
		if (!good)
			printf("# seqs %d tokens %d c %d n %d width %d state %d\n", (int)s.seqs,
			    (int)s.tokens, (int)s.c, (int)s.n, (int)s.width, s.state);
	}
	snprintf(what, sizeof(what), "%s, %s", dev_kernel_name(t->kernel), dtype_name(type));
	ok(good, what);
}

int
main(void)
{
	static const dtype types[] = { DTYPE_F32, DTYPE_BF16, DTYPE_F16 };
	struct kit k;

	if (kit_init(&k, 3) < 0)
		return 2;
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		for (int j = 0; j < 3; j++)
			run(&k, &tests[i], types[j]);
	kit_free(&k);
	return tap_done();
}
