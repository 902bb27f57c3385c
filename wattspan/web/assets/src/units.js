// Numbers as a person reads them; the same text as wattspan/quantities.py, to the last digit (tests/web/test_units_js.py).
const WH = [[1e-6, "µWh"], [1e-3, "mWh"], [1, "Wh"], [1e3, "kWh"], [1e6, "MWh"]];
const GRAMS = [[1e-6, "µg"], [1e-3, "mg"], [1, "g"], [1e3, "kg"], [1e6, "t"]];
const SECONDS = [[1e-6, "µs"], [1e-3, "ms"], [1, "s"]];
const EXACT = 60;

// toFixed and toPrecision round the exact value, but a tie away from zero; Python rounds it to even.
function evenOnTie(rounded, kept, rest) {
  return /^50*$/.test(rest) && Number(kept.at(-1)) % 2 === 0 ? kept : rounded;
}

function fixed(value, places) {
  const size = Math.abs(value);
  const exact = size.toFixed(Math.min(100, places + EXACT));
  const end = exact.indexOf(".") + 1 + places;
  const kept = exact.slice(0, places ? end : end - 1);
  const [whole, fraction] = evenOnTie(size.toFixed(places), kept, exact.slice(end)).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return `${value < 0 ? "-" : ""}${grouped}${fraction === undefined ? "" : `.${fraction}`}`;
}

export function digits(value, significant = 3) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  return fixed(value, Math.max(0, significant - 1 - Math.floor(Math.log10(Math.abs(value)))));
}

// So many significant digits, also above the point: 10188 is 10000 by two.
function rounded(value, significant = 3) {
  if (!Number.isFinite(value) || value === 0) return value;
  const [mantissa, power] = Math.abs(value).toExponential(EXACT).split("e");
  const all = mantissa.replace(".", "");
  const kept = all.slice(0, significant);
  const tie = evenOnTie("", kept, all.slice(significant));
  if (!tie) return Number(value.toPrecision(significant));
  return Math.sign(value) * Number(`${kept}e${Number(power) - significant + 1}`);
}

function unitFor(value, units) {
  let found = units[0];
  for (const unit of units) if (Math.abs(value) >= unit[0]) found = unit;
  return found;
}

function scaled(value, units) {
  if (!Number.isFinite(value)) return "–";
  const [size, name] = value === 0 ? units.find((unit) => unit[0] === 1) : unitFor(rounded(value), units);
  return `${digits(rounded(value / size))} ${name}`;
}

function scaledBand(low, high, central, units) {
  if (!Number.isFinite(central)) return "–";
  const [size, name] = unitFor(rounded(central), units);
  return `${digits(rounded(low / size, 2), 2)}–${digits(rounded(high / size, 2), 2)} ${name}`;
}

function seconds(ns) {
  const s = ns / 1e9;
  if (s >= 3600) return `${digits(s / 3600)} h`;
  if (s >= 120) return `${digits(s / 60)} min`;
  return ns >= 1000 ? scaled(s, SECONDS) : "–";
}

function money(usd) {
  if (usd === 0) return "$0";
  if (usd < 0.01) return `${digits(usd * 100)} ¢`;
  return usd < 1 ? `$${digits(usd)}` : `$${fixed(usd, 2)}`;
}

export const text = {
  energy: (kwh) => scaled(kwh * 1000, WH),
  carbon: (g) => `${scaled(g, GRAMS)} CO₂e`,
  cost: money,
  tokens: (n) => `${fixed(n, 0)} tokens`,
  time: seconds,
};

export const band = {
  energy: (low, high, central) => scaledBand(low * 1000, high * 1000, central * 1000, WH),
  carbon: (low, high, central) => `${scaledBand(low, high, central, GRAMS)} CO₂e`,
};

// A share of a whole: what is little is not called nothing, and what is almost all not all.
export function percent(share, places = 1) {
  const least = 10 ** -places;
  if (share > 0 && share * 100 < least) return `< ${fixed(least, places)} %`;
  if (share < 1 && share * 100 > 100 - least) return `> ${fixed(100 - least, places)} %`;
  return `${fixed(share * 100, places)} %`;
}
