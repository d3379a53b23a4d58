/*
 * One training step by llm.c's train_gpt2.c: a contestant of tests/bench/train.py.
 * Compiled with -I on its source:
 *
 *	llmc MODEL.bin ROWS CONTEXT
 *
 * MODEL.bin is its checkpoint (header of 256 int32, fp32 tensors).  Takes a
 * step, and then one for each line of standard input; prints milliseconds and
 * the loss.  The tokens are those of lib/train/stepper.h.
 */
#define TESTING
#include "train_gpt2.c"

static int
token(int64_t i, int64_t vocab)
{
	uint32_t x = (uint32_t)i * 2654435761u + 12345;

	return (int)((x >> 8) % (uint64_t)vocab);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

int
main(int argc, char **argv)
{
	int rows, len, n = 0, *in, *target;
	char line[64];
	GPT2 model;

	if (argc != 4)
		return 2;
	rows = (int)strtol(argv[2], NULL, 10);
	len = (int)strtol(argv[3], NULL, 10);
	gpt2_build_from_checkpoint(&model, argv[1]);
	in = mallocCheck((size_t)rows * len * sizeof(*in));
	target = mallocCheck((size_t)rows * len * sizeof(*target));
	for (int r = 0; r < rows; r++)
		for (int t = 0; t < len; t++) {
			int64_t at = (int64_t)r * (len + 1) + t;

			in[r * len + t] = token(at, model.config.vocab_size);
			target[r * len + t] = token(at + 1, model.config.vocab_size);
		}
	do {
		double start = now();

		gpt2_forward(&model, in, target, rows, len);
		gpt2_zero_grad(&model);
		gpt2_backward(&model);
		gpt2_update(&model, 1e-4f, 0.9f, 0.95f, 1e-8f, 0.1f, ++n);
		if (n == 1)
			printf("ready\n");
		else
			printf("%.3f %.6f\n", now() - start, (double)model.mean_loss);
		fflush(stdout);
	} while (fgets(line, sizeof(line), stdin) != NULL);
	return 0;
}
