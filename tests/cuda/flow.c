/*
 * flow - groups of lanes: parting, meeting, waiting
 */
#include <stdarg.h>
#include <stdio.h>

#include "exec.h"

void
where_lane(struct where *at, const struct warp *w, const struct insn *in, int lane)
{
	const struct launch *l = w->b->l;
	uint32_t t = w->id * LANES + (uint32_t)(lane < 0 ? 0 : lane);

	*at = (struct where){ .kernel = l->k, .insn = in, .threaded = true,
	    .block = { w->b->id[0], w->b->id[1], w->b->id[2] },
	    .thread = { t % l->block[0], t / l->block[0] % l->block[1],
		t / l->block[0] / l->block[1] } };
}

static void
report(struct warp *w, const struct insn *in, int lane, int kind, const char *fmt, va_list ap)
{
	char what[800];
	struct where at;

	vsnprintf(what, sizeof(what), fmt, ap);
	where_lane(&at, w, in, lane);
	find_report(kind, &at, "%s", what);
	__atomic_store_n(&w->b->l->failed, true, __ATOMIC_RELAXED);
}

void
fault(struct warp *w, const struct insn *in, int lane, int kind, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(w, in, lane, kind, fmt, ap);
	va_end(ap);
}

void
stop(struct warp *w, const struct insn *in, int lane, int kind, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(w, in, lane, kind, fmt, ap);
	va_end(ap);
	w->b->stop = true;
	__atomic_store_n(&w->b->l->kind, kind, __ATOMIC_RELAXED);
}

static void
find_meet(struct warp *w)
{
	w->meet = UINT32_MAX;
	for (int i = 0; i < w->n_other; i++)
		if (w->other[i].pc > w->pc && w->other[i].pc < w->meet)
			w->meet = w->other[i].pc;
}

/*
 * Choose the runnable group that is lowest, together with all that are at the
 * same place.  False if every lane waits or has ended.
 */
bool
warp_regroup(struct warp *w)
{
	uint32_t low = UINT32_MAX;
	int kept = 0;

	if (w->mask != 0)
		w->other[w->n_other++] = (struct group){ w->pc, w->mask, false };
	w->mask = 0;
	for (int i = 0; i < w->n_other; i++)
		if (!w->other[i].waits && w->other[i].pc < low)
			low = w->other[i].pc;
	if (low == UINT32_MAX)
		return false;
	for (int i = 0; i < w->n_other; i++) {
		if (w->other[i].pc == low)
			w->mask |= w->other[i].mask;
		else
			w->other[kept++] = w->other[i];
	}
	w->n_other = kept;
	w->pc = low;
	find_meet(w);
	return true;
}

/* These lanes of the group go to target, the rest go on. */
void
warp_branch(struct warp *w, uint32_t taken, uint32_t target)
{
	if (taken == w->mask) {
		w->pc = target;
	} else if (taken == 0) {
		w->pc++;
	} else {
		w->mask &= ~taken;
		w->pc++;
		w->other[w->n_other++] = (struct group){ target, taken, false };
	}
	if (w->n_other > 0)
		warp_regroup(w);
}

/* The lanes where a warp is, for a message about those that do not come. */
static void
stuck(struct warp *w, uint32_t need)
{
	const struct group *g = &w->other[w->n_other - 1];
	const struct insn *in = &w->b->k->code[g->pc];
	char line[600];
	uint32_t away = need & ~g->mask;
	int lane = __builtin_ctz(away);

	for (int i = 0; i < w->n_other; i++) {
		if ((w->other[i].mask & away) == 0)
			continue;
		where_line(line, sizeof(line), w->b->k, &w->b->k->code[w->other[i].pc]);
		stop(w, in, __builtin_ctz(g->mask), F_DIVERGE,
		    "it waits for lane %d of its warp, which waits at %s", lane, line);
		return;
	}
	stop(w, in, __builtin_ctz(g->mask), F_DIVERGE,
	    "it waits for lane %d of its warp, which has ended", lane);
}

bool
warp_gather(struct warp *w, uint32_t need)
{
	if ((need & ~w->mask) == 0)
		return true;
	w->other[w->n_other++] = (struct group){ w->pc, w->mask, true };
	w->mask = 0;
	if ((need & ~w->live) != 0 || !warp_regroup(w))
		stuck(w, need);
	return false;
}
