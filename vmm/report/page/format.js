"use strict";
// Figures as people read them, and where each comes from. The report's test does the same in Python
// (tests/report/figures.py) and compares.

/** Three digits that mean something: 1.23, 12.3, 123. As sisvmm's format_duration(). */
function threeDigits(value) {
  const size = Math.abs(value);
  return value.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
}

function grouped(value) {
  if (!Number.isInteger(value)) return threeDigits(value);
  return String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

function duration(ns) {
  const size = Math.abs(ns);
  if (size < 1e3) return `${grouped(ns)} ns`;
  if (size < 999.5e3) return `${threeDigits(ns / 1e3)} us`;
  if (size < 999.5e6) return `${threeDigits(ns / 1e6)} ms`;
  return `${threeDigits(ns / 1e9)} s`;
}

function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit + 1 < units.length) {
    value /= 1024;
    ++unit;
  }
  return `${Number.isInteger(value) ? String(value) : threeDigits(value)} ${units[unit]}`;
}

/** The unit of a metric, which its name tells (docs/observation.md). */
function unitOf(name) {
  if (/_ns$/.test(name)) return "ns";
  if (/_us$/.test(name)) return "us";
  if (/_permille$/.test(name)) return "permille";
  if (/(^|_)bytes(_|$)/.test(name)) return "bytes";
  return "";
}

function valueText(value, unit) {
  if (typeof value !== "number") return typeof value === "string" ? value : JSON.stringify(value);
  if (unit === "ns") return duration(value);
  if (unit === "us") return duration(value * 1000);
  if (unit === "bytes") return bytes(value);
  if (unit === "permille") return `${threeDigits(value / 10)} %`;
  return grouped(value);
}

/**
 * Makes an element. Children are nodes or texts; a text never becomes markup, wherever it comes from.
 * @param attributes of them `data` is a map of data-... attributes and `on` one of event handlers
 */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "data") Object.assign(node.dataset, value);
    else if (name === "on") Object.entries(value).forEach(([event, handler]) => node.addEventListener(event, handler));
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** The parts of a run, by the names of the files that they are in. */
const kFiles = {"summary.json": "summary", "metrics.json": "metrics", "trace.json": "trace", "audit.jsonl": "audit"};

/** What is at `path` (an array of keys) of a run's file; undefined: nothing. */
function lookUp(run, file, path) {
  let at = run[kFiles[file]];
  for (const key of path) {
    if (at === null || typeof at !== "object" || !Object.hasOwn(at, key)) return undefined;
    at = at[key];
  }
  return at;
}

/** A file and a JSON Pointer (RFC 6901) into it. With two runs, which of them in front. */
function sourceOf(run, file, path) {
  const pointer = path.map((key) => "/" + String(key).replaceAll("~", "~0").replaceAll("/", "~1")).join("");
  return `${run.letter ? run.letter + ":" : ""}${file}#${pointer}`;
}

function figureOf(value, text, source, unit) {
  return el("data", {class: "figure", value: String(value), title: source, data: {source, unit}}, text);
}

/** A figure of a file as an element that says where it comes from; a dash where the file has none. */
function figure(run, file, path, unit = "") {
  const value = lookUp(run, file, path);
  if (value === undefined || value === null) return el("span", {class: "none", title: `${sourceOf(run, file, path)}: none`}, "–");
  const shown = typeof value === "object" ? JSON.stringify(value) : value;
  return figureOf(shown, valueText(shown, unit), sourceOf(run, file, path), unit);
}

function metricFigure(run, name) {
  return figure(run, "metrics.json", ["final", name], unitOf(name));
}

function table(head, rows, attributes = {}) {
  return el("div", {class: "scroll"}, el("table", attributes,
    el("thead", {}, el("tr", {}, head.map((text) => el("th", {scope: "col"}, text)))),
    el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((cell) => (cell instanceof Node && cell.nodeName === "TD" ? cell : el("td", {}, cell))))))));
}

function note(...text) {
  return el("p", {class: "note"}, ...text);
}

function section(id, title, ...children) {
  return el("section", {id, "aria-labelledby": `${id}-title`}, el("h2", {id: `${id}-title`}, title), ...children);
}
