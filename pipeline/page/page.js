// Charts, split, encoders, theme. Data and Vega-Lite specifications lie in the page as JSON; nothing is loaded.
"use strict";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const every = (selector, root = document) => Array.from(root.querySelectorAll(selector));

const page = (() => {
  const data = read("data"), specs = read("specs");
  const select = document.getElementById("split");
  const state = { split: select ? select.value : "", hidden: new Set(), bands: true };
  const views = new Map(); // element -> Vega view
  const compiled = {}; // name of a chart -> its Vega specification, without data
  const tables = { zero: [{ rho: 0 }] };

  // columns -> rows, once for each table
  function rows(name) {
    if (!tables[name]) {
      const columns = data[name] || {}, names = Object.keys(columns);
      const count = names.length ? columns[names[0]].length : 0;
      tables[name] = Array.from({ length: count }, (_, i) => Object.fromEntries(names.map((key) => [key, columns[key][i]])));
    }
    return tables[name];
  }

  const groups = () => every("#encoders input[data-group]").map((box) => box.dataset.group);
  const shown = () => groups().filter((group) => !state.hidden.has(group));
  const signals = () => ({ split: state.split, shown: shown(), bands: state.bands });

  // Charts of one kind are compiled once: the first from Vega-Lite, the others from the Vega that it became.
  function specification(element) {
    const { chart, cell } = element.dataset, vega = compiled[chart];
    const spec = structuredClone(vega || specs[chart]);
    const own = (name) => rows(name).filter((row) => cell === undefined || row.cell === undefined || row.cell === cell).map((row) => ({ ...row }));
    if (vega) for (const table of spec.data) if (table.name in data || table.name === "zero") table.values = own(table.name);
    if (!vega) spec.datasets = Object.fromEntries([...Object.keys(data), "zero"].map((name) => [name, own(name)]));
    const values = { ...signals(), cell };
    for (const one of spec.params || spec.signals || []) if (values[one.name] !== undefined) one.value = values[one.name];
    spec.description = element.getAttribute("aria-label");
    return [vega ? "vega" : "vega-lite", spec];
  }

  async function draw(element) {
    if (views.has(element)) return;
    views.set(element, null);
    const [mode, spec] = specification(element);
    const options = { mode, renderer: "svg", actions: false, ast: true, tooltip: { theme: "custom" } };
    const { view, vgSpec } = await vegaEmbed(element, spec, options);
    if (mode === "vega-lite") compiled[element.dataset.chart] = { ...vgSpec, data: vgSpec.data.map((table) => (table.name in data || table.name === "zero" ? { ...table, values: [] } : table)) };
    views.set(element, view);
    set(view); // what changed meanwhile
  }

  function set(view) {
    const values = signals(), known = view.getState({ signals: (name) => name in values }).signals;
    for (const name of Object.keys(known)) view.signal(name, values[name]);
    view.runAsync();
  }

  function update() {
    for (const view of views.values()) if (view) set(view);
    for (const part of every("[data-split]")) part.hidden = part.dataset.split !== state.split;
    for (const box of every("#encoders input[data-group]")) box.checked = !state.hidden.has(box.dataset.group);
    for (const key of every(".legend button")) key.setAttribute("aria-pressed", String(!state.hidden.has(key.dataset.group)));
    const count = document.getElementById("encoders-count");
    if (count) count.textContent = `${shown().length} of ${groups().length}`;
    document.dispatchEvent(new CustomEvent("split", { detail: state.split }));
  }

  // What is in sight is drawn first; the rest while nothing else is to do, so that a print has all of it.
  function drawAll() {
    const waiting = every(".chart[data-chart]");
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
    }, { rootMargin: "300px" });
    waiting.forEach((element) => seen.observe(element));
    const idle = window.requestIdleCallback || ((callback) => setTimeout(callback, 50));
    const next = async () => {
      const element = waiting.shift();
      if (!element) { document.documentElement.dataset.drawn = "yes"; return; }
      await draw(element);
      idle(next);
    };
    idle(next);
  }

  function theme() {
    const button = document.getElementById("theme"), root = document.documentElement;
    const names = ["auto", "light", "dark"];
    const put = (name) => {
      root.dataset.theme = name;
      button.textContent = `◐ ${name}`;
      button.setAttribute("aria-label", `Theme: ${name}`);
      try { localStorage.setItem("drillcore-theme", name); } catch { /* a file without storage */ }
    };
    let saved = null;
    try { saved = localStorage.getItem("drillcore-theme"); } catch { /* the same */ }
    put(names.includes(saved) ? saved : "auto");
    button.addEventListener("click", () => put(names[(names.indexOf(root.dataset.theme) + 1) % names.length]));
  }

  theme();
  if (select) select.addEventListener("change", () => { state.split = select.value; update(); });
  const show = (group, yes) => state.hidden[yes ? "delete" : "add"](group);
  for (const box of every("#encoders input[data-group]")) {
    box.addEventListener("change", () => { show(box.dataset.group, box.checked); update(); });
  }
  for (const key of every(".legend button")) {
    key.addEventListener("click", () => { show(key.dataset.group, state.hidden.has(key.dataset.group)); update(); });
  }
  for (const button of every("#encoders button")) {
    button.addEventListener("click", () => {
      for (const box of every("#encoders input[data-group]")) {
        show(box.dataset.group, button.value === "all" || (button.value === "models" && box.dataset.layered === "yes"));
      }
      update();
    });
  }
  const bands = document.getElementById("bands");
  if (bands) bands.addEventListener("change", () => { state.bands = bands.checked; update(); });
  document.addEventListener("keydown", (event) => {
    const panel = document.getElementById("encoders");
    if (event.key === "Escape" && panel && panel.open) { panel.open = false; panel.querySelector("summary").focus(); }
  });
  window.addEventListener("beforeprint", () => every("details.print").forEach((part) => { part.open = true; }));
  update();
  drawAll();
  return { state, views };
})();
