/*
 * page - the web pages of the server, which the library holds
 *
 * The files of lib/serve/page; what a page asks for as one style sheet or one
 * script holds the modules that this is made of, too.  Nothing is allocated: what
 * a page points to is there as long as the program.
 */
#ifndef SERVE_PAGE_H
#define SERVE_PAGE_H

#include <stdbool.h>

#include "base/str.h"

/* What a server has to send with each, so that text of a model can never act:
 * no script but ours, no other server. */
#define PAGE_POLICY "default-src 'none'; script-src 'self'; style-src 'self'; " \
	"connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; " \
	"frame-ancestors 'none'"

struct page {
	const char	*type;		/* for Content-Type */
	str		 body;
	char		 etag[19];	/* XXH3 of the body, in HTTP's quotes */
};

/* The page at a path: "/", "/status", "/chat.js" and so on. */
bool page_find(str path, struct page *page);

#endif
