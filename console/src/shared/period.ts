const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** How far back a list may reach, as it stands in the address bar. */
export const PERIODS = { '1h': HOUR_MS, '24h': 24 * HOUR_MS, '7d': 7 * 24 * HOUR_MS } as const;

/** The start of a period, by the full minute, so that the same question is asked again. */
export function sinceOf(period: string, now: number): string | undefined {
  const length = Object.entries(PERIODS).find(([name]) => name === period)?.[1];
  return length === undefined ? undefined : new Date(Math.floor((now - length) / MINUTE_MS) * MINUTE_MS).toISOString();
}
