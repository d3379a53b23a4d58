/*
 * graph - capture of streams into graphs, and their launches
 *
 * A graph is the list of what was captured.  Each stream that took part is a
 * branch; marks and waits between branches are operations like others, so a launch queues
 * the branches on streams of the graph's own and orders them the same way.
 */
#include <stdlib.h>
#include <string.h>

#include "driver.h"

struct graph {
	struct op **op;
	int	n, n_branches, n_marks;
	CUstreamCaptureMode mode;
	pthread_t thread;		/* that captures it */
	bool	broken;
};

struct exec {
	struct graph *g;
	struct stream **branch;		/* 0 is the stream of the launch */
};

void
graph_add(struct graph *g, struct op *op)
{
	int i = vec_more(&g->op, &g->n, sizeof(g->op[0]));

	g->op[i] = op;
}

struct mark *
graph_mark(struct stream *s)
{
	struct mark *m = calloc(1, sizeof(*m));
	struct op *op = op_new(OP_MARK);

	m->graph = s->capture;
	m->position = (uint64_t)s->capture->n_marks++;
	m->users = 2;
	op->mark = m;
	op->branch = s->branch;
	graph_add(s->capture, op);
	return m;
}

/* A stream that waits for a captured event is captured from then on. */
CUresult
graph_wait(struct stream *s, struct mark *m)
{
	struct op *op;

	if (m->graph == NULL) {
		s->capture->broken = true;
		return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
	}
	if (s->capture == NULL) {
		s->capture = m->graph;
		s->branch = m->graph->n_branches++;
	}
	op = op_new(OP_WAIT);
	op->mark = m;
	m->users++;
	op->branch = s->branch;
	graph_add(s->capture, op);
	return CUDA_SUCCESS;
}

/* Allocating is a danger to captures of its thread, or of any, but to relaxed ones. */
static bool
endangers(const struct graph *g)
{
	return g->mode == CU_STREAM_CAPTURE_MODE_GLOBAL ||
	    (g->mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL &&
	    pthread_equal(g->thread, pthread_self()));
}

bool
graph_break(bool allocates)
{
	bool broke = false;

	for (int i = 1; i < MAX_STREAMS; i++) {
		struct stream *s = &driver.stream[i];

		if (!s->used || s->capture == NULL || (allocates && !endangers(s->capture)))
			continue;
		s->capture->broken = broke = true;
	}
	return broke;
}

static void
graph_free(struct graph *g)
{
	for (int i = 0; i < g->n; i++)
		op_free(g->op[i]);
	free(g->op);
	free(g);
}

/* Each branch ends in a mark that another one waits for. */
static bool
joined(const struct graph *g)
{
	for (int b = 1; b < g->n_branches; b++) {
		const struct mark *last = NULL;
		bool waited = false;

		for (int i = 0; i < g->n; i++)
			if (g->op[i]->branch == b)
				last = g->op[i]->kind == OP_MARK ? g->op[i]->mark : NULL;
		for (int i = 0; i < g->n && last != NULL; i++)
			waited |= g->op[i]->kind == OP_WAIT && g->op[i]->mark == last;
		if (!waited)
			return false;
	}
	return true;
}

CUresult
cuStreamBeginCapture(CUstream h, CUstreamCaptureMode mode)
{
	struct stream *s = stream_get(h);
	GUARD;

	if (s == NULL)
		return CUDA_ERROR_INVALID_HANDLE;
	if (mode > CU_STREAM_CAPTURE_MODE_RELAXED)
		return CUDA_ERROR_INVALID_VALUE;
	if (s->id == 1)
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	if (s->capture != NULL)
		return CUDA_ERROR_ILLEGAL_STATE;
	s->capture = calloc(1, sizeof(*s->capture));
	s->capture->n_branches = 1;
	s->capture->mode = mode;
	s->capture->thread = pthread_self();
	s->branch = 0;
	return CUDA_SUCCESS;
}

CUresult
cuStreamEndCapture(CUstream h, CUgraph *out)
{
	struct stream *s = stream_get(h);
	struct graph *g;
	CUresult r = CUDA_SUCCESS;
	GUARD;

	if (s == NULL || s->capture == NULL)
		return s == NULL ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_ILLEGAL_STATE;
	if (s->branch != 0)
		return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
	g = s->capture;
	if (g->mode != CU_STREAM_CAPTURE_MODE_RELAXED && !pthread_equal(g->thread, pthread_self()))
		return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
	for (int i = 1; i < MAX_STREAMS; i++)
		if (driver.stream[i].capture == g)
			driver.stream[i].capture = NULL;
	if (g->broken)
		r = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	else if (!joined(g))
		r = CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
	*out = NULL;
	if (r == CUDA_SUCCESS)
		*out = (CUgraph)g;
	else
		graph_free(g);
	return r;
}

CUresult
cuStreamIsCapturing(CUstream h, CUstreamCaptureStatus *status)
{
	struct stream *s = stream_get(h);

	if (s == NULL)
		return CUDA_ERROR_INVALID_HANDLE;
	*status = s->capture == NULL ? CU_STREAM_CAPTURE_STATUS_NONE : s->capture->broken ?
	    CU_STREAM_CAPTURE_STATUS_INVALIDATED : CU_STREAM_CAPTURE_STATUS_ACTIVE;
	return CUDA_SUCCESS;
}

CUresult
cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph h, unsigned long long flags)
{
	const struct graph *g = (struct graph *)h;
	struct exec *x = calloc(1, sizeof(*x));
	GUARD;

	(void)flags;
	x->g = calloc(1, sizeof(*x->g));
	x->g->n_branches = g->n_branches;
	x->g->n_marks = g->n_marks;
	for (int i = 0; i < g->n; i++)
		graph_add(x->g, op_clone(g->op[i]));
	x->branch = calloc((size_t)g->n_branches, sizeof(x->branch[0]));
	for (int b = 1; b < g->n_branches; b++)
		if ((x->branch[b] = stream_new(false)) == NULL)
			return CUDA_ERROR_OUT_OF_MEMORY;
	*out = (CUgraphExec)x;
	return CUDA_SUCCESS;
}

CUresult
cuGraphLaunch(CUgraphExec h, CUstream hs)
{
	struct exec *x = (struct exec *)h;
	struct stream *s = stream_get(hs);
	struct mark **mark;
	GUARD;

	if (s == NULL)
		return CUDA_ERROR_INVALID_HANDLE;
	if (driver.sticky != CUDA_SUCCESS)
		return driver.sticky;
	if (s->capture != NULL)
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	driver.count[COUNT_GRAPHS]++;
	if (s->blocking)
		legacy_order(s);
	x->branch[0] = s;
	mark = calloc((size_t)x->g->n_marks + 1, sizeof(mark[0]));
	for (int i = 0; i < x->g->n; i++) {
		const struct op *op = x->g->op[i];
		struct stream *b = x->branch[op->branch];

		if (op->kind == OP_MARK) {
			mark[op->mark->position] = mark_put(b);
		} else if (op->kind == OP_WAIT) {
			stream_wait(b, mark[op->mark->position]);
		} else {
			stream_append(b, op_clone(op));
			if (op->copy.host_dst != NULL)
				memset(op->copy.host_dst, 0xa5, op->copy.size);
		}
	}
	for (int i = 0; i < x->g->n_marks; i++)
		if (mark[i] != NULL)
			mark_release(mark[i]);
	free(mark);
	return CUDA_SUCCESS;
}

CUresult
cuGraphUpload(CUgraphExec h, CUstream s)
{
	return h == NULL || stream_get(s) == NULL ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult
cuGraphExecDestroy(CUgraphExec h)
{
	struct exec *x = (struct exec *)h;
	GUARD;

	if (x == NULL)
		return CUDA_ERROR_INVALID_VALUE;
	for (int b = 1; b < x->g->n_branches; b++)
		stream_drop(x->branch[b]);
	graph_free(x->g);
	free(x->branch);
	free(x);
	return CUDA_SUCCESS;
}

CUresult
cuGraphDestroy(CUgraph h)
{
	if (h == NULL)
		return CUDA_ERROR_INVALID_VALUE;
	graph_free((struct graph *)h);
	return CUDA_SUCCESS;
}

/* The number of nodes; the nodes themselves are not given out. */
CUresult
cuGraphGetNodes(CUgraph h, CUgraphNode *nodes, size_t *n)
{
	const struct graph *g = (struct graph *)h;

	if (g == NULL || n == NULL || nodes != NULL)
		return CUDA_ERROR_INVALID_VALUE;
	*n = 0;
	for (int i = 0; i < g->n; i++)
		*n += g->op[i]->kind != OP_MARK && g->op[i]->kind != OP_WAIT;
	return CUDA_SUCCESS;
}
