/** The page: signs in where that is asked for, looks every two seconds, and shows what it sees. */
import { ApiError, ask, token } from './api.js';
import { show, text } from './dom.js';
import { plural } from './format.js';
import {
  showAlerts,
  showDirector,
  showEnds,
  showHistory,
  showPorts,
  showTiles,
  showVrrp,
  showWorkers,
} from './panels.js';
import { keyOf, showServices } from './services.js';

const LOOK_MS = 2_000;
const PAGE = 50;
/** Servers of a service, until more of them are asked for. */
const SERVERS = 20;
/** Services without a server that are named. */
const NAMED = 5;

const $ = (id) => document.getElementById(id);
/** By services' keys: of which more servers are shown, and how many. */
const unfolded = new Map();
const session = {
  mayWrite: false,
  refresh: () => look(),
  more: (key, servers) => {
    unfolded.set(key, servers);
    look();
  },
};
let before;
let shown = PAGE;
let generation;
let timer;
let looking = false;
let again = false;

function theme() {
  const saved = localStorage.getItem('sluice-theme');
  if (saved) document.documentElement.dataset.theme = saved;
  $('theme').addEventListener('click', () => {
    const dark = getComputedStyle(document.documentElement).getPropertyValue('--is-dark').trim();
    const next = dark === '1' ? 'light' : 'dark';
    document.documentElement.dataset.theme = next;
    localStorage.setItem('sluice-theme', next);
  });
}

/** On the control socket nobody has to sign in. */
async function begin() {
  try {
    const { token: name, role } = await ask('/v1/session');
    enter(name, role);
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) signIn();
    else lost(error, begin);
  }
}

function enter(name, role) {
  session.mayWrite = role === 'write';
  text($('who'), name === null ? '' : `${name} (${role})`);
  show($('leave'), name !== null);
  show($('main'), true);
  look();
}

function signIn(why = '') {
  clearTimeout(timer);
  token.clear();
  show($('main'), false);
  show($('leave'), false);
  text($('who'), '');
  text($('login-error'), why);
  if (!$('login').open) $('login').showModal();
  $('token').focus();
}

function login() {
  // Escape would leave an empty page.
  $('login').addEventListener('cancel', (event) => event.preventDefault());
  $('login')
    .querySelector('form')
    .addEventListener('submit', async (event) => {
      event.preventDefault();
      const given = $('token').value.trim();
      try {
        const { token: name, role } = await ask('/v1/session', undefined, given);
        token.set(given);
        $('token').value = '';
        text($('login-error'), '');
        $('login').close();
        show($('lost'), false);
        enter(name, role);
      } catch (error) {
        const wrong = error instanceof ApiError && error.status === 401;
        text($('login-error'), wrong ? 'This token is not known.' : error.message);
        $('token').select();
      }
    });
  $('leave').addEventListener('click', () => {
    before = undefined;
    signIn();
  });
}

function lost(error, again) {
  text($('lost'), `The director does not answer (${error.message}). What is shown is from before.`);
  show($('lost'), true);
  document.body.classList.add('stale');
  clearTimeout(timer);
  timer = setTimeout(again, LOOK_MS);
}

async function look() {
  if (looking) {
    again = true;
    return;
  }
  looking = true;
  again = false;
  clearTimeout(timer);
  try {
    const asked = {
      match: $('search').value.trim(),
      sort: $('sort').value,
      state: $('state').value,
      limit: shown + 1,
      servers: SERVERS,
    };
    const [status, services, ports, drops, vrrp] = await Promise.all([
      ask('/v1/status'),
      askServices(asked),
      ask('/v1/ports'),
      ask('/v1/drops'),
      ask('/v1/vrrp'),
    ]);
    await askMore(services, asked.match);
    const dead =
      status.totals.servicesDown > 0
        ? await askServices({ state: 'down', limit: NAMED, servers: 0 })
        : [];
    const now = { at: performance.now(), status, ports, drops };
    const seconds = before ? (now.at - before.at) / 1_000 : 0;
    const both = { now, before, seconds };
    showDirector(status);
    showTiles(both);
    showFound(services, status);
    showAlerts({ now, dead, vrrp });
    showEnds(both);
    showWorkers(status);
    showPorts(both);
    showVrrp(vrrp);
    if (generation !== status.generation) showHistory(await ask('/v1/history'));
    generation = status.generation;
    before = now;
    show($('lost'), false);
    document.body.classList.remove('stale');
    timer = setTimeout(look, LOOK_MS);
  } catch (error) {
    if (error instanceof ApiError && error.status === 401)
      signIn('The token is not known any more.');
    else lost(error, look);
  } finally {
    looking = false;
    // What was asked for while the answers to something else were on their way.
    if (again && !$('main').hidden) look();
  }
}

const askServices = (asked) => ask(`/v1/services?${new URLSearchParams(asked)}`);

/** Of services of which the reader wants to see more servers those are asked for by themselves. */
async function askMore(services, match) {
  const wanted = services.filter((service) => unfolded.has(keyOf(service)));
  await Promise.all(
    wanted.map(async (service) => {
      const servers = unfolded.get(keyOf(service));
      const found = await askServices({ match: match || service.name, servers });
      const same = found.find((one) => keyOf(one) === keyOf(service));
      if (same) service.servers = same.servers;
    }),
  );
}

function showFound(found, { totals }) {
  const services = found.slice(0, shown);
  showServices($('list'), services, session);
  show($('more'), found.length > shown);
  const some = services.length < totals.services ? `${services.length} of ` : '';
  const drained = totals.serversDrained > 0 ? `, ${totals.serversDrained} drained` : '';
  text(
    $('count'),
    `${some}${plural(totals.services, 'service')}, ${totals.serversUp} of ${plural(totals.servers, 'server')} up${drained}`,
  );
}

theme();
login();
for (const id of ['search', 'sort', 'state']) {
  $(id).addEventListener('input', () => {
    shown = PAGE;
    look();
  });
}
$('more').addEventListener('click', () => {
  shown += PAGE;
  look();
});
// Nobody looks at a page in the background: nor does it at the director.
document.addEventListener('visibilitychange', () => {
  if ($('main').hidden) return;
  if (document.hidden) clearTimeout(timer);
  else look();
});
begin();
