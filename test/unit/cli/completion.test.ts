import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { completionScript } from '../../../src/cli/completion.ts';
import { runLine } from './helpers.ts';

/** What bash offers for a line whose words are given, the last one being typed. */
function offers(...words: string[]): string[] {
  const script = `${completionScript('bash')}
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_rkt
printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['--norc', '-c', script, 'bash', ...words], {
    cwd: '/',
    encoding: 'utf8',
  })
    .split('\n')
    .filter((line) => line !== '');
}

describe('in bash', () => {
  it('offers commands', () => {
    expect(offers('rkt', 'st')).toEqual(['status', 'stop']);
  });
  it('offers the members of a group', () => {
    expect(offers('rkt', 'image', 'b')).toContain('build');
  });
  it('offers what is below a command that is one itself, and its flags', () => {
    expect(offers('rkt', 'trust', 'l')).toContain('list');
    expect(offers('rkt', 'trust', 'r')).toContain('rm');
    expect(offers('rkt', 'trust', '--pre')).toEqual(['--prefix=']);
    expect(offers('rkt', 'trust', 'list', '--for')).toEqual(['--format=']);
  });
  it('offers the flags of the command and the global ones', () => {
    expect(offers('rkt', 'stop', '--f')).toEqual(['--force']);
    expect(offers('rkt', 'image', 'list', '--no')).toEqual(['--no-legend']);
    expect(offers('rkt', 'list', '--deb')).toEqual(['--debug']);
  });
  it('knows which flags want a value', () => {
    expect(offers('rkt', 'image', 'list', '--ord')).toEqual(['--order=']);
  });
  it('offers the choices of a value', () => {
    expect(offers('rkt', 'list', '--format', '=', 'json-')).toEqual(['json-pretty']);
  });
  it('offers them where an equals sign breaks no words, too', () => {
    expect(offers('rkt', 'list', '--format=json-')).toEqual(['--format=json-pretty']);
    expect(offers('rkt', 'stop', '--uuid-file=/etc/hostn')).toEqual(['--uuid-file=/etc/hostname']);
  });
  it('leaves hidden flags out', () => {
    expect(offers('rkt', 'run', '--store')).toEqual([]);
  });
});

it('serves three shells and no other', async () => {
  expect((await runLine('completion', 'zsh')).stdout).toMatch(/^#compdef rkt\n/);
  expect((await runLine('completion', 'fish')).stdout).toContain('complete -c rkt');
  expect((await runLine('completion', 'tcsh')).code).toBe(254);
});
