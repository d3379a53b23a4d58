/*
 * llm-lora - train an adapter of a model on packed shards
 *
 * As llm-train, whose options and runs these are, but for what is trained: a
 * few new parameters beside the linear layers, by LoRA, rsLoRA, DoRA or IA3.
 * The model stays as it is, and has no gradients, moments or copies; the
 * checkpoints of the run are adapters, as PEFT has them.
 */
#include "tool/train.h"

#define AT(field) offsetof(struct train, field)

static const struct opt opts[] = {
	TRAIN_OPTIONS,
	{ 't', "type", OPT_STR, AT(type), "NAME", "lora, dora or ia3 (lora)" },
	{ 0, "rank", OPT_I64, AT(rank), "N", "rank of the change of a matrix (16)",
	    .min = 1, .max = ADAPTER_RANK },
	{ 0, "alpha", OPT_F64, AT(alpha), "X", "the change is scaled by X / rank (twice the rank)",
	    .min = 1e-6, .max = 1e6 },
	{ 0, "rslora", OPT_FLAG, AT(rslora), .help = "scale it by alpha / sqrt(rank)" },
	{ 0, "targets", OPT_STR, AT(targets), "NAME,...",
	    "ends of names of layers, /regex/ or all-linear (all-linear)" },
	{ 0, "rank-pattern", OPT_STR, AT(rank_pattern), "NAME=N,...", "ranks of some layers" },
	{ 0, "alpha-pattern", OPT_STR, AT(alpha_pattern), "NAME=X,...", "alphas of some layers" },
	{ 0 }
};

static const char *const kept[] = {
	"type", "rank", "alpha", "rslora", "targets", "rank-pattern", "alpha-pattern", NULL
};

static const struct tool tool = {
	.name = "llm-lora", .synopsis = "-m DIR -o RUN shard ...",
	.summary = "train an adapter of a model on packed shards", .opts = opts,
};

int
main(int argc, char **argv)
{
	struct train o = { TRAIN_DEFAULTS, .type = "lora", .rank = 16 };

	return train_main(&tool, kept, argc, argv, &o);
}
