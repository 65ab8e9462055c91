// The rows that the charts show of what the reader has chosen, with their words.
const data = JSON.parse(document.getElementById("data").textContent);
const SHAPES = {
  star: "M0,-1L0.29,-0.31L1,-0.31L0.42,0.13L0.62,0.8L0,0.38L-0.62,0.8L-0.42,0.13L-1,-0.31L-0.29,-0.31Z",
  x: "M-0.9,-0.5L-0.5,-0.9L0,-0.4L0.5,-0.9L0.9,-0.5L0.4,0L0.9,0.5L0.5,0.9L0,0.4L-0.5,0.9L-0.9,0.5L-0.4,0Z",
};
const INK = { colour: "var(--ink)", shape: "circle" };
const LINES = "split(datum.label, ' · ')"; // a panel's heading
const chosen = { models: new Set(), arms: new Set(), measure: 0 };
const $ = (selector, within = document) => [...within.querySelectorAll(selector)];

// Words

const sign = (text) => text.replace("-", "−");
const show = (value, digits) => (value === null ? "–" : sign(value.toFixed(digits)));
const count = (n) => n.toLocaleString("en");

function unitOf(measure) {
  const share = data.measures[measure].unit === "share";
  return share ? { scale: 100, digits: 1, name: "points" } : { scale: 1, digits: 3, name: "nats" };
}

function showInterval(low, high, unit) {
  const ends = [low, high].map((end) => show(end === null ? null : unit.scale * end, unit.digits));
  return `[${ends.join(", ")}]`;
}

function showP(p, holm) {
  const each = [p, holm].map((value) => (value < 0.001 ? "< 0.001" : `= ${value?.toFixed(3)}`));
  return holm === null ? `${each[0]}, exploratory` : `${each[0]}, Holm ${each[1]}`;
}

// Rows

const isChosen = (item) => chosen.models.has(item.model) && chosen.arms.has(item.arm);
const look = (arm) => ({ colour: `var(--arm-${arm})`, shape: shapeOf(data.arms[arm].shape) });
const shapeOf = (name) => SHAPES[name] ?? name;

function place(model) {
  return { panel: data.models[model].label, place: model, model: data.models[model].label };
}

function describe(path, i) {
  const unit = unitOf(path.measure);
  const told = (value) => `${show(value === null ? null : unit.scale * value, unit.digits)} ${unit.name}`;
  return {
    arm: data.arms[path.arm].words,
    rank: path.arm,
    measure: data.measures[path.measure].title,
    row: path.measure,
    at: `step ${count(path.steps[i])}`,
    own: told(path.own[i]),
    change: told(path.change[i]),
    interval: showInterval(path.low[i], path.high[i], unit),
    band: showInterval(path.bandLow[i], path.bandHigh[i], unit),
    items: `${count(path.n)} (${count(path.clusters)})`,
    detectable: told(path.detectable[i]),
    p: showP(path.p[i], i === path.steps.length - 1 ? path.holm : null),
  };
}

function listCurves(measure) {
  const { scale } = unitOf(measure);
  const rows = [];
  const controls = data.controls.filter((c) => c.measure === measure && chosen.models.has(c.model));
  for (const c of controls) {
    const unit = unitOf(measure);
    rows.push({ ...place(c.model), kind: "resume", place_at: data.models[c.model].resume });
    c.steps.forEach((step, i) =>
      rows.push({
        ...place(c.model), ...INK, kind: "control", step, arm: "control",
        measure: data.measures[measure].title, at: `step ${count(step)}`,
        value: scale * c.value[i], low: scale * c.bandLow[i], high: scale * c.bandHigh[i],
        own: `${show(scale * c.value[i], unit.digits)} ${unit.name}`, change: "–",
        interval: showInterval(c.low[i], c.high[i], unit),
        band: showInterval(c.bandLow[i], c.bandHigh[i], unit),
        items: count(c.n), detectable: "–", p: "–",
      }),
    );
  }
  const paths = data.paths.filter((path) => path.measure === measure && isChosen(path));
  for (const path of paths)
    path.steps.forEach((step, i) => {
      const base = path.own[i] - path.change[i];
      rows.push({
        ...place(path.model), ...look(path.arm), ...describe(path, i), kind: "arm", step,
        value: scale * path.own[i], low: scale * (base + path.bandLow[i]),
        high: scale * (base + path.bandHigh[i]),
      });
    });
  if (rows.length && data.measures[measure].unit === "nats") rows.push(...zeros(rows));
  return rows;
}

/** A line of zero in every panel. */
function zeros(rows) {
  const panels = new Map(rows.map((row) => [row.panel, row]));
  return [...panels.values()].map(({ panel, place, model }) => ({
    panel, place, model, kind: "zero", place_at: 0,
  }));
}

/** The last contrast of every chosen path of these measures. */
function listFinals(measures) {
  const wanted = new Set(measures);
  const rows = data.paths
    .filter((path) => wanted.has(path.measure) && isChosen(path) && path.final)
    .map((path) => {
      const i = path.steps.length - 1;
      const { scale } = unitOf(path.measure);
      return {
        ...place(path.model), ...look(path.arm), ...describe(path, i), kind: "arm",
        rate: data.arms[path.arm].rate, parameters: data.models[path.model].parameters,
        value: scale * path.change[i], low: scale * path.low[i], high: scale * path.high[i],
      };
    });
  return rows;
}

function listDoses(measure) {
  const rows = listFinals([measure]);
  const models = new Set(rows.map((row) => row.place));
  const fits = data.slopes.filter((s) => s.measure === measure && models.has(s.model));
  for (const s of fits)
    for (const rate of [0, s.rate])
      rows.push({
        ...place(s.model), colour: s.colour, arm: `fit ${s.family}`, kind: "fit", rate,
        value: rate * s.value, low: rate * s.low, high: rate * s.high,
      });
  for (const model of models)
    rows.push({
      ...place(model), ...INK, kind: "control", rate: 0, value: 0, arm: "control", at: "–", own: "–",
      measure: data.measures[measure].title, change: "0, by definition", interval: "–", band: "–",
      items: "–", detectable: "–", p: "–",
    });
  return [...rows, ...zeros(rows)];
}

function listForest(measures) {
  const rows = listFinals(measures);
  const floors = data.floors.filter(
    (f) => measures.includes(f.measure) && chosen.models.has(f.model),
  );
  for (const f of floors) {
    const unit = unitOf(f.measure);
    rows.push({
      ...place(f.model), ...INK, kind: "arm", arm: "control − released", rank: -1, row: f.measure,
      measure: data.measures[f.measure].title, at: `step ${count(f.step)}`, own: "–",
      value: unit.scale * f.value, low: unit.scale * f.low, high: unit.scale * f.high,
      change: `${show(unit.scale * f.value, unit.digits)} ${unit.name}`,
      interval: showInterval(f.low, f.high, unit), band: "–", detectable: "–",
      items: `${count(f.n)} (${count(f.clusters)})`, p: showP(f.p, null),
    });
  }
  return rows.length ? [...rows, ...zeros(rows)] : rows;
}

