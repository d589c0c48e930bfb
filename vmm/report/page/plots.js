// Plots over guest time, by dygraphs, of the samples in metrics.json's history.

/** The colours of series and slices, as the page's style has them for light and dark. */
function seriesColour(index) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--series-${index % 8}`).trim();
}

/** As a server's, graph's or operator's name is in the name of a metric (docs/observation.md). */
function metricWord(name) {
  return String(name).toLowerCase().replace(/[^a-z0-9_]/g, "_");
}

function historyOf(run) {
  const history = run.metrics?.history;
  const times = Array.isArray(history?.times_ns) ? history.times_ns : [];
  return times.length && history.series && typeof history.series === "object" ? {times, series: history.series} : null;
}

/** A series as it was sampled. */
function sampled(values) {
  return (index) => (typeof values[index] === "number" ? values[index] : null);
}

/** What a counter grew by since the sample before, in the time between the two, times `scale`. */
function rateOf(values, times, scale) {
  return (index) => {
    const [before, now] = [values[index - 1], values[index]];
    const passed = times[index] - times[index - 1];
    return typeof before === "number" && typeof now === "number" && now >= before && passed > 0 ? (now - before) / passed * scale : null;
  };
}

/** Of every plot its title, what its lines are, and where they come from. */
const kPlots = [
  {id: "budgets", title: "Budget used", unit: "% of each server's budget", lines: (run, {times, series}) => (run.servers ?? []).flatMap((server) => {
    const name = `server_${metricWord(server.name)}_ran_ns`;
    if (!Array.isArray(series[name]) || !(server.budget_ns > 0)) return [];
    return [{label: server.name, source: name, at: rateOf(series[name], times, 100 * server.period_ns / server.budget_ns)}];
  })},
  {id: "depths", title: "Channel depths", unit: "tensors", steps: true, lines: (run, {series}) => Object.keys(series).filter((name) => /^ch_.*_depth$/.test(name))
    .map((name) => ({label: name.slice(3, -6), source: name, at: sampled(series[name])}))},
  {id: "npu", title: "NPU utilisation", unit: "% of the time", lines: (run, {times, series}) => (Array.isArray(series.npu_busy_ns) ?
    [{label: "NPU", source: "npu_busy_ns", at: rateOf(series.npu_busy_ns, times, 100)}] : [])},
  {id: "tokens", title: "LLM tokens", unit: "tokens per second", lines: (run, {times, series}) => ["llm_tokens_out", "llm_prompt_tokens"]
    .filter((name) => Array.isArray(series[name])).map((name) => ({label: name === "llm_tokens_out" ? "answers" : "prompts", source: name, at: rateOf(series[name], times, 1e9)}))},
];

/** Lines that are never anything but 0 or absent are only named. */
function split(lines, count) {
  const flat = (line) => {
    for (let index = 0; index < count; ++index) if (line.at(index)) return false;
    return true;
  };
  return [lines.filter((line) => !flat(line)), lines.filter(flat)];
}

// Its legend is made of HTML, and sets style attributes, which the page's policy refuses.
Dygraph.PLUGINS = Dygraph.PLUGINS.filter((plugin) => plugin !== Dygraph.Plugins.Legend);

const kMaxLines = 16;

function rowsOf(times, lines) {
  return times.map((time, index) => [time / 1e9, ...lines.map((line) => line.at(index))]);
}

function legendOf(run, lines) {
  return el("ul", {class: "legend"}, lines.map((line, index) => el("li", {},
    el("span", {class: `swatch series-${index % 8}`}), el("span", {title: sourceOf(run, "metrics.json", ["history", "series", line.source]),
      data: {source: sourceOf(run, "metrics.json", ["history", "series", line.source])}}, String(line.label)), el("output", {}))));
}

/** One plot of one run. It draws itself once it is in the page (`draw`), and again with other data. */
function plotCard(run, plot) {
  const area = el("div", {class: "plot", role: "img", "aria-label": `${plot.title} over time`});
  const node = el("figure", {class: "plotted", data: {plot: plot.id}});
  let graph = null;
  let shape = "";
  node.draw = (now) => {
    const history = historyOf(now);
    const [moving, still] = history ? split(plot.lines(now, history), history.times.length) : [[], []];
    const lines = moving.slice(0, kMaxLines);
    const labels = lines.map((line) => line.label).join("\n");
    if (graph && labels === shape && lines.length) {
      graph.updateOptions({file: rowsOf(history.times, lines)});
      return;
    }
    graph?.destroy();
    graph = null;
    shape = labels;
    const legend = legendOf(now, lines);
    const title = el("figcaption", {}, now.letter ? `${now.letter.toUpperCase()}: ` : "", plot.title, el("small", {}, ` ${plot.unit}`));
    const rest = [moving.length > kMaxLines ? `${moving.length - kMaxLines} more lines are left out.` : "", still.length ? `Always 0: ${still.map((line) => line.label).join(", ")}.` : ""];
    node.hidden = !lines.length && !still.length;
    node.replaceChildren(...[title, lines.length ? area : null, legend, rest.join(" ").trim() ? note(rest.join(" ").trim()) : null].filter(Boolean));
    if (lines.length) graph = draw(area, plot, history, lines, legend);
  };
  return node;
}

function draw(area, plot, history, lines, legend) {
  const outputs = [...legend.querySelectorAll("output")];
  const style = getComputedStyle(document.documentElement);
  // The labels are ours: what a guest chose for a name is never given to a library that makes HTML of it.
  return new Dygraph(area, rowsOf(history.times, lines), {
    labels: ["s", ...lines.map((line, index) => `y${index}`)], height: 170, strokeWidth: 1.5, includeZero: true,
    stepPlot: plot.steps === true, colors: lines.map((line, index) => seriesColour(index)), axisLineColor: style.getPropertyValue("--line").trim(),
    gridLineColor: style.getPropertyValue("--line").trim(), gridLineWidth: 0.5, rightGap: 8, pointSize: 2.5,
    axes: {x: {axisLabelFormatter: (value) => `${Number(value.toPrecision(6))} s`, pixelsPerLabel: 70}, y: {axisLabelWidth: 44}},
    highlightCallback: (event, x, points) => outputs.forEach((output, index) => {
      const value = points.find((point) => point.name === `y${index}`)?.yval;
      output.textContent = typeof value === "number" ? ` ${grouped(value)}` : "";
    }),
    unhighlightCallback: () => outputs.forEach((output) => { output.textContent = ""; }),
  });
}

function plotsSection(runs) {
  if (!runs.some((run) => historyOf(run) || run.live)) return section("plots", "Over time", note(kNotRecorded));
  const cards = kPlots.map((plot) => runs.map((run) => plotCard(run, plot)));
  const node = section("plots", "Over time", note("Guest time in seconds. Drag to choose a span, double-click for all of it."),
    el("div", {class: "grid wide"}, cards.flat()));
  node.update = (next) => cards.forEach((row) => row.forEach((card, index) => card.draw(next[index])));
  node.draw = () => node.update(runs);
  return node;
}
