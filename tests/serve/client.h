/*
 * client - an HTTP/1.1 client of thousands of connections, for tests of servers
 *
 * One thread and one epoll.  An exchange is the bytes of a request, how they are to be
 * sent and the answer read, and then what came of it; it is the caller's, and its body
 * and events are freed by exchange_reset().  Answers are read strictly: what no client
 * should have to forgive ends an exchange as BROKEN.
 */
#ifndef SERVE_CLIENT_H
#define SERVE_CLIENT_H

#include <netinet/in.h>

#include "base/buf.h"

enum exchange_end {
	END_OPEN,
	END_ANSWERED,
	END_CLOSED,		/* by the server, before its answer was whole */
	END_CANCELLED,		/* by us, as it was asked for */
	END_LATE,		/* patience was over */
	END_BROKEN,		/* the answer is no HTTP: why says what is wrong */
	END_UNREACHED,		/* no connection */
};

struct exchange_event {
	ptrdiff_t	n;	/* bytes of the body up to the end of this event */
	double		at;	/* when they were here */
};

struct exchange {
	/* What to do. */
	struct buf	 request;
	bool		 head;		/* the answer has no body, whatever its headers say */
	bool		 fresh;		/* a connection of its own, closed afterwards */
	bool		 half;		/* send the first half alone, and stay */
	bool		 shut;		/* close our half when all is sent */
	bool		 more;		/* another answer may follow the first: it is not read */
	int		 cancel;	/* close after so many events; -1: never */
	double		 leave;		/* close so long after all was sent; 0: never */
	ptrdiff_t	 sip;		/* bytes read each SIP_PAUSE; 0: all at once; -1: none */
	double		 drip;		/* seconds from a byte sent to the next; 0: all at once */
	double		 patience;	/* seconds for all of it */
	double		 due;		/* when it should begin, for who measures from there; 0 */
	void		*ctx;
	/* What came. */
	enum exchange_end end;
	const char	*why;
	int		 status;
	char		 type[64];	/* Content-Type */
	bool		 retry_after, keeps, reused;
	struct buf	 body;
	struct exchange_event *event;	/* ends of events, of a text/event-stream */
	int64_t		 n_event, cap_event;
	double		 began, sent, over;	/* by client_now(); sent 0: not all */
};

#define SIP_PAUSE 0.01

struct client;

/* done() is told of each exchange, and may begin others. */
struct client *client_new(const struct sockaddr_in *to,
    void (*done)(void *ctx, struct exchange *e), void *ctx, struct err *err);
void client_free(struct client *c);

void exchange_init(struct exchange *e);
void exchange_reset(struct exchange *e);

void client_begin(struct client *c, struct exchange *e);
int64_t client_open(const struct client *c);	/* exchanges that are not over */

/* Go on for at most so many seconds. */
void client_step(struct client *c, double wait);

/* All that are open are cancelled. */
void client_cancel(struct client *c);

double client_now(void);

#endif
