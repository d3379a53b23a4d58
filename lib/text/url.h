/*
 * url - one name for addresses that lead to one page
 *
 * White space around is dropped; scheme and host are in lower case.  Of http and
 * https, which count as one, as does an address that begins with slashes or a host
 * alone: no scheme, no user, no leading "www.", no dot behind the host, no port
 * that is the scheme's own; an empty path is "/"; segments . and .. are resolved
 * and slashes at the end dropped; no fragment, but for "#!"; parameters in the
 * order of their bytes, without empty ones, those that only follow a reader about
 * (utm_source, fbclid ...) and session ids (jsessionid, phpsessid, also behind a
 * semicolon).  In all of it, what is written %XX needlessly is written plainly,
 * and XX in upper case.  Of other schemes the fragment is dropped, and no more.
 */
#ifndef TEXT_URL_H
#define TEXT_URL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* The name, into to, which is emptied first.  Any bytes will do.  Return 0 or -1. */
int url_name(struct buf *to, str url, struct err *err);

#endif
