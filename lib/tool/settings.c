#include "tool/settings.h"

/* An option of a table or its groups, and where it is. */
static const struct opt *
find(const struct opt *o, const char *name, size_t *at)
{
	for (; o->type != OPT_END; o++) {
		const struct opt *in = o;

		*at = o->at;
		if (o->type == OPT_GROUP && (in = find(o->group, name, at)) != NULL) {
			*at += o->at;
			return in;
		}
		if (o->type != OPT_GROUP && o->name != NULL && strcmp(o->name, name) == 0)
			return o;
	}
	return NULL;
}

static json_t *
value(const struct opt *o, const void *at)
{
	switch (o->type) {
	case OPT_FLAG:
		return json_boolean(*(const bool *)at);
	case OPT_STR:
		return json_string(*(const char *const *)at);
	case OPT_I64:
	case OPT_BYTES:
		return json_integer(*(const int64_t *)at);
	case OPT_F64:
	case OPT_TIME:
		return json_real(*(const double *)at);
	default:
		return NULL;
	}
}

json_t *
settings_get(const struct tool *t, const void *into, const char *const *names, bool given_only)
{
	json_t *s = json_object();

	for (; s != NULL && *names != NULL; names++) {
		size_t offset = 0;
		const struct opt *o = find(t->opts, *names, &offset);
		const void *at = (const char *)into + offset;

		if (given_only && !tool_given(*names))
			continue;
		if (o->type == OPT_STR && *(const char *const *)at == NULL)
			continue;
		if (json_object_set_new(s, *names, value(o, at)) < 0) {
			json_decref(s);
			return NULL;
		}
	}
	return s;
}

static int
put(const struct opt *o, void *at, const json_t *v)
{
	switch (o->type) {
	case OPT_FLAG:
		*(bool *)at = json_is_true(v);
		return json_is_boolean(v) ? 0 : -1;
	case OPT_STR:
		*(const char **)at = json_string_value(v);
		return json_is_string(v) ? 0 : -1;
	case OPT_I64:
	case OPT_BYTES:
		*(int64_t *)at = json_integer_value(v);
		return json_is_integer(v) ? 0 : -1;
	case OPT_F64:
	case OPT_TIME:
		*(double *)at = json_number_value(v);
		return json_is_number(v) ? 0 : -1;
	default:
		return -1;
	}
}

int
settings_put(const struct tool *t, void *into, const json_t *settings, struct err *err)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)settings, name, v) {
		size_t offset = 0;
		const struct opt *o = find(t->opts, name, &offset);

		if (o == NULL || put(o, (char *)into + offset, v) < 0)
			return err_set(err, ERR_FORMAT, "'%s' is no setting of %s, or has "
			    "another type", name, t->name);
	}
	return 0;
}
