// Light or dark, as the reader chose on this machine: before anything is drawn.
// Without a choice the system's holds, by the style sheet alone.

(() => {
	const KEY = "llm.theme";
	const root = document.documentElement;
	const apply = theme => {
		if (theme === "light" || theme === "dark")
			root.dataset.theme = theme;
		else
			delete root.dataset.theme;
	};

	// Where the browser stores nothing, the choice is this page's alone.
	const stored = access => {
		try {
			return access(localStorage);
		} catch {
			return null;
		}
	};

	apply(stored(storage => storage.getItem(KEY)));
	addEventListener("storage", e => {
		if (e.key === KEY)
			apply(e.newValue);
	});
	addEventListener("DOMContentLoaded", () => {
		const choice = document.getElementById("theme");
		choice.value = root.dataset.theme ?? "system";
		choice.addEventListener("change", () => {
			apply(choice.value);
			stored(storage => storage.setItem(KEY, choice.value));
		});
	});
})();
