/* Models in FP8. */
#include "model/quantize_impl.h"
#include "model/sources_impl.h"

int
quantize_fp8(const char *path, bool again, const char *dir, struct err *err)
{
	struct model m = { .dev = NULL };
	int ret = model_open(&m, path, err);

	for (int i = 0; i < m.n_weights && ret == 0 && !again; i++)
		if (source_quantized(&m.files->source[i]))
			ret = quantize_refuse(m.weight[i].name, m.files->source[i].type, err);
	if (ret == 0)
		ret = model_save(&m, dir, DTYPE_F8_E4M3, 0, err);
	if (ret == 0)
		ret = model_copy_tokenizer(path, dir, err);
	model_free(&m);
	return ret;
}
