#!/bin/sh
# Calls that fail, one after the other, while llm-train works: whatever happens,
# the run goes on afterwards and ends with the bytes of one that nothing struck.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
if ! can_fault
then
	echo '1..0 # SKIP no fault injection in this build'
	exit
fi
mkdir "$tmp/samples"
cd "$tmp/samples" || exit 1
make_samples
set -- llm-train -q -m model --steps 4 --batch 64 --lr 1e-3 --valid valid.shard \
    --save-every 2 --keep 1 train.shard

# struck SETTING COMMAND...: in a process of which calls fail
struck () {
	setting=$1
	shift
	env "$setting" LD_PRELOAD="$BUILD/tests/lib/fault.so" "$@" </dev/null >out 2>err
	got=$?
}

# lines RUN: the steps that its log tells of
lines () {
	sed -n 's/.*"step":\([0-9]*\),"loss".*/\1/p' "$1/log.jsonl"
}

# damaged: in what way, if at all
damaged () {
	case $got in
	0)	;;
	2)	test -s err || { echo '# no message'; return; } ;;
	*)	echo "# exit $got"; return ;;
	esac
	"$@" -j 1 -o now --continue >out 2>&1 || { sed 's/^/# /' out; return; }
	diff -r good/latest now/latest | sed 's/^/# /'
	test "$(lines now | tr '\n' ' ')" = '1 2 3 4 ' || echo '# steps missing in the log'
}

struck "FAULT_COUNT=$tmp/n" "$@" -j 2 -o good
result 'a run' "$got"
for kind in MALLOC READ WRITE FSYNC MMAP OPEN THREAD
do
	j=1
	test $kind != THREAD || j=2
	calls=$(sed -n "s/^$kind //p" "$tmp/n") n=1 bad=0
	while test "$n" -le "$calls" && test $bad -eq 0
	do
		rm -rf now
		struck "FAULT_$kind=$n" "$@" -j $j -o now
		why=$(damaged "$@")
		test -z "$why" || { echo "# $kind $n of $calls, then:"; echo "$why"; cat err; bad=1; }
		n=$((n + 1 + n / 3))
	done
	result "a run struck by $kind goes on" $bad
done
done_testing
