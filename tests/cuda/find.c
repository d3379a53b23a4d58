/*
 * find - the list of findings
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "find.h"

#define MOST 200

struct one {
	int	kind;
	const void *insn;
	char	*text;
	long	times;
};

static struct {
	pthread_mutex_t lock;
	struct one *list;
	int	n;
} found = { PTHREAD_MUTEX_INITIALIZER, NULL, 0 };

static const char *const names[FINDINGS] = {
	"out of bounds", "use after free", "misaligned", "uninitialised read", "race",
	"copy not waited for", "divergence", "missing synchronisation", "bad launch",
	"unknown instruction", "trap", "hang", "library", "order",
};

int
vec_more(void *array, int *n, size_t size)
{
	void **a = array;

	if ((*n & (*n - 1)) == 0) {
		void *p = realloc(*a, (*n == 0 ? 1 : 2 * (size_t)*n) * size);

		if (p == NULL)
			abort();
		*a = p;
	}
	memset((char *)*a + (size_t)*n * size, 0, size);
	return (*n)++;
}

static const char *
base_name(const struct module *m, uint32_t file)
{
	const char *s = file < (uint32_t)m->n_file ? m->file[file] : NULL;
	const char *slash = s == NULL ? NULL : strrchr(s, '/');

	return s == NULL ? "?" : slash == NULL ? s : slash + 1;
}

static void
place(char *buf, size_t n, const struct kernel *k, const struct insn *in, const char *before,
    const char *after)
{
	const struct module *m = k->mod;
	const struct loc *l = in->loc == 0 ? NULL : &m->loc[in->loc];

	if (l == NULL)
		snprintf(buf, n, "PTX line %u", in->line);
	else if (l->at_line == 0)
		snprintf(buf, n, "%s:%u", base_name(m, l->file), l->line);
	else
		snprintf(buf, n, "%s:%u%s%s:%u%s", base_name(m, l->file), l->line, before,
		    base_name(m, l->at_file), l->at_line, after);
}

void
where_line(char *buf, size_t n, const struct kernel *k, const struct insn *in)
{
	place(buf, n, k, in, " (inlined at ", ")");
}

void
where_place(char *buf, size_t n, const struct kernel *k, const struct insn *in)
{
	const struct module *m = k->mod;
	const struct loc *l = &m->loc[in->loc];
	size_t at;

	place(buf, n, k, in, " ", "");
	at = strlen(buf);
	for (l = &m->loc[l->outer]; l->at_line != 0; l = &m->loc[l->outer]) {
		snprintf(buf + at, n - at, " %s:%u", base_name(m, l->at_file), l->at_line);
		at += strlen(buf + at);
	}
}

static void
describe(char *buf, size_t n, int kind, const struct where *at, const char *what)
{
	char line[600], thread[100] = "";

	if (at == NULL || at->kernel == NULL) {
		snprintf(buf, n, "%s: %s", names[kind], what);
		return;
	}
	if (at->insn == NULL) {
		snprintf(buf, n, "%s: kernel %s: %s", names[kind], at->kernel->name, what);
		return;
	}
	where_line(line, sizeof(line), at->kernel, at->insn);
	if (at->threaded)
		snprintf(thread, sizeof(thread), ", block (%u,%u,%u), thread (%u,%u,%u)",
		    at->block[0], at->block[1], at->block[2], at->thread[0], at->thread[1],
		    at->thread[2]);
	snprintf(buf, n, "%s: kernel %s, %s%s: %s [%s]", names[kind], at->kernel->name, line,
	    thread, what, at->insn->text);
}

void
find_report(int kind, const struct where *at, const char *fmt, ...)
{
	char what[1000], text[2000];
	va_list ap;
	int i;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&found.lock);
	for (i = 0; i < found.n; i++)
		if (at != NULL && at->insn != NULL && found.list[i].insn == at->insn &&
		    found.list[i].kind == kind)
			break;
	if (i < found.n || i >= MOST) {
		found.list[i < found.n ? i : MOST - 1].times++;
	} else {
		describe(text, sizeof(text), kind, at, what);
		i = vec_more(&found.list, &found.n, sizeof(found.list[0]));
		found.list[i] = (struct one){ kind, at == NULL ? NULL : at->insn, strdup(text), 1 };
		fprintf(stderr, "libcuda stand-in: %s\n", text);
	}
	pthread_mutex_unlock(&found.lock);
}

int
standin_findings(void)
{
	return found.n;
}

const char *
standin_finding(int i)
{
	return i < found.n ? found.list[i].text : NULL;
}

void
standin_forget(void)
{
	for (int i = 0; i < found.n; i++)
		free(found.list[i].text);
	free(found.list);
	found.list = NULL;
	found.n = 0;
}
