// The flame graph of a page: draws what Python has summed up; nothing is estimated here.
import flamegraph from "d3-flame-graph";
import { select, selection } from "d3-selection";
import { band, percent, text } from "./units.js";

const AXES = [["energy", "Energy"], ["carbon", "Carbon"], ["cost", "Cost"], ["tokens", "Tokens"], ["time", "Own time"]];
const TIERS = ["metered_facility", "metered_node", "benchmarked", "open_measured", "open", "closed", "unknown", "compute"];
const STEPS = [50, 150, 250, 350, 450, 600, 750];
const CHANGES = [-0.6, -0.3, -0.1, -0.01, 0.01, 0.1, 0.3, 0.6];
const ROW = 20;
const SLIVER_PX = 1;
const MANY = 1500;

const plain = (name) => name.replace(/_/g, " ");
const classOf = (value, steps) => steps.filter((step) => value >= step).length;

function element(tag, className, content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (content !== undefined) made.textContent = content;
  return made;
}

// Many frames: a transition for each, even one without duration, costs more than drawing it.
function drawAtOnce() {
  selection.prototype.transition = function still() {
    this.duration = this.ease = this.delay = () => this;
    return this;
  };
}

class Flame {
  constructor(section, data) {
    this.section = section;
    this.data = data;
    this.part = (name) => section.querySelector(`[data-part=${name}]`);
    this.sums();
    this.view = { axis: this.axes()[0], colour: data.change ? "change" : "evidence", q: "" };
    this.zoomed = null;
    this.current = null;
    this.controls();
    this.readUrl();
    this.chart();
    window.addEventListener("hashchange", () => { if (location.hash.slice(1) !== this.hash) { this.readUrl(); this.apply(); } });
    let waiting = 0;
    new ResizeObserver(() => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(() => this.resize()); }).observe(this.part("chart"));
  }

  // Own values to sums of subtrees: rows are in pre-order, so the last come first.
  sums() {
    const { depth, own } = this.data;
    const n = depth.length, parent = new Int32Array(n).fill(-1), last = [];
    for (let i = 0; i < n; i++) { last[depth[i]] = i; if (depth[i]) parent[i] = last[depth[i] - 1]; }
    this.parent = parent;
    this.total = {};
    for (const [axis, values] of Object.entries(own)) {
      const total = Float64Array.from(values);
      for (let i = n - 1; i > 0; i--) total[parent[i]] += total[i];
      this.total[axis] = total;
    }
    const nodes = Array.from({ length: n }, (_, i) => ({ i, name: this.data.names[this.data.name[i]] || "(no name)" }));
    for (let i = 1; i < n; i++) (nodes[parent[i]].children ??= []).push(nodes[i]);
    this.root = nodes[0];
    this.nodes = nodes;
  }

  axes() {
    const known = AXES.map(([id]) => id).filter((id) => this.total[id][0] > 0);
    return known.length ? known : ["energy"];
  }

  key(i) {
    if (i === 0) return "";
    if (this.data.span[i]) return this.data.span[i];
    const names = [];
    for (let at = i; at > 0; at = this.parent[at]) names.unshift(encodeURIComponent(this.nodes[at].name));
    return `/${names.join("/")}`;
  }

  find(key) {
    if (!key) return 0;
    if (!key.startsWith("/")) return this.data.span.indexOf(key);
    let at = this.root;
    for (const name of key.slice(1).split("/").map(decodeURIComponent)) {
      at = at.children?.find((child) => child.name === name);
      if (!at) return -1;
    }
    return at.i;
  }

  readUrl() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    if (AXES.some(([id]) => id === wanted.get("axis"))) this.view.axis = wanted.get("axis");
    if (["evidence", "intensity", "change"].includes(wanted.get("colour"))) this.view.colour = wanted.get("colour");
    if (this.view.colour === "change" && !this.data.change) this.view.colour = "evidence";
    this.view.q = wanted.get("q") ?? "";
    const zoom = this.find(wanted.get("zoom") ?? "");
    this.zoomed = zoom > 0 ? zoom : null;
    this.hash = location.hash.slice(1);
  }

  writeUrl() {
    const now = new URLSearchParams({ axis: this.view.axis, colour: this.view.colour });
    if (this.zoomed) now.set("zoom", this.key(this.zoomed));
    if (this.view.q) now.set("q", this.view.q);
    this.hash = now.toString();
    // about:srcdoc and some mail viewers refuse it; the view itself does not depend on it
    try { history.replaceState(null, "", `#${this.hash}`); } catch { /* no address to write to */ }
  }

  controls() {
    const group = this.part("axes");
    const known = this.axes();
    this.buttons = AXES.map(([id, label], place) => {
      const button = element("button", "", label);
      button.type = "button";
      button.setAttribute("role", "radio");
      button.dataset.axis = id;
      button.disabled = !known.includes(id);
      button.title = button.disabled ? `no ${label.toLowerCase()} is known here` : `width by ${label.toLowerCase()} (key ${place + 1})`;
      button.addEventListener("click", () => this.switchTo(id));
      group.append(button);
      return button;
    });
    group.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const open = this.buttons.filter((button) => !button.disabled);
      const next = open[(open.findIndex((button) => button.dataset.axis === this.view.axis) + step + open.length) % open.length];
      this.switchTo(next.dataset.axis);
      next.focus();
    });
    this.colour = this.part("colour");
    this.colour.querySelector("[value=change]").hidden = this.colour.querySelector("[value=change]").disabled = !this.data.change;
    this.colour.addEventListener("change", () => { this.view.colour = this.colour.value; this.recolour(); });
    this.search = this.part("search");
    let typing = 0;
    this.search.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => { this.view.q = this.search.value.trim(); this.find_(); this.writeUrl(); }, 120); });
    this.part("reset").addEventListener("click", () => this.zoom(0));
    document.addEventListener("keydown", (event) => {
      if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "/") { event.preventDefault(); this.search.focus(); }
      const button = this.buttons[Number(event.key) - 1];
      if (button && !button.disabled) this.switchTo(button.dataset.axis);
    });
  }

  fill(i, highlight) {
    if (highlight) return "var(--found)";
    const { colour } = this.view;
    if (colour === "change") return `var(--change-${classOf(this.data.change.share[this.view.axis][i], CHANGES)})`;
    if (colour === "intensity") {
      const g = this.data.intensity[i];
      return g === null ? "var(--tier-none)" : `var(--grid-${classOf(g, STEPS)})`;
    }
    return `var(--tier-${this.most("evidence", i) || "none"})`;
  }

  most(what, i) {
    const { names, code } = this.data[what];
    return names[code[i]];
  }

  chart() {
    const host = this.part("chart");
    const moves = !matchMedia("(prefers-reduced-motion: reduce)").matches && this.nodes.length <= MANY;
    if (!moves) drawAtOnce();
    this.graph = flamegraph()
      .width(host.clientWidth)
      .cellHeight(ROW)
      .inverted(true)
      .minFrameSize(SLIVER_PX)
      .resetHeightOnZoom(true)
      .transitionDuration(moves ? 250 : 0)
      .getName((d) => (d.data ?? d).name)
      .getValue((d) => (d.data ? d.value : this.total[this.view.axis][d.i]))
      .getChildren((d) => d.children)
      .setColorMapper((d) => this.fill(d.data.i, d.highlight))
      .setSearchMatch((d, term) => d.data.name.toLowerCase().includes(term))
      .setSearchHandler((found, sum) => this.found(found, sum))
      .setDetailsHandler(() => {})
      .tooltip(this.tip())
      .onClick((d) => { this.zoomed = d.data.i || null; this.point(d.data.i); this.writeUrl(); this.state(); });
    const place = select(host);
    place.datum(this.root).call(this.graph);
    this.tree = place.datum();
    this.byRow = [];
    this.tree.each((node) => { this.byRow[node.data.i] = node; });
    this.keyboard(host);
    this.apply(true);
  }

  apply(isFirst = false) {
    this.colour.value = this.view.colour;
    this.search.value = this.view.q;
    if (this.zoomed) this.graph.zoomTo(this.byRow[this.zoomed]);
    else if (!isFirst) this.graph.resetZoom();
    if (this.view.q) this.find_();
    this.state();
    this.point(this.zoomed ?? 0);
  }

  state() {
    const { axis } = this.view;
    for (const button of this.buttons) {
      const is = button.dataset.axis === axis;
      button.setAttribute("aria-checked", String(is));
      button.tabIndex = is ? 0 : -1;
    }
    this.part("reset").disabled = !this.zoomed;
    const nothing = !(this.total[axis][0] > 0);
    this.part("empty").hidden = !nothing;
    this.part("chart").hidden = nothing;
    this.legend();
  }

  switchTo(axis) {
    this.view.axis = axis;
    if (this.zoomed && !(this.total[axis][this.zoomed] > 0)) this.zoom(0);
    else this.graph.update();
    this.afterwards();
  }

  recolour() {
    this.graph.update();
    this.afterwards();
  }

  afterwards() {
    if (this.view.q) this.find_();
    this.writeUrl();
    this.state();
    this.point(this.current ?? 0);
  }

  zoom(i) {
    this.zoomed = i || null;
    if (i) this.graph.zoomTo(this.byRow[i]);
    else this.graph.resetZoom();
    this.writeUrl();
    this.state();
  }

  find_() {
    const term = this.view.q.toLowerCase();
    if (!term) { this.graph.clear(); this.part("found").textContent = ""; return; }
    this.graph.search(term);
  }

  found(found, sum) {
    if (!this.view.q) return;
    const whole = this.total[this.view.axis][this.zoomed ?? 0];
    this.part("found").textContent = found.length
      ? `${found.length.toLocaleString("en-GB")} found, ${percent(whole ? sum / whole : 0)} of the ${this.word()}`
      : "none found";
  }

  word() { return AXES.find(([id]) => id === this.view.axis)[1].toLowerCase(); }

  resize() {
    const width = this.part("chart").clientWidth;
    if (!width || width === this.graph.width()) return;
    this.graph.width(width).update();
  }

  // ---- what a frame says

  lines(i) {
    const { axis } = this.view, { data } = this, value = this.total[axis][i], whole = this.total[axis][0];
    const rows = [];
    const add = (label, content) => { if (content) rows.push([label, content]); };
    if (data.change) {
      const before = data.change.before[axis][i], after = data.change.after[axis][i], delta = after - before;
      add("before", text[axis](before));
      add("after", text[axis](after) + (data.bounds[axis] && after ? `, 90 %: ${band[axis](data.bounds[axis].low[i], data.bounds[axis].high[i], after)}` : ""));
      const share = before > 0 ? ` (${delta < 0 ? "−" : "+"}${percent(Math.abs(delta) / before)})` : after > 0 ? " (new)" : "";
      add("change", `${delta < 0 ? "−" : "+"}${text[axis](Math.abs(delta))}${share}`);
    } else {
      add(this.word(), text[axis](value));
      if (data.bounds[axis] && value > 0) add("90 % band", band[axis](data.bounds[axis].low[i], data.bounds[axis].high[i], value));
      const own = data.own[axis][i];
      if (own > 0 && own < value) add("of it its own", text[axis](own));
      if (whole) add("share", percent(value / whole));
      if (axis !== "energy" && this.total.energy[i] > 0) add("energy", text.energy(this.total.energy[i]));
    }
    const said = (what) => { const most = this.most(what, i); return most ? most + (data[what].only[i] ? "" : " and others") : ""; };
    add("evidence", plain(said("evidence")));
    add("region", said("region"));
    if (data.intensity[i] !== null) add("intensity", `${Math.round(data.intensity[i])} g/kWh`);
    add("grid source", said("grid"));
    if (!this.most("evidence", i)) add("energy", "none of its own: no model call at or below it that has a figure");
    return rows;
  }

  describe(host, i) {
    host.replaceChildren(element("strong", "", this.nodes[i].name));
    const list = element("dl");
    for (const [label, content] of this.lines(i)) list.append(element("dt", "", label), element("dd", "", content));
    host.append(list);
  }

  tip() {
    const box = element("div", "tip");
    box.hidden = true;
    this.section.append(box);
    const tip = () => {};
    tip.show = (event, d) => {
      this.describe(box, d.data.i);
      box.hidden = false;
      const gap = 14, { offsetWidth: w, offsetHeight: h } = box;
      const x = event.clientX + gap + w > innerWidth ? Math.max(4, event.clientX - gap - w) : event.clientX + gap;
      const y = event.clientY + gap + h > innerHeight ? Math.max(4, event.clientY - gap - h) : event.clientY + gap;
      box.style.left = `${x}px`;
      box.style.top = `${y}px`;
    };
    tip.hide = () => { box.hidden = true; };
    return tip;
  }

  point(i) {
    this.current = i;
    this.part("chart").querySelectorAll("g.pointed").forEach((g) => g.classList.remove("pointed"));
    const node = this.byRow?.[i];
    select(this.part("chart")).selectAll("g.frame").filter((d) => d === node).classed("pointed", true);
    const detail = this.part("detail");
    this.describe(detail, i);
    const prefix = this.section.dataset.spans;
    if (prefix && this.data.span[i] && this.data.own.energy[i] > 0) {
      const link = element("a", "", "how this figure came about");
      link.href = `${prefix}${this.data.span[i]}`;
      detail.append(link);
    }
  }

  keyboard(host) {
    host.addEventListener("keydown", (event) => {
      const node = this.byRow[this.current ?? 0], seen = (d) => d && d.value > 0 && !d.data.hide;
      const brother = (step) => {
        const all = node.parent?.children ?? [];
        for (let at = all.indexOf(node) + step; all[at]; at += step) if (seen(all[at])) return all[at];
        return null;
      };
      const next = {
        ArrowDown: () => node.children?.find(seen),
        ArrowUp: () => node.parent,
        ArrowRight: () => brother(1),
        ArrowLeft: () => brother(-1),
        Home: () => this.tree,
      }[event.key];
      if (next) { event.preventDefault(); const to = next(); if (to) this.point(to.data.i); return; }
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.zoom(node.data.i); this.point(node.data.i); }
      if (event.key === "Escape") { this.zoom(0); this.point(0); }
    });
  }

  legend() {
    const box = this.part("legend");
    box.replaceChildren();
    const add = (colour, label) => {
      const item = element("span", "key");
      const swatch = element("i");
      swatch.style.background = colour;
      item.append(swatch, document.createTextNode(label));
      box.append(item);
    };
    if (this.view.colour === "change") {
      add("var(--change-0)", "gone or much less"); add("var(--change-2)", "less"); add("var(--change-4)", "the same");
      add("var(--change-6)", "more"); add("var(--change-8)", "new or much more");
    } else if (this.view.colour === "intensity") {
      const bounds = [0, ...STEPS];
      bounds.forEach((low, at) => add(`var(--grid-${at})`, at < STEPS.length ? `${low}–${bounds[at + 1]}` : `over ${low} g/kWh`));
    } else {
      const there = new Set(this.data.evidence.code.map((code) => this.data.evidence.names[code]));
      for (const tier of TIERS) if (there.has(tier)) add(`var(--tier-${tier})`, plain(tier));
      if (there.has("")) add("var(--tier-none)", "no energy");
    }
  }
}

async function start(section) {
  const status = section.querySelector("[data-part=status]");
  try {
    const inline = section.querySelector("script[type='application/json']");
    let data;
    if (inline) data = JSON.parse(inline.textContent);
    else {
      const answer = await fetch(section.dataset.source, { headers: { Accept: "application/json" } });
      data = await answer.json();
      if (!answer.ok) throw new Error(data.error ?? answer.statusText);
    }
    if (!data.depth.length || data.depth.length === 1) {
      section.querySelector("[data-part=none]").hidden = false;
      section.dataset.state = "empty";
      status.hidden = true;
      return;
    }
    performance.mark("flame-start");
    status.hidden = true;
    section.querySelector("[data-part=body]").hidden = false;
    section.flame = new Flame(section, data);
    requestAnimationFrame(() => requestAnimationFrame(() => {
      performance.measure("flame-drawn", "flame-start");
      section.dataset.state = "drawn";
    }));
  } catch (error) {
    status.textContent = `The flame graph could not be drawn: ${error.message}`;
    status.classList.add("bad");
    section.dataset.state = "failed";
  }
}

for (const section of document.querySelectorAll("section.flame")) start(section);
