# What the stand-in counted of kernels' accesses, judged: sources, then the table of
# CUDA_STANDIN_LINT.  A line that moves more than 1.1 times the sectors that its bytes need,
# or takes more than two turns at a bank, is printed, unless it or the line above gives
# the reason, as a comment that begins "sectors:" or "banks:".
BEGIN {
	FS = "\t"
	bad = 0
}

FILENAME !~ /\.tsv$/ {
	if (!match($0, /\/\* (sectors|banks): [a-z]/))
		next
	kind = substr($0, RSTART + 3, RLENGTH - 6)
	file = FILENAME
	sub(/.*\//, "", file)
	reason[file ":" FNR, kind] = reason[file ":" (FNR + 1), kind] = 1
	next
}

$1 == "global" {
	sectors[$2 "\t" $3] += $5
	ideal[$2 "\t" $3] += $6
}

$1 == "shared" && $5 > ways[$2 "\t" $3] {
	ways[$2 "\t" $3] = $5
}

# Is there a reason at a place, or at where that was inlined?
function excused(key, kind,    place, n, i)
{
	sub(/.*\t/, "", key)
	n = split(key, place, " ")
	for (i = 1; i <= n; i++)
		if ((place[i], kind) in reason)
			return 1
	return 0
}

END {
	for (k in sectors)
		if (sectors[k] > 1.1 * ideal[k] && !excused(k, "sectors") && ++bad)
			printf "%s\t%.2f times the ideal sectors\n", k, sectors[k] / ideal[k]
	for (k in ways)
		if (ways[k] > 2 && !excused(k, "banks") && ++bad)
			printf "%s\ta bank conflict of %d ways\n", k, ways[k]
	exit bad != 0
}
