/** Entries of threads. */

/**
 * `name`: a module beside `url`, without its ending. In a checkout that runs from its sources a
 * thread has to be told how to read them.
 */
export function threadEntry(name: string, url: string): URL {
  if (!url.endsWith('.ts')) return new URL(`${name}.js`, url);
  const entry = new URL(`${name}.ts`, url);
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const code = `import { register } from ${loader}; register(); await import(${JSON.stringify(entry.href)});`;
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
}

/**
 * Makes this thread's environment plain data. As Node has it each look goes to a store behind a lock,
 * and the YAML reader looks for a variable of its own at every token: a tenth of the time that a
 * large file takes.
 */
export function plainEnvironment(): void {
  process.env = { ...process.env };
}
