import { expect, test } from 'vitest';
import { toSend, wrongParts, type Asked } from './ask';

const asked = (over: Partial<Asked>): Asked => ({ by: 'key', named: 'sk-1', address: '203.0.113.7', method: '', path: '', ...over });

test('the key is named in one of three ways', () => {
  expect(toSend(asked({ named: ' sk-1 ' }))).toEqual({ key: 'sk-1', address: '203.0.113.7', path: null, method: null });
  expect(toSend(asked({ by: 'hint' }))).toMatchObject({ hint: 'sk-1' });
  expect(toSend(asked({ by: 'binding', named: '7', method: 'POST', path: '/v1' }))).toEqual({ binding_id: 7, address: '203.0.113.7', path: '/v1', method: 'POST' });
});

test('nothing is sent before it is all there and can be so', () => {
  for (const over of [{ named: ' ' }, { address: '' }, { address: '10.0.0.0/8' }, { path: 'v1' }, { by: 'binding', named: 'x' }] as Partial<Asked>[]) {
    expect(toSend(asked(over)), JSON.stringify(over)).toBeNull();
  }
});

test('what is missing is no mistake yet', () => {
  expect(wrongParts(asked({ by: 'binding', named: '', address: '' }))).toEqual([]);
  expect(wrongParts(asked({ by: 'binding', named: '0', address: '1.2.3.4/32', path: 'x' }))).toEqual(['named', 'address', 'path']);
});
