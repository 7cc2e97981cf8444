/**
 * keepalived's `lvs_sync_daemon INTERFACE [INSTANCE] [id N] [maxlen N] [port N] [ttl N] [group A]`
 * as the `sync` block of director.yaml. The instance is not needed: who carries a connection tells
 * of it, whatever VRRP says. Without an id keepalived takes the instance's virtual_router_id.
 */
const KEYS = {
  id: 'syncid',
  maxlen: 'datagram',
  port: 'port',
  ttl: 'ttl',
  group: 'group',
} as const;

/** `idOf`: virtual_router_id of a VRRP instance. Values are judged where director.yaml's are. */
export function syncBlock(
  words: readonly string[],
  idOf: (instance: string) => string | undefined,
): Record<string, unknown> {
  const [name, ...rest] = words;
  const block: Record<string, unknown> = { protocol: 'ipvs', interface: name };
  let instance: string | undefined;
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at] as string;
    const key = KEYS[word as keyof typeof KEYS];
    if (key !== undefined) block[key] = scalar(rest[++at]);
    else if (word === 'inst') instance = rest[++at];
    else instance = word;
  }
  const id = instance === undefined ? undefined : idOf(instance);
  if (block.syncid === undefined && id !== undefined) block.syncid = scalar(id);
  return block;
}

const scalar = (word: string | undefined) => (/^\d+$/.test(word ?? '') ? Number(word) : word);
