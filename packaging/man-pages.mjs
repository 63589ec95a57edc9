// Every man page: those of the commands, and those of section 5.
import { entries, manPages, page, roff, section } from '../src/cli/man.ts';
import { API } from '../src/service/api.generated.ts';

export function allPages(version) {
  return [...manPages(version), busPage(version)];
}

/** The bus API, as its description in dbus/ has it. */
function busPage(version) {
  return page('io.rkt.Rkt1(5)', 'the D-Bus API of rkt', version, [
    section('DESCRIPTION', [
      roff(
        'Pods, images, trusted keys and transfers on the system bus, by the name io.rkt.Rkt1. The bus starts who answers, rkt-helper.service, which ends when there is nothing more to do; pods do not depend on it.',
      ),
      '.PP',
      roff(
        'polkit is asked whether a caller may do what it asks for; where there is no polkit only root may. Errors are named io.rkt.Rkt1.Error. and what went wrong. Options of type a{sv} are named after the flags of the commands, and take the same values; unknown ones are refused. Unknown fields of an answer are to be ignored.',
      ),
      '.PP',
      roff(
        'The same methods are on the Varlink socket /run/rkt/io.rkt.Rkt1, whose description is what varlinkctl introspect prints.',
      ),
    ]),
    ...API.map(interfaceSection),
    section('SEE ALSO', [
      '.BR rkt (1),',
      '.BR busctl (1),',
      '.BR polkit (8),',
      '.BR org.freedesktop.machine1 (5)',
    ]),
  ]);
}

function interfaceSection({ name, doc, methods, signals, properties }) {
  return section(`INTERFACE ${name}`, [
    ...(doc ? [roff(doc)] : []),
    ...subsection('Methods', methods, (method) => [
      `${method.name}(${[...named(method.in, 'in '), ...named(method.out, 'out ')].join(', ')})`,
      [method.doc, ...method.in.map(told), ...method.out.map(told), actionText(method)],
    ]),
    ...subsection('Signals', signals, (signal) => [
      `${signal.name}(${named(signal.args, '').join(', ')})`,
      [signal.doc, ...signal.args.map(told)],
    ]),
    ...subsection('Properties', properties, (property) => [
      `${property.type} ${property.name}`,
      [property.doc, fieldsText(property)],
    ]),
  ]);
}

function subsection(title, list, describe) {
  if (list.length === 0) return [];
  const described = list
    .map(describe)
    .map(([term, texts]) => [term, texts.filter(Boolean).join(' ')]);
  return [`.SS "${title}"`, ...entries(described)];
}

const named = (args, direction) => args.map(({ name, type }) => `${direction}${type} ${name}`);

const told = (argument) => [argument.doc, fieldsText(argument)].filter(Boolean).join(' ');

const fieldsText = ({ name, fields }) => fields && `The fields of ${name}: ${fields.join(', ')}.`;

function actionText({ action, group }) {
  if (!action) return undefined;
  return `Needs ${action}${group ? '; members of the group rkt have it on the Varlink socket' : ''}.`;
}
