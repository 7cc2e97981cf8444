/** Whether scripts can run as the users that they name: only root can become another. Pure. */
import type { Script } from '../health/model.js';
import type { VrrpModel } from '../vrrp/model.js';
import type { Findings } from './findings.js';
import type { Model, ServiceModel } from './model.js';

export function checkScripts(model: Model, findings: Findings): void {
  const { user } = model.director;
  if (user === undefined || user === 'root') return;
  const others = new Set(
    [...model.services.flatMap(scriptsOf), ...vrrpScripts(model.vrrp)].flatMap((script) =>
      script?.user === undefined || script.user === user ? [] : script.user,
    ),
  );
  if (others.size === 0) return;
  findings.error(
    'ERR_CONFIG_CONFLICT',
    ['director', 'user'],
    `a director that goes on as ${user} cannot run scripts as ${[...others].join(', ')}: ` +
      'leave out their user, or director.user',
  );
}

function vrrpScripts({ instances, groups, trackers }: VrrpModel): (Script | undefined)[] {
  return [
    ...[...instances, ...groups].flatMap(({ notify }) => Object.values(notify)),
    ...trackers.map((tracker) => (tracker.type === 'script' ? tracker.script : undefined)),
  ];
}

function scriptsOf({ health, servers }: ServiceModel): (Script | undefined)[] {
  return [
    health.quorumUp,
    health.quorumDown,
    ...servers.flatMap(({ health: { checks, notifyUp, notifyDown } }) => [
      notifyUp,
      notifyDown,
      ...checks.map((check) => (check.type === 'misc' ? check.script : undefined)),
    ]),
  ];
}
