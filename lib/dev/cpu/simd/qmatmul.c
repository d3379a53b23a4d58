/*
 * Products with quantized weights.
 *
 * Activations are rounded first, by all threads, once for products that follow
 * each other with the same; then each thread takes some panels of the weights,
 * unpacks QK of k and multiplies all rows by them, while they are in the first
 * cache.  Very few rows go another way (qfew.c), to the same bits.
 *
 * Against the stored direction (dx = dy w) weights become floats, some columns
 * at a time, and the product is that of floats.
 */
#include "base/quant.h"
#include "dev/cpu/simd/panel.h"
#include "dev/cpu/simd/qpanel.h"

enum {
	ROWS = 528,			/* most rows that a panel is unpacked for */
	FEWEST = 40,			/* less are not worth it */
	FLOATS = 1 << 21,		/* weights that are floats at a time */
};

/* Rows that one matrix multiplies: all, or those of a group. */
struct span {
	const uint8_t *b;
	int64_t	 from, rows;
	int64_t	 height;		/* rows of a strip */
	int64_t	 first_strip, first_item;
};

struct qmm {
	const struct k_matmul *p;
	struct qform	 form;
	int64_t		 k, ld, panels;	/* ld: bytes of a row of b */
	int64_t		 rows;		/* of an item, at most */
	struct span	*span;
	int64_t		 spans, strips, items;
	uint32_t	*rounded;
	char		*of_member;
	int64_t		 member_bytes;
};

static inline int64_t
blocks_of(int64_t n, int64_t step)
{
	return (n + step - 1) / step;
}

static inline int64_t
line_up(int64_t bytes)
{
	return (bytes + 63) & -64;
}

static inline uint32_t *
strip_at(const struct qmm *mm, int64_t row)
{
	return mm->rounded + row * qwords(&mm->form, mm->k);
}

static void
round_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct qmm *mm = job->args;
	const struct k_matmul *p = mm->p;
	const struct span *s = mm->span + mm->spans - 1;

	(void)member;
	for (int64_t x = cpu_to(job, task) - 1; x >= cpu_from(job, task); x--) {
		int64_t at;

		while (x < s->first_strip)
			s--;
		at = (x - s->first_strip) * s->height;
		OF_ISA(qround)(&mm->form, p->a_type, cpu_ptr(p->a), p->lda, s->from + at,
		    min64(s->height, s->rows - at), mm->k, strip_at(mm, s->from + at));
	}
}

/* ---- panels ---- */

/* What a member works with. */
struct desk {
	struct qpanel	 panel;
	uint8_t		*pad;
	float		*sums;		/* (rows, QW) */
	struct qfew	 few;
	const struct span *ordered;	/* whose rows few has */
};

static int64_t
desk_bytes(const struct k_matmul *p, int64_t rows)
{
	return line_up(QK * QW) + 2 * line_up(QK / 16 * QW * 4) +
	    line_up(VW * dtype_bytes(p->b_type, QK)) + line_up(rows * QW * 4) +
	    QFEW * (blocks_of(p->k.cap, QS) * QS + QSUMS * (int64_t)sizeof(vi));
}

static struct desk
desk_of(const struct qmm *mm, int member)
{
	char *at = mm->of_member + member * mm->member_bytes;
	struct desk d;

	d.panel.q = (uint32_t *)(void *)at;
	at += line_up(QK * QW);
	d.panel.d = (float *)(void *)at;
	at += line_up(QK / 16 * QW * 4);
	d.panel.m = (float *)(void *)at;
	at += line_up(QK / 16 * QW * 4);
	d.pad = (uint8_t *)at;
	at += line_up(VW * dtype_bytes(mm->p->b_type, QK));
	d.sums = (float *)(void *)at;
	at += line_up(mm->rows * QW * 4);
	d.few = (struct qfew){ .type = mm->p->b_type, .form = mm->form, .k = mm->k,
		.words = qwords(&mm->form, mm->k), .a = (vu *)(void *)at, .pad = d.pad,
		.sums = (vi *)(void *)(at + QFEW * blocks_of(mm->k, QS) * QS) };
	d.ordered = NULL;
	return d;
}

/* c = alpha sums [+ c] [+ bias], n columns from j on */
INLINE void
finish_rows(dtype type, const struct k_matmul *p, const float *sums, int64_t row, int64_t rows,
    int64_t j, int64_t n)
{
	const float *bias = p->bias.at != 0 ? cpu_f32(p->bias) + j : NULL;
	vf alpha = vset((float)p->alpha);

	for (int64_t i = 0; i < rows; i++)
		for (int64_t v = 0; v < n; v += VW) {
			int64_t at = (row + i) * p->ldc + j + v;
			vf x = { 0 };

			if (p->add)
				x = vget(type, cpu_ptr(p->c), at, n - v);
			if (bias != NULL)
				x += vload_to(bias + v, n - v);
			x = vfma(vload(sums + i * QW + v), alpha, x);
			vput(type, cpu_ptr(p->c), at, x, n - v);
		}
}

static void
finish(const struct k_matmul *p, const float *sums, int64_t row, int64_t rows, int64_t panel)
{
	int64_t j = panel * QW, n = min64(QW, p->n - j);
#define FINISH(type) finish_rows(type, p, sums, row, rows, j, n)
	EACH_TYPE(p->c_type, FINISH);
}

/* What finish() writes, far apart, is fetched while the sums are computed. */
static void
fetch_result(const struct k_matmul *p, int64_t row, int64_t rows, int64_t panel)
{
	int64_t size = dtype_size(p->c_type);
	const char *c = (const char *)cpu_ptr(p->c) + (row * p->ldc + panel * QW) * size;

	for (int64_t i = 0; i < rows; i++, c += p->ldc * size)
		for (int64_t at = 0; at < QW * size; at += 64)
			__builtin_prefetch(c + at, 1);
}

/*
 * Unpack [k0, k0 + k) of a panel of n rows at b.  What is needed after that is
 * fetched: the same of k of the next panel, where this one ends here.
 */
static void
unpack(const struct qmm *mm, const struct desk *d, const uint8_t *b, int64_t n, int64_t k0,
    int64_t k)
{
	dtype type = mm->p->b_type;
	struct qpanel to = d->panel;
	int64_t next = k0 + k < mm->k ? k0 + k : 0;
	struct qsoon soon = qsoon_of(b + (next == 0 ? QW * mm->ld : 0) + dtype_bytes(type, next),
	    mm->ld, QW, dtype_bytes(type, min64(k, mm->k - next)));

	for (int64_t at = k0; at < k0 + k; at += QS) {
		OF_ISA(qunpack)(type, b + dtype_bytes(type, at), mm->ld, n,
		    min64(QS, k0 + k - at), &to, d->pad, &soon);
		to.q += QS / 4 * QW;
		to.d += QS / mm->form.part * QW;
		to.m += QS / mm->form.part * QW;
	}
}

#if defined(QFOURS) || defined(QPAIRS)
static void
multiply_few(const struct qmm *mm, struct desk *d, const struct span *s, int64_t panel)
{
	int64_t j = panel * QW;

	if (d->ordered != s) {
		d->few.n = s->rows;
		d->few.strip = strip_at(mm, s->from);
		OF_ISA(qfew_order)(&d->few);
		d->ordered = s;
	}
	OF_ISA(qfew)(&d->few, s->b + j * mm->ld, mm->ld, min64(QW, mm->p->n - j), d->sums);
	finish(mm->p, d->sums, s->from, s->rows, panel);
}
#endif

/*
 * Rows [at, at + rows) of a span times one panel.  Some rows take what is unpacked from
 * the first cache at once, and it is less then.
 */
static void
multiply_panel(const struct qmm *mm, const struct desk *d, const struct span *s, int64_t at,
    int64_t rows, int64_t panel)
{
	int64_t j = panel * QW, n = min64(QW, mm->p->n - j), per = qwords(&mm->form, QB);
	int64_t step = rows <= 3 * s->height ? QS : QK;
	struct qtile t = { .b = d->panel };

	if (mm->k == 0) {
		memset(d->sums, 0, (size_t)(rows * QW * 4));
		finish(mm->p, d->sums, s->from + at, rows, panel);
	}
	for (int64_t k0 = 0; k0 < mm->k; k0 += step) {
		t.k = min64(step, mm->k - k0);
		t.first = k0 == 0;
		unpack(mm, d, s->b + j * mm->ld, n, k0, t.k);
		for (int64_t i = 0; i < rows; i += s->height) {
			int64_t height = min64(s->height, rows - i), row = s->from + at + i;
			bool last = k0 + t.k == mm->k;

			t.a = strip_at(mm, row) + k0 / QB * per * height;
			t.sums = d->sums + i * QW;
			if (last)
				fetch_result(mm->p, row, height, panel);
			OF_ISA(qmultiply)(&mm->form, &t, height);
			if (last)
				finish(mm->p, t.sums, row, height, panel);
		}
	}
}

/* Items are panels, for some rows after the other. */
static void
panel_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct qmm *mm = job->args;
	struct desk d = desk_of(mm, member);
	const struct span *s = mm->span + mm->spans - 1;
	int64_t x = cpu_from(job, task);

	while (x < s->first_item)
		s--;
	for (; x < cpu_to(job, task); x++) {
		int64_t at, rows, panel;

		while (s + 1 < mm->span + mm->spans && x >= s[1].first_item)
			s++;
		at = (x - s->first_item) / mm->panels * mm->rows;
		rows = min64(mm->rows, s->rows - at);
		panel = (x - s->first_item) % mm->panels;
#if defined(QFOURS) || defined(QPAIRS)
		if (s->rows <= QFEW)
			multiply_few(mm, &d, s, panel);
		else
#endif
			multiply_panel(mm, &d, s, at, rows, panel);
	}
}

/* ---- cutting ---- */

/* Scratch for m rows in so many spans. */
static bool
prepare(struct qmm *mm, struct cpu *c, const struct k_matmul *p, int64_t spans)
{
	int64_t threads = team_size(c->dev.team), rounded, list, panels = blocks_of(p->n, QW);
	int64_t k = p->k.cap, want, tall;
	char *at;

	*mm = (struct qmm){ .p = p, .form = OF_ISA(qform)(p->b_type), .k = k,
		.ld = dtype_bytes(p->b_type, p->ldb), .panels = panels };
	tall = mm->form.tall;
	mm->rows = ROWS / tall * tall;
	/* Where panels are few, rows are cut so that all threads have some. */
	want = threads > 1 && panels > 0 ? blocks_of(4 * threads, panels) : 1;
	while (mm->rows > FEWEST && blocks_of(p->m.cap, mm->rows) < want)
		mm->rows -= tall;
	mm->rows = min64(mm->rows, blocks_of(p->m.cap, tall) * tall);
	list = line_up(spans * (int64_t)sizeof(struct span));
	rounded = line_up(p->m.cap * qwords(&mm->form, k) * 4);
	mm->member_bytes = desk_bytes(p, mm->rows);
	at = cpu_scratch(c, list + rounded + threads * mm->member_bytes);
	if (at == NULL)
		return false;
	mm->span = (struct span *)(void *)at;
	mm->rounded = (uint32_t *)(void *)(at + list);
	mm->of_member = at + list + rounded;
	return true;
}

/* Strips of so many rows: those that one panel multiplies are about as high as each other. */
static int64_t
height_of(const struct qmm *mm, int64_t rows)
{
	if (rows <= QFEW)
		return 1;
	return rows > mm->rows ? mm->form.tall : blocks_of(rows, blocks_of(rows, mm->form.tall));
}

static void
add_span(struct qmm *mm, const uint8_t *b, int64_t from, int64_t rows)
{
	int64_t height;

	if (rows == 0 || mm->panels == 0)
		return;
	height = height_of(mm, rows);
	mm->span[mm->spans++] = (struct span){ b, from, rows, height, mm->strips, mm->items };
	mm->strips += blocks_of(rows, height);
	mm->items += blocks_of(rows, mm->rows) * mm->panels;
}

/* Did the product before this one leave the same rows, all of them? */
static bool
is_rounded(const struct cpu *c, const struct qmm *mm, int64_t rows)
{
	const struct cpu_rounded *r = &c->rounded;
	const struct k_matmul *p = mm->p;

	return r->work + 1 == c->works && r->at == mm->rounded && r->rows == rows &&
	    mm->span->rows == rows && r->height == mm->span->height &&
	    r->of.a.at == p->a.at && r->of.a_type == p->a_type && r->of.lda == p->lda &&
	    r->of.k.cap == p->k.cap && r->of.b_type == p->b_type;
}

/* Note that they are there, unless the result lies where they came from. */
static void
note_rounded(struct cpu *c, const struct qmm *mm, int64_t rows)
{
	const struct k_matmul *p = mm->p;
	uint64_t a = p->a.at, a_end = a + (uint64_t)(rows * p->lda * dtype_size(p->a_type));
	uint64_t to = p->c.at, to_end = to + (uint64_t)(rows * p->ldc * dtype_size(p->c_type));
	bool good = mm->span->rows == rows && (to_end <= a || a_end <= to);

	c->rounded = (struct cpu_rounded){ good ? c->works : -1, rows, mm->span->height,
		mm->rounded, *p };
}

static void
run(struct qmm *mm, struct cpu *c, int64_t rows)
{
	int64_t threads = team_size(c->dev.team);
	struct cpu_job round = { .c = c, .args = mm, .n = mm->strips }, job = round;

	if (mm->items == 0)
		return;
	if (!is_rounded(c, mm, rows))
		cpu_run(&round, mm->k / 2 * rows / mm->strips, round_task);
	job.n = mm->items;
	job.step = 1 + (job.n - 1) / (8 * threads);
	cpu_run(&job, mm->k / QB * (QW / (2 * VW)) * (80 + 20 * min64(rows, mm->rows)), panel_task);
	note_rounded(c, mm, rows);
}

/* ---- against the stored direction ---- */

/* Columns [j, j + n) of k rows of b, as floats. */
struct columns {
	const struct k_matmul *p;
	float	*to;
	int64_t	 j, n;
};

static void
decode_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct columns *s = job->args;
	const struct k_matmul *p = s->p;
	const uint8_t *b = (const uint8_t *)cpu_ptr(p->b) + dtype_bytes(p->b_type, s->j);

	(void)member;
	for (int64_t l = cpu_from(job, task); l < cpu_to(job, task); l++)
		quant_decode(p->b_type, s->to + l * s->n, b + dtype_bytes(p->b_type, l * p->ldb),
		    s->n);
}

static int64_t
columns_at_once(const struct k_matmul *p)
{
	int64_t block = dtype_block(p->b_type), n = FLOATS / (p->k.cap + 1) / block * block;

	return min64(p->n, n > block ? n : block);
}

/* The product of those columns. */
static union dev_args
part_of(const struct columns *s)
{
	union dev_args a = { .matmul = *s->p };
	struct k_matmul *p = &a.matmul;

	p->c = dptr_add(p->c, s->j * dtype_size(p->c_type));
	if (p->bias.at != 0)
		p->bias = dptr_add(p->bias, s->j * (int64_t)sizeof(float));
	p->b = (dptr){ (uintptr_t)s->to };
	p->b_type = DTYPE_F32;
	p->n = p->ldb = s->n;
	return a;
}

/* Scratch that the product of floats takes. */
static int64_t
scratch_of(struct cpu *c, const union dev_args *a)
{
	bool measuring = c->measuring;
	int64_t measured = c->measured, bytes;

	c->measuring = true;
	c->measured = 0;
	OF_ISA(k_matmul)(c, a);
	bytes = line_up(c->measured);
	c->measuring = measuring;
	c->measured = measured;
	return bytes;
}

/* Floats of columns, behind the scratch of their product. */
static float *
room_for_columns(struct cpu *c, const struct k_matmul *p)
{
	struct columns s = { .p = p, .n = columns_at_once(p) };
	union dev_args a = part_of(&s);
	int64_t bytes = scratch_of(c, &a);
	char *at = cpu_scratch(c, bytes + p->k.cap * s.n * (int64_t)sizeof(float));

	return at == NULL ? NULL : (float *)(void *)(at + bytes);
}

static void
multiply_columns(struct cpu *c, const struct k_matmul *p, float *room)
{
	int64_t step = columns_at_once(p);
	struct columns s = { .p = p, .to = room };
	struct cpu_job job = { .c = c, .args = &s };

	for (s.j = 0; s.j < p->n; s.j += step) {
		union dev_args a;

		s.n = min64(step, p->n - s.j);
		job.n = p->k.cap;
		job.step = 0;
		cpu_run(&job, s.n, decode_task);
		a = part_of(&s);
		OF_ISA(k_matmul)(c, &a);
	}
}

/* ---- launches ---- */

void
OF_ISA(qmatmul)(struct cpu *c, const struct k_matmul *p)
{
	int64_t m = cpu_count(c, p->m);
	struct qmm mm;
	float *room;

	if (m < 0)
		return;
	if (p->tb) {
		if (!prepare(&mm, c, p, 1))
			return;
		add_span(&mm, cpu_ptr(p->b), 0, m);
		run(&mm, c, m);
	} else if ((room = room_for_columns(c, p)) != NULL) {
		multiply_columns(c, p, room);
	}
}

/* Each head with all rows, as a product of its own. */
static void
multiply_heads(struct cpu *c, const struct k_grouped *g)
{
	for (int64_t e = 0; e < g->groups; e++) {
		struct k_matmul one = g->p;

		one.a = dptr_add(one.a, e * g->step_a * dtype_size(one.a_type));
		one.b = dptr_add(one.b, dtype_bytes(one.b_type, e * g->stride));
		one.c = dptr_add(one.c, e * g->step_c * dtype_size(one.c_type));
		OF_ISA(qmatmul)(c, &one);
	}
}

void
OF_ISA(qgrouped)(struct cpu *c, const struct k_grouped *g)
{
	const struct k_matmul *p = &g->p;
	const int32_t *offset = cpu_i32(g->offset);
	int64_t m = cpu_count(c, p->m), stride = dtype_bytes(p->b_type, g->stride);
	struct qmm mm;
	float *room = NULL;

	if (offset == NULL) {
		multiply_heads(c, g);
		return;
	}
	if (m < 0 || (p->tb ? !prepare(&mm, c, p, g->groups) :
	    (room = room_for_columns(c, p)) == NULL))
		return;
	if (!OF_ISA(offsets_rise)(offset, g->groups, m)) {
		cpu_fail(c, ERR_DEVICE, "offsets of groups that do not rise or exceed the rows");
		return;
	}
	for (int64_t e = 0; e < g->groups; e++) {
		int64_t from = offset[e], rows = offset[e + 1] - from;
		struct k_matmul one = *p;

		if (p->tb) {
			add_span(&mm, (const uint8_t *)cpu_ptr(p->b) + e * stride, from, rows);
			continue;
		}
		one.m = (struct dim){ .cap = rows };
		one.a = dptr_add(p->a, from * p->lda * dtype_size(p->a_type));
		one.b = dptr_add(p->b, e * stride);
		one.c = dptr_add(p->c, from * p->ldc * dtype_size(p->c_type));
		if (rows > 0)
			multiply_columns(c, &one, room);
	}
	if (p->tb)
		run(&mm, c, m);
}
