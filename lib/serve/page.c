#include "serve/page.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"

#define PAGES(_)							\
	_(chat_html, "chat.html", "/", "text/html; charset=utf-8")	\
	_(status_html, "status.html", "/status", "text/html; charset=utf-8") \
	_(icon_svg, "icon.svg", "/icon.svg", "image/svg+xml")

#define BYTES(name, file, path, type)					\
	__asm__(".pushsection .rodata\n"				\
	    ".globl page_" #name "\n"					\
	    "page_" #name ": .incbin \"" file "\"\n"			\
	    "page_" #name "_end: .byte 0\n"				\
	    ".popsection");						\
	extern const char page_##name[], page_##name##_end[];
PAGES(BYTES)
BYTES(policy, "policy", , )

static const struct {
	const char	*path, *type, *body, *end;
} pages[] = {
#define ROW(name, file, path, type) { path, type, page_##name, page_##name##_end },
	PAGES(ROW)
};

bool
page_find(str path, struct page *page)
{
	for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++)
		if (str_eq(path, str_of(pages[i].path))) {
			page->type = pages[i].type;
			page->body = (str){ pages[i].body, pages[i].end - pages[i].body };
			snprintf(page->etag, sizeof(page->etag), "\"%016" PRIx64 "\"",
			    hash64(page->body));
			return true;
		}
	return false;
}
