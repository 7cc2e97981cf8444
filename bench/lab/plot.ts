/** Points on a line for each contestant: its figures as multiples of testpmd's. */
import { escaped } from '../plot.js';

export interface Row {
  name: string;
  points: { series: string; x: number }[];
}

const ROW = 24;
const AREA = { left: 210, right: 820, top: 64 };
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7'];

export function ratioPlot(title: string, rows: readonly Row[], least: number): string {
  const series = [...new Set(rows.flatMap(({ points }) => points.map((point) => point.series)))];
  const most = Math.max(1.2, ...rows.flatMap(({ points }) => points.map(({ x }) => x))) * 1.05;
  const x = (value: number) => AREA.left + (value / most) * (AREA.right - AREA.left);
  const y = (index: number) => AREA.top + (index + 0.5) * ROW;
  const bottom = AREA.top + rows.length * ROW;
  const parts: string[] = [];
  const text = (at: number, down: number, content: string, more = '') =>
    parts.push(`<text x="${at.toFixed(1)}" y="${down}" ${more}>${escaped(content)}</text>`);
  const upright = (at: number, more: string) =>
    parts.push(
      `<line x1="${at.toFixed(1)}" x2="${at.toFixed(1)}" y1="${AREA.top}" y2="${bottom}" ${more}/>`,
    );
  const dot = (at: number, down: number, name: string) =>
    parts.push(
      `<circle cx="${at.toFixed(1)}" cy="${down}" r="4.5" fill="${COLOURS[series.indexOf(name) % COLOURS.length]}"/>`,
    );

  text(12, 22, title, 'font-size="15" font-weight="bold"');
  series.forEach((name, index) => {
    dot(AREA.left + index * 120, 42, name);
    text(AREA.left + index * 120 + 10, 46, name);
  });
  const step = most > 4 ? 1 : 0.5;
  for (let tick = 0; tick <= most; tick += step) {
    upright(x(tick), 'stroke="#ddd"');
    text(x(tick), bottom + 18, String(tick), 'text-anchor="middle"');
  }
  upright(x(1), 'stroke="#444"');
  upright(x(least), 'stroke="#888" stroke-dasharray="2 3"');
  rows.forEach(({ name, points }, index) => {
    text(AREA.left - 10, y(index) + 4, name, 'text-anchor="end"');
    for (const point of points) dot(x(point.x), y(index), point.series);
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="860" height="${bottom + 34}" viewBox="0 0 860 ${bottom + 34}" font-family="sans-serif" font-size="12">
<title>${escaped(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
${parts.join('\n')}
</svg>
`;
}
