// Markdown of text that nobody vouches for.  Every node is made by createElement and
// filled with text: HTML in it stays text, an image becomes a link, and a link leads
// to http and https alone.
//
// What a model writes by habit is there: paragraphs, headings, lists, quotes, tables,
// rules, fenced code, emphasis, code, links.  A line's end is one, as in chats.

// Each pattern takes time in proportion to its text, whatever that is: no two of its
// parts that repeat can share a stretch of it.

const DEPTH = 12;		// of quotes, lists and emphasis in each other; deeper is text

const FENCE = /^(\s*)(`{3,}(?=[^`]*$)|~{3,})(.*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:\s(.*))?$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])(?:\s+|$)/;
const INTERRUPT = /^ {0,3}(?:#{1,6}\s|>|[-*+]\s+\S|1[.)]\s+\S)/;
const DELIMITER = /^\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?$/;

function make(name, ...children) {
	const e = document.createElement(name);
	e.append(...children);
	return e;
}

const blank = line => line.trim() === "";
const indent = line => line.search(/\S|$/);

// Each takes the lines and where to start, and says what it made and where it ended.

function fence(lines, at) {
	const m = FENCE.exec(lines[at]);
	if (!m)
		return null;
	const [, margin, mark, info] = m;
	const body = [];
	let i = at + 1;
	for (; i < lines.length; i++) {
		const line = lines[i].trim();
		if (line.length >= mark.length && line === mark[0].repeat(line.length))
			break;
		body.push(lines[i].slice(Math.min(margin.length, indent(lines[i]))));
	}
	const code = make("code", body.join("\n"));
	const pre = make("pre", code);
	pre.tabIndex = 0;
	pre.setAttribute("role", "group");
	pre.setAttribute("aria-label", "Code");
	const copy = make("button", "Copy");
	copy.type = "button";
	copy.className = "copy plain";
	const block = make("figure", make("figcaption", make("span", info.trim().split(/\s/)[0] || "text"), copy), pre);
	block.className = "code";
	return [block, i + 1];
}

function heading(lines, at, depth) {
	const m = HEADING.exec(lines[at]);
	if (!m)
		return null;
	const text = (m[2] ?? "").trim().replace(/(?<=^|\s)#+$/, "").trimEnd();
	// The page and the turn have the first two levels.
	return [make(`h${Math.min(6, m[1].length + 2)}`, inline(text, depth)), at + 1];
}

function rule(lines, at) {
	return RULE.test(lines[at]) ? [make("hr"), at + 1] : null;
}

function quote(lines, at, depth) {
	let i = at;
	while (i < lines.length && QUOTE.test(lines[i]))
		i++;
	if (i === at || depth === 0)
		return null;
	const inner = lines.slice(at, i).map(line => line.replace(QUOTE, ""));
	return [make("blockquote", ...blocks(inner, depth - 1).map(b => b.node)), i];
}

// Lines of an item from `at' on: those indented by two and more, and those that go on
// with its paragraph.
function item(lines, at, base, width) {
	const inner = [lines[at].slice(width)];
	let i = at + 1;
	for (; i < lines.length; i++) {
		const n = indent(lines[i]);
		if (blank(lines[i])) {
			inner.push("");
			continue;
		}
		const lazy = n <= base && !blank(lines[i - 1]) && !ITEM.test(lines[i]) &&
			!INTERRUPT.test(lines[i]) && !FENCE.test(lines[i]) && !RULE.test(lines[i]);
		if (n < base + 2 && !lazy)
			break;
		inner.push(lines[i].slice(Math.min(n, width)));
	}
	return [inner, i];
}

function list(lines, at, depth) {
	const first = ITEM.exec(lines[at]);
	if (!first || depth === 0)
		return null;
	const ordered = /\d/.test(first[2]);
	const node = make(ordered ? "ol" : "ul");
	if (ordered && parseInt(first[2]) !== 1)
		node.start = parseInt(first[2]);
	const base = first[1].length;
	let i = at;
	while (i < lines.length) {
		const m = ITEM.exec(lines[i]);
		if (!m || RULE.test(lines[i]) || m[2].slice(-1) !== first[2].slice(-1) ||
		    Math.abs(m[1].length - base) > 1)
			break;
		const [inner, end] = item(lines, i, m[1].length, m[0].length);
		node.append(make("li", ...blocks(inner, depth - 1).map(b => b.node)));
		i = end;
	}
	return [node, i];
}

// Cells of a row; a bar after a backslash is none.
function cells(line) {
	const row = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
	return row.split(/(?<!\\)\|/).map(cell => cell.trim().replaceAll("\\|", "|"));
}

const isTable = (lines, at) => at + 1 < lines.length && lines[at].includes("|") &&
	DELIMITER.test(lines[at + 1].trim()) && cells(lines[at]).length === cells(lines[at + 1]).length;

function table(lines, at, depth) {
	if (!isTable(lines, at))
		return null;
	const sides = cells(lines[at + 1]).map(c =>
		c.endsWith(":") ? (c.startsWith(":") ? "center" : "right") : "");
	const row = (line, name) => {
		const texts = cells(line);
		return make("tr", ...sides.map((side, i) => {
			const cell = make(name, inline(texts[i] ?? "", depth));
			if (side)
				cell.className = side;
			return cell;
		}));
	};
	const head = make("thead", row(lines[at], "th"));
	const body = make("tbody");
	let i = at + 2;
	for (; i < lines.length && lines[i].includes("|"); i++)
		body.append(row(lines[i], "td"));
	const frame = make("div", make("table", head, body));
	frame.className = "table";
	frame.tabIndex = 0;
	frame.setAttribute("role", "group");
	frame.setAttribute("aria-label", "Table");
	return [frame, i];
}

function paragraph(lines, at, depth) {
	let i = at + 1;
	while (i < lines.length && !blank(lines[i]) && !INTERRUPT.test(lines[i]) &&
	    !FENCE.test(lines[i]) && !RULE.test(lines[i]) && !isTable(lines, i))
		i++;
	const text = lines.slice(at, i).map(line => line.trimStart()).join("\n");
	return [make("p", inline(text.trimEnd(), depth)), i];
}

const KINDS = [fence, heading, rule, quote, list, table, paragraph];

// Blocks of lines: {node, line}, the latter where it starts.
function blocks(lines, depth) {
	const found = [];
	for (let i = 0; i < lines.length;) {
		if (blank(lines[i])) {
			i++;
			continue;
		}
		for (const kind of KINDS) {
			const made = kind(lines, i, depth);
			if (made) {
				found.push({ node: made[0], line: i });
				i = made[1];
				break;
			}
		}
	}
	return found;
}

// One alternative a construct: escaped punctuation; code; a link or image up to its
// label's bracket; an address by itself; a run of marks; a line's end.
const TOKEN = new RegExp([
	/\\([!-\/:-@[-`{-~])/,
	/(?<!`)(`+)(?!`)([^]*?[^`])\2(?!`)/,
	/(!?\[)/,
	/(<https?:\/\/[^\s<>]+>|https?:\/\/[^\s<>]+)/,
	/(\*+|_+|~~)/,
	/((?<! ) *\n)/,
].map(r => r.source).join("|"), "g");
const TARGET = new RegExp([
	/\(\s{0,9}/,
	/(?:<([^<>\n]{0,2000})>|((?:[^\s()<>]|\([^\s()<>]{0,500}\)){0,2000}))/,
	/(?:\s{1,9}(?:"[^"\n]{0,500}"|'[^'\n]{0,500}'))?/,
	/\s{0,9}\)/,
].map(r => r.source).join(""), "y");
const EMPHASIS = { "*": ["em", "strong"], "_": ["em", "strong"], "~": [null, "del"] };

function link(address, ...children) {
	let url;
	try {
		url = new URL(address);
	} catch {
		return null;
	}
	if (url.protocol !== "http:" && url.protocol !== "https:")
		return null;
	const a = make("a", ...children);
	a.href = url.href;
	a.target = "_blank";
	a.rel = "noopener noreferrer";
	return a;
}

// Where each bracket that opens is closed.
function brackets(text) {
	const open = [], pairs = new Map();
	for (let i = 0; i < text.length; i++)
		if (text[i] === "\\")
			i++;
		else if (text[i] === "[")
			open.push(i);
		else if (text[i] === "]" && open.length)
			pairs.set(open.pop(), i);
	return pairs;
}

// A word's own punctuation at the end of an address belongs to the sentence.
function bare(address) {
	let end = address.length;
	let excess = address.split(")").length - address.split("(").length;
	for (; end > 0; end--)
		if (address[end - 1] === ")" && excess > 0)
			excess--;
		else if (!".,;:!?'\"*_~]".includes(address[end - 1]))
			break;
	return address.slice(0, end);
}

// Where the run of marks that closes this one begins, or -1.
function closing(text, from, mark, n) {
	const runs = mark === "*" ? /\*+/g : mark === "_" ? /_+/g : /~+/g;
	runs.lastIndex = from;
	for (let m; (m = runs.exec(text));) {
		const end = runs.lastIndex;
		if ((m[0].length === n || (m[0].length === 3 && n < 3)) && m.index > from &&
		    !/\s/.test(text[m.index - 1]) && !(mark === "_" && /[\p{L}\p{N}]/u.test(text[end] ?? "")))
			return end - n;
	}
	return -1;
}

function inline(text, depth) {
	const out = document.createDocumentFragment();
	if (depth <= 0) {
		out.append(text);
		return out;
	}
	// Marks in code and escaped ones close nothing.
	const plain = text.replace(TOKEN, (all, escaped, code) => escaped || code ? "\0".repeat(all.length) : all);
	const token = new RegExp(TOKEN);
	const unclosed = new Set();
	let pairs = null, done = 0;

	// Put a node in place of text[from..to); nothing is one that is left as text.
	const put = (node, from, to) => {
		if (node === null)
			return;
		out.append(text.slice(done, from), node);
		done = token.lastIndex = to;
	};
	const labelled = (at, start) => {
		pairs ??= brackets(text);
		const end = pairs.get(start);
		if (end === undefined)
			return;
		TARGET.lastIndex = end + 1;
		const m = TARGET.exec(text);
		if (!m)
			return;
		const label = text.slice(start + 1, end);
		const address = m[1] ?? m[2];
		put(link(address, label ? inline(label, depth - 1) : address), at, TARGET.lastIndex);
	};
	const emphasis = (run, at) => {
		const n = run.length, start = at + n;
		const [one, two] = EMPHASIS[run[0]];
		if (n > 3 || unclosed.has(run) || /\s/.test(text[start] ?? " ") ||
		    (run[0] === "_" && /[\p{L}\p{N}]/u.test(text[at - 1] ?? "")))
			return;
		const end = closing(plain, start, run[0], n);
		if (end < 0) {
			unclosed.add(run);
			return;
		}
		const inner = inline(text.slice(start, end), depth - 1);
		put(n === 3 ? make(one, make(two, inner)) : make(n === 2 ? two : one, inner), at, end + n);
	};

	for (let m; (m = token.exec(text));) {
		const [all, escaped, ticks, code, bracket, address, run, end] = m;
		const at = m.index;
		if (escaped)
			put(escaped, at, at + all.length);
		else if (ticks)
			put(make("code", /^ .*[^ ].* $/s.test(code) ? code.slice(1, -1) : code), at, at + all.length);
		else if (bracket)
			labelled(at, at + bracket.length - 1);
		else if (address) {
			const inner = address[0] === "<" ? address.slice(1, -1) : bare(address);
			put(link(inner, inner), at, at + (address[0] === "<" ? address.length : inner.length));
		} else if (run)
			emphasis(run, at);
		else if (end)
			put(make("br"), at, at + all.length);
	}
	out.append(text.slice(done));
	return out;
}

// The old block of code with what the new one has more, so that a selection and the
// focus in it live on.
function grown(old, now) {
	const from = old.querySelector("code"), to = now.querySelector("code");
	if (!to.textContent.startsWith(from.textContent) || !from.firstChild) {
		old.remove();
		return now;
	}
	from.firstChild.appendData(to.textContent.slice(from.textContent.length));
	return old;
}

// Markdown that grows within an element: blocks before the last one are final, so that
// an update costs as much as what is new.
export class Markdown {
	#target;
	#offset = 0;		// in the text, of what is not final
	#last = null;		// its node

	constructor(target) {
		this.#target = target;
	}

	// `text' starts with what the last update had.
	update(text) {
		const lines = text.slice(this.#offset).split("\n");
		const found = blocks(lines, DEPTH);
		if (found.length === 0)
			return;
		if (this.#last?.matches(".code"))
			found[0].node = grown(this.#last, found[0].node);
		else
			this.#last?.remove();
		this.#target.append(...found.map(b => b.node));
		const { node, line } = found.at(-1);
		this.#last = node;
		for (let i = 0; i < line; i++)
			this.#offset += lines[i].length + 1;
	}
}
