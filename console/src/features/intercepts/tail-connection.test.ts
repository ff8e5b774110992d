import { expect, test, vi } from 'vitest';
import { ApiProblem, unreachable } from '@/api/problem';
import { FIRST_PAUSE_MS, follow, PAUSE_MAX_MS, pauseBefore, SILENCE_MAX_MS, type TailListener } from './tail-connection';

const encoder = new TextEncoder();
const stream = (...pieces: string[]) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(encoder.encode(piece));
      controller.close();
    },
  });

/** A server that answers in turn, and what became of it. */
async function followed(answers: (() => ReadableStream<Uint8Array>)[]) {
  const stop = new AbortController();
  const asked: string[] = [];
  const told: unknown[] = [];
  const listener: TailListener = {
    live: (isAgain) => told.push(isAgain ? 'live again' : 'live'),
    rows: (rows) => told.push(...rows.map((row) => row.id)),
    skipped: (count) => told.push({ skipped: count }),
    cut: () => told.push('cut'),
  };
  const connect = (lastId: string) => {
    asked.push(lastId);
    const next = answers.shift();
    if (next) return Promise.resolve().then(next);
    stop.abort();
    return Promise.reject(unreachable());
  };
  const end = await follow({ connect, pause: () => Promise.resolve() }, listener, stop.signal);
  return { asked, told, end };
}

test('after a cut it goes on behind the last event, as long as it takes', async () => {
  const { asked, told, end } = await followed([
    () => stream('event: intercept\nid: 7\ndata: {"id":7}\n\nevent: ping\nid: 9\ndata: {}\n\n'),
    () => { throw unreachable(); },
    () => { throw new ApiProblem('store_unavailable', 503, ''); },
    () => stream('event: skipped\ndata: {"count":3}\n\nevent: intercept\nid: 10\ndata: {"id":12}\n\nevent: end\ndata: {"reason":"stopping"}\n\n'),
  ]);
  expect(asked).toEqual(['', '9', '9', '9', '10']);
  expect(told.filter((one) => one !== 'cut')).toEqual(['live', 7, 'live again', 12, { skipped: 3 }]);
  expect(end).toBeNull();
});

test('what is refused for good ends it', async () => {
  const { asked, end } = await followed([() => { throw new ApiProblem('limit_reached', 409, ''); }]);
  expect([asked.length, end?.code]).toEqual([1, 'limit_reached']);
});

test('a connection that is silent for too long is given up', async () => {
  vi.useFakeTimers();
  let isGivenUp = false;
  const silent = () => new ReadableStream<Uint8Array>({ cancel: () => void (isGivenUp = true) });
  const end = followed([silent]);
  await vi.advanceTimersByTimeAsync(SILENCE_MAX_MS - 1);
  expect(isGivenUp).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  vi.useRealTimers();
  expect((await end).asked.length).toBe(2);
  expect(isGivenUp).toBe(true);
});

test('pauses double, up to the greatest', () => {
  expect(pauseBefore(1, 1)).toBe(FIRST_PAUSE_MS);
  expect(pauseBefore(2, 1)).toBe(2 * FIRST_PAUSE_MS);
  expect(pauseBefore(50, 1)).toBe(PAUSE_MAX_MS);
  expect(pauseBefore(1, 0)).toBeLessThan(FIRST_PAUSE_MS);
});
