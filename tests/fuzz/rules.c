/*
 * Any bytes as a file of rules.  What is taken is applied to a text, and to values that
 * are the bytes themselves.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/json.h"
#include "text/judge.h"
#include "text/signals.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	str file = { (const char *)p, (ptrdiff_t)n };
	struct judge j = { 0 };
	struct judge_state s = { 0 };
	struct judge_finding x;
	struct judge_record r = { .text = S("One line that ends.\nand one that does not") };
	struct err err;
	struct buf b = { 0 };

	if (quality_init(&j.quality, &err) < 0)
		abort();
	if (rules_parse(&j.rules, &j.quality, file, "rules", &err) == 0 &&
	    judge_plan(&j, &err) == 0) {
		if (judge_text(&j, &s, &r, &x, &err) >= 0)
			judge_write(&b, &j, &x);
		if (json_scan(file, NULL, 0, NULL, &err) == 0)
			signals_read(&j.quality, file, r.text, SIGNALS_FAMILIES, x.value);
	}
	buf_free(&b);
	judge_state_free(&s);
	judge_free(&j);
	return 0;
}
