# extract: pages of Debian's documentation, by what is asked for (60 MB/s of HTML), beside
# trafilatura and resiliparse; two threads beside one, and beside what two copies of a
# busy loop make of the machine
mkdir -p obj/bench
ls obj/bench/postgresql-doc-15_*.deb >/dev/null 2>&1 ||
    (cd obj/bench && apt-get -q download postgresql-doc-15 >&2) || return 1
make -s obj/tests/bench/html >&2 || exit 2
set -- obj/bench/postgresql-doc-15_*.deb
dpkg-deb --fsys-tarfile "$1" >"$tmp/pages.tar" || exit 2
# The archive's pages, as often as it takes to measure.
mkdir -p "$tmp/pages" && tar -xf "$tmp/pages.tar" -C "$tmp/pages" || exit 2
pages=$(find "$tmp/pages" -name '*.html' | sort)
html=$(cat $pages | wc -c)
cat $pages >/dev/null

# pace COMMAND...: median MB/s of the pages
pace () {
	i=0
	while test $i -lt "$runs"
	do
		from=$(date +%s%N)
		"$@" >/dev/null || exit 2
		echo $(($(date +%s%N) - from))
		i=$((i + 1))
	done | sort -n | awk -v bytes="$html" '
	    { t[NR] = $1 } END { printf "%.1f\n", bytes * 1000 / t[int((NR + 1) / 2)] }'
}

one=$(pace $cpu llm-extract -q --include '*.html' "$tmp/pages")
row extract "$one" 60 1
$cpu obj/tests/bench/html -r "$runs" "$1" | sed 's/^/# /' || exit 2
for module in trafilatura resiliparse
do
	peer "$module" || continue
	echo "$pages" | awk 'NR % 10 == 1' >"$tmp/some"
	row "extract-$module" "$one" \
	    "$($cpu "$python" tests/bench/extract_peer.py "$module" "$tmp/some")" \
	    "$(test "$module" = trafilatura && echo 50 || echo 1)"
done
# loop N: seconds of N copies of a busy loop at once
loop () {
	from=$(date +%s%N)
	for i in $(seq "$1")
	do
		awk 'BEGIN { for (i = 0; i < 8000000; i++) s += i }' &
	done
	wait
	echo $(($(date +%s%N) - from))
}
both=$(pace llm-extract -q -j 2 --include '*.html' "$tmp/pages")
row extract-j2 "$both" "$(awk -v one="$one" -v a="$(loop 1)" -v b="$(loop 2)" \
    'BEGIN { printf "%.1f", one * 2 * a / b }')" 0.9
