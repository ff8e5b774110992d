import { expect, test } from 'vitest';
import { knownColumns, USUAL_COLUMNS } from './columns';
import { isSameView, readViews, renamed, viewQuery, VIEW_NAME_CHARACTERS_MAX, VIEWS_MAX, withView, type SavedView } from './views';

const view = (name: string, query = {}): SavedView => ({ name, query, columns: ['status'] });

test('a view keeps filters and the order, not the page or what is open', () => {
  expect(viewQuery({ status: 'banned', sort: 'oldest', before: '7', binding: '1', hint: '', label: ['a', 'b'] })).toEqual({ status: 'banned', sort: 'oldest' });
});

test('what was kept is read as far as it can be', () => {
  expect(readViews('nonsense')).toEqual([]);
  expect(readViews('{"a":1}')).toEqual([]);
  expect(readViews(JSON.stringify([null, { name: 1 }, { name: 'x'.repeat(99), query: { status: 'banned', other: 'x' }, columns: ['note', 'gone', 'status'] }]))).toEqual([
    { name: 'x'.repeat(VIEW_NAME_CHARACTERS_MAX), query: { status: 'banned' }, columns: ['status', 'note'] },
  ]);
  expect(knownColumns(undefined)).toEqual(USUAL_COLUMNS);
});

test('a view of the same name is replaced, and no more are kept than may be', () => {
  expect(withView([view('a'), view('b')], view('a', { status: 'banned' }))).toEqual([view('a', { status: 'banned' }), view('b')]);
  const full = Array.from({ length: VIEWS_MAX }, (_, at) => view(String(at)));
  expect(withView(full, view('one more'))).toEqual(full);
});

test('a view gets another name unless that one is taken', () => {
  expect(renamed([view('a'), view('b')], 'a', 'c')).toEqual([view('c'), view('b')]);
  expect(renamed([view('a'), view('b')], 'a', 'b')).toEqual([view('a'), view('b')]);
  expect(renamed([view('a')], 'a', '')).toEqual([view('a')]);
});

test('a view is known again whatever the order of its filters', () => {
  expect(isSameView(view('a', { sort: 'oldest', status: 'banned' }), view('b', { status: 'banned', sort: 'oldest' }))).toBe(true);
  expect(isSameView(view('a'), { query: {}, columns: ['note'] })).toBe(false);
});
