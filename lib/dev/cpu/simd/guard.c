#include "dev/cpu/simd/simd.h"
#include "dev/guard.h"

void
OF_ISA(k_guard)(struct cpu *c, const union dev_args *args)
{
	const struct k_guard *a = &args->guard;
	double room[GUARD_RING];

	(void)c;
	guard_judge(a, cpu_ptr(a->step), cpu_ptr(a->history), room);
}
