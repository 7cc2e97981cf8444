/** An instance's own adverts as frames, and its judgement of others'. */
import type { PortModel } from '../config/model.js';
import type { Advert, Seal } from '../native.js';
import { type Arrived, advertFrame, linkLocal, virtualMac } from './frame.js';
import { groupOf, type InstanceModel, isSix } from './model.js';
import {
  type Advertisement,
  decode,
  encode,
  type Fault,
  isV6,
  passwordBytes,
  VRRP_TTL,
} from './packet.js';
import {
  AUTH_AH,
  emptyTrailer,
  hasTrailer,
  type Opened,
  openAh,
  openTrailer,
  type Replays,
  TRAILER_BYTES,
} from './seal.js';

/** Where an instance lives. */
export interface Place {
  /** Index of its port. */
  port: number;
  mac: Uint8Array;
  /** What its adverts come from. */
  address: string;
}

/** `macs`: of the ports, in their order. */
export function placeOf(
  instance: InstanceModel,
  ports: readonly PortModel[],
  macs: readonly Uint8Array[],
): Place {
  const port = ports.findIndex(({ name }) => name === instance.port);
  const mac = macs[port] as Uint8Array;
  const own = ports[port]?.addresses.map(({ address }) => address) ?? [];
  const found = isSix(instance) ? sourceV6(instance, own, mac) : own.find((one) => !isV6(one));
  return { port, mac, address: instance.sourceAddress ?? (found as string) };
}

/** Adverts come from the link-local address (RFC 9568 section 5.1.2.1), unless peers are elsewhere. */
function sourceV6({ unicastPeers: [peer] }: InstanceModel, own: string[], mac: Uint8Array): string {
  const far = peer !== undefined && !isLinkLocal(peer);
  const given = own.find((one) => isV6(one) && isLinkLocal(one) !== far);
  return given ?? linkLocal(mac);
}

const isLinkLocal = (address: string) => /^fe[89ab]/i.test(address);

/** What the addresses are told with. */
export function sourceMac(instance: InstanceModel, place: Place): Uint8Array {
  return instance.virtualMac ? virtualMac(instance.vrid, isV6(place.address)) : place.mac;
}

/** `macOf`: of a unicast peer; undefined while it is not known: then everybody hears it. */
export function adverts(
  instance: InstanceModel,
  place: Place,
  priority: number,
  macOf: (peer: string) => Uint8Array | undefined,
  seal?: Seal,
): Advert {
  const peers = instance.unicastPeers;
  const trailer = seal?.kind === 'trailer' ? emptyTrailer() : undefined;
  const frames = (own: number) =>
    (peers.length > 0 ? peers : [groupOf(instance)]).map((destination) => {
      const around = { source: place.address, destination };
      return advertFrame({
        sourceMac: instance.xmitBase ? place.mac : sourceMac(instance, place),
        targetMac: peers.length > 0 ? (macOf(destination) ?? EVERYBODY) : undefined,
        ...around,
        payload: encode(message(instance, own), around, !instance.plainChecksum, trailer),
        ah: seal?.kind === 'ah',
      });
    });
  return {
    port: place.port,
    intervalUs: instance.intervalMs * 1000,
    frames: frames(priority),
    farewell: frames(0),
    ...(seal && { seal }),
  };
}

const EVERYBODY = new Uint8Array(6).fill(0xff);

function message(instance: InstanceModel, priority: number): Advertisement {
  const { version, vrid, intervalMs, addresses } = instance;
  return { version, vrid, priority, intervalMs, addresses, auth: authentication(instance) };
}

/** Version 2's own: AH leaves its eight bytes empty. */
function authentication({ ah, password }: InstanceModel): Advertisement['auth'] {
  if (ah) return { type: AUTH_AH, data: passwordBytes('') };
  return password === undefined ? undefined : { type: 1, data: passwordBytes(password) };
}

export type Judgement =
  /** `sequence`: of its seal. */
  | { message: Advertisement; remark?: string; sequence?: number }
  | { fault: Fault; detail: string | undefined };

/** What authenticates the others' adverts, and which of them have come. */
export interface Guard {
  seal: Seal | undefined;
  replays: Replays;
}

/** Whether an instance believes an advert that bears its router ID. */
export function judge(
  instance: InstanceModel,
  place: Place,
  arrived: Arrived,
  guard: Guard,
): Judgement {
  const bad = (fault: Fault, detail?: string): Judgement => ({ fault, detail });
  const { source, destination } = arrived;
  if (source === place.address) return bad('own');
  const unicast = instance.unicastPeers.length > 0;
  // Unicast may have crossed routers; its sender is known by its address.
  const ttl = unicast ? VRRP_TTL : arrived.ttl;
  const { seal, replays } = guard;
  const trailed = hasTrailer(arrived.payload);
  if (trailed && seal?.kind !== 'trailer')
    return bad('auth', 'an HMAC trailer, and no hmacKey here');
  const trailer = trailed ? TRAILER_BYTES : 0;
  const decoded = decode(arrived.payload, { ...arrived, ttl }, !instance.plainChecksum, trailer);
  if ('fault' in decoded) return bad(decoded.fault, decoded.detail);
  const { message: heard } = decoded;
  if (heard.version !== instance.version) {
    return bad('version', `${heard.version}, ours is ${instance.version}`);
  }
  if (unicast ? !instance.unicastPeers.includes(source) : destination !== groupOf(instance)) {
    return bad('source', `${source} to ${destination}`);
  }
  const opened = unseal(arrived, seal);
  if ('wrong' in opened) return bad('auth', `${opened.wrong}, from ${source}`);
  if (!authentic(instance, heard)) return bad('auth', `type ${heard.auth?.type} from ${source}`);
  const { sequence } = opened;
  if (sequence !== undefined && !replays.accepts(source, sequence)) {
    return bad('replay', `${sequence} from ${source}`);
  }
  if (heard.version === 2 && heard.intervalMs !== instance.intervalMs) {
    const [mine, theirs] = [instance.intervalMs / 1000, heard.intervalMs / 1000];
    return bad('interval', `mine=${mine} sec rcved'd=${theirs} sec`);
  }
  if (heard.version === 3 && heard.intervalMs === 0) return bad('interval', '0');
  const different = difference(instance.addresses, heard.addresses);
  const good = { message: heard, ...(sequence !== undefined && { sequence }) };
  if (different === undefined || heard.priority === 0) return good;
  return heard.version === 2 || instance.strict
    ? bad('addresses', different)
    : { ...good, remark: different };
}

function unseal(arrived: Arrived, seal: Seal | undefined): Opened | { sequence?: undefined } {
  const { ah, payload } = arrived;
  if (seal?.kind === 'ah') return ah ? openAh(ah, seal.key) : { wrong: 'no AH header' };
  if (ah) return { wrong: 'an AH header, and no ah here' };
  return seal ? openTrailer(payload, arrived, seal.key) : {};
}

function authentic(instance: InstanceModel, { auth }: Advertisement): boolean {
  if (instance.version === 3) return true;
  const { type, data } = authentication(instance) ?? { type: 0 };
  if (auth?.type !== type) return false;
  return type !== 1 || Buffer.compare(auth.data, data as Uint8Array) === 0;
}

function difference(ours: readonly string[], theirs: readonly string[]): string | undefined {
  const missing = ours.filter((one) => !theirs.includes(one));
  const extra = theirs.filter((one) => !ours.includes(one));
  if (missing.length + extra.length === 0) return undefined;
  return [...missing.map((one) => `-${one}`), ...extra.map((one) => `+${one}`)].join(' ');
}
