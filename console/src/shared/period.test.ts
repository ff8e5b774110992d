import { expect, test } from 'vitest';
import { sinceOf } from './period';

test('a period begins at a full minute, and an unknown one has no start', () => {
  const now = Date.parse('2026-03-01T12:34:56Z');
  expect(sinceOf('1h', now)).toBe('2026-03-01T11:34:00.000Z');
  expect(sinceOf('', now)).toBeUndefined();
  expect(sinceOf('constructor', now)).toBeUndefined();
});
