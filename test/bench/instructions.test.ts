// A guard against slow creep: instructions a packet, which no other program can disturb, against
// bench/instructions.json. After a change on purpose: npx tsx bench/instructions.ts --record
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CASES, countInstructions, partsOf, recorded, whyNot } from '../../bench/instructions.js';
import { skip } from '../support/skip.js';

test('parts of a callgrind dump', () => {
  const dump = [
    'part: 1',
    'desc: Trigger: Client Request: a director 1',
    'summary: 5',
    'totals: 5',
    'part: 2',
    'desc: Trigger: Program termination',
    'totals: 99',
  ].join('\n');
  assert.equal(partsOf(dump), [{ name: 'a director 1', instructions: 5 }]);
});

const reason = whyNot();
if (reason !== undefined) {
  skip('instructions a packet', reason);
} else {
  test('no case takes more instructions a packet than recorded', () => {
    const { margin, instructionsPerPacket } = recorded();
    const counted = countInstructions();
    for (const one of CASES) {
      const was = instructionsPerPacket[one];
      const now = counted[one]!;
      assert.type(was, 'number', `${one} has no recorded figure`);
      assert.ok(now > 0, `${one}: ${now} instructions`);
      const most = was! * (1 + margin);
      assert.ok(now <= most, `${one}: ${now} instructions a packet, recorded ${was}`);
      if (now < was! * (1 - margin)) {
        process.stdout.write(`${one}: ${now} instructions, recorded ${was}: record it anew\n`);
      }
    }
  });
}

test.run();
