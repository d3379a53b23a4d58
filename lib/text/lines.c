#include "text/lines.h"

#include <stdlib.h>

#include "text/records_impl.h"

struct lines {
	struct run	run;
	struct records_io io;
	struct batch	batch;
	str		rest;		/* of the batch */
};

struct lines *
lines_open(char *const *files, int n, struct err *err)
{
	struct lines *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	l->io.keep_going = true;
	l->run.io = &l->io;
	l->run.file = files;
	l->run.nfiles = n;
	return l;
}

int
lines_next(struct lines *l, str *line, struct err *err)
{
	for (;;) {
		int got;

		while (l->rest.n > 0) {
			str raw = records_cut(&l->run, l->rest, line);

			l->rest = (str){ l->rest.p + raw.n, l->rest.n - raw.n };
			if (line->n == 0)
				continue;
			if (line->n > RECORDS_MAX)
				*line = (str){ NULL, 0 };
			return 1;
		}
		if ((got = records_read(&l->run, &l->batch, err)) <= 0)
			return got;
		if (l->batch.too_long) {
			*line = (str){ NULL, 0 };
			return 1;
		}
		l->rest = records_first(&l->batch);
	}
}

void
lines_close(struct lines *l)
{
	if (l == NULL)
		return;
	if (l->run.in != NULL)
		in_close(l->run.in);
	buf_free(&l->run.carry);
	buf_free(&l->batch.in);
	free(l);
}
