/** sluice(8) from the command line's own definition, in the words of man(7). */
import type { Argument, Command, Option } from 'commander';

const escaped = (text: string) =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1');
const quoted = (text: string) => `"${escaped(text).replaceAll('"', '\\(dq')}"`;
const bold = (text: string) => `\\fB${escaped(text)}\\fR`;

function entry(term: string, text: string): string {
  return `.TP\n${bold(term)}\n${escaped(text || '\\&')}`;
}

function optionText({ description, argChoices, defaultValue }: Option): string {
  const choices = argChoices ? `one of ${argChoices.join(', ')}` : '';
  const fallback = defaultValue === undefined ? '' : `default: ${String(defaultValue)}`;
  const more = [choices, fallback].filter((part) => part !== '').join('; ');
  if (description === '') return more;
  return more === '' ? description : `${description} (${more})`;
}

function nameOf(argument: Argument): string {
  const shown = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return argument.required ? `<${shown}>` : `[${shown}]`;
}

function section(command: Command, path: string): string {
  const words = [path, ...command.registeredArguments.map(nameOf)].join(' ');
  const parts = [`.SS ${quoted(words)}`, escaped(command.description())];
  for (const argument of command.registeredArguments) {
    if (argument.description !== '') parts.push(entry(nameOf(argument), argument.description));
  }
  for (const option of command.options) {
    if (!option.hidden) parts.push(entry(option.flags, optionText(option)));
  }
  return parts.join('\n');
}

function sections(command: Command, path: string): string[] {
  return command.commands.flatMap((child) => {
    const name = `${path} ${child.name()}`;
    return child.commands.length > 0 ? sections(child, name) : [section(child, name)];
  });
}

/** The page's source; `examples` is preformatted, `date` is YYYY-MM-DD. */
export function manualPage(
  program: Command,
  options: { version: string; date: string; examples: string; files: Record<string, string> },
): string {
  const { version, date, examples, files } = options;
  return `${[
    `.TH SLUICE 8 ${quoted(date)} ${quoted(`Sluice ${version}`)}`,
    '.SH NAME',
    'sluice \\- layer\\-4 load balancer for Linux Virtual Server users',
    '.SH SYNOPSIS',
    `${bold('sluice')} \\fIcommand\\fR [\\fIoptions\\fR]`,
    '.SH DESCRIPTION',
    escaped(program.description()),
    '.SH COMMANDS',
    ...sections(program, 'sluice'),
    '.SH EXAMPLES',
    '.nf',
    escaped(examples.trim()),
    '.fi',
    '.SH FILES',
    ...Object.entries(files).map(([path, what]) => entry(path, what)),
    '.SH SEE ALSO',
    [bold('sluice.yaml'), bold('ipvsadm'), bold('keepalived.conf')]
      .map((name, index) => `${name}(${[5, 8, 5][index]})`)
      .join(', '),
  ].join('\n')}\n`;
}
