import { expect, test } from 'vitest';
import { changesOf, isEditable, wrongWith } from './draft';
import type { Setting } from './queries';

const setting = (over: Partial<Setting> = {}): Setting =>
  ({
    name: 'policy.slots', value: '1', default: '1', source: 'default', live: true, is_secret: false, help: '', wanted: '',
    schema: { type: 'integer', minimum: 1, maximum: 64, enum: null }, ...over,
  }) as Setting;

test('a number is judged by its bounds', () => {
  expect(wrongWith(setting(), '64')).toBeNull();
  expect(wrongWith(setting(), '65')).toEqual({ kind: 'range', minimum: 1, maximum: 64 });
  for (const text of ['', 'x', '1.5', '1e3']) expect(wrongWith(setting(), text)).toEqual({ kind: 'number' });
});

test('only real differences are changes', () => {
  expect(changesOf({}, [setting()])).toEqual([]);
  expect(changesOf({ 'policy.slots': '1' }, [setting()])).toEqual([]);
  expect(changesOf({ 'policy.slots': '2' }, [setting()])).toEqual([{ name: 'policy.slots', before: '1', after: '2' }]);
  expect(changesOf({ 'policy.slots': null }, [setting()])).toEqual([]);
  expect(changesOf({ 'policy.slots': null }, [setting({ source: 'database', value: '3' })])).toHaveLength(1);
});

test('what is fixed cannot be edited', () => {
  expect(isEditable(setting())).toBe(true);
  for (const over of [{ live: false }, { is_secret: true }, { source: 'environment' }] as Partial<Setting>[]) {
    expect(isEditable(setting(over))).toBe(false);
  }
});
