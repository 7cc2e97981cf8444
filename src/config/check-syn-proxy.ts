/** What a service's SYN proxy asks of it: TCP, and servers whose replies pass the director. */
import type { Mode } from '../native.js';
import type { Findings } from './findings.js';
import type { Model, ServiceModel } from './model.js';
import type { Path } from './source.js';

/** Sequence numbers are shifted both ways, so both ways have to lead through the director. */
export const seesReplies = (mode: Mode) => mode === 'nat' || mode === 'fullnat';

export function checkSynProxy(
  { sync }: Model,
  service: ServiceModel,
  path: Path,
  findings: Findings,
): void {
  if (!service.synProxy) return;
  const at = [...path, 'synProxy'];
  if (service.protocol !== 'tcp') {
    const message = 'a SYN proxy is for TCP only, expected false or protocol: tcp';
    findings.error('ERR_CONFIG_CONFLICT', at, message);
    return;
  }
  if (sync?.protocol === 'ipvs') {
    const message =
      'its connections end with this director: sync.protocol ipvs has no words for them';
    findings.warning('WARN_CONFIG_UNSUPPORTED', at, message);
  }
  const refuse = (mode: Mode, where: Path) => {
    const why = 'a SYN proxy has to see replies';
    const message = `mode ${mode} lets servers answer clients themselves: ${why}, expected nat or fullnat`;
    findings.error('ERR_CONFIG_CONFLICT', where, message);
  };
  service.servers.forEach(({ mode }, index) => {
    if (seesReplies(mode)) return;
    refuse(mode, mode === service.mode ? at : [...path, 'servers', index, 'mode']);
  });
  const sorry = service.health.sorryServer;
  if (sorry && !seesReplies(sorry.mode)) refuse(sorry.mode, [...path, 'health', 'sorryServer']);
}
