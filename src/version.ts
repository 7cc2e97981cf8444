import { readFileSync } from 'node:fs';

/** From package.json: one directory up, from src/ as from dist/. */
export const VERSION: string = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  }
).version;
