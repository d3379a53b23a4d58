/* The writer of safetensors: header as the reference makes it, then the data. */
#include <jansson.h>
#include <stdlib.h>

#include "fmt/safetensors.h"

#define PIECE ((int64_t)1 << 20)	/* bytes asked of fill() at once */

/* Place in the reference's order of types: its enum, backwards. */
static int
rank(dtype t)
{
	static const dtype order[] = {
		DTYPE_U64, DTYPE_I64, DTYPE_F64, DTYPE_F32, DTYPE_U32, DTYPE_I32,
		DTYPE_BF16, DTYPE_F16, DTYPE_U16, DTYPE_I16, DTYPE_F8_E4M3, DTYPE_F8_E5M2,
		DTYPE_I8, DTYPE_U8, DTYPE_BOOL,
	};
	int i = 0;

	while (order[i] != t)
		i++;
	return i;
}

static int
by_layout(const void *a, const void *b)
{
	const struct st_tensor *x = *(const struct st_tensor *const *)a;
	const struct st_tensor *y = *(const struct st_tensor *const *)b;
	int d = rank(x->type) - rank(y->type);

	return d != 0 ? d : strcmp(x->name, y->name);
}

static int
add_entry(json_t *head, const struct st_tensor *t, int64_t *at, struct err *err)
{
	int64_t bytes = st_bytes(t->type, t->ndim, t->shape), end;
	json_t *shape = json_array(), *v;

	if (t->type <= DTYPE_NONE || t->type >= DTYPE_COUNT || bytes < 0 ||
	    __builtin_add_overflow(*at, bytes, &end)) {
		json_decref(shape);
		return err_set(err, ERR_ARG, "tensor '%.200s': impossible dtype or shape",
		    t->name);
	}
	for (int i = 0; i < t->ndim; i++)
		if (json_array_append_new(shape, json_integer(t->shape[i])) != 0) {
			json_decref(shape);
			return err_set(err, ERR_NOMEM, "out of memory");
		}
	v = json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype_name(t->type), "shape", shape,
	    "data_offsets", (json_int_t)*at, (json_int_t)end);
	if (json_object_get(head, t->name) != NULL) {
		json_decref(v);
		return err_set(err, ERR_ARG, "tensor '%.200s' is there twice", t->name);
	}
	if (json_object_set_new(head, t->name, v) != 0)
		return err_set(err, ERR_ARG, "tensor '%.200s': not a name in UTF-8", t->name);
	*at = end;
	return 0;
}

static json_t *
header(const struct st_write *w, const struct st_tensor **order, struct err *err)
{
	json_t *head = json_object(), *meta = json_object();
	int64_t at = 0;
	int bad = 0;

	bad |= json_object_set_new(meta, "format", json_string("pt"));
	for (int i = 0; i < w->n_meta; i++)
		bad |= json_object_set_new(meta, w->meta[i][0], json_string(w->meta[i][1]));
	bad |= json_object_set_new(head, "__metadata__", meta);
	if (bad != 0) {
		json_decref(head);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	for (int i = 0; i < w->n; i++)
		if (add_entry(head, order[i], &at, err) != 0) {
			json_decref(head);
			return NULL;
		}
	return head;
}

/* The header's length and text, filled up with spaces to a multiple of 8. */
static int
write_header(struct out *out, const json_t *head, struct err *err)
{
	char *text = json_dumps(head, JSON_COMPACT);
	uint64_t n, pad;
	int rc;

	if (text == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	n = strlen(text);
	pad = -n & 7;
	n += pad;
	if (n > ST_HEADER_MAX)
		rc = err_set(err, ERR_LIMIT, "a header of more than %d bytes", ST_HEADER_MAX);
	else if ((rc = out_write(out, &n, sizeof(n), err)) == 0 &&
	    (rc = out_write(out, text, (ptrdiff_t)(n - pad), err)) == 0)
		rc = out_write(out, "       ", (ptrdiff_t)pad, err);
	free(text);
	return rc;
}

static int
write_data(struct out *out, const struct st_write *w, const struct st_tensor *t, void *piece,
    struct err *err)
{
	int64_t bytes = st_bytes(t->type, t->ndim, t->shape);

	if (bytes == 0)
		return 0;
	if (t->data != NULL)
		return out_write(out, t->data, bytes, err);
	for (int64_t at = 0; at < bytes; at += PIECE) {
		int64_t n = bytes - at < PIECE ? bytes - at : PIECE;

		if (w->fill(w->ctx, (int)(t - w->tensor), at, piece, n, err) != 0 ||
		    out_write(out, piece, n, err) != 0)
			return -1;
	}
	return 0;
}

static int
write_all(struct out *out, const struct st_write *w, const struct st_tensor **order, void *piece,
    struct err *err)
{
	json_t *head;
	int rc;

	for (int i = 0; i < w->n; i++) {
		order[i] = &w->tensor[i];
		if (w->tensor[i].type <= DTYPE_NONE || w->tensor[i].type >= DTYPE_COUNT)
			return err_set(err, ERR_ARG, "tensor '%.200s': no dtype",
			    w->tensor[i].name);
	}
	if (w->n > 0)
		qsort(order, (size_t)w->n, sizeof(*order), by_layout);
	head = header(w, order, err);
	if (head == NULL)
		return -1;
	rc = write_header(out, head, err);
	json_decref(head);
	for (int i = 0; rc == 0 && i < w->n; i++)
		rc = write_data(out, w, order[i], piece, err);
	return rc;
}

int
st_save_out(struct out *out, const struct st_write *w, struct err *err)
{
	const struct st_tensor **order = malloc(((size_t)w->n + 1) * sizeof(*order));
	void *piece = malloc((size_t)PIECE);
	int rc;

	if (order == NULL || piece == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	else
		rc = write_all(out, w, order, piece, err);
	free(order);
	free(piece);
	if (rc == 0)
		return out_commit(out, err);
	out_abort(out);
	return -1;
}

int
st_save(const char *path, const struct st_write *w, struct err *err)
{
	struct out *out = out_open(path, (struct codec_spec){ CODEC_PLAIN, 0 }, err);

	return out == NULL ? -1 : st_save_out(out, w, err);
}
