/** A plot as PNG, for places that show no SVG. */
import { existsSync } from 'node:fs';
import { Resvg } from '@resvg/resvg-js';
import { BenchError } from './errors.js';

/** Named, so that the same plot gives the same picture on every machine (fonts-dejavu-core). */
const FONTS = ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'].map(
  (name) => `/usr/share/fonts/truetype/dejavu/${name}`,
);

/** At twice the plot's size. Throws ERR_BENCH_FONT: without a font no text would be drawn. */
export function pngOf(svg: string): Uint8Array {
  for (const font of FONTS) {
    if (existsSync(font)) continue;
    const message = `${font} is not there: npm run build installs it (fonts-dejavu-core)`;
    throw new BenchError('ERR_BENCH_FONT', message);
  }
  const picture = new Resvg(svg, {
    fitTo: { mode: 'zoom', value: 2 },
    font: { fontFiles: FONTS, loadSystemFonts: false, defaultFontFamily: 'DejaVu Sans' },
  });
  return picture.render().asPng();
}
