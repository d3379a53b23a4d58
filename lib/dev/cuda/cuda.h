/*
 * cuda - the CUDA backend: what its parts know of it
 *
 * One stream, the queue, does all work in order, and nothing else touches memory
 * that was allocated.  What is uploaded is taken into pinned memory, goes over by
 * a second stream while kernels run, and lands in memory of our own; a copy in the
 * queue takes it from there to its place, behind what still reads what was there.
 * What is downloaded comes back the same way.  Events order the two, so that
 * nothing waits but dev_wait().  Kernels are in the images (*.cu), which the
 * library holds; an entry is looked up when it is first used.  A list of launches
 * that comes again and again is a graph (graph.c).
 *
 * An error of a call or in a kernel is kept and told by dev_wait().
 */
#ifndef DEV_CUDA_CUDA_H
#define DEV_CUDA_CUDA_H

#include "dev/cuda/driver.h"
#include "dev/cuda/run.h"

/* What kernels the images hold: name, or one of each type: name_f32, name_q4_0 ... */
#define CUDA_ENTRIES(X)								\
	X(fill) X(cast) X(add) X(axpby) X(dropout) X(act) X(act_bwd) X(softcap)	\
	X(glu) X(glu_bwd) X(scale) X(slice)					\
	X(index_check) X(embed) X(embed_bwd) X(scatter) X(rope)			\
	X(rmsnorm) X(rmsnorm_dx) X(rmsnorm_dw) X(layernorm) X(layernorm_dx)	\
	X(layernorm_dw) X(bias_part) X(scale_dx) X(scale_dw) X(columns_add)	\
	X(dot_part) X(parts_add) X(xent) X(xent_bwd)				\
	X(flash_64) X(flash_128) X(flash_256) X(flash_few_64) X(flash_few_128)	\
	X(flash_few_256) X(flash_merge) X(flash_dq_64) X(flash_dq_128) X(flash_dq_256)	\
	X(flash_dkv_64) X(flash_dkv_128) X(flash_dkv_256)			\
	X(matmul_large) X(matmul_middle) X(matmul_small)				\
	X(attention) X(attention_delta) X(attention_dq) X(attention_dkv)	\
	X(route) X(balance_grad) X(route_bwd) X(sort_count) X(sort_scan) X(sort_place)	\
	X(route_part) X(route_add) X(balance) X(balance_bias) X(combine) X(combine_bwd) \
	X(adafactor_rows) X(adafactor_part) X(adafactor_cols) X(adafactor_size)	\
	X(adafactor_matrix) X(adafactor_vector) X(adafactor_end)		\
	X(conv) X(conv_state) X(seq_ends) X(conv_dx) X(conv_dw) X(scan)		\
	X(scan_back) X(scan_back_many) X(scan_bc)				\
	X(grouped_tiles) X(grouped_middle) X(grouped_small)				\
	X(fake_quant_small) X(fake_quant_large)					\
	X(hadamard)								\
	X(quant_round) X(quant_decode) X(qmatmul_few) X(qmatmul_many)		\
	X(tails) X(guard) X(adamw) X(lion) X(momentum) X(normalize) X(update) X(ema) X(swap)

#define X(name) E_##name,
enum cuda_entry { CUDA_ENTRIES(X) E_COUNT };
#undef X

enum {
	STAGING_HALF = 2 << 20, PIECES = 64,
	DOWNLOADS_MOST = 256 << 20,	/* bytes between two waits without one more */
};

/* Uploads that were taken: bytes at a place of the staging memory that belong there. */
struct cuda_piece {
	dptr		 to;
	int64_t		 at, bytes;
};

struct cuda_up {
	char		*host;		/* pinned: two halves, used in turn */
	dptr		 dev;		/* where they land, each byte at its place in host */
	int64_t		 at, sent;	/* bytes that were taken; of these, those that were sent */
	CUevent		 landed[2], placed[2];	/* the half's last copies */
	bool		 placing[2];	/* are there copies of the round before? */
	struct cuda_piece piece[PIECES];	/* not sent */
	int		 n;
};

struct cuda_come {
	void		*to;
	int64_t		 at, bytes;
};

struct cuda_down {
	char		*host;		/* pinned: what comes back until the next wait */
	dptr		 dev;		/* where it starts from */
	int64_t		 bytes, at, asked;	/* of both; in use; asked for since the last wait */
	CUevent		 ready;
	struct cuda_come come[PIECES];
	int		 n;
};

/*
 * Memory of the device, in slabs.  Only the queue touches it, so that a block which is left
 * can be taken at once: what is queued for it comes after what used it.
 */
struct cuda_memory {
	struct cuda_block *block;	/* by address */
	int		 n, cap;
};

struct cuda {
	struct dev	 dev;		/* first: a struct dev * is one of these */
	struct cuda_driver drv;
	CUdevice	 device;
	CUcontext	 ctx;
	CUstream	 stream, copies;
	int		 major, minor, processors;
	bool		 tf32;		/* operands of F32 may be rounded to it */
	bool		 strict;	/* each block is a slab, so that its bounds are checked */
	struct cuda_memory memory;
	CUmodule	*module;
	int		 n_modules;
	CUfunction	 fn[E_COUNT][DTYPE_COUNT];
	struct cuda_up	 up;
	struct cuda_down down;
	struct nccl	*nccl;		/* NULL: alone */
	struct blas	*blas;		/* NULL: not asked for by now */
	dptr		 note, scratch;
	int64_t		 scratch_bytes;	/* only grows */
	struct dev_list	*list;		/* that is captured; NULL: none */
	bool		 failed;	/* sticks: later work is not queued */
	struct err	 err;
};

/* Of the kernels that are compiled in: images, and NULL at the end. */
extern const void *const cuda_images[];

/* GPUs that the driver has; 0 where it cannot be used. */
int cuda_count(void);

/* ordinal counts them from 0.  With tf32 it is an error where no library has such products. */
struct dev *cuda_open(int ordinal, bool tf32, struct team *team, unsigned flags,
    struct err *err);

/* Note a call's failure.  Is it a success? */
bool cuda_ok(struct cuda *c, CUresult r, const char *call);
#define CUDA_CALL(c, name, ...) cuda_ok((c), (c)->drv.name(__VA_ARGS__), #name)

/* ---- memory ---- */

/* A block, whatever is in it; 0: no memory, or a failure.  What is left may be taken again. */
CUdeviceptr cuda_take(struct cuda *c, int64_t bytes);
void cuda_leave(struct cuda *c, CUdeviceptr p);
void cuda_memory_free(struct cuda *c);

/* ---- copies ---- */

bool cuda_copies_open(struct cuda *c);
void cuda_copies_close(struct cuda *c);

/* Uploads are taken, and sent all together before the queue's next work. */
void cuda_upload(struct cuda *c, dptr to, const void *from, int64_t bytes);
void cuda_send(struct cuda *c);
void cuda_download(struct cuda *c, void *to, dptr from, int64_t bytes);

/* Wait for all that was queued before the last download. */
void cuda_finish(struct cuda *c);

/* ---- launches ---- */

int cuda_check(const struct cuda *c, int kernel, const union dev_args *a, struct err *err);
int64_t cuda_scratch_bytes(struct cuda *c, int kernel, const union dev_args *a);
void cuda_launch(struct cuda *c, int kernel, const union dev_args *a);

/* dev_begin()'s and dev_end()'s parts. */
bool cuda_list_begin(struct cuda *c, struct dev_list **list);
void cuda_list_end(struct cuda *c);
void cuda_list_free(struct cuda *c, struct dev_list *list);

/* See to it that there are as many bytes of scratch. */
bool cuda_scratch(struct cuda *c, int64_t bytes, struct err *err);

/* dev_info()'s and dev_bandwidth()'s parts. */
void cuda_measure(struct dev *dev, struct dev_info *info);
int cuda_bandwidth(struct dev *dev, struct dev_bandwidth *b, struct err *err);

#endif
