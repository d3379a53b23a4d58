#include "tool/models.h"

#include <stdlib.h>
#include <string.h>

/* The last part of a path, without what GGUF files end in. */
static char *
name_of(const char *path)
{
	size_t n = strlen(path);
	const char *from;

	while (n > 1 && path[n - 1] == '/')
		n--;
	for (from = path + n; from > path && from[-1] != '/'; from--)
		;
	n -= (size_t)(from - path);
	if (n > 5 && strncasecmp(from + n - 5, ".gguf", 5) == 0)
		n -= 5;
	return strndup(from, n);
}

static int
add_model(void *into, const char *arg, struct err *err)
{
	struct models_opts *o = into;
	const char *eq = tool_name_end(arg);
	struct models_one *m = &o->one[o->n];

	if (o->n == MODELS_MAX)
		return err_set(err, ERR_ARG, "more than %d models", MODELS_MAX);
	if (eq == arg || (eq != NULL && eq[1] == '\0'))
		return err_set(err, ERR_ARG, "'%s' is not NAME=PATH", arg);
	m->path = eq != NULL ? eq + 1 : arg;
	m->name = eq != NULL ? strndup(arg, (size_t)(eq - arg)) : name_of(arg);
	if (m->name == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < o->n; i++)
		if (strcmp(o->one[i].name, m->name) == 0)
			return err_set(err, ERR_ARG, "two models are named '%s'", m->name);
	o->n++;
	return 0;
}

static int
add_embedder(void *into, const char *arg, struct err *err)
{
	struct models_opts *o = into;

	if (add_model(into, arg, err) < 0)
		return -1;
	o->one[o->n - 1].vectors = true;
	return 0;
}

static int
set_draft(void *into, const char *arg, struct err *err)
{
	struct models_opts *o = into;

	if (o->n == 0 || o->one[o->n - 1].vectors)
		return err_set(err, ERR_ARG, "it stands behind the -m that it is for");
	o->one[o->n - 1].draft = arg;
	return 0;
}

static int
add_lora(void *into, const char *arg, struct err *err)
{
	struct models_opts *o = into;
	const char *eq = tool_name_end(arg);
	struct models_one *m = o->n > 0 ? &o->one[o->n - 1] : NULL;

	if (m == NULL || m->vectors)
		return err_set(err, ERR_ARG, "it stands behind the -m that it is for");
	if (eq == NULL || eq == arg || eq[1] == '\0')
		return err_set(err, ERR_ARG, "'%s' is not NAME=DIR", arg);
	if (m->adapters == ADAPTERS_MAX)
		return err_set(err, ERR_ARG, "more than %d", ADAPTERS_MAX);
	m->adapter[m->adapters++] = (struct adapter_named){ { arg, eq - arg }, eq + 1 };
	return 0;
}

const struct opt models_options[] = {
	{ 'm', "model", OPT_CALL, 0, "[NAME=]PATH", "model to serve; several may be given",
	    .call = add_model },
	{ 0, "lora", OPT_CALL, 0, "NAME=DIR", "adapter of the model before it, by its name",
	    .call = add_lora },
	{ 0, "draft", OPT_CALL, 0, "PATH", "smaller model to guess for the model before it",
	    .call = set_draft },
	{ 0, "embed", OPT_CALL, 0, "[NAME=]PATH", "model to make vectors; several may be given",
	    .call = add_embedder },
	{ 0 }
};

void
models_end(struct models_opts *o)
{
	for (int i = 0; i < o->n; i++)
		free(o->one[i].name);
}
