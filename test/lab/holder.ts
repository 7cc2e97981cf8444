/** A program that holds a lab until it is stopped: how the lab's own clean-up is tested. */
import { Lab } from '../../src/lab/lab.js';

const lab = await Lab.create({ realServers: 1 });
lab.ns('rs1').spawn(['sleep', '600']);
process.stdout.write(`${lab.id}\n`);
if (process.argv[2] === 'throw') {
  setTimeout(() => {
    throw new Error('an uncaught error, on purpose');
  }, 50);
}
setInterval(() => {}, 1000);
