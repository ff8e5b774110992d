import { expect, test } from 'vitest';
import { byUrgency } from './finding-text';
import type { Finding } from './queries';
import { stepsBefore, variantOf, type Step } from './steps';

const step = (name: string, ok = true): Step => ({ name, ok, text: '' });

test('the last step is the verdict itself', () => {
  const steps = [step('address'), step('key'), step('outcome')];
  expect(stepsBefore({ outcome: 'claim', code: null, steps }).map((one) => one.name)).toEqual(['address', 'key']);
});

test('a step is known by its name and how it went', () => {
  const bound = [step('address', false), step('key'), step('network', false)];
  expect(bound.map((one) => variantOf(one, bound))).toEqual(['address.no', 'key.bound', 'network.no']);
  const unknown = [step('key'), step('claim')];
  expect(unknown.map((one) => variantOf(one, unknown))).toEqual(['key.unbound', 'claim.ok']);
  const banned = [step('key', false), step('network')];
  expect(variantOf(banned[0]!, banned)).toBe('key.banned');
});

test('what needs doing stands first', () => {
  const finding = (name: string, severity: Finding['severity']): Finding => ({ name, severity, ok: severity === 'info', text: '', what_to_do: '' });
  const found = [finding('part', 'info'), finding('rules', 'warning'), finding('part', 'info'), finding('secrets', 'problem')];
  expect(byUrgency(found).map((one) => one.name)).toEqual(['secrets', 'rules', 'part', 'part']);
});
