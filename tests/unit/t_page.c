/*
 * The pages of the server: what is served has its type and the hash of its bytes,
 * each file is in it, and nothing makes markup of text or asks another server.
 * What they do in a browser is tests/real/7000-serve-page.py's.
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
	const char *path, *type;
} paths[] = {
	{ "/", "text/html; charset=utf-8" },
	{ "/status", "text/html; charset=utf-8" },
	{ "/icon.svg", "image/svg+xml" },
};

/* By which text becomes markup or code, what the policy does not let through, and what a
 * script has no more once its modules are in it. */
static const char *const banned[] = {
	"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(",
	"Function(", " style=", " onclick=", " onload=", "src=\"http", "href=\"http", "url(", "@import",
	"\nimport ", "\nexport ",
};

static bool
has(str body, const char *what)
{
	return memmem(body.p, (size_t)body.n, what, strlen(what)) != NULL;
}

/* A file as it is in a page: HTML from its body on, a module without what it imports and without
 * the word export.  The other files have no such lines. */
static str
inlined(const char *name, char *out, size_t cap)
{
	char path[300], line[4096];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), DIRECTORY "/%s", name);
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL && n + strlen(line) < cap)
		if (strcmp(line, "<body>\n") == 0) {
			n = 0;
		} else if (strncmp(line, "import ", 7) != 0) {
			char *from = line + (strncmp(line, "export ", 7) == 0 ? 7 : 0);

			memcpy(out + n, from, strlen(from));
			n += strlen(from);
		}
	if (f != NULL)
		fclose(f);
	return (str){ out, (ptrdiff_t)n };
}

static void
served(const char *path, const char *type)
{
	char etag[19];
	struct page page;

	ok(page_find(str_of(path), &page), path);
	ok(strcmp(page.type, type) == 0, "and its type");
	snprintf(etag, sizeof(etag), "\"%016" PRIx64 "\"", hash64(page.body));
	ok(strcmp(page.etag, etag) == 0, "and its hash");
	for (size_t i = 0; i < sizeof(banned) / sizeof(*banned); i++)
		if (has(page.body, banned[i]))
			ok(false, banned[i]);
}

/* Each file is in what is served; in how many of these? */
static int
places(const char *name)
{
	static char bytes[1 << 20];
	str body = inlined(name, bytes, sizeof(bytes) - 1);
	struct page page;
	int n = 0;

	bytes[body.n] = '\0';
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		n += body.n > 0 && page_find(str_of(paths[i].path), &page) && has(page.body, bytes);
	return n;
}

int
main(void)
{
	DIR *d = opendir(DIRECTORY);
	struct page page = { .type = "as it was" };
	struct dirent *e;
	int n = 0;

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		served(paths[i].path, paths[i].type);
	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.') {
			ok(places(e->d_name) > 0, e->d_name);
			n++;
		}
	ok(n >= 10, "the files are where they are made");
	if (d != NULL)
		closedir(d);
	ok(!page_find(S("/chat.html"), &page) && !page_find(S("/api.js"), &page) &&
	    !page_find(S("/policy"), &page) && !page_find(S(""), &page) &&
	    !page_find(S("/../page.c"), &page) && !page_find(S("//"), &page) &&
	    !page_find((str){ "/status\0", 8 }, &page), "other paths have none");
	ok(strcmp(page.type, "as it was") == 0, "and leave what was asked for alone");
	ok(has(str_of(page_policy), "default-src 'none'") &&
	    has(str_of(page_policy), "script-src 'sha256-") && !has(str_of(page_policy), "unsafe"),
	    "the policy lets nothing through that is not ours");
	return tap_done();
}
