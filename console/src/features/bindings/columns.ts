import { useStorage } from '@vueuse/core';

/** The columns that can be chosen, in their order; the key is always there. */
export const COLUMNS = ['status', 'labels', 'networks', 'note', 'profile', 'use_count', 'last_used', 'bound_at', 'updated_at'] as const;
export type Column = (typeof COLUMNS)[number];

export const USUAL_COLUMNS: Column[] = ['status', 'labels', 'networks', 'use_count', 'last_used', 'bound_at'];

const KEPT_AS = 'sentinel.bindings.columns';

/** Those that there are of what was kept, in the table's order; the usual ones when nothing was. */
export function knownColumns(kept: unknown): Column[] {
  return Array.isArray(kept) ? COLUMNS.filter((one) => kept.includes(one)) : [...USUAL_COLUMNS];
}

function read(text: string): Column[] {
  try {
    return knownColumns(JSON.parse(text));
  } catch {
    return [...USUAL_COLUMNS];
  }
}

/** Which columns are shown, kept in this browser. */
export const useColumns = () => useStorage<Column[]>(KEPT_AS, [...USUAL_COLUMNS], localStorage, { serializer: { read, write: JSON.stringify } });
