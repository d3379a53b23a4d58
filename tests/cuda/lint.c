/*
 * lint - counters, and the table of them
 *
 * The table has a row for each instruction that was executed, fields parted by tabs:
 *
 *	global  KERNEL  PLACE  requests  sectors  ideal
 *	shared  KERNEL  PLACE  requests  ways
 *	launch  KERNEL  launches  blocks  threads  dynamic  instructions  flops  sm
 *
 * PLACE is "file:line", with where that was inlined, and this: "file:line file:line".  Ways are the
 * worst of all requests; threads and dynamic shared memory are the most of all launches;
 * instructions are those of warps, flops those of matrix instructions, and sm is what the
 * PTX is for.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lint.h"

enum { SECTOR = 32, BANKS = 32 };

struct tally {
	uint64_t requests, sectors, ideal;	/* of global memory */
	uint64_t turns;				/* requests of shared memory */
	uint32_t ways;
};

struct account {
	uint64_t launches, blocks, executed, flops;
	uint32_t threads, dynamic;
	struct tally at[];			/* of each instruction */
};

static const char *table;

#define MORE(x, n) __atomic_fetch_add(&(x), (uint64_t)(n), __ATOMIC_RELAXED)

static void
most(uint32_t *x, uint32_t n)
{
	uint32_t was = __atomic_load_n(x, __ATOMIC_RELAXED);

	while (was < n && !__atomic_compare_exchange_n(x, &was, n, false, __ATOMIC_RELAXED,
	    __ATOMIC_RELAXED))
		;
}

void
lint_start(const char *file)
{
	table = file;
}

void
lint_kernel(struct kernel *k)
{
	if (table != NULL && k->account == NULL)
		k->account = calloc(1, sizeof(struct account) +
		    (size_t)k->n_code * sizeof(struct tally));
}

/* An access is aligned to its size, so a lane's bytes are in one sector. */
static void
count_sectors(struct tally *t, uint32_t mask, const uint64_t addr[LANES], uint32_t size)
{
	uint64_t sector[LANES];
	uint32_t used[LANES], bytes = 0;
	int n = 0;

	for (; mask != 0; mask &= mask - 1) {
		uint64_t a = addr[__builtin_ctz(mask)];
		uint32_t bits = (uint32_t)(((UINT64_C(1) << size) - 1) << a % SECTOR);
		int k = n - 1;

		while (k >= 0 && sector[k] != a / SECTOR)
			k--;
		if (k < 0) {
			sector[k = n++] = a / SECTOR;
			used[k] = 0;
		}
		used[k] |= bits;
	}
	for (int k = 0; k < n; k++)
		bytes += (uint32_t)__builtin_popcount(used[k]);
	MORE(t->requests, 1);
	MORE(t->sectors, n);
	MORE(t->ideal, (bytes + SECTOR - 1) / SECTOR);
}

/* Different words in the worst bank, of lanes whose accesses go together. */
static uint32_t
conflict(uint32_t mask, const uint64_t addr[LANES], uint32_t words)
{
	uint64_t word[BANKS][LANES];
	uint32_t n[BANKS] = { 0 }, worst = 0;

	for (; mask != 0; mask &= mask - 1)
		for (uint32_t j = 0; j < words; j++) {
			uint64_t a = addr[__builtin_ctz(mask)] / 4 + j;
			uint32_t bank = (uint32_t)(a % BANKS), k = 0;

			while (k < n[bank] && word[bank][k] != a)
				k++;
			if (k == n[bank])
				word[bank][n[bank]++] = a;
			worst = n[bank] > worst ? n[bank] : worst;
		}
	return worst;
}

/* Halves of a warp that moves 8 bytes a lane go one after the other, quarters with 16. */
static void
count_banks(struct tally *t, uint32_t mask, const uint64_t addr[LANES], uint32_t size)
{
	uint32_t words = size <= 4 ? 1 : size / 4, lanes = LANES / words;
	uint32_t part = lanes == LANES ? ~0u : (1u << lanes) - 1;

	for (uint32_t i = 0; i < LANES; i += lanes)
		most(&t->ways, conflict(mask & part << i, addr, words));
	MORE(t->turns, 1);
}

void
lint_access(const struct warp *w, const struct insn *in, uint32_t mask, int space,
    const uint64_t addr[LANES], uint32_t size)
{
	const struct kernel *k = w->b->k;
	struct tally *t = &k->account->at[in - k->code];

	if (space == SHARED)
		count_banks(t, mask, addr, size);
	else if (space == GLOBAL || space == CONST)
		count_sectors(t, mask, addr, size);
}

void
lint_product(const struct warp *w, const struct insn *in)
{
	MORE(w->b->k->account->flops, 2 * in->shape[0] * in->shape[1] * in->shape[2]);
}

void
lint_launch(const struct launch *l)
{
	struct account *a = l->k->account;

	MORE(a->launches, 1);
	MORE(a->blocks, l->n_blocks);
	MORE(a->executed, l->executed);
	most(&a->threads, l->block[0] * l->block[1] * l->block[2]);
	most(&a->dynamic, l->dynamic);
}

static void
write_line(FILE *f, const struct kernel *k, const struct insn *in, const struct tally *t)
{
	char place[600];

	where_place(place, sizeof(place), k, in);
	if (t->requests != 0)
		fprintf(f, "global\t%s\t%s\t%llu\t%llu\t%llu\n", k->name, place,
		    (unsigned long long)t->requests, (unsigned long long)t->sectors,
		    (unsigned long long)t->ideal);
	if (t->turns != 0)
		fprintf(f, "shared\t%s\t%s\t%llu\t%u\n", k->name, place,
		    (unsigned long long)t->turns, t->ways);
}

void
lint_write(struct module *m)
{
	FILE *f = table == NULL ? NULL : fopen(table, "a");

	if (table != NULL && f == NULL)
		fprintf(stderr, "libcuda stand-in: %s: cannot be written\n", table);
	for (int i = 0; i < m->n_kernel; i++) {
		const struct kernel *k = m->kernel[i];
		struct account *a = k->account;

		if (f != NULL && a != NULL && a->launches != 0) {
			fprintf(f, "launch\t%s\t%llu\t%llu\t%u\t%u\t%llu\t%llu\t%d\n", k->name,
			    (unsigned long long)a->launches, (unsigned long long)a->blocks,
			    a->threads, a->dynamic, (unsigned long long)a->executed,
			    (unsigned long long)a->flops, m->sm);
			for (int j = 0; j < k->n_code; j++)
				write_line(f, k, &k->code[j], &a->at[j]);
		}
		free(a);
		m->kernel[i]->account = NULL;
	}
	if (f != NULL)
		fclose(f);
}
