/** Elements from data. Text is only ever set as text: nothing that comes by the API is markup. */

/**
 * @param {string} tag with classes: `td.number`
 * @param {Record<string, unknown>} [attributes] attributes; `on…` is a listener
 * @param {...(Node | string | number | null | undefined | false)} children
 */
export function el(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split('.');
  const node = document.createElement(name);
  if (classes.length > 0) node.className = classes.join(' ');
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, '');
    else if (value !== false && value !== undefined && value !== null)
      node.setAttribute(key, value);
  }
  node.append(
    ...children
      .filter((child) => child !== null && child !== undefined && child !== false)
      .map((child) => (typeof child === 'number' ? String(child) : child)),
  );
  return node;
}

/** Changes the text only if it is another one: selections and screen readers stay undisturbed. */
export function text(node, value) {
  const wanted = String(value);
  if (node.textContent !== wanted) node.textContent = wanted;
}

export function show(node, shown) {
  node.hidden = !shown;
}

/**
 * Keeps one element for each item, by key, in the items' order. What the reader is typing in or
 * has unfolded stays as it is, because elements are made once and then only updated.
 */
export function keyed(container, items, keyOf, make, update) {
  const known = new Map([...container.children].map((node) => [node.dataset.key, node]));
  let before = container.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let node = known.get(key);
    known.delete(key);
    if (!node) {
      node = make(item);
      node.dataset.key = key;
    }
    if (node === before) before = before.nextElementSibling;
    else container.insertBefore(node, before);
    update(node, item);
  }
  for (const node of known.values()) node.remove();
}

/** Rows of plain cells: `cells(item)` gives a text, or {text, class}. */
export function rows(body, items, keyOf, cells) {
  const labels = [...body.parentElement.querySelectorAll('th')].map((th) => th.textContent);
  const numeric = [...body.parentElement.querySelectorAll('th')].map((th) => th.className);
  keyed(
    body,
    items,
    keyOf,
    (item) =>
      el(
        'tr',
        {},
        ...cells(item).map((_, at) => {
          const cell = el('td', { 'data-label': labels[at] }, el('span'));
          cell.className = numeric[at] ?? '';
          return cell;
        }),
      ),
    (row, item) => {
      cells(item).forEach((cell, at) => {
        const span = row.children[at].firstElementChild;
        const {
          text: value,
          class: name = '',
          title,
        } = typeof cell === 'object' ? cell : { text: cell };
        text(span, value);
        if (span.className !== name) span.className = name;
        if (title !== undefined) span.title = title;
      });
    },
  );
}
