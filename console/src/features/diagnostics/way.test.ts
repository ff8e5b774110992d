import { expect, test } from 'vitest';
import type { SeenAddress } from './queries';
import { wayOf } from './way';

const hop = (address: string | null, is_trusted = false, source = 'x-forwarded-for') => ({ address, is_trusted, source });
const seen = (client_ip: string | null, ...hops: SeenAddress['hops']): SeenAddress =>
  ({ peer: hops[0]?.address ?? '', hops, client_ip, reason: null, would_bind: true, network: null, warnings: [] });
const roles = (of: SeenAddress) => wayOf(of).map((stop) => [stop.address, stop.role]);

test('who connects directly is the client, and what its headers say counts for nothing', () => {
  expect(roles(seen('203.0.113.7', hop('203.0.113.7', false, 'connection')))).toEqual([['203.0.113.7', 'client']]);
  expect(roles(seen('203.0.113.7', hop('203.0.113.7', false, 'connection'), hop('192.0.2.1')))).toEqual([
    ['192.0.2.1', 'ignored'],
    ['203.0.113.7', 'client'],
  ]);
});

test('a proxy that nobody trusts is taken for the client', () => {
  const stranger = seen('10.0.0.2', hop('10.0.0.2', false, 'connection'), hop('203.0.113.7'));
  stranger.warnings.push({ code: 'proxy_not_trusted', text: '' });
  expect(roles(stranger)).toEqual([['203.0.113.7', 'ignored'], ['10.0.0.2', 'mistaken']]);
});

test('behind trusted proxies the first stranger from the right is the client', () => {
  const chain = seen('203.0.113.7', hop('10.0.0.2', true, 'connection'), hop('10.0.0.1', true), hop('203.0.113.7'), hop(null));
  expect(roles(chain)).toEqual([[null, 'ignored'], ['203.0.113.7', 'client'], ['10.0.0.1', 'proxy'], ['10.0.0.2', 'proxy']]);
});

test('where all are trusted, the farthest is the client', () => {
  expect(roles(seen('10.0.0.1', hop('10.0.0.2', true, 'connection'), hop('10.0.0.1', true)))).toEqual([['10.0.0.1', 'client'], ['10.0.0.2', 'proxy']]);
});

test('without a client, what stands in its way is shown', () => {
  expect(roles(seen(null, hop('10.0.0.2', true, 'connection'), hop('192.0.2.1'), hop(null)))).toEqual([
    [null, 'unreadable'],
    ['192.0.2.1', 'unclear'],
    ['10.0.0.2', 'proxy'],
  ]);
  expect(roles(seen(null, hop('10.0.0.2', true, 'connection')))).toEqual([['10.0.0.2', 'proxy']]);
});
