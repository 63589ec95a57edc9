// Every man page: those of the commands, and those of section 5.
import { globalFlags } from '../src/cli/flag-sets.ts';
import { entries, flagEntries, manPages, page, roff, section } from '../src/cli/man.ts';
import { GLOBAL, NOT_FOR_UNITS } from '../src/cli/pod-file/read.ts';
import { commands } from '../src/cli/table.ts';
import { API } from '../src/service/api.generated.ts';
import { SERVICE_ERRORS } from '../src/service/error.ts';

export function allPages(version) {
  return [...manPages(version), podPage(version), busPage(version)];
}

const example = `[Unit]
Description=A web server and its log

[Pod]
net=default
port=http:8080
volume=data,kind=host,source=/srv/www

[App web]
image=example.org/nginx:1.25
mount=volume=data,target=/usr/share/nginx/html
memory=256M

[App log]
image=example.org/log
arg=--follow
arg=/var/log/access.log

[Install]
WantedBy=multi-user.target`;

/** The pod file, whose keys are the flags of rkt run. */
function podPage(version) {
  const { flags } = commands.find(({ path }) => path === 'run');
  const podFlags = [
    ...flags.filter(({ name, scope }) => scope !== 'image' && !NOT_FOR_UNITS.includes(name)),
    ...globalFlags.filter(({ name }) => GLOBAL.includes(name)),
  ];
  const appFlags = flags.filter(({ name, scope }) => scope && scope !== 'pod' && name !== 'name');
  return page('rkt-pod(5)', 'pods as units of systemd', version, [
    section('SYNOPSIS', ['.I /etc/rkt/pods/NAME.pod', '.br', '.I /etc/rkt/pods/NAME.json']),
    section('DESCRIPTION', [
      roff(
        'Each file NAME.pod is a unit NAME.service, made by a generator at boot and at systemctl daemon-reload. rkt-pod@NAME.service runs NAME.pod too, or where there is none NAME.json, a pod manifest whose images may be names. The unit is ready when the apps of the pod run; images that are not in the store are fetched before, for which the time of the start does not count. rkt generate prints such a file for a pod that is there.',
      ),
      '.PP',
      roff(
        'The syntax is that of systemd.syntax(7). A key may stand as often as its flag. A value in double quotes is a JSON string. What is wrong with a file fails its unit, whose log names the line and the key.',
      ),
    ]),
    section('SECTIONS', [
      ...entries([
        ['[Pod]', 'The flags of rkt run that are for the whole pod; below.'],
        ['[App NAME]', 'An app: its image, arguments and flags; below.'],
        ['[Unit], [Service], [Install]', 'Go into the unit as they are: see systemd.unit(5).'],
      ]),
    ]),
    section('KEYS OF [Pod]', keyEntries(podFlags)),
    section('KEYS OF [App NAME]', [
      ...entries([
        ['image=IMAGE', 'The image: a name, an address or a file, as for rkt run.'],
        ['arg=ARGUMENT', 'An argument of the app; once for each.'],
      ]),
      ...keyEntries(appFlags),
    ]),
    section('EXAMPLE', ['.nf', ...example.split('\n').map(roff), '.fi']),
    section('SEE ALSO', [
      '.BR rkt (1),',
      '.BR rkt\\-run (1),',
      '.BR rkt\\-generate (1),',
      '.BR systemd.service (5)',
    ]),
  ]);
}

/** Flags without the dashes, a switch with its value. */
function keyEntries(flags) {
  return flagEntries(flags).map((line) =>
    line.replace(/^\.B "\\-\\-([^="]*)(=?)/, (_, name, equals) => `.B "${name}${equals || '=yes'}`),
  );
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
        'polkit is asked whether a caller may do what it asks for; where there is no polkit only root may. Errors are listed below. Options of type a{sv} are named after the flags of the commands, and take the same values; unknown ones are refused. Unknown fields of an answer are to be ignored.',
      ),
      '.PP',
      roff(
        'Signals go to root, and to whom the administrator gives them in the policy of the bus (/usr/share/dbus-1/system.d/io.rkt.Rkt1.conf says how), since they tell of the pods of everybody; TransferRemoved goes to all.',
      ),
      '.PP',
      roff(
        'The same methods are on the Varlink socket /run/rkt/io.rkt.Rkt1, whose description is what varlinkctl introspect prints. There the parameter allowInteractiveAuthentication lets polkit ask for a password, as the flag of a message does on the bus.',
      ),
    ]),
    ...API.map(interfaceSection),
    section('ERRORS', [
      roff(
        'Each is named io.rkt.Rkt1.Error. and what follows, its message is one line for people.',
      ),
      ...entries(Object.entries(SERVICE_ERRORS)),
    ]),
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
      [fieldsText(property), property.doc],
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

const told = (argument) => [fieldsText(argument), argument.doc].filter(Boolean).join(' ');

const fieldsText = ({ name, fields }) => fields && `The fields of ${name}: ${fields.join(', ')}.`;

function actionText({ action, group }) {
  if (!action) return undefined;
  return `Needs ${action}${group ? '; members of the group rkt have it on the Varlink socket' : ''}.`;
}
