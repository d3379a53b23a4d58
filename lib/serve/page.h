/*
 * page - the web pages of the server, which the library holds
 *
 * Those of lib/serve/page, with their style sheets and scripts in them, as scripts/pages
 * makes them.  Nothing is allocated: what a page points to is there as long as the program.
 */
#ifndef SERVE_PAGE_H
#define SERVE_PAGE_H

#include <stdbool.h>

#include "base/str.h"

/*
 * What a server has to send with each as Content-Security-Policy, so that text of a model
 * can never act: no script but ours, by their hashes, and no other server.
 */
extern const char page_policy[];

struct page {
	const char	*type;		/* for Content-Type */
	str		 body;
	char		 etag[19];	/* XXH3 of the body, in HTTP's quotes */
};

/* The page at a path: "/", "/status" or "/icon.svg". */
bool page_find(str path, struct page *page);

#endif
