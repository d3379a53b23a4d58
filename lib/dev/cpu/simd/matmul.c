/*
 * Matrix products, blocked for the caches.
 *
 * An element of the result is a sum over blocks of KC of k, at absolute
 * positions and in order; each block is one chain of multiply-adds.  That
 * holds for every path here, so how many rows there are, where they lie and
 * how many threads work changes no bit.
 *
 * Many rows: columns of b are packed once into panels of NR, shared by all
 * threads; a task packs a block of rows of a and goes over the panels.  Few
 * rows: a task packs one panel at a time into L1 and uses it for all rows.
 */
#include <string.h>

#include "dev/cpu/simd/simd.h"
#include "dev/cpu/simd/tile.h"

enum {
	KC = 256,			/* of k in one chain: part of the result */
	MC = 16 * MR,			/* most rows of one task */
	FEW = 4 * MR,			/* at most so many rows are "few" */
	B_FLOATS = 1 << 16,		/* packed at a time: half of a second cache */
	A_FLOATS = (MC + 2) * KC,	/* each member's */
};

/* One product, counts known, and the part of it that is packed now. */
struct mm {
	const struct k_matmul *p;
	const float	*a, *b, *bias;
	float		*c, *packed_a, *packed_b, alpha;
	int64_t		 m, n, k, rs, cs;	/* a[i, l] is a[i * rs + l * cs] */
	int64_t		 j0, nj, k0, nk;	/* columns and k of packed_b */
	int64_t		 mc, nc, mblocks;	/* rows and columns of a task */
	int64_t		 ahead;			/* how far to fetch b ahead, in floats */
};

/* The tile at (i, j) of the block of k that starts at k0 (absolute). */
static struct tile
tile_at(const struct mm *mm, int64_t i, int64_t j, int64_t k0)
{
	struct tile t = {
		.k = min64(KC, mm->k - k0), .ldc = mm->p->ldc, .n = min64(NR, mm->n - j),
		.c = mm->c + i * mm->p->ldc + j, .alpha = mm->alpha,
		.load = k0 > 0 || mm->p->add,
		.bias = k0 > 0 || mm->bias == NULL ? NULL : mm->bias + j,
	};

	return t;
}

/* ---- packing ---- */

/* Rows [0, mr) of a, k of [k0, k0 + k), as panel[l * MR + i]; writes up to VW - 1 beyond. */
static void
pack_a_rows(float *panel, const float *a, int64_t ld, int64_t mr, int64_t k)
{
	enum { G = (MR + VW - 1) / VW };
	int64_t l = 0;

	for (; l + VW <= k; l += VW) {
		vf r[G][VW];

		UNROLL
		for (int g = 0; g < G; g++) {
			UNROLL
			for (int i = 0; i < VW; i++)
				r[g][i] = g * VW + i < mr ? vload(a + (g * VW + i) * ld + l) :
				    (vf){ 0 };
			turn(r[g]);
		}
		UNROLL
		for (int i = 0; i < VW; i++)
			UNROLL
			for (int g = 0; g < G; g++)
				vstore(panel + (l + i) * MR + g * VW, r[g][i]);
	}
	for (; l < k; l++)
		for (int64_t i = 0; i < MR; i++)
			panel[l * MR + i] = i < mr ? a[i * ld + l] : 0;
}

/* The same of a that is stored (K, M). */
static void
pack_a_columns(float *panel, const float *a, int64_t ld, int64_t mr, int64_t k, bool inside)
{
	enum { G = (MR + VW - 1) / VW };

	for (int64_t l = 0; l < k; l++)
		UNROLL
		for (int g = 0; g < G; g++) {
			const float *src = a + l * ld + g * VW;
			int64_t n = inside ? VW : mr - g * VW;

			vstore(panel + l * MR + g * VW, n >= VW ? vload(src) :
			    n > 0 ? vload_n(src, n) : (vf){ 0 });
		}
}

/* Rows [i0, i0 + m) of a for the block of k at k0, panels of MR * KC. */
static void
pack_a(const struct mm *mm, float *to, int64_t i0, int64_t m, int64_t k0)
{
	int64_t k = min64(KC, mm->k - k0), ld = mm->p->lda;

	for (int64_t i = 0; i < m; i += MR, to += MR * KC) {
		int64_t mr = min64(MR, m - i);

		if (!mm->p->ta)
			pack_a_rows(to, mm->a + (i0 + i) * ld + k0, ld, mr, k);
		else
			pack_a_columns(to, mm->a + k0 * ld + i0 + i, ld, mr, k,
			    i0 + i + MR + VW <= mm->m);
	}
}

/* k of [k0, k0 + k) of columns [j, j + NR) of b. */
static void
pack_b(const struct mm *mm, float *panel, int64_t j, int64_t k0, int64_t k)
{
	int64_t n = min64(NR, mm->n - j), ld = mm->p->ldb;

	if (mm->p->tb)
		pack_columns(panel, mm->b + j * ld + k0, ld, n, k, mm->ahead);
	else
		pack_rows(panel, mm->b + k0 * ld + j, ld, n, k);
}

static void
pack_b_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct mm *mm = job->args;

	(void)member;
	for (int64_t i = cpu_from(job, task); i < cpu_to(job, task); i++)
		pack_b(mm, mm->packed_b + i * NR * mm->nk, mm->j0 + i * NR, mm->k0, mm->nk);
}

/* ---- many rows ---- */

static void
block_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct mm *mm = job->args;
	float *pa = mm->packed_a + member * A_FLOATS;
	int64_t i0 = task % mm->mblocks * mm->mc, m = min64(mm->mc, mm->m - i0);
	int64_t from = task / mm->mblocks * mm->nc, to = min64(from + mm->nc, mm->nj);

	for (int64_t k0 = mm->k0; k0 < mm->k0 + mm->nk; k0 += KC) {
		pack_a(mm, pa, i0, m, k0);
		for (int64_t j = from; j < to; j += NR)
			for (int64_t i = 0; i < m; i += MR) {
				struct tile t = tile_at(mm, i0 + i, mm->j0 + j, k0);

				t.a = pa + i * KC;
				t.rs = 1;
				t.cs = MR;
				t.b = mm->packed_b + j * mm->nk + (k0 - mm->k0) * NR;
				t.ldb = NR;
				OF_ISA(tile_run)(&t, min64(MR, m - i));
			}
	}
}

/* How rows and columns are cut into tasks: enough for all threads, not too small. */
static void
cut(struct mm *mm, int threads)
{
	int64_t want = threads == 1 ? 1 : threads * 8;

	mm->mc = MC;
	while (mm->mc > 4 * MR && (mm->m + mm->mc - 1) / mm->mc < want)
		mm->mc -= 2 * MR;
	mm->mblocks = (mm->m + mm->mc - 1) / mm->mc;
	mm->nc = (mm->nj + NR - 1) / NR * NR;
	while (mm->nc > 8 * NR && mm->mblocks * ((mm->nj + mm->nc - 1) / mm->nc) < want)
		mm->nc = (mm->nc / 2 + NR - 1) / NR * NR;
}

static void
many_rows(struct cpu *c, struct mm *mm)
{
	int threads = team_size(c->dev.team);
	int64_t nmax = min64((mm->n + NR - 1) / NR * NR, B_FLOATS / KC);
	int64_t kmax = B_FLOATS / nmax / KC * KC;

	mm->packed_b = cpu_scratch(c, (B_FLOATS + threads * A_FLOATS) * (int64_t)sizeof(float));
	if (mm->packed_b == NULL)
		return;
	mm->packed_a = mm->packed_b + B_FLOATS;
	for (mm->j0 = 0; mm->j0 < mm->n; mm->j0 += nmax)
		for (mm->k0 = 0; mm->k0 < mm->k; mm->k0 += kmax) {
			struct cpu_job pack = { .c = c, .args = mm }, job = pack;

			mm->nj = min64(nmax, mm->n - mm->j0);
			mm->nk = min64(kmax, mm->k - mm->k0);
			cut(mm, threads);
			pack.n = (mm->nj + NR - 1) / NR;
			cpu_run(&pack, mm->nk * 4, pack_b_task);
			job.n = mm->mblocks * ((mm->nj + mm->nc - 1) / mm->nc);
			job.step = 1;
			cpu_run(&job, mm->mc * mm->nk * mm->nc / NR, block_task);
		}
}

/* ---- few rows ---- */

/* Columns [j, j + NR) of all rows; panel is room for NR * KC floats. */
static void
panel_run(const struct mm *mm, float *panel, int64_t j)
{
	bool direct = !mm->p->tb && j + NR <= mm->n;

	for (int64_t k0 = 0; k0 < mm->k; k0 += KC) {
		if (!direct)
			pack_b(mm, panel, j, k0, min64(KC, mm->k - k0));
		for (int64_t i = 0; i < mm->m; i += MR) {
			struct tile t = tile_at(mm, i, j, k0);

			t.a = mm->a + i * mm->rs + k0 * mm->cs;
			t.rs = mm->rs;
			t.cs = mm->cs;
			t.b = direct ? mm->b + k0 * mm->p->ldb + j : panel;
			t.ldb = direct ? mm->p->ldb : NR;
			OF_ISA(tile_run)(&t, min64(MR, mm->m - i));
		}
	}
}

static void
panel_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct mm *mm = job->args;
	float *panel = mm->packed_b + member * NR * KC;

	for (int64_t p = cpu_from(job, task); p < cpu_to(job, task); p++)
		panel_run(mm, panel, p * NR);
}

static void
few_rows(struct cpu *c, struct mm *mm)
{
	struct cpu_job job = { .c = c, .args = mm, .n = (mm->n + NR - 1) / NR };

	/* The next panel while it fits the second cache, else what follows in the row. */
	mm->ahead = mm->k <= 4096 ? NR * mm->p->ldb : 1024;
	mm->packed_b = cpu_scratch(c, team_size(c->dev.team) * NR * KC * (int64_t)sizeof(float));
	if (mm->packed_b != NULL)
		cpu_run(&job, mm->k * (mm->m + 4), panel_task);
}

/* A sum over nothing. */
static void
no_terms(const struct mm *mm)
{
	for (int64_t i = 0; i < mm->m; i++)
		for (int64_t j = 0; j < mm->n; j++) {
			float *c = mm->c + i * mm->p->ldc + j;

			*c = (mm->p->add ? *c : 0) + (mm->bias != NULL ? mm->bias[j] : 0);
		}
}

static struct mm
mm_of(struct cpu *c, const struct k_matmul *p)
{
	struct mm mm = {
		.p = p, .a = cpu_f32(p->a), .b = cpu_f32(p->b), .c = cpu_f32(p->c),
		.bias = cpu_f32(p->bias), .alpha = (float)p->alpha,
		.m = cpu_count(c, p->m), .n = p->n, .k = cpu_count(c, p->k),
		.rs = p->ta ? 1 : p->lda, .cs = p->ta ? p->lda : 1,
	};

	return mm;
}

void
OF_ISA(k_matmul)(struct cpu *c, const union dev_args *args)
{
	struct mm mm = mm_of(c, &args->matmul);

	if (mm.m <= 0 || mm.n <= 0 || mm.k < 0)
		return;
	if (mm.k == 0)
		no_terms(&mm);
	else if (mm.m <= FEW)
		few_rows(c, &mm);
	else
		many_rows(c, &mm);
}

/* ---- groups ---- */

struct groups {
	struct mm	 mm;		/* of all rows */
	const struct k_grouped *g;
	const int32_t	*offset;
	int64_t		 panels;	/* of one group */
};

/* The product of group e. */
static struct mm
group_at(const struct groups *gs, int64_t e)
{
	struct mm mm = gs->mm;
	int64_t from = gs->offset[e], rows = gs->offset[e + 1] - from;

	mm.a += from * mm.p->lda;
	if (mm.p->ta) {
		mm.k = rows;
		mm.b += from * mm.p->ldb;
		mm.c += e * gs->g->stride;
	} else {
		mm.m = rows;
		mm.c += from * mm.p->ldc;
		mm.b += e * gs->g->stride;
	}
	return mm;
}

static void
group_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct groups *gs = job->args;
	float *panel = gs->mm.packed_b + member * NR * KC;

	for (int64_t i = cpu_from(job, task); i < cpu_to(job, task); i++) {
		struct mm mm = group_at(gs, i / gs->panels);
		int64_t j = i % gs->panels * NR;

		if (mm.k > 0) {
			panel_run(&mm, panel, j);
			continue;
		}
		mm.c += j;
		mm.n = min64(NR, mm.n - j);
		no_terms(&mm);
	}
}

/* Do the offsets rise within the count of rows? */
static bool
offsets_rise(const struct groups *gs, int64_t rows)
{
	bool rise = gs->offset[0] >= 0 && gs->offset[gs->g->groups] <= rows;

	for (int64_t e = 0; e < gs->g->groups; e++)
		rise = rise && gs->offset[e] <= gs->offset[e + 1];
	return rise;
}

void
OF_ISA(k_grouped)(struct cpu *c, const union dev_args *args)
{
	const struct k_grouped *g = &args->grouped;
	struct groups gs = {
		.mm = mm_of(c, &g->p), .g = g, .offset = cpu_i32(g->offset),
		.panels = (g->p.n + NR - 1) / NR,
	};
	struct cpu_job job = { .c = c, .args = &gs, .n = g->groups * gs.panels };

	if (gs.mm.m < 0 || gs.mm.k < 0)
		return;
	if (!offsets_rise(&gs, g->p.ta ? gs.mm.k : gs.mm.m)) {
		cpu_fail(c, ERR_DEVICE, "offsets of groups that do not rise or exceed the rows");
		return;
	}
	gs.mm.packed_b = cpu_scratch(c, team_size(c->dev.team) * NR * KC * (int64_t)sizeof(float));
	if (gs.mm.packed_b != NULL)
		cpu_run(&job, gs.mm.k * (gs.mm.m + 4) / g->groups + 1, group_task);
}
