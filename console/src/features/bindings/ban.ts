/** The API takes no longer reason. */
export const REASON_CHARACTERS_MAX = 500;

const DAY_MS = 86_400_000;

/** For how many days a ban may be set to last. */
export const BAN_DAYS = [1, 7, 30, 90] as const;

/** When a ban of so many days ends; one of none lasts. */
export const banEnd = (days: number, now: number): string | null => (days === 0 ? null : new Date(now + days * DAY_MS).toISOString());
