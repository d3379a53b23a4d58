#include "text/lang.h"

#include <string.h>

#include "text/cld2_impl.h"

int
lang_check(struct err *err)
{
	if (cld2_version() != NULL)
		return 0;
	return err_set(err, ERR_ARG, "built without CLD2, which knows languages: install it "
	    "(Debian's libcld2-dev and g++) and run make again");
}

const char *
lang_code(int number)
{
	const char *code = cld2_code(number);

	/* Numbers of nothing, of scripts, and of languages that are jokes. */
	if (strcmp(code, "un") == 0 || code[0] < 'a' || strncmp(code, "xx", 2) == 0 ||
	    strncmp(code, "zz", 2) == 0)
		return NULL;
	if (strcmp(code, "iw") == 0)
		return "he";
	if (strcmp(code, "jw") == 0)
		return "jv";
	return code;
}

const char *
lang_name(int number)
{
	return lang_code(number) != NULL ? cld2_name(number) : NULL;
}

const char *
lang_version(void)
{
	return cld2_version();
}

int
lang_detect(str text, bool guess, int hint, struct lang_found *found, struct err *err)
{
	struct cld2_found c = { 0 };

	*found = (struct lang_found){ .top[0] = { .number = LANG_NONE, .code = LANG_UNKNOWN } };
	if (text.n == 0)
		return 0;
	if (cld2_detect(text.p, (int)text.n, guess, hint, &c) < 0)
		return err_set(err, ERR_NOMEM, "out of memory in CLD2");
	for (int i = 0; i < LANG_TOP; i++) {
		const char *code = lang_code(c.number[i]);

		if (code != NULL && c.percent[i] > 0)
			found->top[found->n++] = (struct lang_share){ c.number[i], code,
				c.percent[i], c.density[i] };
	}
	found->letters = c.letters;
	found->reliable = c.reliable && found->n > 0;
	return 0;
}

double
lang_score(const struct lang_found *found)
{
	return found->top[0].percent / (found->reliable ? 100.0 : 200.0);
}

bool
lang_alike(int a, int b)
{
	int group = cld2_group(a);

	return a == b || (group != 0 && group == cld2_group(b));
}

bool
lang_within(const char *code, str range)
{
	size_t n = (size_t)range.n;

	return str_eq(range, S("*")) || (strncmp(code, range.p, n) == 0 &&
	    (code[n] == '\0' || code[n] == '-'));
}
