/* Any bytes as a page and as XML: the tree is whole; in both forms valid UTF-8 comes out. */
#include <stdlib.h>

#include "base/json.h"
#include "text/encoding.h"
#include "../lib/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(bool good)
{
	if (!good)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct html_about about = { 0 };
	struct buf utf8 = { 0 }, out = { 0 };
	struct arena a;
	struct err err;
	str s;

	check(arena_init(&a, (ptrdiff_t)256 << 20, &err) == 0);
	if (encoding_to_utf8((str){ (const char *)p, (ptrdiff_t)n }, S(""), true, &utf8, &s, &err) == 1) {
		check(utf8_bad(s) == -1);
		for (int i = 0; i < 4; i++) {
			struct arena scratch = a;
			struct html_tree t;

			if (i < 2 && html_parse(&t, s, i & 1, &scratch, &err) == 0)
				check(tree_is_whole(&t));
			html_about_reset(&about);
			if (html_extract(s, i & 1, i & 2 ? HTML_MARKDOWN : HTML_TEXT, &out, &about,
			    a, NULL, &err) == 0)
				check(out.n == 0 || out.p[out.n - 1] == '\n');
			else
				check(err.code == ERR_LIMIT);
			check(utf8_bad(buf_str(&out)) == -1);
			buf_reset(&out);
		}
	}
	html_about_free(&about);
	buf_free(&utf8);
	buf_free(&out);
	arena_free(&a);
	return 0;
}
