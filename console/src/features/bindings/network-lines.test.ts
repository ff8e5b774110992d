import { expect, test } from 'vitest';
import { readNetworks } from './network-lines';

test('networks may be separated in any usual way, and count once', () => {
  const texts = (text: string) => readNetworks(text).map((line) => line.text);
  expect(texts(' 10.0.0.0/8, 10.0.0.0/8\n2001:db8::/48，1.2.3.4 ')).toEqual(['10.0.0.0/8', '2001:db8::/48', '1.2.3.4']);
  expect(readNetworks('nonsense')[0]?.facts).toBeNull();
  expect(readNetworks('  ')).toEqual([]);
});
