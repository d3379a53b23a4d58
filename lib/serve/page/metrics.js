// Prometheus' text, and what can be told from two of them.

// Samples by name, over all their labels but `le': a number, or for buckets a Map from
// their upper bound to the count.  Those whose labels do not count() are left out.
export function parse(text, count = () => true) {
	const samples = new Map();
	for (const line of text.split("\n")) {
		const m = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/.exec(line);
		if (!m || !count(m[2] ?? ""))
			continue;
		const [, name, labels, number] = m;
		const value = number === "+Inf" ? Infinity : Number(number);
		if (name.endsWith("_bucket")) {
			const le = /(?:^|,)\s*le="([^"]*)"/.exec(labels ?? "")?.[1];
			const bound = le === "+Inf" ? Infinity : Number(le);
			const buckets = samples.get(name) ?? new Map();
			samples.set(name, buckets.set(bound, (buckets.get(bound) ?? 0) + value));
		} else
			samples.set(name, (samples.get(name) ?? 0) + value);
	}
	return samples;
}

// How much a counter grew; one that fell was started again.
export function growth(before, now, name) {
	const [a, b] = [before.get(name) ?? 0, now.get(name) ?? 0];
	return b >= a ? b - a : b;
}

// The quantiles of what a histogram got between two times, by lines within its buckets;
// null where nothing came.  What is above the last bound is as large as that.
export function quantiles(before, now, name, qs) {
	const buckets = [...now.get(name + "_bucket") ?? []].sort((a, b) => a[0] - b[0]);
	const old = before.get(name + "_bucket") ?? new Map();
	const again = buckets.some(([bound, n]) => n < (old.get(bound) ?? 0));
	const counts = buckets.map(([bound, n]) => n - (again ? 0 : old.get(bound) ?? 0));
	const total = counts.at(-1) ?? 0;
	return qs.map(q => {
		if (total <= 0)
			return null;
		const rank = q * total;
		const i = counts.findIndex(n => n >= rank);
		const low = i > 0 ? buckets[i - 1][0] : 0, high = buckets[i][0];
		const under = i > 0 ? counts[i - 1] : 0;
		if (high === Infinity)
			return low;
		return low + (high - low) * (counts[i] > under ? (rank - under) / (counts[i] - under) : 1);
	});
}
