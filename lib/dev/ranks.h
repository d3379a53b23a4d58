/*
 * ranks - who this process is among those that work together, and where they meet
 *
 * A launcher tells it in the environment; the first of these that is whole
 * counts, and a process without any is alone:
 *
 *	torchrun, by hand	RANK, WORLD_SIZE, LOCAL_RANK
 *	Open MPI		OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK
 *	MPICH, Intel MPI	PMI_RANK, PMI_SIZE, MPI_LOCALRANKID
 *	Slurm's srun		SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID
 *
 * They meet at rank 0, which MASTER_ADDR and MASTER_PORT name; or else at the
 * first host of Slurm's list, or else on this machine; at port 29500, and in a
 * job of Slurm's at one of the thousand from there on, by the job's number.
 */
#ifndef DEV_RANKS_H
#define DEV_RANKS_H

#include "base/err.h"

struct ranks {
	int	rank, size;	/* 0 of 1: alone */
	int	local;		/* the number on this machine */
	char	host[256], port[8];	/* rank 0's */
};

enum { RANKS_MAX = 4096 };

/* env: getenv().  Return 0, or -1 for numbers that are none, or a host that is not told. */
int ranks_find(struct ranks *r, char *(*env)(const char *name), struct err *err);

#endif
