#include "fmt/provenance.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

json_t *
provenance_new(const char *tool, const char *version, struct err *err)
{
	json_t *p = json_pack("{s:s, s:s, s:{}, s:[]}", "tool", tool, "version", version,
	    "options", "inputs");

	if (p == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	return p;
}

json_t *
provenance_options(json_t *p)
{
	return json_object_get(p, "options");
}

int
provenance_input(json_t *p, uint64_t hash, str own, struct err *err)
{
	char hex[17];
	json_t *input, *nested = NULL;

	snprintf(hex, sizeof(hex), "%016" PRIx64, hash);
	input = json_pack("{s:s}", "xxh3", hex);
	/* A long ancestry is cut: its hash still tells inputs apart. */
	if (own.p != NULL && own.n <= PROVENANCE_NESTED)
		nested = json_loadb(own.p, (size_t)own.n, 0, NULL);
	if (nested != NULL)
		json_object_set_new(input, "provenance", nested);
	if (json_array_append_new(json_object_get(p, "inputs"), input) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

int
provenance_text(const json_t *p, struct buf *b, struct err *err)
{
	char *text = json_dumps(p, JSON_COMPACT);

	buf_reset(b);
	if (text == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	buf_add(b, str_of(text));
	free(text);
	return buf_ok(b, err);
}
