// What the reader chooses decides which rows the charts and the table of items show.
const data = JSON.parse(document.getElementById("data").textContent);
const SHAPES = {
  star: "M0,-1L0.29,-0.31L1,-0.31L0.42,0.13L0.62,0.8L0,0.38L-0.62,0.8L-0.42,0.13L-1,-0.31L-0.29,-0.31Z",
  x: "M-0.9,-0.5L-0.5,-0.9L0,-0.4L0.5,-0.9L0.9,-0.5L0.4,0L0.9,0.5L0.5,0.9L0,0.4L-0.5,0.9L-0.9,0.5L-0.4,0Z",
};
const INK = { colour: "var(--ink)", shape: "circle" };
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

// Charts

const SOURCES = {
  curves: (figure) => listCurves(figure.measures[0] ?? chosen.measure),
  doses: () => listDoses(chosen.measure),
  sizes: () => [...listFinals([chosen.measure]), { kind: "zero", place_at: 0 }],
  forest: (figure) => listForest(figure.measures),
  published: () => data.published.map((row) => ({ ...row, shape: shapeOf(row.shape) })),
};

async function draw(element) {
  const figure = data.figures[element.id];
  const rows = SOURCES[figure.chart](figure);
  const spec = structuredClone(data.charts[figure.chart]);
  spec.data = { values: rows };
  const panels = new Set(rows.map((row) => row.panel)).size || 1;
  const wide = element.clientWidth;
  const beside = figure.chart === "forest" ? 250 : 60;
  if (spec.facet) {
    const columns = Math.max(1, Math.min(panels, Math.floor((wide - beside) / 210), 5));
    spec.columns = columns;
    spec.spec.width = Math.max(110, Math.min(540, (wide - beside) / columns - 24));
  } else spec.width = Math.max(180, Math.min(640, wide - 70));
  const unit = rows.length ? unitOf(figure.measures[0] ?? chosen.measure).name : "";
  element.dataset.rows = rows.length;
  const empty = !rows.some((row) => row.kind === "arm" || row.kind === "control");
  element.classList.toggle("empty", empty);
  if (empty) {
    element.textContent = "Nothing of this was scored for what is chosen above.";
    return;
  }
  entitle(spec, unit);
  const drawn = await vegaEmbed(element, spec, {
    mode: "vega-lite", renderer: "svg", actions: false, config: data.config,
    tooltip: { theme: "report" },
  });
  element.finish?.();
  element.finish = () => drawn.finalize();
}

/** Name the unit on the axis of values. */
function entitle(spec, unit) {
  for (const layer of (spec.spec ?? spec).layer)
    for (const channel of ["x", "y"]) {
      const encoding = layer.encoding?.[channel];
      if (encoding?.field === "value" || encoding?.field === "low")
        encoding.title = encoding.title ? `${encoding.title}, ${unit}` : unit;
    }
}

const seen = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      target.near = isIntersecting;
      if (isIntersecting && target.stale) refresh(target);
    }
  },
  { rootMargin: "400px" },
);

function refresh(element) {
  element.stale = !element.near;
  if (element.near) draw(element);
}

function redraw() {
  for (const element of $(".chart")) refresh(element);
}

// Choices

function choose() {
  for (const kind of ["models", "arms"])
    chosen[kind] = new Set(
      $(`input[name=${kind}]:checked`).map((input) => Number(input.value)),
    );
  const select = document.getElementById("measure");
  chosen.measure = Number(select?.value ?? 0);
  for (const element of $(".measured"))
    element.textContent = data.measures[chosen.measure]?.title ?? "";
  redraw();
  window.items?.draw();
}

for (const input of $("#choices input, #choices select")) input.addEventListener("change", choose);
for (const button of $("#choices button"))
  button.addEventListener("click", () => {
    for (const input of $("input", button.closest("fieldset")))
      input.checked = button.dataset.all === "yes";
    choose();
  });

/** Links stop below what stays in sight; a narrow page starts with the choices folded. */
function settle() {
  const bar = document.getElementById("choices");
  document.documentElement.style.scrollPaddingTop = `${bar.offsetHeight + 12}px`;
}

document.getElementById("choices").open = innerWidth > 700;
document.getElementById("choices").addEventListener("toggle", settle);

// The table of items

function listItems() {
  const { model, arm, task, item, after, shift } = data.items;
  return model.map((_, i) => ({
    model: model[i], arm: arm[i], task: data.items.tasks[task[i]],
    item: data.items.names[item[i]], outcome: after[i] ? "0 → 1" : "1 → 0", shift: shift[i],
    text: data.items.texts[task[i]]?.[item[i]] ?? "",
  }));
}

function tabulate() {
  const table = document.getElementById("items");
  if (!table) return;
  const text = DataTable.render.text();
  const named = (list, field) => (index, type) =>
    type === "sort" ? index : text.display(list[index][field]);
  DataTable.ext.search.push((settings, _, i, row) => settings.nTable !== table || isChosen(row));
  window.items = new DataTable(table, {
    data: listItems(),
    deferRender: true,
    autoWidth: false,
    pageLength: 10,
    order: [],
    columns: [
      { data: "model", render: named(data.models, "label") },
      { data: "arm", render: named(data.arms, "words") },
      { data: "task", render: text },
      { data: "item", render: text },
      { data: "outcome" },
      {
        data: "shift", className: "number",
        render: (value, type) => (type === "display" ? show(value, 3) : (value ?? -Infinity)),
      },
      { data: "text", className: "sentences", render: text },
    ],
    columnControl: [{ target: 1, content: ["search"] }],
    layout: { topStart: "pageLength", topEnd: "search" },
  });
}

// Lineage: a link opens what it leads to.

function open() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  target.scrollIntoView({ block: "start" });
}

window.addEventListener("hashchange", open);
window.addEventListener("resize", () => {
  clearTimeout(window.resized);
  window.resized = setTimeout(() => (settle(), redraw()), 150);
});
for (const button of $("button.copy"))
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "copied";
  });
for (const element of $(".chart")) {
  element.stale = true;
  seen.observe(element);
}
const dark = matchMedia("(prefers-color-scheme: dark)");
const shade = () => document.documentElement.classList.toggle("dark", dark.matches); // DataTables
dark.addEventListener("change", shade);
shade();
settle();
tabulate();
choose();
open();
