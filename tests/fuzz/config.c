/*
 * Any bytes as a config.json.  One that is taken must be written, and what was
 * written be read as the same, and counting its parameters must not overflow.
 */
#include <stdlib.h>

#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct config c, again;
	struct err err;
	json_t *doc = json_loadb((const char *)p, n, 0, NULL), *out, *twice;

	if (doc != NULL && config_read(&c, doc, &err) == 0) {
		if (config_params(&c) <= 0 || !(config_flops(&c, c.context) > 0))
			abort();
		out = config_write(&c, &err);
		if (out == NULL || config_read(&again, out, &err) < 0)
			abort();
		twice = config_write(&again, &err);
		if (twice == NULL || !json_equal(out, twice))
			abort();
		json_decref(out);
		json_decref(twice);
	}
	json_decref(doc);
	return 0;
}
