import { expect, test } from 'vitest';
import { isGoodLabel, LABEL_CHARACTERS_MAX, readLabels } from './labels';

test('labels are separated by commas of both kinds, each once', () => {
  expect(readLabels(' team a, prod，prod,, 北京 ')).toEqual(['team a', 'prod', '北京']);
});

test('a label is measured in characters', () => {
  expect(isGoodLabel('京'.repeat(LABEL_CHARACTERS_MAX))).toBe(true);
  expect(isGoodLabel('a'.repeat(LABEL_CHARACTERS_MAX + 1))).toBe(false);
});
