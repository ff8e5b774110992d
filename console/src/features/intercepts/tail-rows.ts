import type { Intercept } from './queries';

/** So many rows are kept in the page while it follows, and so many are held back at most; the oldest go. The list has them all. */
export const TAIL_ROWS_MAX = 1_000;

/** What a page that follows shows, the newest first, and what it holds back while it pauses. */
export interface TailRows {
  shown: Intercept[];
  held: Intercept[];
  /** How many rows went, as there were more than are kept. */
  dropped: number;
}

export const NO_ROWS: TailRows = { shown: [], held: [], dropped: 0 };

/** Puts rows where they belong: each once, the last one told of it, the newest first. */
function merged(rows: Intercept[], arrived: Intercept[]): Intercept[] {
  const byId = new Map([...rows, ...arrived].map((row) => [row.id, row]));
  return [...byId.values()].sort((a, b) => b.id - a.id);
}

function bounded(rows: Intercept[]): [Intercept[], number] {
  return [rows.slice(0, TAIL_ROWS_MAX), Math.max(0, rows.length - TAIL_ROWS_MAX)];
}

/** Rows that came: shown, or held back. One that is shown already is none that waits. */
export function arrive(rows: TailRows, arrived: Intercept[], isPaused: boolean): TailRows {
  if (!isPaused) {
    const [shown, dropped] = bounded(merged(rows.shown, arrived));
    return { ...rows, shown, dropped: rows.dropped + dropped };
  }
  const known = new Set(rows.shown.map((row) => row.id));
  const [held, dropped] = bounded(merged(rows.held, arrived.filter((row) => !known.has(row.id))));
  return { ...rows, held, dropped: rows.dropped + dropped };
}

/** Shows what was held back. */
export function release(rows: TailRows): TailRows {
  return arrive({ ...rows, held: [] }, rows.held, false);
}
