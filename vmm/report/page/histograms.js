// Latency histograms: of each, its buckets on a logarithmic axis. Two runs are drawn over each other.

const kHistogramsAtFirst = 12;

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Buckets that are what they should be: [lower, upper, count]. */
function bucketsOf(histogram) {
  const list = Array.isArray(histogram?.buckets) ? histogram.buckets : [];
  return list.filter((bucket) => Array.isArray(bucket) && bucket.length === 3 && bucket.every((value) => typeof value === "number" && value >= 0));
}

/** The two ends of the axis, in powers of two. A bucket that begins at 0 is drawn as one that begins at 1. */
function axisOf(all) {
  const ends = all.flat().flatMap(([lower, upper]) => [Math.max(1, lower), Math.max(1, upper)]);
  const low = Math.floor(Math.log2(Math.min(...ends)));
  return [low, Math.max(low + 1, Math.ceil(Math.log2(Math.max(...ends) + 1)))];
}

/** The bars of one run. @param all buckets of each run that is drawn */
function bars(run, name, buckets, [low, high], most) {
  const x = (value) => (Math.log2(Math.max(1, value)) - low) / (high - low) * 300;
  return svg("g", {class: `bars ${run.letter || "a"}`}, ...buckets.map(([lower, upper, count], index) => {
    const left = x(lower);
    const height = Math.max(1, count / most * 80);
    const bar = svg("rect", {x: left, y: 84 - height, width: Math.max(1.5, x(upper + 1) - left - 0.5), height,
      "data-source": sourceOf(run, "metrics.json", ["histograms", name, "buckets", index, 2]), "data-value": count});
    bar.append(svg("title", {}, `${run.letter ? run.letter.toUpperCase() + " " : ""}${duration(lower)} to ${duration(upper)}: ${grouped(count)}`));
    return bar;
  }));
}

function histogramFigures(run, name) {
  const at = (label, key, unit) => el("span", {}, `${label} `, figure(run, "metrics.json", ["histograms", name, key], unit));
  return el("p", {class: "figures"}, run.letter ? el("b", {class: `key ${run.letter}`}, run.letter.toUpperCase()) : null,
    at("count", "count", ""), at("p50", "p50", "ns"), at("p95", "p95", "ns"), at("p99", "p99", "ns"), at("max", "max", "ns"));
}

function histogramCard(runs, name) {
  const having = runs.filter((run) => bucketsOf(run.metrics?.histograms?.[name]).length);
  const all = having.map((run) => bucketsOf(run.metrics.histograms[name]));
  const axis = axisOf(all);
  const most = Math.max(...all.flat().map((bucket) => bucket[2]), 1);
  const picture = svg("svg", {viewBox: "0 0 300 98", role: "img", "aria-label": `histogram of ${name}`},
    svg("line", {x1: 0, y1: 84.5, x2: 300, y2: 84.5, class: "axis"}),
    svg("text", {x: 0, y: 96}, duration(2 ** axis[0])), svg("text", {x: 300, y: 96, "text-anchor": "end"}, duration(2 ** axis[1])),
    ...having.map((run, index) => bars(run, name, all[index], axis, most)));
  return el("figure", {class: "histogram"}, el("figcaption", {}, el("code", {}, name)), picture, having.map((run) => histogramFigures(run, name)));
}

/** Names of the histograms with samples, those with the most first. */
function histogramNames(runs) {
  const counts = new Map();
  for (const run of runs) {
    for (const [name, histogram] of Object.entries(run.metrics?.histograms ?? {})) {
      if (bucketsOf(histogram).length) counts.set(name, Math.max(counts.get(name) ?? 0, Number(histogram.count) || 0));
    }
  }
  return [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a) || (a < b ? -1 : 1));
}

function histogramsSection(runs) {
  const grid = el("div", {class: "grid"});
  const input = el("input", {type: "search", placeholder: "filter: part of a name", "aria-label": "Filter histograms"});
  const more = el("button", {type: "button"});
  let all = false;
  const fill = () => {
    const names = histogramNames(runs).filter((name) => name.includes(input.value.trim()));
    const shown = all ? names : names.slice(0, kHistogramsAtFirst);
    grid.replaceChildren(...shown.map((name) => histogramCard(runs, name)));
    more.hidden = names.length <= kHistogramsAtFirst;
    more.textContent = all ? "show fewer" : `show all ${names.length}`;
    if (!names.length) grid.append(note(runs.some((run) => run.metrics || run.live) ? "No histogram has a sample." : kNotRecorded));
  };
  more.addEventListener("click", () => {
    all = !all;
    fill();
  });
  input.addEventListener("input", fill);
  fill();
  const node = section("histograms", "Latencies", el("div", {class: "controls"}, input, more), grid);
  node.update = (next) => {
    runs = next;
    fill();
  };
  return node;
}
