// Energy and carbon over time, from /api/timeline.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { text } from "./units.js";

const COLOURS = 7;
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Each series stands on those before it, so that the top edge is the whole.
function stacked(series) {
  const sums = new Array(series[0]?.values.length ?? 0).fill(0);
  return series.map(({ values }) => values.map((value, at) => (sums[at] += value)));
}

function draw(host, data, axis) {
  const say = axis === "carbon" ? text.carbon : text.energy;
  const series = data.series.map((one) => ({ name: one.name, values: one[axis] }));
  const levels = stacked(series);
  const colour = (at) => css(`--bar-${Math.min(at, COLOURS - 1)}`);
  const dim = css("--dim"), line = css("--line");
  const width = Math.max(200, host.clientWidth);
  const bars = uPlot.paths.bars({ size: [0.8, 90] });
  host.replaceChildren();
  // Days far apart stand side by side: most of a true axis would be empty.
  const { times, step_s: step } = data;
  const isSparse = times.length < 2 || (times.at(-1) - times[0]) / step > 3 * times.length;
  const day = (at) => new Date(at * 1e3).toISOString().slice(0, step < 86400 ? 16 : 10).replace("T", " ");
  const x = isSparse ? times.map((_, at) => at) : times;
  // A moment's name is about 120 pixels wide: where bars stand closer, only every nth is named.
  const every = Math.max(1, Math.ceil((times.length * 120) / Math.max(120, width - 82)));
  const grid = { stroke: line, width: 1 };
  new uPlot(
    {
      width,
      height: 250,
      cursor: { y: false },
      legend: { live: true },
      scales: { x: { time: !isSparse, range: (u, low, high) => (isSparse ? [-0.7, times.length - 0.3] : [low - step / 2, high + step / 2]) }, y: { range: (u, low, high) => [0, high > 0 ? high * 1.08 : 1] } },
      tzDate: (ts) => uPlot.tzDate(new Date(ts * 1e3), "UTC"),
      axes: [
        { stroke: dim, grid: { show: false }, ticks: { stroke: line }, ...(isSparse && { splits: () => x, values: (u, at) => at.map((one) => (one % every ? null : day(times[one]))) }) },
        { stroke: dim, grid, ticks: { show: false }, size: 82, values: (u, ticks) => ticks.map(say) },
      ],
      series: [
        { label: "time (UTC)", value: (u, at) => (at == null ? "–" : day(isSparse ? times[at] : at)) },
        // The highest is drawn first, so that the ones it stands on are seen.
        ...series
          .map((one, at) => ({ label: one.name, fill: colour(at), stroke: colour(at), width: 0, paths: bars, points: { show: false }, value: (u, level, s, row) => (row == null ? "–" : say(one.values[row])) }))
          .reverse(),
      ],
    },
    [x, ...levels.reverse()],
    host,
  );
  host.dataset.state = "drawn";
}

async function start(host) {
  const card = host.closest("section");
  try {
    const answer = await fetch(host.dataset.source, { headers: { Accept: "application/json" } });
    const data = await answer.json();
    if (!answer.ok) throw new Error(data.error ?? answer.statusText);
    if (!data.times.length) { host.dataset.state = "empty"; host.textContent = "No calls in this period."; return; }
    let axis = "energy";
    const again = () => draw(host, data, axis);
    for (const button of card.querySelectorAll("[data-axis]")) {
      button.addEventListener("click", () => {
        axis = button.dataset.axis;
        for (const other of card.querySelectorAll("[data-axis]")) other.setAttribute("aria-checked", String(other === button));
        again();
      });
    }
    again();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    let width = host.clientWidth;
    new ResizeObserver(() => { if (host.clientWidth !== width) { width = host.clientWidth; again(); } }).observe(host);
  } catch (error) {
    host.dataset.state = "failed";
    host.textContent = `The chart could not be drawn: ${error.message}`;
  }
}

for (const host of document.querySelectorAll(".chart-time")) start(host);
