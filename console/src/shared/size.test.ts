import { expect, test } from 'vitest';
import { sizeText } from './size';

test('bytes are said in the unit that fits', () => {
  expect([0, 999, 1_000, 12_345_678, 5e12].map((bytes) => sizeText(bytes, 'en'))).toEqual(['0 bytes', '999 bytes', '1 kB', '12.3 MB', '5,000 GB']);
});
