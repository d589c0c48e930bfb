// Puts the page together: of one run, of two that are compared, or of a machine that runs.

const kLookEveryMs = 1000;

/** The runs of the data object, each with its letter if there are two. */
function runsOf(data) {
  const letters = data.runs.length > 1 ? ["a", "b"] : [""];
  return data.runs.map((run, index) => ({...run, live: data.live, letter: letters[index], notes: run.notes ?? []}));
}

/** Sections that are made anew when the data changes, and such that keep what the user did in them. */
function sectionsOf(runs) {
  const made = [outcomeSection, environmentSection, expectationsSection, stepsSection, timelineSection, plotsSection, histogramsSection,
    auditSection, metricsSection, scenarioSection];
  const ofMachine = new Set([expectationsSection, stepsSection, timelineSection, auditSection]);
  return made.filter((make) => !runs[0].live || !ofMachine.has(make)).map((make) => {
    const node = make(runs);
    if (!node.update && (make === outcomeSection || make === environmentSection)) {
      node.update = (next) => node.replaceChildren(...make(next).childNodes);
    }
    return node;
  });
}

function titleOf(runs) {
  const name = (run) => String(run.summary?.machine ?? run.folder);
  return runs.length > 1 ? `${name(runs[0])} and ${name(runs[1])}` : name(runs[0]);
}

function descriptionOf(runs) {
  const said = [...new Set(runs.map((run) => run.summary?.scenario).filter(Boolean).map(String))];
  return said.length ? `scenario ${said.join(", ")}` : "";
}

function show(data) {
  const runs = runsOf(data);
  const sections = sectionsOf(runs);
  document.title = `${titleOf(runs)} – ${data.live ? "live" : "report"}`;
  document.body.replaceChildren(
    el("header", {}, el("h1", {}, titleOf(runs), data.live ? el("span", {class: "badge running", id: "state", role: "status"}, "live") : null), el("p", {class: "note"}, descriptionOf(runs)),
      el("nav", {"aria-label": "Sections"}, sections.map((node) => el("a", {href: `#${node.id}`}, node.querySelector("h2").textContent)))),
    el("main", {}, sections),
    el("footer", {class: "note"}, "Each figure tells in its title which file it is from, and where in it (JSON Pointer). Data object: sis-report, version 1."));
  sections.forEach((node) => node.draw?.());
  // Canvases have the colours that they were drawn with.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show(data), {once: true});
  return sections;
}

/** Follows a machine that runs: asks the server that the page came from, and no other. */
function follow(sections) {
  const state = document.getElementById("state");
  const look = async () => {
    try {
      const response = await fetch("data.json", {cache: "no-store"});
      if (!response.ok) throw new Error(`status ${response.status}`);
      const runs = runsOf(await response.json());
      sections.forEach((node) => node.update?.(runs));
      const ended = runs[0].summary?.outcome !== "running";
      state.textContent = ended ? String(runs[0].summary?.outcome) : "live";
      state.className = `badge ${ended ? "unknown" : "running"}`;
    } catch (error) {
      state.textContent = "no answer: these are the last figures";
      state.className = "badge error";
    }
    setTimeout(look, document.hidden ? 5 * kLookEveryMs : kLookEveryMs);
  };
  setTimeout(look, kLookEveryMs);
}

function begin() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const sections = show(data);
  if (data.live) follow(sections);
}

begin();
