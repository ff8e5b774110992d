import { expect, test } from 'vitest';
import { lookupsFor } from './lookups';

const kinds = (text: string) => lookupsFor(text).map((lookup) => lookup.kind);

test('what is typed is looked up as what it may be', () => {
  expect(kinds('203.0.113.7')).toEqual(['bindings_of_address', 'intercepts_of_address', 'explain_address']);
  expect(kinds('sr_pdclonwvj4w65gpx')).toEqual(['reference', 'hint']);
  expect(kinds('sk-…3f')).toEqual(['hint']);
  expect(kinds('a')).toEqual([]);
});
