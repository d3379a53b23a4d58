// What the browser stores for the page and for its tab; where it may not, as long as
// the page is there.

function usable(name) {
	try {
		window[name].getItem("llm");
		return window[name];
	} catch {
		const items = new Map();
		return {
			getItem: key => items.get(key) ?? null,
			setItem: (key, value) => void items.set(key, value),
			removeItem: key => void items.delete(key),
		};
	}
}

export const local = usable("localStorage");
export const session = usable("sessionStorage");
export const lasts = "length" in local;
