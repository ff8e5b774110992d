import { ApiProblem } from '@/api/problem';
import { eventReader, type ServerEvent } from '@/shared/event-stream';
import type { Intercept } from './queries';

/** The server says every 15 seconds that it is there; after so long a silence the connection is taken for dead. */
export const SILENCE_MAX_MS = 40_000;
/** The pause before the first new attempt; it doubles with each that fails, up to the greatest. */
export const FIRST_PAUSE_MS = 1_000;
export const PAUSE_MAX_MS = 30_000;
/** A connection that lasted so long did well: the next failure is a first one. */
const STEADY_MS = 5_000;

export interface TailListener {
  /** It follows from now on; `isAgain` after it was cut off. */
  live(isAgain: boolean): void;
  rows(rows: Intercept[]): void;
  /** At most so many rows were left out. */
  skipped(count: number): void;
  /** It was cut off, and tries again after a pause. */
  cut(): void;
}

export interface TailMeans {
  /** Opens the stream behind an event's id. Throws the problem when it is refused. */
  connect(lastId: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
  /** Waits so long, or less. */
  pause(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/** With some chance, so that not all consoles come back at once. */
export const pauseBefore = (failures: number, chance: number): number =>
  Math.min(PAUSE_MAX_MS, FIRST_PAUSE_MS * 2 ** (failures - 1)) * (0.75 + chance / 4);

/** What no new attempt would change. */
const isFinal = (error: unknown): error is ApiProblem =>
  error instanceof ApiProblem && error.status >= 400 && error.status < 500 && error.status !== 408 && error.status !== 429;

/** Follows until it is told to stop, which gives null, or is refused, which gives the problem. */
export async function follow(means: TailMeans, listener: TailListener, signal: AbortSignal): Promise<ApiProblem | null> {
  let lastId = '';
  let isAgain = false;
  for (let failures = 0; !signal.aborted; failures += 1) {
    if (failures > 0) {
      listener.cut();
      await means.pause(pauseBefore(failures, Math.random()), signal);
      if (signal.aborted) break;
    }
    let since = Date.now();
    try {
      const stream = await means.connect(lastId, signal);
      since = Date.now();
      listener.live(isAgain);
      isAgain = true;
      await readAll(stream, (event) => (lastId = event.id || lastId), listener);
    } catch (error) {
      if (isFinal(error)) return error;
    }
    if (isAgain && Date.now() - since > STEADY_MS) failures = 0;
  }
  return null;
}

/** Reads until the stream ends, is silent for too long, or says that it ends. */
async function readAll(stream: ReadableStream<Uint8Array>, seen: (event: ServerEvent) => void, listener: TailListener): Promise<void> {
  const reader = stream.getReader();
  const text = new TextDecoder();
  const events = eventReader();
  for (;;) {
    const silence = setTimeout(() => void reader.cancel(), SILENCE_MAX_MS);
    const { done, value } = await reader.read().finally(() => clearTimeout(silence));
    if (done) return;
    const whole = events(text.decode(value, { stream: true }));
    whole.forEach(seen);
    const rows = whole.filter((event) => event.kind === 'intercept').map((event) => JSON.parse(event.data) as Intercept);
    if (rows.length > 0) listener.rows(rows);
    for (const event of whole.filter((one) => one.kind === 'skipped')) listener.skipped((JSON.parse(event.data) as { count: number }).count);
    if (whole.some((event) => event.kind === 'end')) return void reader.cancel();
  }
}
