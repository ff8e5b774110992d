import { defineStore } from 'pinia';
import { computed, ref, shallowRef } from 'vue';
import { ApiProblem, problemOf, unreachable } from './problem';
import type { components } from './schema';

type Granted = components['schemas']['Granted'];

/** A token this close to its end is renewed before it is used. */
const RENEW_BEFORE_MS = 30_000;
/** Says that a refresh is worth trying. It is no secret: the secret is in a cookie that no script can read. */
const MARK = 'sentinel.session';

export type SessionState = 'signed_out' | 'signed_in' | 'expired';

async function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) };
  try {
    return await fetch(path, init);
  } catch {
    throw unreachable();
  }
}

async function grantedBy(response: Response): Promise<Granted> {
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw problemOf(response, body);
  return body as Granted;
}

/** The session of this page. The token lives in memory alone; a reload gets the next one for the refresh cookie. */
export const useSession = defineStore('session', () => {
  const granted = shallowRef<Granted | null>(null);
  const state = ref<SessionState>('signed_out');
  const account = computed(() => granted.value?.account ?? null);
  let renewing: Promise<boolean> | null = null;

  function begin(next: Granted): void {
    granted.value = next;
    state.value = 'signed_in';
    localStorage.setItem(MARK, '1');
  }

  function forget(next: SessionState): void {
    if (next === 'signed_out') granted.value = null;
    state.value = next;
    localStorage.removeItem(MARK);
  }

  async function signIn(username: string, password: string, otp?: string): Promise<void> {
    begin(await grantedBy(await post('/admin/api/login', { username, password, ...(otp ? { otp } : {}) })));
  }

  /** Tries the refresh cookie, once for all who ask at the same time. */
  function renew(): Promise<boolean> {
    renewing ??= post('/admin/api/session/refresh', {}, { 'x-sentinel-console': '1' })
      .then(grantedBy)
      .then((next) => (begin(next), true))
      .catch((error: unknown) => {
        if (error instanceof ApiProblem && (error.status === 401 || error.status === 404)) return false;
        throw error;
      })
      .finally(() => (renewing = null));
    return renewing;
  }

  /** After a reload. */
  async function restore(): Promise<void> {
    if (!localStorage.getItem(MARK)) return;
    const isRenewed = await renew().catch(() => false);
    if (!isRenewed) forget('signed_out');
  }

  /** A token that will do for the next call. */
  async function token(): Promise<string | null> {
    if (!granted.value) return null;
    const left = Date.parse(granted.value.expires_at) - Date.now();
    if (left < RENEW_BEFORE_MS && state.value === 'signed_in') await renew().catch(() => false);
    return granted.value.token;
  }

  /** The server no longer takes the token. What was typed stays on the page, behind the sign-in. */
  function expire(): void {
    if (state.value === 'signed_in') forget('expired');
  }

  async function signOut(): Promise<void> {
    const bearer = granted.value?.token ?? '';
    forget('signed_out');
    await post('/admin/api/session/end', {}, { authorization: `Bearer ${bearer}` }).catch(() => undefined);
  }

  return { state, account, signIn, signOut, restore, renew, token, expire };
});
