import createClient from 'openapi-fetch';
import { problemOf, unreachable } from './problem';
import type { components, paths } from './schema';
import { useSession } from './session';

export type Schemas = components['schemas'];

/** Sends with the session's token; on a 401 renews it once and sends again. */
async function sendSigned(request: Request): Promise<Response> {
  const session = useSession();
  const again = request.clone();
  const send = async (one: Request) => {
    const token = await session.token();
    if (token) one.headers.set('authorization', `Bearer ${token}`);
    return fetch(one).catch(() => Promise.reject(unreachable()));
  };
  const response = await send(request);
  if (response.status !== 401 || session.state !== 'signed_in') return response;
  if (await session.renew()) return send(again);
  session.expire();
  return response;
}

export const api = createClient<paths>({ baseUrl: window.location.origin, fetch: sendSigned });

/** The answer's body, or the problem thrown. */
export async function answer<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw problemOf(response, error);
  return data as T;
}
