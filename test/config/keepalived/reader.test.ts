/** Lines of keepalived.conf before anybody looks at keywords. */
/* biome-ignore-all lint/suspicious/noTemplateCurlyInString: keepalived.conf's own syntax */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Files } from '../../../src/config/keepalived/files.js';
import { parseKeepalived } from '../../../src/config/keepalived/parse.js';
import { readKeepalived } from '../../../src/config/keepalived/reader.js';
import { type Node, printTree } from '../../../src/config/keepalived/tree.js';
import { quote, unescaped, type Word } from '../../../src/config/keepalived/words.js';
import { formatProblem } from '../../../src/errors.js';

/** Files that are nowhere but here. */
function memory(files: Record<string, string>): Files {
  return {
    read: (path) => {
      const text = files[path];
      if (text === undefined) throw new Error('not there');
      return text;
    },
    list: (folder) => {
      const prefix = folder === '.' ? '' : `${folder.replace(/\/$/, '')}/`;
      const inside = Object.keys(files).filter((path) => path.startsWith(prefix));
      return [...new Set(inside.map((path) => path.slice(prefix.length).split('/')[0] as string))];
    },
    isFolder: (path) => Object.keys(files).some((name) => name.startsWith(`${path}/`)),
  };
}

function read(text: string, files: Record<string, string> = {}) {
  const all = { 'main.conf': text, ...files };
  const { tree, problems } = readKeepalived(text, 'main.conf', {
    configId: 'one',
    files: memory(all),
  });
  return { text: printTree(tree), says: problems.map(formatProblem), tree };
}

const rows: [it: string, text: string, tree: string, says?: string[]][] = [
  ['words and a block', 'a b\nc d {\n e\n}\n', 'a b\nc d {\n    e\n}\n'],
  ['braces anywhere', 'a{b\nc}d { e }', 'a {\n    b\n    c\n}\nd {\n    e\n}\n'],
  ['a brace on the next line', 'a\n{\nb }', 'a {\n    b\n}\n'],
  ['comments', 'a # b\n! c\nd!e\n"f # g"', 'a\nd\n"f # g"\n'],
  ['quotes join', 'a" b  c"d', '"a b  cd"\n'],
  ['definitions by value when used', '$A=1\n$B=x${A}\n$A=2\na $B ${B}y $C', 'a x2 x2y "$C"\n'],
  [
    'a definition of several lines',
    '$V= \\\n a { \\\n\n b ${N} \\\n }\n$N=7\n$V\n',
    'a {\n    b 7\n}\n',
  ],
  ['conditions', '@one a\n@^one b\n@two c\n@^two d', 'a\nd\n'],
  ['a condition in a definition', '$IF=@two\n$IF a\nb', 'b\n'],
  ['sequences', '~SEQ(A, 2) ~SEQx(B, 9, 10) a${A}${B}', 'a19\na1a\na29\na2a\n'],
  ['a sequence downwards', '~SEQ(A, 4, -2, 1) a $A', 'a 4\na 2\n'],
  ['lists', '~LST({A, B}, {1, 2}, {3, 4}) a ${A}-${B}', 'a 1-2\na 3-4\n'],
  ['what would start a comment', 'a ${_HASH} ${_BANG}', 'a "#" "!"\n'],
  ['the name of this configuration', 'a ${_INSTANCE} ${_PWD}', 'a one .\n'],
  ['Windows line ends', 'a {\r\n b\r\n}\r\n', 'a {\n    b\n}\n'],
  ['an open quote', 'a "b', 'a "b"\n', ['main.conf:1:3: this quote is not closed on its line']],
  ['a brace too many', 'a\n}', 'a\n', ['main.conf:2:1: this } closes nothing']],
  [
    'a brace too few',
    'a {\n b {',
    'a {\n    b {\n    }\n}\n',
    ['main.conf:1:1: the block a is not closed, nor 1 inside it, expected }'],
  ],
  [
    'a brace without keyword',
    '{\na }',
    '',
    ['main.conf:1:1: a block begins without a keyword before its {'],
  ],
  [
    'definitions in a circle',
    '$A=${B}\n$B=${A}\na $A',
    '',
    ['main.conf:3:1: definitions refer to one another without end'],
  ],
  [
    'a definition that repeats itself',
    '$A= \\\n b \\\n $A\n$A',
    'b\n'.repeat(64),
    ['main.conf:4:1: definitions and repetitions nest too deep'],
  ],
  [
    'a sequence without end',
    '~SEQ(A, 1, -1, 2) a',
    '',
    ['main.conf:1:1: ~SEQ(A, 1, -1, 2): never gets from 1 to 2 in steps of -1'],
  ],
  [
    'a definition that goes on at the end',
    '$A= \\\n b \\',
    '',
    ['main.conf:1:1: the definition of $A never ends'],
  ],
];

for (const [it, text, tree, says = []] of rows) {
  test(it, () => {
    const result = read(text);
    assert.equal(result.says, says);
    assert.is(result.text, tree);
  });
}

test('columns are those of the file, through definitions too', () => {
  const { tree } = read('  $A=x y\n  aa  bb $A ${A}c dd');
  assert.equal(
    tree[0]?.words.map(({ text, column }) => [text, column]),
    [
      ['aa', 3],
      ['bb', 7],
      ['x', 10],
      ['y', 10],
      ['x', 13],
      ['yc', 13],
      ['dd', 19],
    ],
  );
});

test('includes: relative to the including file, wildcards in order, blocks across files', () => {
  const { text, says, tree } = read('a {\n include d/*.conf\n}\ninclude d/e/f', {
    'd/1.conf': 'b\ninclude e/f\n',
    'd/2.conf': 'c\n',
    'd/.hidden.conf': 'no\n',
    'd/e/f': 'e',
  });
  assert.equal(says, []);
  assert.is(text, 'a {\n    b\n    e\n    c\n}\ne\n');
  assert.equal([tree[1]?.file, tree[0]?.children?.[2]?.file], ['d/e/f', 'd/2.conf']);
});

test('includes that go wrong: a warning, or an error where the file asks for one', () => {
  const { says } = read(
    'include no\nincluder no\nincludem no*\nincludea no*\ninclude main.conf\ninclude d\ninclude {no,d/x}\n',
    { 'd/x': 'include ../main.conf\n' },
  );
  assert.equal(says, [
    'main.conf:1:9: warning: no file is called no, nothing is included',
    'main.conf:2:10: no file is called no, nothing is included',
    'main.conf:3:10: no file is called no*, nothing is included',
    'main.conf:4:10: no file is called no*, nothing is included',
    'main.conf:5:9: main.conf includes itself',
    'main.conf:6:9: warning: d is a folder, expected a file: not included',
    'd/x:1:9: main.conf includes itself',
  ]);
});

test('escapes of scripts and patterns', () => {
  assert.is(unescaped('a\\n\\x41\\101\\cA\\"\\\\\\q'), 'a\nAA\x01"\\q');
});

const word = fc
  .string({ unit: fc.constantFrom(...'abz019./:-_#!@~{} $*'), minLength: 1, maxLength: 8 })
  .map((text): Word => ({ text, column: 1, quoted: quote(text) !== text }));
const { tree } = fc.letrec<{ tree: Node[]; node: Node }>((tie) => ({
  tree: fc.array(tie('node'), { maxLength: 4, depthIdentifier: 'blocks' }),
  node: fc.record({
    words: fc.array(word, { minLength: 1, maxLength: 4 }) as fc.Arbitrary<[Word, ...Word[]]>,
    file: fc.constant(''),
    line: fc.constant(0),
    children: fc.option(tie('tree'), { nil: undefined, depthIdentifier: 'blocks', maxDepth: 4 }),
  }),
}));

function bare(nodes: readonly Node[]): unknown {
  return nodes.map(({ words, children }) => [
    words.map(({ text }) => text),
    children && bare(children),
  ]);
}

test('property: a tree printed and read is the same tree', () => {
  fc.assert(
    fc.property(tree, (nodes) => {
      const result = read(printTree(nodes));
      assert.equal(result.says, []);
      assert.equal(bare(result.tree), bare(nodes));
    }),
    { numRuns: 500, seed: 1 },
  );
});

test('property: whatever is in a file, there are places and sentences, and no throw', () => {
  const pieces = fc.constantFrom(
    ...['virtual_server', 'real_server', 'TCP_CHECK', '10.0.0.1', '80', '{', '}', '"', '\\', '\n'],
    ...['$A=', '${A}', '$A', '@one', '~SEQ(A,1,3)', '~LST(A,b)', 'include x', '#', 'weight', '-1'],
    ...['constructor', '__proto__', 'global_defs', 'url', 'path', 'virtual_server_group', 'fwmark'],
    ...['vrrp_instance', 'virtual_ipaddress', 'HTTP_GET', 'misc_path', 'status_code', '\t', ' '],
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.array(pieces, { maxLength: 60 }).map((parts) => parts.join(' ')),
    fc.array(pieces, { maxLength: 60 }).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, (input) => {
      const { problems } = parseKeepalived(input, 'any.conf', { files: memory({}) });
      for (const { place, message, code } of problems) {
        assert.ok(place.line >= 1 && place.line <= input.split('\n').length && place.column >= 1);
        assert.not.match(message, /undefined|\[object/);
        assert.match(code, /^(ERR|WARN)_CONFIG_/);
      }
    }),
    { numRuns: 2000, seed: 2 },
  );
});

test('a big file: ten thousand services, a hundred thousand servers', () => {
  const text = `$RS= \\
    real_server 10.\${A}.\${B}.\${N} 80 { \\
        weight 1 \\
    }
$VS= \\
    virtual_server 203.\${A}.\${B}.1 80 { \\
        lvs_sched rr \\
        lvs_method NAT \\
        protocol TCP \\
        ~SEQ(N, 1, 10) $RS \\
    }
~SEQ(A, 0, 99) ~SEQ(B, 0, 99) $VS
`;
  const { tree, problems } = parseKeepalived(text, 'big.conf');
  assert.equal(problems, []);
  assert.is(tree.length, 10_000);
  assert.is(tree[9_999]?.children?.length, 13);
});

test('a slip that makes too much of a line is told, and nothing of it is left to check', () => {
  const text = 'b\n~SEQ(A, 1, 100000) ~SEQ(B, 1, 100000) a {\n';
  const { tree, problems } = readKeepalived(text, 'main.conf', { mostLines: 1000 });
  assert.equal(tree, []);
  assert.equal(problems.map(formatProblem), [
    'main.conf:2:39: definitions and repetitions make more than 1000 lines: nothing of them counts',
  ]);
});

test.run();
