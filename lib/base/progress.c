#include "base/progress.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

double
progress_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void
progress_start(struct progress *p, double every)
{
	p->start = p->last = progress_now();
	p->every = every;
}

bool
progress_due(struct progress *p)
{
	double now = progress_now();

	if (now - p->last < p->every)
		return false;
	p->last = now;
	return true;
}

/* Three digits that count, and the unit. */
static void
human(char *s, int size, double n, double unit, const char *const *names)
{
	int i = 0;

	while (fabs(n) >= unit * 0.9995 && names[i + 1] != NULL) {
		n /= unit;
		i++;
	}
	if (i == 0)
		snprintf(s, (size_t)size, "%.*f%s", n == nearbyint(n) ? 0 : 1, n, names[i]);
	else
		snprintf(s, (size_t)size, "%.*f%s", fabs(n) < 9.995 ? 2 : fabs(n) < 99.95 ? 1 : 0,
		    n, names[i]);
}

void
human_count(char *s, int size, double n)
{
	static const char *const names[] = { "", "k", "M", "G", "T", "P", NULL };

	human(s, size, n, 1000, names);
}

void
human_bytes(char *s, int size, double n)
{
	static const char *const names[] = {
		" B", " KiB", " MiB", " GiB", " TiB", " PiB", NULL
	};

	human(s, size, n, 1024, names);
}

static void
human_time(char *s, int size, double t)
{
	int64_t n = (int64_t)ceil(t);

	if (n < 100)
		snprintf(s, (size_t)size, "%d s", (int)n);
	else if (n < 3600)
		snprintf(s, (size_t)size, "%d min %d s", (int)(n / 60), (int)(n % 60));
	else
		snprintf(s, (size_t)size, "%lld h %d min", (long long)(n / 3600),
		    (int)(n / 60 % 60));
}

void
progress_line(const struct progress *p, char *line, int size, int64_t count,
    const char *unit, int64_t done, int64_t total)
{
	char n[16], is[16], of[16], rate[16], left[32];
	double t = progress_now() - p->start;
	double speed = t > 1e-3 ? (double)done / t : 0;

	human_count(n, sizeof(n), (double)count);
	human_bytes(is, sizeof(is), (double)done);
	human_bytes(rate, sizeof(rate), speed);
	if (total < done || total == 0) {
		snprintf(line, (size_t)size, "%s %s, %s, %s/s", n, unit, is, rate);
		return;
	}
	human_bytes(of, sizeof(of), (double)total);
	human_time(left, sizeof(left),
	    speed > 0 ? fmin((double)(total - done) / speed, 1e9) : 0);
	snprintf(line, (size_t)size, "%s %s, %s of %s (%d%%), %s/s, %s left", n, unit, is, of,
	    (int)(100.0 * (double)done / (double)total), rate, left);
}
