/** Everything but the services: figures, losses, workers, ports, VRRP, changes, alerts. */
import { el, keyed, rows, show, text } from './dom.js';
import { duration, figure, plural } from './format.js';
import { draw, Past, spark } from './spark.js';

const $ = (id) => document.getElementById(id);
const past = new Past();
/** A worker that has not come round for so long is stalled. */
const STALL_US = 100_000;
const FULL = 0.9;
/** Percent of its time. */
const BUSY = 95;
const CHANGES = 10;

/** A second, of counters that may have been set back; nothing to compare with is 0. */
export function rate(now, before, seconds) {
  return before === undefined || seconds <= 0 ? 0 : Math.max(0, now - before) / seconds;
}

export function showDirector({ status: state, name, uptimeSeconds, generation, version, edits }) {
  document.title = `${name} · Sluice`;
  const facts = [
    name,
    state,
    `up ${duration(uptimeSeconds)}`,
    `generation ${generation}`,
    `version ${version}`,
  ];
  if (edits.length > 0) facts.push(`${plural(edits.length, 'edit')} since the file was read`);
  keyed(
    $('director'),
    facts.map((fact, at) => ({ fact, at })),
    ({ at }) => String(at),
    () => el('span'),
    (node, { fact, at }) => {
      text(node, fact);
      node.className =
        at === 0 ? 'strong' : at === 1 ? `pill ${state === 'ready' ? 'good' : 'warn'}` : '';
    },
  );
}

export function showTiles({ now, before, seconds }) {
  const { status, ports, drops } = now;
  const sum = (look, key) => look?.ports.reduce((total, port) => total + port[key], 0);
  const perSecond = (key) => rate(sum(now, key), sum(before, key), seconds);
  const lost = ({ ends }) =>
    ends.filter(({ kind }) => kind === 'dropped').reduce((total, { count }) => total + count, 0);
  const tiles = [
    { name: 'In', value: perSecond('rxPackets'), unit: 'pkt/s' },
    { name: 'Out', value: perSecond('txPackets'), unit: 'pkt/s' },
    { name: 'In', value: 8 * perSecond('rxBytes'), unit: 'bit/s' },
    { name: 'Out', value: 8 * perSecond('txBytes'), unit: 'bit/s' },
    { name: 'New connections', value: status.totals.rates.cps, unit: 'a second' },
    { name: 'Connections', value: status.connections, unit: `of ${figure(status.maxConnections)}` },
    {
      name: 'Dropped',
      value: rate(lost(drops), before && lost(before.drops), seconds),
      unit: 'pkt/s',
      bad: true,
    },
  ];
  if (ports.length === 0) tiles.splice(0, 4);
  keyed(
    $('tiles'),
    tiles,
    ({ name, unit }) => `${name} ${unit.replace(/^of .*/, 'of')}`,
    ({ name }) =>
      el(
        'div.tile',
        {},
        el('h3', {}, name),
        el('p', {}, el('strong'), ' ', el('small')),
        spark(name),
      ),
    (node, { name, unit, value, bad }) => {
      text(node.querySelector('strong'), figure(value));
      text(node.querySelector('small'), unit);
      node.classList.toggle('alarm', Boolean(bad) && value > 0);
      draw(node.querySelector('svg'), past.add(`${name} ${unit.slice(0, 2)}`, value));
    },
  );
}

export function showEnds({ now, before, seconds }) {
  const { ends, extra } = now.drops;
  const earlier = new Map(before?.drops.ends.map(({ name, count }) => [name, count]));
  const kinds = ['forwarded', 'answered', 'punted', 'dropped'].map((kind) => ({
    kind,
    count: ends.filter((end) => end.kind === kind).reduce((total, { count }) => total + count, 0),
  }));
  const all = kinds.reduce((total, { count }) => total + count, 0);
  const said = {
    forwarded: 'forwarded',
    answered: 'answered',
    punted: 'to the kernel',
    dropped: 'dropped',
  };
  keyed(
    $('ends'),
    kinds,
    ({ kind }) => kind,
    ({ kind }) =>
      el(
        'div.end',
        {},
        el('span.name', {}, said[kind]),
        el(`meter.${kind}`, { min: 0, max: 1, 'aria-label': said[kind] }),
        el('span.number'),
      ),
    (node, { count }) => {
      node.querySelector('meter').value = all === 0 ? 0 : count / all;
      text(node.querySelector('.number'), figure(count));
    },
  );
  const losses = ends
    .filter(({ kind, count }) => kind === 'dropped' && count > 0)
    .map((end) => ({ ...end, rate: rate(end.count, earlier.get(end.name), seconds) }))
    .concat(
      Object.entries(extra)
        .filter(([name, count]) => name.startsWith('evicted_') && count > 0)
        .map(([name, count]) => ({
          name,
          count,
          help: 'Connections that gave way to new ones.',
          rate: rate(count, before?.drops.extra[name], seconds),
        })),
    )
    .sort((a, b) => b.rate - a.rate || b.count - a.count);
  rows(
    $('drops'),
    losses,
    ({ name }) => name,
    ({ name, count, help, rate: now }) => [
      { text: name, class: 'mono' },
      { text: figure(now), class: now > 0 ? 'bad-text' : '' },
      figure(count),
      { text: help, class: 'quiet wrap' },
    ],
  );
  show($('drops').parentElement, losses.length > 0);
  show($('no-drops'), losses.length === 0);
}

export function showWorkers({ workers }) {
  rows(
    $('workers'),
    workers.map((worker, index) => ({ ...worker, index })),
    ({ index }) => String(index),
    ({ index, cpu, lagUs, load }) => [
      String(index),
      String(cpu),
      { text: `${load} %`, class: load >= BUSY ? 'bad-text' : '' },
      lagUs < 1_000 ? `${figure(Math.round(lagUs))} µs ago` : `${figure(lagUs / 1_000)} ms ago`,
      lagUs > STALL_US
        ? { text: 'stalled', class: 'pill bad' }
        : { text: 'polling', class: 'pill good' },
    ],
  );
}

export function showPorts({ now, before, seconds }) {
  const earlier = new Map(before?.ports.map((port) => [port.name, port]));
  rows(
    $('ports'),
    now.ports,
    ({ name }) => name,
    (port) => {
      const old = earlier.get(port.name);
      const per = (key) => rate(port[key], old?.[key], seconds);
      const missed = port.rxMissed + port.rxNoMbuf;
      return [
        { text: port.name, class: 'strong' },
        port.up ? { text: 'up', class: 'pill good' } : { text: 'down', class: 'pill bad' },
        {
          text: port.device,
          class: 'mono',
          title: `${port.mac}, MTU ${port.mtu}${port.twin && `, twin ${port.twin}`}`,
        },
        { text: port.addresses.join(' ') || '–', class: 'mono' },
        figure(per('rxPackets')),
        figure(per('txPackets')),
        figure(8 * per('rxBytes')),
        figure(8 * per('txBytes')),
        { text: figure(missed), class: missed > 0 ? 'bad-text' : '' },
        { text: figure(port.txErrors), class: port.txErrors > 0 ? 'bad-text' : '' },
      ];
    },
  );
}

const VRRP_KINDS = { MASTER: 'good', BACKUP: '', FAULT: 'bad' };

export function showVrrp({ instances }) {
  show($('vrrp-section'), instances.length > 0);
  rows(
    $('vrrp'),
    instances,
    ({ name }) => name,
    (one) => [
      { text: one.name, class: 'strong' },
      { text: one.state, class: `pill ${VRRP_KINDS[one.state] ?? 'warn'}`, title: one.fault ?? '' },
      { text: since(one.since), class: 'nowrap', title: one.since },
      one.port,
      one.effectivePriority === one.priority
        ? String(one.priority)
        : { text: `${one.effectivePriority} of ${one.priority}`, title: 'With what is tracked' },
      { text: masterOf(one), class: 'mono' },
      { text: one.addresses.join(' '), class: 'mono' },
      { text: [...(one.fault ? [one.fault] : []), ...failed(one)].join('; '), class: 'quiet wrap' },
    ],
  );
}

const since = (time) => duration(Math.max(0, (Date.now() - Date.parse(time)) / 1_000));
const masterOf = ({ state, master }) =>
  master ? `${master.address}${state === 'MASTER' ? ' (this one)' : ''}` : '–';
const failed = ({ tracked }) =>
  tracked.filter(({ good }) => !good).map(({ name, detail }) => `${name}: ${detail}`);

export function showHistory(history) {
  const newest = [...history].reverse().slice(0, CHANGES);
  rows(
    $('history'),
    newest,
    ({ generation }) => String(generation),
    ({ generation, at, cause, summary, current }) => [
      {
        text: current ? `${generation} ●` : String(generation),
        title: current ? 'This one runs' : '',
      },
      { text: at.replace('T', ' ').replace(/\.\d+Z$/, ' UTC'), class: 'quiet nowrap' },
      { text: cause, class: 'wrap' },
      { text: summary, class: 'quiet wrap' },
    ],
  );
}

/** What needs somebody, from the director's own alerts and from what is shown here. */
/** @param {object[]} dead the first of the services that have servers, and none to take connections */
export function showAlerts({ now, dead, vrrp }) {
  const { status, ports } = now;
  const found = status.alerts.map(({ message, code, of }) => ({
    kind: 'warn',
    message: `${message} (${code})`,
    // Its figures move; it is not a new one each time.
    key: `${code} ${of}`,
  }));
  const add = (kind, message) => found.push({ kind, message, key: message });
  for (const { name } of dead) add('bad', `${name} has no server that takes connections`);
  const others = status.totals.servicesDown - dead.length;
  if (dead.length > 0 && others > 0) add('bad', `and ${plural(others, 'more service')}`);
  for (const port of ports) if (!port.up) add('bad', `Port ${port.name} is down`);
  for (const { name, state, fault } of vrrp.instances)
    if (state === 'FAULT') add('bad', `VRRP instance ${name} is in FAULT: ${fault ?? 'unknown'}`);
  const used = status.connections / status.maxConnections;
  if (used > FULL) add('bad', `The connection tables are ${Math.round(100 * used)} % full`);
  const stalled = status.workers.filter(({ lagUs }) => lagUs > STALL_US);
  for (const { cpu } of stalled) add('bad', `The worker on CPU ${cpu} is stalled`);
  if (status.lastReload && !status.lastReload.ok)
    add('warn', `The last reload was refused: ${status.lastReload.summary}`);
  if (status.controlRestarts > 0)
    add('warn', `The control plane has restarted ${plural(status.controlRestarts, 'time')}`);
  keyed(
    $('alerts'),
    found.filter(({ key }, at) => found.findIndex((one) => one.key === key) === at),
    ({ key }) => key,
    ({ kind }) => el(`li.notice.${kind}`),
    (node, { message }) => text(node, message),
  );
}
