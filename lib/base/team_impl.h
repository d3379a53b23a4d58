/*
 * team_impl - what team's own files and tests may see
 */
#ifndef BASE_TEAM_IMPL_H
#define BASE_TEAM_IMPL_H

#include <sched.h>
#include <stddef.h>

/* The processors of the calling thread, for CPU_FREE(), or NULL. */
cpu_set_t *cpus_allowed(size_t *size);

/*
 * Processors that the cgroup quota (v2 or v1) allows, rounded up, or 0 when
 * there is none.  root is put before /proc and /sys: "" but in tests.
 */
int cgroup_cpus(const char *root);

#endif
