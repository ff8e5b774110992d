import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FAMILIES } from '@/shared/code-text';
import { preferredLanguage } from './index';

const SOURCES = join(import.meta.dirname, '..');

type Tree = { [key: string]: string | Tree };

function flat(tree: Tree, prefix = ''): Map<string, string> {
  return new Map(Object.entries(tree).flatMap(([key, value]) => (typeof value === 'string' ? [[prefix + key, value] as const] : [...flat(value, `${prefix}${key}.`)])));
}

function sources(): string {
  const names = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' });
  const code = names.filter((name) => /\.(vue|ts)$/.test(name) && !name.endsWith('.test.ts') && !name.endsWith('.d.ts'));
  return code.map((name) => readFileSync(join(SOURCES, name), 'utf8')).join('\n');
}

/** As they are written, before the build compiles them. */
const read = (language: string) => flat(JSON.parse(readFileSync(join(SOURCES, `i18n/locales/${language}.json`), 'utf8')) as Tree);

const texts = { en: read('en'), zh: read('zh-CN') };
const code = sources();
const literal = new Set([...code.matchAll(/\bt\(\s*'([\w.-]+)'/g)].map((match) => match[1] ?? ''));
const prefixes = [...[...code.matchAll(/`([a-z_.]+\.)\$\{/g)].map((match) => match[1] ?? ''), ...FAMILIES.map((family) => `${family}.`)];

test('both languages have the same keys, none of them empty', () => {
  expect([...texts.zh.keys()]).toEqual([...texts.en.keys()]);
  for (const [key, text] of [...texts.en, ...texts.zh]) expect(text.trim(), key).not.toBe('');
});

test('both languages fill in the same values', () => {
  const names = (text = '') => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();
  for (const [key, text] of texts.en) expect(names(texts.zh.get(key)), key).toEqual(names(text));
});

test('every key that the code names exists', () => {
  expect([...literal].filter((key) => !texts.en.has(key))).toEqual([]);
});

test('every key is used', () => {
  const unused = [...texts.en.keys()].filter((key) => !literal.has(key) && !prefixes.some((prefix) => key.startsWith(prefix)));
  expect(unused).toEqual([]);
});

test('the browser is asked for a language only until one is chosen', () => {
  expect(preferredLanguage(null, ['fr', 'zh-Hant-TW', 'en'])).toBe('zh-CN');
  expect(preferredLanguage(null, ['fr'])).toBe('en');
  expect(preferredLanguage('en', ['zh'])).toBe('en');
});
