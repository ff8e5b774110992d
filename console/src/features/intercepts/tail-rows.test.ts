import { expect, test } from 'vitest';
import type { Intercept } from './queries';
import { arrive, NO_ROWS, release, TAIL_ROWS_MAX } from './tail-rows';

const row = (id: number) => ({ id }) as Intercept;
const ids = (rows: Intercept[]) => rows.map((one) => one.id);

test('rows stand newest first, each once, also one that was late', () => {
  const rows = arrive(arrive(NO_ROWS, [row(1), row(3)], false), [row(3), row(2), row(4)], false);
  expect(ids(rows.shown)).toEqual([4, 3, 2, 1]);
  expect(rows.dropped).toBe(0);
});

test('while it pauses, what comes is held back and counted once; going on shows it', () => {
  const paused = arrive(arrive(arrive(NO_ROWS, [row(1)], false), [row(1), row(2)], true), [row(2), row(3)], true);
  expect([ids(paused.shown), ids(paused.held)]).toEqual([[1], [3, 2]]);
  const on = release(paused);
  expect([ids(on.shown), ids(on.held)]).toEqual([[3, 2, 1], []]);
});

test('the oldest go, shown and held back, and are counted', () => {
  const many = Array.from({ length: TAIL_ROWS_MAX + 5 }, (_, at) => row(at + 1));
  const rows = arrive(NO_ROWS, many, false);
  expect([rows.shown.length, rows.shown.at(-1)?.id, rows.dropped]).toEqual([TAIL_ROWS_MAX, 6, 5]);
  expect(arrive(NO_ROWS, many, true)).toMatchObject({ held: { length: TAIL_ROWS_MAX }, dropped: 5 });
});
