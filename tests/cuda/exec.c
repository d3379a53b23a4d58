/*
 * exec - grids, blocks, barriers and the loop over instructions
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exec.h"

#define SLICE (1 << 20)			/* instructions of a warp in a row */
#define HANG ((uint64_t)4 << 30)	/* of a block: more than any test has */

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A register of 4 or 8 bytes a lane, the same in all. */
static void
fill(uint8_t *reg, uint32_t off, int width, uint64_t v)
{
	for (int i = 0; i < LANES; i++)
		if (width == 8)
			((uint64_t *)(reg + off))[i] = v;
		else
			((uint32_t *)(reg + off))[i] = (uint32_t)v;
}

/* What does not change from block to block. */
static void
set_constants(struct warp *w)
{
	const struct launch *l = w->b->l;
	const struct kernel *k = l->k;

	for (int i = 0; i < k->n_konst; i++)
		if (k->konst[i].width == 0)
			w->pred[k->konst[i].off] = k->konst[i].value != 0 ? ~0u : 0;
		else
			fill(w->reg, k->konst[i].off, k->konst[i].width, k->konst[i].value);
	for (int s = 0; s < SPECIALS; s++) {
		uint32_t *r = (uint32_t *)(w->reg + k->special[s] - 1);
		const uint32_t same[SPECIALS] = {
			[NTID_X] = l->block[0], [NTID_Y] = l->block[1], [NTID_Z] = l->block[2],
			[NCTAID_X] = l->grid[0], [NCTAID_Y] = l->grid[1], [NCTAID_Z] = l->grid[2],
			[WARPID] = w->id, [NWARPID] = (uint32_t)w->b->n_warps, [NSMID] = 1,
			[DYNAMIC_SMEM] = l->dynamic, [TOTAL_SMEM] = l->dynamic + k->shared,
			[WARP_SIZE] = LANES,
		};

		if (k->special[s] == 0)
			continue;
		for (uint32_t i = 0; i < LANES; i++) {
			uint32_t t = w->id * LANES + i;

			r[i] = s == TID_X ? t % l->block[0] : s == TID_Y ? t / l->block[0] % l->block[1] :
			    s == TID_Z ? t / l->block[0] / l->block[1] : s == LANEID ? i :
			    s == LANEMASK_EQ ? 1u << i : s == LANEMASK_LT ? (1u << i) - 1 :
			    s == LANEMASK_LE ? (2u << i) - 1 : s == LANEMASK_GT ? ~((2u << i) - 1) :
			    s == LANEMASK_GE ? ~((1u << i) - 1) : same[s];
		}
	}
}

static void
warp_start(struct warp *w)
{
	const struct kernel *k = w->b->k;
	uint32_t left = w->b->threads - w->id * LANES;

	w->exist = w->live = w->mask = left >= LANES ? ~0u : (1u << left) - 1;
	w->pc = 0;
	w->meet = UINT32_MAX;
	w->n_other = w->n_copy = 0;
	w->state = RUNS;
	w->cc = 0;
	memset(w->clock, 0, sizeof(w->clock));
	memset(w->commit, 0, sizeof(w->commit));
	w->clock[w->id] = 1;
	for (int s = CTAID_X; s <= CTAID_Z; s++)
		if (k->special[s] != 0)
			fill(w->reg, k->special[s] - 1, 4, w->b->id[s - CTAID_X]);
	if (k->local != 0) {
		memset(w->local, 0xff, (size_t)k->local * LANES);
		memset(w->local_state, 0, (size_t)k->local * LANES);
	}
}

static void
barrier_release(struct block *b, uint32_t id)
{
	uint32_t warps = b->arrived[id].warps;

	clocks_join(b, warps);
	for (int i = 0; i < b->n_warps; i++) {
		struct warp *w = &b->warp[i];

		if (w->state != AT_BARRIER || w->barrier != id)
			continue;
		w->state = RUNS;
		w->pc++;
		if (w->n_other > 0)
			warp_regroup(w);
	}
	b->arrived[id].warps = b->arrived[id].lanes = 0;
}

/* bar.red: the predicates of all threads, and back to all of them. */
static void
barrier_reduce(struct block *b, uint32_t id, const struct insn *in)
{
	uint32_t n = 0, all = 1, any = 0;

	for (int i = 0; i < b->n_warps; i++) {
		struct warp *w = &b->warp[i];
		uint32_t p = w->pred[in->src[1]] ^ (in->src_not & 2 ? ~0u : 0);

		if (w->state != AT_BARRIER || w->barrier != id)
			continue;
		n += (uint32_t)__builtin_popcount(p & w->live);
		all &= (p & w->live) == w->live;
		any |= (p & w->live) != 0;
	}
	for (int i = 0; i < b->n_warps; i++) {
		struct warp *w = &b->warp[i];

		if (w->state != AT_BARRIER || w->barrier != id)
			continue;
		if (in->part == 1)
			fill(w->reg, in->dst[0], 4, n);
		else
			w->pred[in->dst[0]] = (in->part == 2 ? all : any) ? ~0u : 0;
	}
}

static uint32_t
uniform(struct warp *w, const struct insn *in, int src)
{
	return (uint32_t)lane_get(w, in, src, __builtin_ctz(w->mask));
}

/* The warp is whole.  It waits, unless it is the last or only says that it was here. */
static void
barrier_arrive(struct warp *w, const struct insn *in)
{
	struct block *b = w->b;
	uint32_t id = uniform(w, in, 0);
	int count = in->sub == 2 ? 2 : 1;

	if (id >= 16) {
		stop(w, in, -1, F_LAUNCH, "barrier %u of 16", id);
		return;
	}
	w->expect = in->n_src > count ? uniform(w, in, count) : 0;
	if (w->expect % LANES != 0) {
		stop(w, in, -1, F_LAUNCH, "a barrier for %u threads, which are no whole warps", w->expect);
		return;
	}
	w->barrier = id;
	b->arrived[id].warps |= 1u << w->id;
	b->arrived[id].lanes += LANES;
	if (in->sub == 1)
		w->pc++;
	else
		w->state = AT_BARRIER;
	if (w->expect != 0 && b->arrived[id].lanes >= w->expect) {
		if (in->sub == 2)
			barrier_reduce(b, id, in);
		barrier_release(b, id);
	}
}

static void
finish_lanes(struct warp *w, uint32_t mask)
{
	w->live &= ~mask;
	w->mask &= ~mask;
	if (w->mask != 0)
		w->pc++;
	if (w->mask != 0 && w->n_other == 0)
		return;
	if (warp_regroup(w))
		return;
	if (w->n_other == 0) {
		w->state = ENDED;
		return;
	}
	stop(w, &w->b->k->code[w->other[0].pc], __builtin_ctz(w->other[0].mask), F_DIVERGE,
	    "it waits for lane %d of its warp, which ends without it", __builtin_ctz(mask));
}

static void
table_branch(struct warp *w, const struct insn *in, uint32_t mask)
{
	uint32_t first = (uint32_t)lane_get(w, in, 0, __builtin_ctz(mask)), same = 0;

	for (int i = 0; i < LANES; i++)
		if (mask >> i & 1 && (uint32_t)lane_get(w, in, 0, i) == first)
			same |= 1u << i;
	if (same != mask) {		/* the others come to this instruction again */
		w->other[w->n_other++] = (struct group){ w->pc, w->mask & ~same, false };
		w->mask = same;
	}
	if (in->target + first >= (uint32_t)w->b->k->n_target) {
		stop(w, in, __builtin_ctz(same), F_TRAP, "index %u of a table of branches", first);
		return;
	}
	w->pc = w->b->k->target[in->target + first];
	if (w->n_other > 0)
		warp_regroup(w);
}

static void
read_clock(struct warp *w, const struct insn *in, uint32_t mask)
{
	uint64_t v = strstr(in->text, "globaltimer") != NULL ? now_ns() : w->b->executed;

	for (int i = 0; i < LANES; i++)
		if (mask >> i & 1)
			lane_put(w, in, 0, i, v);
}

/* Instructions that name lanes: all of them must be here first. */
static bool
together(struct warp *w, const struct insn *in, uint32_t mask)
{
	uint32_t need;

	if (mask != w->mask) {		/* those that the guard keeps out go on by themselves */
		w->other[w->n_other++] = (struct group){ w->pc + 1, w->mask & ~mask, false };
		w->mask = mask;
		if (w->meet > w->pc + 1)
			w->meet = w->pc + 1;
	}
	if (in->op == BAR || in->op == MMA || in->op == LDMATRIX || in->op == STMATRIX ||
	    in->op == MOVMATRIX)
		need = w->exist;
	else
		need = (uint32_t)lane_get(w, in, in->n_src - 1, __builtin_ctz(mask)) & w->exist;
	if ((need & mask) != mask) {
		stop(w, in, __builtin_ctz(mask & ~need), F_DIVERGE, "it is not in its own mask %08x",
		    need);
		return false;
	}
	if (in->op == BAR && w->live != w->exist) {
		stop(w, in, __builtin_ctz(mask), F_DIVERGE,
		    "a barrier that lane %d of its warp has not reached: it has ended",
		    __builtin_ctz(w->exist & ~w->live));
		return false;
	}
	return warp_gather(w, need);
}

static void
whole_warp(struct warp *w, const struct insn *in, uint32_t mask)
{
	if (!together(w, in, mask))
		return;
	if (in->op == BAR) {
		barrier_arrive(w, in);
		return;
	}
	if (in->op == BARWARP)
		warp_clock_tick(w);
	else if (in->op == LDMATRIX || in->op == STMATRIX)
		access_matrix(w, in, w->mask);
	else
		collective(w, in, w->mask);
	w->pc++;
}

static void
commit_copies(struct warp *w, uint32_t mask)
{
	for (int i = 0; i < LANES; i++)
		w->commit[i] += mask >> i & 1;
}

/* What is not arithmetic; leaves pc at the next instruction. */
static void
effect(struct warp *w, const struct insn *in, uint32_t mask)
{
	switch (in->op) {
	case BRA:	warp_branch(w, mask, in->target); return;
	case BRX:	table_branch(w, in, mask); return;
	case RET:	finish_lanes(w, mask); return;
	case BAR: case BARWARP: case VOTE: case MATCH: case SHFL: case REDUX: case MMA:
	case LDMATRIX: case STMATRIX: case MOVMATRIX:
		whole_warp(w, in, mask);
		return;
	case LD:	access_load(w, in, mask); break;
	case ST:	access_store(w, in, mask); break;
	case ATOM:	access_atomic(w, in, mask); break;
	case CPASYNC:	access_copy(w, in, mask); break;
	case CPCOMMIT:	commit_copies(w, mask); break;
	case CPWAIT:	access_copy_wait(w, in, mask); break;
	case CVTA:
	case ISSPACE:	access_address(w, in, mask); break;
	case ACTIVE:
		for (int i = 0; i < LANES; i++)
			if (mask >> i & 1)
				lane_put(w, in, 0, i, mask);
		break;
	case CLOCK:	read_clock(w, in, mask); break;
	case PAIR:
	case SPLIT:
	case CARRY:	alu_eval(w, in, mask); break;
	case FENCE:	w->b->fenced |= in->sub != 0; break;
	case NOP:	break;
	case TRAP:
		stop(w, in, __builtin_ctz(mask), F_TRAP, "trap, or an assertion that failed");
		break;
	default:
		stop(w, in, __builtin_ctz(mask), F_INSN, "PTX line %u", in->line);
	}
	w->pc++;
}

/* Until a barrier, the end, or its time is over. */
static void
warp_run(struct warp *w)
{
	struct block *b = w->b;
	const struct insn *code = b->k->code;
	int n = 0;

	for (; w->state == RUNS && !b->stop && n < SLICE; n++) {
		const struct insn *in = &code[w->pc];
		uint32_t mask;

		if (w->pc >= w->meet) {
			warp_regroup(w);
			in = &code[w->pc];
		}
		mask = w->mask;
		if (in->guard) {
			mask &= w->pred[in->guard_pred] ^ (in->guard_not ? ~0u : 0);
			if (mask == 0) {
				w->pc++;
				continue;
			}
		}
		if (in->op < MOV32) {
			effect(w, in, mask);
		} else {
			alu(w, in, mask);
			w->pc++;
		}
	}
	b->executed += (uint64_t)n;
}

/*
 * No warp runs: the threads that are left wait at barriers.  All of the block must be at
 * the same one, and at the same place; a barrier with a count was released when that
 * many had come.
 */
static bool
barrier_all(struct block *b)
{
	struct warp *first = NULL;
	char line[600];

	for (int i = 0; i < b->n_warps; i++)
		if (first == NULL && b->warp[i].state == AT_BARRIER)
			first = &b->warp[i];
	if (first == NULL)
		return false;
	for (int i = 0; i < b->n_warps; i++) {
		struct warp *w = &b->warp[i];
		const struct insn *in = &b->k->code[first->pc];

		if (w->state == ENDED) {
			stop(first, in, -1, F_DIVERGE, "a barrier that warp %d has not reached: it has ended",
			    i);
			return false;
		}
		if (w->pc != first->pc || w->barrier != first->barrier || first->expect != 0) {
			where_line(line, sizeof(line), b->k, &b->k->code[w->pc]);
			stop(first, in, -1, F_DIVERGE, "warps wait at different barriers: warp %d at %s",
			    i, line);
			return false;
		}
	}
	if (b->k->code[first->pc].sub == 2)
		barrier_reduce(b, first->barrier, &b->k->code[first->pc]);
	barrier_release(b, first->barrier);
	return true;
}

/*
 * Warps in the order asked for; a shuffle differs from round to round, and from launch to
 * launch: 37 divides no count.
 */
static int
pick(const struct block *b, int i, uint32_t round)
{
	if (b->l->order == 0)
		return i;
	if (b->l->order == 1)
		return b->n_warps - 1 - i;
	return (int)(((uint32_t)i * 37u + round * 11u + b->number + b->l->epoch) %
	    (uint32_t)b->n_warps);
}

static void
block_run(struct block *b)
{
	uint32_t round = 0;

	b->fenced = false;
	for (int i = 0; i < b->n_warps; i++)
		warp_start(&b->warp[i]);
	do {
		bool ran;

		do {
			ran = false;
			for (int i = 0; i < b->n_warps && !b->stop; i++) {
				struct warp *w = &b->warp[pick(b, i, round)];

				if (w->state == RUNS) {
					warp_run(w);
					ran = true;
				}
			}
			round++;
			if (b->executed > HANG) {
				stop(&b->warp[0], &b->k->code[b->warp[0].pc], -1, F_HANG,
				    "this block has run %llu instructions",
				    (unsigned long long)b->executed);
			}
		} while (ran && !b->stop);
	} while (!b->stop && barrier_all(b));
}

static struct block *
block_new(struct launch *l)
{
	const struct kernel *k = l->k;
	struct block *b = calloc(1, sizeof(*b));

	b->l = l;
	b->k = k;
	b->threads = l->block[0] * l->block[1] * l->block[2];
	b->n_warps = (int)((b->threads + LANES - 1) / LANES);
	shared_new(b);
	if (k->fences)
		b->seen = calloc(l->n_blocks / 64 + 1, sizeof(b->seen[0]));
	for (int i = 0; i < b->n_warps; i++) {
		struct warp *w = &b->warp[i];

		w->b = b;
		w->id = (uint32_t)i;
		w->reg = aligned_alloc(64, k->reg_bytes + 64 - k->reg_bytes % 64);
		memset(w->reg, 0xff, k->reg_bytes);
		w->pred = calloc(k->n_pred + 1, sizeof(w->pred[0]));
		w->local = malloc((size_t)k->local * LANES + 1);
		w->local_state = malloc((size_t)k->local * LANES + 1);
		set_constants(w);
	}
	return b;
}

static void
block_free(struct block *b)
{
	for (int i = 0; i < b->n_warps; i++) {
		free(b->warp[i].reg);
		free(b->warp[i].pred);
		free(b->warp[i].local);
		free(b->warp[i].local_state);
		free(b->warp[i].copy);
	}
	free(b->shared);
	free(b->word);
	free(b->blank);
	free(b->seen);
	free(b);
}

/* The i-th block to run. */
static uint32_t
order_block(const struct launch *l, uint32_t i)
{
	if (l->order == 0)
		return i;
	if (l->order == 1)
		return l->n_blocks - 1 - i;
	/* A prime that divides no grid of sensible size. */
	return (uint32_t)(((uint64_t)i * 2147483647u + l->epoch) % l->n_blocks);
}

static void *
work(void *arg)
{
	struct launch *l = arg;
	struct block *b = block_new(l);
	uint32_t i;

	while ((i = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED)) < l->n_blocks && !b->stop) {
		uint32_t n = order_block(l, i);

		b->number = n;
		b->id[0] = n % l->grid[0];
		b->id[1] = n / l->grid[0] % l->grid[1];
		b->id[2] = n / l->grid[0] / l->grid[1];
		b->mine = (uint64_t)l->epoch << SHADOW_EPOCH | (uint64_t)n << SHADOW_BLOCK;
		memcpy(b->word, b->blank, b->n_words * sizeof(b->word[0]));
		memset(b->shared, 0xff, b->n_words * 4);
		memset(b->arrived, 0, sizeof(b->arrived));
		if (b->seen != NULL)
			memset(b->seen, 0, (l->n_blocks / 64 + 1) * sizeof(b->seen[0]));
		__atomic_fetch_add(&l->executed, b->executed, __ATOMIC_RELAXED);
		b->executed = 0;
		block_run(b);
		if (b->stop)
			__atomic_store_n(&l->next, l->n_blocks, __ATOMIC_RELAXED);
	}
	__atomic_fetch_add(&l->executed, b->executed, __ATOMIC_RELAXED);
	block_free(b);
	return NULL;
}

bool
launch_run(struct launch *l, int threads)
{
	pthread_t t[64];
	int n = 0;

	l->n_blocks = l->grid[0] * l->grid[1] * l->grid[2];
	if (threads > 64)
		threads = 64;
	while (n < threads - 1 && n + 1 < (int)l->n_blocks &&
	    pthread_create(&t[n], NULL, work, l) == 0)
		n++;
	work(l);
	while (n > 0)
		pthread_join(t[--n], NULL);
	meetings_free(l);
	return !l->failed;
}
