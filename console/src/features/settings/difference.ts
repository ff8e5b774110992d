import type { PastChange, SettingsOutcome } from './queries';

/** One setting before and after; null where nothing is set here, so that file or default hold. */
export interface Difference {
  name: string;
  before: string | null;
  after: string | null;
  /** Where the value comes from, when not from here. */
  beforeSource?: string;
  afterSource?: string;
  isHidden?: boolean;
}

const shown = (value: unknown) => (value === null || value === undefined ? null : typeof value === 'object' ? JSON.stringify(value) : String(value));
const elsewhere = (source: string) => (source === 'database' ? undefined : source);

/** What the server says that a change would do. */
export const foreseen = (changes: SettingsOutcome['changes']): Difference[] =>
  changes.map((one) => ({
    name: one.name,
    before: shown(one.before),
    after: shown(one.after),
    beforeSource: elsewhere(one.before_source),
    afterSource: elsewhere(one.after_source),
  }));

/** What a change in the past did. */
export const stored = (changes: PastChange['changes']): Difference[] =>
  changes.map((one) => ({ name: one.name, before: one.before, after: one.after, isHidden: one.is_hidden }));
