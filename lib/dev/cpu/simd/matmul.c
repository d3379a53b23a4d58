/*
 * Matrix products, blocked for the caches.
 *
 * An element of the result is a sum over blocks of KC of k, at absolute
 * positions and in order; each block is one chain of multiply-adds, or LANES.
 * Sums of tiles go on from one block to the next, and are added when they are whole.
 * That holds for every path here, so how many rows there are, where they lie
 * and how many threads work changes no bit.
 *
 * The smaller of the operands is shared: all threads pack it together, first.
 * The other is cut into tasks.  A thread packs KC of a task's own into the
 * second cache and multiplies it by all shared panels, and between them packs
 * what comes next, a unit at a time, so that memory is seldom waited for.  For
 * very few rows that would take longer than the product: columns along k are
 * then read as they lie.
 */
#include <stdatomic.h>

#include "dev/cpu/simd/panel.h"
#include "dev/cpu/simd/qpanel.h"

enum {
	OWN = 96,			/* most rows or columns of a task, */
	TILES_OWN = AMX ? 256 : OWN,	/* of one that takes the others from the third cache fast */
	OWN_FLOATS = (TILES_OWN / 2 > OWN ? TILES_OWN / 2 : OWN) * KC,	/* or pairs */
	SHARED = 1024,			/* about the most that are shared at a time, */
	SHARED_FLOATS = 1 << 21,	/* packed */
	KEPT_FLOATS = 1 << 20,		/* sums that are kept while k comes in parts */
	FEW = 4 * MR,			/* rows that leave no work to hide packing in */
	DIRECT = 4,			/* rows that columns are not packed for; of tiles TALL */
	GROUP = 8,			/* panels packed by one task */
	STREAMED = 1 << 23,		/* sums that no cache holds until they are read */
};

/* A product, or as much of it as is packed at a time. */
struct part {
	struct side	 side[2];	/* a, b */
	struct place	 c;
	const float	*bias;
	int64_t		 k, k0, nk;	/* all of k, and what is packed */
	int		 own;		/* which side is cut into tasks */
	int64_t		 o0, no, s0, ns;	/* the part of that side, and of the other */
	int64_t		 step;		/* of that side in one task */
	float		*packed, *kept;	/* kept: sums of the part; NULL: each task keeps its own */
	int64_t		 first_pack, first_task;	/* before those of other parts */
};

/* Parts that run together. */
struct mm {
	const struct k_matmul *p;
	struct cpu	*cpu;
	int		 threads;
	struct part	*part;
	int64_t		 n, max;	/* parts here, and of the whole launch */
	float		*shared, *kept, *of_member;
	double		*squares;	/* of each tile of c their sum; NULL: not wanted */
	int64_t		 n_squares, squares_ld;
	int64_t		 shared_used, member_floats;
	int64_t		 tasks;
	atomic_llong	 next;		/* task to take */
};

static inline int64_t
blocks_of(int64_t n, int64_t step)
{
	return (n + step - 1) / step;
}

static inline int64_t
round_up(int64_t n, int64_t to)
{
	return blocks_of(n, to) * to;
}

/* ---- where things lie ---- */

static inline const struct side *
shared_side(const struct part *p)
{
	return &p->side[!p->own];
}

/* Packed panels: all those of the first KC, then of the next. */
static inline float *
shared_panel(const struct part *p, int64_t panel, int64_t k0)
{
	const struct side *s = shared_side(p);
	int64_t k = min64(KC, p->k0 + p->nk - k0);

	return p->packed + round_up(p->ns, s->width) * words(s, k0 - p->k0) +
	    panel * s->width * words(s, k);
}

static int64_t
packed_floats(const struct part *p)
{
	const struct side *s = shared_side(p);

	return round_up(p->ns, s->width) * words(s, p->nk);
}

static inline bool
is_tiled(const struct part *p)
{
	return AMX && p->side[0].pairs;
}

/*
 * Are sums that are not complete kept elsewhere?  The result may be too narrow, and
 * its rows, often some pages apart, too many for the sets of the second cache.
 */
static inline bool
keeps_sums(const struct part *p)
{
	return (p->c.type != DTYPE_F32 || is_tiled(p)) && p->k > KC;
}

static inline int64_t
direct_rows(const struct part *p)
{
	return is_tiled(p) ? TALL : DIRECT;
}

/* Are the columns read as they lie? */
static inline bool
is_direct(const struct part *p)
{
	return p->own == 1 && p->side[0].along && p->side[1].along &&
	    p->side[0].n <= direct_rows(p);
}

/* ---- packing, a unit at a time ---- */

/* KC of k of some rows or columns of a side, and how much of it is packed. */
struct packing {
	const struct side *side;
	float		*to;
	int64_t		 o, k0, k;		/* from here, k of k */
	int64_t		 panels, chunks;	/* panels of so many units */
	int64_t		 done, fetched, units;
};

static struct packing
packing_of(const struct side *s, float *to, int64_t o, int64_t n, int64_t k0, int64_t k)
{
	int64_t panels = blocks_of(n, s->width), chunks = blocks_of(words(s, k), UNIT);

	return (struct packing){ s, to, o, k0, k, panels, chunks, .units = panels * chunks };
}

/* What a task packs of its own for a block, or reads as it lies. */
static struct packing
own_packing(const struct part *p, float *to, int64_t o, int64_t n, int64_t k0, int64_t k)
{
	struct packing q = packing_of(&p->side[p->own], to, o, n, k0, k);

	if (is_direct(p))
		q.units = 0;
	return q;
}

/* Along rows panels go one after the other; across them all go on together. */
static inline void
unit_at(const struct packing *q, int64_t u, int64_t *panel, int64_t *chunk)
{
	*panel = q->side->along ? u / q->chunks : u % q->panels;
	*chunk = q->side->along ? u % q->chunks : u / q->panels;
}

enum {
	UNIT_LINES = 2 * UNIT * (NR * 4 / LINE + 1),	/* the most of one unit */
	LINES = 8 * UNIT_LINES,				/* fetched during one strip */
	AHEAD = 4,		/* units that are fetched before they are packed */
};

/* The lines of memory that a unit is packed from.  Return how many. */
static int64_t
unit_lines(const struct packing *q, int64_t u, const char *line[UNIT_LINES])
{
	const struct side *s = q->side;
	int64_t each = s->pairs ? 2 : 1, size = type_bytes(s->type), ld = s->ld * size;
	int64_t panel, chunk, i, k, rows, width, n = 0;
	const char *p;

	unit_at(q, u, &panel, &chunk);
	i = q->o + panel * s->width;
	k = chunk * UNIT * each;
	rows = min64(s->width, s->n - i);
	width = min64(UNIT * each, q->k - k);
	p = s->p + (s->along ? i * s->ld + q->k0 + k : (q->k0 + k) * s->ld + i) * size;
	if (!s->along) {
		int64_t turned = rows;

		rows = width;
		width = turned;
	}
	for (int64_t at = 0; at < width * size; at += LINE, n += rows)
		for (int64_t r = 0; r < rows; r++)
			line[n + r] = p + at + r * ld;
	return n;
}

/* List the lines of all units before `to' that were not listed yet, up to LINES of them. */
static int64_t
list_lines(struct packing *q, int64_t to, const char *line[LINES])
{
	int64_t n = 0;

	if (q->fetched < q->done)
		q->fetched = q->done;
	for (; q->fetched < min64(to, q->units) && n + UNIT_LINES <= LINES; q->fetched++)
		n += unit_lines(q, q->fetched, line + n);
	return n;
}

/* Pack some more units. */
static void
pack_some(struct packing *q, int64_t units)
{
	int64_t to = min64(q->done + units, q->units), all = words(q->side, q->k);
	const char *line[LINES];

	for (; q->done < to; q->done++) {
		int64_t panel, chunk;

		for (int64_t i = list_lines(q, min64(q->done + AHEAD, to), line); i > 0; i--)
			__builtin_prefetch(line[i - 1]);
		unit_at(q, q->done, &panel, &chunk);
		OF_ISA(pack)(q->side, q->to + panel * q->side->width * all,
		    q->o + panel * q->side->width, q->k0, q->k, chunk * UNIT,
		    min64(chunk * UNIT + UNIT, all));
	}
}

static void
pack_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct mm *mm = job->args;

	(void)member;
	for (int64_t x = cpu_from(job, task); x < cpu_to(job, task); x++) {
		const struct part *p = mm->part + mm->n - 1;
		int64_t panels, groups, at, k0, width;
		struct packing q;

		while (x < p->first_pack)
			p--;
		width = shared_side(p)->width;
		panels = blocks_of(p->ns, width);
		groups = blocks_of(panels, GROUP);
		at = (x - p->first_pack) % groups * GROUP;
		k0 = p->k0 + (x - p->first_pack) / groups * KC;
		q = packing_of(shared_side(p), shared_panel(p, at, k0), p->s0 + at * width,
		    min64(GROUP, panels - at) * width, k0, min64(KC, p->k0 + p->nk - k0));
		pack_some(&q, q.units);
	}
}

/* ---- blocks ---- */

/* KC of k of a task's own, or all where it is read as it lies. */
struct block {
	const struct part *p;		/* NULL: there is no more */
	int64_t		 o, n, k0, k;
	float		*own;
};

/* The block after one: the next k of the same task, or the start of another. */
static struct block
block_after(struct mm *mm, const struct block *b)
{
	struct block next = *b;
	const struct part *p = mm->part + mm->n - 1;
	int64_t x;

	if (b->p != NULL && b->k0 + b->k < b->p->k0 + b->p->nk) {
		next.k0 += b->k;
		next.k = min64(KC, b->p->k0 + b->p->nk - next.k0);
		return next;
	}
	x = atomic_fetch_add_explicit(&mm->next, 1, memory_order_relaxed);
	if (x >= mm->tasks) {
		next.p = NULL;
		return next;
	}
	while (x < p->first_task)
		p--;
	next.p = p;
	next.o = p->o0 + (x - p->first_task) * p->step;
	next.n = min64(p->step, p->o0 + p->no - next.o);
	next.k0 = p->k0;
	next.k = is_direct(p) ? p->nk : min64(KC, p->nk);
	return next;
}

/* Is a block's result the whole sum, and not read soon: a weight's gradient, or large? */
static bool
streams(const struct mm *mm, const struct block *b)
{
	const struct place *c = &b->p->c;

	bool later = mm->p->ta || b->p->side[0].n * b->p->side[1].n >= STREAMED;
	bool whole = is_tiled(b->p) || b->p->k <= KC;

	return later && whole && !mm->p->add && b->p->bias == NULL &&
	    c->type == DTYPE_F32 && c->ld % VW == 0 && (uintptr_t)c->p % (4 * VW) == 0;
}

/* The columns that are likely read after a block of such as are read as they lie. */
static const char *
columns_soon(const struct mm *mm, const struct block *b)
{
	const struct side *s = &b->p->side[1];
	int64_t next = b->o + mm->threads * b->p->step;

	if (b->k0 + b->k < b->p->k || next + b->p->step > s->n)
		return NULL;
	return s->p + next * s->ld * type_bytes(s->type);
}

/* Multiply a block; sums that the result cannot hold are kept in sums. */
static void
multiply_block(const struct mm *mm, const struct block *b, float *sums, struct packing *next)
{
	const struct part *p = b->p;
	const struct side *shared = shared_side(p);
	bool first = b->k0 == 0, last = b->k0 + b->k >= p->k, keep = keeps_sums(p);
	bool whole = p->kept != NULL, add = is_tiled(p) ? last : first;
	int64_t o0 = whole ? p->o0 : b->o, no = whole ? p->no : p->step;
	struct place kept = { (char *)(whole ? p->kept : sums), DTYPE_F32,
		round_up(p->own == 0 ? p->ns : no, NR) };
	int64_t width = is_direct(p) ? direct_rows(p) : shared->width;
	int64_t strips = blocks_of(p->ns, width), each = blocks_of(next->units, strips);
	const char *line[LINES];
	struct strip s = { .k = words(shared, b->k), .alpha = (float)mm->p->alpha,
		.chains = p->side[1].along ? LANES : 1, .pairs = shared->pairs,
		.stream = streams(mm, b), .line = line, .squares_ld = mm->squares_ld,
		.sums_ld = kept.ld, .first = first, .last = last };

	if (is_direct(p)) {
		s.side = &p->side[1];
		s.j = b->o;
		s.k0 = b->k0;
		s.nk = b->k;
		s.soon = columns_soon(mm, b);
	}
	for (int64_t x = 0; x < strips; x++) {
		const float *ps = shared_panel(p, x, b->k0);
		int64_t at = p->s0 + x * width, n = min64(width, p->s0 + p->ns - at);
		int64_t i = p->own == 0 ? b->o : at, j = p->own == 0 ? at : b->o;
		struct place c = { place_at(&p->c, i, j), p->c.type, p->c.ld }, part = c;

		if (keep) {
			part = kept;
			part.p = p->own == 0 ? place_at(&kept, i - o0, j - p->s0) :
			    place_at(&kept, i - p->s0, j - o0);
		}
		s.a = p->own == 0 ? b->own : ps;
		s.b = p->own == 0 ? ps : b->own;
		s.rows = p->own == 0 ? b->n : n;
		s.n = p->own == 0 ? n : b->n;
		s.bias = add && p->bias != NULL ? p->bias + j : NULL;
		s.to = last ? c : part;
		s.from = add ? c : part;
		if (add && !mm->p->add)
			s.from.p = NULL;
		s.sums = keep ? (float *)(void *)part.p : NULL;
		if (last && mm->squares != NULL)
			s.squares = mm->squares + i / tall(s.pairs) * mm->squares_ld + j / NR;
		s.lines = list_lines(next, next->done + 2 * each, line);
		if (s.lines == 0)
			line[s.lines++] = (const char *)ps;
		OF_ISA(multiply)(&s);
		pack_some(next, each);
	}
}

/* What one thread does: while it multiplies a block it packs the next. */
static void
blocks_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	struct mm *mm = (struct mm *)(uintptr_t)job->args;
	float *scratch = mm->of_member + task * mm->member_floats;
	struct block b = { .p = NULL };
	struct packing q = { .done = 0 };

	(void)member;
	b = block_after(mm, &b);
	b.own = scratch;
	if (b.p != NULL) {
		q = own_packing(b.p, b.own, b.o, b.n, b.k0, b.k);
		pack_some(&q, q.units);
	}
	tiles_begin();
	while (b.p != NULL) {
		struct block next = block_after(mm, &b);

		next.own = b.own == scratch ? scratch + OWN_FLOATS : scratch;
		q.done = q.fetched = q.units = 0;
		if (next.p != NULL)
			q = own_packing(next.p, next.own, next.o, next.n, next.k0, next.k);
		multiply_block(mm, &b, scratch + 2 * OWN_FLOATS, &q);
		b = next;
	}
	tiles_end();
	vstream_end();
}

/* ---- cutting ---- */

/* Run the parts that are gathered. */
static void
flush(struct mm *mm)
{
	struct cpu_job pack = { .c = mm->cpu, .args = mm }, job = pack;
	int64_t pack_cost = 0, cost = 0;

	mm->tasks = 0;
	for (int64_t i = 0; i < mm->n; i++) {
		struct part *p = &mm->part[i];
		int64_t panels = blocks_of(p->ns, shared_side(p)->width), nk = p->nk;

		p->first_pack = pack.n;
		p->first_task = mm->tasks;
		pack.n += blocks_of(panels, GROUP) * blocks_of(nk, KC);
		mm->tasks += blocks_of(p->no, p->step);
		pack_cost += p->ns * nk / VW;
		cost += (p->ns + 4) * p->no / NR * nk;
	}
	if (pack.n > 0)
		cpu_run(&pack, pack_cost / pack.n, pack_task);
	job.n = min64(mm->threads, mm->tasks);
	job.step = 1;
	atomic_store(&mm->next, 0);
	if (job.n > 0)
		cpu_run(&job, cost / job.n, blocks_task);
	mm->n = 0;
	mm->shared_used = 0;
}

/* How much of its own a task takes: enough tasks for all threads, none too small. */
static int64_t
step_of(const struct mm *mm, const struct part *p)
{
	int64_t width = p->side[p->own].width;
	int64_t most = (is_tiled(p) ? TILES_OWN : OWN) / width * width;
	int64_t least = p->own == 0 ? 4 * MR : 2 * NR;
	int64_t want = mm->threads == 1 ? 1 : 8 * mm->threads / mm->max;

	if (p->own == 1 && p->ns <= FEW)
		return NR;
	while (most - width >= least && blocks_of(p->no, most) < want)
		most -= width;
	return most;
}

static void
add_part(struct mm *mm, struct part p)
{
	int64_t floats = packed_floats(&p);

	if (mm->shared_used + floats > SHARED_FLOATS)
		flush(mm);
	p.step = step_of(mm, &p);
	p.packed = mm->shared + mm->shared_used;
	mm->shared_used += floats;
	mm->part[mm->n++] = p;
}

/* Parts of at most ns of the shared side, no of the other and nk of k. */
static void
add_parts(struct mm *mm, struct part p, int64_t ns, int64_t no, int64_t nk)
{
	int64_t all_s = shared_side(&p)->n, all_o = p.side[p.own].n;

	for (p.o0 = 0; p.o0 < all_o; p.o0 += no)
		for (p.s0 = 0; p.s0 < all_s; p.s0 += ns)
			for (p.k0 = 0; p.k0 == 0 || p.k0 < p.k; p.k0 += nk) {
				/* The sums of what came before are needed, or their room. */
				if (p.k0 > 0 || p.kept != NULL || mm->n == mm->max)
					flush(mm);
				p.ns = min64(ns, all_s - p.s0);
				p.no = min64(no, all_o - p.o0);
				p.nk = min64(nk, p.k - p.k0);
				add_part(mm, p);
			}
}

static void
add_product(struct mm *mm, struct part p)
{
	int64_t ns, no, nk = p.k > KC ? round_up(p.k, KC) : p.k, width, all_s;

	p.own = p.side[0].n <= p.side[1].n ? 1 : 0;
	if (is_direct(&p)) {
		p.side[0].width = is_tiled(&p) ? VW : 1;
		p.side[0].by_rows = false;
	}
	width = shared_side(&p)->width;
	all_s = shared_side(&p)->n;
	no = p.side[p.own].n;
	if (all_s == 0 || no == 0)
		return;
	ns = min64(round_up(all_s, width), SHARED / width * width);
	if (keeps_sums(&p) && SHARED_FLOATS / nk >= SHARED / 4) {
		ns = min64(ns, SHARED_FLOATS / nk / width * width);
	} else if (ns * nk > SHARED_FLOATS) {
		nk = SHARED_FLOATS / ns / KC * KC;
		if (keeps_sums(&p)) {
			p.kept = mm->kept;
			no = min64(no, KEPT_FLOATS / round_up(ns, NR) / NR * NR);
		}
	}
	ns = round_up(blocks_of(all_s, blocks_of(all_s, ns)), width);
	add_parts(mm, p, ns, no, nk > 0 ? nk : 1);
}

/* Are words pairs of bf16? */
static bool
of_pairs(const struct k_matmul *p)
{
	return PAIRS && (p->a_type == DTYPE_BF16 || p->b_type == DTYPE_BF16);
}

static struct part
part_of(struct mm *mm)
{
	const struct k_matmul *p = mm->p;
	bool pairs = of_pairs(p);
	int64_t m = cpu_count(mm->cpu, p->m), k = cpu_count(mm->cpu, p->k);

	return (struct part){
		.side = {
			{ cpu_ptr(p->a), p->a_type, p->lda, m, !p->ta, pairs, tall(pairs),
			    AMX && pairs },
			{ cpu_ptr(p->b), p->b_type, p->ldb, p->n, p->tb, pairs, NR, false },
		},
		.c = { cpu_ptr(p->c), p->c_type, p->ldc }, .bias = cpu_f32(p->bias), .k = k,
	};
}

/* Scratch for max parts at a time. */
static bool
prepare(struct mm *mm, struct cpu *c, const struct k_matmul *p, int64_t max)
{
	bool keep = (AMX && of_pairs(p)) || p->c_type != DTYPE_F32;
	int64_t kept = keep ? KEPT_FLOATS + SHARED * NR : 0, at;
	int64_t parts = round_up(max * (int64_t)sizeof(struct part), 64);

	*mm = (struct mm){ .p = p, .cpu = c, .threads = team_size(c->dev.team), .max = max,
		.member_floats = 2 * OWN_FLOATS + (keep ? (SHARED + NR) * (TILES_OWN + NR) : 0),
		.squares_ld = blocks_of(p->n, NR) };
	if (p->sumsq.at != 0)
		mm->n_squares = blocks_of(p->m.cap, MR) * mm->squares_ld;
	at = SHARED_FLOATS + kept + mm->threads * mm->member_floats;
	mm->shared = cpu_scratch(c, at * (int64_t)sizeof(float) + parts +
	    mm->n_squares * (int64_t)sizeof(double));
	if (mm->shared == NULL)
		return false;
	mm->kept = mm->shared + SHARED_FLOATS;
	mm->of_member = mm->kept + kept;
	mm->part = (struct part *)(void *)(mm->of_member + mm->threads * mm->member_floats);
	if (mm->n_squares > 0) {
		mm->squares = (double *)(void *)((char *)mm->part + parts);
		memset(mm->squares, 0, (size_t)mm->n_squares * sizeof(double));
	}
	return true;
}

/* The tiles' sums together, in order of the tiles. */
static void
add_squares(const struct mm *mm)
{
	double *sum = cpu_ptr(mm->p->sumsq);

	for (int64_t i = 0; i < mm->n_squares; i++)
		*sum += mm->squares[i];
}

void
OF_ISA(k_matmul)(struct cpu *c, const union dev_args *args)
{
	struct mm mm;
	struct part p;

	if (dtype_block(args->matmul.b_type) > 1) {
		OF_ISA(qmatmul)(c, &args->matmul);
		return;
	}
	if (!prepare(&mm, c, &args->matmul, 1))
		return;
	p = part_of(&mm);
	if (p.side[0].n < 0 || p.k < 0)
		return;
	add_product(&mm, p);
	flush(&mm);
	add_squares(&mm);
}

/* ---- groups ---- */

/* The product of rows [from, from + rows), group e's. */
static struct part
group_of(const struct k_grouped *g, struct part p, int64_t e, int64_t from, int64_t rows)
{
	const struct k_matmul *m = &g->p;

	p.side[0].p += from * m->lda * type_bytes(m->a_type);
	if (m->ta) {
		p.k = rows;
		p.side[1].p += from * m->ldb * type_bytes(m->b_type);
		p.c.p += e * g->stride * type_bytes(m->c_type);
	} else {
		p.side[0].n = rows;
		p.side[1].p += e * g->stride * type_bytes(m->b_type);
		p.c.p += from * m->ldc * type_bytes(m->c_type);
	}
	return p;
}

/* The product of head e. */
static struct part
head_of(const struct k_grouped *g, struct part p, int64_t e)
{
	p.side[0].p += e * g->step_a * type_bytes(g->p.a_type);
	p.side[1].p += e * g->stride * type_bytes(g->p.b_type);
	p.c.p += e * g->step_c * type_bytes(g->p.c_type);
	return p;
}

bool
OF_ISA(offsets_rise)(const int32_t *offset, int64_t groups, int64_t rows)
{
	bool rise = offset[0] >= 0 && offset[groups] <= rows;

	for (int64_t e = 0; e < groups; e++)
		rise = rise && offset[e] <= offset[e + 1];
	return rise;
}

void
OF_ISA(k_grouped)(struct cpu *c, const union dev_args *args)
{
	const struct k_grouped *g = &args->grouped;
	const int32_t *offset = cpu_i32(g->offset);
	struct mm mm;
	struct part p;

	if (dtype_block(g->p.b_type) > 1) {
		OF_ISA(qgrouped)(c, g);
		return;
	}
	if (!prepare(&mm, c, &g->p, g->groups))
		return;
	p = part_of(&mm);
	if (p.side[0].n < 0 || p.k < 0)
		return;
	if (offset != NULL &&
	    !OF_ISA(offsets_rise)(offset, g->groups, g->p.ta ? p.k : p.side[0].n)) {
		cpu_fail(c, ERR_DEVICE, "offsets of groups that do not rise or exceed the rows");
		return;
	}
	for (int64_t e = 0; e < g->groups; e++)
		add_product(&mm, offset == NULL ? head_of(g, p, e) :
		    group_of(g, p, e, offset[e], offset[e + 1] - offset[e]));
	flush(&mm);
}
