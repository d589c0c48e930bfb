// Sections that are tables and texts: outcome, environment, expectations, steps, audit log, metrics, scenario.

const kOutcomeWords = {passed: "passed", failed: "failed", error: "error", running: "running"};

function badge(status) {
  const known = Object.hasOwn(kOutcomeWords, status) || status === "skipped";
  return el("span", {class: `badge ${known ? status : "unknown"}`}, String(status));
}

/** A row of facts: of each run, its figure. */
function factRows(runs, facts) {
  return facts.map(([label, path, unit]) => [label, ...runs.map((run) => figure(run, "summary.json", path, unit))]);
}

function headOf(runs, ...first) {
  return [...first, ...(runs.length > 1 ? runs.map((run) => run.letter.toUpperCase()) : ["value"])];
}

const kOutcomeFacts = [
  ["exit code", ["exit_code"]], ["duration", ["duration_ns"], "ns"], ["boot, host's clock", ["boot_host_ns"], "ns"],
  ["boot, guest's clock", ["boot_guest_ns"], "ns"], ["warnings", ["warnings_left_out"]],
];

function outcomeOf(run) {
  const summary = run.summary ?? {};
  const tiles = kOutcomeFacts.filter(([label]) => label !== "warnings").map(([label, path, unit]) =>
    el("div", {class: "tile"}, el("span", {}, label), figure(run, "summary.json", path, unit)));
  const warnings = Array.isArray(summary.warnings) ? summary.warnings : [];
  return el("div", {class: "outcome"},
    el("p", {class: "verdict"}, badge(summary.outcome ?? "unknown"), run.letter ? `${run.letter.toUpperCase()}: ` : "", String(summary.machine ?? run.folder)),
    summary.message ? el("p", {class: "message"}, String(summary.message)) : null,
    el("div", {class: "tiles"}, tiles),
    warnings.length ? el("ul", {class: "warnings"}, warnings.map((text) => el("li", {}, String(text)))) : null,
    run.notes.map((text) => note(text)));
}

function outcomeSection(runs) {
  return section("outcome", "Outcome", el("div", {class: runs.length > 1 ? "beside" : ""}, runs.map(outcomeOf)));
}

const kEnvironment = [
  ["scenario", ["scenario"]], ["machine", ["machine"]], ["started", ["started"]], ["back end", ["backend"]],
  ["its version", ["backend_version"]], ["accelerator", ["accel"]], ["CPUs", ["cpus"]], ["memory", ["memory_bytes"], "bytes"],
  ["guest's end", ["guest_exit", "kind"]], ["its code", ["guest_exit", "code"]], ["reboots", ["reboots"]], ["had to be killed", ["killed"]],
  ["console", ["console", "bytes"], "bytes"], ["monitor", ["version"]],
];

function environmentSection(runs) {
  const rows = factRows(runs, kEnvironment);
  const counters = new Set(runs.flatMap((run) => Object.keys(run.summary?.device_counters ?? {})));
  const device = factRows(runs, [...counters].sort().map((name) => [name, ["device_counters", name], unitOf(name)]));
  return section("environment", "Environment", table(headOf(runs, ""), rows, {class: "facts"}),
    device.length ? el("details", {}, el("summary", {}, "Counters of devices"), table(headOf(runs, ""), device, {class: "facts"})) : null);
}

function scenarioSection(runs) {
  const texts = runs.map((run) => run.scenario === null ? note("The run folder has no scenario.yaml.") :
    el("details", {}, el("summary", {}, run.letter ? `scenario.yaml of ${run.letter.toUpperCase()}` : "scenario.yaml, as it was run"), el("pre", {tabindex: "0"}, run.scenario)));
  return section("scenario", "Scenario", texts);
}

function expectationsSection(runs) {
  return section("expectations", "Expectations", runs.map((run) => {
    const list = run.summary?.expectations ?? [];
    if (!list.length) return note(run.letter ? `${run.letter.toUpperCase()} expects nothing beside its steps.` : "The scenario expects nothing beside its steps.");
    const at = (index, key) => figure(run, "summary.json", ["expectations", index, key]);
    return table([run.letter ? run.letter.toUpperCase() : "", "what", "wanted", "actual"], list.map((each, index) => [
      badge(each.status), el("td", {}, at(index, "kind"), " ", el("b", {}, at(index, "subject"))), at(index, "wanted"), at(index, "actual")]));
  }));
}

function stepsSection(runs) {
  return section("steps", "Steps", runs.map((run) => {
    const steps = run.summary?.steps ?? [];
    if (!steps.length) return note("The scenario has no steps.");
    const longest = Math.max(1, ...steps.map((step) => Number(step.duration_ns) || 0));
    return table([run.letter ? run.letter.toUpperCase() : "", "step", "duration", "", "sent", "replies", "reply"], steps.map((step, index) => {
      const at = (key, unit) => figure(run, "summary.json", ["steps", index, key], unit);
      const bar = el("meter", {min: 0, max: longest, value: Number(step.duration_ns) || 0, title: `of the longest step`});
      const reply = el("details", {}, el("summary", {}, String(step.op)), el("pre", {tabindex: "0"}, JSON.stringify(step.reply, null, 2)));
      return [badge(step.status), el("td", {}, at("name"), step.message ? el("p", {class: "message"}, String(step.message)) : null),
        at("duration_ns", "ns"), bar, at("sent"), at("replies"), reply];
    }));
  }));
}

function auditSection(runs) {
  return section("audit", "Audit log", runs.map((run) => {
    if (!run.audit) return note("No audit log was written: `control: {audit: true}` in the scenario.");
    const at = (...path) => figure(run, "audit.jsonl", path, path.at(-1).endsWith("_ns") ? "ns" : "");
    const rows = ["records", "lost", "boots", "first_time_ns", "last_time_ns"].map((key) => [key.replaceAll("_", " ").replace(" ns", ""), at(key)]);
    const events = Object.keys(run.audit.events).sort().map((name) => [name, at("events", name)]);
    return el("div", {class: "beside"}, table([run.letter ? run.letter.toUpperCase() : "", "of audit.jsonl"], rows, {class: "facts"}),
      table(["event", "records"], events, {class: "facts"}));
  }));
}

/** Names of all metrics that one of the runs has. */
function metricNames(runs) {
  return [...new Set(runs.flatMap((run) => Object.keys(run.metrics?.final ?? {})))].sort();
}

/** B - A and B / A of a metric, with the two that they are made of as their source. */
function comparedCells(runs, name) {
  const values = runs.map((run) => run.metrics?.final?.[name]);
  if (!values.every((value) => typeof value === "number")) return ["–", "–"];
  const [a, b] = runs.map((run) => sourceOf(run, "metrics.json", ["final", name]));
  const difference = values[1] - values[0];
  const sign = difference > 0 ? "+" : "";
  const ratio = values[0] === 0 ? "–" : figureOf(values[1] / values[0], threeDigits(values[1] / values[0]), `${b} / ${a}`, "ratio");
  return [figureOf(difference, sign + valueText(difference, unitOf(name)), `${b} - ${a}`, unitOf(name)), ratio];
}

/** The rows of the table of metrics whose name has `wanted` in it. */
function metricRows(runs, wanted, changed) {
  const rows = [];
  for (const name of metricNames(runs)) {
    if (wanted && !name.includes(wanted)) continue;
    const compared = runs.length > 1 ? comparedCells(runs, name) : [];
    if (changed && runs[0].metrics?.final?.[name] === runs[1]?.metrics?.final?.[name]) continue;
    rows.push(el("tr", {}, [el("code", {}, name), ...runs.map((run) => metricFigure(run, name)), ...compared].map((cell) => el("td", {}, cell))));
  }
  return rows;
}

function metricsSection(runs) {
  if (!runs.some((run) => run.metrics || run.live)) return section("metrics", "Metrics", note(kNotRecorded));
  const input = el("input", {type: "search", placeholder: "filter: part of a name", "aria-label": "Filter metrics"});
  const changed = el("input", {type: "checkbox"});
  const body = el("tbody");
  const count = el("span", {class: "note"});
  const fill = () => {
    const rows = metricRows(runs, input.value.trim(), changed.checked);
    body.replaceChildren(...rows);
    count.textContent = `${rows.length} of ${metricNames(runs).length}`;
  };
  input.addEventListener("input", fill);
  changed.addEventListener("change", fill);
  fill();
  const head = ["metric", ...(runs.length > 1 ? ["A", "B", "B − A", "B / A"] : [runs[0].live ? "now" : "at the end"])];
  const node = section("metrics", "Metrics",
    el("div", {class: "controls"}, input, runs.length > 1 ? el("label", {}, changed, " only what differs") : null, count),
    el("div", {class: "scroll tall", tabindex: "0"}, el("table", {class: "metrics"},
      el("thead", {}, el("tr", {}, head.map((text) => el("th", {scope: "col"}, text)))), body)));
  node.update = (next) => {
    runs = next;
    fill();
  };
  return node;
}

const kNotRecorded = "No metrics were recorded: `observe` in the scenario, or `sisvmm run --observe`.";
