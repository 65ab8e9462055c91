// What the reader chooses decides what the charts and the table of items show.

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
  const labels = wide < 600 ? 120 : 200; // pixels of the words beside dots and intervals
  const beside = figure.chart === "forest" ? labels + 20 : 60;
  if (spec.facet) {
    const own = figure.chart === "published"; // there, each panel has its own axes
    const [least, apart] = own ? [290, 70] : [230, 24];
    const columns = Math.max(1, Math.min(panels, Math.floor((wide - beside) / least), 5));
    spec.columns = columns;
    spec.spec.width = Math.max(110, Math.min(540, (wide - beside) / columns - apart));
  } else spec.width = Math.max(180, Math.min(640, wide - 70));
  const unit = figure.chart === "published" ? "" : unitOf(figure.measures[0] ?? chosen.measure).name;
  element.dataset.rows = rows.length;
  const empty = !rows.some((row) => row.kind === "arm" || row.kind === "control");
  element.classList.toggle("empty", empty);
  if (empty) {
    element.textContent = "Nothing of this was scored for what is chosen above.";
    return;
  }
  if (spec.facet) spec.facet.header = { labelLimit: spec.spec.width, labelExpr: LINES };
  const kinds = new Set(rows.map((row) => row.kind));
  const panel = spec.spec ?? spec;
  panel.layer = panel.layer.filter((layer) => !layer.name || kinds.has(layer.name));
  if (figure.chart === "forest") panel.encoding.y.axis.labelLimit = labels;
  entitle(panel, unit);
  const drawn = await vegaEmbed(element, spec, {
    mode: "vega-lite", renderer: "svg", actions: false, config: data.config,
    tooltip: { theme: "report" },
  });
  element.finish?.();
  element.finish = () => drawn.finalize();
}

/** Name the unit on the axis of values. */
function entitle(panel, unit) {
  for (const layer of panel.layer)
    for (const channel of ["x", "y"]) {
      const encoding = layer.encoding?.[channel];
      if (encoding?.field === "value" || encoding?.field === "low")
        encoding.title = [encoding.title, unit].filter(Boolean).join(", ") || null;
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
  sheet?.draw();
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

let sheet; // DataTables

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
  sheet = new DataTable(table, {
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
