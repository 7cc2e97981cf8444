// timeout: 300
/// <reference lib="dom" />
/**
 * The dashboard in a real browser, against a director that takes edits. With SLUICE_SCREENSHOTS=DIR
 * pictures of it are left there, to be looked at.
 */
import { join } from 'node:path';
import { type Browser, chromium, type Locator, type Page } from 'playwright-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ControlClient } from '../../src/api/client.js';
import { ATTACK, READ, Scene, WRITE } from './scene.js';

/** The machine may be busy with other things. */
const PATIENCE = 60_000;

let scene: Scene;
let browser: Browser;
let page: Page;
let complaints: string[] = [];

test.before(async () => {
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    // As root there is no sandbox; pages here are our own.
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    timeout: PATIENCE,
  });
});
test.after(() => browser.close());
test.before.each(async () => {
  scene = await new Scene().open();
  page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
  page.setDefaultTimeout(PATIENCE);
  complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    // A refused request is told here too; what the policy forbids as well.
    const refused = /status of (401|429)|ERR_CONNECTION_REFUSED/.test(message.text());
    if (message.type() === 'error' && !refused) complaints.push(message.text());
  });
});
test.after.each(async () => {
  await page.close();
  scene.close();
  assert.equal(complaints, []);
  assert.equal(scene.errors, []);
});

const read = async (what: Locator) => (await what.textContent()) ?? '';

async function signIn(token: string): Promise<void> {
  await page.goto(scene.url);
  await page.getByLabel('Token').fill(token);
  await page.keyboard.press('Enter');
  await page.getByText('ops (write)').or(page.getByText('wall (read)')).waitFor();
  await page.locator('.service').first().waitFor();
}

const shot = async (name: string) => {
  const folder = process.env.SLUICE_SCREENSHOTS;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
};
const server = (address: string) => page.locator('#list tr', { hasText: address });
const client = () => new ControlClient(scene.director.socket);
const first = async () => (await client().services())[0]?.servers[0];

test('a wrong token is refused, the right one shows the director, and it outlives a reload', async () => {
  await page.goto(scene.url);
  await page.getByLabel('Token').fill('not-the-token');
  await page.keyboard.press('Enter');
  await page.getByText('This token is not known.').waitFor();
  assert.is(await page.locator('main').isVisible(), false);
  await page.keyboard.press('Escape');
  assert.is(await page.getByLabel('Token').isVisible(), true);
  await shot('login');
  await signIn(WRITE);
  assert.is(await page.title(), 'edge-1 · Sluice');
  assert.is(await page.locator('.service').count(), 4);
  await page.reload();
  await page.getByText('ops (write)').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  assert.is(await page.getByLabel('Token').isVisible(), true);
  await page.reload();
  await page.getByLabel('Token').waitFor();
  assert.is(await page.locator('main').isVisible(), false);
});

test('services, health, alerts, losses, ports and changes are there', async () => {
  await signIn(READ);
  await page.getByText('mail has no server that takes connections').waitFor();
  assert.match(await read(server('198.51.100.13:8443')), /down\s*✗ SSL_GET: HTTP status code 503/);
  assert.match(await read(server('198.51.100.21:53')), /not checked/);
  assert.match(await read(page.locator('#count')), /^4 services, 5 of 7 servers up$/);
  assert.match(await read(page.locator('#ports')), /front\s*up\s*net_af_packet0,iface=eth1/);
  assert.match(await read(page.locator('#history')), /start with/);
  assert.is(await page.locator('#workers tr').count(), 2);
  assert.is(await page.locator('#drops tr').count(), 2);
  // Rates come of two looks.
  await page.waitForFunction(() => {
    const tiles = [...document.querySelectorAll('.tile strong')].map((one) => one.textContent);
    return tiles.length === 7 && tiles.every((value) => value !== '0');
  });
  assert.ok((await page.locator('.tile .line').first().getAttribute('d'))?.startsWith('M'));
  assert.is(await page.getByRole('button', { name: 'Drain 198.51.100.11:8443' }).count(), 0);
  assert.is(await page.locator('form.weight input:visible').count(), 0);
});

test('alerts, workers’ load and VRRP as the director tells them', async () => {
  await signIn(READ);
  await page.getByText(/^worker 1 is busy 97\.\d % of the time \(WARN_WORKER_LOAD\)$/).waitFor();
  await page.getByText('VRRP instance VI_3 is in FAULT: port back is down').waitFor();
  const [calm, busy] = await page.locator('#workers tr').allTextContents();
  assert.match(calm ?? '', /^0241 %3 µs ago/);
  assert.match(busy ?? '', /^1397 %51 µs ago/);
  assert.is(await page.locator('#workers .bad-text').count(), 1);
  const instances = await page.locator('#vrrp tr').allTextContents();
  assert.is(instances.length, 3);
  assert.match(
    instances[0] ?? '',
    /^VI_1MASTER.*front200192\.0\.2\.1 \(this one\)203\.0\.113\.10$/,
  );
  assert.match(
    instances[1] ?? '',
    /150 of 200192\.0\.2\.2203\.0\.113\.53 203\.0\.113\.25uplink: status 1$/,
  );
  assert.match(instances[2] ?? '', /^VI_3FAULT.*–203\.0\.113\.66port back is down$/);
  // What moves in an alert is no new alert.
  const first = await page.locator('#alerts li').first().elementHandle();
  await page.waitForResponse((response) => response.url().includes('/v1/status'));
  await page.waitForResponse((response) => response.url().includes('/v1/status'));
  assert.ok(await first?.evaluate((node) => node.isConnected));
  await shot('light');
});

test('a server is drained and undrained, and told so with the token’s name', async () => {
  await signIn(WRITE);
  const row = server('198.51.100.11:8443');
  await row.getByRole('button', { name: 'Drain' }).click();
  await row.getByText('up, drained').waitFor();
  assert.equal([(await first())?.weight, (await first())?.drained], [0, true]);
  assert.match(await read(row), /0 of/);
  assert.is((await client().history()).at(-1)?.cause, 'dashboard: drained (token ops)');
  await page.getByText('dashboard: drained (token ops)').waitFor();
  await shot('drained');
  await row.getByRole('button', { name: 'Undrain' }).click();
  await row.getByText('up', { exact: true }).waitFor();
  assert.equal([(await first())?.weight, (await first())?.drained], [3, false]);
  // And the last one taken back, by keyboard.
  await page.getByRole('button', { name: 'Undo' }).last().focus();
  await page.keyboard.press('Enter');
  await row.getByText('up, drained').waitFor();
});

test('a weight is typed while the page goes on looking, and is shown when others change it', async () => {
  await signIn(WRITE);
  const row = server('198.51.100.11:8443');
  const input = row.getByRole('spinbutton');
  await input.fill('7');
  const looked = page.waitForResponse((response) => response.url().includes('/v1/services'));
  await looked;
  assert.is(await input.inputValue(), '7');
  assert.is((await first())?.weight, 3);
  await page.keyboard.press('Enter');
  await page.getByText('198.51.100.11:8443 of web: weight 7').waitFor();
  assert.is((await first())?.weight, 7);
  await input.blur();
  await scene.director.ipvsadm('-e -t 203.0.113.10:443 -r 198.51.100.11:8443 -b -w 5'.split(' '));
  await page.waitForFunction(
    () => document.querySelector<HTMLInputElement>('form.weight input')?.value === '5',
  );
  await input.fill('99999');
  await page.keyboard.press('Enter');
  assert.is(await input.evaluate((node: HTMLInputElement) => node.validity.rangeOverflow), true);
  assert.is((await first())?.weight, 5);
});

test('what the director says is text, never markup', async () => {
  await signIn(WRITE);
  await client().edit({
    cause: ATTACK,
    edits: [
      {
        edit: 'setWeight',
        service: { protocol: 'tcp', listen: { address: '203.0.113.25', port: 25 } },
        server: { address: '198.51.100.31', port: 25 },
        weight: 2,
      },
    ],
  });
  await page.locator('#history').getByText(ATTACK).waitFor();
  assert.is(await page.locator('.service strong', { hasText: ATTACK }).count(), 1);
  assert.is(await page.locator('.checks', { hasText: ATTACK }).count(), 1);
  assert.is(await page.locator('main img, main script').count(), 0);
  assert.is(await page.title(), 'edge-1 · Sluice');
  // Were it not so, the policy would still stop it.
  const blocked = await page.evaluate(async () => {
    const violated = new Promise<string>((resolve) => {
      document.addEventListener('securitypolicyviolation', (event) =>
        resolve(event.violatedDirective),
      );
    });
    try {
      document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="1">');
    } catch {
      return 'refused';
    }
    return violated;
  });
  assert.is(blocked, 'refused');
  complaints = complaints.filter((text) => !/TrustedHTML|Trusted Type/.test(text));
});

test('a search, a theme, and a page that is told when the director is gone', async () => {
  await signIn(READ);
  await page.getByRole('searchbox').fill('100.21');
  await page.waitForFunction(() => document.querySelectorAll('.service').length === 1);
  assert.match(await read(page.locator('.service')), /dns/);
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const before = await background();
  await page.getByRole('button', { name: 'Theme' }).click();
  assert.is.not(await background(), before);
  scene.stop();
  await page.getByText('The director does not answer').waitFor();
  await shot('gone');
});

test('of many, those in trouble or the busiest are asked for, and servers some at a time', async () => {
  await client().edit({
    cause: 'test',
    edits: Array.from({ length: 28 }, (_, at) => ({
      edit: 'addServer' as const,
      service: { protocol: 'udp' as const, listen: { address: '203.0.113.53', port: 53 } },
      server: { address: `198.51.100.${100 + at}`, port: 53 },
      settings: { mode: 'dr' as const, weight: 1, upperThreshold: 0, lowerThreshold: 0 },
    })),
  });
  const asked: string[] = [];
  page.on('request', (request) => asked.push(decodeURIComponent(request.url())));
  await signIn(READ);
  const names = () => page.locator('.service summary strong').allTextContents();
  const dns = page.locator('.service', { hasText: '203.0.113.53' });
  assert.is(await dns.locator('tbody tr').count(), 20);
  assert.match(await read(dns.locator('.pill').first()), /^30 of 30 up$/);
  await dns.getByRole('button', { name: '20 of 30 servers: show more' }).click();
  await server('198.51.100.127:53').waitFor();
  assert.is(await dns.locator('tbody tr').count(), 30);
  assert.is(await dns.getByRole('button', { name: 'show more' }).isVisible(), false);
  await shot('many');
  await page.getByLabel('Which services').selectOption('Without a server');
  await page.waitForFunction(() => document.querySelectorAll('.service').length === 1);
  assert.equal(await names(), ['mail']);
  await page.getByLabel('Which services').selectOption('With a server down');
  await page.waitForFunction(() => document.querySelectorAll('.service').length === 2);
  assert.equal(await names(), ['web', 'mail']);
  await page.getByLabel('Which services').selectOption('All');
  await page.getByLabel('Order of services').selectOption('By name');
  await page.waitForFunction(
    () => document.querySelector('.service summary strong')?.textContent === 'dns',
  );
  assert.equal((await names()).slice(-2), ['mail', 'web']);
  // Whatever the size of the director, a look asks for no more than it shows.
  const listings = asked.filter((url) => url.includes('/v1/services?'));
  assert.ok(listings.length > 4);
  for (const url of listings) assert.match(url, /[?&]servers=\d+(&|$)/);
  for (const url of listings) assert.match(url, /[?&](limit=\d+|match=dns)(&|$)/);
});

test('a small screen has nothing that sticks out, and the keyboard reaches everything', async () => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: 'dark' });
  await signIn(WRITE);
  const wide = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  assert.is(wide, 0);
  await shot('phone');
  await page.setViewportSize({ width: 1400, height: 900 });
  await shot('dark');
  const reached = new Set<string>();
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  for (let steps = 0; steps < 60; steps++) {
    await page.keyboard.press('Tab');
    reached.add(
      await page.evaluate(() => {
        const node = document.activeElement;
        return node?.getAttribute('aria-label') ?? node?.id ?? node?.tagName ?? '';
      }),
    );
  }
  for (const wanted of ['search', 'theme', 'leave', 'Drain 198.51.100.12:8443']) {
    assert.ok(reached.has(wanted), `${wanted} was not among ${[...reached].join(', ')}`);
  }
  const unnamed = await page.evaluate(
    () =>
      [...document.querySelectorAll('button, input, meter, svg[role=img]')].filter((node) => {
        const labels = 'labels' in node ? (node.labels as NodeList | null) : null;
        return !node.getAttribute('aria-label') && !node.textContent && !labels?.length;
      }).length,
  );
  assert.is(unnamed, 0);
});

test.run();
