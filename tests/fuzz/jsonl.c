/*
 * Any bytes as a file of records, through a job that changes, drops and keeps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "text/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static int
map(const void *ctx, void *state, struct record *r, struct err *err)
{
	(void)ctx;
	(void)state;
	if (r->text.p == NULL || r->text.n % 3 == 0)
		return RECORD_DROP;
	if (r->text.n % 3 == 1 && record_set_text(r, S("text"), r->text, err) < 0)
		return RECORD_BAD;
	return RECORD_KEEP;
}

static int
order(void *ctx, struct record *r, struct err *err)
{
	*(int64_t *)ctx += r->text.n;
	if (r->index % 2 != 0 && record_set_raw(r, S("n"), S("1"), err) < 0)
		return RECORD_BAD;
	return RECORD_KEEP;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	int64_t sum = 0;
	const struct records_job job = { .ctx = &sum, .field = S("text"), .optional = true,
	    .map = map, .order = order };
	const struct records_io io = { .keep_going = true };
	struct records_count c;
	struct err err;
	struct team *team = team_new(1, &err);
	int fd = memfd_create("records", 0);
	char name[64], *file = name;

	if (team == NULL || fd < 0 || write(fd, p, n) != (ssize_t)n)
		abort();
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (records_run(team, &job, &io, &file, 1, "/dev/null", &c, &err) == 0 &&
	    c.read != c.kept + c.dropped + c.bad)
		abort();
	close(fd);
	team_free(team);
	return 0;
}
