/** Figures for people. */

/** Three digits and a letter: 0, 12.3, 456, 7.89K … */
export function figure(value) {
  if (value === 0) return '0';
  const letters = ['', 'K', 'M', 'G', 'T'];
  let scale = 0;
  let rest = value;
  while (rest >= 999.5 && scale < letters.length - 1) {
    rest /= 1_000;
    scale++;
  }
  if (scale === 0 && Number.isInteger(value)) return String(value);
  const digits = rest >= 99.95 ? 0 : rest >= 9.995 ? 1 : 2;
  return `${rest.toFixed(digits)}${letters[scale]}`;
}

export function duration(seconds) {
  const days = Math.floor(seconds / 86_400);
  const clock = new Date((seconds % 86_400) * 1_000).toISOString().slice(11, 19);
  return days > 0 ? `${days} d ${clock}` : clock;
}

export const endpoint = ({ address, port }) => `${address}:${port}`;

/** Of a service for a mark the port is the mark, and the address says the family. */
export const serviceEnd = ({ protocol, address, port }) =>
  protocol === 'fwmark' ? `${port}${address === '::' ? ' IPv6' : ''}` : `${address}:${port}`;

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}
