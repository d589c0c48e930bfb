// How a timeline is drawn.

/** The same name has the same colour everywhere. */
function colourIndex(name) {
  let hash = 0;
  for (const c of String(name)) hash = (hash * 31 + c.codePointAt(0)) >>> 0;
  return hash % 8;
}

function paletteOf() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  return {series: [0, 1, 2, 3, 4, 5, 6, 7].map((index) => colour(`--series-${index}`)), line: colour("--line"), ink: colour("--ink"), soft: colour("--soft"), idle: colour("--idle"), paper: colour("--paper")};
}

/** A step between marks of the axis: 1, 2 or 5 times a power of ten. */
function niceStep(span, marks) {
  const rough = span / marks;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
}

function drawAxis(view, context, palette) {
  const step = niceStep(view.to - view.from, Math.max(2, (view.width - view.left) / 90));
  context.fillStyle = palette.soft;
  context.strokeStyle = palette.line;
  context.lineWidth = 0.5;
  for (let mark = Math.ceil(view.from / step) * step; mark <= view.to; mark += step) {
    const x = view.x(mark);
    context.beginPath();
    context.moveTo(x, 16);
    context.lineTo(x, view.height);
    context.stroke();
    context.fillText(duration(Math.round(mark * 1000)), x + 3, 11);
  }
}

/** Slices of a lane; such that are less than a pixel apart are one. */
function drawSlices(view, context, palette, lane) {
  const ends = [];
  for (const slice of lane.slices) {
    if (slice.end < view.from || slice.begin > view.to) continue;
    const begin = Math.max(view.left, view.x(slice.begin));
    const end = Math.min(view.width, Math.max(view.x(slice.end), begin + 1));
    if (end <= (ends[slice.row] ?? -1) + 0.5) continue;
    ends[slice.row] = end;
    const name = slice.event.name;
    context.fillStyle = /^idle/.test(String(name)) ? palette.idle : palette.series[colourIndex(name)];
    const top = lane.y + slice.row * kRow;
    context.fillRect(begin, top, end - begin, kRow - 2);
    if (end - begin < 34) continue;
    context.save();
    context.beginPath();
    context.rect(begin, top, end - begin - 2, kRow);
    context.clip();
    context.fillStyle = /^idle/.test(String(name)) ? palette.soft : palette.paper;
    context.fillText(shortText(name), begin + 3, top + 11);
    context.restore();
  }
}

function drawValues(view, context, palette, lane) {
  if (!lane.values.length) return;
  const bottom = lane.y + kRow - 2;
  const y = (value) => bottom - value / lane.most * (kRow - 3);
  context.fillStyle = palette.series[colourIndex(lane.name)];
  lane.values.forEach(([time, value], index) => {
    const end = lane.values[index + 1]?.[0] ?? view.lanes.end;
    if (end < view.from || time > view.to || value <= 0) return;
    const from = Math.max(view.left, view.x(time));
    context.fillRect(from, y(value), Math.max(0.5, Math.min(view.width, view.x(end)) - from), bottom - y(value));
  });
}

function drawMarks(view, context, palette, lane) {
  context.fillStyle = palette.ink;
  let last = -1;
  for (const mark of lane.marks) {
    const x = view.x(mark.ts);
    if (x < view.left || x > view.width || x < last + 1) continue;
    last = x;
    context.fillRect(x, lane.y, 1, kRow - 2);
  }
}

function drawFlows(view, context, palette) {
  context.strokeStyle = palette.soft;
  context.lineWidth = 1;
  for (const points of view.lanes.flows.values()) {
    for (let index = 1; index < points.length; ++index) {
      const [a, b] = [points[index - 1], points[index]];
      if (b.at < view.from || a.at > view.to) continue;
      const [x1, y1, x2, y2] = [view.x(a.at), a.lane.y + kRow / 2, view.x(b.at), b.lane.y + kRow / 2];
      const bend = Math.max(8, Math.min(60, (x2 - x1) / 2));
      context.beginPath();
      context.moveTo(x1, y1);
      context.bezierCurveTo(x1 + bend, y1, x2 - bend, y2, x2, y2);
      context.stroke();
    }
  }
}

function drawNames(view, context, palette) {
  context.clearRect(0, 20, view.left, view.height);
  for (const [name, y] of view.heads) {
    context.fillStyle = palette.ink;
    context.font = "600 11px system-ui, sans-serif";
    context.fillText(name, 0, y + 13);
  }
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = palette.soft;
  for (const group of view.lanes.groups.values()) {
    for (const lane of group.lanes.values()) {
      if (!lane.slices.length && !lane.marks.length && !lane.values.length) continue;
      const most = Math.floor(view.left / 6.2);
      context.fillText(shortText(lane.name, most - 1), 4, lane.y + 11);
    }
  }
}

function drawTimeline(view, context) {
  const palette = paletteOf();
  context.font = "11px system-ui, sans-serif";
  drawAxis(view, context, palette);
  context.save();
  context.beginPath();
  context.rect(view.left, 0, view.width - view.left, view.height);
  context.clip();
  for (const group of view.lanes.groups.values()) {
    for (const lane of group.lanes.values()) {
      drawSlices(view, context, palette, lane);
      drawValues(view, context, palette, lane);
      drawMarks(view, context, palette, lane);
    }
  }
  drawFlows(view, context, palette);
  context.restore();
  drawNames(view, context, palette);
}
