/* comm_impl - the inside of a communicator, for comm.c and meet.c alone */
#ifndef DEV_COMM_IMPL_H
#define DEV_COMM_IMPL_H

#include "dev/comm.h"

struct comm {
	struct ranks	 ranks;
	int		 next, prev;	/* sockets */
	void		*room;		/* COMM_VALUES of 8 bytes a rank */
};

/* Set both sockets, before progress_now() reaches until. */
int comm_meet(struct comm *c, double until, struct err *err);

#endif
