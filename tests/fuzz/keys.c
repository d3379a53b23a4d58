/*
 * Any bytes as a file of API keys, and as what a client presents.  What is taken is unique and
 * within its limits.
 */
#include <stdint.h>
#include <stdlib.h>

#include "serve/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	str file = { (const char *)p, (ptrdiff_t)n };
	struct err err = { 0 };
	struct keys *k = keys_parse(file, "keys", &err);

	if (k == NULL && (err.code == ERR_NONE || err.msg[0] == '\0'))
		abort();
	if (k != NULL && (keys_count(k) > KEYS_MAX || keys_find(k, file) != NULL))
		abort();
	keys_free(k);
	return 0;
}
