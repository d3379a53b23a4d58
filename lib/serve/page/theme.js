// Light or dark, as the reader chose on this machine: before anything is drawn.
// Without a choice the system's holds, by the style sheet alone.

(() => {
	const KEY = "llm.theme";
	const root = document.documentElement;
	const apply = () => {
		const theme = localStorage.getItem(KEY);
		if (theme === "light" || theme === "dark")
			root.dataset.theme = theme;
		else
			delete root.dataset.theme;
	};

	apply();
	addEventListener("storage", apply);
	addEventListener("DOMContentLoaded", () => {
		const choice = document.getElementById("theme");
		choice.value = root.dataset.theme ?? "system";
		choice.addEventListener("change", () => {
			localStorage.setItem(KEY, choice.value);
			apply();
		});
	});
})();
