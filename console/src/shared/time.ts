const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];
const SECONDS_OF_A_MONTH = 30 * 86_400;

/** "3 minutes ago"; null when it is so long ago that a date says more. */
export function relativeTime(at: number, now: number, language: string): string | null {
  const seconds = Math.round((at - now) / 1000);
  if (Math.abs(seconds) > SECONDS_OF_A_MONTH) return null;
  const words = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  for (const [unit, size] of STEPS) {
    if (Math.abs(seconds) >= size) return words.format(Math.trunc(seconds / size), unit);
  }
  return words.format(Math.abs(seconds) < 10 ? 0 : seconds, 'second');
}

export function fullTime(at: number, language: string): string {
  return new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' }).format(at);
}
