// The report can be read without this script. It sorts and filters the table, and lets timelines move the players.
"use strict";
(() => {
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const byId = (id) => document.getElementById(id);
  document.documentElement.classList.add("live");
  all("[hidden]").forEach((element) => { element.hidden = false; });
  all("button:disabled").forEach((button) => { button.disabled = false; });

  // Numbers as the rest of the page writes them.
  const signed = (value) => (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(2);
  const clock = (seconds) => {
    const tenths = Math.round(seconds * 10);
    const two = (number) => String(number).padStart(2, "0");
    const [hours, minutes, rest] = [Math.floor(tenths / 36000), Math.floor(tenths / 600) % 60, tenths % 600];
    const second = `${two(Math.floor(rest / 10))}.${rest % 10}`;
    return hours ? `${hours}:${two(minutes)}:${second}` : `${minutes}:${second}`;
  };

  // --- The table: sorting -------------------------------------------------------------------------------------
  const table = byId("table");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const names = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

  const valueOf = (row, key) => {
    const cell = row.querySelector(`.c-${key}`);
    if (key === "file") return cell.textContent;
    return cell.dataset.v === "" ? null : Number(cell.dataset.v);
  };

  const sortBy = (key, direction) => {
    const values = rows.map((row, position) => ({ row, position, value: valueOf(row, key) }));
    values.sort((a, b) => {
      // What is not known comes last, whichever way the rest goes; equal ones keep the order of the scan.
      if ((a.value === null) !== (b.value === null)) return a.value === null ? 1 : -1;
      let order = 0;
      if (a.value !== null) order = key === "file" ? names.compare(a.value, b.value) : a.value - b.value;
      return direction * order || a.position - b.position;
    });
    body.append(...values.map(({ row }) => row));
  };

  all("th button", table).forEach((button) => {
    button.addEventListener("click", () => {
      const header = button.parentElement;
      const ascending = header.getAttribute("aria-sort") !== "ascending";
      all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sortBy(button.dataset.key, ascending ? 1 : -1);
      byId("sorted").textContent = `Sorted by ${button.textContent}, ${ascending ? "ascending" : "descending"}`;
    });
  });

  // --- The table: filtering -----------------------------------------------------------------------------------
  const form = document.querySelector(".filters");
  const shown = byId("shown");
  const everything = shown.textContent;
  const details = new Map(all(".recording").map((element) => [element.dataset.file, element]));

  const filter = () => {
    const words = byId("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdicts = new Set(all("[name=verdict]:checked", form).map((box) => box.value));
    const wanted = byId("notes") ? byId("notes").value : "";
    const noted = (notes) => {
      if (wanted === "*") return notes.length > 0;
      if (wanted === "-") return notes.length === 0;
      return wanted === "" || notes.includes(wanted.slice(1));
    };
    let count = 0;
    rows.forEach((row) => {
      const fits = verdicts.has(row.dataset.verdict) && noted(JSON.parse(row.dataset.notes))
        && words.every((word) => texts.get(row).includes(word));
      row.hidden = !fits;
      details.get(row.dataset.file).hidden = !fits;
      count += fits;
    });
    shown.textContent = count === rows.length ? everything : `${count} of ${rows.length} files shown`;
  };

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));

  // --- Timelines ----------------------------------------------------------------------------------------------
  const timelines = new Map(); // by the id of the recording
  let playing = null;

  class Timeline {
    constructor(figure) {
      this.stage = figure.querySelector(".stage");
      this.data = JSON.parse(figure.querySelector("script").textContent);
      this.drawing = this.stage.querySelector("svg");
      this.cursor = figure.querySelector(".cursor");
      this.readout = figure.querySelector(".readout");
      this.players = all("audio", figure);
      this.position = 0;
      this.makeSlider();
      this.players.forEach((player) => this.follow(player));
      this.say(this.players.length ? "Click the timeline, or use the arrow keys, to move the player."
        : "Click the timeline, or use the arrow keys, to read the scores.");
    }

    makeSlider() {
      const { stage } = this;
      const attributes = {
        role: "slider", tabindex: "0", "aria-label": this.drawing.getAttribute("aria-label"), "aria-valuemin": "0",
        "aria-valuemax": String(this.data.duration), "aria-valuenow": "0", "aria-valuetext": clock(0),
      };
      Object.entries(attributes).forEach(([name, value]) => stage.setAttribute(name, value));
      // A mouse may drag; a finger that moves is scrolling.
      stage.addEventListener("pointerdown", (event) => {
        if (event.pointerType === "mouse" && event.button === 0) stage.setPointerCapture(event.pointerId);
      });
      stage.addEventListener("click", (event) => this.jump(this.timeAt(event)));
      stage.addEventListener("pointermove", (event) => {
        if (stage.hasPointerCapture(event.pointerId)) this.jump(this.timeAt(event));
      });
      stage.addEventListener("keydown", (event) => this.key(event));
    }

    timeAt(event) {
      const box = this.drawing.getBoundingClientRect();
      const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
      return share * this.data.duration;
    }

    key(event) {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const moves = {
        ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10,
        Home: -Infinity, End: Infinity,
      };
      if (event.key in moves) this.jump(this.stepped(moves[event.key]));
      else if (event.key === "Enter" || event.key === " ") this.toggle();
      else return;
      event.preventDefault();
    }

    // Each step is one score; where there are none, a second.
    stepped(steps) {
      const { cells, duration } = this.data;
      if (!cells.length) return Math.min(Math.max(this.position + steps, 0), duration);
      const now = cells.findLastIndex((cell) => cell[0] <= this.position + 0.01);
      const next = Math.min(Math.max(now + steps, 0), cells.length - 1);
      return cells[next][0];
    }

    playerAt(time) {
      return this.players.find((player) => time >= player.dataset.from - 0.05 && time <= Number(player.dataset.to));
    }

    // Show the time and move the player there, as soon as it knows its length.
    jump(time, play = false) {
      const player = this.playerAt(time);
      this.show(time);
      if (this.players.length && !player) this.say(`${this.words(time)}. This part is not in the report as sound.`);
      this.players.filter((other) => other !== player).forEach((other) => other.pause());
      if (!player) return;
      const go = () => {
        player.currentTime = Math.max(0, time - player.dataset.from);
        if (play) player.play().catch(() => {});
      };
      player.onloadedmetadata = null;
      if (player.readyState > 0) {
        go();
      } else {
        player.onloadedmetadata = go;
        wake(player);
      }
    }

    toggle() {
      const player = this.playerAt(this.position);
      if (player && !player.paused) player.pause();
      else this.jump(this.position, true);
    }

    follow(player) {
      const update = () => {
        if (player.readyState === 0) return;
        this.show(Number(player.dataset.from) + player.currentTime);
        if (!player.paused) requestAnimationFrame(update);
      };
      player.addEventListener("play", () => {
        if (playing && playing !== player) playing.pause();
        playing = player;
        update();
      });
      player.addEventListener("seeked", update);
    }

    show(time) {
      this.position = Math.min(Math.max(time, 0), this.data.duration);
      const x = `${(100 * this.position) / this.data.duration}%`;
      this.cursor.setAttribute("x1", x);
      this.cursor.setAttribute("x2", x);
      this.cursor.setAttribute("visibility", "visible");
      const text = this.words(this.position);
      if (text === this.said) return;
      this.said = text;
      this.stage.setAttribute("aria-valuenow", this.position.toFixed(1));
      this.stage.setAttribute("aria-valuetext", text);
      this.say(text);
    }

    words(time) {
      const cell = this.data.cells.findLast(([start, end]) => start <= time + 0.01 && time <= end);
      if (!cell) return clock(time);
      const [, , score, why] = cell;
      if (score === null) return `${clock(time)}, not scored: ${why}`;
      const { spoof, bonafide } = this.data;
      let side = "";
      if (spoof !== null && score <= spoof) side = ", below the threshold for spoof";
      else if (bonafide !== null && score >= bonafide) side = ", above the threshold for bona fide";
      return `${clock(time)}, score ${signed(score)}${side}`;
    }

    say(text) {
      this.readout.textContent = text;
    }
  }

  const wake = (player) => {
    if (player.preload !== "none") return;
    player.preload = "metadata";
    player.load();
  };

  all(".recording").forEach((element) => {
    const figure = element.querySelector(".timeline");
    if (figure) timelines.set(element.dataset.file, new Timeline(figure));
    element.addEventListener("toggle", () => {
      if (element.open) all("audio", element).forEach(wake);
    });
  });

  // --- Links and buttons that lead to a place in a recording ---------------------------------------------------
  const reveal = (id) => {
    const target = /^f\d+$/.test(id) && byId(id);
    if (!target) return null;
    const element = target.closest("details");
    element.open = true;
    element.hidden = false;
    return target;
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#f'], [data-jump]");
    if (!link) return;
    const id = link.hash ? link.hash.slice(1) : link.closest(".recording").dataset.file;
    reveal(id);
    const timeline = timelines.get(id);
    if (timeline && link.dataset.jump !== undefined) timeline.jump(Number(link.dataset.jump), link.tagName === "BUTTON");
  });

  const follow = () => {
    const target = reveal(location.hash.slice(1));
    if (target) target.closest("details").scrollIntoView();
  };
  addEventListener("hashchange", follow);
  follow();

  const openAll = (wanted) => all(".recording").forEach((element) => { element.open = wanted; });
  byId("open-all").addEventListener("click", () => openAll(true));
  byId("close-all").addEventListener("click", () => openAll(false));

  // --- Print: everything open ---------------------------------------------------------------------------------
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details.recording:not([open])");
    opened.forEach((element) => { element.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((element) => { element.open = false; }));
})();
