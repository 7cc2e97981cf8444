/** `sluice top`: services, servers and losses as they are now, again and again. */
import { type Command, Option } from 'commander';
import { ControlClient } from '../api/client.js';
import { describe } from '../errors.js';
import { print, type TargetOptions, targetOf, targetOptions, wholeNumber } from './options.js';
import { type Asked, asked, type Look, NOTHING, ORDERS, type Order, screen } from './top-screen.js';

interface TopOptions extends TargetOptions {
  interval: number;
  count: number;
  sort: Order;
}

const HOME = '\x1b[H';
const CLEAR_REST = '\x1b[J';
const CLEAR_LINE = '\x1b[K';
const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';

export function registerTop(program: Command): void {
  const command = program
    .command('top')
    .description(
      'live table: services, servers, rates, losses; q quits, n p b c sorts, s folds servers',
    )
    .option('--interval <ms>', 'between two looks', wholeNumber('--interval', 100, 60_000), 1_000)
    .option(
      '--count <n>',
      'so many tables, then end (0: until q)',
      wholeNumber('--count', 0, 1e9),
      0,
    )
    .addOption(
      new Option('--sort <by>', 'order of the services').choices(ORDERS).default('packets'),
    );
  for (const option of targetOptions()) command.addOption(option);
  command.action(top);
}

async function top(options: TopOptions): Promise<void> {
  const client = new ControlClient(targetOf(options));
  let order = options.sort;
  const pause = new Pause();
  let folded = false;
  const stop = listenToKeys((key) => {
    const by = { n: 'name', p: 'packets', b: 'bits', c: 'connections' } as const;
    if (key === 'q' || key === '\x03') pause.end();
    else if (key === 's') folded = !folded;
    else if (key in by) order = by[key as keyof typeof by];
  });
  const terminal = process.stdout.isTTY;
  if (terminal) process.stdout.write(HIDE_CURSOR);
  try {
    // The first look fails loudly; later ones may miss a director that is being restarted.
    let before = await look(client, NOTHING);
    for (let shown = 0; options.count === 0 || shown < options.count; shown++) {
      if (await pause.over(options.interval)) break;
      let text: string;
      try {
        const wanted = { ...size(terminal), order, folded };
        const now = await look(client, asked(wanted));
        text = screen(before, now, wanted);
        before = now;
      } catch (error) {
        text = describe(error);
      }
      if (terminal) repaint(text);
      else print(`${text}\n`);
    }
  } finally {
    stop();
    if (terminal) process.stdout.write(`${SHOW_CURSOR}\n`);
  }
}

function size(terminal: boolean): { columns: number; rows: number } {
  return terminal
    ? { columns: process.stdout.columns, rows: process.stdout.rows - 1 }
    : { columns: Number.POSITIVE_INFINITY, rows: Number.POSITIVE_INFINITY };
}

/** Over the old picture rather than after clearing it: no flicker. */
function repaint(text: string): void {
  const lines = text.split('\n').map((line) => `${line}${CLEAR_LINE}\n`);
  process.stdout.write(`${HOME}${lines.join('')}${CLEAR_REST}`);
}

async function look(client: ControlClient, wanted: Asked): Promise<Look> {
  const [services, ports, drops, status] = await Promise.all([
    client.services(wanted),
    client.ports(),
    client.drops(),
    client.status(),
  ]);
  return { at: performance.now(), services, ports, drops, status };
}

/** A pause that a key ends early. */
class Pause {
  #ended = false;
  #wake: () => void = () => {};

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** True when there is to be no next one. */
  async over(ms: number): Promise<boolean> {
    if (!this.#ended) {
      await new Promise<void>((done) => {
        const timer = setTimeout(done, ms);
        this.#wake = () => {
          clearTimeout(timer);
          done();
        };
      });
    }
    return this.#ended;
  }
}

function listenToKeys(pressed: (key: string) => void): () => void {
  const { stdin } = process;
  if (!stdin.isTTY) return () => {};
  const read = (bytes: Buffer) => {
    for (const key of bytes.toString()) pressed(key);
  };
  stdin.setRawMode(true);
  stdin.resume();
  stdin.on('data', read);
  return () => {
    stdin.off('data', read);
    stdin.setRawMode(false);
    stdin.pause();
  };
}
