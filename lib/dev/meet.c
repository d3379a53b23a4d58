/*
 * How ranks find each other.  Every rank listens; rank 0 where all know it, the
 * others where they can.  Each tells rank 0 its own port, and when all have come,
 * rank 0 tells each where the next one is, and a number that only this ring knows.
 * Then each connects to the next, and is connected to by the one before.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/progress.h"
#include "dev/comm_impl.h"

#define MAGIC "llmring1"

enum { HELLO_SECONDS = 5 };	/* for one that has connected to say who it is */

/* Where somebody listens; n 0: nowhere. */
struct place {
	uint32_t		n;
	struct sockaddr_storage	at;
};

struct hello {
	char		magic[8];
	int32_t		rank, size;
	uint32_t	port;		/* where it listens */
	uint64_t	ticket;		/* 0 before it has one */
};

struct answer {
	uint64_t	ticket;
	struct place	next;		/* nowhere: rank 0, which all know */
};

/* ---- sockets, until a moment: -1 and errno ETIMEDOUT after it ---- */

static int
ready(int fd, short events, double until)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		double left = until - progress_now();
		int n = poll(&p, 1, left > 0 ? (int)fmin(ceil(left * 1e3), 1e6) : 0);

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -1;
		if (progress_now() >= until) {
			errno = ETIMEDOUT;
			return -1;
		}
	}
}

static int
get(int fd, void *p, size_t n, double until)
{
	for (char *to = p; n > 0;) {
		ssize_t r = ready(fd, POLLIN, until) < 0 ? -1 : recv(fd, to, n, 0);

		if (r == 0)
			errno = ECONNRESET;
		if (r == 0 || (r < 0 && errno != EAGAIN && errno != EINTR))
			return -1;
		if (r > 0) {
			to += r;
			n -= (size_t)r;
		}
	}
	return 0;
}

/* What is sent here fits into the system's buffers. */
static int
put(int fd, const void *p, size_t n)
{
	return send(fd, p, n, MSG_NOSIGNAL) == (ssize_t)n ? 0 : -1;
}

static int
connect_to(const struct sockaddr *at, socklen_t n, double until)
{
	int fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), why = 0;
	socklen_t size = sizeof(why);

	if (fd < 0)
		return -1;
	if (connect(fd, at, n) == 0)
		return fd;
	why = errno;
	if (why == EINPROGRESS && ready(fd, POLLOUT, until) < 0)
		why = errno;
	else if (why == EINPROGRESS)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size);
	if (why == 0)
		return fd;
	close(fd);
	errno = why;
	return -1;
}

static int
listen_at(const struct sockaddr *at, socklen_t n, int backlog)
{
	int fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, at, n) == 0 && listen(fd, backlog) == 0)
		return fd;
	close(fd);
	return -1;
}

static in_port_t *
port_of(struct sockaddr_storage *at)
{
	return at->ss_family == AF_INET6 ? &((struct sockaddr_in6 *)at)->sin6_port :
	    &((struct sockaddr_in *)at)->sin_port;
}

/* The next one that says who it is, and where it came from; others are sent away. */
static int
accept_hello(int listener, struct hello *h, struct place *from, double until)
{
	for (;;) {
		double soon = fmin(until, progress_now() + HELLO_SECONDS);
		socklen_t n = sizeof(from->at);
		int fd;

		if (ready(listener, POLLIN, until) < 0)
			return -1;
		fd = accept4(listener, (struct sockaddr *)&from->at, &n,
		    SOCK_CLOEXEC | SOCK_NONBLOCK);
		/* Asked again, these would say the same; others are of that connection. */
		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
			return -1;
		if (fd < 0)
			continue;
		from->n = n;
		if (get(fd, h, sizeof(*h), soon) == 0 &&
		    memcmp(h->magic, MAGIC, sizeof(h->magic)) == 0)
			return fd;
		close(fd);
	}
}

static struct hello
hello_of(const struct comm *c, uint32_t port, uint64_t ticket)
{
	struct hello h = { .rank = c->ranks.rank, .size = c->ranks.size, .port = port,
	    .ticket = ticket };

	memcpy(h.magic, MAGIC, sizeof(h.magic));
	return h;
}

/* ---- rank 0 ---- */

struct guest {
	int		fd;
	struct place	at;
};

static int
missing(const struct comm *c, const struct guest *guest, double waited, struct err *err)
{
	int first = 0, n = 0;

	for (int i = c->ranks.size - 1; i > 0; i--)
		if (guest[i].fd < 0) {
			first = i;
			n++;
		}
	return err_set(err, ERR_DEVICE, "rank 0: %d of the other %d ranks did not come to %s:%s in "
	    "%.0f s, rank %d among them", n, c->ranks.size - 1, c->ranks.host, c->ranks.port,
	    waited, first);
}

static int
gather_guests(struct comm *c, int listener, struct guest *guest, double until, struct err *err)
{
	double since = progress_now();

	for (int n = 1; n < c->ranks.size; n++) {
		struct place from;
		struct hello h;
		int fd = accept_hello(listener, &h, &from, until);

		if (fd < 0 && errno != ETIMEDOUT)
			return err_sys(err, "rank 0: cannot take a connection");
		if (fd < 0)
			return missing(c, guest, progress_now() - since, err);
		if (h.size != c->ranks.size || h.rank < 1 || h.rank >= h.size ||
		    guest[h.rank].fd >= 0) {
			close(fd);
			return err_set(err, ERR_ARG, "rank 0: rank %d of %d came to %s:%s, where "
			    "%d meet: is it another run's?  MASTER_PORT keeps them apart", h.rank,
			    h.size, c->ranks.host, c->ranks.port, c->ranks.size);
		}
		*port_of(&from.at) = htons((uint16_t)h.port);
		guest[h.rank] = (struct guest){ fd, from };
	}
	return 0;
}

/* All come, and are told where the next one is. */
static int
receive(struct comm *c, int listener, struct answer *own, double until, struct err *err)
{
	struct guest *guest = calloc((size_t)c->ranks.size + 1, sizeof(*guest));
	int ret = -1;

	if (guest == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i <= c->ranks.size; i++)
		guest[i].fd = -1;
	if (gather_guests(c, listener, guest, until, err) == 0)
		ret = getrandom(&own->ticket, sizeof(own->ticket), 0) < 0 ?
		    err_sys(err, "no random number") : 0;
	own->ticket |= 1;
	own->next = guest[1].at;
	for (int i = 1; ret == 0 && i < c->ranks.size; i++) {
		struct answer a = { .ticket = own->ticket, .next = guest[i + 1].at };

		if (put(guest[i].fd, &a, sizeof(a)) < 0)
			ret = err_sys(err, "rank 0: rank %d has gone again", i);
	}
	for (int i = 1; i < c->ranks.size; i++)
		if (guest[i].fd >= 0)
			close(guest[i].fd);
	free(guest);
	return ret;
}

/* ---- the others ---- */

/* A connection to rank 0, which may not be up yet. */
static int
call_first(struct comm *c, const struct addrinfo *list, double until, struct err *err)
{
	double since = progress_now(), pause = 0.01;

	for (;;) {
		for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
			int fd = connect_to(a->ai_addr, a->ai_addrlen, until);

			if (fd >= 0)
				return fd;
		}
		if (progress_now() + pause >= until)
			return err_sys(err, "rank %d: no rank 0 at %s:%s in %.0f s", c->ranks.rank,
			    c->ranks.host, c->ranks.port, progress_now() - since);
		usleep((useconds_t)(pause * 1e6));
		pause = fmin(pause * 2, 0.5);
	}
}

/* Listen where rank 0 was called from, tell it, and wait until all have come. */
static int
introduce(struct comm *c, int first, int *listener, struct answer *a, double until,
    struct err *err)
{
	struct place own = { .n = sizeof(own.at) };
	struct hello h;

	getsockname(first, (struct sockaddr *)&own.at, &own.n);
	*port_of(&own.at) = 0;
	*listener = listen_at((struct sockaddr *)&own.at, own.n, 4);
	if (*listener < 0)
		return err_sys(err, "rank %d: cannot listen", c->ranks.rank);
	getsockname(*listener, (struct sockaddr *)&own.at, &own.n);
	h = hello_of(c, ntohs(*port_of(&own.at)), 0);
	if (put(first, &h, sizeof(h)) == 0 && get(first, a, sizeof(*a), until) == 0)
		return 0;
	if (errno == ETIMEDOUT)
		return err_set(err, ERR_DEVICE, "rank %d: not all of %d ranks came to rank 0 at "
		    "%s:%s", c->ranks.rank, c->ranks.size, c->ranks.host, c->ranks.port);
	return err_set(err, ERR_DEVICE, "rank %d: rank 0 at %s:%s ended, or is another run's",
	    c->ranks.rank, c->ranks.host, c->ranks.port);
}

/* ---- all ---- */

/* Small pieces go at once, and a machine that is gone is noticed in a minute and a half. */
static void
tune(int fd)
{
	static const struct { int level, name, value; } option[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 }, { SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 30 }, { IPPROTO_TCP, TCP_KEEPINTVL, 10 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 6 }, { IPPROTO_TCP, TCP_USER_TIMEOUT, 90000 },
	};

	for (size_t i = 0; i < sizeof(option) / sizeof(option[0]); i++)
		setsockopt(fd, option[i].level, option[i].name, &option[i].value,
		    sizeof(option[i].value));
}

/* To the next rank, which listens, and from the one before, which calls. */
static int
link_up(struct comm *c, int listener, const struct answer *a, const struct addrinfo *list,
    double until, struct err *err)
{
	int size = c->ranks.size, rank = c->ranks.rank;
	struct hello h = hello_of(c, 0, a->ticket);
	struct place from;

	c->next = a->next.n == 0 ? call_first(c, list, until, err) :
	    connect_to((const struct sockaddr *)&a->next.at, a->next.n, until);
	if (c->next < 0 && a->next.n == 0)
		return -1;
	if (c->next < 0 || put(c->next, &h, sizeof(h)) < 0)
		return err_sys(err, "rank %d: cannot connect to rank %d", rank, (rank + 1) % size);
	tune(c->next);
	do {
		if (c->prev >= 0)
			close(c->prev);
		c->prev = accept_hello(listener, &h, &from, until);
		if (c->prev < 0)
			return err_sys(err, "rank %d: rank %d has not connected", rank,
			    (rank + size - 1) % size);
	} while (h.ticket != a->ticket || h.rank != (rank + size - 1) % size);
	tune(c->prev);
	return 0;
}

/* Rank 0's address as others know it; where it listens it is any, but for this machine's own. */
static int
first_listens(const struct comm *c, const struct addrinfo *list, struct err *err)
{
	struct sockaddr_storage at = { 0 };
	bool own = strncmp(c->ranks.host, "127.", 4) == 0 ||
	    strcmp(c->ranks.host, "localhost") == 0 || strcmp(c->ranks.host, "::1") == 0;
	int fd;

	memcpy(&at, list->ai_addr, list->ai_addrlen);
	if (!own && at.ss_family == AF_INET)
		((struct sockaddr_in *)&at)->sin_addr.s_addr = htonl(INADDR_ANY);
	else if (!own)
		((struct sockaddr_in6 *)&at)->sin6_addr = in6addr_any;
	fd = listen_at((struct sockaddr *)&at, list->ai_addrlen, c->ranks.size);
	if (fd < 0)
		err_sys(err, "rank 0: cannot listen at %s:%s (MASTER_PORT sets another)",
		    c->ranks.host, c->ranks.port);
	return fd;
}

int
comm_meet(struct comm *c, double until, struct err *err)
{
	const struct addrinfo want = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct answer a = { 0 };
	struct addrinfo *list;
	int why = getaddrinfo(c->ranks.host, c->ranks.port, &want, &list), ret = -1;
	int listener = -1, first = -1;

	if (why != 0)
		return err_set(err, ERR_ARG, "rank %d: %s, where rank 0 is: %s (MASTER_ADDR sets "
		    "another)", c->ranks.rank, c->ranks.host, gai_strerror(why));
	if (c->ranks.rank == 0) {
		if ((listener = first_listens(c, list, err)) >= 0)
			ret = receive(c, listener, &a, until, err);
	} else if ((first = call_first(c, list, until, err)) >= 0) {
		ret = introduce(c, first, &listener, &a, until, err);
		close(first);
	}
	if (ret == 0)
		ret = link_up(c, listener, &a, list, until, err);
	if (listener >= 0)
		close(listener);
	freeaddrinfo(list);
	return ret;
}
