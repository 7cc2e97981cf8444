/** `health` blocks against the rest of the file. */
import type { Findings } from '../config/findings.js';
import { keepsPort, type ServiceModel } from '../config/model.js';
import type { Path } from '../config/source.js';
import type { Mode } from '../native.js';
import type { ParsedServerHealth, ParsedServiceHealth } from './schema.js';

/** What of a service's block of the file matters here. */
interface RawService {
  health?: ParsedServiceHealth | undefined;
  servers?: { health?: ParsedServerHealth | undefined }[] | undefined;
}

/** Checks to the VIP need a mode that leaves it in the packet. */
export function checkToVip(
  service: ServiceModel,
  raw: RawService,
  path: Path,
  findings: Findings,
): void {
  const marked = service.protocol === 'fwmark';
  const refuse = (mode: Mode, at: Path) => {
    const message = marked
      ? 'a mark has no one VIP to check'
      : `in mode ${mode} packets to the server have its own address, expected dr or tun`;
    findings.error('ERR_CONFIG_CONFLICT', [...at, 'health', 'toVip'], message);
  };
  const { servers, mode } = service;
  if (
    raw.health?.toVip &&
    servers.length > 0 &&
    (marked || !servers.some((one) => keepsPort(one.mode)))
  ) {
    refuse(mode, path);
  }
  servers.forEach((server, index) => {
    if (!raw.servers?.[index]?.health?.toVip || (keepsPort(server.mode) && !marked)) return;
    refuse(server.mode, [...path, 'servers', index]);
  });
}

const EXPECTED = 'expected nat or fullnat, or checks instead';
const SEEN: readonly Mode[] = ['nat', 'fullnat'];

/** Passive checks need to see how the server answers. */
export function checkPassive(
  service: ServiceModel,
  raw: RawService,
  path: Path,
  findings: Findings,
): void {
  const own = raw.health?.passive !== undefined;
  const anywhere = own || raw.servers?.some(({ health }) => health?.passive !== undefined);
  if (!anywhere) return;
  if (service.protocol === 'udp' || service.protocol === 'sctp') {
    const at = own ? [...path, 'health', 'passive'] : path;
    const has = `${service.protocol.toUpperCase()} has none`;
    const message = `passive checks watch TCP handshakes, and ${has}, expected checks`;
    findings.error('ERR_CONFIG_CONFLICT', at, message);
    return;
  }
  const blind = ({ mode }: { mode: Mode }) => !SEEN.includes(mode);
  const all = service.servers.length > 0 && service.servers.every(blind);
  if (own && all) {
    const at = [...path, 'health', 'passive'];
    findings.error('ERR_CONFIG_CONFLICT', at, `${unseen(service.mode)}, ${EXPECTED}`);
  }
  service.servers.forEach((server, index) => {
    if (!blind(server)) return;
    const at = [...path, 'servers', index];
    if (raw.servers?.[index]?.health?.passive !== undefined) {
      const place = [...at, 'health', 'passive'];
      findings.error('ERR_CONFIG_CONFLICT', place, `${unseen(server.mode)}, ${EXPECTED}`);
    } else if (own && !all) {
      const message = `${unseen(server.mode)}: passive checks leave it out`;
      findings.warning('WARN_CONFIG_PASSIVE_BLIND', at, message);
    }
  });
}

function unseen(mode: Mode): string {
  return `in mode ${mode} the server's SYN-ACKs and resets do not pass the director`;
}
