// The timeline: lanes of slices, on a canvas. Events are those of the Chrome trace-event format ("Trace Event Format",
// sections Duration, Complete, Async, Counter, Instant and Flow Events); times are in microseconds.

const kRow = 16;
const kLaneGap = 4;
const kGroupHead = 18;
const kMaxRows = 6;
const kMinSpanUs = 0.05;

/** Text of a lane or slice, bounded: it may come from a guest. */
function shortText(value, most = 60) {
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? "";
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

/** Sorts events into groups (pid), lanes (tid, or the names of counters) and rows (nesting, or what overlaps). */
class Lanes {
  /** Of events behind which others were left out, what had begun goes on to the last one: when it ended is not known here. */
  constructor(events, cut) {
    this.groups = new Map();
    this.flows = new Map();
    this.open = new Map();
    this.begin = Infinity;
    this.end = -Infinity;
    const timed = events.filter((event) => event && typeof event === "object" && event.ph !== "M" && Number.isFinite(event.ts));
    timed.sort((a, b) => a.ts - b.ts);
    this.limit = cut && timed.length ? timed.at(-1).ts : Infinity;
    for (const event of timed) this.take(event);
    for (const slices of this.open.values()) slices.forEach((slice) => { slice.end = this.end; });
    for (const event of events) if (event?.ph === "M") this.name(event);
  }

  lane(event, key) {
    const group = this.groups.get(event.pid) ?? this.groups.set(event.pid, {pid: event.pid, name: `process ${shortText(event.pid)}`, lanes: new Map()}).get(event.pid);
    return group.lanes.get(key) ?? group.lanes.set(key, {name: shortText(key), slices: [], marks: [], values: [], ends: [], rows: 1}).get(key);
  }

  name(event) {
    const group = this.groups.get(event.pid);
    if (!group || typeof event.args?.name !== "string") return;
    if (event.ph === "M" && event.name === "process_name") group.name = shortText(event.args.name);
    const lane = event.name === "thread_name" ? group.lanes.get(`t${event.tid}`) : undefined;
    if (lane) lane.name = shortText(event.args.name);
  }

  seen(from, to) {
    this.begin = Math.min(this.begin, from);
    this.end = Math.max(this.end, to);
  }

  take(event) {
    const end = Math.min(event.ts + (event.ph === "X" && event.dur >= 0 ? Number(event.dur) : 0), this.limit);
    this.seen(event.ts, end);
    if (event.ph === "X") this.add(this.lane(event, `t${event.tid}`), event, end);
    else if (event.ph === "B") this.opened(`B${event.pid}/${event.tid}`, this.add(this.lane(event, `t${event.tid}`), event, Infinity));
    else if (event.ph === "E") this.closed(`B${event.pid}/${event.tid}`, event.ts);
    else if (event.ph === "b") this.opened(`b${event.pid}/${event.cat}/${event.id}`, this.add(this.lane(event, shortText(event.cat ?? "requests")), event, Infinity));
    else if (event.ph === "e") this.closed(`b${event.pid}/${event.cat}/${event.id}`, event.ts);
    else if (event.ph === "i" || event.ph === "I" || event.ph === "n") this.lane(event, event.ph === "n" ? shortText(event.cat ?? "requests") : `t${event.tid}`).marks.push(event);
    else if (event.ph === "C") this.counter(event);
    else if (event.ph === "s" || event.ph === "t" || event.ph === "f") this.flow(event);
  }

  /** Puts a slice into the first row that is free; what finds none is in the last. A sum of times is exact to less than 1 ns. */
  add(lane, event, end) {
    let row = lane.ends.findIndex((free) => free <= event.ts + 0.0005);
    if (row < 0) row = Math.min(lane.ends.length, kMaxRows - 1);
    lane.ends[row] = end;
    lane.rows = Math.max(lane.rows, row + 1);
    const slice = {event, begin: event.ts, end, row, lane};
    lane.slices.push(slice);
    return slice;
  }

  opened(key, slice) {
    (this.open.get(key) ?? this.open.set(key, []).get(key)).push(slice);
  }

  closed(key, at) {
    const slice = this.open.get(key)?.pop();
    if (!slice) return;
    slice.end = at;
    slice.lane.ends[slice.row] = at;
  }

  counter(event) {
    const value = Object.values(event.args ?? {}).find((each) => typeof each === "number");
    if (value === undefined) return;
    const lane = this.lane(event, shortText(event.name));
    lane.values.push([event.ts, value]);
  }

  flow(event) {
    const key = `${event.cat}/${event.id}`;
    const lane = this.lane(event, `t${event.tid}`);
    (this.flows.get(key) ?? this.flows.set(key, []).get(key)).push({at: event.ts, lane});
  }
}

/** The picture and what the user does with it. */
class Timeline {
  constructor(lanes) {
    this.lanes = lanes;
    this.canvas = el("canvas", {class: "timeline", tabindex: "0", role: "img", "aria-label": "timeline; arrow keys move, plus and minus zoom"});
    this.tip = el("p", {class: "note tip"}, "Drag to move; buttons, Ctrl and wheel, or two fingers to zoom; touch a slice to see what it is.");
    this.pointers = new Map();
    this.all();
    this.place();
    this.listen();
  }

  all() {
    const margin = Math.max((this.lanes.end - this.lanes.begin) * 0.01, kMinSpanUs);
    [this.from, this.to] = [this.lanes.begin - margin, this.lanes.end + margin];
  }

  /** Where each lane is, from the top. */
  place() {
    let y = 22;
    this.heads = [];
    for (const group of [...this.lanes.groups.values()].sort((a, b) => Number(a.pid) - Number(b.pid))) {
      this.heads.push([group.name, y]);
      y += kGroupHead;
      for (const lane of group.lanes.values()) {
        lane.y = y;
        lane.most = Math.max(1, ...lane.values.map(([, value]) => value));
        if (lane.slices.length || lane.marks.length || lane.values.length) y += lane.rows * kRow + kLaneGap;
      }
    }
    this.height = y + 4;
  }

  x(time) {
    return this.left + (time - this.from) / (this.to - this.from) * (this.width - this.left);
  }

  zoom(factor, x = (this.left + this.width) / 2) {
    const at = this.from + (x - this.left) / (this.width - this.left) * (this.to - this.from);
    const span = Math.min(Math.max((this.to - this.from) * factor, kMinSpanUs), (this.lanes.end - this.lanes.begin) * 1.1 + kMinSpanUs);
    this.from = at - (at - this.from) / (this.to - this.from) * span;
    this.to = this.from + span;
    this.draw();
  }

  move(pixels) {
    const by = pixels / (this.width - this.left) * (this.to - this.from);
    const span = this.to - this.from;
    this.from = Math.min(Math.max(this.from - by, this.lanes.begin - span * 0.9), this.lanes.end - span * 0.1);
    this.to = this.from + span;
    this.draw();
  }

  listen() {
    const canvas = this.canvas;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, event.offsetX);
      this.tell(event.offsetX, event.offsetY);
    });
    canvas.addEventListener("pointermove", (event) => this.dragged(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.25 : 0.8, event.offsetX);
    }, {passive: false});
    canvas.addEventListener("keydown", (event) => {
      const act = {ArrowLeft: () => this.move(60), ArrowRight: () => this.move(-60), "+": () => this.zoom(0.6), "-": () => this.zoom(1 / 0.6)}[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  dragged(event) {
    const before = this.pointers.get(event.pointerId);
    if (before === undefined) {
      this.tell(event.offsetX, event.offsetY);
      return;
    }
    const others = [...this.pointers.entries()].filter(([id]) => id !== event.pointerId);
    this.pointers.set(event.pointerId, event.offsetX);
    if (!others.length) {
      this.move(event.offsetX - before);
    } else {
      const anchor = others[0][1];
      const [was, now] = [Math.abs(before - anchor), Math.abs(event.offsetX - anchor)];
      if (was > 4 && now > 4) this.zoom(was / now, anchor);
    }
  }

  /** What is under the pointer, in words. */
  tell(x, y) {
    let best = null;
    for (const group of this.lanes.groups.values()) {
      for (const lane of group.lanes.values()) {
        if (y < lane.y || y >= lane.y + lane.rows * kRow) continue;
        for (const slice of lane.slices) {
          const top = lane.y + slice.row * kRow;
          if (y < top || y >= top + kRow || x < this.x(slice.begin) - 1 || x > this.x(slice.end) + 1) continue;
          if (!best || slice.end - slice.begin < best.end - best.begin) best = slice;
        }
      }
    }
    if (!best) return;
    const args = best.event.args && Object.keys(best.event.args).length ? ` ${shortText(JSON.stringify(best.event.args), 300)}` : "";
    this.tip.textContent = `${shortText(best.event.name)}, ${best.lane.name}: ${duration((best.end - best.begin) * 1000)} from ${grouped(best.begin)} us on${args}`;
  }

  draw() {
    const canvas = this.canvas;
    if (!canvas.isConnected || !canvas.clientWidth) return;
    const scale = window.devicePixelRatio || 1;
    this.width = canvas.clientWidth;
    this.left = this.width < 600 ? 70 : 130;
    canvas.style.height = `${this.height}px`;
    canvas.width = Math.round(this.width * scale);
    canvas.height = Math.round(this.height * scale);
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    drawTimeline(this, context);
  }
}

function timelineSection(runs) {
  const made = [];
  const node = section("timeline", "Timeline", runs.map((run) => {
    const letter = run.letter ? `${run.letter.toUpperCase()}: ` : "";
    if (!run.trace) return note(`${letter}No trace was recorded: \`observe\` in the scenario, or \`sisvmm run --observe\`.`);
    const lanes = new Lanes(run.trace.traceEvents, run.trace.left_out > 0);
    if (!(lanes.end >= lanes.begin)) return note(`${letter}The trace has no event with a time.`);
    const timeline = new Timeline(lanes);
    made.push(timeline);
    const button = (text, label, act) => el("button", {type: "button", "aria-label": label, on: {click: act}}, text);
    const total = figure(run, "trace.json", ["events_total"]);
    const left = run.trace.left_out > 0 ? el("span", {}, `; the first are drawn, `, figure(run, "trace.json", ["left_out"]), " are left out: trace.json opens in Perfetto") : null;
    return el("div", {}, el("div", {class: "controls"}, button("+", "zoom in", () => timeline.zoom(0.5)), button("−", "zoom out", () => timeline.zoom(2)),
      button("all", "show all", () => { timeline.all(); timeline.draw(); }), el("span", {class: "note"}, letter, total, " events", left)),
      el("div", {class: "frame tall"}, timeline.canvas), timeline.tip);
  }));
  node.draw = () => made.forEach((timeline) => timeline.draw());
  return node;
}
