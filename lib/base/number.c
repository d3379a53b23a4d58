#include "base/number.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The power of unit that a suffix stands for, -1 for none that is known. */
static int
suffix_power(const char *s, int unit)
{
	static const char letters[] = "kMGT";
	int c = *s == 'K' ? 'k' : *s == 'm' || *s == 'g' || *s == 't' ? toupper(*s) : *s;
	const char *at = strchr(letters, c);

	if (*s == '\0' || (unit == 1024 && strcmp(s, "B") == 0))
		return 0;
	if (at == NULL)
		return -1;
	if (s[1] == '\0' || (unit == 1024 && (strcmp(s + 1, "B") == 0 || strcmp(s + 1, "iB") == 0)))
		return (int)(at - letters) + 1;
	return -1;
}

int
number_count(const char *arg, int unit, int64_t *n, struct err *err)
{
	char *end, *fend;
	long long whole;
	double x;
	int64_t scale = 1;
	int power;

	errno = 0;
	whole = strtoll(arg, &end, 10);
	x = strtod(arg, &fend);
	if (fend == arg || !isfinite(x) || isspace((unsigned char)*arg) ||
	    strpbrk(arg, "xX") != NULL || (power = suffix_power(fend, unit)) < 0)
		return err_set(err, ERR_ARG, "'%s' is not a number", arg);
	while (power-- > 0)
		scale *= unit;
	if (end == fend) {
		if (errno == ERANGE || __builtin_mul_overflow(whole, scale, n))
			return err_set(err, ERR_ARG, "'%s' is too large", arg);
		return 0;
	}
	x *= (double)scale;
	if (fabs(x) > 9e15)
		return err_set(err, ERR_ARG, "'%s' is too large", arg);
	if (fabs(x - nearbyint(x)) > 1e-6)
		return err_set(err, ERR_ARG, "'%s' is not a whole number", arg);
	*n = (int64_t)nearbyint(x);
	return 0;
}

int
number_real(const char *arg, double *x, struct err *err)
{
	char *end;

	*x = strtod(arg, &end);
	if (end == arg || isspace((unsigned char)*arg) || isnan(*x) ||
	    (*end != '\0' && strcmp(end, "%") != 0))
		return err_set(err, ERR_ARG, "'%s' is not a number", arg);
	if (*end == '%')
		*x /= 100;
	return 0;
}

int
number_seconds(const char *arg, double *x, struct err *err)
{
	static const char letters[] = "smhd";
	static const int units[] = { 1, 60, 3600, 86400 };
	const char *s = arg;

	*x = 0;
	do {
		char *end = NULL;
		double v = isdigit((unsigned char)*s) || *s == '.' ? strtod(s, &end) : -1;
		const char *unit = v >= 0 && *end != '\0' ? strchr(letters, *end) : letters;

		if (!(v >= 0) || !isfinite(v) || unit == NULL)
			return err_set(err, ERR_ARG,
			    "'%s' is not a time, as 90, 90s, 15m, 4h and 2d are", arg);
		*x += v * units[unit - letters];
		s = end + (*end != '\0');
	} while (*s != '\0');
	return 0;
}
