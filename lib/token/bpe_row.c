#include "token/bpe_row.h"

#define FAR	64		/* symbols of a long word */

static void
put_walls(struct row *r, int64_t count)
{
	r->cell[r->n++] = CELL_WALL | (uint32_t)(count >> 30 & CELL_BITS);
	r->cell[r->n++] = CELL_WALL | (uint32_t)(count & CELL_BITS);
}

static void
end_word(struct row *r, int64_t first, int64_t count)
{
	if (r->n - first >= FAR)
		r->far[r->nfar++] = (struct far_word){ first, count };
}

int
row_init(struct row *r, struct words *words, const int32_t id[256], const char *dir,
    int64_t memory, struct err *err)
{
	int64_t bytes = words_bytes(words), cells = bytes + 2 * words_distinct(words) + 2, count;
	struct piece *row, *far;
	str w;
	int got;

	*r = (struct row){ 0 };
	spill_init(&r->spill, dir, memory);
	if ((row = spill_map(&r->spill, cells * (int64_t)sizeof(*r->cell), err)) == NULL ||
	    (far = spill_map(&r->spill, (bytes / FAR + 1) * (int64_t)sizeof(*r->far), err)) == NULL)
		return -1;
	r->cell = row->p;
	r->far = far->p;
	while ((got = words_next(words, &w, &count, err)) > 0) {
		if (w.n >= CELL_BITS || count >> 60 != 0)
			return err_set(err, ERR_LIMIT, "a word of a gigabyte, or that often");
		put_walls(r, count);
		for (ptrdiff_t i = 0; i < w.n; i++)
			r->cell[r->n++] = (uint32_t)id[(uint8_t)w.p[i]];
		end_word(r, r->n - w.n, count);
	}
	put_walls(r, 0);
	return got;
}

void
row_free(struct row *r)
{
	spill_free(&r->spill);
}

int64_t
row_close(struct row *r)
{
	int64_t cells = r->n, symbols = 0;

	r->n = r->nfar = 0;
	for (int64_t i = 2; i < cells; i += 2) {
		int64_t count = row_wall(r, i), first = r->n + 2, next;

		put_walls(r, count);
		for (; !cell_is_wall(r->cell[i]); i = next) {
			uint32_t id = r->cell[i];

			next = row_after(r, i);
			r->cell[r->n++] = id;
		}
		symbols += (r->n - first) * count;
		if (r->n - first == 1) {
			r->alone += count;
			symbols -= count;
			r->n = first - 2;
		}
		end_word(r, first, count);
	}
	put_walls(r, 0);
	return symbols + r->alone;
}

int64_t
row_count(const struct row *r, int64_t at)
{
	int64_t low = 0, high = r->nfar;

	for (int i = 0; i < FAR; i++) {
		if (cell_is_wall(r->cell[at - 1]))
			return row_wall(r, at);
		at = row_before(r, at);
	}
	while (high - low > 1) {
		int64_t mid = low + (high - low) / 2;

		if (r->far[mid].at <= at)
			low = mid;
		else
			high = mid;
	}
	return r->far[low].count;
}
