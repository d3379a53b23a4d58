// The chat: what is on the page, and what the reader does with it.

import { key, request } from "./api.js";
import { Markdown } from "./markdown.js";
import { Run, chosen } from "./run.js";
import { lasts, session } from "./storage.js";
import { store } from "./store.js";

const CURRENT = "llm.current";		// the conversation of this tab
const SAVE = 1000;			// ms between savings of an answer that comes
const BRIEF = .05;			// seconds that are too few to tell a speed
const NEAR = 48;			// pixels from the end that count as the end

const $ = id => document.getElementById(id);
const stamp = id => $(id).content.firstElementChild.cloneNode(true);
const touch = matchMedia("(hover: none) and (pointer: coarse)");

const runs = new Map();			// of answers that come, by id of their conversation
let conversation = null;
let views = [];				// of its messages

// ---- Words for the reader

// A line above the message, with something to do about it or not.
function notify(text, action = "", act = null) {
	const box = $("notice");
	box.replaceChildren(text);
	if (!act)
		return;
	const button = document.createElement("button");
	button.type = "button";
	button.className = "plain";
	button.textContent = action;
	button.addEventListener("click", () => {
		notify("");
		act();
	});
	box.append(button);
}

// Sentences of an answer for screen readers, each when it is whole.
const speech = {
	said: 0,
	begin() {
		this.said = 0;
		$("speech").replaceChildren();
	},
	say(text, whole) {
		const rest = text.slice(this.said);
		const part = whole ? rest : /^[^]*(?:[.!?]["')\]*]*\s|\n)/.exec(rest)?.[0] ?? "";
		this.said += part.length;
		this.add(part.replace(/[*_`#|~]+/g, "").trim());
	},
	add(text) {
		if (!text)
			return;
		const p = document.createElement("p");
		p.textContent = text;
		$("speech").append(p);
	},
};

// Pages that came by plain HTTP from elsewhere have no clipboard but the old one.
async function copy(text, button) {
	try {
		await navigator.clipboard.writeText(text);
	} catch {
		const area = document.createElement("textarea");
		area.value = text;
		document.body.append(area);
		area.select();
		const good = document.execCommand("copy");
		area.remove();
		button.focus();
		if (!good) {
			notify("The browser does not let this page copy.");
			return;
		}
	}
	const label = button.getAttribute("aria-label");
	const use = button.querySelector("use");
	use?.setAttribute("href", "#i-done");
	if (label)
		button.setAttribute("aria-label", "Copied");
	else
		button.textContent = "Copied";
	setTimeout(() => {
		use?.setAttribute("href", "#i-copy");
		if (label)
			button.setAttribute("aria-label", label);
		else
			button.textContent = "Copy";
	}, 1500);
}

function grow(area) {
	area.style.height = "auto";
	area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
}

// ---- Following the end, unless the reader went up

const follow = {
	on: true,
	top: 0,
	seen() {
		const { scrollTop, scrollHeight, clientHeight } = $("scroll");
		const end = scrollHeight - clientHeight - scrollTop < NEAR;
		if (end)
			this.on = true;
		else if (scrollTop < this.top)
			this.on = false;
		this.top = scrollTop;
		$("latest").hidden = this.on || end;
	},
	keep() {
		if (this.on)
			$("scroll").scrollTop = $("scroll").scrollHeight;
		else
			this.seen();
	},
	end() {
		this.on = true;
		this.keep();
	},
};

// ---- Messages

// An editor in place of what a message shows.  done() gets the new text.
function edit(item, text, verb, note, done) {
	const form = stamp("editor");
	const area = form.querySelector("textarea");
	const [body, tools] = [item.querySelector(".text"), item.querySelector(".tools")];
	const close = () => {
		form.remove();
		body.hidden = tools.hidden = false;
		item.querySelector(".edit").focus();
	};
	form.querySelector(".main").textContent = verb;
	form.querySelector(".note").textContent = note;
	form.querySelector(".cancel").addEventListener("click", close);
	form.addEventListener("keydown", e => {
		if (e.key === "Escape") {
			e.stopPropagation();
			close();
		} else if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
			e.preventDefault();
			form.requestSubmit();
		}
	});
	form.addEventListener("submit", e => {
		e.preventDefault();
		if (!area.value.trim())
			return;
		close();
		done(area.value);
	});
	area.addEventListener("input", () => grow(area));
	area.value = text;
	body.hidden = tools.hidden = true;
	body.after(form);
	grow(area);
	area.focus();
}

function userView(message) {
	const item = stamp("user");
	item.querySelector(".text").textContent = message.content;
	item.querySelector(".copy").addEventListener("click", e => copy(message.content, e.currentTarget));
	item.querySelector(".edit").addEventListener("click", () => {
		const after = conversation.messages.length - conversation.messages.indexOf(message) - 1;
		edit(item, message.content, "Send", after ? "What follows is dropped." : "", text => {
			const at = conversation.messages.indexOf(message);
			runs.get(conversation.id)?.stop();
			conversation.messages.splice(at);
			send(text);
		});
	});
	return { item, update() {} };
}

// What it cost, in words.
function figures(answer, run) {
	const parts = [];
	const tokens = run && answer.tokens === undefined ? run.pieces : answer.tokens;
	const seconds = run?.seconds ?? answer.seconds;
	if (tokens > 0) {
		parts.push(`${tokens} ${tokens === 1 ? "token" : "tokens"}`);
		const speed = (tokens - 1) / (seconds - answer.first);
		if (tokens > 1 && seconds - answer.first > BRIEF)
			parts.push(`${speed < 100 ? speed.toPrecision(3) : Math.round(speed)}/s`);
	}
	if (answer.first !== undefined)
		parts.push(`first after ${answer.first.toFixed(2)} s`);
	if (answer.prompt !== undefined)
		parts.push(`prompt ${answer.prompt}` + (answer.cached ? `, ${answer.cached} cached` : ""));
	if (answer.finish === "length")
		parts.push("ended by the limit of tokens");
	else if (answer.finish === "stopped")
		parts.push("stopped");
	else if (!run && !answer.finish && !answer.error)
		parts.push("not whole");
	if (answer.model && answer.model !== conversation.settings.model)
		parts.push(answer.model);
	return parts.join(" · ");
}

async function rate(answer, rating, comment) {
	try {
		await request("v1/feedback", { body: { id: answer.id, rating, ...comment && { comment } } });
	} catch (e) {
		notify(e.message);
		return false;
	}
	answer.rating = rating;
	save();
	return true;
}

function assistantView(message) {
	const item = stamp("assistant");
	const part = name => item.querySelector(name);
	const text = new Markdown(part(".text"));
	const answer = chosen(message);
	const running = () => {
		const run = runs.get(conversation.id);
		return run?.answer === answer ? run : null;
	};

	const update = () => {
		const run = running();
		text.update(answer.content);
		part(".reasoning").hidden = !answer.reasoning;
		part(".reasoning div").textContent = answer.reasoning ?? "";
		part(".waiting").hidden = !run || answer.content !== "" || run.notice !== "";
		part(".busy").hidden = !run?.notice;
		part(".busy").textContent = run?.notice ?? "";
		part(".error").hidden = !answer.error;
		part(".error span").textContent = answer.error ?? "";
		for (const name of [".tools .copy", ".edit"])
			part(name).hidden = run !== null;
		// Only the last one, for another would drop what follows it.
		for (const name of [".again", ".retry"])
			part(name).hidden = run !== null || message !== conversation.messages.at(-1);
		for (const [name, rating] of [[".up", 1], [".down", -1]]) {
			part(name).hidden = run !== null || !answer.id;
			part(name).setAttribute("aria-pressed", answer.rating === rating);
		}
		part(".choice").hidden = run !== null || message.answers.length < 2;
		part(".which").textContent = `${message.at + 1} of ${message.answers.length}`;
		part(".before").disabled = message.at === 0;
		part(".after").disabled = message.at === message.answers.length - 1;
		part(".figures").textContent = figures(answer, run);
	};

	const choose = step => {
		message.at += step;
		save();
		const view = assistantView(message);
		views[conversation.messages.indexOf(message)] = view;
		item.replaceWith(view.item);
		const button = view.item.querySelector(step < 0 ? ".before" : ".after");
		(button.disabled ? view.item.querySelector(step < 0 ? ".after" : ".before") : button).focus();
	};
	part(".before").addEventListener("click", () => choose(-1));
	part(".after").addEventListener("click", () => choose(1));
	part(".again").addEventListener("click", () => again(message));
	part(".retry").addEventListener("click", () => again(message));
	part(".tools .copy").addEventListener("click", e => copy(answer.content, e.currentTarget));
	part(".text").addEventListener("click", e => {
		const button = e.target.closest(".code .copy");
		if (button)
			copy(button.closest(".code").querySelector("code").textContent, button);
	});
	part(".edit").addEventListener("click", () => edit(item, answer.content, "Keep", "", changed => {
		// Another text than the one that the server knows by its id.
		answer.content = changed;
		delete answer.id;
		save();
		draw();
	}));
	for (const [name, rating] of [[".up", 1], [".down", -1]])
		part(name).addEventListener("click", async () => {
			if (!await rate(answer, rating))
				return;
			update();
			part(".comment").hidden = false;
			part(".comment input").focus();
		});
	part(".comment").addEventListener("submit", async e => {
		e.preventDefault();
		const comment = part(".comment input").value.trim();
		if (comment && !await rate(answer, answer.rating, comment))
			return;
		part(".comment").hidden = true;
		part(".comment input").value = "";
		notify("Thank you.");
		$("prompt").focus();
	});
	update();
	return { item, update };
}

function drawTitle() {
	$("title").textContent = conversation.title || "New conversation";
	document.title = conversation.title ? `${conversation.title} - llm` : "llm";
}

// All of the conversation.
function draw() {
	views = conversation.messages.map(m => m.role === "user" ? userView(m) : assistantView(m));
	$("log").replaceChildren(...views.map(v => v.item));
	$("welcome").hidden = views.length > 0;
	drawTitle();
	drawState();
	follow.keep();
}

function drawState() {
	const busy = runs.has(conversation.id);
	const lost = busy ? document.activeElement === $("send") : document.activeElement === $("stop");
	$("send").hidden = busy;
	$("stop").hidden = !busy;
	if (lost)
		$("prompt").focus();
}

// ---- Answers

function save(which = conversation) {
	if (!store.save(which))
		notify("This browser has no room left for conversations: export some, and delete them.");
}

// Let the server write an answer into the message, which is the last one.
async function run(message) {
	const of = conversation;
	let saved = 0, frame = 0, told = false;
	const update = () => {
		frame = 0;
		if (of !== conversation)
			return;
		views.at(-1).update();
		if (it.notice && !told)
			speech.add(it.notice);
		told = it.notice !== "";
		speech.say(it.answer.content, false);
		follow.keep();
	};
	const it = new Run(of, message, () => {
		frame ||= requestAnimationFrame(update);
		if (performance.now() - saved > SAVE && !deleted.has(of.id)) {
			saved = performance.now();
			save(of);
		}
	});
	runs.set(of.id, it);
	speech.begin();
	draw();
	const failure = await it.done();
	cancelAnimationFrame(frame);
	if (runs.get(of.id) !== it)
		return;
	runs.delete(of.id);
	if (deleted.has(of.id))
		return;
	of.updated = Date.now();
	save(of);
	drawList();
	if (of === conversation) {
		update();
		drawState();
		speech.say(it.answer.content, true);
		speech.add(it.answer.error);
	}
	if (failure?.status === 401)
		askKey(failure.message);
}

// Another answer beside those that are there; one that failed makes room.
function again(message) {
	if (runs.has(conversation.id))
		return;
	if (chosen(message).error && !chosen(message).content)
		message.answers.splice(message.at, 1);
	message.answers.push({ content: "" });
	message.at = message.answers.length - 1;
	follow.on = true;
	run(message);
	$("prompt").focus();
}

function send(text) {
	const message = { role: "assistant", answers: [{ content: "" }], at: 0 };
	conversation.messages.push({ role: "user", content: text }, message);
	conversation.title ||= text.trim().split("\n")[0].slice(0, 80);
	conversation.settings.model = $("model").value || conversation.settings.model;
	conversation.updated = Date.now();
	session.setItem(CURRENT, conversation.id);
	save();
	drawList();
	notify("");
	follow.on = true;
	run(message);
	$("prompt").focus();
}

// ---- Conversations

const deleted = new Set();

function open(which) {
	conversation = which;
	session.setItem(CURRENT, which.id);
	fillSettings();
	speech.begin();
	draw();
	drawList();
	follow.end();
}

function openNew() {
	open(store.create(conversation?.settings ?? store.load(store.list()[0]?.id)?.settings ?? {}));
}

function openStored(id) {
	const which = runs.get(id)?.conversation ?? store.load(id);
	if (which)
		open(which);
	else
		openNew();
}

function rename(id, button) {
	const which = runs.get(id)?.conversation ?? (id === conversation.id ? conversation : store.load(id));
	const input = document.createElement("input");
	input.value = which.title;
	input.maxLength = 200;
	input.setAttribute("aria-label", "Title of the conversation");
	let editing = true;
	const close = keep => {
		if (!editing)
			return;
		editing = false;
		if (keep && input.value.trim()) {
			which.title = input.value.trim();
			save(which);
		}
		drawList();
		drawTitle();
		document.querySelector(`#list [data-id="${id}"] .rename`)?.focus();
	};
	input.addEventListener("keydown", e => {
		if (e.key !== "Enter" && e.key !== "Escape")
			return;
		e.stopPropagation();
		e.preventDefault();	// else it presses the button that has the focus next
		close(e.key === "Enter");
	});
	input.addEventListener("blur", () => close(true));
	button.closest("li").replaceChildren(input);
	input.focus();
	input.select();
}

function discard(id) {
	const which = runs.get(id)?.conversation ?? store.load(id);
	deleted.add(id);
	runs.get(id)?.stop();
	store.remove(id);
	if (id === conversation.id)
		openNew();
	drawList();
	notify(`“${which?.title ?? ""}” is deleted.`, "Undo", () => {
		deleted.delete(id);
		save(which);
		drawList();
		openStored(id);
	});
	$("notice").querySelector("button")?.focus();
}

function drawList() {
	$("list").replaceChildren(...store.list().map(({ id, title }) => {
		const item = stamp("entry");
		const part = name => item.querySelector(name);
		const name = title || "Without a title";
		item.dataset.id = id;
		part(".open").textContent = name;
		if (id === conversation.id)
			part(".open").setAttribute("aria-current", "true");
		part(".rename").setAttribute("aria-label", `Rename “${name}”`);
		part(".delete").setAttribute("aria-label", `Delete “${name}”`);
		part(".open").addEventListener("click", () => {
			openStored(id);
			side.close();
			$("prompt").focus();
		});
		part(".rename").addEventListener("click", e => rename(id, e.currentTarget));
		part(".delete").addEventListener("click", () => discard(id));
		return item;
	}));
}

// Another tab or a file changed what is stored.
function refresh() {
	drawList();
	const now = store.load(conversation.id);
	if (now && !runs.has(conversation.id) && now.updated > conversation.updated) {
		conversation = now;
		fillSettings();
		draw();
	}
}

function exportAll() {
	const link = document.createElement("a");
	link.href = URL.createObjectURL(new Blob([store.exported()], { type: "application/json" }));
	link.download = "conversations.json";
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

async function importFile() {
	const [file] = $("file").files;
	if (!file)
		return;
	try {
		const count = store.imported(await file.text());
		notify(`${count} ${count === 1 ? "conversation" : "conversations"} imported.`);
	} catch (e) {
		notify(e.message);
	}
	$("file").value = "";
	refresh();
}

// ---- Settings, models, the key

const fields = () => [...$("settings").elements].filter(e => e.name);

function fillSettings() {
	const { settings } = conversation;
	for (const field of fields())
		field.value = settings[field.name] ?? "";
	$("schema").hidden = settings.format !== "json_schema";
	checkSchema();
	chooseModel();
}

function checkSchema() {
	const field = $("settings").elements.schema;
	let wrong = "";
	try {
		JSON.parse(field.value || "{}");
	} catch (e) {
		wrong = e.message;
	}
	field.setCustomValidity(wrong);
}

function chooseModel() {
	const names = [...$("model").options].map(o => o.value);
	if (names.includes(conversation.settings.model))
		$("model").value = conversation.settings.model;
}

function keepSettings() {
	for (const field of fields())
		if (field.value === "")
			delete conversation.settings[field.name];
		else
			conversation.settings[field.name] = field.value;
	$("schema").hidden = conversation.settings.format !== "json_schema";
	if (conversation.messages.length)
		save();
}

// Adapters stand below the model that they belong to.
function fillModels(models) {
	const option = ({ id }) => new Option(id, id);
	const bases = models.filter(m => !models.some(b => b.id === m.parent));
	$("model").replaceChildren(...bases.map(base => {
		const adapters = models.filter(m => m.parent === base.id);
		if (adapters.length === 0)
			return option(base);
		const group = document.createElement("optgroup");
		group.label = `${base.id} and its adapters`;
		group.append(option(base), ...adapters.map(option));
		return group;
	}));
	chooseModel();
}

async function loadModels() {
	notify("");		// not later, for what is said meanwhile is to be read
	try {
		const { data } = await (await request("v1/models")).json();
		fillModels(data);
	} catch (e) {
		if (e.status === 401)
			askKey(key.get() ? e.message : "This server asks for a key.", key.get() !== "");
		else
			notify(e.message, "Try again", loadModels);
	}
}

function askKey(why, wrong = true) {
	$("keys-why").textContent = why;
	$("keys-why").className = wrong ? "error" : "";
	$("key").value = key.get();
	$("keep").checked = key.kept();
	$("key-forget").hidden = !key.get();
	if (!$("keys").open)
		$("keys").showModal();
	$("key").select();
}

// ---- What is at the sides

// A side that covers the page has the focus alone, until it is closed.
function drawer(box, opener, closer, over, show, shown) {
	const cover = () => {
		$("main").inert = over.matches && shown();
	};
	const set = on => {
		show(on);
		opener.setAttribute("aria-expanded", on);
		cover();
		if (on)
			closer.focus();
	};
	const close = () => {
		if (!shown() || !over.matches)
			return false;
		set(false);
		opener.focus();
		return true;
	};
	opener.addEventListener("click", () => {
		set(!shown());
		if (!shown())
			opener.focus();
	});
	closer.addEventListener("click", () => {
		set(false);
		opener.focus();
	});
	document.addEventListener("pointerdown", e => {
		if (!box.contains(e.target) && !opener.contains(e.target) && close())
			e.preventDefault();
	});
	over.addEventListener("change", cover);
	return { close };
}

const side = drawer($("side"), $("side-open"), $("side-close"), matchMedia("(max-width: 46rem)"),
	on => $("side").classList.toggle("open", on), () => $("side").classList.contains("open"));
const panel = drawer($("panel"), $("panel-open"), $("panel-close"), matchMedia("(max-width: 68rem)"),
	on => $("panel").hidden = !on, () => !$("panel").hidden);

// ---- What the reader does

$("composer").addEventListener("submit", e => {
	e.preventDefault();
	const text = $("prompt").value;
	if (!text.trim() || runs.has(conversation.id))
		return;
	$("prompt").value = "";
	grow($("prompt"));
	send(text);
});
$("prompt").addEventListener("input", () => grow($("prompt")));
$("prompt").addEventListener("keydown", e => {
	if (e.key === "Enter" && !e.shiftKey && !e.isComposing && !touch.matches) {
		e.preventDefault();
		$("composer").requestSubmit();
	} else if (e.key === "ArrowUp" && $("prompt").value === "") {
		const mine = [...$("log").querySelectorAll(".user .edit")].at(-1);
		if (mine) {
			e.preventDefault();
			mine.click();
		}
	}
});
$("stop").addEventListener("click", () => runs.get(conversation.id)?.stop());
document.addEventListener("keydown", e => {
	if (e.key === "Escape" && !$("keys").open)
		side.close() || panel.close() || runs.get(conversation.id)?.stop();
	else if (e.key === "/" && !e.target.closest("input, textarea, select, dialog")) {
		e.preventDefault();
		$("prompt").focus();
	}
});
document.querySelector(".jump").addEventListener("click", e => {
	e.preventDefault();
	$("prompt").focus();
});
$("scroll").addEventListener("scroll", () => follow.seen());
$("latest").addEventListener("click", () => {
	follow.end();
	$("prompt").focus();
});
$("new").addEventListener("click", () => {
	openNew();
	side.close();
	$("prompt").focus();
});
$("export").addEventListener("click", exportAll);
$("import").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", importFile);
$("model").addEventListener("change", () => {
	conversation.settings.model = $("model").value;
	keepSettings();
	views.forEach(view => view.update());
});
$("settings").addEventListener("input", () => {
	checkSchema();
	keepSettings();
});
$("settings").addEventListener("submit", e => e.preventDefault());
$("defaults").addEventListener("click", () => {
	for (const field of fields())
		field.value = "";
	keepSettings();
});
$("key-open").addEventListener("click", () => askKey("It goes to this server alone, with each request.", false));
$("keys").querySelector("form").addEventListener("submit", e => {
	e.preventDefault();
	key.set($("key").value.trim(), $("keep").checked);
	$("keys").close();
	loadModels();
});
$("key-forget").addEventListener("click", () => {
	key.forget();
	$("keys").close();
	loadModels();
});
$("key-cancel").addEventListener("click", () => $("keys").close());

addEventListener("storage", e => {
	if (store.concerns(e.key))
		refresh();
});
addEventListener("pagehide", () => {
	for (const { conversation: which } of runs.values())
		save(which);
});

openStored(session.getItem(CURRENT));
if (!touch.matches)
	$("prompt").focus();
await loadModels();
if (!lasts)
	notify("This browser stores nothing for pages: conversations end with this one.");
