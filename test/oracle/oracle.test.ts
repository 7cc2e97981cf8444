// timeout: 400
// The same frames into real Linux IPVS (in User-Mode-Linux) and into Sluice: the same frames out,
// the same connections listed, but for the differences on purpose.

import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hex } from '../support/bytes.js';
import { diff, dissect } from '../support/dissect.js';
import { skip } from '../support/skip.js';
import { type Difference, differences } from './differences.js';
import { ipvsStatistics, prepareIpvs, runIpvs, STATISTICS_MS } from './ipvs.js';
import { normalise } from './normalise.js';
import type { Listing, Outcome, Reaction, Sent, Statistics } from './outcome.js';
import { scenarios } from './scenarios.js';
import { type Scenario, Scene } from './scene.js';
import { Scene6 } from './scene6.js';
import { runSluice } from './sluice.js';
import { topology, topology6 } from './topology.js';
import { Uml, umlUnavailable } from './uml.js';

const known = new Map(differences.map((difference) => [difference.name, difference]));
const all = scenarios.map((scenario, number): [Scenario, Scene] => [
  scenario,
  scenario.six ? new Scene6(number) : new Scene(number),
]);
const vipsOf = (six: true | undefined) =>
  all.flatMap(([scenario, { vip }]) => (scenario.six === six ? [vip] : []));

test('scenarios have different sentences, and name known differences', () => {
  assert.is(new Set(scenarios.map(({ say }) => say)).size, scenarios.length);
  const used = new Set(scenarios.flatMap(({ differs }) => differs ?? []));
  assert.equal([...used].sort(), [...known.keys()].sort());
});

test('the README lists the differences in these words', () => {
  const readme = readFileSync('README.md', 'utf8').replace(/\s+/g, ' ');
  for (const { name, sentence } of differences) assert.ok(readme.includes(sentence), name);
});

const reason = umlUnavailable();
if (reason) {
  skip('differential test against Linux IPVS', reason);
} else {
  let uml: Uml;
  const counted: [Scenario, Scene, Statistics][] = [];
  test.before(async () => {
    const six = { ...topology6, vips: vipsOf(true) };
    uml = await Uml.boot({ ...topology, vips: vipsOf(undefined), six });
    await prepareIpvs(uml, all);
  });
  test.after(() => uml?.close());
  for (const [scenario, scene] of all) {
    test(scenario.say, async () => {
      const ipvs = await runIpvs(uml, scenario, scene);
      const sluice = runSluice(scenario, scene);
      judge(scenario, ipvs, sluice.outcomes);
      if (scenario.statistics) counted.push([scenario, scene, sluice.statistics]);
    });
  }
  test('statistics of those scenarios that ask for it', async () => {
    await new Promise((resolve) => setTimeout(resolve, STATISTICS_MS));
    const problems: string[] = [];
    for (const [{ say, services, differs = [] }, scene, ours] of counted) {
      const theirs = await ipvsStatistics(uml, scene, services);
      const found = diff(ours, theirs);
      const excuses = differs.flatMap((name) => known.get(name)?.isStatistics ?? []);
      const excused = excuses.some((is) => is(theirs, ours));
      if (found.length > 0 && !excused) problems.push(`${say}: ${found.join('; ')}`);
      if (found.length === 0 && excuses.length > 0) problems.push(`${say}: the difference is gone`);
    }
    assert.ok(problems.length === 0, problems.join('\n'));
    assert.ok(counted.length > 0);
  });
}

function judge(scenario: Scenario, ipvs: Outcome[], sluice: Outcome[]): void {
  const allowed = (scenario.differs ?? []).map((name) => known.get(name) as Difference);
  const seen = new Set<string>();
  const problems: string[] = [];
  assert.is(sluice.length, ipvs.length);
  ipvs.forEach((theirs, index) => {
    const ours = sluice[index] as Outcome;
    if ('listing' in theirs && 'listing' in ours) {
      const mine = withoutExpired(ours.listing, theirs.listing, theirs.seconds ?? 0);
      const found = diff({ ...mine, expiry: [] }, { ...theirs.listing, expiry: [] });
      found.push(...expiries(theirs.listing, mine));
      const excuse = allowed.find((one) => one.isListing?.(theirs.listing, mine));
      if (found.length > 0 && excuse) seen.add(excuse.name);
      else if (found.length > 0) problems.push(`step ${index}, listing: ${found.join('; ')}`);
    } else if ('input' in theirs && 'input' in ours) {
      if (isDeepStrictEqual(texts(theirs), texts(ours))) return;
      const excuse = allowed.find((one) => one.is?.(theirs, ours));
      if (excuse) seen.add(excuse.name);
      else problems.push(`step ${index}, ${explain(theirs, ours)}`);
    }
  });
  assert.ok(problems.length === 0, problems.join('\n'));
  const shows = ({ name, is, isListing }: Difference) => seen.has(name) || !(is || isListing);
  const gone = allowed.filter((one) => !shows(one)).map(({ name }) => name);
  assert.equal(gone, [], 'differences on purpose that did not show');
}

/**
 * IPVS's clock is the real one: of what lives for some seconds only, nothing may be left by the time
 * a busy machine comes to look.
 */
function withoutExpired(ours: Listing, theirs: Listing, seconds: number): Listing {
  const there = new Set(theirs.connections);
  const counts = structuredClone(ours.counts);
  const kept = ours.connections.map((connection, at) => {
    const gone = !there.has(connection) && (ours.expiry[at] as number) <= seconds;
    const [protocol, , virtual, server] = connection.split(' ');
    const count = counts[`${protocol} ${virtual} ${server}`];
    // Those that live so short are none of the active ones.
    if (gone && count) count[1] -= 1;
    return !gone;
  });
  return {
    connections: ours.connections.filter((_, at) => kept[at]),
    expiry: ours.expiry.filter((_, at) => kept[at]),
    counts,
  };
}

/** IPVS's clock is the real one: what it lists has run for some seconds already. */
const SLACK_SECONDS = 8;

function expiries(theirs: Listing, ours: Listing): string[] {
  if (theirs.expiry.length !== ours.expiry.length) return [];
  return theirs.expiry.flatMap((seconds, at) => {
    const full = ours.expiry[at] as number;
    const fits = seconds <= full && seconds >= full - SLACK_SECONDS;
    return fits ? [] : [`${ours.connections[at]} expires in ${full} s, with IPVS in ${seconds} s`];
  });
}

const texts = (reaction: Reaction) =>
  normalise(reaction).map(({ port, bytes }) => `${port} ${hex(bytes)}`);

function explain(theirs: Reaction, ours: Reaction): string {
  const lines = [`${theirs.input.port} ${hex(theirs.input.bytes)} (${ours.end})`];
  const [a, b] = [normalise(theirs), normalise(ours)];
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const [left, right] = [a[at], b[at]];
    if (left && right && left.port === right.port) {
      const fields = diff(dissect(right.bytes), dissect(left.bytes));
      if (fields.length > 0) lines.push(`  frame ${at} on ${left.port}: ${fields.join('; ')}`);
      else if (hex(left.bytes) !== hex(right.bytes)) lines.push(`  frame ${at}`);
      else continue;
    }
    lines.push(`  IPVS   ${describe(left)}`, `  Sluice ${describe(right)}`);
  }
  return lines.map((line) => (line.length > 400 ? `${line.slice(0, 400)}…` : line)).join('\n');
}

const describe = (sent: Sent | undefined) =>
  sent ? `${sent.port} ${hex(sent.bytes)}` : 'nothing more';

test.run();
