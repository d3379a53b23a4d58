/* What tests of engines begin with: threads, a device, and a model that they load. */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include <stdio.h>
#include <stdlib.h>

#include "infer/engine.h"
#include "near.h"
#include "../tap.h"

struct rig {
	struct team	*team;
	struct dev	*dev;
	struct model	 m;
};

static struct err err;

static void
must(bool good, const char *what)
{
	if (good)
		return;
	printf("Bail out! %s: %s\n", what, err.msg);
	exit(1);
}

static void
rig_open(struct rig *g, int threads)
{
	*g = (struct rig){ .team = team_new(threads, &err) };
	must(g->team != NULL && (g->dev = dev_open("cpu", g->team, 0, &err)) != NULL, "device");
}

static void
rig_close(struct rig *g)
{
	model_free(&g->m);
	dev_close(g->dev);
	team_free(g->team);
}

/* A sequence of these tokens. */
static inline struct seq *
rig_seq(struct engine *e, const int32_t *token, int64_t n)
{
	struct seq *s = seq_new(e, &err);

	must(s != NULL && seq_push(s, token, n, &err) == 0, "sequence");
	return s;
}

#endif
