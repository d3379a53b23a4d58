#include "tool/adapters.h"

#include <string.h>

#include "model/merge.h"

static int
add_adapter(void *into, const char *arg, struct err *err)
{
	struct adapters_opts *o = into;
	const char *eq = tool_name_end(arg);

	if (eq == NULL) {
		if (o->merged != NULL)
			return err_set(err, ERR_ARG, "one is put into the model: several have "
			    "names, NAME=DIR, or llm-merge makes them one");
		o->merged = arg;
		return 0;
	}
	if (eq == arg || eq[1] == '\0')
		return err_set(err, ERR_ARG, "'%s' is not NAME=DIR", arg);
	if (o->n == ADAPTERS_MAX)
		return err_set(err, ERR_ARG, "more than %d", ADAPTERS_MAX);
	o->named[o->n++] = (struct adapter_named){ { arg, eq - arg }, eq + 1 };
	return 0;
}

const struct opt adapters_options[] = {
	{ 0, "adapter", OPT_CALL, 0, "[NAME=]DIR",
	    "adapter to put into the model; with a name, for records that ask for it",
	    .call = add_adapter },
	{ 0 }
};

void
adapters_load(struct adapters_opts *o, bool records, struct model *m, const char *path,
    struct dev *dev)
{
	struct err err;

	if (o->n > 0 && !records)
		tool_usage("--adapter NAME=DIR is for records, which ask for it by its name");
	if (o->merged != NULL && o->n > 0)
		tool_usage("--adapter %s is for all texts, and others have names", o->merged);
	if (o->n > 0 && (o->beside = adapters_open(o->named, o->n, &err)) == NULL)
		tool_fail(NULL, &err);
	m->adapters = o->beside;
	m->writable = o->merged != NULL;
	if (model_load(m, path, dev, false, &err) < 0 ||
	    (o->merged != NULL && adapter_merge(m, o->merged, 1, &err) < 0))
		tool_fail(NULL, &err);
}

void
adapters_end(struct adapters_opts *o)
{
	adapters_free(o->beside);
}
