/*
 * run - what load does to a server, each a function that says whether all was well
 */
#ifndef SERVE_RUN_H
#define SERVE_RUN_H

#include <stdio.h>

#include "mix.h"

struct load {
	struct mix	 mix;
	struct sockaddr_in to;
	int64_t		 requests, connections, pid;
	int64_t		 idle, drips;
	int64_t		 idle_memory;		/* bytes that the idle ones may take */
	double		 drip_time;		/* seconds until they have to be cut */
	double		 growth;		/* of memory, that is too much */
	const char	*replay;
	int64_t		 wrong;			/* violations */
};

/* Say what is wrong; the first ones are shown. */
void load_wrong(struct load *l, const char *what, const struct err *err);

/* Ask each distinct request alone: learn its answer, or, again, compare it. */
int run_alone(struct load *l, bool again, struct err *err);

/* Each of the bad ones, alone. */
int run_bad(struct load *l, struct err *err);

int run_mixed(struct load *l, struct err *err);
int run_idle(struct load *l, struct err *err);
int run_drips(struct load *l, struct err *err);
int run_replay(struct load *l, struct err *err);

#endif
