/* Any text in units, cut at any places: it stays UTF-8; and any bytes as an address. */
#include <stdlib.h>

#include "base/json.h"
#include "text/cut.h"
#include "text/units.h"
#include "text/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(bool good)
{
	if (!good)
		abort();
}

/* Every other unit is a span to cut. */
static void
cut_units(str text, enum unit_kind kind, enum cut_at at)
{
	static struct span span[4096];
	struct units u = { 0 };
	struct unit unit[16];
	struct buf out = { 0 };
	struct err err;
	ptrdiff_t count = 0;
	uint32_t end = 0;
	int n;

	units_start(&u, kind, text, 0);
	while ((n = units_next(&u, unit, 16, &err)) > 0)
		for (int i = 0; i < n; i++) {
			check(unit[i].from >= end && unit[i].to > unit[i].from);
			end = unit[i].to;
			check(end <= text.n);
			if (i % 2 == 0 && count < 4096)
				span[count++] = (struct span){ unit[i].from, end };
		}
	check(n == 0);
	count = cut_align(text, span, count, at);
	for (ptrdiff_t i = 0; i < count; i++)
		check(span[i].from < span[i].to && (i == 0 || span[i - 1].to <= span[i].from));
	check(cut_text(&out, text, span, count, &err) == 0 && utf8_bad(buf_str(&out)) == -1);
	units_free(&u);
	buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	str text = { (const char *)p, (ptrdiff_t)n };
	struct buf name = { 0 };
	struct err err;

	check(url_name(&name, text, &err) == 0);
	if (utf8_bad(text) == -1)
		for (int kind = 0; kind < 5; kind++)
			for (int at = 0; at < 4; at++)
				cut_units(text, (enum unit_kind)kind, (enum cut_at)at);
	buf_free(&name);
	return 0;
}
