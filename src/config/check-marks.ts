/** Checks of `marks`, and of the services that are for marks. */
import { bitsOf, formatCidr, isSix, unusableAs } from './address.js';
import type { Findings } from './findings.js';
import { rulesOf } from './marks.js';
import type { MarkModel, Model, ServiceModel } from './model.js';
import type { Path } from './source.js';

/** `taken`: addresses of the file that no service may have, with what each is. */
export function checkMarks(
  model: Model,
  dropped: ReadonlySet<string>,
  taken: readonly ReadonlyMap<string, string>[],
  findings: Findings,
): void {
  model.marks.forEach((rule, index) => {
    const path = ['marks', index];
    checkAddresses(rule, path, taken, findings);
    const { port } = rule;
    if (
      port !== undefined &&
      !dropped.has('ports') &&
      !model.ports.some((one) => one.name === port)
    ) {
      findings.error('ERR_CONFIG_REFERENCE', [...path, 'port'], `no port is called ${port}`);
    }
    const served = model.services.some((one) => rulesOf(one, [rule]).length > 0);
    if (rule.protocol === 'sctp') {
      const enat = model.services.find(
        (one) => rulesOf(one, [rule]).length > 0 && one.servers.some(({ mode }) => mode === 'enat'),
      );
      if (enat) {
        const message = `service ${enat.name} has servers of mode enat, which takes TCP and UDP`;
        findings.error('ERR_CONFIG_CONFLICT', [...path, 'protocol'], message);
      }
    }
    if (!served && !dropped.has('services')) {
      const message = `no service is for mark ${rule.mark}: the packets are as if unmarked`;
      findings.warning('WARN_CONFIG_NO_MARK', [...path, 'mark'], message);
    }
  });
}

function checkAddresses(
  { to, from }: MarkModel,
  path: Path,
  taken: readonly ReadonlyMap<string, string>[],
  findings: Findings,
): void {
  if (from && isSix(from.address) !== isSix(to.address)) {
    const message = `${formatCidr(from)} is not of the family of ${formatCidr(to)}`;
    findings.error('ERR_CONFIG_IPV6', [...path, 'from'], message);
  }
  if (to.length !== bitsOf(to.address)) return;
  const fault = unusableAs(to.address);
  if (fault) {
    const message = `${to.address} ${fault}, expected a virtual address or a network`;
    findings.error('ERR_CONFIG_VALUE', [...path, 'to'], message);
    return;
  }
  const owner = taken.map((map) => map.get(to.address)).find((one) => one !== undefined);
  if (!owner) return;
  const message = `${to.address} is ${owner}, expected a virtual address of its own`;
  findings.error('ERR_CONFIG_CONFLICT', [...path, 'to'], message);
}

/** Of a service for a mark. */
export function checkMarked(
  service: ServiceModel,
  { marks }: Model,
  path: Path,
  dropped: ReadonlySet<string>,
  findings: Findings,
): void {
  if (rulesOf(service, marks).length === 0 && !dropped.has('marks')) {
    const message = `no rule of marks gives packets mark ${service.listen.port}: the service gets none`;
    findings.warning('WARN_CONFIG_NO_MARK', [...path, 'mark'], message);
  }
  const speaksAsVip = service.localAddresses.length === 0;
  if (speaksAsVip && service.servers.some(({ mode }) => mode === 'enat')) {
    const message = 'mode enat of a service for a mark needs localAddresses to speak from';
    findings.error('ERR_CONFIG_CONFLICT', path, message);
  }
}
