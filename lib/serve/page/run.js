// One answer of the server: asked for, and put together as it comes.

import { Failure, events, request } from "./api.js";

const ASKED = ["temperature", "top_p", "top_k", "min_p", "max_tokens", "seed",
	"presence_penalty", "frequency_penalty"];
const TRIES = 5;

const pause = (ms, signal) => new Promise((resolve, reject) => {
	const timer = setTimeout(resolve, ms);
	signal.addEventListener("abort", () => {
		clearTimeout(timer);
		reject(signal.reason);
	}, { once: true });
});

function parsed(text, what) {
	try {
		return JSON.parse(text);
	} catch (e) {
		throw new Failure(`${what} is no JSON: ${e.message}.`);
	}
}

export const chosen = message => message.answers[message.at];

// What is asked: settings of the conversation, and its messages before the one to come.
export function question({ settings, messages }, message) {
	const body = { model: settings.model || undefined, messages: [], stream: true,
		stream_options: { include_usage: true } };
	if (settings.system)
		body.messages.push({ role: "system", content: settings.system });
	for (const m of messages.slice(0, messages.indexOf(message)))
		if (m.role === "user")
			body.messages.push({ role: "user", content: m.content });
		else if (chosen(m).content)
			body.messages.push({ role: "assistant", content: chosen(m).content });
	for (const name of ASKED)
		if (settings[name])
			body[name] = Number(settings[name]);
	const stop = (settings.stop ?? "").split("\n").filter(s => s);
	if (stop.length)
		body.stop = stop.map(s => s.replaceAll("\\n", "\n"));
	if (settings.format === "json_object")
		body.response_format = { type: "json_object" };
	if (settings.format === "json_schema")
		body.response_format = { type: "json_schema",
			json_schema: { name: "answer", schema: parsed(settings.schema || "{}",
				"The JSON schema in the settings") } };
	return body;
}

export class Run {
	notice = "";		// why nothing comes yet
	pieces = 0;		// so far; about as many as tokens
	#started = performance.now();
	#controller = new AbortController();
	#changed;

	// The answer is filled, and changed() called each time that something is new.
	constructor(conversation, message, changed) {
		this.conversation = conversation;
		this.message = message;
		this.answer = chosen(message);
		this.#changed = changed;
	}

	stop() {
		this.#controller.abort();
	}

	// Ends when the answer has; returns the failure, if it was one.
	async done() {
		const { answer } = this;
		try {
			await this.#read(await this.#ask(question(this.conversation, this.message)));
		} catch (e) {
			if (this.#controller.signal.aborted)
				answer.finish = "stopped";
			else {
				answer.error = e instanceof Failure ? e.message :
					"The connection was lost before the answer was whole.";
				return e;
			}
		} finally {
			this.notice = "";
			answer.seconds = this.seconds;
			answer.tokens ??= this.pieces;
		}
		return null;
	}

	// In seconds, from the question on.
	get seconds() {
		return (performance.now() - this.#started) / 1000;
	}

	// A server that is busy is asked again when it wants to be.
	async #ask(body) {
		const { signal } = this.#controller;
		for (let left = TRIES;; left--)
			try {
				this.#started = performance.now();
				return await request("v1/chat/completions", { body, signal });
			} catch (e) {
				if (!(e.status === 429 || e.status === 503) || e.wait === null || left === 1)
					throw e;
				for (let s = Math.ceil(e.wait); s > 0; s--) {
					this.notice = `${e.message} Asking again in ${s} s.`;
					this.#changed();
					await pause(1000, signal);
				}
				this.notice = "";
				this.#changed();
			}
	}

	async #read(response) {
		for await (const data of events(response)) {
			if (data === "[DONE]")
				return;
			this.#take(parsed(data, "What the server sent"));
			this.#changed();
		}
		if (!this.answer.finish)
			throw new Failure("The connection was lost before the answer was whole.");
	}

	#take(chunk) {
		const { answer } = this;
		if (chunk.error)
			throw new Failure(String(chunk.error.message ?? "The server failed."));
		answer.id ??= chunk.id;
		answer.model = chunk.model ?? answer.model;
		for (const { index, delta, finish_reason: finish } of chunk.choices ?? []) {
			if (index)
				continue;
			if (delta?.content || delta?.reasoning_content) {
				answer.first ??= this.seconds;
				this.pieces++;
			}
			answer.content += delta?.content ?? "";
			if (delta?.reasoning_content)
				answer.reasoning = (answer.reasoning ?? "") + delta.reasoning_content;
			if (finish)
				answer.finish = finish;
		}
		if (chunk.usage) {
			answer.prompt = chunk.usage.prompt_tokens;
			answer.cached = chunk.usage.prompt_tokens_details?.cached_tokens ?? 0;
			answer.tokens = chunk.usage.completion_tokens;
		}
	}
}
