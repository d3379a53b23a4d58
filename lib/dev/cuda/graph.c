#include "dev/cuda/cuda.h"

#include <assert.h>
#include <stdlib.h>

/*
 * The first time launches go to the queue: kernels are looked up, and scratch
 * grows.  The second time they are captured, and from then on the graph is
 * launched, as long as scratch stays where it was.
 */
struct dev_list {
	CUgraphExec	exec;		/* NULL: none yet */
	dptr		scratch;	/* that its kernels have */
};

static void
drop(struct cuda *c, struct dev_list *list)
{
	if (list->exec != NULL)
		c->drv.cuGraphExecDestroy(list->exec);
	list->exec = NULL;
}

bool
cuda_list_begin(struct cuda *c, struct dev_list **list)
{
	assert(c->list == NULL);
	if (*list == NULL) {
		/* Without memory for it, each time is the first. */
		*list = calloc(1, sizeof(**list));
		return true;
	}
	if ((*list)->exec != NULL && (*list)->scratch.at == c->scratch.at) {
		CUDA_CALL(c, cuGraphLaunch, (*list)->exec, c->stream);
		return false;
	}
	drop(c, *list);
	if (CUDA_CALL(c, cuStreamBeginCapture_v2, c->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL))
		c->list = *list;
	return true;
}

void
cuda_list_end(struct cuda *c)
{
	struct dev_list *list = c->list;
	CUgraph graph = NULL;

	if (list == NULL)
		return;
	c->list = NULL;
	/* A launch that failed is the error to tell, but the capture ends all the same. */
	if (CUDA_CALL(c, cuStreamEndCapture, c->stream, &graph) && !c->failed &&
	    CUDA_CALL(c, cuGraphInstantiateWithFlags, &list->exec, graph, 0)) {
		list->scratch = c->scratch;
		CUDA_CALL(c, cuGraphLaunch, list->exec, c->stream);
	}
	if (graph != NULL)
		c->drv.cuGraphDestroy(graph);
}

void
cuda_list_free(struct cuda *c, struct dev_list *list)
{
	drop(c, list);
	free(list);
}
