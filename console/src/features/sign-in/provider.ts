import { answer, api, type Schemas } from '@/api/client';
import { landing } from './landing';

/** What the server's word for a failed sign-in by the provider can be; each has a text under `sign_in.provider_problems`. */
export const PROVIDER_PROBLEMS = [
  'flow_unknown',
  'denied',
  'not_vouched_for',
  'role_missing',
  'account_disabled',
  'accounts_full',
  'locked',
  'provider_unavailable',
  'store_unavailable',
  'internal',
] as const;
export type ProviderProblem = (typeof PROVIDER_PROBLEMS)[number];

/** Where the page remembers over the way to the provider what was to be opened. */
const WANTED = 'sentinel.sign-in-to';

/** The provider by which one may sign in, if there is one. */
export async function provider(): Promise<Schemas['ProviderSignIn'] | null> {
  const found = await answer(api.GET('/admin/api/oidc'));
  return found.is_on && found.start_url !== null ? found : null;
}

/** How the sign-in ended that led to this page: well, with a problem, or there was none. A word that this console does not know is one, too. */
export function ending(word: unknown): 'done' | ProviderProblem | null {
  if (typeof word !== 'string') return null;
  if (word === 'done') return word;
  return PROVIDER_PROBLEMS.find((problem) => problem === word) ?? 'internal';
}

/** Remembers what was to be opened. */
export function leaveFor(to: unknown): void {
  sessionStorage.setItem(WANTED, landing(to));
}

/** What was to be opened, once. */
export function wanted(): string {
  const to = sessionStorage.getItem(WANTED);
  sessionStorage.removeItem(WANTED);
  return landing(to);
}
