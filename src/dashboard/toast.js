/** What has just been done, or why not; for some seconds. */
import { el } from './dom.js';

const SHOWN_MS = 8_000;

/** @param {{ label: string, run: () => void }} [action] */
export function toast(message, action, kind = '') {
  const node = el(`div.toast${kind && `.${kind}`}`, {}, el('span', {}, message));
  if (action) {
    const run = () => {
      node.remove();
      action.run();
    };
    node.append(el('button', { type: 'button', onclick: run }, action.label));
  }
  node.append(
    el('button', { type: 'button', 'aria-label': 'Dismiss', onclick: () => node.remove() }, '×'),
  );
  document.getElementById('toasts').append(node);
  setTimeout(() => node.remove(), SHOWN_MS);
}
