/** Hands frames to Debian's python3-scapy as a pcap and brings back what it dissected. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { concat } from './bytes.js';

export interface ScapyIp {
  /** 'ip', 'ip.inner', 'ip.quote', … */
  at: string;
  src: string;
  dst: string;
  ttl: number;
  id: number;
  tos: number;
  len: number;
  ihl: number;
  flags: string;
  frag: number;
  proto: number;
  options: { kind: number; raw: string }[];
  tcp?: {
    sport: number;
    dport: number;
    seq: number;
    ack: number;
    flags: string;
    doff: number;
    window: number;
    options: [string, unknown][];
  };
  udp?: { sport: number; dport: number; len: number };
  icmp?: { type: number; code: number; mtu: number };
  /** Checksums that do not verify: 'ip', 'tcp', 'udp', 'sctp', 'icmp'. */
  bad: string[];
}

export interface ScapyPacket {
  file: string;
  dst: string;
  src: string;
  type: number;
  /** The IPv4 packet and those inside it. */
  ip: ScapyIp[];
  arp?: { op: number; hwsrc: string; psrc: string; hwdst: string; pdst: string };
  /** Scapy's own layering. */
  layers: string[];
}

/** Debian's own interpreter: python3-scapy is installed for that one. */
const PYTHON = '/usr/bin/python3';
const SCRIPT = fileURLToPath(new URL('./scapy_check.py', import.meta.url));

export function scapyMissing(): string | undefined {
  if (!existsSync(PYTHON)) return 'no Debian python3';
  try {
    execFileSync(PYTHON, ['-c', 'import scapy.all'], { stdio: 'ignore', timeout: 60_000 });
    return undefined;
  } catch {
    return 'python3-scapy is not installed';
  }
}

/** A classic pcap file, microseconds, Ethernet; a second between frames does for the dissector. */
export function pcapFile(frames: Uint8Array[]): Uint8Array {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(262144, 16);
  header.writeUInt32LE(1, 20);
  return concat(
    header,
    ...frames.flatMap((frame, index) => {
      const record = Buffer.alloc(16);
      record.writeUInt32LE(index, 0);
      record.writeUInt32LE(frame.length, 8);
      record.writeUInt32LE(frame.length, 12);
      return [record, frame];
    }),
  );
}

/** What scapy sees in each frame. */
export function scapy(frames: Uint8Array[]): ScapyPacket[] {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-scapy-'));
  try {
    const file = join(folder, 'frames.pcap');
    writeFileSync(file, pcapFile(frames));
    const text = execFileSync(PYTHON, [SCRIPT, file], {
      encoding: 'utf8',
      maxBuffer: 256 << 20,
      timeout: 120_000,
    });
    const packets = text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as ScapyPacket);
    if (packets.length !== frames.length) {
      throw new Error(`scapy read ${packets.length} of ${frames.length} packets`);
    }
    return packets;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** `frame 3 ip.quote: bad tcp` for every checksum scapy finds wrong. */
export function scapyBadChecksums(packets: ScapyPacket[]): string[] {
  return packets.flatMap((packet, index) =>
    packet.ip
      .filter((ip) => ip.bad.length > 0)
      .map((ip) => `frame ${index} ${ip.at}: bad ${ip.bad.join(', ')}`),
  );
}
