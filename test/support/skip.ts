/**
 * A test that can't run on this machine says so by name. The runner collects the line, counts it
 * and lists it at the end, so that nothing is left out silently.
 */
export const SKIP_MARK = '::skip::';

export function skip(name: string, reason: string): void {
  process.stdout.write(`\n${SKIP_MARK} ${JSON.stringify({ name, reason })}\n`);
}
