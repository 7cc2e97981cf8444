/** Services with their servers: how they are, and, with a token that may write, the controls. */
import { edit } from './api.js';
import { el, keyed, show, text } from './dom.js';
import { endpoint, figure, plural, serviceEnd } from './format.js';
import { draw, Past, spark } from './spark.js';
import { toast } from './toast.js';

const past = new Past();
/** Services unfolded at first sight; with more of them the reader chooses. */
const UNFOLDED = 8;

export const keyOf = ({ protocol, address, port }) => `${protocol} ${address}:${port}`;
const idOf = ({ protocol, address, port }) => ({ protocol, listen: { address, port } });
const packets = ({ rates }) => rates.inPps + rates.outPps;

/** Servers that are shown besides when more are asked for. */
const MORE = 200;

/** @param {{ mayWrite: boolean, refresh: () => void, more: (key: string, servers: number) => void }} session */
export function showServices(list, services, session) {
  keyed(
    list,
    services,
    keyOf,
    (service) => makeService(service, services.length <= UNFOLDED, session),
    (node, service) => updateService(node, service, session),
  );
  past.keep(new Set(services.map(keyOf)));
}

function makeService(service, open, session) {
  const facts = (name) => el('span', { 'data-part': name });
  const more = el('button', { type: 'button', 'data-part': 'more-servers', hidden: true });
  more.addEventListener('click', () => {
    session.more(keyOf(service), Number(more.dataset.shown) + MORE);
  });
  const summary = el(
    'summary',
    {},
    el('span.dot', { 'data-part': 'dot' }),
    el(
      'span.name',
      {},
      el('strong', { 'data-part': 'name' }),
      el('span.quiet.mono', { 'data-part': 'listen' }),
    ),
    el('span.pill', { 'data-part': 'live' }),
    el('span.rate', {}, facts('cps'), el('small', {}, ' conn/s')),
    el('span.rate', {}, facts('pps'), el('small', {}, ' pkt/s')),
    el('span.rate', {}, facts('bps'), el('small', {}, ' bit/s')),
    spark(`Packets a second of ${service.name}`),
  );
  const head = [
    'Server',
    'Health',
    'How',
    'Weight',
    'Active',
    'Inactive',
    'conn/s',
    'pkt/s',
    'bit/s',
    '',
  ];
  const numbers = new Set([4, 5, 6, 7, 8]);
  return el(
    'details.service',
    { open },
    summary,
    el('p.quiet.facts', { 'data-part': 'more' }),
    el(
      'div.scroll',
      {},
      el(
        'table.servers',
        {},
        el('caption.hidden', {}, `Servers of ${service.name}`),
        el(
          'thead',
          {},
          el(
            'tr',
            {},
            ...head.map((name, at) =>
              el(
                'th',
                { class: numbers.has(at) ? 'number' : null },
                name || el('span.hidden', {}, 'Actions'),
              ),
            ),
          ),
        ),
        el('tbody'),
      ),
    ),
    more,
  );
}

const part = (node, name) => node.querySelector(`[data-part="${name}"]`);

function health({ serverCounts: { all, up, taking } }) {
  if (taking === 0) return 'bad';
  return up === all ? 'good' : 'warn';
}

function updateService(node, service, session) {
  const { servers, rates, serverCounts } = service;
  const state = health(service);
  part(node, 'dot').className = `dot ${state}`;
  text(part(node, 'name'), service.name);
  text(part(node, 'listen'), `${service.protocol.toUpperCase()} ${serviceEnd(service)}`);
  const live = part(node, 'live');
  live.className = `pill ${state}`;
  const { all, up } = serverCounts;
  text(live, all === 0 ? 'no servers' : `${up} of ${all} up`);
  text(part(node, 'cps'), figure(rates.cps));
  text(part(node, 'pps'), figure(packets(service)));
  text(part(node, 'bps'), figure(8 * (rates.inBps + rates.outBps)));
  draw(node.querySelector('.spark'), past.add(keyOf(service), packets(service)));
  const more = [
    `Scheduler ${service.scheduler}${service.flags.length > 0 ? ` (${service.flags.join(', ')})` : ''}`,
    ...(service.localAddresses.length > 0
      ? [`local addresses ${service.localAddresses.join(', ')}`]
      : []),
    `${plural(service.conns, 'connection')} so far`,
  ];
  text(part(node, 'more'), more.join(' · '));
  const others = part(node, 'more-servers');
  others.dataset.shown = servers.length;
  show(others, servers.length < all);
  text(others, `${servers.length} of ${all} servers: show more`);
  keyed(
    node.querySelector('tbody'),
    servers,
    endpoint,
    (server) => makeServer(service, server, session),
    (row, server) => updateServer(row, server, session),
  );
}

function makeServer(service, server, session) {
  const name = `${endpoint(server)} of ${service.name}`;
  const cell = (label, partName, kind = '') =>
    el(`td${kind && `.${kind}`}`, { 'data-label': label }, el('span', { 'data-part': partName }));
  const id = { service: idOf(service), server: { address: server.address, port: server.port } };
  const act = async (button, one, said, undo) => {
    button.disabled = true;
    try {
      await edit([{ ...one, ...id }], `dashboard: ${said}`);
      toast(
        `${name}: ${said}`,
        undo && { label: 'Undo', run: () => act(button, undo.edit, undo.said) },
      );
      session.refresh();
    } catch (error) {
      toast(`${name}: ${error.message}`, undefined, 'bad');
    } finally {
      button.disabled = false;
    }
  };
  const drain = el('button', { type: 'button', 'data-part': 'drain' });
  drain.addEventListener('click', () => {
    const drained = drain.dataset.drained === 'true';
    const [forth, back] = [
      { edit: { edit: 'drainServer' }, said: 'drained' },
      { edit: { edit: 'undrainServer' }, said: 'takes connections again' },
    ];
    const [now, undo] = drained ? [back, forth] : [forth, back];
    act(drain, now.edit, now.said, undo);
  });
  const weight = el('input', {
    'data-part': 'weight-input',
    type: 'number',
    min: 0,
    max: 65_535,
    required: true,
    'aria-label': `Weight of ${name}`,
    hidden: true,
  });
  const set = el('button', { type: 'submit', hidden: true }, 'Set');
  const form = el('form.weight', {}, el('span', { 'data-part': 'weight' }), weight, set);
  weight.addEventListener('input', () => {
    form.dataset.dirty = 'true';
    show(set, true);
  });
  weight.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    clean(form);
    weight.value = weight.dataset.now;
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const value = Number(weight.value);
    const before = Number(weight.dataset.now);
    clean(form);
    act(set, { edit: 'setWeight', weight: value }, `weight ${value}`, {
      edit: { edit: 'setWeight', weight: before },
      said: `weight ${before}`,
    });
  });
  return el(
    'tr',
    {},
    el('td', { 'data-label': 'Server' }, el('span.mono', { 'data-part': 'address' })),
    el(
      'td',
      { 'data-label': 'Health' },
      el(
        'span.health',
        {},
        el('span.pill', { 'data-part': 'state' }),
        el('span.quiet.checks', { 'data-part': 'checks' }),
      ),
    ),
    cell('How', 'forward'),
    el('td', { 'data-label': 'Weight' }, form),
    cell('Active', 'active', 'number'),
    cell('Inactive', 'inactive', 'number'),
    cell('conn/s', 'cps', 'number'),
    cell('pkt/s', 'pps', 'number'),
    cell('bit/s', 'bps', 'number'),
    el('td.actions', {}, drain),
  );
}

function clean(form) {
  delete form.dataset.dirty;
  show(form.querySelector('button'), false);
}

function updateServer(row, server, { mayWrite }) {
  const { rates, drained, up, checks } = server;
  text(part(row, 'address'), endpoint(server));
  const state = part(row, 'state');
  state.className = `pill ${up ? (drained ? 'warn' : 'good') : 'bad'}`;
  text(state, [up ? 'up' : 'down', ...(drained ? ['drained'] : [])].join(', '));
  const said = checks.map(
    ({ type, up: good, detail }) => `${good ? '✓' : '✗'} ${type}: ${detail ?? 'has not run yet'}`,
  );
  text(part(row, 'checks'), checks.length === 0 ? 'not checked' : said.join('\n'));
  text(part(row, 'forward'), server.forward);
  text(part(row, 'active'), figure(server.active));
  text(part(row, 'inactive'), figure(server.inactive));
  text(part(row, 'cps'), figure(rates.cps));
  text(part(row, 'pps'), figure(packets(server)));
  text(part(row, 'bps'), figure(8 * (rates.inBps + rates.outBps)));
  const { weight, configuredWeight } = server;
  const input = part(row, 'weight-input');
  const plain = part(row, 'weight');
  text(
    plain,
    mayWrite
      ? weight === configuredWeight
        ? ''
        : `${weight} of`
      : weight === configuredWeight
        ? weight
        : `${weight} of ${configuredWeight}`,
  );
  plain.title = weight === configuredWeight ? '' : 'In effect, of the configured one';
  input.dataset.now = configuredWeight;
  if (!input.form.dataset.dirty && document.activeElement !== input) input.value = configuredWeight;
  show(input, mayWrite);
  const button = part(row, 'drain');
  show(button, mayWrite);
  button.dataset.drained = drained;
  text(button, drained ? 'Undrain' : 'Drain');
  button.setAttribute('aria-label', `${drained ? 'Undrain' : 'Drain'} ${endpoint(server)}`);
  row.classList.toggle('drained', drained);
  row.classList.toggle('down', !up);
}
