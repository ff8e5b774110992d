import { expect, test } from 'vitest';
import { tellsKey } from './hint';

test('a hint that shows nothing is none', () => {
  expect(['sk-a…1', '', '…', null, undefined].map(tellsKey)).toEqual([true, false, false, false, false]);
});
