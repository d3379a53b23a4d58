/*
 * listen - a socket that connections come to: of an address, or in the file system
 */
#ifndef SERVE_LISTEN_H
#define SERVE_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct sockaddr;

struct listener {
	int		 fd;		/* -1: closed */
	int		 port;
	const char	*path;		/* of a Unix socket, which is removed at the end */
};

/*
 * host is an address or a name; port 0 takes a free one.  With path it is a Unix
 * socket; one that is there and that nobody listens on is replaced.
 */
int listener_open(struct listener *l, const char *host, int port, const char *path,
    struct err *err);
void listener_close(struct listener *l);

/* Does a host name this machine alone? */
bool listener_is_local(const char *host);

/* How many connections may be open at once, of so many; raises the limit of files for it. */
int64_t listener_room(int64_t connections);

/* Write the address of a peer: "127.0.0.1", "::1", "unix". */
void listener_peer(const struct sockaddr *a, char *to, size_t n);

#endif
