#include "serve/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 2048 };

/* A socket that nobody listens on any more is in the way. */
static void
remove_stale(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	if (fd < 0)
		return;
	if (lstat(a->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 && errno == ECONNREFUSED)
		unlink(a->sun_path);
	close(fd);
}

static int
open_unix(struct listener *l, const char *path, struct err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(err, ERR_ARG, "%s: more than %zu bytes, for a socket", path,
		    sizeof(a.sun_path) - 1);
	memcpy(a.sun_path, path, strlen(path));
	remove_stale(&a);
	if ((l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0 ||
	    bind(l->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_sys(err, "%s", path);
	l->path = path;
	return listen(l->fd, BACKLOG) < 0 ? err_sys(err, "%s", path) : 0;
}

static int
port_of(int fd)
{
	union {
		struct sockaddr		 any;
		struct sockaddr_in	 v4;
		struct sockaddr_in6	 v6;
	} a;
	socklen_t n = sizeof(a);

	if (getsockname(fd, &a.any, &n) < 0)
		return 0;
	return ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
}

static int
bind_to(struct listener *l, const struct addrinfo *a)
{
	int on = 1;

	l->fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return -1;
	setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(l->fd, a->ai_addr, a->ai_addrlen) == 0 && listen(l->fd, BACKLOG) == 0)
		return 0;
	close(l->fd);
	l->fd = -1;
	return -1;
}

static int
resolve(const char *host, const char *port, struct addrinfo **all)
{
	struct addrinfo hint = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };

	return getaddrinfo(host, port, &hint, all);
}

static int
open_inet(struct listener *l, const char *host, int port, struct err *err)
{
	struct addrinfo *all;
	char service[16];
	int got;

	snprintf(service, sizeof(service), "%d", port);
	if ((got = resolve(host, service, &all)) != 0)
		return err_set(err, ERR_ARG, "%s: %s", host, gai_strerror(got));
	for (const struct addrinfo *a = all; a != NULL; a = a->ai_next)
		if (bind_to(l, a) == 0)
			break;
	if (l->fd < 0)
		err_sys(err, "%s port %d", host, port);
	freeaddrinfo(all);
	if (l->fd < 0)
		return -1;
	l->port = port_of(l->fd);
	return 0;
}

int
listener_open(struct listener *l, const char *host, int port, const char *path, struct err *err)
{
	*l = (struct listener){ .fd = -1 };
	if ((path != NULL ? open_unix(l, path, err) : open_inet(l, host, port, err)) == 0)
		return 0;
	listener_close(l);
	return -1;
}

void
listener_close(struct listener *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	if (l->path != NULL)
		unlink(l->path);
	l->path = NULL;
}

static bool
is_loopback(const struct sockaddr *a)
{
	if (a->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24
		    == 127;
	return a->sa_family == AF_INET6 &&
	    IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

bool
listener_is_local(const char *host)
{
	struct addrinfo *all;
	bool local = true;

	if (resolve(host, NULL, &all) != 0)
		return false;
	for (const struct addrinfo *a = all; a != NULL; a = a->ai_next)
		local = local && is_loopback(a->ai_addr);
	freeaddrinfo(all);
	return local;
}

void
listener_peer(const struct sockaddr *a, char *to, size_t n)
{
	const void *p = NULL;

	if (a != NULL && a->sa_family == AF_INET)
		p = &((const struct sockaddr_in *)(const void *)a)->sin_addr;
	else if (a != NULL && a->sa_family == AF_INET6)
		p = &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
	if (p == NULL || inet_ntop(a->sa_family, p, to, (socklen_t)n) == NULL)
		snprintf(to, n, "unix");
}

int64_t
listener_room(int64_t connections)
{
	enum { OTHERS = 64 }; /* files */
	rlim_t want = (rlim_t)connections + OTHERS;
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < want) {
		r.rlim_cur = r.rlim_max < want ? r.rlim_max : want;
		setrlimit(RLIMIT_NOFILE, &r);
	}
	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= want)
		return connections;
	return (int64_t)(r.rlim_cur > (rlim_t)2 * OTHERS ? r.rlim_cur - OTHERS : r.rlim_cur / 2);
}
