/** Which service a flow's first packet is for, as the workers find it (native/engine/snapshot.h). */
import { isMarked, type MarkedFlow, ruleFor, rulesOf } from './config/marks.js';
import type { Model, ServiceModel } from './config/model.js';

/** FTP's own port, that of its active data connections, and the first that passive ones have. */
const FTP = { control: 21, data: 20, passive: 1_024 };

/**
 * Index into the services, or -1: that of the packet's mark, else of the very port, else a persistent FTP service whose client
 * may have been told the port, else one for any port.
 */
export function servingIndex({ services, marks }: Model, flow: MarkedFlow): number {
  const rule = ruleFor(flow, marks);
  const marked = rule ? services.findIndex((one) => rulesOf(one, [rule]).length > 0) : -1;
  if (marked >= 0) return marked;
  const { protocol, to } = flow;
  const at = (port: number) =>
    services.findIndex(
      ({ listen, protocol: own }) =>
        own === protocol && listen.address === to.address && listen.port === port,
    );
  const own = at(to.port);
  if (own >= 0) return own;
  const isData = protocol === 'tcp' && (to.port === FTP.data || to.port >= FTP.passive);
  const ftp = isData ? at(FTP.control) : -1;
  return services[ftp]?.persistence ? ftp : at(0);
}

/**
 * The port that a flow's packets have at a server: that of the server, unless it has none or the
 * service's persistence spans ports (as LVS).
 */
export function portAtServer(
  service: Pick<ServiceModel, 'protocol' | 'listen' | 'persistence'>,
  server: number,
  port: number,
): number {
  const { listen, persistence } = service;
  const wide = isMarked(service) || listen.port === 0;
  const own = wide ? persistence === null : listen.port === port;
  return own && server !== 0 ? server : port;
}
