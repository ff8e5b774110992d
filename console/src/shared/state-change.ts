/** One member of what was changed; null where there was, or is, none. */
export interface ChangedMember {
  name: string;
  before: string | null;
  after: string | null;
}

type Members = Record<string, unknown>;

const isMembers = (value: unknown): value is Members => typeof value === 'object' && value !== null && !Array.isArray(value);

function shown(value: unknown): string | null {
  if (value === undefined || value === null || value === '') return null;
  if (Array.isArray(value)) return value.length === 0 ? null : value.map((one) => shown(one) ?? '—').join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** What became another one; the rest of a state is of no interest to whoever reads of the change. */
export function changedMembers(before: unknown, after: unknown): ChangedMember[] {
  const [was, is] = [isMembers(before) ? before : {}, isMembers(after) ? after : {}];
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])].filter((name) => name !== 'version');
  return names.map((name) => ({ name, before: shown(was[name]), after: shown(is[name]) })).filter((one) => one.before !== one.after);
}

/** What an event's detail tells of: two states, and what else there is to say; nothing when it is plain text. */
export function readDetail(detail: string): { before?: unknown; after?: unknown; rest?: Members } {
  try {
    const { before, after, ...rest } = JSON.parse(detail) as Members;
    return { before, after, rest };
  } catch {
    return {};
  }
}
