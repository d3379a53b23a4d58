/* The types of tensors in GGUF files, by their numbers there. */
#include "fmt/gguf.h"

#include "base/quant.h"

static const struct gguf_block blocks[] = {
	[0] = { "F32", 1, 4, DTYPE_F32 }, [1] = { "F16", 1, 2, DTYPE_F16 },
	[2] = { "Q4_0", 32, 18, DTYPE_Q4_0 }, [3] = { "Q4_1", 32, 20, DTYPE_Q4_1 },
	[6] = { "Q5_0", 32, 22, DTYPE_Q5_0 }, [7] = { "Q5_1", 32, 24, DTYPE_Q5_1 },
	[8] = { "Q8_0", 32, 34, DTYPE_Q8_0 }, [9] = { "Q8_1", 32, 36, DTYPE_NONE },
	[10] = { "Q2_K", 256, 84, DTYPE_Q2_K }, [11] = { "Q3_K", 256, 110, DTYPE_Q3_K },
	[12] = { "Q4_K", 256, 144, DTYPE_Q4_K }, [13] = { "Q5_K", 256, 176, DTYPE_Q5_K },
	[14] = { "Q6_K", 256, 210, DTYPE_Q6_K }, [15] = { "Q8_K", 256, 292, DTYPE_NONE },
	[16] = { "IQ2_XXS", 256, 66, DTYPE_NONE }, [17] = { "IQ2_XS", 256, 74, DTYPE_NONE },
	[18] = { "IQ3_XXS", 256, 98, DTYPE_NONE }, [19] = { "IQ1_S", 256, 50, DTYPE_NONE },
	[20] = { "IQ4_NL", 32, 18, DTYPE_IQ4_NL }, [21] = { "IQ3_S", 256, 110, DTYPE_NONE },
	[22] = { "IQ2_S", 256, 82, DTYPE_NONE }, [23] = { "IQ4_XS", 256, 136, DTYPE_IQ4_XS },
	[24] = { "I8", 1, 1, DTYPE_I8 }, [25] = { "I16", 1, 2, DTYPE_I16 },
	[26] = { "I32", 1, 4, DTYPE_I32 }, [27] = { "I64", 1, 8, DTYPE_I64 },
	[28] = { "F64", 1, 8, DTYPE_F64 }, [29] = { "IQ1_M", 256, 56, DTYPE_NONE },
	[30] = { "BF16", 1, 2, DTYPE_BF16 }, [34] = { "TQ1_0", 256, 54, DTYPE_NONE },
	[35] = { "TQ2_0", 256, 66, DTYPE_NONE }, [39] = { "MXFP4", 32, 17, DTYPE_NONE },
	[40] = { "NVFP4", 64, 36, DTYPE_NONE }, [41] = { "Q1_0", 128, 18, DTYPE_NONE },
};

#define BLOCKS ((int)(sizeof(blocks) / sizeof(*blocks)))

const struct gguf_block *
gguf_block(uint32_t type)
{
	return type >= BLOCKS || blocks[type].name == NULL ? NULL : &blocks[type];
}

int
gguf_type_of(dtype type)
{
	for (int i = 0; i < BLOCKS && type != DTYPE_NONE; i++)
		if (blocks[i].name != NULL && blocks[i].type == type)
			return i;
	return -1;
}
