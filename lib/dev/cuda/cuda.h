/*
 * cuda - the CUDA backend: what its parts know of it
 *
 * One stream does all work in order.  Copies go through pinned memory of the
 * device's own, so that an upload has taken its bytes when it returns and
 * nothing waits but dev_wait().  Kernels are in the images (*.cu), which the
 * library holds; an entry is looked up when it is first used.
 *
 * An error of a call or in a kernel is kept and told by dev_wait().
 */
#ifndef DEV_CUDA_CUDA_H
#define DEV_CUDA_CUDA_H

#include "dev/cuda/driver.h"
#include "dev/cuda/run.h"

/* What kernels the images hold: name, or name_f32, name_bf16, name_f16. */
#define CUDA_ENTRIES(X)								\
	X(fill) X(cast) X(add) X(axpby) X(dropout) X(act) X(act_bwd) X(softcap)	\
	X(glu) X(glu_bwd) X(scale) X(slice)					\
	X(index_check) X(embed) X(embed_bwd) X(scatter) X(rope)			\
	X(rmsnorm) X(rmsnorm_dx) X(rmsnorm_dw) X(layernorm) X(layernorm_dx)	\
	X(layernorm_dw) X(bias_part) X(scale_dx) X(scale_dw) X(columns_add)	\
	X(dot_part) X(parts_add) X(xent) X(xent_bwd)				\
	X(flash_64) X(flash_128) X(flash_256) X(flash_few_64) X(flash_few_128)	\
	X(flash_few_256) X(flash_merge)						\
	X(matmul) X(attention) X(attention_delta) X(attention_dq) X(attention_dkv) \
	X(route) X(balance_grad) X(route_bwd) X(sort_count) X(sort_scan) X(sort_place)	\
	X(route_part) X(route_add) X(balance) X(balance_bias) X(combine) X(combine_bwd) \
	X(adafactor_rows) X(adafactor_part) X(adafactor_cols) X(adafactor_size)	\
	X(adafactor_matrix) X(adafactor_vector) X(adafactor_end)		\
	X(hadamard)								\
	X(guard) X(adamw) X(lion) X(momentum) X(normalize) X(update) X(ema) X(swap)

#define X(name) E_##name,
enum cuda_entry { CUDA_ENTRIES(X) E_COUNT };
#undef X

enum { STAGING_HALF = 4 << 20, DOWNLOADS = 64 };

struct cuda_download {
	void		*to;
	const char	*from;		/* in the pinned memory */
	int64_t		 bytes;
};

struct cuda {
	struct dev	 dev;		/* first: a struct dev * is one of these */
	struct cuda_driver drv;
	CUdevice	 device;
	CUcontext	 ctx;
	CUstream	 stream;
	int		 major, minor, processors;
	CUmodule	*module;
	int		 n_modules;
	CUfunction	 fn[E_COUNT][4];
	char		*up;		/* pinned: two halves, used in turn */
	CUevent		 up_done[2];	/* the half's last copy */
	bool		 up_used[2];
	int64_t		 up_at;
	char		*down;		/* pinned: what comes back until the next wait */
	int64_t		 down_at;
	struct cuda_download download[DOWNLOADS];
	int		 n_downloads;
	dptr		 note, scratch;
	int64_t		 scratch_bytes;	/* only grows */
	bool		 failed;	/* sticks: later work is not queued */
	struct err	 err;
};

/* Of the kernels that are compiled in: images, and NULL at the end. */
extern const void *const cuda_images[];

/* ordinal counts the driver's GPUs from 0. */
struct dev *cuda_open(int ordinal, struct err *err);

/* Note a call's failure.  Is it a success? */
bool cuda_ok(struct cuda *c, CUresult r, const char *call);
#define CUDA_CALL(c, name, ...) cuda_ok((c), (c)->drv.name(__VA_ARGS__), #name)

/* ---- launches ---- */

int cuda_check(const struct cuda *c, int kernel, const union dev_args *a, struct err *err);
int64_t cuda_scratch_bytes(int kernel, const union dev_args *a);
void cuda_launch(struct cuda *c, int kernel, const union dev_args *a);

/* Copy the downloads that are done to where they belong. */
void cuda_drain(struct cuda *c);

/* See to it that there are as many bytes of scratch. */
bool cuda_scratch(struct cuda *c, int64_t bytes, struct err *err);

/* dev_info()'s and dev_bandwidth()'s parts. */
void cuda_measure(struct dev *dev, struct dev_info *info);
int cuda_bandwidth(struct dev *dev, struct dev_bandwidth *b, struct err *err);

#endif
