/** Lines for the kernel, as director.yaml has them. */
import { list, section, word } from '../config/kinds.js';

const line = (what: string) => word(what, /^[^\n"'\\#]{1,1000}$/);

export const routeLines = () =>
  list(line('a route such as 198.18.0.0/15 via 192.0.2.254'), 'routes');
export const ruleLines = () =>
  list(line('a rule such as from 192.0.2.0/24 table 100 preference 1000'), 'rules');

export const kernel = section({
  addresses: list(line('an address such as 192.0.2.9/24 dev eth0'), 'addresses').optional(),
  routes: routeLines().optional(),
  rules: ruleLines().optional(),
});
