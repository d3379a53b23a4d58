#include "tool/cache.h"

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
