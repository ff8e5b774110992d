import { expect, test } from 'vitest';
import { landing } from './landing';

test('a sign-in never leads out of the console', () => {
  expect(landing('/bindings?status=banned')).toBe('/bindings?status=banned');
  for (const to of ['//evil.example', '/\\evil.example', 'https://evil.example', undefined, ['/a']]) {
    expect(landing(to)).toBe('/dashboard');
  }
});
