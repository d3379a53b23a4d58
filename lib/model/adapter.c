/* What an adapter is, by adapter_config.json, and which modules it is for. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/adapter_impl.h"

#include <math.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/stream.h"

int
adapter_parse(const char *name, enum adapter_type *type, struct err *err)
{
	static const char *const names[] = { "lora", "dora", "ia3" };

	for (int i = 0; i < 3; i++)
		if (strcmp(name, names[i]) == 0) {
			*type = (enum adapter_type)i;
			return 0;
		}
	return err_set(err, ERR_ARG, "'%s' is not lora, dora or ia3", name);
}

/* ---- making one ---- */

/* "a=1,b=2" as an object of numbers. */
static json_t *
pattern_object(const char *text, struct err *err)
{
	str rest = str_of(text != NULL ? text : ""), item;
	json_t *o = json_object();
	char number[32], *end;

	while (rest.n > 0) {
		const char *eq;
		double v;

		item = str_cut(&rest, ',');
		eq = memchr(item.p, '=', (size_t)item.n);
		snprintf(number, sizeof(number), "%.*s",
		    eq != NULL ? (int)(item.p + item.n - eq - 1) : 0, eq != NULL ? eq + 1 : "");
		v = strtod(number, &end);
		if (eq == NULL || eq == item.p || end == number || *end != '\0' || !(v > 0)) {
			json_decref(o);
			err_set(err, ERR_ARG, "'%.*s' is not NAME=NUMBER", (int)item.n, item.p);
			return NULL;
		}
		json_object_setn_new(o, item.p, (size_t)(eq - item.p), v == floor(v) ?
		    json_integer((json_int_t)v) : json_real(v));
	}
	return o;
}

static json_t *
lora_config(const struct adapter_options *o, struct err *err)
{
	json_t *rank = pattern_object(o->rank_pattern, err);
	json_t *alpha = rank != NULL ? pattern_object(o->alpha_pattern, err) : NULL;
	json_t *v = NULL;

	if (alpha != NULL && (v = json_pack("{s:O, s:n, s:s, s:s, s:b, s:n, s:b, s:b, s:n, s:n, "
	    "s:f, s:f, s:n, s:s, s:I, s:O, s:n, s:n, s:s, s:b, s:b}",
	    "alpha_pattern", alpha, "auto_mapping", "base_model_name_or_path",
	    o->base != NULL ? o->base : "", "bias", "none", "fan_in_fan_out", 0,
	    "exclude_modules", "inference_mode", 1, "init_lora_weights", 1,
	    "layers_pattern", "layers_to_transform", "lora_alpha", o->alpha,
	    "lora_dropout", 0.0, "modules_to_save", "peft_type", "LORA",
	    "r", (json_int_t)o->rank, "rank_pattern", rank, "revision", "target_modules",
	    "task_type", "CAUSAL_LM", "use_dora", o->type == ADAPTER_DORA,
	    "use_rslora", o->rslora)) == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	json_decref(rank);
	json_decref(alpha);
	return v;
}

static json_t *
ia3_config(const struct adapter_options *o, struct err *err)
{
	json_t *v = json_pack("{s:n, s:s, s:n, s:b, s:n, s:b, s:b, s:n, s:s, s:n, s:n, s:s}",
	    "auto_mapping", "base_model_name_or_path", o->base != NULL ? o->base : "",
	    "exclude_modules", "fan_in_fan_out", 0, "feedforward_modules", "inference_mode", 1,
	    "init_ia3_weights", 1, "modules_to_save", "peft_type", "IA3", "revision",
	    "target_modules", "task_type", "CAUSAL_LM");

	if (v == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	return v;
}

static struct adapter *
make(json_t *config, struct err *err)
{
	struct adapter *a = config != NULL ? calloc(1, sizeof(*a)) : NULL;

	if (a == NULL) {
		if (config != NULL)
			err_set(err, ERR_NOMEM, "out of memory");
		json_decref(config);
		return NULL;
	}
	a->config = config;
	return a;
}

struct adapter *
adapter_new(const struct adapter_options *o, struct err *err)
{
	struct adapter *a;

	if (o->type != ADAPTER_IA3 && (o->rank < 1 || o->rank > ADAPTER_RANK)) {
		err_set(err, ERR_ARG, "a rank of %lld is not from 1 to %d", (long long)o->rank,
		    ADAPTER_RANK);
		return NULL;
	}
	a = make(o->type == ADAPTER_IA3 ? ia3_config(o, err) : lora_config(o, err), err);
	if (a == NULL)
		return NULL;
	a->type = o->type;
	a->seed = o->seed;
	snprintf(a->targets, sizeof(a->targets), "%s", o->targets != NULL ? o->targets :
	    o->type == ADAPTER_IA3 ? "" : "all-linear");
	if (o->targets != NULL && strlen(o->targets) >= sizeof(a->targets)) {
		err_set(err, ERR_LIMIT, "the list of targets is too long");
		adapter_free(a);
		return NULL;
	}
	return a;
}

void
adapter_free(struct adapter *a)
{
	if (a == NULL)
		return;
	json_decref(a->config);
	free(a->module);
	free(a);
}

/* ---- reading one ---- */

/* What would change the result and is not honoured: absent, null, false, empty or as here. */
static const struct {
	const char	*key, *neutral;
} foreign[] = {
	{ "bias", "none" }, { "modules_to_save", NULL }, { "layers_to_transform", NULL },
	{ "layers_pattern", NULL }, { "exclude_modules", NULL }, { "lora_bias", NULL },
	{ "layer_replication", NULL }, { "target_parameters", NULL },
	{ "trainable_token_indices", NULL }, { "alora_invocation_tokens", NULL },
	{ "use_qalora", NULL }, { "arrow_config", NULL }, { "use_bdlora", NULL },
	{ "kasa_config", NULL }, { "monteclora_config", NULL },
};

static bool
is_nothing(const json_t *v, const char *neutral)
{
	if (v == NULL || json_is_null(v) || json_is_false(v))
		return true;
	if (json_is_string(v))
		return json_string_length(v) == 0 ||
		    (neutral != NULL && strcmp(json_string_value(v), neutral) == 0);
	return (json_is_array(v) && json_array_size(v) == 0) ||
	    (json_is_object(v) && json_object_size(v) == 0);
}

static int
check_config(const json_t *c, struct err *err)
{
	const char *init = json_string_value(json_object_get(c, "init_lora_weights"));
	const json_t *r = json_object_get(c, "r"), *alpha = json_object_get(c, "lora_alpha");

	for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
		if (!is_nothing(json_object_get(c, foreign[i].key), foreign[i].neutral))
			return err_set(err, ERR_FORMAT, "'%s' is not supported", foreign[i].key);
	/* Others (pissa, olora ...) begin by changing the model itself. */
	if (init != NULL && strcmp(init, "gaussian") != 0 && strcmp(init, "eva") != 0 &&
	    strcmp(init, "orthogonal") != 0)
		return err_set(err, ERR_FORMAT, "'init_lora_weights' is '%s', which changes the "
		    "base: save the adapter as plain LoRA", init);
	if (is_nothing(json_object_get(c, "target_modules"), NULL))
		return err_set(err, ERR_FORMAT, "no 'target_modules'");
	if (strcmp(json_string_value(json_object_get(c, "peft_type")), "IA3") == 0)
		return 0;
	if (!json_is_integer(r) || json_integer_value(r) < 1 ||
	    json_integer_value(r) > ADAPTER_RANK)
		return err_set(err, ERR_FORMAT, "'r' is not from 1 to %d", ADAPTER_RANK);
	if (!json_is_number(alpha))
		return err_set(err, ERR_FORMAT, "'lora_alpha' is no number");
	return 0;
}

struct adapter *
adapter_open(const char *dir, struct err *err)
{
	char path[MODEL_PATH];
	struct adapter *a;
	const char *type;
	json_t *c;

	if (snprintf(path, sizeof(path), "%s/adapter_config.json", dir) >= (int)sizeof(path)) {
		err_set(err, ERR_ARG, "%s: name too long", dir);
		return NULL;
	}
	if ((c = json_doc_load(path, err)) == NULL)
		return NULL;
	type = json_string_value(json_object_get(c, "peft_type"));
	if (type == NULL || (strcmp(type, "LORA") != 0 && strcmp(type, "IA3") != 0)) {
		err_set(err, ERR_FORMAT, "%s: peft_type '%s' is not supported", path,
		    type != NULL ? type : "");
		json_decref(c);
		return NULL;
	}
	if (check_config(c, err) < 0) {
		err_wrap(err, "%s", path);
		json_decref(c);
		return NULL;
	}
	if ((a = make(c, err)) == NULL)
		return NULL;
	a->type = strcmp(type, "IA3") == 0 ? ADAPTER_IA3 :
	    json_is_true(json_object_get(c, "use_dora")) ? ADAPTER_DORA : ADAPTER_LORA;
	snprintf(a->dir, sizeof(a->dir), "%s", dir);
	return a;
}

/* ---- names of modules ---- */

/* Does a Python regular expression match all of name?  1, 0 or -1. */
static int
matches(const char *before, const char *regex, const char *name, struct err *err)
{
	char pattern[1200];
	pcre2_code *code;
	pcre2_match_data *data;
	PCRE2_SIZE at;
	int why, got;

	if (snprintf(pattern, sizeof(pattern), "%s(?:%s)", before, regex) >= (int)sizeof(pattern))
		return err_set(err, ERR_LIMIT, "a pattern of more than 1000 characters");
	code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
	    PCRE2_ANCHORED | PCRE2_ENDANCHORED, &why, &at, NULL);
	if (code == NULL)
		return err_set(err, ERR_FORMAT, "the pattern '%.200s' is no regular expression",
		    regex);
	data = pcre2_match_data_create_from_pattern(code, NULL);
	got = data == NULL ? PCRE2_ERROR_NOMEMORY :
	    pcre2_match(code, (PCRE2_SPTR)name, strlen(name), 0, 0, data, NULL);
	pcre2_match_data_free(data);
	pcre2_code_free(code);
	if (got < 0 && got != PCRE2_ERROR_NOMATCH)
		return err_set(err, ERR_FORMAT, "the pattern '%.200s' takes too long", regex);
	return got >= 0;
}

/* name is the module, or ends with it after a dot. */
static bool
ends(const char *name, const char *module)
{
	size_t n = strlen(name), k = strlen(module);

	return n >= k && strcmp(name + n - k, module) == 0 && (n == k || name[n - k - 1] == '.');
}

/* Is name among the modules of a list, or matched by a pattern?  1, 0 or -1. */
static int
listed(const json_t *list, const char *name, struct err *err)
{
	const json_t *v;
	size_t i;

	if (json_is_string(list))
		return matches("", json_string_value(list), name, err);
	json_array_foreach(list, i, v)
		if (json_is_string(v) && ends(name, json_string_value(v)))
			return 1;
	return 0;
}

/* The number that a pattern gives for a module, or def. */
static int
patterned(const struct adapter *a, const char *key, const char *name, double *v, struct err *err)
{
	const json_t *o = json_object_get(a->config, key), *x;
	const char *regex;

	json_object_foreach((json_t *)(uintptr_t)o, regex, x) {
		int got = matches("(?:.*\\.)?", regex, name, err);

		if (got < 0)
			return err_wrap(err, "%s", key);
		if (got == 0)
			continue;
		if (!json_is_number(x))
			return err_set(err, ERR_FORMAT, "%s: '%s' has no number", key, regex);
		*v = json_number_value(x);
		return 0;
	}
	return 0;
}

/* Layers that predict further ahead are no part of what is adapted. */
static bool
is_ahead(const struct model *m, const struct param *p)
{
	long long layer;

	return sscanf(p->name, arch_family(m->config.arch)->names->layer, &layer) == 1 &&
	    layer >= m->config.layers;
}

/* ---- from options to target_modules ---- */

/* Add the part of name behind its last dot, once. */
static void
add_last(json_t *list, const char *name)
{
	const char *dot = strrchr(name, '.');
	const json_t *v;
	size_t i;

	name = dot != NULL ? dot + 1 : name;
	json_array_foreach(list, i, v)
		if (strcmp(json_string_value(v), name) == 0)
			return;
	json_array_append_new(list, json_string(name));
}

static json_t *
all_linear(const struct model *m)
{
	json_t *list = json_array();
	char name[NN_NAME];

	for (int i = 0; i < m->params.n; i++) {
		const struct param *p = &m->params.p[i];

		if (p->ndim != 2 || !is_linear(&m->config, p) || is_ahead(m, p))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)strlen(p->name) - 7, p->name);
		add_last(list, name);
	}
	return list;
}

/* What the paper of IA3 scales: keys, values, and what goes into the last matrix. */
static json_t *
ia3_targets(const struct arch_names *n)
{
	json_t *list = json_array();

	if (n->qkv != NULL) {
		json_array_append_new(list, json_string(n->qkv));
	} else {
		add_last(list, n->k);
		add_last(list, n->v);
	}
	json_array_append_new(list, json_string(n->down));
	return list;
}

static json_t *
given_targets(const char *text)
{
	str rest = str_of(text), item;
	json_t *list;

	if (rest.n > 2 && text[0] == '/' && text[rest.n - 1] == '/')
		return json_stringn(text + 1, (size_t)rest.n - 2);
	list = json_array();
	while (rest.n > 0) {
		item = str_cut(&rest, ',');
		if (item.n > 0)
			json_array_append_new(list, json_stringn(item.p, (size_t)item.n));
	}
	return list;
}

/* Of IA3's targets those that scale what goes in: the last matrix of a layer. */
static json_t *
feedforward(const json_t *targets, const char *down)
{
	json_t *list = json_array(), *v;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)targets, i, v)
		if (ends(down, json_string_value(v)) || ends(json_string_value(v), down))
			json_array_append(list, v);
	return list;
}

static int
set_targets(struct adapter *a, const struct model *m, struct err *err)
{
	const struct arch_names *n = arch_family(m->config.arch)->names;
	json_t *list;

	if (a->targets[0] == '\0')
		list = ia3_targets(n);
	else
		list = strcmp(a->targets, "all-linear") == 0 ? all_linear(m) :
		    given_targets(a->targets);
	if (json_object_set_new(a->config, "target_modules", list) < 0 ||
	    json_object_set_new(a->config, "fan_in_fan_out", json_boolean(n->turned)) < 0 ||
	    (a->type == ADAPTER_IA3 && json_object_set_new(a->config, "feedforward_modules",
	    feedforward(list, n->down)) < 0))
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

/* ---- the modules of a model ---- */

static int
set_numbers(const struct adapter *a, struct adapted *x, struct err *err)
{
	double r = json_number_value(json_object_get(a->config, "r"));
	double alpha = json_number_value(json_object_get(a->config, "lora_alpha"));
	int input;

	x->a = x->b = x->m = -1;
	if (a->type == ADAPTER_IA3) {
		input = listed(json_object_get(a->config, "feedforward_modules"), x->name, err);
		x->input = input > 0;
		return input < 0 ? -1 : 0;
	}
	if (patterned(a, "rank_pattern", x->name, &r, err) < 0 ||
	    patterned(a, "alpha_pattern", x->name, &alpha, err) < 0)
		return -1;
	if (r < 1 || r > ADAPTER_RANK || r != floor(r))
		return err_set(err, ERR_FORMAT, "the rank of '%s' is not from 1 to %d", x->name,
		    ADAPTER_RANK);
	x->rank = (int64_t)r;
	x->scale = alpha / (json_is_true(json_object_get(a->config, "use_rslora")) ? sqrt(r) : r);
	return 0;
}

/* Tensors of files that are a part of a parameter: experts. */
static int
refuse_parts(const struct adapter *a, const struct model *m, const json_t *targets,
    struct err *err)
{
	char name[NN_NAME];

	for (int i = 0; i < m->n_weights; i++) {
		const struct weight *w = &m->weight[i];
		int got;

		if (m->params.p[w->param].ndim != 3 || !str_ends(str_of(w->name), S(".weight")))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)strlen(w->name) - 7, w->name);
		if ((got = listed(targets, name, err)) < 0)
			return -1;
		if (got > 0 && strcmp(a->targets, "all-linear") != 0)
			return err_set(err, ERR_ARG, "'%s' is an expert: experts are not adapted",
			    name);
	}
	return 0;
}

int
adapter_match(struct adapter *a, struct model *m, struct err *err)
{
	const json_t *targets;
	char name[NN_NAME];

	if (a->dir[0] == '\0' && set_targets(a, m, err) < 0)
		return -1;
	targets = json_object_get(a->config, "target_modules");
	if (json_is_string(targets) && strcmp(json_string_value(targets), "all-linear") == 0) {
		json_object_set_new(a->config, "target_modules", all_linear(m));
		targets = json_object_get(a->config, "target_modules");
	}
	free(a->module);
	a->n = 0;
	if ((a->module = calloc((size_t)m->params.n, sizeof(*a->module))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < m->params.n; i++) {
		const struct param *p = &m->params.p[i];
		struct adapted *x = &a->module[a->n];
		int got;

		if (!str_ends(str_of(p->name), S(".weight")) || p->ndim != 2 || is_ahead(m, p))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)strlen(p->name) - 7, p->name);
		if ((got = listed(targets, name, err)) < 0)
			return -1;
		if (got == 0)
			continue;
		if (!p->hidden)
			return err_set(err, ERR_ARG, "'%s' is a target: embeddings and heads are "
			    "not adapted", name);
		*x = (struct adapted){ .w = i, .bias = -1 };
		memcpy(x->name, name, sizeof(x->name));
		if (set_numbers(a, x, err) < 0)
			return -1;
		a->n++;
	}
	if (refuse_parts(a, m, targets, err) < 0)
		return -1;
	if (a->n == 0)
		return err_set(err, ERR_ARG, "no linear layer of the model is a target");
	for (int i = 0; i < a->n; i++) {
		struct param *bias;

		snprintf(name, sizeof(name), "%.80s.bias", a->module[i].name);
		if ((bias = params_find(&m->params, name)) != NULL)
			a->module[i].bias = (int)(bias - m->params.p);
		for (int k = 0; k < m->n_weights; k++)
			a->module[i].pairs |= m->weight[k].param == a->module[i].w &&
			    m->weight[k].pairs;
	}
	return 0;
}
