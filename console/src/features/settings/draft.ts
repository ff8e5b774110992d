import type { Setting } from './queries';

/** New values by the name of the setting; null gives the setting back to file and default. */
export type Draft = Record<string, string | null>;

export interface Change {
  name: string;
  before: string;
  after: string;
}

export type Wrong = { kind: 'number' } | { kind: 'range'; minimum: number; maximum: number };

/** Only what may change while the server runs, and what the environment does not fix. */
export const isEditable = (setting: Setting) => setting.live && !setting.is_secret && setting.source !== 'environment';

/** What saving would change, for a last look. */
export function changesOf(draft: Draft, settings: Setting[]): Change[] {
  return settings.flatMap((setting) => {
    const next = draft[setting.name];
    const before = String(setting.value);
    if (next === undefined || next === before) return [];
    if (next === null && setting.source !== 'database') return [];
    return [{ name: setting.name, before, after: next ?? '' }];
  });
}

/** What can be seen to be wrong before it is sent; the server judges it all again. */
export function wrongWith(setting: Setting, text: string): Wrong | null {
  const { type, minimum, maximum } = setting.schema;
  if (type !== 'integer') return null;
  if (!/^-?\d{1,15}$/.test(text.trim())) return { kind: 'number' };
  const value = Number(text);
  const [least, most] = [minimum ?? Number.MIN_SAFE_INTEGER, maximum ?? Number.MAX_SAFE_INTEGER];
  return value < least || value > most ? { kind: 'range', minimum: least, maximum: most } : null;
}

/** The settings by the first part of their names, in their order. */
export function groupsOf(settings: Setting[]): [string, Setting[]][] {
  const groups = new Map<string, Setting[]>();
  for (const setting of settings) {
    const group = setting.name.split('.')[0] ?? '';
    groups.set(group, [...(groups.get(group) ?? []), setting]);
  }
  return [...groups];
}
