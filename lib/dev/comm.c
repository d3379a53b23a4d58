#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/progress.h"
#include "dev/comm_impl.h"

struct comm *
comm_open(const struct ranks *r, double seconds, struct err *err)
{
	struct comm *c = calloc(1, sizeof(*c));

	if (c != NULL)
		c->room = calloc((size_t)r->size * COMM_VALUES, sizeof(int64_t));
	if (c == NULL || c->room == NULL) {
		free(c);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	c->ranks = *r;
	c->next = c->prev = -1;
	if (r->size > 1 && comm_meet(c, progress_now() + seconds, err) < 0) {
		comm_close(c);
		return NULL;
	}
	return c;
}

void
comm_close(struct comm *c)
{
	if (c == NULL)
		return;
	if (c->next >= 0)
		close(c->next);
	if (c->prev >= 0)
		close(c->prev);
	free(c->room);
	free(c);
}

int
comm_rank(const struct comm *c)
{
	return c != NULL ? c->ranks.rank : 0;
}

int
comm_size(const struct comm *c)
{
	return c != NULL ? c->ranks.size : 1;
}

/* The neighbour so many places on. */
static int
neighbour(const struct comm *c, int on)
{
	return (c->ranks.rank + on + c->ranks.size) % c->ranks.size;
}

static int
gone(const struct comm *c, int on, struct err *err)
{
	const char *why = errno != 0 ? strerror(errno) : "it ended";

	return err_set(err, ERR_DEVICE, "rank %d: rank %d is gone: %s; its own message says more",
	    c->ranks.rank, neighbour(c, on), why);
}

/* What a call sent or received: bytes, 0 to try again, -1 when there is nobody. */
static ssize_t
moved(ssize_t n, bool receiving)
{
	if (n > 0)
		return n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (receiving && n == 0)
		errno = 0;
	return -1;
}

int
comm_exchange(struct comm *c, const void *out, int64_t n_out, void *in, int64_t n_in,
    struct err *err)
{
	const char *from = out;
	char *to = in;

	while (n_out > 0 || n_in > 0) {
		struct pollfd p[] = { { n_out > 0 ? c->next : -1, POLLOUT, 0 },
		    { n_in > 0 ? c->prev : -1, POLLIN, 0 } };
		ssize_t n;

		if (poll(p, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(err, "cannot wait for other ranks");
		}
		if (p[0].revents != 0) {
			n = moved(send(c->next, from, (size_t)n_out, MSG_NOSIGNAL), false);
			if (n < 0)
				return gone(c, 1, err);
			from += n;
			n_out -= n;
		}
		if (p[1].revents != 0) {
			n = moved(recv(c->prev, to, (size_t)n_in, 0), true);
			if (n < 0)
				return gone(c, -1, err);
			to += n;
			n_in -= n;
		}
	}
	return 0;
}

int
comm_alive(struct comm *c, struct err *err)
{
	struct pollfd p = { c->next, POLLRDHUP, 0 };
	char byte;

	if (c->ranks.size == 1)
		return 0;
	if (moved(recv(c->prev, &byte, 1, MSG_PEEK | MSG_DONTWAIT), true) < 0)
		return gone(c, -1, err);
	if (poll(&p, 1, 0) <= 0)
		return 0;
	errno = 0;
	return gone(c, 1, err);
}

int
comm_gather(struct comm *c, const void *mine, void *all, int64_t bytes, struct err *err)
{
	int size = comm_size(c);
	char *to = all;

	memcpy(to + comm_rank(c) * bytes, mine, (size_t)bytes);
	for (int s = 0; s < size - 1; s++)
		if (comm_exchange(c, to + neighbour(c, -s) * bytes, bytes,
		    to + neighbour(c, -s - 1) * bytes, bytes, err) < 0)
			return -1;
	return 0;
}

int
comm_barrier(struct comm *c, struct err *err)
{
	return c == NULL ? 0 : comm_gather(c, &c->ranks.rank, c->room, sizeof(c->ranks.rank), err);
}

/* What each rank has, in c->room, and NULL at an error. */
static const void *
gathered(struct comm *c, const void *mine, size_t bytes, struct err *err)
{
	return comm_gather(c, mine, c->room, (int64_t)bytes, err) < 0 ? NULL : c->room;
}

int
comm_sum(struct comm *c, int64_t *x, int n, struct err *err)
{
	const int64_t *all;

	if (c == NULL)
		return 0;
	if ((all = gathered(c, x, (size_t)n * sizeof(*x), err)) == NULL)
		return -1;
	memset(x, 0, (size_t)n * sizeof(*x));
	for (int i = 0; i < c->ranks.size * n; i++)
		x[i % n] += all[i];
	return 0;
}

int
comm_sum_f64(struct comm *c, double *x, struct err *err)
{
	const double *all;

	if (c == NULL)
		return 0;
	if ((all = gathered(c, x, sizeof(*x), err)) == NULL)
		return -1;
	*x = 0;
	for (int r = 0; r < c->ranks.size; r++)
		*x += all[r];
	return 0;
}

int
comm_max(struct comm *c, int64_t *x, struct err *err)
{
	const int64_t *all;

	if (c == NULL)
		return 0;
	if ((all = gathered(c, x, sizeof(*x), err)) == NULL)
		return -1;
	for (int r = 0; r < c->ranks.size; r++)
		*x = all[r] > *x ? all[r] : *x;
	return 0;
}

int
comm_same(struct comm *c, uint64_t x, const char *what, struct err *err)
{
	const uint64_t *all;

	if (c == NULL)
		return 0;
	if ((all = gathered(c, &x, sizeof(x), err)) == NULL)
		return -1;
	for (int r = 0; r < c->ranks.size; r++)
		if (all[r] != all[0])
			return err_set(err, ERR_ARG, "rank %d has other %s than rank 0", r, what);
	return 0;
}
