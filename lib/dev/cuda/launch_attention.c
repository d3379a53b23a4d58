/* Which kernels attend, and how they are cut into blocks. */
#include "dev/cuda/launch.h"

enum {
	ROWS = 16, KEYS = 64,		/* of a warp, of a tile; as in attend.cuh */
	PLACES = 2 * KEYS * 12,		/* bytes: where keys of two tiles are, and biases */
	STATS = 12,			/* bytes: lse, delta and position of a row */
	PARTS = 256 << 20,		/* bytes of segments' sums, at most */
};

/* Kernels of a size of heads: the largest of keys and values, and warps of a block. */
struct shape {
	enum cuda_entry	all, few;	/* of gradients: of queries, of keys */
	int64_t		d_qk, d_v;
	int		groups, halves;
};

static const struct shape shapes[] = {
	{ E_flash_64, E_flash_few_64, 64, 64, 4, 1 },
	{ E_flash_128, E_flash_few_128, 192, 128, 4, 1 },
	{ E_flash_256, E_flash_few_256, 256, 256, 2, 2 },
};

/* Those of gradients. */
static const struct shape shapes_bwd[] = {
	{ E_flash_dq_64, E_flash_dkv_64, 64, 64, 4, 1 },
	{ E_flash_dq_128, E_flash_dkv_128, 128, 128, 4, 1 },
	{ E_flash_dq_256, E_flash_dkv_256, 256, 256, 2, 2 },
};

enum { SHAPES = 3 };

/* Tensor cores take what is of one 16-bit type; NULL: they do not. */
static const struct shape *
shape_of(const struct k_attention *a, const struct shape *s)
{
	if (a->type != a->kv_type || a->type == DTYPE_F32)
		return NULL;
	for (int i = 0; i < SHAPES; i++)
		if (a->d_qk <= s[i].d_qk && a->d_v <= s[i].d_v)
			return &s[i];
	return NULL;
}

/* Bytes of rows of shared memory, 16-bit. */
static int64_t
row_bytes(int64_t rows, int64_t d)
{
	return rows * (cuda_over(d, 16) * 16 + 8) * 2;
}

/* Queries, keys, and values. */
static int
shared_bytes(int groups, int64_t d_qk, int64_t d_v)
{
	return (int)(PLACES + row_bytes(ROWS * groups + KEYS, d_qk) + row_bytes(KEYS, d_v));
}

static int64_t
least(int64_t x, int64_t y)
{
	return x < y ? x : y;
}

/* Which tokens' segments may be blocks' own: so many that their sums have room. */
static struct cuda_flash
flash_of(const struct k_attention *a)
{
	struct cuda_flash f = { .a = *a, .segments = 1 };
	int64_t most = a->seqs.cap * (FLASH_SPLIT / (a->heads / a->kv_heads)), room;

	if (a->block_table.at != 0)
		f.segments = cuda_over(a->max_blocks * a->block_size, FLASH_SEGMENT);
	if (f.segments <= 1)
		return f;
	room = PARTS / (a->heads * f.segments * (a->d_v + 2) * (int64_t)sizeof(float));
	f.tokens = least(least(most, a->t.cap), room);
	return f;
}

int64_t
cuda_attention_bytes(const struct k_attention *a)
{
	struct cuda_flash f = flash_of(a);

	return shape_of(a, shapes) == NULL ? 0 :
	    f.tokens * a->heads * f.segments * (a->d_v + 2) * (int64_t)sizeof(float);
}

/* Tiles of rows, by groups of ROWS, and as many blocks to each as there is work for. */
static void
flash(struct cuda *c, const struct cuda_flash *f, const struct shape *s, bool few)
{
	const struct k_attention *a = &f->a;
	int groups = few ? 1 : s->groups;
	int64_t seqs = least(a->seqs.cap, a->t.cap), group = a->heads / a->kv_heads;
	int64_t tiles = seqs + (few ? 0 : cuda_over(a->t.cap * group, ROWS * groups));
	struct cuda_grid g = { .x = tiles * a->kv_heads, .y = 1,
		.threads = 32 * groups * s->halves,
		.shared = shared_bytes(groups, a->d_qk, a->d_v),
		.most_shared = shared_bytes(groups, s->d_qk, s->d_v) };

	if (f->tokens > 0 && g.x > 0)
		g.y = least(f->segments, 1 + (int64_t)c->processors * 8 / g.x);
	cuda_go(c, K_ATTENTION, few ? s->few : s->all, a->type, g, f);
}

void
cuda_attention(struct cuda *c, int kernel, const union dev_args *args)
{
	const struct k_attention *a = &args->attention;
	const struct shape *s = shape_of(a, shapes);
	struct cuda_flash f = flash_of(a);

	if (s == NULL) {
		cuda_go(c, kernel, E_attention, a->type,
		    cuda_warps(c, a->t.cap * a->heads), a);
		return;
	}
	flash(c, &f, s, false);
	if (a->block_table.at != 0)
		flash(c, &f, s, true);
	if (f.tokens > 0)
		cuda_go(c, kernel, E_flash_merge, a->type,
		    cuda_warps(c, f.tokens * a->heads), &f);
}

/* ---- gradients ---- */

/* Keys that a block of so many warps has for itself, and rows that it takes at a time. */
static int
keys_bytes(const struct shape *s, int64_t d_qk, int64_t d_v)
{
	int64_t rows = s->halves > 1 ? 16 : 32, all = ROWS * s->groups + 2 * rows;

	return (int)(2 * rows * STATS + row_bytes(all, d_qk) + row_bytes(all, d_v));
}

static int
queries_bytes(const struct shape *s, int64_t d_qk, int64_t d_v)
{
	int64_t rows = ROWS * s->groups + KEYS;

	return (int)(row_bytes(rows, d_qk) + row_bytes(rows, d_v));
}

void
cuda_attention_bwd(struct cuda *c, int kernel, const union dev_args *args)
{
	const struct k_attention_bwd *b = &args->attention_bwd;
	const struct k_attention *a = &b->f;
	const struct shape *s = shape_of(a, shapes_bwd);
	struct cuda_grid queries = cuda_warps(c, a->t.cap * a->heads), keys;
	int64_t seqs = least(a->seqs.cap, a->t.cap), group = a->heads / a->kv_heads, tall;

	cuda_go(c, kernel, E_attention_delta, a->type, queries, b);
	if (s == NULL) {
		cuda_go(c, kernel, E_attention_dq, a->type, queries, b);
		cuda_go(c, kernel, E_attention_dkv, a->type,
		    cuda_warps(c, a->t.cap * a->kv_heads), b);
		return;
	}
	tall = ROWS * s->groups;
	queries = (struct cuda_grid){
		.x = (seqs + cuda_over(a->t.cap * group, tall)) * a->kv_heads, .y = 1,
		.threads = 32 * s->groups * s->halves, .shared = queries_bytes(s, a->d_qk, a->d_v),
		.most_shared = queries_bytes(s, s->d_qk, s->d_v) };
	keys = (struct cuda_grid){
		.x = (seqs + cuda_over(a->t.cap, tall)) * a->kv_heads, .y = 1,
		.threads = 32 * s->groups * s->halves, .shared = keys_bytes(s, a->d_qk, a->d_v),
		.most_shared = keys_bytes(s, s->d_qk, s->d_v) };
	cuda_go(c, kernel, s->all, a->type, queries, b);
	cuda_go(c, kernel, s->few, a->type, keys, b);
}
