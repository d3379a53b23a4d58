#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "tool/tool_impl.h"

static int
within(const struct opt *o, const char *arg, double x, struct err *err)
{
	if (!(o->max > o->min) || (x >= o->min && x <= o->max))
		return 0;
	if (isinf(o->max))
		return err_set(err, ERR_ARG, "%s is below %.15g", arg, o->min);
	return err_set(err, ERR_ARG, "%s is not between %.15g and %.15g", arg, o->min, o->max);
}

int
option_set(const struct opt *o, const char *arg, void *at, struct err *err)
{
	int64_t n;
	double x;

	switch (o->type) {
	case OPT_FLAG:
		*(bool *)at = true;
		return 0;
	case OPT_STR:
		*(const char **)at = arg;
		return 0;
	case OPT_I64:
	case OPT_BYTES:
		if (number_count(arg, o->type == OPT_I64 ? 1000 : 1024, &n, err) == -1)
			return -1;
		if (o->type == OPT_BYTES && n < 0)
			return err_set(err, ERR_ARG, "%s is below 0", arg);
		if (within(o, arg, (double)n, err) == -1)
			return -1;
		*(int64_t *)at = n;
		return 0;
	case OPT_F64:
	case OPT_TIME:
		if ((o->type == OPT_F64 ? number_real : number_seconds)(arg, &x, err) == -1 ||
		    within(o, arg, x, err) == -1)
			return -1;
		*(double *)at = x;
		return 0;
	case OPT_CALL:
		return o->call(at, arg, err);
	case OPT_END:
	case OPT_GROUP:
		break;
	}
	return 0;
}

void
options_help(const struct tool *t, const struct option_list *l)
{
	int width = 0;

	for (int i = 0; i < l->n; i++) {
		int n = (int)strlen(l->opt[i]->name) +
		    (l->opt[i]->arg != NULL ? (int)strlen(l->opt[i]->arg) + 1 : 0);

		if (n > width && n <= 28)
			width = n;
	}
	printf("usage: %s [options]%s%s\n%s\n\n", t->name, *t->synopsis != '\0' ? " " : "",
	    t->synopsis, t->summary);
	for (int i = 0; i < l->n; i++) {
		const struct opt *o = l->opt[i];
		char letter[5] = "    ";
		int n;

		if (o->letter != 0)
			snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		n = printf("  %s--%s%s%s", letter, o->name, o->arg != NULL ? " " : "",
		    o->arg != NULL ? o->arg : "");
		printf("%*s  %s\n", width + 8 - n > 0 ? width + 8 - n : 0, "", o->help);
	}
}

/* Does the name of an argument say that it is a path? */
static bool
is_path(const char *arg)
{
	static const char *const paths[] = {
		"file", "FILE", "dir", "DIR", "path", "PATH", "model", "MODEL", "run", "RUN", NULL
	};

	for (const char *const *p = paths; *p != NULL; p++)
		if (strstr(arg, *p) != NULL)
			return true;
	return false;
}

/* The name of a shell function for the tool. */
static void
function_name(const char *name, char *s, int size)
{
	int n = 0;

	s[n++] = '_';
	for (; *name != '\0' && n < size - 1; name++)
		s[n++] = isalnum((unsigned char)*name) ? *name : '_';
	s[n] = '\0';
}

void
options_bash(const struct tool *t, const struct option_list *l)
{
	char fn[64];

	function_name(t->name, fn, sizeof(fn));
	printf("# bash completion for %s\n%s() {\n"
	    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	    "\tCOMPREPLY=()\n\tcase $prev in\n", t->name, fn);
	for (int i = 0; i < l->n; i++) {
		const struct opt *o = l->opt[i];

		if (o->arg == NULL)
			continue;
		printf("\t");
		if (o->letter != 0)
			printf("-%c|", o->letter);
		printf("--%s)\n", o->name);
		if (strchr(o->arg, '|') != NULL) {
			printf("\t\tCOMPREPLY=($(compgen -W '");
			for (const char *c = o->arg; *c != '\0'; c++)
				putchar(*c == '|' ? ' ' : *c);
			printf("' -- \"$cur\"))\n");
		} else if (is_path(o->arg)) {
			printf("\t\tcompopt -o filenames\n"
			    "\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n");
		}
		printf("\t\treturn ;;\n");
	}
	printf("\tesac\n\tcase $cur in\n\t-*)\n\t\tCOMPREPLY=($(compgen -W '");
	for (int i = 0; i < l->n; i++) {
		if (l->opt[i]->letter != 0)
			printf("-%c ", l->opt[i]->letter);
		printf("--%s%s", l->opt[i]->name, i + 1 < l->n ? " " : "");
	}
	printf("' -- \"$cur\")) ;;\n\t*)\n\t\tcompopt -o filenames\n"
	    "\t\tCOMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
	    "\tesac\n}\ncomplete -F %s %s\n", fn, t->name);
}

/* Text inside the single quotes and brackets of an _arguments spec. */
static void
zsh_text(const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\'')
			printf("'\\'");
		else if (strchr("[]:\\", *s) != NULL)
			putchar('\\');
		putchar(*s);
	}
}

void
options_zsh(const struct tool *t, const struct option_list *l)
{
	printf("#compdef %s\n_arguments -s -S \\\n", t->name);
	for (int i = 0; i < l->n; i++) {
		const struct opt *o = l->opt[i];
		const char *eq = o->arg != NULL ? "=" : "";

		if (o->letter != 0)
			printf("\t'(-%c --%s)'{-%c%s,--%s%s}'[", o->letter, o->name,
			    o->letter, o->arg != NULL ? "+" : "", o->name, eq);
		else
			printf("\t'--%s%s[", o->name, eq);
		zsh_text(o->help);
		putchar(']');
		if (o->arg != NULL) {
			putchar(':');
			zsh_text(o->arg);
			putchar(':');
			if (strchr(o->arg, '|') != NULL) {
				putchar('(');
				for (const char *c = o->arg; *c != '\0'; c++)
					putchar(*c == '|' ? ' ' : *c);
				putchar(')');
			} else if (is_path(o->arg)) {
				printf("_files");
			}
		}
		printf("' \\\n");
	}
	printf("\t'*:file:_files'\n");
}
