import { computed, onScopeDispose, readonly, ref, shallowRef, watch, type Ref } from 'vue';
import { answer, api } from '@/api/client';
import { ApiProblem, unreachable } from '@/api/problem';
import { useSession } from '@/api/session';
import { PAGE_ROWS, type Intercept, type InterceptFilter } from './queries';
import { follow } from './tail-connection';
import { arrive, NO_ROWS, release, TAIL_ROWS_MAX } from './tail-rows';

/** `waiting`: the session has ended, and it goes on once somebody signed in again. */
export type TailState = 'off' | 'connecting' | 'live' | 'reconnecting' | 'waiting' | 'ended';

/** What comes meanwhile is shown together: a flood is no reason to draw without a pause. */
const SHOW_PAUSE_MS = 200;

async function opened(filter: InterceptFilter, lastId: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const header = lastId === '' ? {} : { 'Last-Event-ID': Number(lastId) };
  const call = api.GET('/admin/api/logs/tail', { params: { query: filter, header }, parseAs: 'stream', signal, cache: 'no-store' });
  const stream = await answer<ReadableStream<Uint8Array> | null>(call as Promise<{ data?: ReadableStream<Uint8Array> | null; error?: unknown; response: Response }>);
  if (!stream) throw unreachable();
  return stream;
}

/** Follows the log with a filter as long as it is on, and keeps the last rows. */
export function useTail(filter: Readonly<Ref<InterceptFilter>>, isOn: Readonly<Ref<boolean>>) {
  const session = useSession();
  const state = ref<TailState>('off');
  const isPaused = ref(false);
  const rows = shallowRef(NO_ROWS);
  /** Whether it has rows of its own, or knows that there are none. */
  const hasBegun = ref(false);
  const skipped = ref(0);
  const problem = shallowRef<ApiProblem | null>(null);
  let stop = new AbortController();
  let wake: () => void = () => undefined;
  let pending: Intercept[] = [];
  let showing: ReturnType<typeof setTimeout> | undefined;

  function show(): void {
    clearTimeout(showing);
    showing = undefined;
    hasBegun.value = true;
    rows.value = arrive(rows.value, pending, isPaused.value);
    pending = [];
  }

  function take(arrived: Intercept[]): void {
    pending.push(...arrived);
    if (pending.length > 2 * TAIL_ROWS_MAX) show();
    showing ??= setTimeout(show, SHOW_PAUSE_MS);
  }

  /** Until the time is over, somebody does not want to wait, the network is back, or it is stopped. */
  const pause = (milliseconds: number, signal: AbortSignal) =>
    new Promise<void>((done) => {
      const over = new AbortController();
      const end = () => (clearTimeout(timer), over.abort(), done());
      const timer = setTimeout(end, milliseconds);
      wake = end;
      signal.addEventListener('abort', end, { once: true, signal: over.signal });
      window.addEventListener('online', end, { once: true, signal: over.signal });
    });

  const signedIn = (signal: AbortSignal) =>
    new Promise<void>((done) => {
      const end = watch(() => session.state, (now) => now === 'signed_in' && (end(), done()));
      signal.addEventListener('abort', () => (end(), done()), { once: true });
    });

  async function connect(asked: InterceptFilter, lastId: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    try {
      return await opened(asked, lastId, signal);
    } catch (error) {
      if (!(error instanceof ApiProblem) || error.status !== 401) throw error;
      if (session.state === 'expired') {
        state.value = 'waiting';
        await signedIn(signal);
      }
      throw unreachable();
    }
  }

  /** What is there already; what is written meanwhile comes by the stream. */
  async function takeList(asked: InterceptFilter, signal: AbortSignal): Promise<void> {
    const page = await answer(api.GET('/admin/api/logs', { params: { query: { ...asked, limit: PAGE_ROWS } }, signal })).catch(() => null);
    if (!page || signal.aborted) return;
    take(page.items);
    show();
  }

  async function start(): Promise<void> {
    const asked = { ...filter.value, before: undefined, limit: undefined };
    const own = (stop = new AbortController());
    [rows.value, hasBegun.value, skipped.value, problem.value, isPaused.value, state.value] = [NO_ROWS, false, 0, null, false, 'connecting'];
    const ended = await follow(
      { connect: (lastId, signal) => connect(asked, lastId, signal), pause },
      {
        live(isAgain) {
          state.value = 'live';
          if (!isAgain) void takeList(asked, own.signal);
        },
        rows: (arrived) => own.signal.aborted || take(arrived),
        skipped: (count) => (skipped.value += count),
        cut: () => (state.value = 'reconnecting'),
      },
      own.signal,
    );
    if (own.signal.aborted) return;
    [problem.value, state.value] = [ended, 'ended'];
  }

  function end(): void {
    stop.abort();
    clearTimeout(showing);
    [showing, pending, state.value] = [undefined, [], 'off'];
  }

  function goOn(): void {
    isPaused.value = false;
    rows.value = release(rows.value);
  }

  const wanted = computed(() => (isOn.value ? JSON.stringify({ ...filter.value, before: undefined }) : null));
  watch(wanted, (now) => {
    end();
    if (now !== null) void start();
  }, { immediate: true });
  onScopeDispose(end);

  return {
    state: readonly(state),
    isPaused,
    rows,
    hasBegun: readonly(hasBegun),
    skipped: readonly(skipped),
    problem,
    pause: () => (isPaused.value = true),
    goOn,
    tryNow: () => wake(),
    restart: () => (end(), void start()),
  };
}
