// The server's load, cache, latency and throughput, asked for each second.

import { key, request } from "./api.js";
import { growth, parse, quantiles } from "./metrics.js";

const PERIOD = 1000;		// ms between questions
const SHOWN = 120;		// samples that a line shows
const WINDOW = 60;		// seconds that quantiles and shares are of
const SMOOTH = 5;		// seconds that a rate is of
const SVG = "http://www.w3.org/2000/svg";

// Requests for texts; this page's own are none of them.
const texts = labels => !/(?:^|,)route="(?!\/v1\/(?:chat\/)?completions")/.test(labels);

const $ = id => document.getElementById(id);
const samples = [];		// {time, values}, the newest last
const lines = new Map();	// of numbers or null, by name

// ---- Numbers for people

function short(n) {
	if (n === null)
		return "–";
	const units = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]];
	for (const [size, unit] of units)
		if (n >= size)
			return `${(n / (unit === "k" ? 1e3 : size)).toPrecision(3)} ${unit}`;
	return n >= 100 || Number.isInteger(n) ? Math.round(n).toString() : n.toPrecision(n < 1 ? 2 : 3);
}

function bytes(n) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let i = 0;
	for (; n >= 1024 && i < units.length - 1; i++)
		n /= 1024;
	return [n >= 100 || i === 0 ? Math.round(n) : n.toPrecision(3), units[i]];
}

function time(s) {
	if (s === null)
		return "–";
	if (s < 1)
		return `${(s * 1000).toPrecision(s < .1 ? 2 : 3)} ms`;
	return `${s.toPrecision(3)} s`;
}

function age(s) {
	const [d, h, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
	return d ? `${d} d ${h} h` : h ? `${h} h ${m} min` : m ? `${m} min` : `${Math.floor(s)} s`;
}

// ---- Drawing

function shape(name, attributes) {
	const e = document.createElementNS(SVG, name);
	for (const [k, v] of Object.entries(attributes))
		e.setAttribute(k, v);
	return e;
}

// The line of `name' from 0 or the least up to the most; a gap where there was nothing.
function draw(svg, name, value, most = 0) {
	const line = lines.get(name) ?? [];
	lines.set(name, line);
	line.push(value);
	if (line.length > SHOWN)
		line.shift();
	const top = Math.max(most, ...line.filter(v => v !== null)) || 1;
	const x = i => SHOWN - line.length + i, y = v => 31 - 30 * v / top;
	let stroke = "", area = "", open = false;
	line.forEach((v, i) => {
		if (v === null) {
			area += open ? `V31Z` : "";
			open = false;
			return;
		}
		stroke += `${open ? "L" : "M"}${x(i)} ${y(v).toFixed(2)}`;
		area += open ? `L${x(i)} ${y(v).toFixed(2)}` : `M${x(i)} 31V${y(v).toFixed(2)}`;
		open = true;
	});
	svg.setAttribute("viewBox", `0 0 ${SHOWN - 1} 32`);
	svg.setAttribute("preserveAspectRatio", "none");
	svg.replaceChildren(shape("path", { class: "area", d: area + (open ? "V31Z" : "") }),
		shape("path", { class: "line", d: stroke }));
}

function tile(name, value, unit, more, line, most) {
	const box = document.querySelector(`[data-tile="${name}"]`);
	const small = document.createElement("small");
	small.textContent = unit && value !== "–" ? ` ${unit}` : "";
	box.querySelector(".value").replaceChildren(value, small);
	if (more !== null)
		box.querySelector(".more").textContent = more;
	draw(box.querySelector("svg"), name, line, most);
}

// ---- What the numbers say

function show(slots) {
	const now = samples.at(-1);
	const back = seconds => samples.find(s => s.time >= now.time - seconds - .5);
	const get = name => now.values.get(name) ?? 0;
	const rate = name => {
		const then = back(SMOOTH), dt = now.time - then.time;
		return dt > 0 ? growth(then.values, now.values, name) / dt : null;
	};
	const window = back(WINDOW);

	tile("running", short(get("llm_requests_running")), "", null, get("llm_requests_running"));
	tile("waiting", short(get("llm_requests_waiting")), "", null, get("llm_requests_waiting"));
	const requests = rate("llm_requests_total");
	tile("requests", short(requests), "a second", `${short(get("llm_requests_total"))} in all`, requests);

	const generated = rate("llm_generated_tokens_total"), prompt = rate("llm_prompt_tokens_total");
	tile("generated", short(generated), "tokens a second",
		`${short(get("llm_generated_tokens_total"))} in all`, generated);
	tile("prompt", short(prompt), "tokens a second",
		`${short(get("llm_prompt_tokens_total"))} in all`, prompt);
	const asked = growth(window.values, now.values, "llm_prompt_tokens_total");
	const cached = growth(window.values, now.values, "llm_cached_tokens_total");
	const hits = asked > 0 ? 100 * cached / asked : null;
	tile("hits", hits === null ? "–" : hits.toFixed(0), "% of the last minute",
		`${short(get("llm_cached_tokens_total"))} tokens in all`, hits, 100);

	const room = get("llm_cache_tokens"), used = get("llm_cache_tokens_used");
	const full = room > 0 ? 100 * used / room : null;
	tile("cache", full === null ? "–" : full.toFixed(0), "%",
		`${short(used)} of ${short(room)} tokens`, full, 100);
	const preempted = growth(window.values, now.values, "llm_preemptions_total");
	tile("preemptions", short(preempted), "in the last minute",
		`${short(get("llm_preemptions_total"))} in all`, rate("llm_preemptions_total"));
	const [size, unit] = bytes(get("process_resident_memory_bytes"));
	const models = now.values.get("llm_models_loaded");
	tile("resident", String(size), unit, models === undefined ? null :
		`resident, ${models} ${models === 1 ? "model" : "models"} loaded`,
		get("process_resident_memory_bytes"));

	for (const row of document.querySelectorAll("[data-latency]")) {
		const name = row.dataset.latency;
		const found = quantiles(window.values, now.values, name, [.5, .95, .99]);
		found.forEach((q, i) => {
			row.cells[i + 1].textContent = time(q);
		});
		const [recent] = quantiles(back(SMOOTH).values, now.values, name, [.5]);
		draw(row.querySelector("svg"), name, recent);
	}

	$("idle").hidden = slots.length > 0;
	$("slots").closest(".frame").hidden = slots.length === 0;
	$("slots").replaceChildren(...slots.map(s => {
		const row = document.createElement("tr");
		const speed = s.seconds > 0 ? s.generated_tokens / s.seconds : null;
		for (const text of [s.id, s.model, s.prompt_tokens, s.generated_tokens,
		    s.seconds?.toFixed(1), speed === null ? "–" : short(speed)])
			row.insertCell().textContent = text ?? "";
		return row;
	}));
}

function state(name, text) {
	if ($("state").textContent !== text)
		$("state").textContent = text;
	$("state").dataset.state = name;
}

async function ask() {
	try {
		const [metrics, slots] = await Promise.all([request("metrics"), request("slots")]);
		const values = parse(await metrics.text(), texts);
		samples.push({ time: performance.now() / 1000, values });
		if (samples.length > SHOWN)
			samples.shift();
		show(await slots.json());
		const started = values.get("llm_start_time_seconds");
		state("up", started ? `Up for ${age(Date.now() / 1000 - started)}` : "Up");
		$("keys").hidden = true;
	} catch (e) {
		state("down", e.message);
		if (e.status === 401)
			$("keys").hidden = false;
	}
}

// Nobody looks at a page that is hidden.
async function live() {
	for (;;) {
		if (!document.hidden)
			await ask();
		await new Promise(resolve => setTimeout(resolve, PERIOD));
	}
}

$("keys").addEventListener("submit", e => {
	e.preventDefault();
	key.set($("key").value.trim(), key.kept());
	ask();
});
live();
