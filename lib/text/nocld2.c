/*
 * nocld2 - in the place of cld2.cc where CLD2 was not there to build with
 */
#include "text/cld2_impl.h"

#include <stddef.h>

int
cld2_detect(const char *text, int n, bool guess, int hint, struct cld2_found *found)
{
	(void)text, (void)n, (void)guess, (void)hint, (void)found;
	return -1;
}

const char *
cld2_code(int number)
{
	(void)number;
	return "";
}

const char *
cld2_name(int number)
{
	return cld2_code(number);
}

int
cld2_group(int number)
{
	(void)number;
	return 0;
}

const char *
cld2_version(void)
{
	return NULL;
}
