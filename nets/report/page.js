"use strict";
(function () {
  var PAGE = 50;
  var told = JSON.parse(document.getElementById("rows").textContent);
  var columns = told.columns;
  var table = document.getElementById("table");
  var body = table.tBodies[0];
  var heads = Array.prototype.slice.call(table.tHead.querySelectorAll("th"));
  var filter = document.getElementById("filter");
  var count = document.getElementById("count");
  var previous = document.getElementById("previous");
  var next = document.getElementById("next");
  var place = document.getElementById("page");
  var shown = told.rows;
  var sorted = { column: -1, down: false };
  var first = 0;

  function isNumber(column) { return columns[column][1] !== null; }

  function text(value, column) {
    if (value === null || value === "") return "";
    if (!isNumber(column)) return String(value);
    var digits = columns[column][1] || 0;
    return digits === 2 ? value.toFixed(digits) : String(Number(value.toFixed(digits)));
  }

  function columnOf(name) {
    name = name.toLowerCase();
    for (var i = 0; i < columns.length; i++) {
      var heading = columns[i][0].toLowerCase();
      if (heading === name || heading.replace(/ \(.*\)$/, "").replace(/ /g, "-") === name) return i;
    }
    return -1;
  }

  function test(word) {
    var match = /^([^<>=!]+)(<=|>=|!=|<|>|=)(.+)$/.exec(word);
    var column = match ? columnOf(match[1]) : -1;
    if (column < 0) {
      var wanted = word.toLowerCase();
      return function (row) {
        return row.some(function (value, i) { return text(value, i).toLowerCase().indexOf(wanted) >= 0; });
      };
    }
    var sign = match[2];
    if (isNumber(column)) {
      var number = Number(match[3]);
      return function (row) {
        var value = row[column];
        if (value === null || isNaN(number)) return false;
        if (sign === "=") return Math.abs(value - number) < 1e-9 * Math.max(1, Math.abs(number));
        if (sign === "!=") return value !== number;
        return sign === "<" ? value < number : sign === "<=" ? value <= number
          : sign === ">" ? value > number : value >= number;
      };
    }
    var other = match[3].toLowerCase();
    return function (row) {
      var same = String(row[column]).toLowerCase() === other;
      return sign === "!=" ? !same : same;
    };
  }

  function apply() {
    var tests = filter.value.split(/\s+/).filter(Boolean).map(test);
    shown = told.rows.filter(function (row) { return tests.every(function (t) { return t(row); }); });
    if (sorted.column >= 0) {
      var column = sorted.column, sign = sorted.down ? -1 : 1;
      shown = shown.map(function (row, i) { return [row, i]; }).sort(function (a, b) {
        var x = a[0][column], y = b[0][column];
        if (x === y) return a[1] - b[1];
        if (x === null || x === "") return 1;
        if (y === null || y === "") return -1;
        return (x < y ? -1 : 1) * sign;
      }).map(function (pair) { return pair[0]; });
    }
    first = 0;
    render();
  }

  function render() {
    var rows = document.createDocumentFragment();
    shown.slice(first, first + PAGE).forEach(function (row) {
      var line = document.createElement("tr");
      row.forEach(function (value, i) {
        var cell = document.createElement("td");
        cell.textContent = text(value, i);
        if (isNumber(i)) cell.className = "number";
        line.appendChild(cell);
      });
      rows.appendChild(line);
    });
    body.replaceChildren(rows);
    count.textContent = shown.length.toLocaleString("en") + (shown.length === 1 ? " run" : " runs");
    var last = Math.min(first + PAGE, shown.length);
    place.textContent = shown.length ? (first + 1) + " to " + last + " of " + shown.length.toLocaleString("en") : "none";
    previous.disabled = first === 0;
    next.disabled = last >= shown.length;
  }

  heads.forEach(function (head, i) {
    head.firstElementChild.addEventListener("click", function () {
      sorted = { column: i, down: sorted.column === i ? !sorted.down : false };
      heads.forEach(function (other, j) {
        other.setAttribute("aria-sort", j !== i ? "none" : sorted.down ? "descending" : "ascending");
      });
      apply();
    });
  });
  filter.addEventListener("input", apply);
  previous.addEventListener("click", function () { first -= PAGE; render(); });
  next.addEventListener("click", function () { first += PAGE; render(); });
  render();
})();
