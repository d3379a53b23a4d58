#include "tool/cache.h"

#include <unistd.h>

static int
set_kv(void *into, const char *arg, struct err *err)
{
	static const struct { const char *name; dtype type; } types[] = {
		{ "f32", DTYPE_F32 }, { "f16", DTYPE_F16 }, { "bf16", DTYPE_BF16 },
		{ "q8", DTYPE_Q8_0 }, { "q4", DTYPE_Q4_0 },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(arg, types[i].name) == 0) {
			*(dtype *)into = types[i].type;
			return 0;
		}
	return err_set(err, ERR_ARG, "'%s' is not f32, f16, bf16, q8 or q4", arg);
}

const struct opt cache_options[] = {
	{ 0, "kv", OPT_CALL, offsetof(struct cache_opts, kv), "TYPE",
	    "keys and values in the cache: f32, f16, bf16, q8 or q4", .call = set_kv },
	{ 0 }
};

const struct opt window_options[] = {
	{ 0, "window", OPT_I64, offsetof(struct cache_opts, window), "N",
	    "see the last N tokens, and write without end", .min = 1, .max = INT32_MAX },
	{ 0, "sinks", OPT_I64, offsetof(struct cache_opts, sinks), "N",
	    "with a window, see the first N tokens too (16)", .min = 0, .max = INT32_MAX },
	{ 0, "prompt-cache", OPT_STR, offsetof(struct cache_opts, kept), "FILE",
	    "keep what was read here, and begin with it" },
	{ 0 }
};

void
window_prepare(const struct cache_opts *o, const struct config *c, bool always,
    struct engine_options *eo)
{
	if (o->sinks >= 0 && o->window == 0 && !always)
		tool_usage("--sinks is for --window");
	eo->sinks = o->sinks >= 0 ? o->sinks : CACHE_BLOCK;
	eo->window = o->window == 0 && always ? engine_window_most(c, eo->sinks) : o->window;
}

struct seq *
cache_begin(const struct cache_opts *o, struct engine *e)
{
	struct err err;
	struct seq *s = o->kept != NULL && access(o->kept, F_OK) == 0 ?
	    seq_load(e, o->kept, &err) : seq_new(e, &err);

	if (s == NULL)
		tool_fail(NULL, &err);
	return s;
}

void
cache_end(const struct cache_opts *o, struct seq *s)
{
	struct err err;

	if (o->kept != NULL && seq_save(s, o->kept, &err) < 0)
		tool_fail(NULL, &err);
	seq_free(s);
}
