import { expect, test } from 'vitest';
import { networkFacts, networksOverlap } from './network';

test('an address is a network of one', () => {
  expect(networkFacts('203.0.113.7')).toMatchObject({ family: 4, prefix: 32, addresses: 1n, isPrivate: false });
  expect(networkFacts('2001:db8::1')).toMatchObject({ family: 6, prefix: 128, addresses: 1n });
});

test('a network says its size, whether it is private, wide, or named by an address in it', () => {
  expect(networkFacts('10.1.0.0/16')).toMatchObject({ addresses: 65536n, isPrivate: true, isWide: false });
  expect(networkFacts('0.0.0.0/0')).toMatchObject({ isWide: true, isPrivate: false });
  expect(networkFacts('192.168.1.9/24')).toMatchObject({ hasHostBits: true });
  expect(networkFacts('fd00::/8')).toMatchObject({ isPrivate: true, isWide: true });
});

test('what is no network is none', () => {
  for (const text of ['', '1.2.3', '256.0.0.1', '01.2.3.4', '1.2.3.4/33', '1.2.3.4/', ':::', '1::2::3', 'a', '1.2.3.4/8/8']) {
    expect(networkFacts(text), text).toBeNull();
  }
});

test('networks share addresses when one lies in the other', () => {
  expect(networksOverlap('10.0.0.0/8', '10.1.2.3')).toBe(true);
  expect(networksOverlap('10.1.2.3', '10.0.0.9/8')).toBe(true);
  expect(networksOverlap('10.0.0.0/24', '10.0.1.0/24')).toBe(false);
  expect(networksOverlap('2001:db8::/32', '2001:db8:1::1')).toBe(true);
  expect(networksOverlap('0.0.0.0/0', '::/0')).toBe(false);
  expect(networksOverlap('nonsense', '10.0.0.1')).toBe(false);
});
