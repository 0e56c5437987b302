"use strict";
// Search, filter and order of the rows that need attention. Without a script the page shows all of them.
(() => {
  const controls = document.getElementById("controls");
  const body = document.getElementById("listed");
  if (!controls || !body) return;
  const [search, status, order] = ["search", "status", "order"].map((id) => document.getElementById(id));
  const found = document.getElementById("found");
  const rows = Array.from(body.rows);
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const cell = (row) => row.cells[Number(order.value)].textContent.trim();
  const byCell = (one, other) => cell(one).localeCompare(cell(other), undefined, { numeric: true });

  const show = () => {
    const wanted = search.value.trim().toLowerCase();
    for (const row of rows) {
      row.hidden = !texts.get(row).includes(wanted) || !["", row.dataset.status].includes(status.value);
    }
    body.append(...(order.value ? [...rows].sort(byCell) : rows));
    const shown = rows.filter((row) => !row.hidden).length;
    found.textContent = found.dataset.text.replace("{shown}", shown);
  };

  for (const control of [search, status, order]) control.addEventListener("input", show);
  controls.hidden = false;
  show();
})();
