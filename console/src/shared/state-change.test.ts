import { expect, test } from 'vitest';
import { changedMembers, readDetail } from './state-change';

test('only what became another one is shown', () => {
  const before = { version: 1, status: 'active', networks: ['10.0.0.1', '10.0.0.2'], labels: [], policy: {} };
  const after = { version: 2, status: 'banned', networks: ['10.0.0.1'], labels: [], policy: {} };
  expect(changedMembers(before, after)).toEqual([
    { name: 'status', before: 'active', after: 'banned' },
    { name: 'networks', before: '10.0.0.1, 10.0.0.2', after: '10.0.0.1' },
  ]);
  expect(changedMembers(null, { status: 'active' })).toEqual([{ name: 'status', before: null, after: 'active' }]);
});

test('a detail that is plain text tells of no states', () => {
  expect(readDetail('a browser')).toEqual({});
  expect(readDetail('null')).toEqual({});
  expect(readDetail('{"name":"x","before":null,"after":{"a":1}}')).toEqual({ before: null, after: { a: 1 }, rest: { name: 'x' } });
});
