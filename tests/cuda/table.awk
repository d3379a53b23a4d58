# The table of make check-cuda for the architectures in `arches', from what ptxas said (*.log), counts of machine code
# (code.tsv), and for each hot case what the stand-in counted (CASE.tsv) and what t_hot told
# of its cost (costs).  First each kernel on each architecture, then each case.
#
# Occupancy is by the limits of the CUDA Programming Guide's table of compute capabilities:
# 65536 registers in units of 256 a warp, warps in fours, shared memory in units of 128
# bytes with 1 KiB more a block.  Roofline times are of a layer of a model with 8 billion
# parameters: the larger of bytes over bandwidth and of operations over the rate of the
# units that do them, as NVIDIA's data sheets give both.
BEGIN {
	FS = "\t"
	limits("80", 2048, 32, 164)
	limits("86", 1536, 16, 100)
	limits("89", 1536, 24, 100)
	limits("90a", 2048, 32, 228)
	limits("100", 2048, 32, 228)
	limits("120", 1536, 24, 100)
	n_arch = split(arches, arch, " ")
	# A100 SXM 80 GB, H100 SXM: GB/s, and TFLOP/s of fp32, bf16, int8
	split("2039 3350", bandwidth, " ")
	rate["F32", 1] = 19.5; rate["BF16", 1] = 312; rate["quant", 1] = 624
	rate["F32", 2] = 66.9; rate["BF16", 2] = 989; rate["quant", 2] = 1979
}

# Of a multiprocessor: threads, blocks, KiB of shared memory.
function limits(a, threads, blocks, shared)
{
	most_threads[a] = threads
	most_blocks[a] = blocks
	most_shared[a] = shared
}

# ---- input ----

/^ptxas info .*Compiling entry function/ {
	split($0, word, "'")
	key = word[2] SUBSEP substr(word[4], 4)
	next
}

/^ptxas info .*Used [0-9]+ registers/ {
	registers[key] = number_before(" registers")
	shared[key] = number_before(" bytes smem")
	next
}

# The number before these words, or 0.
function number_before(words,    s)
{
	if (!match($0, "[0-9]+" words))
		return 0
	s = substr($0, RSTART, RLENGTH)
	return s + 0
}

$1 == "code" {
	key = $3 SUBSEP $2
	code[key] = $4
	for (i = 5; i <= 12; i++)
		count[key, i - 4] = $i
	if (!($3 in seen))
		name[++names] = $3
	seen[$3] = 1
	next
}

FILENAME ~ /\.tsv$/ {
	which = FILENAME
	sub(/.*\//, "", which)
	sub(/\.tsv$/, "", which)
}

$1 == "launch" {
	if ($5 > threads[$2])
		threads[$2] = $5
	if ($6 > dynamic[$2])
		dynamic[$2] = $6
	entries[which] = entries[which] " " $2
	launches[which] += $3
	executed[which] += $7
	products[which] += $8
}

$1 == "global" {
	requests[which] += $4
	sectors[which] += $5
	ideal[which] += $6
}

$1 == "shared" && $5 > ways[which] {
	ways[which] = $5
}

/^# cost / {
	split($0, word, " ")
	at = word[3] ":" word[4]
	if (!(at in flops))
		cases[++n_cases] = at
	flops[at] = word[5]
	bytes[at] = word[6]
}

# ---- output ----

function up(n, unit)
{
	return int((n + unit - 1) / unit) * unit
}

# Warps that a multiprocessor holds at once, of those that it could.
function occupancy(entry, a,    key, t, warps, blocks, b)
{
	key = entry SUBSEP a
	t = entry in threads ? threads[entry] : 256
	warps = up(t, 32) / 32
	blocks = most_blocks[a]
	b = int(most_threads[a] / 32 / warps)
	blocks = b < blocks ? b : blocks
	# Each quarter of a multiprocessor has a quarter of the registers.
	b = int(int(16384 / up(registers[key] * 32, 256)) * 4 / up(warps, 4))
	blocks = b < blocks ? b : blocks
	b = int(most_shared[a] * 1024 / (up(shared[key] + dynamic[entry], 128) + 1024))
	blocks = b < blocks ? b : blocks
	return 100 * blocks * warps / (most_threads[a] / 32)
}

function print_kernels(    i, j, k, key)
{
	print "Kernels: registers, bytes of shared memory (static, dynamic), threads, occupancy, and"
	print "instructions: all, HMMA, IMMA, QMMA, loads, loads of 16 bytes, cp.async, ldmatrix,"
	print "accesses to local memory.  Threads marked * are the most that it may have: no hot case"
	print "launches it.\n"
	printf "%-24s %4s %4s %6s %6s %5s %5s %6s %5s %5s %5s %5s %5s %5s %5s %5s\n", "kernel",
	    "sm", "regs", "static", "dyn", "thr", "occ%", "insn", "HMMA", "IMMA", "QMMA", "LDG",
	    "LDG16", "LDGST", "LDSM", "local"
	for (i = 1; i <= names; i++)
		for (j = 1; j <= n_arch; j++) {
			key = name[i] SUBSEP arch[j]
			if (!(key in registers)) {
				print "check-cuda: " name[i] " on sm_" arch[j] ": nothing by ptxas" >"/dev/stderr"
				bad = 1
			}
			printf "%-24s %4s %4d %6d %6d %5s %5.0f %6d", name[i], arch[j], registers[key],
			    shared[key], dynamic[name[i]],
			    (name[i] in threads ? threads[name[i]] : "256*"), occupancy(name[i], arch[j]),
			    code[key]
			for (k = 1; k <= 8; k++)
				printf " %5d", count[key, k]
			print ""
		}
}

# Rate of the units that a case's products run on.
function rate_of(at, gpu,    type)
{
	type = at
	sub(/.*:/, "", type)
	return rate[at ~ /_q[0-9]/ ? "quant" : type, gpu]
}

function print_cases(    i, g, at, memory, compute, us)
{
	print "\nHot cases: of a launch at the size of a layer of a model with 8 billion parameters and"
	print "8192 tokens, multiply-adds and bytes and the least time that they take on an A100 and"
	print "an H100 (m: memory, c: computing); and at the small size that the stand-in runs, its"
	print "launches, instructions of warps, bytes in sectors, sectors over the ideal, turns at the"
	print "worst bank, and operations of matrix instructions.\n"
	printf "%-20s %9s %9s %11s %11s %4s %9s %9s %6s %5s %9s  %s\n", "case", "GFLOP", "MB",
	    "A100 us", "H100 us", "n", "insn", "kB", "ratio", "ways", "mma kFLOP", "kernels"
	for (i = 1; i <= n_cases; i++) {
		at = cases[i]
		for (g = 1; g <= 2; g++) {
			memory = bytes[at] / bandwidth[g] / 1e3
			compute = flops[at] / rate_of(at, g) / 1e6
			us[g] = sprintf("%.1f %s", (memory > compute ? memory : compute),
			    (memory > compute ? "m" : "c"))
		}
		printf "%-20s %9.2f %9.2f %11s %11s %4d %9d %9.0f %6.2f %5d %9.0f %s\n", at,
		    flops[at] / 1e9, bytes[at] / 1e6, us[1], us[2], launches[at], executed[at],
		    sectors[at] * 32 / 1e3, (ideal[at] > 0 ? sectors[at] / ideal[at] : 1), ways[at],
		    products[at] / 1e3, entries[at]
	}
}

END {
	print_kernels()
	print_cases()
	exit bad
}
