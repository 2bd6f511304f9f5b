"use strict";
// Sort, filter and save tables; show values at the pointer; show the images behind a run.

function element(name, attributes, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}

// Tables

function numberIn(text) {
  const found = text.replaceAll(",", "").match(/^[<+]?\s*(-?[\d.]+(?:e[+-]?\d+)?)/i);
  return found ? parseFloat(found[1]) : NaN;
}

function sortBy(table, column, descending) {
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [row, row.cells[column].textContent.trim()]);
  const isNumeric = rows.every(([, text]) => !text || text === "-" || !isNaN(numberIn(text)));
  rows.sort(([, one], [, other]) => {
    if (!one || !other) return !one - !other; // empty cells stay at the end
    const order = isNumeric ? numberIn(one) - numberIn(other) : one.localeCompare(other, "en", { numeric: true });
    return descending ? -order : order;
  });
  body.append(...rows.map(([row]) => row));
}

function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = element("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const descending = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sortBy(table, column, descending);
    });
  });
}

// Each word has to be somewhere in a row; `column:one|other` asks for a cell of one of these values.
function matches(row, titles, words) {
  return words.every((word) => {
    const [title, value] = [word.slice(0, word.indexOf(":")), word.slice(word.indexOf(":") + 1)];
    const column = word.includes(":") ? titles.indexOf(title.toLowerCase()) : -1;
    if (column < 0) return row.textContent.toLowerCase().includes(word.toLowerCase());
    return value.split("|").includes(row.cells[column].textContent.trim());
  });
}

function csvOf(table) {
  const rows = [table.tHead.rows[0], ...table.tBodies[0].rows].filter((row) => !row.hidden);
  const quoted = (cell) => '"' + cell.textContent.trim().replaceAll('"', '""') + '"';
  return rows.map((row) => [...row.cells].map(quoted).join(",")).join("\r\n") + "\r\n";
}

function addTools(table) {
  const rows = [...table.tBodies[0].rows];
  const titles = [...table.tHead.rows[0].cells].map((head) => head.textContent.trim().toLowerCase());
  const input = element("input", { type: "search", "aria-label": "Filter the rows",
    placeholder: `filter: any words, or ${titles[0].replace(/\s.*/, "")}:value` });
  const count = element("span", { class: "soft", role: "status" });
  const save = element("button", { type: "button", class: "csv" }, "CSV");
  const update = () => {
    const words = input.value.trim().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !matches(row, titles, words);
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  };
  input.addEventListener("input", update);
  save.addEventListener("click", () => {
    const url = URL.createObjectURL(new Blob([csvOf(table)], { type: "text/csv" }));
    element("a", { href: url, download: `${table.dataset.name}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  });
  const tools = element("div", { class: "tools" }, ...(rows.length > 5 ? [input, count] : []), save);
  table.closest(".table").prepend(tools);
  table.setFilter = (text) => { input.value = text; update(); };
  update();
}

// Values at the pointer

const tip = document.getElementById("tip");
let near = null;

function nearest(chart, x, y) {
  let found = null, least = 30;
  for (const mark of chart.querySelectorAll("[data-tip]")) {
    const box = mark.querySelector("path").getBoundingClientRect();
    const away = Math.hypot(x - (box.left + box.width / 2), y - (box.top + box.height / 2));
    if (away < least) [found, least] = [mark, away];
  }
  return found;
}

function showTip(target, x, y) {
  near?.classList.remove("near");
  near = target;
  tip.hidden = !target;
  if (!target) return;
  target.classList.add("near");
  tip.textContent = target.dataset.tip;
  const { offsetWidth: width, offsetHeight: height } = tip;
  tip.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - width - 4))}px`;
  tip.style.top = `${y - height - 14 < 4 ? y + 18 : y - height - 14}px`;
}

function onPointer(event) {
  const chart = event.target.closest?.(".chart");
  const found = chart ? nearest(chart, event.clientX, event.clientY) : event.target.closest?.("[data-tip]");
  if (found || near) showTip(found, event.clientX, event.clientY);
}

// The images behind a run

const dialog = document.getElementById("run");
const known = JSON.parse(document.getElementById("run-data").textContent);
const pictured = JSON.parse(document.getElementById("example-data").textContent);

function fateWords(run, fate) {
  if (fate < 0) return "misclassified without an attack";
  return fate < run.eps.length ? `broken at ${run.eps[fate]}` : `stands at ${run.eps.at(-1)}`;
}

function paint(cell, run, fate) {
  if (fate < 0) cell.classList.add("wrong");
  else cell.style.setProperty("--fate", `color-mix(in oklab, var(--strong) ${(100 * fate) / run.eps.length}%, var(--weak))`);
  return cell;
}

function fates(run) {
  const { image, label } = known.sets[run.set];
  const names = known.classes[run.data];
  const name = (at) => names?.[at] ?? `class ${at}`;
  const examples = pictured.filter((one) => one.data === run.data).flatMap((one) => one.images.map((at) => [at, one.anchor]));
  const shown = new Map(examples);
  const rows = new Map();
  const wrong = run.said.values();
  [...run.fate].forEach((letter, place) => {
    const fate = letter === "-" ? -1 : letter.charCodeAt(0) - 48; // the grid index that breaks it
    const said = fate < 0 ? wrong.next().value : undefined;
    const words = `image ${image[place]}, ${name(label[place])}: ${fateWords(run, fate)}` +
      (said === undefined ? "" : `, taken for ${name(said)}`);
    const cell = paint(element("div", { class: "cell", "data-tip": words }), run, fate);
    if (shown.has(image[place])) {
      cell.classList.add("pictured");
      cell.dataset.picture = `#${shown.get(image[place])}-${image[place]}`;
    }
    if (!rows.has(label[place])) rows.set(label[place], []);
    rows.get(label[place]).push([fate, cell]);
  });
  const grid = element("div", { class: "fates" });
  for (const at of [...rows.keys()].sort((one, other) => one - other)) {
    const cells = rows.get(at).sort(([one], [other]) => other - one).map(([, cell]) => cell);
    grid.append(element("span", {}, name(at)), element("div", { class: "cells" }, ...cells));
  }
  return grid;
}

function showRun(at) {
  const run = known.runs[at];
  if (!run) return;
  const facts = element("dl", {});
  for (const [name, value] of run.facts) facts.append(element("dt", {}, name), element("dd", {}, value));
  const values = run.values.map(([eps, point, low, high]) =>
    element("tr", {}, element("td", {}, eps === "0" ? "clean" : eps), element("td", {}, `${point.toFixed(1)} % [${low.toFixed(1)}, ${high.toFixed(1)}]`)));
  const key = element("div", { class: "key" });
  for (let fate = run.eps.length; fate >= -1; fate--) {
    key.append(element("span", {}, paint(element("i", { class: "cell" }), run, fate), fateWords(run, fate)));
  }
  const close = element("button", { type: "button", class: "close", "aria-label": "Close" }, "\u00d7");
  close.addEventListener("click", () => dialog.close());
  const shown = run.fate.length < run.of ? `${run.fate.length} of its ${run.of} images` : `its ${run.of} images`;
  const links = pictured.filter((one) => one.data === run.data && one.model === run.model)
    .map((one) => element("a", { href: `#${one.anchor}` }, "pictures of perturbed images"));
  dialog.replaceChildren(close, element("h3", { id: "run-title" }, run.title), facts,
    element("table", {}, element("tbody", {}, ...values)),
    element("p", {}, element("b", {}, `What became of ${shown}`), " ", ...links), key, fates(run));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

// Links within the page

function follow() {
  const name = decodeURIComponent(location.hash.slice(1));
  if (/^run-\d+$/.test(name)) return showRun(Number(name.slice(4)));
  if (dialog.open) dialog.close();
  const target = name && document.getElementById(name);
  if (!target) return;
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  target.scrollIntoView();
}

function onClick(event) {
  onPointer(event);
  const picture = event.target.closest("[data-picture]");
  if (picture) location.hash = picture.dataset.picture;
  const link = event.target.closest("a[href^='#']");
  if (!link) return;
  if (link.dataset.filter) {
    document.querySelector(`${link.getAttribute("href")} table`).setFilter(link.dataset.filter);
  }
  if (link.getAttribute("href") === location.hash) follow(); // a hash that stays is no change
}

for (const table of document.querySelectorAll("table.data")) {
  makeSortable(table);
  addTools(table);
}
document.addEventListener("pointermove", onPointer);
document.addEventListener("click", onClick);
document.addEventListener("scroll", () => showTip(null), { passive: true });
dialog.addEventListener("close", () => {
  if (location.hash.startsWith("#run-")) history.replaceState(null, "", location.pathname);
});
addEventListener("hashchange", follow);
follow();
