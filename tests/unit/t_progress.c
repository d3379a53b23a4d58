/* Counts, sizes and the progress line. */
#include <string.h>

#include "base/progress.h"
#include "../tap.h"

static int
is(void (*f)(char *, int, double), double n, const char *want)
{
	char s[16];

	f(s, sizeof(s), n);
	if (strcmp(s, want) != 0)
		printf("# %g: %s, not %s\n", n, s, want);
	return strcmp(s, want) == 0;
}

int
main(void)
{
	struct progress p;
	char line[200];

	ok(is(human_count, 0, "0") && is(human_count, 7, "7") && is(human_count, 2.5, "2.5") &&
	    is(human_count, 999, "999") && is(human_count, 1000, "1.00k") &&
	    is(human_count, 1234567, "1.23M") && is(human_count, 12345678, "12.3M") &&
	    is(human_count, 999999, "1.00M") && is(human_count, 5e18, "5000P") &&
	    is(human_count, -1500, "-1.50k"), "human_count");
	ok(is(human_bytes, 0, "0 B") && is(human_bytes, 1023, "1023 B") &&
	    is(human_bytes, 1024, "1.00 KiB") && is(human_bytes, 1234567, "1.18 MiB") &&
	    is(human_bytes, 1e12, "931 GiB"), "human_bytes");
	progress_start(&p, 1000);
	ok(!progress_due(&p), "not due yet");
	p.every = 0;
	ok(progress_due(&p) && progress_now() >= p.start, "due");
	p.start = progress_now() - 10;
	progress_line(&p, line, sizeof(line), 1234, "records", 10 << 20, 40 << 20);
	ok(strstr(line, "1.23k records, 10.0 MiB of 40.0 MiB (25%), ") == line &&
	    (strstr(line, "/s, 30 s left") != NULL || strstr(line, "/s, 31 s left") != NULL),
	    "a line with a total");
	progress_line(&p, line, sizeof(line), 5, "steps", 10 << 20, -1);
	ok(strstr(line, "5 steps, 10.0 MiB, ") == line && strstr(line, "left") == NULL,
	    "and without");
	progress_line(&p, line, sizeof(line), 0, "records", 0, 100);
	ok(strstr(line, "(0%)") != NULL, "before the first byte");
	progress_line(&p, line, 10, 0, "records", 0, 100);
	ok(strlen(line) == 9, "a short buffer is kept to");
	return tap_done();
}
