import { expect, test, vi } from 'vitest';
import en from '@/i18n/locales/en.json';
import zh from '@/i18n/locales/zh-CN.json';
import { ending, leaveFor, PROVIDER_PROBLEMS, wanted } from './provider';

vi.mock('@/api/client', () => ({ api: {}, answer: () => Promise.resolve() }));

test('every ending of a sign-in by the provider has words in both languages', () => {
  expect(ending('done')).toBe('done');
  for (const problem of PROVIDER_PROBLEMS) expect(ending(problem)).toBe(problem);
  for (const nothing of [undefined, null, ['done']]) expect(ending(nothing)).toBe(null);
  for (const strange of ['', 'DONE', '<b>', 'toString']) expect(ending(strange)).toBe('internal');
  for (const texts of [en, zh]) expect(Object.keys(texts.sign_in.provider_problems).sort()).toEqual([...PROVIDER_PROBLEMS].sort());
});

test('what was to be opened is opened once, and never anything outside the console', () => {
  const kept = new Map<string, string>();
  vi.stubGlobal('sessionStorage', {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key),
  });
  leaveFor('/bindings?status=banned');
  expect([wanted(), wanted()]).toEqual(['/bindings?status=banned', '/dashboard']);
  leaveFor('//evil.example');
  expect(wanted()).toBe('/dashboard');
  kept.set('sentinel.sign-in-to', 'https://evil.example');
  expect(wanted()).toBe('/dashboard');
});
