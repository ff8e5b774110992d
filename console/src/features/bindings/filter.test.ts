import { expect, test } from 'vitest';
import { dayStart } from './filter';

test('a day begins at its midnight, and what is no day stays as it is', () => {
  expect(dayStart('2026-03-01')).toBe(new Date(2026, 2, 1).toISOString());
  expect(dayStart('yesterday')).toBe('yesterday');
});
