/** The table on stdout. */
import { dpvsNs, targetNs } from './reference.js';
import type { ForwardResult } from './scenario.js';

const COLUMNS = ['ns/packet', '± MAD', 'floor', 'cycles', 'DPVS', 'target'];

function line(name: string, cells: string[]): string {
  return `${name.padEnd(44)}${cells.map((cell) => cell.padStart(10)).join('')}\n`;
}

export function tableHead(): string {
  return line('', COLUMNS);
}

export function resultLine(result: ForwardResult): string {
  const { mode, protocol, flows, bytes, direction } = result;
  const name = `${mode} ${protocol} ${direction}, ${flows} flows, ${bytes} B`;
  return line(name, [
    result.nsPerPacket.toFixed(1),
    result.madNs.toFixed(1),
    result.floorNs.toFixed(1),
    result.cyclesPerPacket.toFixed(0),
    String(dpvsNs(result) ?? '–'),
    String(targetNs(result) ?? '–'),
  ]);
}
