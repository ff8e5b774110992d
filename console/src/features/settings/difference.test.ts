import { expect, test } from 'vitest';
import { foreseen, stored } from './difference';

test('a value says where it comes from, unless it was set here', () => {
  expect(foreseen([{ name: 'policy.slots', before: 1, after: '3', before_source: 'default', after_source: 'database' }])).toEqual([
    { name: 'policy.slots', before: '1', after: '3', beforeSource: 'default', afterSource: undefined },
  ]);
});

test('a past change keeps back what is hidden, and says where nothing was set', () => {
  expect(stored([{ name: 'policy.slots', before: null, after: '3', is_hidden: false }, { name: 'gone', before: null, after: null, is_hidden: true }])).toEqual([
    { name: 'policy.slots', before: null, after: '3', isHidden: false },
    { name: 'gone', before: null, after: null, isHidden: true },
  ]);
});
