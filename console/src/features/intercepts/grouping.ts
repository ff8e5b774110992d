import type { Intercept } from './queries';

/** What rows may be put together by. */
export const GROUPINGS = ['key', 'address'] as const;
export type Grouping = (typeof GROUPINGS)[number];

/** Rows of one key, or of one address. */
export interface InterceptGroup {
  id: string;
  /** The key's hint or the address; null where the requests had no key. */
  name: string | null;
  binding: number | null;
  address: string | null;
  /** How many requests the rows stand for. */
  requests: number;
  rows: number;
  /** Each reason with its requests, the greatest first. */
  reasons: [reason: string, requests: number][];
  firstAt: string;
  lastAt: string;
}

function begin(row: Intercept, by: Grouping, id: string): InterceptGroup {
  const isKey = by === 'key';
  return {
    id,
    name: (isKey ? row.hint : row.client_ip) ?? null,
    binding: (isKey ? row.binding_id : null) ?? null,
    address: isKey ? null : row.client_ip,
    requests: 0,
    rows: 0,
    reasons: [],
    firstAt: row.at,
    lastAt: row.last_at,
  };
}

/** Those with the most requests come first. Several keys may share a hint; a binding tells them apart. */
export function groupIntercepts(rows: readonly Intercept[], by: Grouping): InterceptGroup[] {
  const groups = new Map<string, InterceptGroup>();
  const reasons = new Map<string, Map<string, number>>();
  for (const row of rows) {
    const id = by === 'key' ? `${row.binding_id ?? ''} ${row.hint ?? ''}` : row.client_ip;
    const group = groups.get(id) ?? begin(row, by, id);
    const ofGroup = reasons.get(id) ?? new Map<string, number>();
    groups.set(id, group);
    reasons.set(id, ofGroup.set(row.reason, (ofGroup.get(row.reason) ?? 0) + row.count));
    group.requests += row.count;
    group.rows += 1;
    if (row.at < group.firstAt) group.firstAt = row.at;
    if (row.last_at > group.lastAt) group.lastAt = row.last_at;
  }
  const all = [...groups.values()].map((group) => ({ ...group, reasons: [...(reasons.get(group.id) ?? [])].sort((a, b) => b[1] - a[1]) }));
  return all.sort((a, b) => b.requests - a.requests || (a.lastAt < b.lastAt ? 1 : -1));
}
