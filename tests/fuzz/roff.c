/* Any bytes as a manual page: text in, text out, of bounded size. */
#include <stdlib.h>

#include "base/json.h"
#include "text/roff.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	str page = { (const char *)p, (ptrdiff_t)n };
	struct buf out = { 0 }, title = { 0 };

	for (int i = 0; i < 2; i++) {
		buf_reset(&out);
		buf_reset(&title);
		roff_extract(page, i == 0 ? HTML_TEXT : HTML_MARKDOWN, &out, &title);
		if (out.failed || out.n > 200 * page.n + 1000)
			abort();
	}
	buf_free(&out);
	buf_free(&title);
	return 0;
}
