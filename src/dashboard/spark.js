/** Small lines of what was, newest at the right. */

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 100;
const HEIGHT = 28;
/** Two minutes at one look every two seconds. */
const KEPT = 60;

/** What has been seen of many things, by their keys. */
export class Past {
  #values = new Map();

  add(key, value) {
    const values = this.#values.get(key) ?? [];
    values.push(value);
    if (values.length > KEPT) values.shift();
    this.#values.set(key, values);
    return values;
  }

  /** Things that are no more are forgotten. */
  keep(keys) {
    for (const key of this.#values.keys()) if (!keys.has(key)) this.#values.delete(key);
  }
}

export function spark(label) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'spark');
  svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', label);
  for (const name of ['area', 'line']) {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('class', name);
    svg.append(path);
  }
  return svg;
}

/** The scale is each line's own, from 0. */
export function draw(svg, values) {
  const most = Math.max(...values, 1e-9);
  const step = WIDTH / (KEPT - 1);
  const first = KEPT - values.length;
  const points = values.map((value, at) => {
    const y = HEIGHT - 1.5 - (value / most) * (HEIGHT - 4);
    return `${((first + at) * step).toFixed(2)} ${y.toFixed(2)}`;
  });
  const line = points.length > 1 ? `M${points.join('L')}` : '';
  const [area, stroke] = svg.children;
  stroke.setAttribute('d', line);
  area.setAttribute('d', line && `${line}V${HEIGHT}H${(first * step).toFixed(2)}Z`);
}
