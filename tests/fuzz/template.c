/* Any bytes as a chat template: it renders, or fails, within its limits. */
#include <stdlib.h>

#include "token/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char messages[] = "[{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", "
    "\"content\": [{\"type\": \"text\", \"text\": \"\\u00e9 1\"}, 2.5, null]}, "
    "{\"role\": \"assistant\", \"content\": \"<think>\\nx</think>y\", \"tool_calls\": "
    "[{\"function\": {\"name\": \"f\", \"arguments\": {\"a\": true}}}]}]";

static void
check(const struct template_spans *s, ptrdiff_t n)
{
	for (ptrdiff_t i = 0; i < s->n; i++)
		if (s->at[i].start < 0 || s->at[i].start > s->at[i].end || s->at[i].end > n)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct err err = { 0 };
	struct template *t = template_parse((str){ (const char *)p, (ptrdiff_t)n }, &err);
	json_t *m = json_loads(messages, 0, NULL);
	struct tm now = { .tm_year = 126, .tm_mday = 1 };
	struct template_input in = { .messages = m, .tools = m, .bos = S("<s>"), .eos = S("</s>"),
	    .prompt = true, .now = &now };
	struct template_marks marks = { 0 };
	struct buf out = { 0 };

	if (t != NULL && template_render_answers(t, &in, &out, &marks, false, &err) == 0) {
		check(&marks.answers, out.n);
		check(&marks.said, out.n);
	}
	template_marks_free(&marks);
	buf_free(&out);
	json_decref(m);
	template_free(t);
	return 0;
}
