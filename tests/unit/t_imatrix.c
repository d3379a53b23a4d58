/* Importance matrices: both forms are read, ours is written, broken ones are refused. */
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "../tap.h"
#include "model/imatrix.h"

#define DATA "tests/data/imatrix/"

static void
forms(void)
{
	struct err e = { 0 };
	struct imatrix *a = imatrix_load(DATA "good/llama.gguf", &e);
	struct imatrix *b = imatrix_load(DATA "good/old.dat", &e);
	const struct imatrix_entry *x;
	float w[8];

	ok(a != NULL && imatrix_count(a) == 2 && b != NULL && imatrix_count(b) == 2, "two files");
	if (a == NULL || b == NULL)
		return;
	x = imatrix_find(a, "blk.0.attn_q.weight");
	ok(x != NULL && imatrix_mean(x, 0, 1, 4, w) && w[0] == 1 && w[3] == 4,
	    "sums over counts");
	ok(x != NULL && !imatrix_mean(x, 0, 1, 5, w), "not for another size");
	ok(x != NULL && imatrix_mean(x, 2, 3, 4, w) && w[1] == 2, "one for all experts");
	x = imatrix_find(a, "blk.0.ffn_down_exps.weight");
	ok(x != NULL && imatrix_mean(x, 0, 2, 2, w) && w[1] == 2, "an expert's");
	ok(x != NULL && !imatrix_mean(x, 1, 2, 2, w), "none of one that was not reached");
	x = imatrix_find(b, "blk.0.attn_q.weight");
	ok(x != NULL && imatrix_mean(x, 0, 1, 4, w) && w[3] == 2, "the older form");
	x = imatrix_find(b, "blk.0.ffn_down.weight");
	ok(x != NULL && imatrix_mean(x, 1, 2, 4, w) && w[0] == 0.25f, "of experts in it");
	ok(imatrix_find(a, "output.weight") == NULL, "what is not there");
	imatrix_free(a);
	imatrix_free(b);
}

static void
written(void)
{
	char path[] = "/tmp/t_imatrixXXXXXX";
	int fd = mkstemp(path);
	struct err e = { 0 };
	struct imatrix *a = imatrix_load(DATA "good/llama.gguf", &e), *b;

	close(fd);
	ok(imatrix_save(a, path, "text", 512, &e) == 0, "it is written");
	b = imatrix_load(path, &e);
	ok(b != NULL && imatrix_count(b) == imatrix_count(a), "and read back");
	for (int i = 0; b != NULL && i < imatrix_count(a); i++) {
		const struct imatrix_entry *x = imatrix_at(a, i), *y = imatrix_at(b, i);

		ok(strcmp(x->name, y->name) == 0 && x->n == y->n && x->mats == y->mats &&
		    memcmp(x->sum, y->sum, (size_t)x->n * 4) == 0 &&
		    memcmp(x->count, y->count, (size_t)x->mats * 4) == 0, x->name);
	}
	unlink(path);
	imatrix_free(a);
	imatrix_free(b);
}

static void
broken(void)
{
	DIR *d = opendir(DATA "bad");
	char path[512];
	int n = 0, opened = 0;

	for (struct dirent *x; d != NULL && (x = readdir(d)) != NULL; ) {
		struct err e = { 0 };
		struct imatrix *im;

		if (x->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), DATA "bad/%s", x->d_name);
		if ((im = imatrix_load(path, &e)) != NULL)
			printf("# %s opens\n", path);
		opened += im != NULL || e.msg[0] == '\0';
		imatrix_free(im);
		n++;
	}
	if (d != NULL)
		closedir(d);
	ok(n > 10 && opened == 0, "no broken file opens");
}

int
main(void)
{
	forms();
	written();
	broken();
	return tap_done();
}
