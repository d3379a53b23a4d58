// The server: its key, requests, errors, and streams of events.

import { local, session } from "./storage.js";

const KEY = "llm.key";

// The key of the server, if it asks for one.  It stays in this tab, or in this
// browser when the reader wants that.
export const key = {
	get: () => session.getItem(KEY) ?? local.getItem(KEY) ?? "",
	kept: () => local.getItem(KEY) !== null,
	set(value, keep) {
		this.forget();
		(keep ? local : session).setItem(KEY, value);
	},
	forget() {
		session.removeItem(KEY);
		local.removeItem(KEY);
	},
};

// What went wrong, in words for the reader.  `status' is HTTP's, 0 without an answer;
// `wait' is after how many seconds the server wants to be asked again, if it said so.
export class Failure extends Error {
	constructor(message, status = 0, wait = null) {
		super(message);
		this.status = status;
		this.wait = wait;
	}
}

// Retry-After has seconds or a date.
function seconds(header) {
	if (header === null)
		return null;
	const n = /^\s*\d+\s*$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
	return Number.isFinite(n) ? Math.max(0, n) : null;
}

async function failure(response) {
	let message = "";
	try {
		const body = await response.json();
		message = body.error?.message ?? "";
	} catch {
		// Whoever answered does not speak our language: a proxy, say.
	}
	return new Failure(String(message) || `The server answered ${response.status} ` +
		`${response.statusText}`.trim() + ".", response.status,
		seconds(response.headers.get("Retry-After")));
}

// Ask for a path, relative to the page; with a body, post it as JSON.
export async function request(path, { body, signal } = {}) {
	const headers = {};
	if (key.get())
		headers.Authorization = `Bearer ${key.get()}`;
	if (body !== undefined)
		headers["Content-Type"] = "application/json";
	let response;
	try {
		response = await fetch(path, {
			method: body === undefined ? "GET" : "POST",
			body: body === undefined ? undefined : JSON.stringify(body),
			headers, signal, cache: "no-store", credentials: "same-origin",
		});
	} catch (e) {
		if (signal?.aborted)
			throw e;
		throw new Failure("There is no connection to the server.");
	}
	if (!response.ok)
		throw await failure(response);
	return response;
}

// Server-sent events out of text that comes in any pieces.  A line ends with LF, CR
// or both, an event with an empty line; an event that is not whole at the end is none.
export class EventParser {
	#rest = "";
	#data = [];

	// The data of the events that `text' completes.
	push(text, end = false) {
		const events = [];
		const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
		this.#rest = lines.pop();
		// A CR at the very end waits for its LF, unless nothing comes any more.
		if (end)
			lines.push(...this.#rest.split("\r").slice(0, -1));
		for (const line of lines)
			if (line === "") {
				if (this.#data.length)
					events.push(this.#data.join("\n"));
				this.#data = [];
			} else if (line === "data" || line.startsWith("data:"))
				this.#data.push(line.slice(5).replace(/^ /, ""));
		return events;
	}
}

// The data of each event of a response.
export async function* events(response) {
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	const parser = new EventParser();
	try {
		for (;;) {
			const { value, done } = await reader.read();
			yield* parser.push(value ?? "", done);
			if (done)
				return;
		}
	} finally {
		// Whoever has heard enough lets the connection go.
		reader.cancel().catch(() => {});
	}
}
