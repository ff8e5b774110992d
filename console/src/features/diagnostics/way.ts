import type { SeenAddress } from './queries';

/**
 * What an address on the way is to the proxy: the client whose address counts, what counts for it though it looks like a proxy, a
 * proxy whose word counts, words that count for nothing, or what keeps the client from being known.
 */
export type Role = 'client' | 'mistaken' | 'proxy' | 'ignored' | 'unclear' | 'unreadable';

export interface Stop {
  /** None for what is no address. */
  address: string | null;
  role: Role;
  isTrusted: boolean;
  /** `connection`, or the header that names it. */
  source: string;
}

type Hop = SeenAddress['hops'][number];

/** Where the client stands among the hops, the peer first; -1 when nobody can tell. */
function placeOfClient(hops: Hop[], seen: SeenAddress): number {
  if (seen.client_ip === null) return -1;
  const stranger = hops.findIndex((hop) => !hop.is_trusted);
  return stranger === -1 ? hops.length - 1 : stranger;
}

function roleOf(hop: Hop, place: number, client: number, looksProxied: boolean): Role {
  if (client === -1) return hop.address === null ? 'unreadable' : hop.is_trusted ? 'proxy' : 'unclear';
  if (place === client) return looksProxied ? 'mistaken' : 'client';
  return place < client ? 'proxy' : 'ignored';
}

/** The way of a request as it is drawn: from the farthest that is named to the one that connects. */
export function wayOf(seen: SeenAddress): Stop[] {
  const client = placeOfClient(seen.hops, seen);
  const looksProxied = seen.warnings.some((warning) => warning.code === 'proxy_not_trusted');
  return seen.hops
    .map((hop, place) => ({ address: hop.address, role: roleOf(hop, place, client, looksProxied), isTrusted: hop.is_trusted, source: hop.source }))
    .reverse();
}
