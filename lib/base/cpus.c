#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/team.h"
#include "base/team_impl.h"

#define NO_QUOTA 1e9

cpu_set_t *
cpus_allowed(size_t *size)
{
	/* The kernel refuses a mask smaller than its own: 1024 may be too few. */
	for (int cpus = 1024; cpus <= 1 << 18; cpus *= 4) {
		cpu_set_t *set = CPU_ALLOC((size_t)cpus);

		*size = CPU_ALLOC_SIZE((size_t)cpus);
		if (set == NULL)
			break;
		if (sched_getaffinity(0, *size, set) == 0)
			return set;
		CPU_FREE(set);
	}
	return NULL;
}

static int
affinity_cpus(void)
{
	size_t size;
	cpu_set_t *set = cpus_allowed(&size);
	int n = set != NULL ? CPU_COUNT_S(size, set) : 0;

	CPU_FREE(set);
	return n > 0 ? n : 1;
}

/* Read up to two numbers of a file.  Return how many there are. */
static int
numbers(const char *dir, const char *name, double *a, double *b)
{
	char path[PATH_MAX];
	int n = 0;
	FILE *fp;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path) ||
	    (fp = fopen(path, "r")) == NULL)
		return 0;
	n = fscanf(fp, "%lf %lf", a, b);
	fclose(fp);
	return n;
}

/* quota / period of one v2 or v1 directory, or NO_QUOTA. */
static double
quota_in(const char *dir, int v2)
{
	double quota = -1, period = 0, none;

	/* v2 says "max 100000" without a quota, v1 says -1. */
	if (v2 ? numbers(dir, "cpu.max", &quota, &period) != 2 :
	    numbers(dir, "cpu.cfs_quota_us", &quota, &none) != 1 ||
	    numbers(dir, "cpu.cfs_period_us", &period, &none) != 1)
		return NO_QUOTA;
	return quota > 0 && period > 0 ? quota / period : NO_QUOTA;
}

/*
 * The smallest quota from our own group up to the mount.  In a container the
 * path is often the host's and is not there: then only the mount itself speaks.
 */
static double
quota_up(const char *mount, const char *group, int v2)
{
	char dir[PATH_MAX];
	double least = NO_QUOTA;
	size_t floor = strlen(mount);

	if (snprintf(dir, sizeof(dir), "%s%s", mount, group) >= (int)sizeof(dir))
		return NO_QUOTA;
	for (;;) {
		char *slash;

		least = fmin(least, quota_in(dir, v2));
		slash = strrchr(dir, '/');
		if (slash == NULL || (size_t)(slash - dir) < floor)
			return least;
		*slash = '\0';
	}
}

/* Is "cpu" one of a list like "cpu,cpuacct"? */
static int
has_cpu(const char *list)
{
	for (const char *s = list; s != NULL; s = strchr(s, ',')) {
		s += *s == ',';
		if (strncmp(s, "cpu", 3) == 0 && (s[3] == ',' || s[3] == '\0'))
			return 1;
	}
	return 0;
}

int
cgroup_cpus(const char *root)
{
	char path[PATH_MAX], line[PATH_MAX];
	double least = NO_QUOTA;
	FILE *fp;

	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	if ((fp = fopen(path, "r")) == NULL)
		return 0;
	while (fgets(line, sizeof(line), fp) != NULL) {
		char *list = strchr(line, ':'), *group;

		line[strcspn(line, "\n")] = '\0';
		if (list == NULL || (group = strchr(++list, ':')) == NULL)
			continue;
		*group++ = '\0';
		if (strcmp(group, "/") == 0)
			group = "";
		if (*list == '\0') {
			snprintf(path, sizeof(path), "%.2000s/sys/fs/cgroup", root);
			least = fmin(least, quota_up(path, group, 1));
		} else if (has_cpu(list)) {
			snprintf(path, sizeof(path), "%.2000s/sys/fs/cgroup/cpu", root);
			least = fmin(least, quota_up(path, group, 0));
			snprintf(path, sizeof(path), "%.2000s/sys/fs/cgroup/%.1000s", root, list);
			least = fmin(least, quota_up(path, group, 0));
		}
	}
	fclose(fp);
	if (least >= NO_QUOTA)
		return 0;
	return (int)fmin(fmax(ceil(least), 1), 1 << 20);
}

int
team_cpus(void)
{
	int cpus = affinity_cpus(), quota = cgroup_cpus("");

	if (quota > 0 && quota < cpus)
		cpus = quota;
	return cpus < TEAM_MAX ? cpus : TEAM_MAX;
}
