/*
 * fasttext_impl - what reading a model and applying it share
 */
#ifndef TEXT_FASTTEXT_IMPL_H
#define TEXT_FASTTEXT_IMPL_H

#include "text/fasttext.h"

#define KSUB	256			/* centroids of one piece of a vector */

enum loss { LOSS_HS = 1, LOSS_NS, LOSS_SOFTMAX, LOSS_OVA };

struct quantizer {
	int32_t		 dim, nsubq, dsub, lastdsub;
	float		*centroid;
};

/* Rows of floats, or of codes. */
struct matrix {
	int64_t		 rows, cols;
	float		*data;
	bool		 quant, has_norm;
	const uint8_t	*code, *norm_code;
	struct quantizer pq, npq;
};

struct word {
	const char	*p;
	int32_t		 n;
	int32_t		 label;		/* its number, or -1 for a word */
	int64_t		 count;
};

/* A pruned model has few rows for hashes: where a hash went. */
struct pruned {
	int32_t	from, to;
};

/* A node of the tree of hierarchical softmax: its children, below 0 for a leaf. */
struct node {
	int32_t	left, right;
};

struct fasttext {
	str		 file;
	bool		 mapped;
	int32_t		 dim, ngrams, loss, bucket, minn, maxn;
	int32_t		 nentries, nwords, nlabels;
	struct word	*word;
	int32_t		*table;		/* index of a word + 1, by its hash; 0: none */
	uint32_t	 mask;
	int64_t		 npruned;	/* -1: not pruned */
	struct pruned	*pruned;	/* sorted by from */
	struct matrix	 in, out;
	struct node	*tree;
	float		 sigmoid[513];
};

static inline uint32_t
fasttext_hash(uint32_t h, str s)
{
	for (ptrdiff_t i = 0; i < s.n; i++)
		h = (h ^ (uint32_t)(int8_t)s.p[i]) * 16777619;
	return h;
}
#define FASTTEXT_HASH	2166136261u

/* The entry of a word with this hash, or -1. */
int32_t fasttext_find(const struct fasttext *f, str word, uint32_t hash);

#endif
