#include "serve/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/progress.h"
#include "serve/listen.h"

enum { HEADERS = 8 };
#define IDLE_FULL 1.0	/* seconds */

/* A connection; its requests come one after the other. */
struct link {
	struct http	*h;
	struct link	*next, **at;
	uint64_t	 number;	/* no other one's, ever */
	int		 fd;
	double		 since;		/* a request has to come; 0: one is being answered */
	int		 unread;	/* bytes sent that the other side has not taken, */
	double		 taken;		/* and when that was last another number */
	struct http_call *call;
};

struct http_call {
	struct link	*link;
	struct MHD_Connection *c;
	const char	*method, *path;
	struct buf	 body;
	bool		 whole, large;	/* the request is all here; its body is too large */
	const struct http_waiter *w;
	void		*ctx;
	const char	*header[HEADERS][2];
	int		 headers;
	struct MHD_Response *response;
	int		 status;
	bool		 queued;
	char		 peer[64];
	void		*note;
	double		 start;
	/* under http.lock */
	bool		 asleep, woken, gone;
	double		 slept;		/* since when */
};

struct http {
	struct http_options o;
	struct MHD_Daemon *daemon;
	struct listener	 listener;
	pthread_mutex_t	 lock;		/* of links, and of what wakes calls */
	struct link	*links;
	uint64_t	 number;	/* of the last link; the first is 1 */
	int64_t		 n_links;
	pthread_t	 watch;
	int		 epoll, stop[2];	/* stop: a pipe that ends the watch */
	bool		 watching;
};

/* ---- sleep and wake ---- */

/* Under the lock. */
static void
wake(struct http_call *c)
{
	c->woken = true;
	if (c->asleep) {
		c->asleep = false;
		MHD_resume_connection(c->c);
	}
}

void
http_wake(struct http_call *c)
{
	pthread_mutex_lock(&c->link->h->lock);
	wake(c);
	pthread_mutex_unlock(&c->link->h->lock);
}

/* Was it woken since the last time?  If not, it sleeps. */
static bool
was_woken(struct http_call *c)
{
	bool woken;

	pthread_mutex_lock(&c->link->h->lock);
	woken = c->woken || c->gone;
	c->woken = false;
	if (!woken) {
		c->asleep = true;
		c->slept = progress_now();
		MHD_suspend_connection(c->c);
	}
	pthread_mutex_unlock(&c->link->h->lock);
	return woken;
}

static bool
is_gone(struct http_call *c)
{
	bool gone;

	pthread_mutex_lock(&c->link->h->lock);
	gone = c->gone;
	pthread_mutex_unlock(&c->link->h->lock);
	return gone;
}

/* ---- the watch: who went away, and who takes too long ---- */

/* Under the lock.  No more connections are taken on until one is closed. */
static bool
is_full(const struct http *h)
{
	return h->n_links >= h->o.connections;
}

/*
 * Does the other side keep us waiting?  What it sent and we had no time to read is not its
 * delay but ours.  While others wait for a connection, nobody keeps one for long without a
 * request.
 */
static bool
is_late(struct link *l, double now)
{
	const struct http *h = l->h;
	double patience = h->o.patience;
	int n = 0;

	if (l->since > 0) {
		if (l->call == NULL && is_full(h) && patience > IDLE_FULL)
			patience = IDLE_FULL;
		/* Ours has an end, too: it may be that nothing will read it. */
		return now - l->since > patience && (now - l->since > 4 * patience ||
		    (ioctl(l->fd, FIONREAD, &n) == 0 && n == 0));
	}
	if (ioctl(l->fd, TIOCOUTQ, &n) < 0 || n == 0 || n != l->unread) {
		l->unread = n;
		l->taken = now;
	}
	return now - l->taken > patience;
}

static void
look_at_links(struct http *h)
{
	double now = progress_now();

	pthread_mutex_lock(&h->lock);
	for (struct link *l = h->links; l != NULL; l = l->next) {
		struct http_call *c = l->call;

		if (is_late(l, now))
			shutdown(l->fd, SHUT_RDWR);
		else if (c != NULL && c->response != NULL && c->asleep &&
		    now - c->slept > HTTP_SILENCE)
			wake(c);
	}
	pthread_mutex_unlock(&h->lock);
}

/* By number: it may have ended since, and its memory be another's. */
static void
say_gone(struct http *h, uint64_t number)
{
	pthread_mutex_lock(&h->lock);
	for (struct link *l = h->links; l != NULL; l = l->next)
		if (l->number == number && l->call != NULL && l->call->whole) {
			l->call->gone = true;
			wake(l->call);
		}
	pthread_mutex_unlock(&h->lock);
}

static void *
watch(void *ctx)
{
	struct http *h = ctx;
	struct epoll_event ev[64];
	double looked = progress_now();

	for (;;) {
		int n = epoll_wait(h->epoll, ev, 64, 1000);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.u64 == 0)
				return NULL;
			say_gone(h, ev[i].data.u64);
		}
		if (progress_now() - looked > 0.5) {
			look_at_links(h);
			looked = progress_now();
		}
	}
}

/* From now on we want to know when the other side closes. */
static void
watch_for_end(struct http_call *c)
{
	struct epoll_event ev = { .events = EPOLLRDHUP | EPOLLONESHOT,
	    .data.u64 = c->link->number };
	int e = c->link->h->epoll, fd = c->link->fd;

	if (epoll_ctl(e, EPOLL_CTL_MOD, fd, &ev) < 0 && errno == ENOENT)
		epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev);
}

/* ---- answers ---- */

str
http_method(const struct http_call *c)
{
	return str_of(c->method);
}

str
http_path(const struct http_call *c)
{
	return str_of(c->path);
}

str
http_body(const struct http_call *c)
{
	return buf_str(&c->body);
}

str
http_header(const struct http_call *c, const char *name)
{
	const char *s = MHD_lookup_connection_value(c->c, MHD_HEADER_KIND, name);

	return s == NULL ? (str){ NULL, 0 } : str_of(s);
}

const char *
http_peer(const struct http_call *c)
{
	return c->peer;
}

int
http_status(const struct http_call *c)
{
	return c->status;
}

void
http_note(struct http_call *c, void *note)
{
	c->note = note;
}

void *
http_noted(const struct http_call *c)
{
	return c->note;
}

void
http_wait(struct http_call *c, const struct http_waiter *w, void *ctx)
{
	c->w = w;
	c->ctx = ctx;
}

void
http_set(struct http_call *c, const char *name, const char *value)
{
	if (c->headers < HEADERS) {
		c->header[c->headers][0] = name;
		c->header[c->headers++][1] = value;
	}
}

static void
set_response(struct http_call *c, int status, const char *type, struct MHD_Response *r)
{
	struct http *h = c->link->h;
	bool full;

	c->status = status;
	pthread_mutex_lock(&h->lock);
	c->response = r;
	full = is_full(h);
	pthread_mutex_unlock(&h->lock);
	if (r == NULL)
		return;
	if (full)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	if (type != NULL)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	for (int i = 0; i < c->headers; i++)
		MHD_add_response_header(r, c->header[i][0], c->header[i][1]);
}

void
http_answer(struct http_call *c, int status, const char *type, str body)
{
	set_response(c, status, type, MHD_create_response_from_buffer((size_t)body.n,
	    (void *)(uintptr_t)body.p, MHD_RESPMEM_MUST_COPY));
}

static ssize_t
read_stream(void *ctx, uint64_t pos, char *to, size_t n)
{
	struct http_call *c = ctx;

	(void)pos;
	for (;;) {
		ptrdiff_t got;

		/*
		 * libmicrohttpd 0.9.75 forgets a connection whose reader tells of an
		 * error, with its descriptor: what it writes shall fail instead.
		 */
		if (is_gone(c)) {
			shutdown(c->link->fd, SHUT_RDWR);
			return MHD_CONTENT_READER_END_OF_STREAM;
		}
		if ((got = c->w->read(c->ctx, to, (ptrdiff_t)n)) > 0)
			return got;
		if (got < 0)
			return MHD_CONTENT_READER_END_OF_STREAM;
		if (!was_woken(c))
			return 0;
	}
}

void
http_stream(struct http_call *c, int status, const char *type)
{
	set_response(c, status, type, MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384,
	    read_stream, c, NULL));
}

/* ---- requests ---- */

static void
free_call(struct http_call *c)
{
	if (c->response != NULL && !c->queued)
		MHD_destroy_response(c->response);
	buf_free(&c->body);
	free(c);
}

static struct http_call *
new_call(struct link *l, struct MHD_Connection *mc, const char *path, const char *method)
{
	struct http_call *c = calloc(1, sizeof(*c));
	const union MHD_ConnectionInfo *info;

	if (c == NULL)
		return NULL;
	*c = (struct http_call){ .link = l, .c = mc, .path = path, .method = method,
	    .body = { .limit = l->h->o.body } };
	info = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	listener_peer(info == NULL ? NULL : info->client_addr, c->peer, sizeof(c->peer));
	pthread_mutex_lock(&l->h->lock);
	l->call = c;
	pthread_mutex_unlock(&l->h->lock);
	return c;
}

static enum MHD_Result
queue(struct http_call *c)
{
	enum MHD_Result ret = MHD_NO;

	if (c->response != NULL) {
		ret = MHD_queue_response(c->c, (unsigned)c->status, c->response);
		MHD_destroy_response(c->response);
	}
	c->queued = true;
	return ret;
}

/* Requests that nobody need look at. */
#define REFUSAL(what) S("{\"error\":{\"message\":\"" what "\"," \
    "\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}")

static enum MHD_Result
refuse(struct http_call *c, int status, str body)
{
	http_answer(c, status, "application/json", body);
	return queue(c);
}

static enum MHD_Result
refuse_large(struct http_call *c)
{
	return refuse(c, 413, REFUSAL("the body is too large"));
}

static enum MHD_Result
count_hosts(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
	(void)kind;
	(void)value;
	*(int *)ctx += strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0;
	return MHD_YES;
}

/* The headers are here; of the body there may be a length. */
static enum MHD_Result
begin(struct http_call *c)
{
	int hosts = 0;
	str length = http_header(c, MHD_HTTP_HEADER_CONTENT_LENGTH);

	if (length.p != NULL && strtoll(length.p, NULL, 10) > c->link->h->o.body)
		return refuse_large(c);
	/* Which of two would be ours, who can tell? */
	MHD_get_connection_values(c->c, MHD_HEADER_KIND, count_hosts, &hosts);
	return hosts > 1 ? refuse(c, 400, REFUSAL("two Host headers")) : MHD_YES;
}

static enum MHD_Result
more_body(struct http_call *c, const char *p, size_t *n)
{
	/* The answer is told when all has come; who sends on and on is not heard out. */
	if (c->large && c->body.n + (int64_t)*n > 4 * c->link->h->o.body)
		return MHD_NO;
	if (!c->large) {
		buf_add(&c->body, (str){ p, (ptrdiff_t)*n });
		c->large = c->body.failed;
	}
	if (c->large)
		c->body.n += (ptrdiff_t)*n;
	*n = 0;
	return MHD_YES;
}

/* All is here: once; then each time that it was woken, until it is answered. */
static enum MHD_Result
whole(struct http_call *c)
{
	struct http *h = c->link->h;

	if (c->large) {
		c->body.n = 0;
		return refuse_large(c);
	}
	if (!c->whole) {
		pthread_mutex_lock(&h->lock);
		c->whole = true;
		c->link->since = 0;
		c->link->unread = 0;
		pthread_mutex_unlock(&h->lock);
		c->start = progress_now();
		h->o.handle(h->o.ctx, c);
		if (c->response == NULL && c->w != NULL)
			watch_for_end(c);
	}
	while (c->response == NULL && c->w != NULL) {
		if (!was_woken(c))
			return MHD_YES;
		if (is_gone(c))
			return MHD_NO;
		c->w->ready(c->ctx, c);
	}
	return queue(c);
}

static enum MHD_Result
on_request(void *ctx, struct MHD_Connection *mc, const char *path, const char *method,
    const char *version, const char *data, size_t *n, void **at)
{
	struct http_call *c = *at;
	const union MHD_ConnectionInfo *info;

	(void)ctx;
	(void)version;
	if (c == NULL) {
		info = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
		if (info == NULL || info->socket_context == NULL ||
		    (c = new_call(info->socket_context, mc, path, method)) == NULL)
			return MHD_NO;
		*at = c;
		return begin(c);
	}
	return *n > 0 ? more_body(c, data, n) : whole(c);
}

static void
on_completed(void *ctx, struct MHD_Connection *mc, void **at,
    enum MHD_RequestTerminationCode how)
{
	struct http_call *c = *at;
	struct http *h = ctx;

	(void)mc;
	if (c == NULL)
		return;
	*at = NULL;
	if (c->w != NULL)
		c->w->end(c->ctx, how == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	if (c->start > 0)
		h->o.over(h->o.ctx, c, c->status, progress_now() - c->start,
		    how == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	pthread_mutex_lock(&h->lock);
	c->link->call = NULL;
	c->link->since = progress_now();
	pthread_mutex_unlock(&h->lock);
	free_call(c);
}

static void
on_connection(void *ctx, struct MHD_Connection *mc, void **at,
    enum MHD_ConnectionNotificationCode what)
{
	struct http *h = ctx;
	struct link *l = *at;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info =
		    MHD_get_connection_info(mc, MHD_CONNECTION_INFO_CONNECTION_FD);

		if ((l = calloc(1, sizeof(*l))) == NULL)
			return;
		*l = (struct link){ .h = h, .fd = info->connect_fd, .since = progress_now() };
		pthread_mutex_lock(&h->lock);
		l->number = ++h->number;
		l->next = h->links;
		l->at = &h->links;
		if (l->next != NULL)
			l->next->at = &l->next;
		h->links = l;
		h->n_links++;
		pthread_mutex_unlock(&h->lock);
		*at = l;
	} else if (l != NULL) {
		pthread_mutex_lock(&h->lock);
		h->n_links--;
		*l->at = l->next;
		if (l->next != NULL)
			l->next->at = l->at;
		epoll_ctl(h->epoll, EPOLL_CTL_DEL, l->fd, NULL);
		pthread_mutex_unlock(&h->lock);
		free(l);
		*at = NULL;
	}
}

/* ---- begin and end ---- */

static void
no_log(void *ctx, const char *fmt, va_list ap)
{
	(void)ctx;
	(void)fmt;
	(void)ap;
}

static int
start_watch(struct http *h, struct err *err)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 0 };

	if ((h->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0 || pipe(h->stop) < 0 ||
	    epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->stop[0], &ev) < 0)
		return err_sys(err, "the server's connections");
	if (pthread_create(&h->watch, NULL, watch, h) != 0)
		return err_set(err, ERR_NOMEM, "a thread cannot be started");
	h->watching = true;
	return 0;
}

static int
start(struct http *h, struct err *err)
{
	if (listener_open(&h->listener, h->o.host, h->o.port, h->o.path, err) < 0 ||
	    start_watch(h, err) < 0)
		return -1;
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
	    MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, NULL,
	    MHD_OPTION_EXTERNAL_LOGGER, no_log, NULL,
	    MHD_OPTION_LISTEN_SOCKET, h->listener.fd,
	    MHD_OPTION_STRICT_FOR_CLIENT, 1,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)h->o.connections,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)32768,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
	    MHD_OPTION_END);
	if (h->daemon == NULL)
		return err_sys(err, "the HTTP server does not start");
	return 0;
}

struct http *
http_open(const struct http_options *o, struct err *err)
{
	struct http *h = calloc(1, sizeof(*h));

	if (h == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	h->o = *o;
	h->epoll = h->stop[0] = h->stop[1] = h->listener.fd = -1;
	pthread_mutex_init(&h->lock, NULL);
	if (start(h, err) < 0) {
		http_close(h);
		return NULL;
	}
	return h;
}

int
http_port(const struct http *h)
{
	return h->listener.port;
}

int
http_answering(struct http *h)
{
	int n = 0;

	pthread_mutex_lock(&h->lock);
	for (const struct link *l = h->links; l != NULL; l = l->next)
		n += l->call != NULL && l->call->whole;
	pthread_mutex_unlock(&h->lock);
	return n;
}

void
http_refuse(struct http *h)
{
	int fd = MHD_quiesce_daemon(h->daemon);

	if (fd >= 0)
		listener_close(&h->listener);
}

/* Those that sleep are woken to end: libmicrohttpd waits for them else. */
static void
end_all(struct http *h)
{
	pthread_mutex_lock(&h->lock);
	for (struct link *l = h->links; l != NULL; l = l->next) {
		if (l->call != NULL && l->call->whole) {
			l->call->gone = true;
			wake(l->call);
		}
	}
	pthread_mutex_unlock(&h->lock);
}

void
http_close(struct http *h)
{
	if (h == NULL)
		return;
	if (h->watching) {
		if (write(h->stop[1], "", 1) == 1)
			pthread_join(h->watch, NULL);
	}
	if (h->daemon != NULL) {
		http_refuse(h);
		end_all(h);
		MHD_stop_daemon(h->daemon);
	}
	listener_close(&h->listener);
	if (h->stop[0] >= 0) {
		close(h->stop[0]);
		close(h->stop[1]);
	}
	if (h->epoll >= 0)
		close(h->epoll);
	pthread_mutex_destroy(&h->lock);
	free(h);
}
