/*
 * adapter_impl - between the files of adapters
 */
#ifndef MODEL_ADAPTER_IMPL_H
#define MODEL_ADAPTER_IMPL_H

#include "model/adapter.h"
#include "model/adapters.h"
#include "model/model_impl.h"

/* One adapted matrix.  Parameters by number, for they move while they are declared. */
struct adapted {
	char	 name[NN_NAME];		/* of the module: without .weight */
	int	 w, bias;		/* the model's; bias -1: none */
	int	 a, b, m;		/* LoRA's and DoRA's magnitude, or IA3's vector as m */
	int64_t	 rank;
	double	 scale;
	bool	 input;			/* IA3 of what goes in */
	bool	 pairs;			/* rows lie as the matrix's: model.h's weight */
	bool	 recorded;
};

struct adapter {
	enum adapter_type type;
	json_t		*config;	/* adapter_config.json */
	char		 dir[MODEL_PATH];	/* where its parameters are; "": new */
	char		 targets[1024];	/* adapter_options', when the config has none yet */
	uint64_t	 seed;
	struct adapted	*module;
	int		 n;
};

/* Find the modules in a model whose own parameters are declared.  Return 0 or -1. */
int adapter_match(struct adapter *a, struct model *m, struct err *err);

/* Declare its parameters behind the model's, which are frozen. */
int adapter_declare(struct model *m, struct err *err);

/* Load them from its directory, or make them up. */
int adapter_fill(struct model *m, struct err *err);

/* adapter_config.json and adapter_model.safetensors */
int adapter_save(struct model *m, const char *dir, struct err *err);

/* The tensor of a module's part in files: 1, 0 when it is not there, -1. */
struct st_file;
struct st_tensor;
const struct st_tensor *adapter_tensor(const struct st_file *f, const char *module,
    const char *part);
struct st_file *adapter_weights(const char *dir, struct err *err);

/*
 * All n elements of a module's part, the caller's to free.  lead: the first
 * dimension that it has to have; 0: any.  head_dim: its rows, lead or n of them,
 * go from halves of such heads to pairs; 0: they stay.
 */
double *adapter_read(const struct st_file *f, const char *module, const char *part,
    int64_t n, int64_t lead, int64_t head_dim, struct err *err);

/* Does an adapter of the model change the parameter of this name? */
bool is_adapted(const struct model *m, const char *name);

/* x through w and what is beside it. */
struct tensor *adapter_linear(struct adapter *a, struct tape *t, struct params *ps,
    struct tensor *x, struct tensor *w, struct tensor *bias);

/* An error for a module that no recording has gone through. */
int adapter_recorded(const struct adapter *a, struct err *err);

/* The same of several (adapters.h); first as in model_io. */
int adapters_declare(struct model *m, struct err *err);
int adapters_fill(struct model *m, struct err *err);
struct tensor *adapters_linear(struct adapters *a, struct tape *t, struct params *ps,
    struct tensor *x, struct tensor *w, struct tensor *bias, struct tensor *first);
int adapters_recorded(const struct adapters *a, const struct params *ps, struct err *err);

#endif
