(() => {
  "use strict";
  const table = document.querySelector("table.kernels");
  if (table === null) return;
  const box = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const latency = Number(table.dataset.latencyNs);
  const digits = Number(table.dataset.digits);
  const plain = (text) => text.replace(/"/g, "").toLowerCase();
  const rows = Array.from(table.tBodies[0].rows, (row) => ({
    element: row,
    ns: Number(row.dataset.ns),
    kind: plain(row.dataset.kind),
    module: row.dataset.module === undefined ? null : plain(row.dataset.module),
    text: Array.from(row.querySelectorAll(".text"), (cell) => plain(cell.textContent)).join(" "),
  }));
  const tiles = Array.from(document.querySelectorAll(".tile[data-rows]"), (tile) => ({
    element: tile,
    rows: tile.dataset.rows.split(" ").map((number) => rows[Number(number) - 1]),
  }));

  const fits = (row, word) => {
    if (word.startsWith("kind:")) return row.kind === word.slice(5);
    if (word.startsWith("module:")) {
      const module = word.slice(7);
      return row.module === module || (row.module || "").startsWith(module + ".");
    }
    return row.text.includes(word);
  };

  const filter = () => {
    const words = (box.value.match(/(?:"[^"]*"|[^\s"])+/g) || []).map(plain);
    const found = rows.filter((row) => words.every((word) => fits(row, word)));
    const visible = new Set(found);
    for (const row of rows) row.element.hidden = !visible.has(row);
    for (const tile of tiles) {
      tile.element.classList.toggle("dim", !tile.rows.some((row) => visible.has(row)));
    }
    const ns = found.reduce((sum, row) => sum + row.ns, 0);
    shown.textContent = `${found.length} of ${rows.length} kernels: `
      + `${(ns / 1e6).toFixed(digits)} ms, ${(100 * ns / latency).toFixed(1)}%`;
  };

  const set = (text) => {
    box.value = text;
    filter();
  };

  box.addEventListener("input", filter);
  document.getElementById("clear").addEventListener("click", () => {
    set("");
    box.focus();
  });
  for (const button of document.querySelectorAll("button[data-filter]")) {
    button.disabled = false;
    button.addEventListener("click", () => {
      set(box.value === button.dataset.filter ? "" : button.dataset.filter);
    });
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#kernel-']");
    if (link === null) return;
    if (link.dataset.filter) {
      event.preventDefault();
      set(link.dataset.filter);
      document.getElementById("kernels").scrollIntoView();
      box.focus({preventScroll: true});
    } else {
      set("");
    }
  });
  document.querySelector(".tools").hidden = false;
  filter();
})();
