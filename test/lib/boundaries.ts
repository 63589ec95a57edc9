import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import ts from 'typescript';

/** The order of the folders: an import may point to a lower number, or sideways, never up. */
const rank: Readonly<Record<string, number>> = {
  'src/cli': 6,
  'src/pod': 5,
  'src/service': 5,
  'src/metadata': 4,
  'src/stage1': 3,
  'src/image': 3,
  'src/trust': 3,
  'src/appc': 2,
  'src/config': 2,
  'src/systemd': 2,
  'src/http': 2,
  'src/net': 2,
  'src/os': 1,
};

/** A stage1 image has a narrower view: what it may import, and who may import it. */
const stage1Imports = ['src/stage1', 'src/appc', 'src/systemd', 'src/net', 'src/os'];
const stage1Importers = ['src/pod'];

/** Packages that cost milliseconds to load, and the one folder that may import each statically. */
const heavy: Readonly<Record<string, string>> = {
  koffi: 'src/os',
  'dbus-next': 'src/systemd',
  undici: 'src/http',
  openpgp: 'src/trust',
  execa: 'src/os',
  tar: 'src/image',
};

interface Import {
  specifier: string;
  /** Evaluated as soon as the importing file is. */
  eager: boolean;
  typeOnly: boolean;
}

/** The folder that a file belongs to: `src/cli`, `stage1/nspawn`; undefined outside of both. */
function folderOf(file: string): string | undefined {
  const [top, folder, ...rest] = file.split('/');
  if (top !== 'src' && top !== 'stage1') return undefined;
  return rest.length > 0 ? `${top}/${folder}` : top;
}

function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

function importsOf(source: ts.SourceFile): Import[] {
  const found: Import[] = [];
  walk(source, (node) => {
    if (
      (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) &&
      node.moduleSpecifier &&
      ts.isStringLiteral(node.moduleSpecifier)
    ) {
      const typeOnly = ts.isImportDeclaration(node)
        ? (node.importClause?.isTypeOnly ?? false)
        : node.isTypeOnly;
      found.push({ specifier: node.moduleSpecifier.text, eager: !typeOnly, typeOnly });
    }
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      const { literal } = node.argument;
      if (ts.isStringLiteral(literal))
        found.push({ specifier: literal.text, eager: false, typeOnly: true });
    }
    if (ts.isCallExpression(node)) {
      const [argument] = node.arguments;
      const loads =
        node.expression.kind === ts.SyntaxKind.ImportKeyword ||
        /(^|\W)(require|createRequire\(.*\))$/.test(node.expression.getText(source));
      if (loads && argument && ts.isStringLiteral(argument))
        found.push({ specifier: argument.text, eager: !insideFunction(node), typeOnly: false });
    }
  });
  return found;
}

function insideFunction(node: ts.Node): boolean {
  for (let at = node.parent; at; at = at.parent) if (ts.isFunctionLike(at)) return true;
  return false;
}

function packageOf(specifier: string): string {
  const [scope = '', name] = specifier.split('/');
  return scope.startsWith('@') ? `${scope}/${name}` : scope;
}

function checkImport(file: string, { specifier, eager, typeOnly }: Import): string[] {
  const from = folderOf(file);
  if (from === undefined) return [];
  if (!specifier.startsWith('.')) {
    const name = packageOf(specifier);
    if (typeOnly) return [];
    if (specifier === 'zod') return [`${file}: imports zod; use zod/mini`];
    const home = heavy[name];
    if (home && eager && from !== home)
      return [`${file}: imports ${name} at its start; only ${home} may, others with import()`];
    return [];
  }
  const target = posix.join(posix.dirname(file), specifier);
  const to = folderOf(target);
  const found: string[] = [];
  if (!specifier.endsWith('.ts') && !specifier.endsWith('.json'))
    found.push(`${file}: ${specifier} does not end in .ts`);
  if (to === undefined) {
    if (!target.endsWith('.json')) found.push(`${file}: imports ${target}, outside src and stage1`);
  } else if (from === to) {
    // Within one folder.
  } else if (from.startsWith('stage1/')) {
    if (!stage1Imports.includes(to)) found.push(`${file}: a stage1 image may not import ${to}`);
  } else if (to.startsWith('stage1/')) {
    if (!stage1Importers.includes(from))
      found.push(`${file}: only ${stage1Importers} may import ${to}`);
  } else {
    const [low, high] = [rank[from], rank[to]];
    if (low === undefined) found.push(`${file}: ${from} has no place in the order of folders`);
    else if (high === undefined) found.push(`${file}: ${to} has no place in the order of folders`);
    else if (high > low) found.push(`${file}: import points up, to ${target}`);
  }
  return found;
}

function checkStyle(file: string, source: ts.SourceFile): string[] {
  const found: string[] = [];
  const at = (node: ts.Node): string =>
    `${file}:${source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1}`;
  walk(source, (node) => {
    if (node.kind === ts.SyntaxKind.AnyKeyword) found.push(`${at(node)}: the type any`);
    const isDefault =
      (ts.isExportAssignment(node) && !node.isExportEquals) ||
      (ts.canHaveModifiers(node) &&
        ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword)) ||
      (ts.isExportSpecifier(node) && node.name.text === 'default');
    if (isDefault) found.push(`${at(node)}: default export`);
  });
  for (const [, directive] of source.text.matchAll(/(@ts-(?:ignore|nocheck)|biome[-]ignore)/g))
    found.push(`${file}: ${directive}`);
  if (folderOf(file) !== undefined)
    for (const statement of source.statements)
      if (isExportedDeclaration(statement) && ts.getJSDocCommentsAndTags(statement).length === 0)
        found.push(`${at(statement)}: ${statement.name?.text} is exported without a docstring`);
  return found;
}

/** Functions and classes. */
function isExportedDeclaration(
  node: ts.Statement,
): node is ts.FunctionDeclaration | ts.ClassDeclaration {
  if (!ts.isFunctionDeclaration(node) && !ts.isClassDeclaration(node)) return false;
  const kinds = node.modifiers?.map(({ kind }) => kind) ?? [];
  return (
    kinds.includes(ts.SyntaxKind.ExportKeyword) && !kinds.includes(ts.SyntaxKind.DefaultKeyword)
  );
}

/** A cycle in a graph, as the list of its nodes with the first one repeated at the end. */
function findCycle(graph: ReadonlyMap<string, ReadonlySet<string>>): string[] | undefined {
  const done = new Set<string>();
  const visit = (node: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (done.has(node)) return undefined;
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next, [...path, node]);
      if (cycle) return cycle;
    }
    done.add(node);
    return undefined;
  };
  for (const node of graph.keys()) {
    const cycle = visit(node, []);
    if (cycle) return cycle;
  }
  return undefined;
}

/** Where the commands with a budget for their start begin: the entry, and what it then loads. */
const quickStarts = ['src/cli/main.ts', 'src/cli/commands/version.ts', 'src/cli/commands/list.ts'];

/** Heavy packages among all that the quick commands import statically. */
function checkStart(files: ReadonlyMap<string, readonly Import[]>): string[] {
  const found: string[] = [];
  const seen = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const { specifier, eager } of files.get(file) ?? []) {
      if (!eager) continue;
      if (specifier.startsWith('.')) {
        visit(posix.join(posix.dirname(file), specifier), [...path, file]);
      } else if (packageOf(specifier) === 'zod' || packageOf(specifier) in heavy)
        found.push(`${[...path, file].join(' -> ')}: a quick start loads ${specifier}`);
    }
  };
  for (const file of quickStarts) visit(file, []);
  return found;
}

function sources(root: string): string[] {
  return ['src', 'stage1', 'test']
    .filter((top) => existsSync(join(root, top)))
    .flatMap((top) =>
      readdirSync(join(root, top), { recursive: true, encoding: 'utf8' }).map(
        (file) => `${top}/${file}`,
      ),
    )
    .filter((file) => file.endsWith('.ts'));
}

/**
 * What the sources below `root` do against the order of the house: one line each, sorted. Looks at
 * src, stage1 and (for `any` and the like) test.
 */
export function violations(root: string): string[] {
  const found: string[] = [];
  const files = new Map<string, Import[]>();
  const folders = new Map<string, Set<string>>();
  for (const file of sources(root)) {
    const text = readFileSync(join(root, file), 'utf8');
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
    found.push(...checkStyle(file, source));
    const imports = importsOf(source);
    files.set(file, imports);
    const from = folderOf(file);
    for (const one of imports) {
      found.push(...checkImport(file, one));
      if (!from || !one.specifier.startsWith('.')) continue;
      const to = folderOf(posix.join(posix.dirname(file), one.specifier));
      if (!to || to === from) continue;
      const targets = folders.get(from) ?? new Set();
      folders.set(from, targets.add(to));
    }
  }
  const cycle = findCycle(folders);
  if (cycle) found.push(`folders import each other: ${cycle.join(' -> ')}`);
  return [...found, ...checkStart(files)].sort();
}
