#include "dev/ranks.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORT = 29500, PORTS = 1000 };

/*
 * A batch script has SLURM_PROCID and SLURM_NTASKS too, and runs once: only what
 * srun starts is in a step.
 */
static const struct launcher {
	const char	*rank, *size, *local, *local_size;
} launchers[] = {
	{ "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE" },
	{ "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
	    "OMPI_COMM_WORLD_LOCAL_SIZE" },
	{ "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS" },
	{ "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", NULL },
};

/* The value of a variable, or otherwise when it is not set. */
static int
number(char *(*env)(const char *name), const char *name, int least, int most, int otherwise,
    int *value, struct err *err)
{
	const char *s = name != NULL ? env(name) : NULL;
	char *end;
	long n;

	*value = otherwise;
	if (s == NULL || *s == '\0')
		return 0;
	n = strtol(s, &end, 10);
	if (end == s || *end != '\0' || n < least || n > most)
		return err_set(err, ERR_ARG, "%s=%s: no number from %d to %d", name, s, least,
		    most);
	*value = (int)n;
	return 0;
}

/* "tux" of "tux,gpu1", "tux3" of "tux[3-5,8],gpu1", "a07b" of "a[07-09]b". */
static void
first_host(const char *list, char *host, size_t size)
{
	size_t n = strcspn(list, ",[");
	const char *in = list + n, *behind = "";
	size_t digits = 0;

	if (*in == '[') {
		in++;
		digits = strcspn(in, "-,]");
		behind = in + strcspn(in, "]");
		behind += *behind == ']';
	}
	snprintf(host, size, "%.*s%.*s%.*s", (int)n, list, (int)digits, in,
	    (int)strcspn(behind, ","), behind);
}

static int
find_host(struct ranks *r, char *(*env)(const char *name), int local_size, struct err *err)
{
	const char *host = env("MASTER_ADDR"), *list = env("SLURM_STEP_NODELIST");

	if (list == NULL)
		list = env("SLURM_JOB_NODELIST");
	if (host != NULL && *host != '\0') {
		if (snprintf(r->host, sizeof(r->host), "%s", host) >= (int)sizeof(r->host))
			return err_set(err, ERR_ARG, "MASTER_ADDR is too long");
	} else if (list != NULL && *list != '\0')
		first_host(list, r->host, sizeof(r->host));
	else if (local_size == r->size)
		snprintf(r->host, sizeof(r->host), "127.0.0.1");
	else
		return err_set(err, ERR_ARG, "%d of %d ranks are on this machine, and MASTER_ADDR "
		    "does not say where rank 0 is", local_size, r->size);
	return 0;
}

static int
find_port(struct ranks *r, char *(*env)(const char *name), struct err *err)
{
	int job, port;

	if (number(env, "SLURM_JOB_ID", 0, 2147483647, 0, &job, err) < 0 ||
	    number(env, "MASTER_PORT", 1, 65535, PORT + job % PORTS, &port, err) < 0)
		return -1;
	snprintf(r->port, sizeof(r->port), "%d", port);
	return 0;
}

/* Is everything that this one sets there? */
static bool
told(const struct launcher *l, char *(*env)(const char *name))
{
	return env(l->rank) != NULL && env(l->size) != NULL;
}

int
ranks_find(struct ranks *r, char *(*env)(const char *name), struct err *err)
{
	int n = (int)(sizeof(launchers) / sizeof(launchers[0])), i = 0, local_size;
	const struct launcher *l = launchers;

	*r = (struct ranks){ .size = 1 };
	while (i < n && !told(&launchers[i], env))
		i++;
	if (i == n)
		return 0;
	l = &launchers[i];
	if (number(env, l->size, 1, RANKS_MAX, 1, &r->size, err) < 0 ||
	    number(env, l->rank, 0, r->size - 1, 0, &r->rank, err) < 0 ||
	    number(env, l->local, 0, r->size - 1, r->rank, &r->local, err) < 0 ||
	    number(env, l->local_size, 1, r->size, r->size, &local_size, err) < 0)
		return -1;
	if (r->size == 1)
		return 0;
	return find_host(r, env, local_size, err) < 0 ? -1 : find_port(r, env, err);
}
