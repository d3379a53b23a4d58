#!/bin/sh
# scripts/recipes/dedup.mk and dedup.slurm give what one llm-dedup gives
. "$(dirname "$0")/../lib.sh"
lib=$(cd "$(dirname "$0")/../lib" && pwd)
recipes=$(cd "$(dirname "$0")/../../scripts/recipes" && pwd)
cd "$tmp" || exit 2

mkdir in
perl "$lib/planted.pl" 120 3 >all.jsonl
split -n l/5 -a 1 --additional-suffix=.jsonl all.jsonl in/part.
gzip in/part.c.jsonl
ls in/* >files

for t in near exact
do
	llm-dedup -t $t in/* >good
	make -s -j4 -f "$recipes/dedup.mk" IN='in/*' OUT=mk.$t TYPE=$t MEMORY=1M >log 2>&1
	result "$t: make -j4" $?
	cat mk.$t/*.jsonl | cmp -s - good
	result 'is one run' $?
	make -q -f "$recipes/dedup.mk" IN='in/*' OUT=mk.$t TYPE=$t
	result 'and done' $?
	rm mk.$t/part.b.jsonl mk.$t.work/signs/part.d.signs
	make -s -f "$recipes/dedup.mk" IN='in/*' OUT=mk.$t TYPE=$t >log 2>&1 &&
	    cat mk.$t/*.jsonl | cmp -s - good
	result 'what is lost is made again' $?

	(
		export TYPE=$t MEMORY=1M SLURM_ARRAY_TASK_ID
		for SLURM_ARRAY_TASK_ID in 4 2 1 5 3
		do
			sh "$recipes/dedup.slurm" map files sl.$t || exit 1
		done
		sh "$recipes/dedup.slurm" merge files sl.$t || exit 1
		for SLURM_ARRAY_TASK_ID in 5 4 3 2 1 3
		do
			sh "$recipes/dedup.slurm" apply files sl.$t || exit 1
		done
	) 2>log
	result "$t: the array jobs of Slurm" $?
	cat sl.$t/*.jsonl | cmp -s - good
	result 'are one run' $?
	SLURM_ARRAY_TASK_ID=6 sh "$recipes/dedup.slurm" apply files sl.$t 2>err
	result 'a task too many fails' $(($? != 2))
done
make -f "$recipes/dedup.mk" IN='none/*' 2>err
result 'no files: make fails' $(($? != 2))
mkdir other
cp in/part.a.jsonl other/
make -f "$recipes/dedup.mk" IN='in/* other/*' 2>err
result 'two of one name: make fails' $(($? != 2))
done_testing
