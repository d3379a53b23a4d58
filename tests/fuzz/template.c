/* Any bytes as a chat template: it renders, or fails, within its limits. */
#include <stdlib.h>

#include "token/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char messages[] = "[{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", "
    "\"content\": [{\"type\": \"text\", \"text\": \"\\u00e9 1\"}, 2.5, null]}, "
    "{\"role\": \"assistant\", \"content\": \"<think>\\nx</think>y\", \"tool_calls\": "
    "[{\"function\": {\"name\": \"f\", \"arguments\": {\"a\": true}}}]}]";

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct err err = { 0 };
	struct template *t = template_parse((str){ (const char *)p, (ptrdiff_t)n }, &err);
	json_t *m = json_loads(messages, 0, NULL);
	struct tm now = { .tm_year = 126, .tm_mday = 1 };
	struct template_input in = { .messages = m, .tools = m, .bos = S("<s>"), .eos = S("</s>"),
	    .prompt = true, .now = &now };
	struct template_spans spans = { 0 };
	struct buf out = { 0 };

	if (t != NULL && template_render_spans(t, &in, &out, &spans, &err) == 0)
		for (ptrdiff_t i = 0; i < spans.n; i++)
			if (spans.at[i].start > spans.at[i].end || spans.at[i].start < 0)
				abort();
	template_spans_free(&spans);
	buf_free(&out);
	json_decref(m);
	template_free(t);
	return 0;
}
