// Numbers as a person reads them; the same digits as wattspan/quantities.py.
const WH = [[1e-6, "µWh"], [1e-3, "mWh"], [1, "Wh"], [1e3, "kWh"], [1e6, "MWh"]];
const GRAMS = [[1e-6, "µg"], [1e-3, "mg"], [1, "g"], [1e3, "kg"], [1e6, "t"]];
const SECONDS = [[1e-6, "µs"], [1e-3, "ms"], [1, "s"]];

export function digits(value, significant = 3) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const places = Math.max(0, significant - 1 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en-GB", {
    minimumFractionDigits: Math.min(places, 20),
    maximumFractionDigits: Math.min(places, 20),
  });
}

// So many significant digits, also above the point: 10188 is 10000 by two.
function rounded(value, significant = 3) {
  return Number.isFinite(value) && value !== 0 ? Number(value.toPrecision(significant)) : value;
}

function unitFor(value, units) {
  let found = units[0];
  for (const unit of units) if (Math.abs(value) >= unit[0]) found = unit;
  return found;
}

function scaled(value, units) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return `0 ${units === GRAMS ? "g" : units === WH ? "Wh" : "s"}`;
  const [size, name] = unitFor(rounded(value), units);
  return `${digits(rounded(value / size))} ${name}`;
}

function scaledBand(low, high, central, units) {
  const [size, name] = unitFor(rounded(central), units);
  return `${digits(rounded(low / size, 2), 2)}–${digits(rounded(high / size, 2), 2)} ${name}`;
}

function seconds(ns) {
  const s = ns / 1e9;
  if (s >= 3600) return `${digits(s / 3600)} h`;
  return s >= 120 ? `${digits(s / 60)} min` : scaled(s, SECONDS);
}

export const text = {
  energy: (kwh) => scaled(kwh * 1000, WH),
  carbon: (g) => `${scaled(g, GRAMS)} CO₂e`,
  cost: (usd) => (usd === 0 ? "$0" : usd < 0.01 ? `${digits(usd * 100)} ¢` : `$${usd < 1 ? digits(usd) : usd.toLocaleString("en-GB", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`),
  tokens: (n) => `${Math.round(n).toLocaleString("en-GB")} tokens`,
  time: (ns) => seconds(ns),
};

export const band = {
  energy: (low, high, central) => scaledBand(low * 1000, high * 1000, central * 1000, WH),
  carbon: (low, high, central) => `${scaledBand(low, high, central, GRAMS)} CO₂e`,
};

export const percent = (share) => (share > 0 && share < 0.001 ? "< 0.1 %" : `${digits(share * 100, share >= 0.1 ? 3 : 2)} %`);
