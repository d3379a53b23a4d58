/*
 * The pages of the server: each file is there as it is, with its type and the
 * hash of its bytes, and none of them makes markup of text or asks another
 * server.  What they do in a browser is tests/real/7000-serve-page.py's.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "serve/page.h"
#include "../tap.h"

#define DIRECTORY "lib/serve/page"

static const struct {
	const char *suffix, *type;
} types[] = {
	{ ".html", "text/html; charset=utf-8" },
	{ ".css", "text/css; charset=utf-8" },
	{ ".js", "text/javascript; charset=utf-8" },
	{ ".svg", "image/svg+xml" },
};

/* By which text becomes markup or code, or what the policy does not let through. */
static const char *const banned[] = {
	"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(",
	"Function(", " style=", " onclick=", " onload=", "src=\"http", "href=\"http", "url(", "@import",
};

static bool
has(str body, const char *what)
{
	return memmem(body.p, (size_t)body.n, what, strlen(what)) != NULL;
}

static void
file(const char *name)
{
	static char bytes[1 << 20];
	char path[300], at[320], etag[19];
	struct page page;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/%s", name);
	if (strcmp(name, "chat.html") == 0)
		path[1] = '\0';
	else if (strcmp(name, "status.html") == 0)
		path[strlen(path) - 5] = '\0';
	ok(page_find(str_of(path), &page), path);

	snprintf(at, sizeof(at), DIRECTORY "/%s", name);
	f = fopen(at, "rb");
	n = f != NULL ? fread(bytes, 1, sizeof(bytes), f) : 0;
	if (f != NULL)
		fclose(f);
	ok(n > 0 && str_eq(page.body, (str){ bytes, (ptrdiff_t)n }), "has the file's bytes");
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (str_ends(str_of(name), str_of(types[i].suffix)))
			ok(strcmp(page.type, types[i].type) == 0, "and its type");
	snprintf(etag, sizeof(etag), "\"%016" PRIx64 "\"", hash64(page.body));
	ok(strcmp(page.etag, etag) == 0, "and its hash");
	for (size_t i = 0; i < sizeof(banned) / sizeof(*banned); i++)
		if (has(page.body, banned[i]))
			ok(false, banned[i]);
}

int
main(void)
{
	DIR *d = opendir(DIRECTORY);
	struct page page = { .type = "as it was" };
	struct dirent *e;
	int n = 0;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.') {
			file(e->d_name);
			n++;
		}
	ok(n >= 10, "the files are where they are made");
	if (d != NULL)
		closedir(d);
	ok(!page_find(S("/chat.html"), &page) && !page_find(S(""), &page) &&
	    !page_find(S("/../page.c"), &page) && !page_find(S("//"), &page) &&
	    !page_find((str){ "/status\0", 8 }, &page), "other paths have none");
	ok(strcmp(page.type, "as it was") == 0, "and leave what was asked for alone");
	ok(has(str_of(PAGE_POLICY), "default-src 'none'") && !has(str_of(PAGE_POLICY), "unsafe"),
	    "the policy lets nothing through that is not ours");
	return tap_done();
}
