// Charts, split, encoders, theme. Data and Vega-Lite specifications lie in the page as JSON; nothing is loaded.
"use strict";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const every = (selector, root = document) => Array.from(root.querySelectorAll(selector));

const page = (() => {
  const data = read("data"), specs = read("specs");
  const select = document.getElementById("split");
  const state = { split: select ? select.value : "", hidden: new Set(), bands: true };
  const views = new Map(); // element -> Vega view
  const compiled = {}; // name of a chart -> Vega specification
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

  const groups = () => every("#encoders input").map((box) => box.dataset.group);
  const shown = () => groups().filter((group) => !state.hidden.has(group));
  const signals = () => ({ split: state.split, shown: shown(), bands: state.bands });

  function specification(element) {
    const { chart, cell } = element.dataset;
    compiled[chart] ||= vegaLite.compile(specs[chart]).spec;
    const spec = structuredClone(compiled[chart]);
    for (const table of spec.data) {
      if (table.name in data || table.name === "zero") {
        const all = rows(table.name);
        table.values = all.filter((row) => cell === undefined || row.cell === undefined || row.cell === cell).map((row) => ({ ...row }));
      }
    }
    const values = { ...signals(), cell };
    for (const signal of spec.signals || []) if (values[signal.name] !== undefined) signal.value = values[signal.name];
    spec.description = element.getAttribute("aria-label");
    return spec;
  }

  async function draw(element) {
    if (views.has(element)) return;
    views.set(element, null);
    const options = { mode: "vega", renderer: "svg", actions: false, ast: true, tooltip: { theme: "custom" } };
    const { view } = await vegaEmbed(element, specification(element), options);
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
      button.textContent = `Theme: ${name}`;
      try { localStorage.setItem("drillcore-theme", name); } catch { /* a file without storage */ }
    };
    let saved = null;
    try { saved = localStorage.getItem("drillcore-theme"); } catch { /* the same */ }
    put(names.includes(saved) ? saved : "auto");
    button.addEventListener("click", () => put(names[(names.indexOf(root.dataset.theme) + 1) % names.length]));
  }

  theme();
  if (select) select.addEventListener("change", () => { state.split = select.value; update(); });
  for (const box of every("#encoders input")) {
    box.addEventListener("change", () => { state.hidden[box.checked ? "delete" : "add"](box.dataset.group); update(); });
  }
  for (const button of every("#encoders button")) {
    button.addEventListener("click", () => {
      for (const box of every("#encoders input")) {
        box.checked = button.value === "all" || (button.value === "models" && box.dataset.layered === "yes");
        state.hidden[box.checked ? "delete" : "add"](box.dataset.group);
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
