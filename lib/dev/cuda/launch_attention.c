/* Which kernels attend, and how they are cut into blocks. */
#include "dev/cuda/launch.h"

enum {
	ROWS = 16,			/* of a warp */
	STATS = 12,			/* bytes: lse, delta and position of a row */
	PARTS = 256 << 20,		/* bytes of segments' sums, at most */
	SHAPES = 3,
};

/* Kernels of a size of heads: the largest of keys and values, and warps of a block. */
struct shape {
	enum cuda_entry	first, second;	/* all and few rows; gradients of queries, of keys */
	int64_t		d_qk, d_v;
	int		groups, halves;
};

static const struct shape forward[SHAPES] = {
	{ E_flash_64, E_flash_few_64, 64, 64, 4, 1 },
	{ E_flash_128, E_flash_few_128, 192, 128, 4, 1 },
	{ E_flash_256, E_flash_few_256, 256, 256, 2, 2 },
};

static const struct shape backward[SHAPES] = {
	{ E_flash_dq_64, E_flash_dkv_64, 64, 64, 4, 1 },
	{ E_flash_dq_128, E_flash_dkv_128, 128, 128, 4, 1 },
	{ E_flash_dq_256, E_flash_dkv_256, 256, 256, 2, 2 },
};

static const struct shape backward_f32[SHAPES] = {
	{ E_flash_dq_64, E_flash_dkv_64, 64, 64, 4, 1 },
	{ E_flash_dq_128, E_flash_dkv_128, 128, 128, 2, 1 },
	{ E_flash_dq_256, E_flash_dkv_256, 256, 256, 1, 2 },
};

/* Of what tiles are: tensor cores take what is of one 16-bit type, or of blocks; else fp32. */
static dtype
tile_type(const struct k_attention *a)
{
	return a->type == a->kv_type || dtype_block(a->kv_type) > 1 ? a->type : DTYPE_F32;
}

/* The least that heads fit; NULL: none. */
static const struct shape *
shape_of(const struct k_attention *a, const struct shape *s)
{
	for (int i = 0; i < SHAPES; i++)
		if (a->d_qk <= s[i].d_qk && a->d_v <= s[i].d_v)
			return &s[i];
	return NULL;
}

static int64_t
least(int64_t x, int64_t y)
{
	return x < y ? x : y;
}

/* ---- shared memory, as the kernels lay it out ---- */

static int64_t
row_bytes(dtype t, int64_t rows, int64_t d)
{
	return rows * (cuda_over(d, 16) * 16 * dtype_size(t) + 16);
}

/* Keys of a tile. */
static int64_t
keys_of(dtype t)
{
	return t == DTYPE_F32 ? 32 : 64;
}

/* Queries, keys, and values; where keys of two tiles are, and their biases. */
static int
forward_bytes(dtype t, int groups, int64_t d_qk, int64_t d_v)
{
	int64_t keys = keys_of(t);

	return (int)(2 * keys * 12 + row_bytes(t, ROWS * groups + keys, d_qk) +
	    row_bytes(t, keys, d_v));
}

/* A block's queries, and keys of a tile. */
static int
dq_bytes(dtype t, const struct shape *s, int64_t d_qk, int64_t d_v)
{
	int64_t rows = ROWS * s->groups + keys_of(t);

	return (int)(row_bytes(t, rows, d_qk) + row_bytes(t, rows, d_v));
}

/* A block's keys, and two tiles of queries. */
static int
dkv_bytes(dtype t, const struct shape *s, int64_t d_qk, int64_t d_v)
{
	int64_t tall = s->halves > 1 || t == DTYPE_F32 ? 16 : 32;
	int64_t rows = ROWS * s->groups + 2 * tall;

	return (int)(2 * tall * STATS + row_bytes(t, rows, d_qk) + row_bytes(t, rows, d_v));
}

/* ---- forward ---- */

/* Of a token's sums of all segments, with their tops. */
static int64_t
token_bytes(const struct cuda_flash *f)
{
	return f->a.heads * f->segments * (flash_row(f->a.d_v) + 2) * (int64_t)sizeof(float);
}

/* Which tokens' segments may be blocks' own: so many that their sums have room. */
static struct cuda_flash
flash_of(const struct k_attention *a)
{
	struct cuda_flash f = { .a = *a, .segments = 1 };
	int64_t most = a->seqs.cap * (FLASH_SPLIT / (a->heads / a->kv_heads));

	if (a->block_table.at != 0)
		f.segments = cuda_over(a->max_blocks * a->block_size, FLASH_SEGMENT);
	if (f.segments <= 1)
		return f;
	f.tokens = least(least(most, a->t.cap), PARTS / token_bytes(&f));
	return f;
}

int64_t
cuda_attention_bytes(const struct k_attention *a)
{
	struct cuda_flash f = flash_of(a);

	return shape_of(a, forward) == NULL ? 0 : f.tokens * token_bytes(&f);
}

/* Tiles of rows, by groups of ROWS, and as many blocks to each as there is work for. */
static void
flash(struct cuda *c, const struct cuda_flash *f, const struct shape *s, bool few)
{
	const struct k_attention *a = &f->a;
	int groups = few ? 1 : s->groups;
	int64_t seqs = least(a->seqs.cap, a->t.cap), group = a->heads / a->kv_heads;
	int64_t tiles = seqs + (few ? 0 : cuda_over(a->t.cap * group, ROWS * groups));
	dtype t = tile_type(a);
	struct cuda_grid g = { .x = tiles * a->kv_heads, .y = 1,
		.threads = 32 * groups * s->halves,
		.shared = forward_bytes(t, groups, a->d_qk, a->d_v),
		.most_shared = forward_bytes(t, groups, s->d_qk, s->d_v) };

	if (f->tokens > 0 && g.x > 0)
		g.y = least(f->segments, 1 + (int64_t)c->processors * 8 / g.x);
	cuda_go(c, K_ATTENTION, few ? s->second : s->first, t, g, f);
}

void
cuda_attention(struct cuda *c, int kernel, const union dev_args *args)
{
	const struct k_attention *a = &args->attention;
	const struct shape *s = shape_of(a, forward);
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
		cuda_go(c, kernel, E_flash_merge, DTYPE_NONE,
		    cuda_warps(c, f.tokens * a->heads), &f);
}

/* ---- gradients ---- */

/* Of heads that have no shape. */
static void
any_bwd(struct cuda *c, int kernel, const struct k_attention_bwd *b)
{
	const struct k_attention *a = &b->f;

	cuda_go(c, kernel, E_attention_dq, a->type, cuda_warps(c, a->t.cap * a->heads), b);
	cuda_go(c, kernel, E_attention_dkv, a->type, cuda_warps(c, a->t.cap * a->kv_heads), b);
}

void
cuda_attention_bwd(struct cuda *c, int kernel, const union dev_args *args)
{
	const struct k_attention_bwd *b = &args->attention_bwd;
	const struct k_attention *a = &b->f;
	dtype t = tile_type(a);
	const struct shape *s = shape_of(a, t == DTYPE_F32 ? backward_f32 : backward);
	int64_t seqs = least(a->seqs.cap, a->t.cap), rows = a->t.cap * (a->heads / a->kv_heads);
	struct cuda_grid g = { .y = 1 };

	cuda_go(c, kernel, E_attention_delta, a->type, cuda_warps(c, a->t.cap * a->heads), b);
	if (s == NULL) {
		any_bwd(c, kernel, b);
		return;
	}
	g.threads = 32 * s->groups * s->halves;
	g.x = (seqs + cuda_over(rows, ROWS * s->groups)) * a->kv_heads;
	g.shared = dq_bytes(t, s, a->d_qk, a->d_v);
	g.most_shared = dq_bytes(t, s, s->d_qk, s->d_v);
	cuda_go(c, kernel, s->first, t, g, b);
	g.x = (seqs + cuda_over(a->t.cap, ROWS * s->groups)) * a->kv_heads;
	g.shared = dkv_bytes(t, s, a->d_qk, a->d_v);
	g.most_shared = dkv_bytes(t, s, s->d_qk, s->d_v);
	cuda_go(c, kernel, s->second, t, g, b);
}
