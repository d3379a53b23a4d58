#include "client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http.h"

enum { READ = 65536, EVENTS = 256 };
#define TICK 0.005

struct conn {
	int		 fd;
	struct exchange	*e;		/* NULL: idle */
	ptrdiff_t	 sent;
	double		 next;		/* when to read or send again, of who does so slowly */
	bool		 connected, waits_out, retried;
	struct answer_parser in;
	struct conn	*link;		/* of the idle ones */
	int64_t		 at;		/* in client.all */
};

struct client {
	struct sockaddr_in to;
	void		(*done)(void *, struct exchange *);
	void		*ctx;
	int		 epoll;
	struct conn	**all;
	int64_t		 n, cap, open;
	struct conn	*idle, *dead;
	double		 ticked;
};

double
client_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void
exchange_init(struct exchange *e)
{
	*e = (struct exchange){ .cancel = -1, .patience = 60 };
}

void
exchange_reset(struct exchange *e)
{
	buf_free(&e->request);
	buf_free(&e->body);
	free(e->event);
	exchange_init(e);
}

struct client *
client_new(const struct sockaddr_in *to, void (*done)(void *, struct exchange *), void *ctx,
    struct err *err)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	*c = (struct client){ .to = *to, .done = done, .ctx = ctx };
	if ((c->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0) {
		err_sys(err, "epoll");
		free(c);
		return NULL;
	}
	return c;
}

/* Its memory stays until the events at hand have been looked at. */
static void
drop(struct client *c, struct conn *k)
{
	close(k->fd);
	c->all[k->at] = c->all[--c->n];
	c->all[k->at]->at = k->at;
	k->fd = -1;
	k->e = NULL;
	k->link = c->dead;
	c->dead = k;
}

static void
bury(struct client *c)
{
	while (c->dead != NULL) {
		struct conn *k = c->dead;

		c->dead = k->link;
		parser_free(&k->in);
		free(k);
	}
}

static void
finish(struct client *c, struct conn *k, enum exchange_end end)
{
	struct exchange *e = k->e;

	e->end = end;
	e->over = client_now();
	k->e = NULL;
	c->open--;
	if (end == END_ANSWERED && !e->fresh && e->keeps && !e->shut && e->sent > 0) {
		parser_begin(&k->in);
		k->sent = 0;
		k->retried = false;
		k->link = c->idle;
		c->idle = k;
	} else {
		drop(c, k);
	}
	c->done(c->ctx, e);
}

static void
fail(struct client *c, struct exchange *e, const char *why)
{
	e->end = END_UNREACHED;
	e->why = why;
	e->over = client_now();
	c->done(c->ctx, e);
}

/* What epoll is to tell us of it. */
static void
listen_for(struct client *c, struct conn *k, bool out)
{
	struct epoll_event ev = { .data.ptr = k };

	if (k->e != NULL && k->e->sip == 0)
		ev.events |= EPOLLIN;
	if (out)
		ev.events |= EPOLLOUT;
	k->waits_out = out;
	epoll_ctl(c->epoll, EPOLL_CTL_MOD, k->fd, &ev);
}

/* A new connection for e, or NULL, and why. */
static struct conn *
dial(struct client *c, struct exchange *e, const char **why)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT };
	struct conn *k = calloc(1, sizeof(*k));
	int one = 1, small = 2048;

	*why = "memory";
	if (k == NULL)
		return NULL;
	if (c->n == c->cap) {
		int64_t cap = c->cap * 2 + 64;
		struct conn **all = realloc(c->all, (size_t)cap * sizeof(*all));

		if (all == NULL) {
			free(k);
			return NULL;
		}
		c->all = all;
		c->cap = cap;
	}
	k->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ev.data.ptr = k;
	*why = "no socket";
	if (k->fd < 0) {
		free(k);
		return NULL;
	}
	setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (e->sip > 0)
		setsockopt(k->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	*why = "connection refused";
	if ((connect(k->fd, (const struct sockaddr *)&c->to, sizeof(c->to)) < 0 &&
	    errno != EINPROGRESS) || epoll_ctl(c->epoll, EPOLL_CTL_ADD, k->fd, &ev) < 0) {
		close(k->fd);
		free(k);
		return NULL;
	}
	k->waits_out = true;
	k->at = c->n;
	c->all[c->n++] = k;
	parser_begin(&k->in);
	return k;
}

static void send_more(struct client *c, struct conn *k);

void
client_begin(struct client *c, struct exchange *e)
{
	struct conn *k = c->idle;
	const char *why;

	e->end = END_OPEN;
	e->began = client_now();
	e->reused = k != NULL && !e->fresh && e->sip == 0;
	if (e->reused)
		c->idle = k->link;
	else if ((k = dial(c, e, &why)) == NULL) {
		fail(c, e, why);
		return;
	}
	c->open++;
	k->e = e;
	if (k->connected) {
		listen_for(c, k, false);
		send_more(c, k);
	}
}

/* It closed a connection that it had kept open: the request goes to another one, once. */
static bool
again(struct client *c, struct conn *k)
{
	struct exchange *e = k->e;
	const char *why;

	if (!e->reused || k->in.any)
		return false;
	drop(c, k);
	e->reused = false;
	e->sent = 0;
	if ((k = dial(c, e, &why)) == NULL) {
		c->open--;
		fail(c, e, why);
		return true;
	}
	k->e = e;
	return true;
}

static void
closed(struct client *c, struct conn *k)
{
	if (again(c, k))
		return;
	if (parser_eof(&k->in))
		finish(c, k, END_ANSWERED);
	else
		finish(c, k, END_CLOSED);
}

static void
send_more(struct client *c, struct conn *k)
{
	struct exchange *e = k->e;
	ptrdiff_t all = e->half ? e->request.n / 2 : e->request.n;

	while (k->sent < all) {
		ptrdiff_t n = e->drip > 0 ? 1 : all - k->sent;
		ssize_t got = send(k->fd, e->request.p + k->sent, (size_t)n, MSG_NOSIGNAL);

		if (got < 0 && errno == EAGAIN) {
			listen_for(c, k, true);
			return;
		}
		if (got < 0) {
			/* It may have answered before it closed: read on. */
			k->sent = all;
			listen_for(c, k, false);
			return;
		}
		k->sent += got;
		if (e->drip > 0) {
			k->next = client_now() + e->drip;
			break;
		}
	}
	if (k->sent == all && e->sent == 0 && !e->half) {
		e->sent = client_now();
		if (e->shut)
			shutdown(k->fd, SHUT_WR);
		if (e->cancel == 0) {
			finish(c, k, END_CANCELLED);
			return;
		}
	}
	if (k->waits_out)
		listen_for(c, k, false);
}

/* Some bytes came: they end it, or not. */
static void
take(struct client *c, struct conn *k, const char *p, ptrdiff_t n)
{
	struct exchange *e = k->e;
	int got = parser_take(&k->in, e, (str){ p, n }, client_now());

	if (got < 0)
		finish(c, k, END_BROKEN);
	else if (got > 0)
		finish(c, k, END_ANSWERED);
	else if (e->cancel > 0 && e->n_event >= e->cancel)
		finish(c, k, END_CANCELLED);
}

static void
read_more(struct client *c, struct conn *k)
{
	static char bytes[READ];

	while (k->e != NULL) {
		struct exchange *e = k->e;
		ptrdiff_t sip = e->sip, n = sip > 0 ? sip : READ;
		ssize_t got = recv(k->fd, bytes, (size_t)n, 0);

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0) {
			closed(c, k);
			return;
		}
		take(c, k, bytes, got);
		/* e may be over, and gone. */
		if (k->fd < 0 || k->e != e || sip > 0 || got < n)
			return;
	}
}

static void
on_event(struct client *c, struct conn *k, uint32_t what)
{
	if (k->fd < 0)
		return;
	if (k->e == NULL) {
		/* An idle one was closed, or told something that nobody asked for. */
		if (what & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
			struct conn **at = &c->idle;

			while (*at != NULL && *at != k)
				at = &(*at)->link;
			if (*at == k)
				*at = k->link;
			drop(c, k);
		}
		return;
	}
	if (!k->connected && (what & EPOLLOUT) && !(what & EPOLLERR)) {
		k->connected = true;
		listen_for(c, k, false);
		send_more(c, k);
	} else if (!k->connected && (what & (EPOLLERR | EPOLLHUP))) {
		k->e->why = "connection refused";
		finish(c, k, END_UNREACHED);
		return;
	} else if (what & EPOLLOUT) {
		send_more(c, k);
	}
	if (k->fd >= 0 && k->e != NULL && (what & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		read_more(c, k);
}

/* Who is slow, and whose time is over. */
static void
tick(struct client *c, double now)
{
	for (int64_t i = 0; i < c->n; i++) {
		struct conn *k = c->all[i];
		struct exchange *e = k->e;

		if (e == NULL)
			continue;
		if (now - e->began > e->patience) {
			finish(c, k, END_LATE);
		} else if (e->leave > 0 && e->sent > 0 && now - e->sent > e->leave) {
			finish(c, k, END_CANCELLED);
		} else if (k->connected && e->drip > 0 && k->next <= now &&
		    k->sent < e->request.n) {
			send_more(c, k);
		} else if (k->connected && e->sip > 0 && k->next <= now) {
			k->next = now + SIP_PAUSE;
			read_more(c, k);
		}
	}
}

void
client_step(struct client *c, double wait)
{
	struct epoll_event ev[EVENTS];
	double now = client_now(), until = now + wait;

	do {
		double pause = until - now < TICK ? until - now : TICK;
		int n = epoll_wait(c->epoll, ev, EVENTS, pause > 0 ? (int)(pause * 1e3 + 0.999) : 0);

		for (int i = 0; i < n; i++)
			on_event(c, ev[i].data.ptr, ev[i].events);
		now = client_now();
		if (now - c->ticked > TICK) {
			c->ticked = now;
			tick(c, now);
		}
		bury(c);
		if (n > 0)
			return;
	} while (now < until);
}

int64_t
client_open(const struct client *c)
{
	return c->open;
}

void
client_cancel(struct client *c)
{
	for (int64_t i = c->n - 1; i >= 0; i--)
		if (i < c->n && c->all[i]->e != NULL)
			finish(c, c->all[i], END_CANCELLED);
	bury(c);
}

void
client_free(struct client *c)
{
	while (c->n > 0)
		drop(c, c->all[c->n - 1]);
	bury(c);
	close(c->epoll);
	free(c->all);
	free(c);
}
