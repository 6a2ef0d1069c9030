// The browser of pairs. Scores come as whole steps of a power of ten (base64, 16 bits), and only what is on the screen
// is made into elements. Pairs are compared by rank within their split, since the scales of encoders differ.
"use strict";

(() => {
  const source = document.getElementById("pairs-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const PAGE = 20, NOBODY = 2 ** 32 - 1;
  const field = (name) => document.getElementById(`pairs-${name}`);

  const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
  const splitOf = new Uint8Array(bytes(data.split));
  const first = new Uint32Array(bytes(data.first)), second = new Uint32Array(bytes(data.second));
  const neighbours = new Uint32Array(bytes(data.neighbours));
  const members = data.splits.map(() => []);
  splitOf.forEach((split, pair) => members[split].push(pair));
  const lower = data.sentences.map((text) => text.toLowerCase());

  // scores and ranks
  const steps = (column) => (column.values ||= new Uint16Array(bytes(column.steps)));
  const score = (column, pair) => {
    const value = (column.offset + steps(column)[pair]) / 10 ** column.decimals;
    return value.toFixed(Math.max(0, column.decimals));
  };

  // (P,) values -> the share of the split below each pair, half of its ties included: 0 least, 1 most
  function shares(values) {
    const found = new Float32Array(values.length);
    for (const group of members) {
      const order = Float64Array.from(group, (pair, i) => values[pair] * 65536 + i).sort();
      for (let start = 0, end = 0; start < order.length; start = end) {
        const value = Math.floor(order[start] / 65536);
        while (end < order.length && Math.floor(order[end] / 65536) === value) end += 1;
        const share = order.length > 1 ? (start + end - 1) / 2 / (order.length - 1) : 0.5;
        for (let i = start; i < end; i += 1) found[group[order[i] % 65536]] = share;
      }
    }
    return found;
  }
  const shareOf = (place) => (data.scored[place].shares ||= shares(steps(data.scored[place])));
  const rank = (place, pair) => { // 1: the most alike; of equals the first
    const values = steps(data.scored[place]), group = members[splitOf[pair]];
    return 1 + group.reduce((count, other) => count + (values[other] > values[pair]), 0);
  };
  const distinct = [...new Set(data.labels)].sort((a, b) => a - b);
  const binary = distinct.length <= 2;
  const labelShares = shares(data.labels.map((label) => distinct.indexOf(label)));
  const negatives = members.map((group) => group.filter((pair) => data.labels[pair] === distinct[0]).length / group.length);

  // how wrong and how certain an order of the pairs is about one of them
  const error = (place, pair) => {
    const share = shareOf(place)[pair];
    if (!binary) return Math.abs(share - labelShares[pair]);
    return data.labels[pair] === distinct[0] ? share : 1 - share;
  };
  const certainty = (place, pair) => Math.abs(shareOf(place)[pair] - (binary ? negatives[splitOf[pair]] : 0.5));
  const change = (a, b, pair) => shareOf(b)[pair] - shareOf(a)[pair];
  const ORDERS = {
    error: (pair) => error(state.a, pair),
    certain: (pair) => certainty(state.a, pair),
    change: (pair) => Math.abs(change(state.a, state.b, pair)),
    score: (pair) => shareOf(state.a)[pair],
    data: (pair) => -pair,
  };

  // choices
  const state = { a: data.shown, b: data.shown, page: 0, found: [] };
  const option = (value, text) => Object.assign(document.createElement("option"), { value, textContent: text });
  const series = [...new Set(data.scored.map((one) => one.series))];
  const placesOf = (name) => data.scored.flatMap((one, place) => (one.series === name ? [place] : []));

  function fillLayers(side) {
    const layers = field(`layer-${side}`), places = placesOf(field(side).value);
    layers.replaceChildren(...places.map((place) => {
      const { layer, selected } = data.scored[place];
      return option(place, layer === "" ? "no layers" : `layer ${layer}${selected && places.length > 1 ? " (chosen)" : ""}`);
    }));
    layers.disabled = places.length < 2;
  }
  function choose(side, place) {
    field(side).value = data.scored[place].series;
    fillLayers(side);
    field(`layer-${side}`).value = place;
    state[side] = place;
  }
  function start() {
    for (const side of ["a", "b"]) {
      field(side).replaceChildren(...series.map((name) => option(name, name)));
      field(side).addEventListener("change", () => {
        const places = placesOf(field(side).value);
        choose(side, places.find((place) => data.scored[place].selected) ?? places[0]);
        field("preset").value = "";
        search();
      });
      field(`layer-${side}`).addEventListener("change", () => { state[side] = Number(field(`layer-${side}`).value); field("preset").value = ""; search(); });
    }
    field("split").replaceChildren(option("", "all splits"), ...data.splits.map((name, i) => option(i, `${name} (${members[i].length.toLocaleString("en")})`)));
    field("split").value = String(data.main);
    const thirds = distinct.length > 12;
    const labels = thirds ? [] : distinct.map((label, i) => option(i, `label ${label}`));
    field("label").replaceChildren(option("", "all labels"), ...labels);
    field("label").disabled = thirds;
    field("preset").replaceChildren(option("", "own choice"), ...data.comparisons.map((one, i) => option(i, one.label)));
    field("preset").addEventListener("change", () => {
      const one = data.comparisons[field("preset").value];
      if (!one) return;
      choose("a", one.a);
      choose("b", one.b);
      field("sort").value = "change";
      search();
    });
    field("shade").replaceChildren(option("", "nothing"), ...data.weights.map((one, i) => option(i, `attention of ${one.encoder}, layer ${one.layer}`)));
    field("shade").parentElement.hidden = !data.weights.length;
    const own = data.weights.findIndex((one) => one.encoder === data.scored[data.shown]?.encoder);
    if (data.weights.length) field("shade").value = String(Math.max(0, own));
    choose("a", data.shown);
    const preset = data.comparisons[0];
    choose("b", preset ? (preset.a === data.shown ? preset.b : preset.a) : data.shown);
    for (const name of ["split", "label", "sort", "reverse", "shade"]) field(name).addEventListener("change", () => search());
    let timer = 0;
    field("search").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, 120); });
    field("form").addEventListener("submit", (event) => { event.preventDefault(); search(); });
    for (const [name, by] of [["previous", -1], ["next", 1]]) {
      field(name).addEventListener("click", () => { state.page += by; render(); field("status").scrollIntoView({ block: "nearest" }); });
    }
    document.addEventListener("split", (event) => { // the split of the page, where it is one of pairs
      const place = data.splits.indexOf(event.detail);
      if (place >= 0 && field("split").value !== String(place)) { field("split").value = String(place); search(); }
    });
    const linked = /^#pair-(\d+)$/.exec(location.hash);
    if (linked) { field("search").value = `#${linked[1]}`; field("split").value = ""; }
    search();
    if (linked) field("form").scrollIntoView();
  }

  function search() {
    const text = field("search").value.trim().toLowerCase(), numbered = /^#(\d+)$/.exec(text);
    const terms = text.split(/\s+/).filter(Boolean), label = field("label").value, split = field("split").value;
    const fits = (pair) => {
      if (split !== "" && splitOf[pair] !== Number(split)) return false;
      if (label !== "" && data.labels[pair] !== distinct[label]) return false;
      if (numbered) return data.pairs[pair] === Number(numbered[1]);
      return terms.every((term) => lower[first[pair]].includes(term) || lower[second[pair]].includes(term));
    };
    const found = [], key = ORDERS[field("sort").value], sign = field("reverse").checked ? 1 : -1;
    for (let pair = 0; pair < splitOf.length; pair += 1) if (fits(pair)) found.push([pair, sign * key(pair)]);
    state.found = found.sort((one, other) => one[1] - other[1] || one[0] - other[0]).map(([pair]) => pair);
    state.page = 0;
    render();
  }

  // elements; what comes from the data is text and never markup
  function make(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }
  const words = (sentence) => data.sentences[sentence].split(/\s+/).filter(Boolean);

  // the weights of the words of a sentence in multiples of the mean's; null where they are not known
  function weightsOf(sentence, count) {
    const one = data.weights[field("shade").value];
    if (!one) return null;
    if (!one.starts) {
      one.counts = new Uint16Array(bytes(one.words));
      one.starts = new Uint32Array(one.counts.length + 1);
      one.counts.forEach((length, i) => { one.starts[i + 1] = one.starts[i] + length; });
      one.values = new Uint8Array(bytes(one.parts));
    }
    if (one.counts[sentence] !== count) return null;
    return Array.from(one.values.subarray(one.starts[sentence], one.starts[sentence + 1]), (part) => part / one.steps);
  }

  function sentence(number, others) {
    const all = words(number), weights = weightsOf(number, all.length), line = make("p", { class: "sentence", dir: "auto" });
    all.forEach((word, i) => {
      const both = others.has(word.toLowerCase()), element = make(both ? "mark" : "span", {}, word);
      if (weights && weights[i] > 1) element.style.setProperty("--weight", `${Math.min(75, 22 * (weights[i] - 1)).toFixed(0)}%`);
      line.append(element, " ");
    });
    if (!all.length) line.append(make("em", {}, "(empty)"));
    return line;
  }

  const WIDE = 110, HIGH = 30;
  // the place of a pair among those of its split at each layer of A, and of B where it is another series
  function sparkline(pair) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const said = [];
    for (const side of state.b === state.a ? ["a"] : ["a", "b"]) {
      const { series: name } = data.scored[state[side]], places = placesOf(name);
      if (places.length < 2 || (side === "b" && name === data.scored[state.a].series)) continue;
      const x = (i) => 3 + (i * (WIDE - 6)) / (places.length - 1), y = (place) => 3 + (1 - shareOf(place)[pair]) * (HIGH - 6);
      const line = document.createElementNS(svg.namespaceURI, "polyline");
      line.setAttribute("points", places.map((place, i) => `${x(i).toFixed(1)},${y(place).toFixed(1)}`).join(" "));
      line.setAttribute("class", side);
      const dot = document.createElementNS(svg.namespaceURI, "circle");
      for (const [key, value] of Object.entries({ cx: x(Math.max(0, places.indexOf(state[side]))), cy: y(state[side]), r: 2.6, class: side })) dot.setAttribute(key, value);
      svg.append(line, dot);
      const ends = [places[0], places[places.length - 1]].map((place) => rank(place, pair));
      said.push(`${name}: rank ${ends[0]} at its first layer, ${ends[1]} at its last`);
    }
    if (!said.length) return null;
    for (const [key, value] of Object.entries({ viewBox: `0 0 ${WIDE} ${HIGH}`, width: WIDE, height: HIGH, role: "img", class: "spark", "aria-label": said.join("; ") })) svg.setAttribute(key, value);
    return svg;
  }

  function figures(side, pair) {
    const column = data.scored[state[side]], size = members[splitOf[pair]].length;
    const name = `${column.series}${column.layer === "" ? "" : `, layer ${column.layer}`}`;
    return make("span", { class: `figure ${side}` }, `${side.toUpperCase()} `, make("b", {}, score(column, pair)),
      ` rank ${rank(state[side], pair).toLocaleString("en")} of ${size.toLocaleString("en")}`, make("span", { class: "quiet" }, ` ${name}`));
  }

  function nearest(pair) {
    const list = make("ul");
    for (const other of neighbours.subarray(3 * pair, 3 * pair + 3)) {
      if (other === NOBODY) continue;
      const link = make("a", { href: `#pair-${data.pairs[other]}` }, `pair ${data.pairs[other]}`);
      link.addEventListener("click", () => { field("search").value = `#${data.pairs[other]}`; field("label").value = ""; search(); });
      const about = ` (label ${data.labels[other]}, A ${score(data.scored[state.a], other)}, rank ${rank(state.a, other).toLocaleString("en")}): `;
      list.append(make("li", {}, link, about, make("span", { dir: "auto" }, data.sentences[first[other]]), " / ", make("span", { dir: "auto" }, data.sentences[second[other]])));
    }
    return list.children.length ? list : make("p", {}, "No other pair of this split shares a word with it.");
  }

  function item(pair) {
    const lists = [first[pair], second[pair]].map((number) => new Set(words(number).map((word) => word.toLowerCase())));
    const article = make("article", { "aria-label": `pair ${data.pairs[pair]}`, "data-pair": data.pairs[pair] });
    const head = make("header", {}, make("h3", {}, `Pair ${data.pairs[pair]}`), make("span", { class: "badge" }, data.splits[splitOf[pair]]),
      make("span", { class: "badge" }, `label ${data.labels[pair]}`));
    const line = make("div", { class: "figures" }, figures("a", pair));
    if (state.b !== state.a) {
      const moved = rank(state.b, pair) - rank(state.a, pair);
      line.append(figures("b", pair), make("span", { class: "figure" }, moved === 0 ? "same rank" : `${moved > 0 ? "▼ down" : "▲ up"} ${Math.abs(moved).toLocaleString("en")} from A to B`));
    }
    const more = make("details", {}, make("summary", {}, "Pairs of this split that share most words"));
    more.addEventListener("toggle", () => { if (more.open && more.children.length === 1) more.append(nearest(pair)); });
    const spark = sparkline(pair);
    if (spark) line.prepend(spark);
    article.append(head, sentence(first[pair], lists[1]), sentence(second[pair], lists[0]), line, more);
    return make("li", {}, article);
  }

  function render() {
    const count = state.found.length, begin = state.page * PAGE, end = Math.min(count, begin + PAGE);
    field("list").replaceChildren(...state.found.slice(begin, end).map(item));
    field("list").setAttribute("start", begin + 1);
    field("status").textContent = count ? `${(begin + 1).toLocaleString("en")} to ${end.toLocaleString("en")} of ${count.toLocaleString("en")} pairs` : "No pair fits. Another word, split or label?";
    field("previous").disabled = begin === 0;
    field("next").disabled = end >= count;
  }

  start();
})();
