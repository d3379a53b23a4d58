/*
 * The machine's limit: multiply-adds a second for each instruction set, with
 * one thread and with all.
 */
#include "bench.h"

int
main(void)
{
	const char *names[] = { "cpu:avx512", "cpu:avx2", "cpu:base" };
	int cpus = team_cpus();

	printf("name\tthreads\tgflops\n");
	for (int i = 0; i < 3; i++)
		for (int threads = 1; threads <= cpus; threads += threads < cpus ? cpus - 1 : 1) {
			struct err err = { 0 };
			struct team *team = team_new(threads, &err);
			struct dev *d;

			bench_must(team == NULL ? -1 : 0, &err);
			d = dev_open(names[i], team, 0, &err);
			if (d != NULL)
				printf("%s\t%d\t%.1f\n", names[i], threads,
				    dev_info(d)->peak_f32 * 1e-9);
			dev_close(d);
			team_free(team);
		}
	return 0;
}
