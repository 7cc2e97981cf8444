// Packets that arrive in fragments.

import { pattern } from '../../support/packet.js';
import { fragments, type Scenario } from '../scene.js';
import { MODES, web } from './common.js';

export const fragmented: Scenario[] = [
  ...MODES.flatMap((mode): Scenario[] => [
    {
      say: `${mode}: fragments of a UDP query, in order and reversed`,
      services: web(mode),
      steps: (s) => [
        ...fragments(s.udp({ id: 0x4241, payload: pattern(1900) }), 800),
        ...fragments(s.udp({ id: 0x4242, payload: pattern(1900) }), 800).reverse(),
      ],
    },
    {
      say: `${mode}: fragments of a TCP segment`,
      services: web(mode),
      steps: (s) => [
        s.tcp('S'),
        ...fragments(s.tcp('PA', { id: 0x4243, payload: pattern(1200) }), 640),
      ],
    },
  ]),
  {
    say: 'nat: fragments of a reply',
    services: web('nat'),
    steps: (s) => [s.udp(), ...fragments(s.udpReply({ id: 0x4244, payload: pattern(1900) }), 800)],
  },
];
