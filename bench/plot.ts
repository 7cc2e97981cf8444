/** A log-log line plot as plain SVG. */

export interface Series {
  name: string;
  /** Series of one group have one colour. */
  group: string;
  dashed: boolean;
  points: { x: number; y: number }[];
}

export interface Plot {
  title: string;
  series: Series[];
  /** Horizontal lines across the plot. */
  lines: { name: string; y: number }[];
  xName(x: number): string;
}

const WIDTH = 860;
const HEIGHT = 460;
const AREA = { left: 60, right: 600, top: 40, bottom: 420 };
// Distinguishable without colour vision as well (Okabe and Ito).
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** 1, 2 and 5 times powers of ten within the range. */
function ticks(low: number, high: number): number[] {
  const found: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) {
    for (const factor of [1, 2, 5]) {
      const tick = power * factor;
      if (tick >= low && tick <= high) found.push(tick);
    }
  }
  return found;
}

function scale(low: number, high: number, from: number, to: number): (value: number) => number {
  const span = Math.log(high / low) || 1;
  return (value) => from + (Math.log(value / low) / span) * (to - from);
}

export function logPlot(plot: Plot): string {
  const drawn = plot.series.filter(({ points }) => points.length > 0);
  const all = drawn.flatMap(({ points }) => points);
  if (all.length === 0) return '<svg xmlns="http://www.w3.org/2000/svg"/>\n';
  const xs = [...new Set(all.map(({ x }) => x))].sort((a, b) => a - b);
  const ys = [...all.map(({ y }) => y), ...plot.lines.map(({ y }) => y)];
  const low = Math.min(...ys) * 0.85;
  const high = Math.max(...ys) * 1.15;
  const x = scale(xs[0]!, xs.at(-1)!, AREA.left + 20, AREA.right - 20);
  const y = scale(low, high, AREA.bottom, AREA.top);
  const groups = [...new Set(drawn.map(({ group }) => group))];
  const colourOf = (group: string) => COLOURS[groups.indexOf(group) % COLOURS.length]!;
  const parts: string[] = [];
  const text = (at: number, down: number, content: string, more = '') =>
    parts.push(
      `<text x="${at.toFixed(1)}" y="${down.toFixed(1)}" ${more}>${escaped(content)}</text>`,
    );
  const rule = (y1: number, colour: string, more = '') =>
    parts.push(
      `<line x1="${AREA.left}" x2="${AREA.right}" y1="${y1.toFixed(1)}" y2="${y1.toFixed(1)}" stroke="${colour}" ${more}/>`,
    );

  text(AREA.left, 22, plot.title, 'font-size="15" font-weight="bold"');
  for (const tick of ticks(low, high)) {
    rule(y(tick), '#ddd');
    text(AREA.left - 8, y(tick) + 4, String(tick), 'text-anchor="end"');
  }
  for (const value of xs) {
    text(x(value), AREA.bottom + 20, plot.xName(value), 'text-anchor="middle"');
  }
  for (const { name, y: at } of plot.lines) {
    rule(y(at), '#888', 'stroke-dasharray="2 3"');
    text(AREA.left + 6, y(at) - 5, name, 'fill="#666"');
  }
  drawn.forEach(({ name, group, dashed, points }, index) => {
    const colour = colourOf(group);
    const dash = dashed ? 'stroke-dasharray="6 4"' : '';
    const sorted = [...points].sort((a, b) => a.x - b.x);
    const path = sorted.map((p) => `${x(p.x).toFixed(1)},${y(p.y).toFixed(1)}`).join(' ');
    parts.push(
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2" ${dash}/>`,
    );
    for (const p of sorted) {
      const fill = dashed ? '#fff' : colour;
      parts.push(
        `<circle cx="${x(p.x).toFixed(1)}" cy="${y(p.y).toFixed(1)}" r="3.5" fill="${fill}" stroke="${colour}"/>`,
      );
    }
    const at = AREA.top + 10 + index * 22;
    const from = AREA.right + 20;
    parts.push(
      `<line x1="${from}" x2="${from + 30}" y1="${at}" y2="${at}" stroke="${colour}" stroke-width="2" ${dash}/>`,
    );
    text(from + 38, at + 4, name);
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">
<title>${escaped(plot.title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
${parts.join('\n')}
</svg>
`;
}
