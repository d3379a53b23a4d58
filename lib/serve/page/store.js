// Conversations, as JSON in localStorage: one entry each, and an index of them.
//
//	{ id, title, updated, settings: {name: value}, messages: [message] }
//	message: { role: "user", content } or { role: "assistant", answers: [answer], at }
//	answer:  { content, reasoning, id, model, finish, error, rating, prompt, cached,
//	           tokens, first, seconds }
//
// An answer that is asked for again is added beside the ones before; `at' is the one
// that counts.  What is imported is untrusted: known members of the right type are
// taken, the rest is left.

import { local } from "./storage.js";

const INDEX = "llm.index";
const ENTRY = "llm.conversation.";
const FORMAT = "llm-conversations";

const NUMBERS = ["rating", "prompt", "cached", "tokens", "first", "seconds"];
const STRINGS = ["reasoning", "id", "model", "finish", "error"];

function json(text) {
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
}

const isObject = x => typeof x === "object" && x !== null && !Array.isArray(x);

function cleanAnswer(x) {
	if (!isObject(x) || typeof x.content !== "string")
		return null;
	const answer = { content: x.content };
	for (const name of NUMBERS)
		if (Number.isFinite(x[name]))
			answer[name] = x[name];
	for (const name of STRINGS)
		if (typeof x[name] === "string")
			answer[name] = x[name];
	return answer;
}

function cleanMessage(x) {
	if (!isObject(x))
		return null;
	if (x.role === "user" && typeof x.content === "string")
		return { role: "user", content: x.content };
	if (x.role !== "assistant" || !Array.isArray(x.answers))
		return null;
	const answers = x.answers.map(cleanAnswer).filter(a => a);
	const last = answers.length - 1;
	return last < 0 ? null :
		{ role: "assistant", answers, at: Number.isInteger(x.at) ? Math.min(Math.max(x.at, 0), last) : last };
}

function clean(x) {
	if (!isObject(x) || typeof x.id !== "string" || !/^[\w-]{1,64}$/.test(x.id) ||
	    !Array.isArray(x.messages))
		return null;
	const settings = {};
	for (const [name, value] of Object.entries(isObject(x.settings) ? x.settings : {}))
		if (typeof value === "string" && name !== "__proto__")
			settings[name] = value;
	return {
		id: x.id,
		title: typeof x.title === "string" ? x.title : "",
		updated: Number.isFinite(x.updated) ? x.updated : 0,
		settings,
		messages: x.messages.map(cleanMessage).filter(m => m),
	};
}

function index(entries) {
	entries.sort((a, b) => b.updated - a.updated);
	local.setItem(INDEX, JSON.stringify(entries));
}

export const store = {
	// The newest first: {id, title, updated}.
	list() {
		const entries = json(local.getItem(INDEX));
		return Array.isArray(entries) ? entries.filter(isObject) : [];
	},

	create: settings => ({ id: crypto.getRandomValues(new Uint32Array(4)).join("-"), title: "",
		updated: Date.now(), settings: { ...settings }, messages: [] }),

	load: id => clean(json(local.getItem(ENTRY + id))),

	// False when there is no room.
	save(conversation) {
		const { id, title, updated } = conversation;
		try {
			local.setItem(ENTRY + id, JSON.stringify(conversation));
			index([{ id, title, updated }, ...this.list().filter(e => e.id !== id)]);
			return true;
		} catch {
			return false;
		}
	},

	remove(id) {
		local.removeItem(ENTRY + id);
		index(this.list().filter(e => e.id !== id));
	},

	// Does an entry of localStorage say what conversations there are, or what is in one?
	concerns: name => name === null || name === INDEX || name.startsWith(ENTRY),

	exported() {
		const conversations = this.list().map(e => this.load(e.id)).filter(c => c);
		return JSON.stringify({ format: FORMAT, version: 1, conversations }, null, "\t");
	},

	// How many there were and now are here; one that is here already is replaced when what
	// comes is newer.  Throws with words for the reader.
	imported(text) {
		const file = json(text);
		if (!isObject(file) || file.format !== FORMAT || !Array.isArray(file.conversations))
			throw new Error("This file holds no conversations that were exported here.");
		const here = new Map(this.list().map(e => [e.id, e.updated]));
		let count = 0;
		for (const conversation of file.conversations.map(clean)) {
			if (conversation === null || here.get(conversation.id) > conversation.updated)
				continue;
			if (!this.save(conversation))
				throw new Error(`There was room for ${count} conversations only.`);
			count++;
		}
		return count;
	},
};
