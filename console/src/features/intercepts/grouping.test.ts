import { expect, test } from 'vitest';
import { groupIntercepts } from './grouping';
import type { Intercept } from './queries';

const row = (id: number, more: Partial<Intercept>) =>
  ({ id, reason: 'key_ip_mismatch', count: 1, hint: 'sk-a…1', binding_id: 1, client_ip: '10.0.0.1', at: `2026-03-01T00:00:0${id}Z`, last_at: `2026-03-01T00:00:0${id}Z`, ...more }) as Intercept;

const ROWS = [
  row(1, { client_ip: '10.0.0.2' }),
  row(2, { count: 5, reason: 'key_banned' }),
  row(3, { binding_id: 2 }),
  row(4, { binding_id: null, hint: null, reason: 'key_missing' }),
];

test('rows of one key come together, though another key has the same hint', () => {
  const groups = groupIntercepts(ROWS, 'key');
  expect(groups.map((one) => [one.name, one.binding, one.requests, one.rows])).toEqual([
    ['sk-a…1', 1, 6, 2],
    [null, null, 1, 1],
    ['sk-a…1', 2, 1, 1],
  ]);
  expect(groups[0]?.reasons).toEqual([['key_banned', 5], ['key_ip_mismatch', 1]]);
  expect([groups[0]?.firstAt, groups[0]?.lastAt]).toEqual(['2026-03-01T00:00:01Z', '2026-03-01T00:00:02Z']);
});

test('rows of one address come together, whatever the key', () => {
  expect(groupIntercepts(ROWS, 'address').map((one) => [one.address, one.requests, one.rows])).toEqual([['10.0.0.1', 7, 3], ['10.0.0.2', 1, 1]]);
  expect(groupIntercepts([], 'address')).toEqual([]);
});
