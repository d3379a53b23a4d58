/*
 * Collectives, around the ring of a communicator.  What is added goes in pieces:
 * a part of it starts at each rank, is sent on, and every rank adds its own to
 * what it was sent, so that a sum has one order, whoever is late.
 */
#include "dev/cpu/simd/simd.h"

enum { PIECE = 256 << 10 };	/* bytes of a part */

/* A piece: the part of rank r is n elements from r * stride on, but none from end on. */
struct piece {
	struct comm	*comm;
	int64_t		 size, stride, n, end;
};

static int64_t
part_of(const struct piece *p, int on)
{
	return (comm_rank(p->comm) + on + 2 * comm_size(p->comm)) % comm_size(p->comm);
}

/* Elements in a part. */
static int64_t
length(const struct piece *p, int64_t part)
{
	int64_t left = p->end - part * p->stride;

	return left < 0 ? 0 : left < p->n ? left : p->n;
}

static int64_t
bytes(const struct piece *p, int64_t part)
{
	return length(p, part) * p->size;
}

static const char *
at(const struct piece *p, const char *x, int64_t part)
{
	return x + part * p->stride * p->size;
}

INLINE void
add_as(dtype type, void *y, const void *x, int64_t n)
{
	for (int64_t i = 0; i < n; i += VW)
		vput(type, y, i, vget(type, y, i, n - i) + vget(type, x, i, n - i), n - i);
}

/* y += x */
static void
add(dtype type, void *y, const void *x, int64_t n)
{
	const int32_t *xi = x;
	const double *xd = x;
	int32_t *yi = y;
	double *yd = y;

	for (int64_t i = 0; i < n && type == DTYPE_I32; i++)
		yi[i] += xi[i];
	for (int64_t i = 0; i < n && type == DTYPE_F64; i++)
		yd[i] += xd[i];
	if (type == DTYPE_I32 || type == DTYPE_F64)
		return;
#define ADD(type) add_as(type, y, x, n)
	EACH_TYPE(type, ADD);
#undef ADD
}

/* out = the sum over ranks of this rank's part of x; room: for two parts. */
static int
sum_part(const struct piece *p, dtype type, void *out, const char *x, char *room,
    struct err *err)
{
	int64_t own = part_of(p, 0);
	char *sum = room, *was = room + p->n * p->size;

	for (int s = 0; s < comm_size(p->comm) - 1; s++) {
		int64_t go = part_of(p, -s - 1), come = part_of(p, -s - 2);
		char *next = was;

		if (comm_exchange(p->comm, s == 0 ? at(p, x, go) : sum, bytes(p, go), next,
		    bytes(p, come), err) < 0)
			return -1;
		add(type, next, at(p, x, come), length(p, come));
		was = sum;
		sum = next;
	}
	if (comm_size(p->comm) > 1)
		memcpy(out, sum, (size_t)bytes(p, own));
	else
		memmove(out, x, (size_t)bytes(p, own));
	return 0;
}

/* Every part of y goes around, from the rank that it is of. */
static int
gather_parts(const struct piece *p, char *y, struct err *err)
{
	for (int s = 0; s < comm_size(p->comm) - 1; s++) {
		int64_t go = part_of(p, -s), come = part_of(p, -s - 1);

		if (comm_exchange(p->comm, at(p, y, go), bytes(p, go),
		    (char *)(uintptr_t)at(p, y, come), bytes(p, come), err) < 0)
			return -1;
	}
	return 0;
}

static int
sum(const struct k_collective *a, int64_t size, char *room, struct err *err)
{
	int64_t ranks = comm_size(a->comm), most = ranks * (PIECE / size);

	for (int64_t i = 0; i < a->n; i += most) {
		int64_t end = a->n - i < most ? a->n - i : most, each = (end + ranks - 1) / ranks;
		struct piece p = { a->comm, size, each, each, end };
		const char *x = (const char *)cpu_ptr(a->x) + i * size;
		char *y = (char *)cpu_ptr(a->y) + i * size;

		if (sum_part(&p, a->type, y + part_of(&p, 0) * each * size, x, room, err) < 0 ||
		    gather_parts(&p, y, err) < 0)
			return -1;
	}
	return 0;
}

static int
scatter(const struct k_collective *a, int64_t size, char *room, struct err *err)
{
	int64_t most = PIECE / size;

	for (int64_t i = 0; i < a->n; i += most) {
		int64_t n = a->n - i < most ? a->n - i : most;
		struct piece p = { a->comm, size, a->n, n, INT64_MAX };

		if (sum_part(&p, a->type, (char *)cpu_ptr(a->y) + i * size,
		    (const char *)cpu_ptr(a->x) + i * size, room, err) < 0)
			return -1;
	}
	return 0;
}

static int
gather(const struct k_collective *a, int64_t size, struct err *err)
{
	struct piece p = { a->comm, size, a->n, a->n, INT64_MAX };
	char *y = cpu_ptr(a->y);

	memmove(y + part_of(&p, 0) * a->n * size, cpu_ptr(a->x), (size_t)(a->n * size));
	return gather_parts(&p, y, err);
}

/* From rank to rank, piece by piece, until the one before the root. */
static int
send_on(const struct k_collective *a, int64_t size, struct err *err)
{
	int ranks = comm_size(a->comm), rank = comm_rank(a->comm);
	bool gets = rank != a->root, gives = (rank + 1) % ranks != a->root;
	char *y = cpu_ptr(a->y);

	if (!gets)
		memmove(y, cpu_ptr(a->x), (size_t)(a->n * size));
	for (int64_t i = 0; i < a->n * size; i += PIECE) {
		int64_t n = a->n * size - i < PIECE ? a->n * size - i : PIECE;

		if ((gets && comm_exchange(a->comm, NULL, 0, y + i, n, err) < 0) ||
		    (gives && comm_exchange(a->comm, y + i, n, NULL, 0, err) < 0))
			return -1;
	}
	return 0;
}

/* Is it the same that the rank before has come to? */
static int
agree(const struct k_collective *a, struct err *err)
{
	int64_t mine[] = { (int64_t)a->what, (int64_t)a->type, a->n, a->root }, his[4];

	if (comm_size(a->comm) == 1)
		return 0;
	if (comm_exchange(a->comm, mine, sizeof(mine), his, sizeof(his), err) < 0)
		return -1;
	if (memcmp(mine, his, sizeof(mine)) == 0)
		return 0;
	return err_set(err, ERR_DEVICE, "rank %d: another collective than this (%d, %lld of %s) is "
	    "next at the rank before it", comm_rank(a->comm), (int)a->what, (long long)a->n,
	    dtype_name(a->type));
}

void
OF_ISA(k_collective)(struct cpu *c, const union dev_args *args)
{
	const struct k_collective *a = &args->collective;
	int64_t size = dtype_size(a->type);
	char *room = cpu_scratch(c, 2 * PIECE);
	struct err err;
	int ret;

	if (room == NULL)
		return;
	ret = agree(a, &err);
	if (ret == 0 && a->what == COLLECTIVE_SUM)
		ret = sum(a, size, room, &err);
	else if (ret == 0 && a->what == COLLECTIVE_SCATTER)
		ret = scatter(a, size, room, &err);
	else if (ret == 0 && a->what == COLLECTIVE_GATHER)
		ret = gather(a, size, &err);
	else if (ret == 0)
		ret = send_on(a, size, &err);
	if (ret < 0)
		cpu_fail(c, err.code, "%s", err.msg);
}
